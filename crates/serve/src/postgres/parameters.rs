//! Parameters of the extended protocol → values for the plan.

use std::sync::Arc;

use bytes::Bytes;
use lake::datafusion::{
    arrow::{
        array::{ArrayRef, StringArray},
        compute::{CastOptions, cast_with_options},
        util::display::FormatOptions,
    },
    common::ScalarValue,
};

use super::{
    failure::Failure,
    types::{EPOCH_DAYS, EPOCH_MICROS, PgType},
};

/// Decodes the value of parameter `$number`.
pub(super) fn decode(
    number: usize,
    pg_type: PgType,
    binary: bool,
    value: Option<&Bytes>,
) -> Result<ScalarValue, Failure> {
    let Some(bytes) = value else {
        return ScalarValue::try_from(&pg_type.arrow())
            .map_err(|error| Failure::from_datafusion(&error));
    };
    let decoded = if binary { from_binary(pg_type, bytes) } else { from_text(pg_type, bytes) };
    decoded.ok_or_else(|| {
        let (code, format) = if binary { ("22P03", "binary") } else { ("22P02", "text") };
        Failure::new(
            code,
            format!(
                "invalid {format} value for parameter ${number} of type {}",
                pg_type.sql_name()
            ),
        )
    })
}

fn from_text(pg_type: PgType, bytes: &[u8]) -> Option<ScalarValue> {
    let text = std::str::from_utf8(bytes).ok()?;
    match pg_type {
        PgType::Text | PgType::Name | PgType::Char => {
            return Some(ScalarValue::Utf8(Some(text.to_owned())));
        }
        PgType::Bool => return from_text_bool(text),
        PgType::Bytea => return from_hex(text.strip_prefix("\\x")?),
        PgType::Numeric(_) => return from_text_numeric(text.trim()),
        _ => (),
    }
    let text = if pg_type == PgType::Date { date_alone(text.trim()) } else { text.trim() };
    let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let strict = CastOptions { safe: false, format_options: FormatOptions::default() };
    let cast = cast_with_options(&array, &pg_type.arrow(), &strict).ok()?;
    ScalarValue::try_from_array(&cast, 0).ok()
}

/// A date without the time and the zone that drivers send along: `2026-03-04 +01` means the day.
fn date_alone(text: &str) -> &str {
    let is_time = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || "+-:. Z".contains(c));
    match text.split_once([' ', 'T', '+']) {
        Some((date, rest)) if is_time(rest) => date,
        _ => text,
    }
}

fn from_text_bool(text: &str) -> Option<ScalarValue> {
    let value = match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "on" | "yes" | "y" | "1" => true,
        "f" | "false" | "off" | "no" | "n" | "0" => false,
        _ => return None,
    };
    Some(ScalarValue::Boolean(Some(value)))
}

fn from_hex(text: &str) -> Option<ScalarValue> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digits = text.as_bytes();
    digits
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect::<Option<Vec<u8>>>()
        .map(|bytes| ScalarValue::Binary(Some(bytes)))
}

/// Keeps the scale as written, so that no digit is added or lost.
pub(super) fn from_text_numeric(text: &str) -> Option<ScalarValue> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = i8::try_from(fraction.len()).ok().filter(|scale| *scale <= 38)?;
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    decimal(unscaled, scale)
}

fn decimal(unscaled: i128, scale: i8) -> Option<ScalarValue> {
    (unscaled.unsigned_abs() < 10_u128.pow(38)).then_some(ScalarValue::Decimal128(
        Some(unscaled),
        38,
        scale,
    ))
}

fn from_binary(pg_type: PgType, bytes: &[u8]) -> Option<ScalarValue> {
    Some(match pg_type {
        PgType::Bool => match bytes {
            [0] => ScalarValue::Boolean(Some(false)),
            [1] => ScalarValue::Boolean(Some(true)),
            _ => return None,
        },
        PgType::Int2 => ScalarValue::Int16(Some(i16::from_be_bytes(bytes.try_into().ok()?))),
        PgType::Int4 | PgType::Oid => {
            ScalarValue::Int32(Some(i32::from_be_bytes(bytes.try_into().ok()?)))
        }
        PgType::Int8 => ScalarValue::Int64(Some(i64::from_be_bytes(bytes.try_into().ok()?))),
        PgType::Float4 => ScalarValue::Float32(Some(f32::from_be_bytes(bytes.try_into().ok()?))),
        PgType::Float8 => ScalarValue::Float64(Some(f64::from_be_bytes(bytes.try_into().ok()?))),
        PgType::Text | PgType::Name | PgType::Char => {
            ScalarValue::Utf8(Some(std::str::from_utf8(bytes).ok()?.to_owned()))
        }
        PgType::Bytea => ScalarValue::Binary(Some(bytes.to_vec())),
        PgType::Date => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?);
            ScalarValue::Date32(Some(days.checked_add(EPOCH_DAYS)?))
        }
        PgType::Time => {
            ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(bytes.try_into().ok()?)))
        }
        PgType::Timestamp | PgType::TimestampTz => {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?).checked_add(EPOCH_MICROS)?;
            let zone = (pg_type == PgType::TimestampTz).then(|| "UTC".into());
            ScalarValue::TimestampMicrosecond(Some(micros), zone)
        }
        PgType::Numeric(_) => from_binary_numeric(bytes)?,
        // No parameter is declared as one.
        PgType::Array(_) | PgType::Vector(_) => return None,
    })
}

