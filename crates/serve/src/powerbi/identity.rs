//! Identifiers that are the same in every run: by them Power BI follows an object that is renamed.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Keeps our identifiers apart from those that others derive from the same names.
const NAMESPACE: &str = "marketlake/powerbi/1";

/// Derives a UUID from names (RFC 9562, version 8 over SHA-256).
///
/// Two lists of names that differ have different identifiers: `["a", "bc"]` is not `["ab", "c"]`.
pub(super) fn tag(names: &[&str]) -> String {
    let mut hash = Sha256::new_with_prefix(NAMESPACE);
    for name in names {
        // No name of ours has this byte.
        hash.update([0]);
        hash.update(name.as_bytes());
    }
    let mut bytes: [u8; 16] = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("writing to a text cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn an_identifier_is_a_uuid_of_its_names() {
        let one = tag(&["table", "dim_date"]);
        assert_eq!(one, tag(&["table", "dim_date"]));
        assert_ne!(one, tag(&["tabled", "im_date"]));
        let shape: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(shape, [8, 4, 4, 4, 12], "{one}");
        assert_eq!(one.as_bytes()[14], b'8', "{one}");
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
