//! Decimal digits, eight at a time: a number is read where it stands, while its end is looked for.

use model::decimal::{DecimalType, Unscaled};

/// A word whose bytes are 1, and one whose bytes have their high bit alone.
pub(super) const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Digits that 64 bits hold whatever they are, and that `i64` does with a sign.
const DIGITS_MAX: usize = 18;

/// The powers of ten that 64 bits hold: working one out costs as much as reading a number.
const TENS: [u64; 20] = {
    let mut tens = [1; 20];
    let mut power = 1;
    while power < tens.len() {
        tens[power] = tens[power - 1] * 10;
        power += 1;
    }
    tens
};

/// Returns the eight bytes at `at`.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// A run of digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    /// What they say; right only while there are at most [`DIGITS_MAX`].
    pub(super) value: u64,
    /// The place behind the last.
    pub(super) end: usize,
}

impl Digits {
    /// Reads the digits at `at` on; there may be none.
    #[inline]
    pub(super) fn at(bytes: &[u8], at: usize) -> Self {
        Self { value: 0, end: at }.go_on(bytes, at)
    }

    /// Reads on at `at`, behind a point: what was read counts more by as many digits.
    #[inline]
    pub(super) fn go_on(self, bytes: &[u8], at: usize) -> Self {
        let (mut value, mut end) = (self.value, at);
        while let Some(word) = word(bytes, end) {
            // A digit is at most 9 without its upper half, and what is more sets the high bit.
            // Carries set wrong bits only above a right one, and only the lowest counts.
            let digits = word ^ (ONES * u64::from(b'0'));
            let found = (digits.wrapping_add(ONES * (0x80 - 10)) | digits) & HIGHS;
            if found == 0 {
                value = value.wrapping_mul(TENS[8]).wrapping_add(eight(digits));
                end += 8;
                continue;
            }
            // At most 7: one of eight bytes.
            let count = (found.trailing_zeros() / 8) as usize;
            if count != 0 {
                // The digits go to the word's end, and zeros in front of them.
                let digits = eight(digits << (64 - 8 * count));
                value = value.wrapping_mul(TENS[count]).wrapping_add(digits);
            }
            return Self { value, end: end + count };
        }
        while let Some(byte @ b'0'..=b'9') = bytes.get(end) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            end += 1;
        }
        Self { value, end }
    }
}

/// Returns the number of eight digits, the first in the lowest byte: pairs, fours and then all of
/// them become one number, each in twice the bits.
#[inline]
const fn eight(digits: u64) -> u64 {
    // The highest digit alone has nothing above it: no product runs over.
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// A number of few digits and without an exponent: `unscaled` / 10^`fraction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    unscaled: i64,
    fraction: u8,
}

/// Bytes of a text that are looked at together.
const LANES: usize = size_of::<u128>();

/// Returns a number whose bytes are all this one.
const fn lanes(byte: u8) -> u128 {
    u128::from_le_bytes([byte; LANES])
}

/// Returns the place of the first byte that is marked; [`LANES`] where none is.
#[inline]
const fn first(marks: u128) -> usize {
    // At most 16: one of sixteen bytes, or none.
    (marks.trailing_zeros() / 8) as usize
}

impl Short {
    /// Reads the JSON number that begins at `start`, and where it ends, in one go: the byte behind it
    /// is nearly always one of the next sixteen. `None`: it is longer, has an exponent, or is no number.
    #[inline]
    pub(super) fn at(bytes: &[u8], start: usize) -> Option<(Self, usize)> {
        let is_negative = bytes.get(start) == Some(&b'-');
        let begin = start + usize::from(is_negative);
        let text: &[u8; LANES] = bytes.get(begin..)?.first_chunk()?;
        let digits = u128::from_le_bytes(*text) ^ lanes(b'0');
        // A digit is at most 9 without its upper half, and what is more sets the high bit. No byte
        // carries over into the next one: of the marks the second counts as well.
        let others = (((digits & lanes(0x7f)) + lanes(0x80 - 10)) | digits) & lanes(0x80);
        let (whole, next) = (first(others), first(others & others.wrapping_sub(1)));
        let (digits, fraction, end) = if text.get(whole) == Some(&b'.') {
            // What is behind the point moves up to what is in front of it.
            let before = (1 << (8 * whole)) - 1;
            ((digits & before) | ((digits >> 8) & !before), next - whole - 1, next)
        } else {
            (digits, 0, whole)
        };
        let is_number = match text.get(end) {
            None | Some(b'e' | b'E') => false,
            Some(_) => {
                // A point has digits on both sides, and no zero leads others.
                let is_ended = end == whole || fraction != 0;
                is_ended && whole != 0 && (whole == 1 || text[0] != b'0')
            }
        };
        if !is_number {
            return None;
        }
        // The digits go to the end, and zeros in front of them.
        let digits = (digits << (8 * (LANES - whole - fraction))).to_le_bytes();
        let value = eight(word(&digits, 0)?) * TENS[8] + eight(word(&digits, 8)?);
        let end = begin + end;
        Some((Self::of(is_negative, Digits { value, end }, whole, fraction)?, end))
    }

