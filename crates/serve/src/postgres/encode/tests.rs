//! Values as they stand on the wire, compared with what PostgreSQL 15 sends for the same SQL.

use super::*;

fn text(write: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn floats_print_as_in_postgresql() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (189.43, "189.43"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (123_456_789_012_345.0, "123456789012345"),
        (1e15, "1e+15"),
        (1.5e300, "1.5e+300"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
        (0.1 + 0.2, "0.30000000000000004"),
    ] {
        assert_eq!(text(|out| number::write_float8(value, out)), expected);
    }
    assert_eq!(text(|out| number::write_float4(0.1, out)), "0.1");
    assert_eq!(text(|out| number::write_integer(i64::MIN, out)), i64::MIN.to_string());
}

#[test]
fn decimals_keep_every_digit() {
    for (unscaled, scale, expected) in [
        (189_430_000, 6, "189.430000"),
        (-5, 6, "-0.000005"),
        (0, 4, "0.0000"),
        (42, 0, "42"),
        (42, -2, "4200"),
        (i128::MAX, 20, "1701411834604692317.31687303715884105727"),
    ] {
        assert_eq!(text(|out| numeric::write_text(unscaled, scale, out)), expected);
    }
}

/// Bytes taken from `select numeric_send(…)`.
#[test]
fn binary_decimals_are_groups_of_four_digits() {
    for (unscaled, scale, expected) in [
        (0_i128, 2, vec![0, 0, 0, 2]),
        (123_456_789, 2, vec![3, 1, 0, 2, 123, 4567, 8900]),
        (-5, 6, vec![1, -2, 0x4000, 6, 500]),
        (100_000_000, 0, vec![1, 2, 0, 0, 1]),
    ] {
        let mut out = BytesMut::new();
        numeric::write_binary(unscaled, scale, &mut out);
        let words: Vec<i16> =
            out.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!(words, expected, "{unscaled} scale {scale}");
    }
}

#[test]
fn times_carry_only_the_decimals_they_have() {
    let at = |micros, zone| text(|out| write_timestamp(micros, zone, out));
    assert_eq!(at(1_772_634_600_000_000, true), "2026-03-04 14:30:00+00");
    assert_eq!(at(1_772_634_600_123_000, false), "2026-03-04 14:30:00.123");
    assert_eq!(at(-1, false), "1969-12-31 23:59:59.999999");
    assert_eq!(text(|out| write_date(0, out)), "1970-01-01");
}
