//! Whatever form a canary is written in, none of it comes through.

use std::{sync::Barrier, thread};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use url::{Url, form_urlencoded};

use super::{MASK, Redactor, SECRETS_MAX, TOKENS_MAX};
use crate::Secret;

fn knowing(values: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    for value in values {
        redactor.register(&Secret::new((*value).to_owned()));
    }
    redactor
}

#[track_caller]
fn check(value: &str, text: &str, expected: &str) {
    assert_eq!(knowing(&[value]).scrub(text), expected, "value {value:?}");
}

#[test]
fn a_secret_is_masked_in_every_usual_form() {
    check(
        "cnry-0af3",
        "GET /v2/eod?access_key=cnry-0af3&limit=1",
        "GET /v2/eod?access_key=[redacted]&limit=1",
    );
    check("p&ss w/rd", "?k=p%26ss%20w%2Frd&x", "?k=[redacted]&x");
    check("p&ss w/rd", "?k=p%26ss%20w%2frd&x", "?k=[redacted]&x");
    check("p&ss w/rd", "?k=p%26ss+w%2Frd&x", "?k=[redacted]&x");
    check("a\"b\\c\nd", r#"{"k":"a\"b\\c\nd"}"#, r#"{"k":"[redacted]"}"#);
    check("cnry", "636e7279", MASK);
    check("cnryz", "636E72797A", MASK);
    check("cn\u{1}ry", r#"{"k":"cn\u0001ry"}"#, r#"{"k":"[redacted]"}"#);
}

#[test]
fn the_longer_of_two_secrets_leaves_no_remainder() {
    let redactor = knowing(&["cnry", "cnry-long"]);
    assert_eq!(redactor.scrub("cnry-long cnry"), "[redacted] [redacted]");
}

#[test]
fn a_private_key_is_masked_line_by_line() {
    let line = "MIIBVwIBADANBgkqhkiG9w0BAQEFAASCAUEw";
    let redactor = knowing(&[&format!("-----BEGIN KEY-----\n{line}\n-----END KEY-----\n")]);
    assert_eq!(redactor.scrub(&format!("second line: {line}")), "second line: [redacted]");
    assert_eq!(redactor.scrub("-----END KEY-----"), "-----END KEY-----");
}

#[test]
fn old_tokens_are_forgotten_and_push_no_secret_out() {
    let redactor = knowing(&["cnry-secret"]);
    for number in 0..=TOKENS_MAX {
        redactor.register_token(&Secret::new(format!("cnry-{number:04}-token")));
    }
    assert_eq!(redactor.scrub("cnry-0000-token"), "cnry-0000-token", "one more than remembered");
    assert_eq!(redactor.scrub("cnry-0001-token"), MASK);
    assert_eq!(redactor.scrub("cnry-secret"), MASK);
}

#[test]
fn a_secret_that_is_met_again_is_not_forgotten() {
    let redactor = knowing(&["cnry-first", "cnry-second"]);
    for number in 2..SECRETS_MAX {
        redactor.register(&Secret::new(format!("cnry-{number:04}-other")));
    }
    redactor.register(&Secret::new("cnry-first".to_owned()));
    redactor.register(&Secret::new("cnry-newest".to_owned()));
    assert_eq!(redactor.scrub("cnry-first"), MASK);
    assert_eq!(redactor.scrub("cnry-second"), "cnry-second", "not met for longest");
}

#[test]
fn what_is_too_short_to_be_a_secret_pushes_none_out() {
    let redactor = knowing(&["cnry-secret"]);
    for _ in 0..=SECRETS_MAX {
        redactor.register(&Secret::new("abc".to_owned()));
    }
    assert_eq!(redactor.scrub("abc cnry-secret"), "abc [redacted]");
}

#[test]
fn a_token_that_turns_out_to_be_a_secret_stays() {
    let redactor = Redactor::default();
    let token = Secret::new("cnry-token".to_owned());
    redactor.register_token(&token);
    redactor.register(&token);
    // It stays a secret, whoever brings it later, and however late.
    for number in 0..SECRETS_MAX / 2 {
        redactor.register(&Secret::new(format!("cnry-{number:04}-secret")));
    }
    redactor.register_token(&token);
    for number in 0..=TOKENS_MAX {
        redactor.register_token(&Secret::new(format!("cnry-{number:04}-other")));
    }
    assert_eq!(redactor.scrub("cnry-token"), MASK);
}

#[test]
fn a_secret_that_is_a_form_of_a_token_outlives_it() {
    let redactor = Redactor::default();
    redactor.register_token(&Secret::new("cnry-token".to_owned()));
    let hex = "636e72792d746f6b656e";
    redactor.register(&Secret::new(hex.to_owned()));
    for number in 0..=TOKENS_MAX {
        redactor.register_token(&Secret::new(format!("cnry-{number:04}-other")));
    }
    assert_eq!(redactor.scrub("cnry-token"), "cnry-token", "forgotten");
    assert_eq!(redactor.scrub(hex), MASK);
}

#[test]
fn many_who_bring_the_same_value_at_once_make_one_secret() {
    let redactor = Redactor::default();
    let barrier = Barrier::new(8);
    thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                barrier.wait();
                redactor.register(&Secret::new("cnry-0af3".to_owned()));
            });
        }
    });
    let known = redactor.known.read().unwrap();
    assert_eq!(known.secrets.len(), 1);
    assert_eq!(known.forms.iter().filter(|form| form.is_value).count(), 1);
}

