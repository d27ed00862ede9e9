//! Values at the edges of their columns, and the short decimal parser against the general one.

use model::decimal::{ADJUSTED_PRICE, PRICE, VOLUME};
use proptest::prelude::*;

use super::*;

#[track_caller]
fn check_timestamp(text: &str, expected: Option<&str>) {
    let shown = timestamp(text.as_bytes())
        .map(|micros| moment(micros).unwrap().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
    assert_eq!(shown.as_deref(), expected, "input {text:?}");
}

#[test]
fn reads_every_form_vendors_use() {
    check_timestamp("2019-02-11T14:30:00+0000", Some("2019-02-11T14:30:00Z"));
    check_timestamp("2019-02-11T14:30:00-0530", Some("2019-02-11T20:00:00Z"));
    check_timestamp("2019-02-11T14:30:00.123456Z", Some("2019-02-11T14:30:00.123456Z"));
    check_timestamp("2019-02-11t14:30:00.5+01:00", Some("2019-02-11T13:30:00.500Z"));
    check_timestamp("2019-02-11T14:30:00.123456000Z", Some("2019-02-11T14:30:00.123456Z"));
    check_timestamp("2019-02-11 14:30:00", Some("2019-02-11T14:30:00Z"));
    check_timestamp("2020-02-29", Some("2020-02-29T00:00:00Z"));
    check_timestamp("0001-01-01", Some("0001-01-01T00:00:00Z"));
    check_timestamp("9999-12-31 23:59:59", Some("9999-12-31T23:59:59Z"));
    check_timestamp("1900-02-28 00:00:00", Some("1900-02-28T00:00:00Z"));
}

#[test]
fn refuses_what_is_no_moment_or_too_fine() {
    for text in [
        "",
        "2019",
        "2019-02-30",
        "1900-02-29",
        "2019-13-01",
        "2019-00-10",
        "0000-01-01",
        "2019-02-11T",
        "2019-02-11T14:30",
        "2019-02-11T24:00:00Z",
        "2019-02-11T14:60:00Z",
        "2019-02-11T14:30:60Z",
        "2019-02-11T14:30:00.Z",
        "2019-02-11T14:30:00.1234567Z",
        "2019-02-11T14:30:00+24:00",
        "2019-02-11T14:30:00+1",
        "2019-02-11x14:30:00",
        "2019-2-11",
        "２019-02-1",
        "2019-02-11T14:30:00Zx",
        " 2019-02-11",
        "2019-02-11T14:30:00 UTC",
    ] {
        check_timestamp(text, None);
    }
}

#[test]
fn a_date_has_no_time_of_day() {
    assert_eq!(date(b"1970-01-02"), Some(1));
    assert_eq!(date(b"1969-12-31T00:00:00+0000"), Some(-1));
    assert_eq!(date(b"1970-01-01T01:00:00+0100"), Some(0));
    assert_eq!(date(b"1970-01-02 00:00:01"), None);
    assert_eq!(yyyymmdd(date(b"2019-02-11").unwrap()), 20_190_211);
}

#[test]
fn whole_numbers_stay_whole() {
    assert_eq!(int64(b"-9223372036854775808"), Some(i64::MIN));
    assert_eq!(int64(b"9223372036854775808"), None);
    assert_eq!(int64(b"7.00"), Some(7));
    assert_eq!(int64(b"7.5"), None);
    assert_eq!(int64(b"7e0"), None);
}

proptest! {
    #[test]
    fn the_short_parser_agrees_with_the_general_one(
        text in "-?[0-9]{0,22}(\\.[0-9]{0,12})?(e1)?", which in 0..4_usize,
    ) {
        let tiny = DecimalType { precision: 3, scale: 0 };
        let kind = [PRICE, ADJUSTED_PRICE, VOLUME, tiny][which];
        prop_assert_eq!(decimal(text.as_bytes(), kind), kind.parse(&text).ok(), "input {:?}", text);
    }

    #[test]
    fn exponents_only_move_the_point(
        whole in 0_u64..1_000_000, fraction in "[0-9]{0,5}", exponent in -9_i32..9, sign in "-?",
    ) {
        let point = if fraction.is_empty() { "" } else { "." };
        let text = format!("{sign}{whole}{point}{fraction}e{exponent}");
        // The digits as one number, and how far its point is from where the column has it.
        let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
        let length = i32::try_from(fraction.len()).unwrap();
        let shift = exponent - length + i32::from(PRICE.scale);
        let power = 10_i128.pow(shift.unsigned_abs());
        let moved = if 0 <= shift {
            Some(digits * power)
        } else {
            Some(digits / power).filter(|moved| moved * power == digits)
        };
        let expected = moved
            .filter(|moved| *moved < 10_i128.pow(u32::from(PRICE.precision)))
            .map(|moved| if sign.is_empty() { moved } else { -moved });
        prop_assert_eq!(scientific(&text, PRICE), expected, "input {}", text);
    }

    #[test]
    fn any_bytes_are_a_decimal_or_not(text in "[0-9eE.+-]{0,12}|.{0,12}") {
        let _ = scientific(&text, PRICE);
    }

    #[test]
    fn any_bytes_are_a_moment_or_not(text in "[0-9TZtz: .+-]{0,32}|.{0,24}") {
        let _ = (timestamp(text.as_bytes()), date(text.as_bytes()), int64(text.as_bytes()));
    }

    #[test]
    fn unescaping_agrees_with_serde_json(
        pieces in prop::collection::vec(
            prop_oneof![
                "[a-zé€😀]{0,3}", Just("\\n".to_owned()), Just("\\\"".to_owned()),
                Just("\\ud83d\\ude00".to_owned()), Just("\\ud800".to_owned()),
                Just("\\udc00".to_owned()), "\\\\u[0-9a-fA-F]{4}", Just("\\/".to_owned()),
            ],
            0..6,
        ),
    ) {
        let inner = pieces.concat();
        let mut out = String::new();
        let text = unescape(&inner, &mut out).then_some(out);
        prop_assert_eq!(text, serde_json::from_str(&format!("\"{inner}\"")).ok());
    }
}
