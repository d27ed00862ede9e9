//! What is checked of a page before a library takes the memory that its header asks for.

use parquet::file::reader::Length as _;

use super::{
    Blocks,
    thrift::{PageHeader, Thrift},
};

/// Largest page that is read, unpacked. Writers end one after 1 MiB, or after a thousand values:
/// here they may be a quarter of a MiB long each.
const PAGE_BYTES_MAX: i64 = 256 << 20;

/// Values of a dictionary that may be shorter than [`VALUE_BYTES`]: more than writers keep, and
/// little memory for those that are not there.
const VALUES_MAX: i64 = 1 << 20;

/// Bytes of a value in a dictionary: a text has its length in front of it, a number is no shorter.
const VALUE_BYTES: i64 = 4;

/// Bytes of a header that are looked at: first as many as nearly all have, and at most what one of
/// the longest values at both ends needs.
const HEADER_BYTES: u64 = 1 << 10;
const HEADER_BYTES_MAX: u64 = 16 << 20;

/// Checks the page whose header begins at `at`.
pub(super) fn check(file: &Blocks, at: u64) -> Result<(), String> {
    let left = file.len().saturating_sub(at).min(HEADER_BYTES_MAX);
    let mut length = HEADER_BYTES.min(left);
    loop {
        let bytes = file.range(at, length).map_err(|error| error.to_string())?;
        match Thrift(&bytes).page() {
            Some(page) => return check_header(page),
            None if length == left => {
                return Err(format!("the header of a page, byte {at}, does not end"));
            }
            None => length = length.saturating_mul(16).min(left),
        }
    }
}

fn check_header(PageHeader { bytes, dictionary }: PageHeader) -> Result<(), String> {
    if PAGE_BYTES_MAX < bytes {
        return Err(format!(
            "a page unpacks to {bytes} bytes, and at most {PAGE_BYTES_MAX} are read"
        ));
    }
    if (bytes / VALUE_BYTES).max(VALUES_MAX) < dictionary {
        return Err(format!("a dictionary of {bytes} bytes cannot have {dictionary} values"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_no_more_than_its_bytes_can_say() {
        for (name, bytes, dictionary, expected) in [
            ("as large as a page may be", 256 << 20, 0, ""),
            ("larger", (256 << 20) + 1, 0, "at most 268435456 are read"),
            ("a small dictionary", 100, 1 << 20, ""),
            ("more values than memory", 960, i64::from(i32::MAX), "cannot have 2147483647 values"),
            ("a large dictionary of numbers", 64 << 20, 16 << 20, ""),
            ("of less than numbers", 64 << 20, (16 << 20) + 1, "cannot have"),
            ("below nothing, which the library refuses", -1, -1, ""),
        ] {
            let told = check_header(PageHeader { bytes, dictionary }).err().unwrap_or_default();
            assert!(
                told.contains(expected) && expected.is_empty() == told.is_empty(),
                "{name}: {told}"
            );
        }
    }

    #[test]
    fn a_header_is_read_whatever_it_says_besides() {
        // A dictionary of 960 bytes, packed into 167, of 120 values.
        let dictionary =
            [0x15, 4, 0x15, 0x80, 0x0f, 0x15, 0xce, 2, 0x4c, 0x15, 0xf0, 1, 0x15, 0, 0x12, 0, 0];
        // A page of 114 bytes, of 120 values, with the least and the most of them.
        let mut data = vec![
            0x15, 0, 0x15, 0xe4, 1, 0x15, 0xf6, 1, 0x2c, 0x15, 0xf0, 1, 0x15, 0x10, 0x15, 6, 0x15,
            6,
        ];
        data.extend([0x1c, 0x18, 1, b'a', 0x18, 1, b'z', 0, 0, 0]);
        for (name, header, bytes, values) in
            [("dictionary", &dictionary[..], 960, 120), ("data", &data, 114, 0)]
        {
            let expected = PageHeader { bytes, dictionary: values };
            assert_eq!(Thrift(header).page(), Some(expected), "{name}");
            for end in 0..header.len() {
                assert_eq!(Thrift(&header[..end]).page(), None, "{name}, {end} bytes of it");
            }
        }
        // A list of two truth values, which the library takes for two fields.
        for kind in [1, 2] {
            assert_eq!(Thrift(&[0x19, 0x20 | kind, 1, 1, 0]).page(), None);
        }
    }
}
