//! Bytes of Avro's binary encoding, read within bounds.

/// Elements, and rows, that may take no byte at all: of a type that has one value only. A count is
/// a few bytes long, and would otherwise keep a reader busy for years.
const NOTHINGS_MAX: u32 = 1 << 20;

/// Bytes that one row may become: few bytes in the file can stand for many in a column.
const MADE_MAX: usize = 256 << 20;

/// Why bytes are no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("it ends in the midst of a value")]
    End,
    #[error("a number has too many digits")]
    Number,
    #[error("a count or a length is below zero")]
    Negative,
    #[error("a text is no UTF-8")]
    Text,
    #[error("a choice is none of its schema's")]
    Choice,
    #[error("a truth value is neither true nor false")]
    Truth,
    #[error("a decimal has more digits than its schema says")]
    Decimal,
    #[error("it has more values than bytes")]
    Nothings,
    #[error("a row would be larger than 256 MiB")]
    Large,
}

/// Bytes that are not yet read.
#[derive(Debug)]
pub(super) struct Input<'a> {
    left: &'a [u8],
    size: usize,
    nothings: u32,
    /// Bytes in front of the batch, and those made in it beside what was read.
    batch: usize,
    extra: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, size: bytes.len(), nothings: NOTHINGS_MAX, batch: 0, extra: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Bytes that were read.
    pub(super) fn used(&self) -> usize {
        self.size - self.left.len()
    }

    /// About how many bytes the rows of the batch have.
    pub(super) fn made(&self) -> usize {
        (self.used() - self.batch).saturating_add(self.extra)
    }

    pub(super) fn begin_batch(&mut self) {
        (self.batch, self.extra) = (self.used(), 0);
    }

    /// Notes values that were made of fewer bytes than they have.
    pub(super) fn make(&mut self, bytes: usize) -> Result<(), Problem> {
        self.extra = self.extra.saturating_add(bytes);
        if self.extra <= MADE_MAX { Ok(()) } else { Err(Problem::Large) }
    }

    /// Notes that a value began when `used` bytes were read: it may have none only so many times.
    pub(super) fn end_value(&mut self, used: usize) -> Result<(), Problem> {
        if used == self.used() {
            self.nothings = self.nothings.checked_sub(1).ok_or(Problem::Nothings)?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Problem::End)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        self.take(N)?.try_into().map_err(|_| Problem::End)
    }

    pub(super) fn long(&mut self) -> Result<i64, Problem> {
        let mut number: u64 = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let digits = u64::from(byte & 0x7f);
            // Of the tenth byte only the lowest bit is left.
            if shift == 63 && 1 < digits {
                return Err(Problem::Number);
            }
            number |= digits << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(Problem::Number)
    }

    pub(super) fn int(&mut self) -> Result<i32, Problem> {
        i32::try_from(self.long()?).map_err(|_| Problem::Number)
    }

    pub(super) fn bool(&mut self) -> Result<bool, Problem> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Problem::Truth),
        }
    }

    pub(super) fn float(&mut self) -> Result<f32, Problem> {
        self.array().map(f32::from_le_bytes)
    }

    pub(super) fn double(&mut self) -> Result<f64, Problem> {
        self.array().map(f64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Problem> {
        let length = usize::try_from(self.long()?).map_err(|_| Problem::Negative)?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Problem> {
        str::from_utf8(self.bytes()?).map_err(|_| Problem::Text)
    }

    /// Which of so many choices it is.
    pub(super) fn choice(&mut self, choices: usize) -> Result<usize, Problem> {
        let choice = usize::try_from(self.long()?).map_err(|_| Problem::Choice)?;
        if choice < choices { Ok(choice) } else { Err(Problem::Choice) }
    }

    /// How many elements follow until the next count; none: it is the end.
    pub(super) fn count(&mut self) -> Result<u64, Problem> {
        let count = self.long()?;
        if count < 0 {
            // How many bytes they have, for those who pass over them.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}
