//! One landing object, from bytes to lines that are proven to be the ones its writer sealed.

use std::io::Read;

use model::landing::{Footer, LandingKey};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Most bytes an object may have once uncompressed. Landing seals objects at some 64 MiB, so this
/// is eight times what is sane; three times as much, the worst growth of invalid UTF-8 made
/// readable, still fits the 2 GiB of an Arrow text column.
pub const RAW_BYTES_MAX: u64 = 512 << 20;

/// The first bytes of every zstd frame.
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The lines of a landing object, footer checked and cut off.
#[derive(Clone, Debug)]
pub struct ObjectRows {
    lines: Vec<u8>,
    footer: Footer,
}

/// How an object differs from what its footer says.
#[derive(Debug, thiserror::Error)]
pub enum ObjectProblem {
    /// The compressed bytes end early or are damaged.
    #[error("damaged or truncated zstd data")]
    Compression(#[source] std::io::Error),
    /// More bytes than any object has.
    #[error("more than {RAW_BYTES_MAX} bytes uncompressed")]
    TooLarge,
    /// The last line is no footer.
    #[error("the last line is no footer; the object is truncated")]
    NoFooter,
    /// Lines are missing or too many.
    #[error("the footer counts {footer} records, the object has {found}")]
    Count {
        /// Records according to the footer.
        footer: u64,
        /// Lines above the footer.
        found: u64,
    },
    /// The lines are not those that were sealed.
    #[error("the lines have sha256 `{found}`, the footer says `{footer}`")]
    Sha256 {
        /// According to the footer.
        footer: String,
        /// Of the lines.
        found: String,
    },
    /// The name and the footer name different offsets.
    #[error("the name says first offset {key}, the footer {footer}")]
    First {
        /// According to the name.
        key: u64,
        /// According to the footer.
        footer: u64,
    },
    /// The footer's offsets cannot hold its records.
    #[error("offsets {first} to {next} cannot hold {count} records")]
    Span {
        /// The first offset.
        first: u64,
        /// The offset after the last one.
        next: u64,
        /// Records according to the footer.
        count: u64,
    },
}

impl ObjectRows {
    /// Returns what the writer said of the object.
    #[must_use]
    pub const fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Returns all lines, newlines included, footer excluded.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.lines
    }

    /// Returns the lines in order, without their newlines.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        // Every line ends with a newline, so what follows the last one is no line.
        let body = self.lines.strip_suffix(b"\n");
        body.into_iter().flat_map(|body| body.split(|byte| *byte == b'\n'))
    }
}

/// Reads the object `key` from its stored `bytes` and checks it against its name and footer.
///
/// A `.gap` object may be stored with or without compression; it has no lines.
///
/// # Errors
/// [`Error::Object`]: the object is damaged, truncated, or not what its name or footer says.
pub fn verify_object(key: &LandingKey, bytes: &[u8]) -> Result<ObjectRows, Error> {
    check(key, bytes).map_err(|source| Error::Object { key: key.to_string(), source })
}

fn check(key: &LandingKey, bytes: &[u8]) -> Result<ObjectRows, ObjectProblem> {
    let mut lines = decompress(bytes)?;
    let footer = cut_footer(&mut lines).ok_or(ObjectProblem::NoFooter)?;
    if footer.first != key.first_offset {
        return Err(ObjectProblem::First { key: key.first_offset, footer: footer.first });
    }
    // An object that does not move the chain would be read for ever.
    let span = footer.next.checked_sub(footer.first).filter(|span| *span != 0);
    if span.is_none_or(|span| span < footer.count) {
        let Footer { first, next, count, .. } = footer;
        return Err(ObjectProblem::Span { first, next, count });
    }
    let newlines = lines.iter().filter(|byte| **byte == b'\n').count();
    let found = u64::try_from(newlines).unwrap_or(u64::MAX);
    if found != footer.count {
        return Err(ObjectProblem::Count { footer: footer.count, found });
    }
    let found = sha256_hex(&lines);
    if found != footer.sha256 {
        return Err(ObjectProblem::Sha256 { footer: footer.sha256, found });
    }
    Ok(ObjectRows { lines, footer })
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, ObjectProblem> {
    if !bytes.starts_with(ZSTD_MAGIC) {
        return Ok(bytes.to_vec());
    }
    let decoder =
        zstd::stream::read::Decoder::with_buffer(bytes).map_err(ObjectProblem::Compression)?;
    let mut lines = Vec::with_capacity(bytes.len().saturating_mul(4));
    let limit = RAW_BYTES_MAX + 1;
    let read = decoder.take(limit).read_to_end(&mut lines).map_err(ObjectProblem::Compression)?;
    if u64::try_from(read).unwrap_or(u64::MAX) == limit {
        return Err(ObjectProblem::TooLarge);
    }
    Ok(lines)
}

/// Takes the footer line off the end; `None`, when there is none.
fn cut_footer(lines: &mut Vec<u8>) -> Option<Footer> {
    let body = lines.strip_suffix(b"\n")?;
    let start = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let footer = Footer::parse_line(&body[start..])?;
    lines.truncate(start);
    Some(footer)
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
    }
    hex
}

#[cfg(test)]
pub(crate) mod tests;
