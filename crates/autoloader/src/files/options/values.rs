//! What options say: truth values, counts, sizes, durations, moments and letters, as Spark writes them.

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::Datelike;

use super::time_pattern::{ParsedTime, TimePattern};
use crate::files::schema::is_same_name;

/// Longest duration accepted, about a century: beyond it is a typing error.
const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * DAY_S);
const DAY_S: u64 = 24 * 3600;

/// Units of durations, shortest first. Months and years have no one length.
const UNITS: [(&[&str], Duration); 7] = [
    (&["microsecond", "microseconds", "us"], Duration::from_micros(1)),
    (&["millisecond", "milliseconds", "ms"], Duration::from_millis(1)),
    (&["second", "seconds", "sec", "secs", "s"], Duration::from_secs(1)),
    (&["minute", "minutes", "min", "mins", "m"], Duration::from_secs(60)),
    (&["hour", "hours", "h"], Duration::from_secs(3600)),
    (&["day", "days", "d"], Duration::from_secs(DAY_S)),
    (&["week", "weeks", "w"], Duration::from_secs(7 * DAY_S)),
];

/// Units of sizes, with their power of 1024.
const SIZES: [(&[&str], u32); 6] = [
    (&["", "b"], 0),
    (&["k", "kb", "kib"], 1),
    (&["m", "mb", "mib"], 2),
    (&["g", "gb", "gib"], 3),
    (&["t", "tb", "tib"], 4),
    (&["p", "pb", "pib"], 5),
];

/// Moments as `modifiedAfter` takes them.
const MOMENT: &str = "yyyy-MM-dd[['T'][ ]HH:mm[:ss[.SSSSSSSSS]]][VV]";

/// Parses `true` or `false`, in any case.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// Parses a whole number of at least `min`.
pub(super) fn count(text: &str, min: u64) -> Result<u64, String> {
    let number = text.trim().parse().map_err(|_| format!("`{text}` is no whole number"))?;
    if number < min {
        return Err(format!("{number} is too few; at least {min}"));
    }
    Ok(number)
}

/// Parses `10g`, `512mb`, or plain bytes; a unit is 1024 of the one before, as in Spark.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is no size; write for example 10g, 512mb, or a number of bytes");
    let (number, unit, rest) = number_and_unit(text.trim()).ok_or_else(wrong)?;
    let unit = unit.to_ascii_lowercase();
    let (_, power) =
        SIZES.iter().find(|(names, _)| names.contains(&unit.as_str())).ok_or_else(wrong)?;
    let size = 1024_u64.checked_pow(*power).and_then(|unit| number.checked_mul(unit));
    match size.ok_or_else(wrong)? {
        _ if !rest.is_empty() => Err(wrong()),
        0 => Err("0 is too small; at least one byte".to_owned()),
        size => Ok(size),
    }
}

/// Parses `7 days`, `interval 30 days`, `1 hour 30 minutes`, `90s`.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no duration; write for example 7 days, 1 hour 30 minutes, 90s");
    let lower = text.trim().to_ascii_lowercase();
    let mut rest = match lower.strip_prefix("interval") {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => lower.as_str(),
    };
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest).ok_or_else(wrong)?;
        if matches!(unit, "month" | "months" | "year" | "years") {
            return Err(format!("`{text}`: months and years differ in length; give days"));
        }
        let (_, length) =
            UNITS.iter().find(|(names, _)| names.contains(&unit)).ok_or_else(wrong)?;
        let part = u32::try_from(number).ok().and_then(|number| length.checked_mul(number));
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= DURATION_MAX)
            .ok_or_else(wrong)?;
        rest = after;
    }
    Ok(total)
}

/// Parses an interval that is not nothing.
pub(super) fn some_interval(text: &str) -> Result<Duration, String> {
    let interval = interval(text)?;
    if interval.is_zero() {
        return Err("it has to be longer than nothing".to_owned());
    }
    Ok(interval)
}

/// Parses `2026-01-01`, `2026-01-01T09:30:00`, `2026-01-01 09:30:00.5+02:00`.
pub(super) fn instant(text: &str) -> Result<ParsedTime, String> {
    TimePattern::compile(MOMENT)?
        .parse(text.trim())
        .filter(|time| (1..=9999).contains(&time.date.year()))
        .ok_or_else(|| format!("`{text}` is no moment; write for example 2026-01-01T00:00:00"))
}

/// Parses one letter, perhaps escaped; nothing, or the letter zero, stands for none.
pub(super) fn character(text: &str) -> Result<Option<char>, String> {
    let letters = unescaped(text)?;
    let mut rest = letters.chars();
    match (rest.next(), rest.next()) {
        (None | Some('\0'), None) => Ok(None),
        (Some('\n' | '\r'), None) => Err("a line end cannot be it".to_owned()),
        (letter, None) => Ok(letter),
        _ => Err(format!("`{text}` is more than one letter")),
    }
}

/// Resolves `\t`, `\n`, `\\`, `\u0041` and the like; a single backslash is itself.
pub(super) fn unescaped(text: &str) -> Result<String, String> {
    if text == "\\" {
        return Ok(text.to_owned());
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        plain.push(match rest.next() {
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('0') => '\0',
            Some(letter @ ('\\' | '"' | '\'' | '#')) => letter,
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let is_hexadecimal =
                    digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                u32::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| is_hexadecimal)
                    .and_then(char::from_u32)
                    .ok_or_else(|| format!("`\\u{digits}` in `{text}` is no letter"))?
            }
            Some(letter) => return Err(format!("`\\{letter}` in `{text}` means nothing")),
            None => return Err(format!("`{text}` ends in a backslash; write two for one")),
        });
    }
    Ok(plain)
}

/// Splits `a, b` into names.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(format!("`{text}`: a name between commas is empty"));
        }
        if names.iter().any(|known| is_same_name(known, name)) {
            return Err(format!("`{name}` is there twice"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Splits a number, the letters behind it, and what follows.
fn number_and_unit(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (unit, rest) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, rest.trim_start()))
}
