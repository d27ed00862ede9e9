//! The text of a file that is not read yet, for records that lines do not end.

use memchr::memchr_iter;

use super::lines::RECORD_BYTES_MAX;

/// Bytes taken at a time, so that what waits to be read stays near a record's size.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// Text that is there, and where in the file it is.
#[derive(Debug)]
pub(super) struct Ahead {
    pub text: String,
    /// Bytes of a character whose end has not come.
    half: Vec<u8>,
    /// Bytes of the file in front of the text.
    base: u64,
    /// The line at `counted`.
    line: u64,
    counted: usize,
    /// How much was not enough for the next record; twice as much is waited for, so that a long one
    /// is not read again with every piece.
    waited: usize,
}

/// What becomes of bytes that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// The replacement character.
    Replaced,
    /// The end of the file.
    Refused,
}

/// The bytes behind the text are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Default for Ahead {
    fn default() -> Self {
        Self { text: String::new(), half: Vec::new(), base: 0, line: 1, counted: 0, waited: 0 }
    }
}

impl Ahead {
    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8], invalid: Invalid) -> Result<(), NotUtf8> {
        let joined;
        let mut bytes = bytes;
        if !self.half.is_empty() {
            joined = [std::mem::take(&mut self.half).as_slice(), bytes].concat();
            bytes = &joined;
        }
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text.push_str(chunk.valid());
            let broken = chunk.invalid();
            let may_go_on = chunks.peek().is_none()
                && std::str::from_utf8(broken).is_err_and(|error| error.error_len().is_none());
            if may_go_on {
                self.half = broken.to_vec();
            } else if !broken.is_empty() {
                self.invalid(invalid)?;
            }
        }
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(&mut self, invalid: Invalid) -> Result<(), NotUtf8> {
        if std::mem::take(&mut self.half).is_empty() { Ok(()) } else { self.invalid(invalid) }
    }

    fn invalid(&mut self, invalid: Invalid) -> Result<(), NotUtf8> {
        if invalid == Invalid::Refused {
            return Err(NotUtf8);
        }
        self.text.push(char::REPLACEMENT_CHARACTER);
        Ok(())
    }

    /// Whether there is enough that reading may get further than it did.
    pub(super) const fn is_enough(&self) -> bool {
        self.waited.saturating_mul(2) <= self.text.len()
    }

    /// Whether what waits is longer than a record may be.
    pub(super) const fn is_overlong(&self) -> bool {
        RECORD_BYTES_MAX < self.text.len()
    }

    /// Lets go of the text in front of `at`; the rest was not enough.
    pub(super) fn let_go(&mut self, at: usize) {
        self.line_at(at);
        // Counting may have gone ahead, to the value that is waited for.
        self.counted -= at;
        self.text.drain(..at);
        self.base += at as u64;
        self.waited = self.text.len();
    }

    /// Returns the line of a place in the text. Cheap from front to back.
    pub(super) fn line_at(&mut self, at: usize) -> u64 {
        self.line = self.peek_line(at);
        self.counted = at.max(self.counted);
        self.line
    }

    /// Returns the line of a place, which is behind those asked for before.
    pub(super) fn peek_line(&self, at: usize) -> u64 {
        let between = self.text.as_bytes().get(self.counted..at).unwrap_or_default();
        self.line + memchr_iter(b'\n', between).count() as u64
    }

    /// Returns where in the file a place of the text is.
    pub(super) const fn offset(&self, at: usize) -> u64 {
        self.base + at as u64
    }
}
