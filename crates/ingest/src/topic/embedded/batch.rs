//! How a batch of records is laid out in one row of the database.
//!
//! Numbers are little-endian `u32`; text and values are a length and their bytes:
//! `count, then per record: key, headers, (name, value) per header, value`. All of it is one zstd
//! frame. The checksum covers the frame and the batch's place, so that a frame in the wrong row is
//! noticed as well as a damaged one.

use std::borrow::Borrow;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::topic::{NewRecord, Record};

/// zstd's fastest ordinary level: rows of one page compress about tenfold even so.
const ZSTD_LEVEL: i32 = 1;

/// Content of one batch, 1 MiB: what a reader that wants one record has to unpack, and about twice
/// a full page of the vendor (1000 rows of 500 bytes).
pub(super) const CONTENT_BYTES_MAX: u64 = 1024 * 1024;

/// A record's content, 16 MiB: sixteen times what a Kafka broker takes by default.
pub(crate) const RECORD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a batch may unpack to: the largest record and the count. Anything beyond is damage, not to
/// be allocated.
const UNPACKED_BYTES_MAX: u64 = RECORD_BYTES_MAX + 4;

/// A batch ready to be stored; only its place is still open.
#[derive(Debug)]
pub(super) struct PackedBatch {
    pub(super) frame: Vec<u8>,
    pub(super) count: u32,
    frame_crc: u32,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u32,
    pub(super) first_offset: u64,
    pub(super) count: u32,
}

impl Place<'_> {
    fn checksum(&self, frame_crc: u32) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(frame_crc);
        hasher.update(self.topic.as_bytes());
        hasher.update(&self.partition.to_le_bytes());
        hasher.update(&self.first_offset.to_le_bytes());
        hasher.update(&self.count.to_le_bytes());
        hasher.finalize()
    }
}

impl PackedBatch {
    pub(super) fn checksum(&self, place: &Place<'_>) -> u32 {
        place.checksum(self.frame_crc)
    }
}

/// Splits records into batches within the limits and packs each.
pub(super) fn pack<R: Borrow<NewRecord>>(records: &[R]) -> std::io::Result<Vec<PackedBatch>> {
    let mut batches = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(records_that_fit(rest));
        batches.push(pack_one(now)?);
        rest = later;
    }
    Ok(batches)
}

/// Returns how many of the leading records make one batch; at least one.
fn records_that_fit<R: Borrow<NewRecord>>(records: &[R]) -> usize {
    let mut content: u64 = 0;
    let fitting = records
        .iter()
        .map(Borrow::<NewRecord>::borrow)
        .take_while(|record| {
            content = content.saturating_add(record.content_bytes());
            content <= CONTENT_BYTES_MAX
        })
        .count();
    fitting.max(1).min(records.len())
}

fn pack_one<R: Borrow<NewRecord>>(records: &[R]) -> std::io::Result<PackedBatch> {
    let mut out = Vec::new();
    put_length(&mut out, records.len());
    for record in records.iter().map(Borrow::borrow) {
        put_bytes(&mut out, record.key.as_bytes());
        put_length(&mut out, record.headers.len());
        for (name, value) in &record.headers {
            put_bytes(&mut out, name.as_bytes());
            put_bytes(&mut out, value.as_bytes());
        }
        put_bytes(&mut out, &record.value);
    }
    let frame = zstd::bulk::compress(&out, ZSTD_LEVEL)?;
    let frame_crc = crc32fast::hash(&frame);
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    Ok(PackedBatch { frame, count, frame_crc })
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // No record is longer than RECORD_BYTES_MAX, far below 2^32.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Unpacks a stored batch, or says what is wrong with it.
pub(super) fn unpack(
    place: &Place<'_>,
    checksum: u32,
    ts: DateTime<Utc>,
    frame: &[u8],
) -> Result<Vec<Record>, &'static str> {
    if place.checksum(crc32fast::hash(frame)) != checksum {
        return Err("its checksum does not match");
    }
    let unpacked = zstd::bulk::decompress(frame, unpacked_bytes(frame)?)
        .map_err(|_| "it cannot be decompressed")?;
    let mut cursor = Cursor { all: Bytes::from(unpacked), at: 0 };
    if cursor.length()? != place.count as usize {
        return Err("its count differs");
    }
    let mut records = Vec::with_capacity(place.count as usize);
    for index in 0..u64::from(place.count) {
        let offset = place.first_offset.checked_add(index).ok_or("its offsets overflow")?;
        let key = cursor.text()?;
        let header_count = cursor.length()?;
        let mut headers = Vec::with_capacity(header_count.min(16));
        for _ in 0..header_count {
            headers.push((cursor.text()?, cursor.text()?));
        }
        records.push(Record { offset, key, ts, headers, value: cursor.bytes()? });
    }
    if cursor.at == cursor.all.len() { Ok(records) } else { Err("it is longer than its records") }
}

