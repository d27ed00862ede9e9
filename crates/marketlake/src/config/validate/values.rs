//! Values as written to values as trusted: one choice, list, number, duration or size at a time.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use crate::config::units::{parse_duration, parse_size};

/// Most symbols: a thousand polled once a minute is more than any plan of the vendor allows.
const SYMBOLS_MAX: usize = 10_000;

pub(super) fn choose<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("`{text}` is not one of {}", names.join(", "))
    })
}

pub(super) fn optional<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text.trim().is_empty() { Ok(None) } else { parse(text.trim()).map(Some) }
}

/// Parses a list that must be neither empty nor repeat itself.
pub(super) fn list<T>(
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    if texts.is_empty() || SYMBOLS_MAX < texts.len() {
        return Err(format!("must have 1 to {SYMBOLS_MAX} entries"));
    }
    let mut unique = BTreeSet::new();
    if let Some(twice) = texts.iter().find(|text| !unique.insert(*text)) {
        return Err(format!("has `{twice}` twice"));
    }
    let mut wrong = Vec::new();
    let parsed = texts.iter().filter_map(|text| parse(text).map_err(|why| wrong.push(why)).ok());
    let parsed: Vec<T> = parsed.collect();
    if wrong.is_empty() { Ok(parsed) } else { Err(wrong.join("; ")) }
}

pub(super) fn non_zero(number: i64, max: i64) -> Result<NonZeroU32, String> {
    u32::try_from(number)
        .ok()
        .filter(|_| number <= max)
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("must be 1 to {max}, not {number}"))
}

pub(super) fn at_least(text: &str, min: Duration) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration < min {
        Err(format!("must be at least {min:?}, not `{text}`"))
    } else {
        Ok(duration)
    }
}

pub(super) fn size_between(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let size = parse_size(text)?;
    if (min..=max).contains(&size) {
        Ok(size)
    } else {
        Err(format!("must be {}KiB to {}MiB, not `{text}`", min >> 10, max >> 20))
    }
}
