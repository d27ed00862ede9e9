//! Answers of real services, and what is read from them.

use super::*;

fn generic(text: &str) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: text.to_owned().into() }
}

#[track_caller]
fn check(text: &str, trouble: Trouble, kind: ErrorKind) {
    assert_eq!(Trouble::of(&generic(text)), Some(trouble), "{text}");
    assert_eq!(trouble.kind(), kind, "{text}");
}

#[test]
fn an_answer_says_what_is_wrong() {
    let refused = |status: &str, code: &str| {
        format!("Server returned non-2xx status code: {status}: <Error><Code>{code}</Code></Error>")
    };
    for (text, trouble) in [
        (refused("404 Not Found", "NoSuchBucket"), Trouble::NoSuchBucket),
        (refused("404 Not Found", "ContainerNotFound"), Trouble::NoSuchBucket),
        (refused("403 Forbidden", "InvalidAccessKeyId"), Trouble::WrongKey),
        (refused("403 Forbidden", "SignatureDoesNotMatch"), Trouble::WrongKey),
        (refused("403 Forbidden", "AuthenticationFailed"), Trouble::WrongKey),
        (refused("403 Forbidden", "RequestTimeTooSkewed"), Trouble::ClockSkew),
        (refused("403 Forbidden", "AccessDenied"), Trouble::Forbidden),
        (refused("403 Forbidden", "Other"), Trouble::Forbidden),
        (refused("401 Unauthorized", ""), Trouble::NoCredentials),
        (refused("400 Bad Request", "ExpiredToken"), Trouble::NoCredentials),
        (refused("501 Not Implemented", "NotImplemented"), Trouble::NotSupported),
        (refused("501 Not Implemented", ""), Trouble::NotSupported),
        ("invalid peer certificate: UnknownIssuer".to_owned(), Trouble::UnknownAuthority),
        ("invalid peer certificate: BadEncoding".to_owned(), Trouble::BadCertificate),
        ("received corrupt message of type InvalidContentType".to_owned(), Trouble::NotTls),
        ("Client sent an HTTP request to an HTTPS server.".to_owned(), Trouble::TlsWanted),
    ] {
        check(&text, trouble, ErrorKind::Config);
    }
    for (text, trouble) in [
        (refused("503 Service Unavailable", "SlowDown"), Trouble::Throttled),
        (refused("503 Service Unavailable", ""), Trouble::Throttled),
        (refused("500 Internal Server Error", "InternalError"), Trouble::ServerError),
        ("tcp connect error: Connection refused (os error 111)".to_owned(), Trouble::Unreachable),
        ("operation timed out".to_owned(), Trouble::TimedOut),
    ] {
        check(&text, trouble, ErrorKind::Transient);
    }
}

#[test]
fn what_is_about_one_object_is_no_trouble() {
    let source =
        || "Server returned non-2xx status code: 404 Not Found: <Code>NoSuchKey</Code>".into();
    let missing = object_store::Error::NotFound { path: "a".to_owned(), source: source() };
    assert_eq!(Trouble::of(&missing), None);
    let mended = mend(missing, &Secrets::default());
    assert!(matches!(mended, object_store::Error::NotFound { .. }), "{mended}");
}

#[test]
fn a_missing_bucket_never_looks_like_a_missing_object() {
    let source = "<Code>NoSuchBucket</Code>".into();
    let missing = object_store::Error::NotFound { path: "a".to_owned(), source };
    let mended = mend(missing, &Secrets::default());
    assert!(matches!(mended, object_store::Error::Generic { .. }), "{mended}");
    assert_eq!(Trouble::of(&mended), Some(Trouble::NoSuchBucket));
    assert!(mended.to_string().contains("correct the address"), "{mended}");
}

#[test]
fn an_error_shows_no_secret_and_no_endless_page() {
    let secrets = Secrets::default();
    secrets.learn(["cnry-key".to_owned()]);
    let body = format!("<AWSAccessKeyId>cnry-key</AWSAccessKeyId>{}", "é".repeat(5_000));
    let mended = mend(generic(&body), &secrets);
    for shown in [mended.to_string(), format!("{mended:?}")] {
        assert!(!shown.contains("cnry-key"), "{shown}");
        assert!(shown.len() < 3_000, "{} bytes", shown.len());
    }
}
