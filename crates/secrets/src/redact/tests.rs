//! Whatever form a canary is written in, none of it comes through.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{MASK, Redactor, TOKENS_MAX};
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
fn text_without_a_secret_is_not_copied() {
    let redactor = knowing(&["cnry-0af3"]);
    assert!(matches!(redactor.scrub("nothing here"), std::borrow::Cow::Borrowed("nothing here")));
}

#[test]
fn debug_output_does_not_show_what_it_knows() {
    assert!(!format!("{:?}", knowing(&["cnry-0af3"])).contains("cnry"));
}

proptest! {
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
