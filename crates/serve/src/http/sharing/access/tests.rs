//! Tokens and the lines that stand for them.

use axum::http::HeaderValue;

use super::*;

fn ts(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn recipient(name: &str, token: &str, expires: &str) -> Recipient {
    let shares = ["market", "more"].map(str::to_owned).into();
    Recipient { name: name.to_owned(), hash: TokenHash::of(token), shares, expires: ts(expires) }
}

#[test]
fn a_recipient_is_read_as_it_was_written() {
    let written = recipient("desk_1", "a token", "2027-01-31T12:00:00Z");
    let text = written.to_string();
    assert_eq!(Recipient::parse("desk_1", &text), Ok(written));
    assert!(!text.contains("a token"), "{text}");
    assert!(text.starts_with("sha256:"), "{text}");
}

#[test]
fn a_line_that_stands_for_nobody_is_refused_without_being_repeated() {
    let hash = TokenHash::of("x").to_string();
    for (text, expected) in [
        ("", InvalidRecipient::Hash),
        ("mls_cnry-0123456789", InvalidRecipient::Hash),
        (&hash[..70], InvalidRecipient::Hash),
        (&hash.replace("sha256", "md5"), InvalidRecipient::Hash),
        (&format!("sha256:{}", "ä".repeat(32)), InvalidRecipient::Hash),
        (&hash, InvalidRecipient::Shares),
        (&format!("{hash}; shares=market"), InvalidRecipient::Expires),
        (&format!("{hash}; shares=; expires=2027-01-31T12:00:00Z"), InvalidRecipient::Shares),
        (&format!("{hash}; shares=a b; expires=2027-01-31T12:00:00Z"), InvalidRecipient::Shares),
        (&format!("{hash}; shares=market; expires=soon"), InvalidRecipient::Expires),
        (&format!("{hash}; shares=market; cnry-0123"), InvalidRecipient::Unknown),
    ] {
        assert_eq!(Recipient::parse("desk", text), Err(expected), "{text}");
        assert!(!expected.to_string().contains("cnry"));
    }
    let line = recipient("desk", "x", "2027-01-31T12:00:00Z").to_string();
    assert_eq!(Recipient::parse("two desks", &line), Err(InvalidRecipient::Name));
}

#[test]
fn a_token_is_good_until_its_end() {
    let recipients = [
        recipient("old", "first", "2026-01-01T00:00:00Z"),
        recipient("new", "second", "2026-02-01T00:00:00Z"),
    ];
    let now = ts("2026-01-01T00:00:00Z");
    assert_eq!(admit(&recipients, "first", now), Admission::Expired("old"));
    assert_eq!(admit(&recipients, "second", now), Admission::Granted(&recipients[1]));
    for token in ["", "Second", "second ", "first2"] {
        assert_eq!(admit(&recipients, token, now), Admission::Unknown, "{token:?}");
    }
    let before = ts("2025-12-31T23:59:59Z");
    assert_eq!(admit(&recipients, "first", before), Admission::Granted(&recipients[0]));
}

#[test]
fn failures_are_logged_one_by_one_until_there_are_too_many() {
    let failures = Failures::default();
    let at = Duration::from_secs(100);
    for _ in 0..FAILURES_MAX {
        assert_eq!(failures.note(at), Some(0));
    }
    assert_eq!(failures.note(at), None);
    assert_eq!(failures.note(at), None);
    assert_eq!(failures.note(at + FAILURE_EVERY), Some(2), "two went unlogged");
    assert_eq!(failures.note(at + FAILURE_EVERY), None);
    for _ in 0..FAILURES_MAX {
        assert!(failures.note(at + Duration::from_secs(60)).is_some());
    }
}

#[test]
fn a_token_comes_in_one_header() {
    let headers = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers
    };
    for values in [&["Bearer abc"][..], &["bearer  abc "], &["BEARER abc"]] {
        assert_eq!(bearer(&headers(values)), Some("abc"), "{values:?}");
    }
    for values in [&[][..], &["abc"], &["Basic abc"], &["Bearer "], &["Bearer a", "Bearer a"]] {
        assert_eq!(bearer(&headers(values)), None, "{values:?}");
    }
}
