//! What JSON and CSV texts are observed to be, digit by digit.

use proptest::prelude::*;

use super::*;

fn shown(observed: &Observed) -> String {
    match observed {
        Observed::Number { whole, fraction, is_float } => {
            format!("{whole}.{fraction}{}", if *is_float { "e" } else { "" })
        }
        Observed::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, member)| format!("{name}:{}", shown(member))).collect();
            format!("{{{}}}", members.join(","))
        }
        Observed::List(element) => format!("[{}]", shown(element)),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[test]
fn observes_json() {
    for (name, text, expected) in [
        ("null is nothing", "null", "nothing"),
        ("truth", "true", "bool"),
        ("zero has no digits in front", "0", "0.0"),
        ("digits are counted", "-120", "3.0"),
        ("digits on both sides", "189.430", "3.2"),
        ("a point is a point", "5.0", "1.1"),
        ("an exponent is a float", "1e5", "1.0e"),
        ("a float's digits count too", "1.25E-7", "1.2e"),
        ("the greatest long has 19 digits", "9223372036854775807", "19.0"),
        ("one more counts as 20", "9223372036854775808", "20.0"),
        ("the least long has 19", "-9223372036854775808", "19.0"),
        ("one less counts as 20", "-9223372036854775809", "20.0"),
        ("no digit is lost to a float", "0.1234567890123456789", "0.19"),
        ("forty digits", "1234567890123456789012345678901234567890", "40.0"),
        ("text that looks like a number is text", "\"12\"", "text"),
        ("text", "\"AAPL\"", "text"),
        ("a day", "\"2026-11-23\"", "date"),
        ("no day", "\"2026-02-30\"", "text"),
        ("a moment", "\"2026-11-23T14:30:00Z\"", "timestamp"),
        ("a moment with a zone", "\"2019-02-11T14:30:00+0000\"", "timestamp"),
        ("an escaped day", "\"2026\\u002d11-23\"", "date"),
        ("half a surrogate pair is text", "\"\\ud800\"", "text"),
        ("an object", "{\"a\": 1, \"b\": {\"c\": [null, 1.5]}}", "{a:1.0,b:{c:[1.1]}}"),
        ("an object without members", "{}", "{}"),
        ("an empty list", "[]", "[nothing]"),
        ("elements are one", "[1, 2.5, null]", "[1.1]"),
        ("elements of two kinds are text", "[1, \"a\"]", "[text]"),
        ("objects in a list", "[{\"a\": 1}, {\"b\": true}]", "[{a:1.0,b:bool}]"),
        ("a name twice", "{\"a\": 1, \"a\": 22.5}", "{a:2.1}"),
        ("an escaped name", "{\"\\u0061\": 1}", "{a:1.0}"),
        ("space around", " [ 1 ] ", "[1.0]"),
    ] {
        let observed = Observed::of_json(text, &Iso).map(|observed| shown(&observed));
        assert_eq!(observed.unwrap(), expected, "{name}: {text}");
    }
    for text in ["", "{", "[1,]", "{\"a\":}", "nul", "01", "1 2"] {
        assert!(Observed::of_json(text, &Iso).is_err(), "{text}");
    }
}

#[test]
fn what_is_too_deep_is_text() {
    let deep = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let depth = |mut observed: &Observed| {
        let mut depth = 0;
        while let Observed::List(element) = observed {
            (observed, depth) = (element, depth + 1);
        }
        (depth, observed.clone())
    };
    let observed = Observed::of_json(&deep(NESTING_MAX), &Iso).unwrap();
    assert_eq!(depth(&observed), (NESTING_MAX, Observed::of_number("1")));
    let observed = Observed::of_json(&deep(100_000), &Iso).unwrap();
    assert_eq!(depth(&observed), (NESTING_MAX, Observed::Text));
}

#[test]
fn observes_separated_values() {
    for (name, text, expected) in [
        ("truth in any case", "TRUE", "bool"),
        ("a whole number", "42", "2.0"),
        ("a negative one", "-42", "2.0"),
        ("a fraction without a whole", ".5", "0.1"),
        ("a whole without a fraction", "5.", "1.1"),
        ("a float", "1e-3", "1.0e"),
        ("zero", "0", "0.0"),
        ("a zero in front would be lost", "007", "text"),
        ("a post code", "01067", "text"),
        ("a plus would be lost", "+4935112345", "text"),
        ("a point alone", ".", "text"),
        ("a sign alone", "-", "text"),
        ("an exponent alone", "e5", "text"),
        ("an exponent without digits", "1e", "text"),
        ("two points", "1.2.3", "text"),
        ("thousands", "1,000", "text"),
        ("a day", "2026-11-23", "date"),
        ("a moment", "2026-11-23 14:30:00", "timestamp"),
        ("a day of eleven characters", "2026-11-234", "text"),
        ("digits of another script", "١٢", "text"),
        ("nothing is text: null is what the options say", "", "text"),
    ] {
        assert_eq!(shown(&Observed::of_csv(text, &Iso)), expected, "{name}: {text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,30}|[-+.0-9eE{}\\[\\],:\" ]{0,30}") {
        let is_json = Observed::of_json(&text, &Iso).is_ok();
        prop_assert_eq!(is_json, serde_json::from_str::<&RawValue>(&text).is_ok());
        prop_assert_ne!(Observed::of_csv(&text, &Iso), Observed::Nothing);
    }

    #[test]
    fn digits_are_those_of_the_number(whole in 0_u64.., fraction in "[0-9]{1,30}") {
        let Observed::Number { whole: wholes, fraction: fractions, is_float: false } =
            Observed::of_number(&format!("{whole}.{fraction}"))
        else {
            panic!("a decimal is a number");
        };
        // A number beyond 64 bits with a sign counts as twenty digits.
        let digits = whole.checked_ilog10().map_or(0, |digits| digits + 1);
        prop_assert!(wholes == digits || (digits, wholes) == (19, 20));
        prop_assert_eq!(fractions as usize, fraction.trim_end_matches('0').len().max(1));
    }
}
