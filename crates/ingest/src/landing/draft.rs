//! The object being gathered: lines in, one sealed object with its footer out.

use std::{fmt, io::Write, time::Duration};

use bytes::Bytes;
use model::{envelope::Envelope, landing::Footer};
use sha2::{Digest, Sha256};

use super::mark::Mark;
use crate::{hex::hex, topic::Record};

/// zstd's fastest ordinary level: landing must keep up with the vendor, the lake compresses again.
const ZSTD_LEVEL: i32 = 1;

type Encoder = zstd::stream::write::Encoder<'static, Vec<u8>>;

/// An object that is not sealed yet.
pub(super) struct Draft {
    first: u64,
    next: u64,
    count: u64,
    bytes: u64,
    last_record_crc: u32,
    ts_opened: Duration,
    line: Vec<u8>,
    hasher: Sha256,
    encoder: Encoder,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("first", &self.first)
            .field("next", &self.next)
            .field("count", &self.count)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A sealed object: what is stored, and the footer it ends with.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) payload: Bytes,
    pub(super) footer: Footer,
    /// Its last record; `None` in a gap.
    pub(super) mark: Option<Mark>,
}

impl Draft {
    /// Opens an object that begins at `first`, at the monotonic time `ts_opened`.
    pub(super) fn new(first: u64, ts_opened: Duration) -> std::io::Result<Self> {
        Ok(Self {
            first,
            next: first,
            count: 0,
            bytes: 0,
            last_record_crc: 0,
            ts_opened,
            line: Vec::new(),
            hasher: Sha256::new(),
            encoder: encoder()?,
        })
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The offset after the last record; skipped offsets before a record belong to the object.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn is_full(&self, bytes_max: u64, rows_max: u64) -> bool {
        bytes_max <= self.bytes || rows_max <= self.count
    }

    /// Returns how long after `now` the object is `age_max` old.
    pub(super) fn due_in(&self, age_max: Duration, now: Duration) -> Duration {
        age_max.saturating_sub(now.saturating_sub(self.ts_opened))
    }

    pub(super) fn push(&mut self, record: &Record) -> std::io::Result<()> {
        self.line.clear();
        Envelope {
            offset: record.offset,
            key: &record.key,
            ts: record.ts,
            headers: &record.headers,
            data: &record.value,
        }
        .write_line(&mut self.line);
        self.hasher.update(&self.line);
        self.encoder.write_all(&self.line)?;
        self.bytes = self.bytes.saturating_add(u64::try_from(self.line.len()).unwrap_or(u64::MAX));
        self.count += 1;
        self.next = record.offset.saturating_add(1);
        self.last_record_crc = crc32fast::hash(&record.value);
        Ok(())
    }

    pub(super) fn seal(self) -> std::io::Result<Sealed> {
        let footer = Footer {
            first: self.first,
            next: self.next,
            count: self.count,
            sha256: hex(&self.hasher.finalize()),
            last_record_crc: self.last_record_crc,
        };
        let mut line = self.line;
        line.pop();
        let mark = Mark::new(self.next.saturating_sub(1), self.last_record_crc, line);
        seal(self.encoder, footer, Some(mark))
    }
}

/// Seals an object without records that states: the offsets from `first` to `next` are gone.
pub(super) fn seal_gap(first: u64, next: u64) -> std::io::Result<Sealed> {
    let sha256 = hex(&Sha256::digest([]));
    let footer = Footer { first, next, count: 0, sha256, last_record_crc: 0 };
    seal(encoder()?, footer, None)
}

/// The footer's hash covers the lines; the frame's checksum covers the footer as well. Without it
/// a flipped bit on the way could change `next`, and offsets would be skipped in silence.
fn encoder() -> std::io::Result<Encoder> {
    let mut encoder = Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

fn seal(mut encoder: Encoder, footer: Footer, mark: Option<Mark>) -> std::io::Result<Sealed> {
    encoder.write_all(footer.to_line().as_bytes())?;
    Ok(Sealed { payload: Bytes::from(encoder.finish()?), footer, mark })
}