    /// Returns the number that these digits are, so many of them in front of the point and behind
    /// it; `None` when they are too many.
    #[inline]
    pub(super) fn of(
        is_negative: bool,
        digits: Digits,
        whole: usize,
        fraction: usize,
    ) -> Option<Self> {
        if DIGITS_MAX < whole + fraction {
            return None;
        }
        let unscaled = i64::try_from(digits.value).ok()?;
        let unscaled = if is_negative { -unscaled } else { unscaled };
        Some(Self { unscaled, fraction: u8::try_from(fraction).ok()? })
    }

    /// Reads a text that is a plain decimal as a whole, leading zeros allowed.
    #[inline]
    pub(super) fn of_text(text: &[u8]) -> Option<Self> {
        let sign = usize::from(text.first() == Some(&b'-'));
        let mut digits = Digits::at(text, sign);
        let whole = digits.end - sign;
        let mut fraction = 0;
        if text.get(digits.end) == Some(&b'.') {
            let begin = digits.end + 1;
            digits = digits.go_on(text, begin);
            fraction = digits.end - begin;
            if fraction == 0 {
                return None;
            }
        }
        if whole == 0 || digits.end != text.len() {
            return None;
        }
        Self::of(sign == 1, digits, whole, fraction)
    }

    /// Returns the value of a decimal column; `None` when 64 bits do not suffice to tell.
    #[inline]
    pub(crate) fn decimal(self, kind: DecimalType) -> Option<Unscaled> {
        let missing = kind.scale.unsigned_abs().checked_sub(self.fraction)?;
        let factor = *TENS.get(usize::from(missing))?;
        let value = self.unscaled.unsigned_abs().checked_mul(factor)?;
        let limit = TENS.get(usize::from(kind.precision)).copied().unwrap_or(u64::MAX);
        if limit <= value {
            return None;
        }
        let value = Unscaled::from(value);
        Some(if self.unscaled < 0 { -value } else { value })
    }

    /// Returns the value where it is written as a whole number.
    #[inline]
    pub(crate) const fn whole(self) -> Option<i64> {
        if self.fraction == 0 { Some(self.unscaled) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_are_read_wherever_they_stand(
            before in "[^0-9]{0,9}", digits in "[0-9]{0,18}", after in "([^0-9][0-9a-z.]{0,12})?",
        ) {
            let text = format!("{before}{digits}{after}");
            let read = Digits::at(text.as_bytes(), before.len());
            prop_assert_eq!(read.end, before.len() + digits.len());
            prop_assert_eq!(read.value, digits.parse().unwrap_or(0), "input {:?}", text);
        }

        #[test]
        fn a_number_is_read_in_one_go_as_piece_by_piece(
            number in "-?[0-9]{0,9}[.]?[0-9]{0,9}([eE][0-9])?",
            behind in "[,} \"a-df-z/:ü]",
            rest in "[0-9.eE,]{0,24}",
        ) {
            let text = format!("[{number}{behind}{rest}");
            let is_json = serde_json::from_str::<f64>(&number).is_ok();
            let unsigned = number.trim_start_matches('-').len();
            let is_within = unsigned < LANES && number.len() - unsigned + LANES < text.len();
            let expected = Short::of_text(number.as_bytes()).filter(|_| is_json && is_within);
            let read = Short::at(text.as_bytes(), 1);
            prop_assert_eq!(read, expected.map(|short| (short, 1 + number.len())), "input {:?}", text);
        }

        #[test]
        fn a_point_only_moves_the_value(whole in "[0-9]{1,9}", fraction in "[0-9]{0,9}", sign in "-?") {
            let point = if fraction.is_empty() { "" } else { "." };
            let read = Short::of_text(format!("{sign}{whole}{point}{fraction}").as_bytes());
            let unscaled = format!("{sign}{whole}{fraction}").parse().unwrap();
            let fraction = u8::try_from(fraction.len()).unwrap();
            prop_assert_eq!(read, Some(Short { unscaled, fraction }));
        }
    }
}
