//! One record as a line of a landing object: the vendor's row, verbatim, with its provenance.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A record to be written as a line.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// Offset in the topic's partition.
    pub offset: u64,
    /// The record's key: the symbol.
    pub key: &'a str,
    /// When the topic took the record.
    pub ts: DateTime<Utc>,
    /// Provenance, in the order it was given; see [`crate::record`].
    pub headers: &'a [(String, String)],
    /// The vendor's row, byte for byte.
    pub data: &'a [u8],
}

impl Envelope<'_> {
    /// Appends the record as one line, newline included.
    ///
    /// JSON allows line breaks between tokens; they become spaces, or the row would span lines.
    /// Every other byte of the row stays as the vendor sent it, well-formed or not.
    ///
    /// # Panics
    /// Never: text always serialises.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, text: &str| {
            serde_json::to_writer(&mut *out, text).expect("text always serialises");
        };
        out.extend_from_slice(format!("{{\"_offset\":{},\"_key\":", self.offset).as_bytes());
        text(out, self.key);
        let ts = self.ts.to_rfc3339_opts(SecondsFormat::Micros, true);
        out.extend_from_slice(format!(",\"_ts\":\"{ts}\",\"_headers\":{{").as_bytes());
        for (index, (name, value)) in self.headers.iter().enumerate() {
            if index != 0 {
                out.push(b',');
            }
            text(out, name);
            out.push(b':');
            text(out, value);
        }
        out.extend_from_slice(b"},\"data\":");
        let row_start = out.len();
        out.extend_from_slice(self.data);
        for byte in out[row_start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        out.extend_from_slice(b"}\n");
    }
}

/// A line as read back.
#[derive(Debug, Deserialize)]
pub struct EnvelopeLine<'a> {
    /// Offset in the topic's partition.
    #[serde(rename = "_offset")]
    pub offset: u64,
    /// The record's key.
    #[serde(rename = "_key", borrow)]
    pub key: Cow<'a, str>,
    /// When the topic took the record.
    #[serde(rename = "_ts")]
    pub ts: DateTime<Utc>,
    /// Provenance.
    #[serde(rename = "_headers")]
    pub headers: Headers,
    /// The vendor's row.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// The provenance that tables keep; see [`crate::record`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Headers {
    /// The vendor and API version.
    pub source: String,
    /// The fetch that brought the row, as decimal text.
    pub fetch_id: String,
    /// The page within the fetch.
    pub page: String,
    /// The row within the page.
    pub row: String,
    /// The interval asked for.
    pub interval: String,
    /// When the response arrived.
    pub ts_fetched: String,
}

impl<'a> EnvelopeLine<'a> {
    /// Parses a line without its newline.
    ///
    /// # Errors
    /// The line is not the JSON that [`Envelope::write_line`] writes; the cause says where.
    pub fn parse(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_the_row_verbatim() {
        let headers = [
            ("source".to_owned(), "marketstack-v2".to_owned()),
            ("fetch_id".to_owned(), "12".to_owned()),
        ];
        let envelope = Envelope {
            offset: 5,
            key: "A\"B",
            ts: "2019-02-11T14:30:00.5Z".parse().expect("a time"),
            headers: &headers,
            data: b"{\"close\": 1.50,\n \"x\":1e400}",
        };
        let mut out = Vec::new();
        envelope.write_line(&mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
        let line = EnvelopeLine::parse(&out[..out.len() - 1]).expect("parses");
        assert_eq!((line.offset, line.key.as_ref()), (5, "A\"B"));
        assert_eq!(line.headers.fetch_id, "12");
        assert_eq!(line.data.get(), "{\"close\": 1.50,  \"x\":1e400}");
    }
}
