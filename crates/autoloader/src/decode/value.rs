//! One JSON value's text becomes one column's value, exactly or not at all.

use chrono::{DateTime, NaiveDate, Utc};
use model::decimal::{DecimalType, Unscaled};

use super::number::Short;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Writes the text that `inner`, a JSON string without its quotes, stands for into `out`.
///
/// False when it stands for none: half of a surrogate pair is valid JSON but no text. `inner` must
/// have been scanned.
pub(crate) fn unescape(inner: &str, out: &mut String) -> bool {
    out.clear();
    let mut rest = inner;
    while let Some(slash) = rest.find('\\') {
        out.push_str(&rest[..slash]);
        let Some(escape) = rest.as_bytes().get(slash + 1) else {
            return false;
        };
        let mut used = 2;
        let character = match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => match unicode(&rest[slash..]) {
                Some((character, length)) => {
                    used = length;
                    character
                }
                None => return false,
            },
            other => char::from(*other),
        };
        out.push(character);
        rest = &rest[slash + used..];
    }
    out.push_str(rest);
    true
}

/// Reads one or two `\uXXXX` at the start of `text`; returns the character and the bytes it took.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(0)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).map(|character| (character, 6));
    }
    let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second))?;
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map(|character| (character, 12))
}

/// Parses plain decimal text, as [`DecimalType::parse_bytes`] does but faster where it is short.
pub(crate) fn decimal(text: &[u8], kind: DecimalType) -> Option<Unscaled> {
    let short = Short::of_text(text).and_then(|short| short.decimal(kind));
    short.or_else(|| kind.parse_bytes(text).ok())
}

/// Parses decimal text that may have an exponent, as in `1.5e-3`: exactly, or not at all.
pub(crate) fn scientific(text: &str, kind: DecimalType) -> Option<Unscaled> {
    /// Digits of the longest decimal, and as many behind the point; beyond it no digit would fit.
    const SHIFT_MAX: i64 = 80;
    if let Some(value) = decimal(text.as_bytes(), kind) {
        return Some(value);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: i64 = exponent.parse().ok()?;
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, fraction].concat();
    if whole.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if all.bytes().all(|byte| byte == b'0') {
        return Some(0);
    }
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    if !(-SHIFT_MAX..=SHIFT_MAX).contains(&point) {
        return None;
    }
    let plain = match usize::try_from(point) {
        Ok(0) | Err(_) => {
            let zeros = usize::try_from(-point).unwrap_or_default();
            format!("{sign}0.{:0<zeros$}{all}", "")
        }
        Ok(point) if all.len() <= point => format!("{sign}{all:0<point$}"),
        Ok(point) => format!("{sign}{}.{}", all.get(..point)?, all.get(point..)?),
    };
    decimal(plain.as_bytes(), kind)
}

/// Parses a whole number; `7.0` is one, `7e0` is not.
pub(crate) fn int64(text: &[u8]) -> Option<i64> {
    const WHOLE: DecimalType = DecimalType { precision: 19, scale: 0 };
    decimal(text, WHOLE).and_then(|value| i64::try_from(value).ok())
}

/// Parses a moment, in the forms that [`crate::schema::ColumnKind`] lists; microseconds UTC.
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let midnight = i64::from(date_part(day)?) * MICROS_PER_DAY;
    let [separator, rest @ ..] = rest else {
        return Some(midnight);
    };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (clock, rest) = rest.split_at_checked(8)?;
    let [hour_tens, hour_ones, b':', minute_tens, minute_ones, b':', second_tens, second_ones] =
        clock
    else {
        return None;
    };
    let hour = two_digits([*hour_tens, *hour_ones], 23)?;
    let minute = two_digits([*minute_tens, *minute_ones], 59)?;
    let second = two_digits([*second_tens, *second_ones], 59)?;
    let (fraction, rest) = fraction_micros(rest)?;
    let seconds = (hour * 60 + minute) * 60 + second - zone_seconds(rest)?;
    Some(midnight + seconds * MICROS_PER_SECOND + fraction)
}

/// Parses a day: a date, or a moment at midnight UTC. Days since 1970-01-01.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let micros = timestamp(text)?;
    (micros.rem_euclid(MICROS_PER_DAY) == 0).then(|| day_of(micros))
}

/// Returns the UTC day of a moment, as days since 1970-01-01.
pub(crate) fn day_of(micros: i64) -> i32 {
    // A moment of 64 bits is at most 107 million days from 1970.
    i32::try_from(micros.div_euclid(MICROS_PER_DAY)).unwrap_or_default()
}

/// Returns a day as the number yyyymmdd; 0 when it has none.
pub(crate) fn yyyymmdd(day: i32) -> i32 {
    use chrono::Datelike as _;
    let number = |date: NaiveDate| {
        let month_day = i32::try_from(date.month() * 100 + date.day()).ok()?;
        date.year().checked_mul(10_000)?.checked_add(month_day)
    };
    NaiveDate::from_epoch_days(day).and_then(number).unwrap_or_default()
}

/// Returns the moment that a column's microseconds stand for.
pub(crate) fn moment(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

/// Parses `2019-02-11` into days since 1970-01-01; years 1 to 9999.
fn date_part(text: &[u8]) -> Option<i32> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else {
        return None;
    };
    let year = two_digits([*y0, *y1], 99)? * 100 + two_digits([*y2, *y3], 99)?;
    let month = two_digits([*m0, *m1], 12)?;
    let day = two_digits([*d0, *d1], 31)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    if year == 0 || month == 0 || day == 0 || days_in_month < day {
        return None;
    }
    // Years counted from March, so that the leap day is a year's last day.
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    i32::try_from(days - 719_468).ok()
}

/// Parses an optional `.123456`; more digits than six must be zeros.
fn fraction_micros(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', digits @ ..] = text else {
        return Some((0, text));
    };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(length);
    let (kept, finer) = digits.split_at(length.min(6));
    if length == 0 || finer.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let mut micros = 0;
    for place in 0..6 {
        let digit = kept.get(place).map_or(0, |digit| i64::from(digit - b'0'));
        micros = micros * 10 + digit;
    }
    Some((micros, rest))
}

/// Parses the end of a moment: nothing, `Z`, `+hh:mm` or `+hhmm`; seconds east of UTC.
fn zone_seconds(text: &[u8]) -> Option<i64> {
    let (sign, hour, minute) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign, h0, h1, b':', m0, m1] | [sign, h0, h1, m0, m1] => (sign, [*h0, *h1], [*m0, *m1]),
        _ => return None,
    };
    let seconds = (two_digits(hour, 23)? * 60 + two_digits(minute, 59)?) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn two_digits(digits: [u8; 2], max: i64) -> Option<i64> {
    let [tens, ones] = digits.map(|digit| digit.wrapping_sub(b'0'));
    let value = i64::from(tens) * 10 + i64::from(ones);
    (tens <= 9 && ones <= 9 && value <= max).then_some(value)
}

#[cfg(test)]
mod tests;
