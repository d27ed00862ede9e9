//! Decimals as PostgreSQL sends them: exact, from the unscaled integer.

use bytes::{BufMut as _, BytesMut};

use super::put;

/// `189.430000`: as many decimals as the scale has.
pub(super) fn write_text(unscaled: i128, scale: i8, out: &mut BytesMut) {
    let Ok(scale) = usize::try_from(scale) else {
        let zeros = if unscaled == 0 { 0 } else { usize::from(scale.unsigned_abs()) };
        return put(out, format_args!("{unscaled}{}", "0".repeat(zeros)));
    };
    if scale == 0 {
        return put(out, format_args!("{unscaled}"));
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    put(out, format_args!("{sign}{whole}.{fraction}"));
}

/// Groups of four decimal digits around the point, most significant first.
pub(in crate::postgres) fn write_binary(unscaled: i128, scale: i8, out: &mut BytesMut) {
    let mut text = BytesMut::with_capacity(48);
    write_text(unscaled, scale, &mut text);
    let text = text.strip_prefix(b"-").unwrap_or(&text);
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or_default());

    let mut groups: Vec<i16> = Vec::with_capacity(12);
    let first = whole.len() % 4;
    let (head, rest) = whole.split_at(first);
    if !head.is_empty() {
        groups.push(group(head, false));
    }
    groups.extend(rest.chunks(4).map(|digits| group(digits, false)));
    // At most 39 + 128 digits: the count always fits.
    let mut weight = i16::try_from(groups.len()).unwrap_or(i16::MAX) - 1;
    groups.extend(fraction.chunks(4).map(|digits| group(digits, true)));

    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= i16::try_from(leading).unwrap_or_default();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    out.put_i16(i16::try_from(groups.len()).unwrap_or(i16::MAX));
    out.put_i16(weight);
    out.put_u16(if unscaled < 0 { 0x4000 } else { 0 });
    out.put_i16(i16::from(scale.max(0)));
    for group in groups {
        out.put_i16(group);
    }
}

/// The value of up to four digits; a short last group of the fraction counts from the left.
fn group(digits: &[u8], is_fraction: bool) -> i16 {
    let mut value = digits.iter().fold(0, |sum, digit| sum * 10 + i16::from(*digit - b'0'));
    if is_fraction {
        for _ in digits.len()..4 {
            value *= 10;
        }
    }
    value
}
