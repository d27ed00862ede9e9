//! Patterns of dates and times, such as `dd/MM/yyyy`: letters as in Spark, compiled once, and read
//! without allocating.

mod read;
#[cfg(test)]
mod tests;

use std::{fmt, iter::Peekable, str::Chars};

pub use read::ParsedTime;

/// Longest pattern accepted; beyond it is no pattern of a time.
const PATTERN_CHARS_MAX: usize = 256;

/// Deepest nesting of optional sections: reading recurses this far.
const NESTING_MAX: usize = 8;

/// A compiled pattern of `dateFormat` or `timestampFormat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePattern {
    source: String,
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// This very letter, in either case.
    Letter(char),
    Number(Number),
    /// Up to so many digits behind the second's point.
    Fraction(usize),
    MonthName(Length),
    WeekdayName(Length),
    /// AM or PM.
    HalfDay,
    /// Distance from UTC.
    Offset(OffsetShape),
    /// `GMT`, or `GMT+8`.
    NamedOffset,
    /// `Europe/Paris`, or an offset.
    ZoneId,
    /// `PST`, or what a zone's id may be.
    ZoneName,
    /// A section in brackets.
    Optional(Vec<Self>),
}

/// A field in digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    field: Field,
    digits_min: usize,
    digits_max: usize,
    /// Digits right behind it that belong to fields of a fixed width.
    reserved: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    /// Two digits, of the years 2000 to 2099.
    ShortYear,
    Month,
    Day,
    DayOfYear,
    /// 0 to 23.
    Hour,
    /// 1 to 24.
    ClockHour,
    /// 0 to 11.
    HalfDayHour,
    /// 1 to 12.
    HalfDayClockHour,
    Minute,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Short,
    Full,
}

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetShape {
    /// `Z` stands for zero.
    has_z: bool,
    has_colons: bool,
    detail: OffsetDetail,
}

/// How far an offset goes behind its hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OffsetDetail {
    /// Minutes, or nothing.
    MayHaveMinutes,
    /// Minutes.
    Minutes,
    /// Minutes, and seconds or nothing.
    MayHaveSeconds,
}

impl TimePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it: a letter that means nothing, or another number of it than it takes; a
    /// quote or a bracket without its other half.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let wrong = |problem: String| format!("`{pattern}` is no pattern of a time: {problem}");
        if PATTERN_CHARS_MAX < pattern.chars().count() {
            return Err(format!("a pattern of a time has {PATTERN_CHARS_MAX} letters at most"));
        }
        if pattern.is_empty() {
            return Err(wrong("it is empty; leave it out for ISO 8601".to_owned()));
        }
        let mut letters = pattern.chars().peekable();
        let items = compile(&mut letters, 0).map_err(wrong)?;
        Ok(Self { source: pattern.to_owned(), items })
    }
}

impl fmt::Display for TimePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Compiles up to the end, or to the bracket that closes this section.
fn compile(letters: &mut Peekable<Chars<'_>>, depth: usize) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    loop {
        match letters.next() {
            None if depth == 0 => break,
            None => return Err("a `[` is never closed".to_owned()),
            Some('[') if depth == NESTING_MAX => {
                return Err(format!("brackets nest {NESTING_MAX} deep at most"));
            }
            Some('[') => items.push(Item::Optional(compile(letters, depth + 1)?)),
            Some(']') if depth == 0 => return Err("a `]` closes nothing".to_owned()),
            Some(']') => break,
            Some('\'') => quoted(letters, &mut items)?,
            Some(letter) if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while letters.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                items.push(field(letter, count)?);
            }
            Some(letter @ ('{' | '}' | '#')) => {
                return Err(format!("`{letter}` is reserved; put it in quotes"));
            }
            Some(letter) => items.push(Item::Letter(letter)),
        }
    }
    reserve(&mut items);
    Ok(items)
}

/// Compiles what stands in quotes; `''` is one quote, outside of quotes too.
fn quoted(letters: &mut Peekable<Chars<'_>>, items: &mut Vec<Item>) -> Result<(), String> {
    if letters.next_if_eq(&'\'').is_some() {
        items.push(Item::Letter('\''));
        return Ok(());
    }
    loop {
        match letters.next() {
            None => return Err("a quote is never closed".to_owned()),
            Some('\'') if letters.next_if_eq(&'\'').is_none() => return Ok(()),
            Some(letter) => items.push(Item::Letter(letter)),
        }
    }
}

