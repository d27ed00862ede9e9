//! The head of a line: provenance before the row, read quickly when it is as landing writes it.

use model::{envelope::EnvelopeLine, record};

/// The headers that become columns, in the order of [`Head::headers`].
const NAMES: [&str; 6] = [
    record::SOURCE,
    record::FETCH_ID,
    record::PAGE,
    record::ROW,
    record::INTERVAL,
    record::TS_FETCHED,
];

/// What stands in front of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub offset: u64,
    pub key: &'a str,
    headers: [&'a str; NAMES.len()],
}

impl<'a> Head<'a> {
    pub(super) const fn source(&self) -> &'a str {
        self.headers[0]
    }

    pub(super) const fn fetch_id(&self) -> &'a str {
        self.headers[1]
    }

    pub(super) const fn page(&self) -> &'a str {
        self.headers[2]
    }

    pub(super) const fn row(&self) -> &'a str {
        self.headers[3]
    }

    pub(super) const fn interval(&self) -> &'a str {
        self.headers[4]
    }

    pub(super) const fn ts_fetched(&self) -> &'a str {
        self.headers[5]
    }

    /// Returns the head of a line that `serde_json` has parsed.
    pub(super) fn of(line: &'a EnvelopeLine<'_>) -> Self {
        let headers = &line.headers;
        Self {
            offset: line.offset,
            key: &line.key,
            headers: [
                &headers.source,
                &headers.fetch_id,
                &headers.page,
                &headers.row,
                &headers.interval,
                &headers.ts_fetched,
            ],
        }
    }

    /// Reads the head of a line in the one form that landing writes, and where the row begins.
    ///
    /// `None` says nothing about the line: whatever is unusual here is left to `serde_json`.
    pub(super) fn quick(line: &'a str) -> Option<(Self, usize)> {
        let rest = line.strip_prefix("{\"_offset\":")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        // 19 digits cannot overflow; a leading zero is no JSON number.
        if digits == 0 || 19 < digits || (1 < digits && rest.starts_with('0')) {
            return None;
        }
        let (offset, rest) = rest.split_at_checked(digits)?;
        let offset = offset.parse().ok()?;
        let (key, rest) = plain(rest.strip_prefix(",\"_key\":")?)?;
        let (ts, rest) = plain(rest.strip_prefix(",\"_ts\":")?)?;
        if !is_canonical_ts(ts.as_bytes()) {
            return None;
        }
        let mut rest = rest.strip_prefix(",\"_headers\":{")?;
        let mut headers = [""; NAMES.len()];
        let mut seen = [false; NAMES.len()];
        while !rest.starts_with('}') {
            let (name, after) = plain(rest)?;
            let (value, after) = plain(after.strip_prefix(':')?)?;
            if let Some(index) = NAMES.iter().position(|known| *known == name) {
                if seen[index] {
                    return None;
                }
                seen[index] = true;
                headers[index] = value;
            }
            rest = match after.strip_prefix(',') {
                // A comma promises another header.
                Some(next) if next.starts_with('"') => next,
                Some(_) => return None,
                None if after.starts_with('}') => after,
                None => return None,
            };
        }
        let row = rest.strip_prefix("},\"data\":")?;
        Some((Self { offset, key, headers }, line.len() - row.len()))
    }
}

/// Reads a string without escapes; returns its text and what follows.
fn plain(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let end = inner.bytes().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))?;
    let (value, rest) = inner.split_at_checked(end)?;
    Some((value, rest.strip_prefix('"')?))
}

/// Whether `ts` is a moment in the form landing writes, such as `2019-02-11T14:30:00.000000Z`.
fn is_canonical_ts(ts: &[u8]) -> bool {
    ts.len() == 27
        && ts.get(10) == Some(&b'T')
        && ts.get(19) == Some(&b'.')
        && ts.ends_with(b"Z")
        && super::value::timestamp(ts).is_some()
}
