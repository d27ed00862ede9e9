//! Ranges of a file that lies elsewhere, fetched in blocks of which a bounded number is kept.
//!
//! A Parquet file is read at as many places as it has columns, at each from front to back. So a
//! block is large enough to be worth a request, and all places together fit into what is kept.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, BufReader, Read},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use parquet::{
    errors::{ParquetError, Result},
    file::reader::{ChunkReader, Length},
};

use super::pages;
use crate::files::ports::ReadError;

/// Bytes kept of a file: worth the requests that they save, and small beside the rows.
const KEPT_BYTES: u64 = 48 << 20;

/// Least and most bytes of a block. Fewer are not worth a request, more save none that matter.
const BLOCK_BYTES: Range<u64> = 64 << 10..4 << 20;

/// Bytes fetched at the end of a file, where its footer is: most footers are smaller.
const FOOTER_BYTES: u64 = 256 << 10;

/// What every file ends with: how long its footer is, and a mark.
const FOOTER_END_BYTES: u64 = 8;

/// Headers of pages are read byte by byte, and are this long at most, usually.
const HEADER_BYTES: usize = 1 << 10;

/// Fetches a range of exactly one version of a file.
type Fetch = dyn Fn(Range<u64>) -> std::result::Result<Bytes, ReadError> + Send + Sync;

/// A file that is fetched by ranges. Clones are the same file.
#[derive(Clone)]
pub(in crate::files) struct Blocks(Arc<Shared>);

struct Shared {
    fetch: Box<Fetch>,
    bytes: u64,
    kept: Mutex<Kept>,
}

struct Kept {
    block_bytes: u64,
    /// Number and bytes of each block, the one used last behind.
    blocks: VecDeque<(u64, Bytes)>,
    failure: Option<ReadError>,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Blocks").field("bytes", &self.0.bytes).finish_non_exhaustive()
    }
}

impl Blocks {
    /// Reads a file of so many bytes by `fetch`, which may block.
    pub(in crate::files) fn new(bytes: u64, fetch: Box<Fetch>) -> Self {
        let kept = Kept { block_bytes: FOOTER_BYTES, blocks: VecDeque::new(), failure: None };
        Self(Arc::new(Shared { fetch, bytes, kept: Mutex::new(kept) }))
    }

    /// Returns why a range could not be fetched, if that is why reading failed.
    pub(in crate::files) fn take_failure(&self) -> Option<ReadError> {
        self.kept().failure.take()
    }

    /// Makes blocks as large as so many places to read at allow.
    pub(super) fn read_from_places(&self, places: usize) {
        let places = u64::try_from(places).unwrap_or(u64::MAX).saturating_add(1);
        let mut kept = self.kept();
        kept.block_bytes = (KEPT_BYTES / places).clamp(BLOCK_BYTES.start, BLOCK_BYTES.end);
        kept.blocks.clear();
    }

    /// Returns a range of the file.
    pub(super) fn range(&self, start: u64, length: u64) -> Result<Bytes> {
        let end = start.checked_add(length).filter(|end| *end <= self.0.bytes);
        let end = end.ok_or_else(|| {
            ParquetError::EOF(format!(
                "it has {} bytes, and {length} are asked for from byte {start} on",
                self.0.bytes
            ))
        })?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let mut kept = self.kept();
        let block_bytes = kept.block_bytes;
        // A range that begins and ends within blocks touches one more than it fills: if they are not
        // all kept, the first ones are gone before they are looked at.
        if KEPT_BYTES - 2 * block_bytes < length {
            return self.fetch(&mut kept, start..end);
        }
        let (first, last) = (start / block_bytes, (end - 1) / block_bytes);
        let mut found = BytesMut::new();
        for number in first..=last {
            let block = match kept.take(number) {
                Some(block) => block,
                None => {
                    let missing = (number..=last).take_while(|number| !kept.has(*number)).count();
                    self.fetch_blocks(&mut kept, number, missing as u64)?
                }
            };
            let from = start.max(number * block_bytes) - number * block_bytes;
            let to = end.min((number + 1) * block_bytes) - number * block_bytes;
            let part = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            let part =
                part.and_then(|(from, to)| (to <= block.len()).then(|| block.slice(from..to)));
            let part = part.ok_or_else(|| ParquetError::EOF("a range came short".to_owned()))?;
            kept.keep(number, block);
            if first == last {
                return Ok(part);
            }
            found.extend_from_slice(&part);
        }
        Ok(found.freeze())
    }

    /// Fetches so many blocks in one request, keeps them and returns the first.
    fn fetch_blocks(&self, kept: &mut Kept, first: u64, count: u64) -> Result<Bytes> {
        let block_bytes = kept.block_bytes;
        let end = ((first + count) * block_bytes).min(self.0.bytes);
        let mut all = self.fetch(kept, first * block_bytes..end)?;
        let size = usize::try_from(block_bytes).unwrap_or(usize::MAX);
        let mut number = first;
        let mut asked_for = Bytes::new();
        while !all.is_empty() {
            // A copy, since a slice would keep alive everything that came with it.
            let block = all.split_to(size.min(all.len()));
            let block = if count == 1 { block } else { Bytes::copy_from_slice(&block) };
            if number == first {
                asked_for = block;
            } else {
                kept.keep(number, block);
            }
            number += 1;
        }
        Ok(asked_for)
    }

    fn fetch(&self, kept: &mut Kept, range: Range<u64>) -> Result<Bytes> {
        match (self.0.fetch)(range) {
            Ok(bytes) => Ok(bytes),
            Err(failure) => {
                let said = failure.to_string();
                kept.failure = Some(failure);
                Err(ParquetError::General(said))
            }
        }
    }

    /// Nobody leaves it half changed, so it may be used even if somebody panicked.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn has(&self, number: u64) -> bool {
        self.blocks.iter().any(|(other, _)| *other == number)
    }

    fn take(&mut self, number: u64) -> Option<Bytes> {
        let at = self.blocks.iter().rposition(|(other, _)| *other == number)?;
        self.blocks.remove(at).map(|(_, block)| block)
    }

    fn keep(&mut self, number: u64, block: Bytes) {
        self.blocks.push_back((number, block));
        while KEPT_BYTES / self.block_bytes < self.blocks.len() as u64 {
            self.blocks.pop_front();
        }
    }
}

impl Length for Blocks {
    fn len(&self) -> u64 {
        self.0.bytes
    }
}

impl ChunkReader for Blocks {
    type T = BufReader<FromHere>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        // Headers of pages are read so, and the end of the footer.
        let is_page = start.checked_add(FOOTER_END_BYTES) != Some(self.0.bytes);
        let here = FromHere { file: self.clone(), at: start, is_page };
        Ok(BufReader::with_capacity(HEADER_BYTES, here))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.range(start, u64::try_from(length).unwrap_or(u64::MAX))
    }
}

/// A file from some place on.
#[derive(Debug)]
pub(in crate::files) struct FromHere {
    file: Blocks,
    at: u64,
    /// Whether a page begins here. Readers are also made where none does, and then not read.
    is_page: bool,
}

impl Read for FromHere {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.is_page) {
            pages::check(&self.file, self.at).map_err(io::Error::other)?;
        }
        let left = self.file.len().saturating_sub(self.at);
        // Nobody reads to the end, and the library skips whatever a damaged header says, without an end,
        // as long as nothing tells it that there is none left.
        if left == 0 && !into.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = left.min(u64::try_from(into.len()).unwrap_or(u64::MAX));
        let bytes = self.file.range(self.at, length).map_err(io::Error::other)?;
        into.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(&bytes);
        self.at += length;
        Ok(bytes.len())
    }
}
