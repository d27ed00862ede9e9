//! Lines of a file as its bytes come, with their numbers and offsets.

use memchr::{memchr2, memmem};

/// Longest record that is read: 64 MiB. A longer one is bad; without a limit a file without line
/// ends would have to fit into memory.
pub(super) const RECORD_BYTES_MAX: usize = 64 << 20;

/// A line without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// The bytes; of an overlong line only the first.
    pub bytes: &'a [u8],
    /// From 1.
    pub number: u64,
    /// Bytes from the file's beginning.
    pub offset: u64,
    /// Whether it is longer than [`RECORD_BYTES_MAX`].
    pub is_overlong: bool,
}

/// Splits bytes into lines.
#[derive(Debug)]
pub(super) struct Lines {
    /// What ends a line; `None`: `\n`, `\r\n` or `\r`.
    separator: Option<Vec<u8>>,
    /// The beginning of a line whose end has not come.
    carry: Vec<u8>,
    /// Of the line that is next, as is its offset.
    number: u64,
    offset: u64,
    /// Bytes of an overlong line that were let go.
    skipped: u64,
    /// Whether the last line ended with `\r`, so that a `\n` belongs to it.
    is_after_return: bool,
}

impl Lines {
    pub(super) fn new(separator: Option<&str>) -> Self {
        let separator = separator.filter(|text| !text.is_empty());
        Self {
            separator: separator.map(|text| text.as_bytes().to_vec()),
            carry: Vec::new(),
            number: 1,
            offset: 0,
            skipped: 0,
            is_after_return: false,
        }
    }

    /// Hands on each line that ends in `bytes`.
    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Line<'_>)) {
        if self.is_after_return && !bytes.is_empty() {
            self.is_after_return = false;
            if let [b'\n', rest @ ..] = bytes {
                self.offset += 1;
                bytes = rest;
            }
        }
        if !self.carry.is_empty() {
            let Some(rest) = self.end_carried(bytes, each) else { return };
            bytes = rest;
        }
        while let Some((end, next)) = self.end(bytes) {
            self.hand_on(&bytes[..end], next as u64, each);
            bytes = &bytes[next..];
        }
        self.carry(bytes);
    }

    /// Hands on the last line, if it has no end.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        if !self.carry.is_empty() {
            let line = std::mem::take(&mut self.carry);
            self.hand_on(&line, line.len() as u64, each);
        }
    }

    /// Ends the carried line if it ends in `bytes`; returns the rest of them.
    fn end_carried<'a>(
        &mut self,
        bytes: &'a [u8],
        each: &mut dyn FnMut(Line<'_>),
    ) -> Option<&'a [u8]> {
        // A separator of several bytes may have begun in the carry.
        let overlap = self.separator.as_ref().map_or(0, |separator| separator.len() - 1);
        let carried = self.carry.len();
        let from = carried.saturating_sub(overlap);
        let found = if overlap == 0 {
            self.end(bytes).map(|(end, next)| (carried + end, next))
        } else {
            // Only as much as a separator can reach into: the rest is searched in place.
            let reach = bytes.len().min(overlap);
            let joint = [&self.carry[from..], &bytes[..reach]].concat();
            let in_joint = self.end(&joint).map(|(end, next)| (from + end, from + next - carried));
            in_joint.or_else(|| self.end(bytes).map(|(end, next)| (carried + end, next)))
        };
        let Some((end, next)) = found else {
            self.carry(bytes);
            return None;
        };
        let mut line = std::mem::take(&mut self.carry);
        match end.checked_sub(carried) {
            Some(more) => line.extend_from_slice(&bytes[..more.min(self.room(carried))]),
            None => line.truncate(end),
        }
        let past = (carried + next) as u64;
        self.hand_on(&line, past, each);
        line.clear();
        self.carry = line;
        Some(&bytes[next..])
    }

    /// Returns where the first line of `bytes` ends, and where the next one begins.
    fn end(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        if let Some(separator) = &self.separator {
            return memmem::find(bytes, separator).map(|end| (end, end + separator.len()));
        }
        let end = memchr2(b'\n', b'\r', bytes)?;
        if bytes[end] == b'\n' {
            return Some((end, end + 1));
        }
        self.is_after_return = end + 1 == bytes.len();
        let pair = bytes.get(end + 1) == Some(&b'\n');
        Some((end, end + if pair { 2 } else { 1 }))
    }

    fn hand_on(&mut self, bytes: &[u8], length: u64, each: &mut dyn FnMut(Line<'_>)) {
        let is_overlong = self.skipped != 0 || RECORD_BYTES_MAX < bytes.len();
        each(Line { bytes, number: self.number, offset: self.offset, is_overlong });
        self.number += 1;
        self.offset += length + self.skipped;
        self.skipped = 0;
    }

    /// Keeps bytes of a line whose end has not come, as far as there is room.
    fn carry(&mut self, bytes: &[u8]) {
        let room = self.room(self.carry.len()).min(bytes.len());
        self.carry.extend_from_slice(&bytes[..room]);
        self.skipped += (bytes.len() - room) as u64;
    }

    /// Returns how much more a carry of `length` bytes may take: a byte too much tells an overlong
    /// line.
    const fn room(&self, length: usize) -> usize {
        (RECORD_BYTES_MAX + 1).saturating_sub(length)
    }
}