/// Tells each number how many digits right behind it are spoken for, as in `yyyyMMdd`.
fn reserve(items: &mut [Item]) {
    let mut behind = 0;
    for item in items.iter_mut().rev() {
        match item {
            Item::Number(number) => {
                number.reserved = behind;
                let is_fixed = number.digits_min == number.digits_max;
                behind = if is_fixed { behind + number.digits_max } else { 0 };
            }
            Item::Fraction(digits_max) => behind = *digits_max,
            _ => behind = 0,
        }
    }
}

/// Returns what `count` times `letter` means.
fn field(letter: char, count: usize) -> Result<Item, String> {
    // One letter takes as many digits as there are, up to what makes sense; more are a fixed width.
    let number = |field, count_max: usize| match count {
        1 => Ok(digits(field, 1, count_max)),
        _ if count <= count_max => Ok(digits(field, count, count)),
        _ => Err(too_many(letter, count_max)),
    };
    let length = || match count {
        1..=3 => Ok(Length::Short),
        4 => Ok(Length::Full),
        _ => Err(too_many(letter, 4)),
    };
    match (letter, count) {
        ('y' | 'u', 2) => Ok(digits(Field::ShortYear, 2, 2)),
        ('y' | 'u', 1..=6) => Ok(digits(Field::Year, count, 6)),
        ('y' | 'u', _) => Err(too_many(letter, 6)),
        ('M' | 'L', 3..) => length().map(Item::MonthName),
        ('M' | 'L', _) => number(Field::Month, 2),
        ('d', _) => number(Field::Day, 2),
        ('D', 2) => Ok(digits(Field::DayOfYear, 2, 3)),
        ('D', _) => number(Field::DayOfYear, 3),
        ('E', _) => length().map(Item::WeekdayName),
        ('a', 1) => Ok(Item::HalfDay),
        ('a', _) => Err(too_many(letter, 1)),
        ('H', _) => number(Field::Hour, 2),
        ('k', _) => number(Field::ClockHour, 2),
        ('K', _) => number(Field::HalfDayHour, 2),
        ('h', _) => number(Field::HalfDayClockHour, 2),
        ('m', _) => number(Field::Minute, 2),
        ('s', _) => number(Field::Second, 2),
        ('S', 1..=9) => Ok(Item::Fraction(count)),
        ('S', _) => Err(too_many(letter, 9)),
        ('X' | 'x', 1..=5) => Ok(Item::Offset(OffsetShape {
            has_z: letter == 'X',
            has_colons: count == 3 || count == 5,
            detail: match count {
                1 => OffsetDetail::MayHaveMinutes,
                2 | 3 => OffsetDetail::Minutes,
                _ => OffsetDetail::MayHaveSeconds,
            },
        })),
        ('Z', 1..=3 | 5) => Ok(Item::Offset(OffsetShape {
            has_z: count == 5,
            has_colons: count == 5,
            detail: match count {
                5 => OffsetDetail::MayHaveSeconds,
                _ => OffsetDetail::Minutes,
            },
        })),
        ('O', 1 | 4) | ('Z', 4) => Ok(Item::NamedOffset),
        ('X' | 'x' | 'Z', _) => Err(too_many(letter, 5)),
        ('O', _) => Err("`O` stands once or four times".to_owned()),
        ('V', 2) => Ok(Item::ZoneId),
        ('V', _) => Err("`V` stands twice".to_owned()),
        ('z', 1..=4) => Ok(Item::ZoneName),
        ('z', _) => Err(too_many(letter, 4)),
        ('Y' | 'w' | 'W' | 'e' | 'c', _) => Err(format!(
            "`{letter}` counts weeks, which Spark does not read either; use yyyy, MM, dd"
        )),
        _ => Err(format!(
            "`{letter}` means nothing; known are y M d D E a H k K h m s S V z O X x Z, and text in quotes"
        )),
    }
}

fn digits(field: Field, digits_min: usize, digits_max: usize) -> Item {
    Item::Number(Number { field, digits_min, digits_max, reserved: 0 })
}

fn too_many(letter: char, max: usize) -> String {
    format!("`{letter}` stands {max} times at most")
}