#[test]
fn text_without_a_secret_is_not_copied() {
    let redactor = knowing(&["cnry-0af3"]);
    assert!(matches!(redactor.scrub("nothing here"), std::borrow::Cow::Borrowed("nothing here")));
}

#[test]
fn debug_output_does_not_show_what_it_knows() {
    assert!(!format!("{:?}", knowing(&["cnry-0af3"])).contains("cnry"));
}

/// Writes a value as others do.
type Encoder = fn(&str) -> String;

/// Every usual encoder, each in an implementation that is not ours where there is one.
const ENCODERS: [(&str, Encoder); 16] = [
    ("verbatim", str::to_owned),
    ("form", |value| form_urlencoded::byte_serialize(value.as_bytes()).collect()),
    ("query of an address", |value| {
        let mut url = Url::parse("https://host.example").unwrap();
        url.query_pairs_mut().append_pair("k", value);
        url.query().unwrap()["k=".len()..].to_owned()
    }),
    ("path of an address", |value| {
        let mut url = Url::parse("https://host.example").unwrap();
        url.path_segments_mut().unwrap().push(value);
        url.path()[1..].to_owned()
    }),
    ("password in an address", |value| {
        let mut url = Url::parse("https://host.example").unwrap();
        url.set_password(Some(value)).unwrap();
        url.password().unwrap().to_owned()
    }),
    ("RFC 3986", |value| percent_encoding(value, b"-._~")),
    ("encodeURIComponent", |value| percent_encoding(value, b"-_.!~*'()")),
    ("Python's quote", |value| percent_encoding(value, b"-._~/")),
    ("lower case", |value| percent_encoding(value, b"-._~").to_ascii_lowercase()),
    ("JSON", |value| quoted(&serde_json::to_string(value).unwrap())),
    ("JSON in ASCII", |value| {
        let json = quoted(&serde_json::to_string(value).unwrap());
        let units = json.encode_utf16().map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte < 0x7f => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        });
        units.collect()
    }),
    ("{:?}", |value| quoted(&format!("{value:?}"))),
    ("escape_debug", |value| value.escape_debug().to_string()),
    ("{:?} in JSON", |value| {
        quoted(&serde_json::to_string(&quoted(&format!("{value:?}"))).unwrap())
    }),
    ("hex", |value| value.bytes().map(|byte| format!("{byte:02x}")).collect()),
    ("HEX", |value| value.bytes().map(|byte| format!("{byte:02X}")).collect()),
];

/// Encodes every byte that is neither a letter nor a digit nor among `kept`.
fn percent_encoding(value: &str, kept: &[u8]) -> String {
    let encoded = value.bytes().map(|byte| match byte {
        _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

fn quoted(text: &str) -> String {
    text[1..text.len() - 1].to_owned()
}

proptest! {
    #[test]
    fn no_encoder_brings_a_value_through(value in "[ -~\x00-\x1f\x7f\u{e4}\u{20ac}\u{1f600}]{4,24}") {
        let redactor = knowing(&[&value]);
        for (name, encoder) in ENCODERS {
            let is_another = match name {
                "lower case" => value.contains(|letter: char| letter.is_ascii_uppercase()),
                // They are left out, and what remains may be too short to be searched for.
                "path of an address" => value.contains(['\t', '\n', '\r']),
                _ => false,
            };
            if is_another {
                continue;
            }
            let text = format!("\u{ab}{}\u{bb}", encoder(&value));
            let scrubbed = redactor.scrub(&text);
            prop_assert_eq!(scrubbed, "\u{ab}[redacted]\u{bb}", "{}: {}", name, text);
        }
    }

    #[test]
    fn base64_is_masked_at_any_alignment(
        value in "[ -~]{8,40}", before in "[a-z]{0,5}", after in "[a-z]{0,5}"
    ) {
        let redactor = knowing(&[&value]);
        for encoded in [
            STANDARD.encode(format!("{before}{value}{after}")),
            URL_SAFE.encode(format!("{before}{value}{after}")),
        ] {
            let scrubbed = redactor.scrub(&encoded);
            prop_assert!(scrubbed.contains(MASK), "{encoded}");
            // Left over are at most the characters that the neighbours share.
            prop_assert!(scrubbed.len() <= MASK.len() + before.len() * 2 + after.len() * 2 + 6);
        }
    }

    #[test]
    fn nothing_else_changes(text in "[a-z ]{0,80}") {
        prop_assert_eq!(knowing(&["CNRY-0123456789"]).scrub(&text), text.as_str());
    }
}
