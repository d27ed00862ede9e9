//! A landed record by which a topic is recognised: the same offset must hold the same record.

use chrono::{DateTime, Utc};
use model::envelope::{Envelope, EnvelopeLine};

use super::{
    Context,
    chain::{Link, is_gap},
};
use crate::{
    error::Error,
    topic::{Fetched, Record},
};

/// A landed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: u64,
    crc: u32,
    /// Its line in the landing zone, without the newline.
    line: Vec<u8>,
}

/// What the topic has in a mark's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The record that landed.
    Same,
    /// Another one: offsets were used again.
    Other,
    /// Nothing, the topic ends before.
    BehindEnd,
    /// Nothing that could be compared: retention or compaction took it.
    Gone,
}

impl Mark {
    pub(super) const fn new(offset: u64, crc: u32, line: Vec<u8>) -> Self {
        Self { offset, crc, line }
    }

    /// Returns the last record of a link; `None` for a gap.
    pub(super) fn of(link: &Link) -> Option<Self> {
        if is_gap(&link.footer) {
            return None;
        }
        let last = link.lines.strip_suffix(b"\n").unwrap_or(&link.lines);
        let line = last.rsplit(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        Some(Self::new(link.footer.next - 1, link.footer.last_record_crc, line))
    }

    /// Returns when the vendor sent the record, or else when the topic took it; `None` when the
    /// record is not one of ours.
    pub(super) fn ts(&self) -> Option<DateTime<Utc>> {
        let line = EnvelopeLine::parse(&self.line).ok()?;
        Some(line.headers.ts_fetched.parse().unwrap_or(line.ts))
    }

    /// Looks what the topic has in this place.
    pub(super) async fn look(&self, context: &Context, partition: u32) -> Result<Seen, Error> {
        let topic = &context.config.topic;
        Ok(match context.reader.read(topic, partition, self.offset, 1).await? {
            Fetched::Records(records) => match records.first() {
                Some(record) if record.offset != self.offset => Seen::Gone,
                Some(record) if self.is(record) => Seen::Same,
                Some(_) => Seen::Other,
                None => Seen::BehindEnd,
            },
            Fetched::OutOfRange { first_offset, .. } if self.offset < first_offset => Seen::Gone,
            Fetched::OutOfRange { .. } => Seen::BehindEnd,
        })
    }

    /// Returns whether `record` is the one that landed.
    ///
    /// The row alone would not do: a topic that was made anew and filled with the same windows has
    /// equal rows at equal offsets, and others before them. What was written around the row tells
    /// them apart; both are read from their lines, so that how lines are written may change.
    fn is(&self, record: &Record) -> bool {
        if crc32fast::hash(&record.value) != self.crc {
            return false;
        }
        let mut line = Vec::new();
        Envelope {
            offset: record.offset,
            key: &record.key,
            ts: record.ts,
            headers: &record.headers,
            data: &record.value,
        }
        .write_line(&mut line);
        line.pop();
        match (EnvelopeLine::parse(&line), EnvelopeLine::parse(&self.line)) {
            (Ok(found), Ok(landed)) => {
                (found.key, found.ts, found.headers) == (landed.key, landed.ts, landed.headers)
            }
            // Not JSON, so none of ours.
            _ => line == self.line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &'static str) -> Record {
        Record {
            offset: 4,
            key: "AAPL".to_owned(),
            ts: "2026-11-23T10:00:00.000001Z".parse().expect("a time"),
            headers: vec![
                ("fetch_id".to_owned(), "7".to_owned()),
                ("ts_fetched".to_owned(), "2026-11-23T09:59:59Z".to_owned()),
            ],
            value: value.into(),
        }
    }

    fn mark(record: &Record) -> Mark {
        let mut line = Vec::new();
        let (offset, ts) = (record.offset, record.ts);
        let (key, headers, data) = (&record.key, &record.headers, &record.value);
        Envelope { offset, key, ts, headers, data }.write_line(&mut line);
        line.pop();
        Mark::new(record.offset, crc32fast::hash(&record.value), line)
    }

    #[test]
    fn a_record_is_itself_and_no_other_with_the_same_row() {
        for value in ["{\"close\":1.5}", "{\"close\":\n1.5}", "no json", ""] {
            let landed = record(value);
            let mark = mark(&landed);
            assert!(mark.is(&landed), "{value:?}");
            assert!(!mark.is(&record("{\"close\":1.6}")), "another row");
            assert!(!mark.is(&Record { key: "MSFT".to_owned(), ..landed.clone() }), "another key");
            let fetched_again = vec![("fetch_id".to_owned(), "8".to_owned())];
            assert!(!mark.is(&Record { headers: fetched_again, ..landed.clone() }), "{value:?}");
            let later = landed.ts + chrono::TimeDelta::milliseconds(1);
            assert!(!mark.is(&Record { ts: later, ..landed }), "another time");
        }
    }

    #[test]
    fn a_record_says_when_it_was_fetched() {
        let landed = record("{}");
        assert_eq!(mark(&landed).ts(), Some("2026-11-23T09:59:59Z".parse().expect("a time")));
        let foreign = Record { headers: Vec::new(), ..landed.clone() };
        assert_eq!(mark(&foreign).ts(), Some(landed.ts));
        assert_eq!(mark(&record("no json")).ts(), None);
    }
}
