//! Durations and sizes as people write them.

use std::time::Duration;

/// Longest duration accepted, about a century: beyond it is a typing error.
const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Parses `200ms`, `45s`, `5m`, `1h30m`, `7d`.
///
/// # Errors
/// What is wrong, with an example.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no duration; write for example \"200ms\", \"45s\", \"1h30m\"");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest).ok_or_else(wrong)?;
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            "d" => 24 * 3600 * 1000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(part).filter(|sum| *sum <= DURATION_MAX).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(total)
}

/// Parses `512KiB`, `8MiB`, `1GiB`, `100B`.
///
/// # Errors
/// What is wrong, with an example.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size; write for example \"512KiB\", \"8MiB\", \"1GiB\"");
    let (number, unit, after) = number_and_unit(text.trim()).ok_or_else(wrong)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(wrong()),
    };
    if !after.is_empty() {
        return Err(wrong());
    }
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

fn number_and_unit(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok()?;
    let rest = text[digits..].trim_start();
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    Some((number, &rest[..letters], rest[letters..].trim_start()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_duration, parse_size};

    #[test]
    fn durations_read_as_written() {
        let cases = [("200ms", 200), ("45s", 45_000), ("1h30m", 5_400_000), ("7d", 604_800_000)];
        for (text, milliseconds) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "5", "m", "5 weeks", "-1s", "1.5h", "99999999999999999999s", "99999d5m", "é"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_as_written() {
        let cases = [("100B", 100), ("512KiB", 524_288), ("8 MiB", 8_388_608), ("1GiB", 1 << 30)];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "8", "8MB", "8MiBx", "1GiB1B", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
