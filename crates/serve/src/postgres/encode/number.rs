//! Integers and floats as PostgreSQL prints them.

use bytes::{BufMut as _, BytesMut};

use super::put;

/// Writes the decimal digits of `value`; faster than the formatting machinery.
pub(super) fn write_integer(value: i64, out: &mut BytesMut) {
    if value < 0 {
        out.put_u8(b'-');
    }
    // 20 digits hold every u64.
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[usize::try_from(rest % 10).unwrap_or_default()];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

pub(super) fn write_float4(value: f32, out: &mut BytesMut) {
    write_shortest(f64::from(value), format!("{value:e}"), 6, out);
}

pub(super) fn write_float8(value: f64, out: &mut BytesMut) {
    write_shortest(value, format!("{value:e}"), 15, out);
}

/// PostgreSQL's shortest exact form: plain between 1e-4 and 10^`plain_digits`, else `1e+20`.
fn write_shortest(value: f64, scientific: String, plain_digits: i32, out: &mut BytesMut) {
    if value.is_nan() {
        return out.put_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.put_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..plain_digits).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return put(out, format_args!("{mantissa}e{sign}{:02}", exponent.abs()));
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let Ok(whole) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
        return put(out, format_args!("{sign}0.{}{digits}", "0".repeat(zeros)));
    };
    if whole == 0 {
        put(out, format_args!("{sign}0.{digits}"));
    } else if digits.len() <= whole {
        put(out, format_args!("{sign}{digits}{}", "0".repeat(whole - digits.len())));
    } else {
        put(out, format_args!("{sign}{}.{}", &digits[..whole], &digits[whole..]));
    }
}