/// Groups of four digits around the point; see `encode::numeric`.
fn from_binary_numeric(bytes: &[u8]) -> Option<ScalarValue> {
    let mut words = bytes.chunks(2).map(|pair| pair.try_into().ok().map(u16::from_be_bytes));
    let mut word = || words.next().flatten();
    let count = usize::from(word()?);
    let weight = i32::from(word()?.cast_signed());
    let negative = match word()? {
        0 => false,
        0x4000 => true,
        // NaN and the infinities are no decimals.
        _ => return None,
    };
    let scale = i32::from(word()?);
    if bytes.len() != 8 + 2 * count || scale > 38 {
        return None;
    }
    // Every group is worth 10000^(weight - index); the result counts in 10^-scale.
    let mut unscaled: i128 = 0;
    for index in 0..count {
        let group = i128::from(word()?);
        let exponent = 4 * (weight - i32::try_from(index).ok()?) + scale;
        let shift = 10_i128.checked_pow(exponent.unsigned_abs())?;
        let part = if exponent < 0 { group / shift } else { group.checked_mul(shift)? };
        unscaled = unscaled.checked_add(part)?;
    }
    decimal(if negative { -unscaled } else { unscaled }, i8::try_from(scale).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pg_type: PgType, text: &str, expected: Option<ScalarValue>) {
        let value = decode(1, pg_type, false, Some(&Bytes::from(text.to_owned()))).ok();
        assert_eq!(value, expected, "{text}");
    }

    #[test]
    fn text_values_are_parsed_strictly() {
        check(PgType::Int4, " 42 ", Some(ScalarValue::Int32(Some(42))));
        check(PgType::Int4, "42x", None);
        check(PgType::Bool, "off", Some(ScalarValue::Boolean(Some(false))));
        check(PgType::Bool, "maybe", None);
        check(
            PgType::Numeric(None),
            "-189.430",
            Some(ScalarValue::Decimal128(Some(-189_430), 38, 3)),
        );
        check(PgType::Numeric(None), "1e5", None);
        check(PgType::Bytea, "\\x00ff", Some(ScalarValue::Binary(Some(vec![0, 255]))));
        check(PgType::Bytea, "\\x0", None);
        check(PgType::Bytea, "\\x+1é", None);
        check(PgType::Date, "2026-03-04", Some(ScalarValue::Date32(Some(20_516))));
        for text in
            ["2026-03-04 +00", "2026-03-04 +05:30", "2026-03-04 14:30:00", "2026-03-04T00:00:00Z"]
        {
            check(PgType::Date, text, Some(ScalarValue::Date32(Some(20_516))));
        }
        check(PgType::Date, "2026-03-04 BC", None);
    }

    #[test]
    fn binary_numerics_come_back_as_they_were_sent() {
        for (unscaled, scale) in [(0, 2), (189_430_000, 6), (-5, 6), (10_i128.pow(30), 4)] {
            let mut out = bytes::BytesMut::new();
            super::super::encode::write_numeric(unscaled, scale, &mut out);
            assert_eq!(
                decode(1, PgType::Numeric(None), true, Some(&out.freeze())),
                Ok(ScalarValue::Decimal128(Some(unscaled), 38, scale))
            );
        }
    }

    #[test]
    fn truncated_binary_values_are_refused_without_a_panic() {
        for pg_type in [
            PgType::Bool,
            PgType::Int2,
            PgType::Int8,
            PgType::Float8,
            PgType::Date,
            PgType::TimestampTz,
            PgType::Numeric(None),
        ] {
            for length in [0, 3, 7, 9, 11] {
                let bytes = Bytes::from(vec![0x7f; length]);
                assert!(decode(1, pg_type, true, Some(&bytes)).is_err(), "{pg_type:?} {length}");
            }
        }
    }
}
