//! Decimals of CSV: commas for thousands, as Spark reads them in the locale en-US.

use proptest::prelude::*;

use super::{csv_options, read, schema, shown};
use crate::files::options::Format;

/// Shows what becomes of a text in quotes in a column of DECIMAL(18,6).
fn price(text: &str) -> String {
    let input = format!("p\n\"{text}\"\n");
    let schema = schema("p:price", true);
    let out = read(&Format::Csv(csv_options()), &schema, &[input.as_bytes()]).unwrap();
    shown(&out).join(" / ")
}

#[test]
fn commas_may_stand_anywhere_in_a_decimal() {
    for (name, text, expected) in [
        ("thousands and a fraction", "1,234.50", "1234.500000"),
        ("millions", "1,000,000", "1000000.000000"),
        ("groups of any length", "1,,2", "12.000000"),
        ("in front", ",5", "5.000000"),
        ("behind", "5,", "5.000000"),
        ("in the fraction", "1.5,0", "1.500000"),
        ("a sign", "-1,0", "-10.000000"),
        ("a plus", "+1,0", "10.000000"),
        ("between sign and digits", "-,1", "-1.000000"),
        ("in front of the sign", ",-1", "-1.000000"),
        ("an exponent", "1,000e-2", "10.000000"),
        ("in the exponent", "1,e,3", "1000.000000"),
        ("an exponent with a plus", "1E+3", "1000.000000"),
        ("no digit before the point", ".5", "0.500000"),
        ("no digit before the point, signed", "+.5", "0.500000"),
        ("no digit behind the point", "5.", "5.000000"),
    ] {
        assert_eq!(price(text), expected, "{name}: {text}");
    }
}

#[test]
fn what_is_no_decimal_without_its_commas_is_rescued() {
    for (name, text) in [
        ("commas alone", ","),
        ("a point", "."),
        ("a sign", "-"),
        ("a plus", "+"),
        ("two points", "1,2.3,4.5"),
        ("two signs", "--1"),
        ("two signs and a comma", "--1,0"),
        ("a plus and a minus", "+-1,0"),
        ("a minus and a plus", "-+1,0"),
        ("an exponent without digits", "1,0e"),
        ("an exponent alone", "e5"),
        ("a point and an exponent", ".e5"),
        ("an exponent without end", "1e99999999999"),
        ("spaces for thousands", "1 000"),
        ("spaces around", " 1,000 "),
        ("underscores", "1_000"),
        ("a type's letter", "1,0d"),
        ("too great", "1,000,000,000,000"),
        // Spark rounds: see the differences in docs/auto-loader.md.
        ("too many digits", "1,0.0000001"),
    ] {
        assert_eq!(price(text), format!("∅ + {{\"p\":\"{text}\"}}"), "{name}");
    }
}

#[test]
fn numbers_of_other_types_take_no_commas() {
    for kind in ["long", "int", "double", "float"] {
        let schema = schema(&format!("a:{kind}"), true);
        let out = read(&Format::Csv(csv_options()), &schema, &[b"a\n\"1,000\"\n"]).unwrap();
        assert_eq!(shown(&out), ["∅ + {\"a\":\"1,000\"}"], "{kind}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn commas_mean_nothing(
        text in "-?[0-9]{1,10}(\\.[0-9]{1,6})?(e-?[0-9])?|[0-9eE.+-]{1,6}",
        places in prop::collection::vec(0_usize..16, 0..5),
    ) {
        let mut grouped = text.clone();
        for place in places {
            grouped.insert(place.min(grouped.len()), ',');
        }
        let (plain, grouped) = (price(&text), price(&grouped));
        if plain.contains('∅') {
            prop_assert!(grouped.contains('∅'), "{} is {}", text, grouped);
        } else {
            prop_assert_eq!(grouped, plain);
        }
    }
}
