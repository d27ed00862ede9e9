//! What a record weighs in a topic, and how the record of a foreign producer is shown.

use chrono::DateTime;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
};

use crate::topic::{NewRecord, Record};

/// The header of a batch in Kafka's message format 2.
const BATCH_HEADER_BYTES: u64 = 61;

/// What stands for a header whose name is no text: the client library cannot hand it out.
const UNREADABLE_HEADER: &str = "unreadable-header";

/// Returns the bytes of a batch that holds only this record, uncompressed: what a broker compares
/// with the topic's `max.message.bytes`.
pub(super) fn batch_bytes(record: &NewRecord) -> u64 {
    let sized = |length: usize| varint_bytes(length) + count(length);
    let headers: u64 =
        record.headers.iter().map(|(name, value)| sized(name.len()) + sized(value.len())).sum();
    // Attributes and the differences of time and offset to the batch: one byte each.
    let body = 3
        + sized(record.key.len())
        + sized(record.value.len())
        + varint_bytes(record.headers.len())
        + headers;
    let body_length = usize::try_from(body).unwrap_or(usize::MAX);
    BATCH_HEADER_BYTES + varint_bytes(body_length) + body
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Bytes of a zigzag varint: seven bits each, and the sign takes one.
fn varint_bytes(number: usize) -> u64 {
    let bits = u64::from(usize::BITS - number.leading_zeros()) + 1;
    bits.div_ceil(7)
}

/// Returns the headers as the client library wants them.
pub(super) fn to_headers(headers: &[(String, String)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (name, value)| {
        all.insert(Header { key: name, value: Some(value.as_str()) })
    })
}

/// Shows a message as a record. Total: whatever a foreign producer wrote comes out as something.
///
/// | in Kafka | in the record |
/// |---|---|
/// | no key, no value (a tombstone), a header without value | empty |
/// | a key or header value that is not UTF-8 | see [`text`] |
/// | a header name that is not UTF-8 | [`UNREADABLE_HEADER`], without value |
/// | no time | 1970-01-01 |
pub(super) fn from_message(message: &BorrowedMessage<'_>) -> Record {
    let ts = message.timestamp().to_millis().and_then(DateTime::from_timestamp_millis);
    Record {
        offset: u64::try_from(message.offset()).unwrap_or(0),
        key: text(message.key().unwrap_or_default()),
        ts: ts.unwrap_or(DateTime::UNIX_EPOCH),
        headers: message.headers().map(from_headers).unwrap_or_default(),
        value: bytes::Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

fn from_headers(headers: &impl Headers) -> Vec<(String, String)> {
    let read = |index| {
        let header = headers.try_get(index)?;
        Some((header.key.to_owned(), text(header.value.unwrap_or_default())))
    };
    (0..headers.count())
        .map(|index| {
            // The library panics over a name that is not UTF-8, and has no other way to ask. The
            // closure changes nothing, so nothing is left half done.
            let read = std::panic::AssertUnwindSafe(|| read(index));
            let found = std::panic::catch_unwind(read).ok().flatten();
            found.unwrap_or_else(|| (UNREADABLE_HEADER.to_owned(), String::new()))
        })
        .collect()
}

/// Returns bytes as text: UTF-8 as it is, anything else with `\xNN` for each byte that is none and
/// `\\` for a backslash, so that the bytes can be had back.
pub(super) fn text(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            shown.push_str(&format!(r"\x{byte:02x}"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads [`text`]'s escapes back.
    fn unescape(shown: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = shown.as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            match (first, behind) {
                (b'\\', [b'\\', behind @ ..]) => {
                    bytes.push(b'\\');
                    rest = behind;
                }
                (b'\\', [b'x', high, low, behind @ ..]) => {
                    let digits = [*high, *low];
                    let digits = std::str::from_utf8(&digits).expect("ASCII");
                    bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                    rest = behind;
                }
                _ => bytes.push(*first),
            }
        }
        bytes
    }

    #[test]
    fn shows_bytes_that_are_no_text() {
        assert_eq!(text(b"AAPL\\"), "AAPL\\", "text stays as it is");
        assert_eq!(text(b"a\\\xff\xc3(\xe9"), r"a\\\xff\xc3(\xe9");
    }

    proptest! {
        #[test]
        fn keeps_every_byte(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let shown = text(&bytes);
            if std::str::from_utf8(&bytes).is_ok() {
                prop_assert_eq!(shown.as_bytes(), bytes);
            } else {
                prop_assert_eq!(unescape(&shown), bytes);
            }
        }

        #[test]
        fn headers_come_back(
            headers in proptest::collection::vec(("[^\0]{0,9}", ".{0,9}"), 0..5),
        ) {
            prop_assert_eq!(from_headers(&to_headers(&headers)), headers);
        }
    }

    #[test]
    fn weighs_a_record_as_the_broker_does() {
        let record = |value: usize| NewRecord {
            key: "k".to_owned(),
            value: vec![0; value].into(),
            headers: Vec::new(),
        };
        // 61 of the batch, then: length, 3 fixed, key length and key, value length and value,
        // header count.
        assert_eq!(batch_bytes(&record(0)), 61 + 1 + 3 + 2 + 1 + 1);
        assert_eq!(batch_bytes(&record(63)), 61 + 2 + 3 + 2 + 64 + 1, "the body passes 63 bytes");
        assert_eq!(batch_bytes(&record(64)), 61 + 2 + 3 + 2 + 66 + 1, "64 takes two bytes");
    }
}