/// Returns the size the frame says it unpacks to, if believable.
fn unpacked_bytes(frame: &[u8]) -> Result<usize, &'static str> {
    zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten()
        .filter(|size| *size <= UNPACKED_BYTES_MAX)
        .and_then(|size| usize::try_from(size).ok())
        .ok_or("its unpacked size is not plausible")
}

struct Cursor {
    all: Bytes,
    at: usize,
}

impl Cursor {
    fn length(&mut self) -> Result<usize, &'static str> {
        let end = self.at.checked_add(4).ok_or("it ends early")?;
        let bytes = self.all.get(self.at..end).ok_or("it ends early")?;
        self.at = end;
        let bytes = <[u8; 4]>::try_from(bytes).map_err(|_| "it ends early")?;
        usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| "a length is not plausible")
    }

    fn bytes(&mut self) -> Result<Bytes, &'static str> {
        let length = self.length()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.all.len());
        let end = end.ok_or("it ends early")?;
        let bytes = self.all.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, &'static str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| "a text is not UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &[u8]) -> NewRecord {
        NewRecord {
            key: key.to_owned(),
            value: Bytes::copy_from_slice(value),
            headers: vec![("page".to_owned(), "0".to_owned()), (String::new(), String::new())],
        }
    }

    fn place(count: u32) -> Place<'static> {
        Place { topic: "intraday", partition: 3, first_offset: 100, count }
    }

    #[test]
    fn unpacking_undoes_packing() {
        let records = [record("AAPL", b"{}"), record("", b""), record("\u{e9}", &[0, 255, 10])];
        let batches = pack(&records).expect("packs");
        assert_eq!(batches.len(), 1);
        let place = place(3);
        let read =
            unpack(&place, batches[0].checksum(&place), DateTime::UNIX_EPOCH, &batches[0].frame)
                .expect("unpacks");
        for (index, (read, written)) in read.iter().zip(&records).enumerate() {
            assert_eq!(read.offset, 100 + index as u64);
            assert_eq!(
                (&read.key, &read.headers, &read.value),
                (&written.key, &written.headers, &written.value)
            );
        }
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn every_flipped_bit_and_every_wrong_place_is_noticed() {
        let batches = pack(&[record("AAPL", b"{\"close\":1}")]).expect("packs");
        let (place, batch) = (place(1), &batches[0]);
        let checksum = batch.checksum(&place);
        for at in 0..batch.frame.len() {
            let mut frame = batch.frame.clone();
            frame[at] ^= 4;
            assert!(unpack(&place, checksum, DateTime::UNIX_EPOCH, &frame).is_err(), "byte {at}");
        }
        for wrong in [
            Place { topic: "eod", ..place },
            Place { partition: 2, ..place },
            Place { first_offset: 101, ..place },
            Place { count: 2, ..place },
        ] {
            assert!(
                unpack(&wrong, checksum, DateTime::UNIX_EPOCH, &batch.frame).is_err(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_frame_that_lies_about_its_records_is_refused_without_panic() {
        // A count and a length with nothing behind them, under a correct checksum.
        for content in [&[][..], &[1, 0, 0, 0], &[1, 0, 0, 0, 255, 255, 255, 255], &[0; 9]] {
            let frame = zstd::bulk::compress(content, 1).expect("compresses");
            let place = place(1);
            let checksum = place.checksum(crc32fast::hash(&frame));
            assert!(
                unpack(&place, checksum, DateTime::UNIX_EPOCH, &frame).is_err(),
                "content {content:?}"
            );
        }
    }

    #[test]
    fn large_appends_are_split_and_nothing_is_left_out() {
        let large = vec![7; 700 * 1024];
        let records = vec![record("a", &large), record("b", &large), record("c", b"x")];
        let batches = pack(&records).expect("packs");
        assert_eq!(batches.iter().map(|batch| batch.count).collect::<Vec<_>>(), [1, 2]);
        let over = vec![0; 3 * 1024 * 1024];
        assert_eq!(pack(&[record("a", &over)]).expect("packs").len(), 1, "alone in its batch");
    }
}
