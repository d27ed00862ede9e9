//! Every form of body that the vendor and the gateways in front of it are known to send.

use super::*;

/// Shows a body as its rows, `error code | message`, or `no page: why`.
#[track_caller]
fn check(body: &[u8], expected: &str) {
    let shown = match read(&Bytes::copy_from_slice(body), "eod") {
        Body::Rows { pagination, rows } => {
            let rows: Vec<_> =
                rows.iter().map(|row| String::from_utf8_lossy(row).into_owned()).collect();
            let total = pagination.map_or("-".to_owned(), |page| page.total.to_string());
            format!("{total}: {}", rows.join(" ; "))
        }
        Body::Error(error) => {
            let error = error.cleaned(&AccessKey::new(String::new()));
            format!("error {} | {}", error.code, error.message)
        }
        Body::NoPage(problem) => format!("no page: {problem}"),
    };
    assert_eq!(shown, expected, "{:?}", String::from_utf8_lossy(body));
}

#[test]
fn reads_the_five_envelopes() {
    let pagination = r#""pagination":{"limit":100,"offset":0,"count":2,"total":7}"#;
    check(
        format!(r#"{{{pagination},"data":[{{"a":1.50}}, {{"a":2}}]}}"#).as_bytes(),
        r#"7: {"a":1.50} ; {"a":2}"#,
    );
    check(
        format!(r#"{{{pagination},"data":{{"name":"x","eod":[{{"a":1}}]}}}}"#).as_bytes(),
        r#"7: {"a":1}"#,
    );
    check(br#"{"data":{"price":"1"}}"#, r#"-: {"price":"1"}"#);
    check(br#"{"data":[{"price":"1"},{"price":"2"}]}"#, r#"-: {"price":"1"} ; {"price":"2"}"#);
    check(br#"{"symbol":"AAPL","name":"Apple"}"#, r#"-: {"symbol":"AAPL","name":"Apple"}"#);
    check(br#" [{"benchmark":"x"}] "#, r#"-: {"benchmark":"x"}"#);
    check(b"\xef\xbb\xbf[1]", "-: 1");
    check(br#"{"pagination":{"limit":1,"offset":0,"count":0,"total":0},"data":[]}"#, "0: ");
}

#[test]
fn reads_every_form_of_error() {
    check(
        br#"{"error":{"code":"rate_limit_reached","message":"Too fast."}}"#,
        "error rate_limit_reached | Too fast.",
    );
    check(
        br#"{"error":{"code":"validation_error","message":"No.","context":{"symbols":[{"key":"missing_symbols","message":"None given."}]}}}"#,
        "error validation_error | No.; missing_symbols: None given.",
    );
    check(
        br#"{"error":{"code":"validation_error","message":"No.","context":[{"key":"symbols","message":"At least 1."}]}}"#,
        "error validation_error | No.; symbols: At least 1.",
    );
    check(
        br#"{"success":false,"error":{"code":101,"type":"missing_access_key","info":"No key."}}"#,
        "error missing_access_key | No key.",
    );
    check(br#"{"error":{"code":104}}"#, "error 104 | ");
    check(br#"{"detail":"Nothing there."}"#, "error none | Nothing there.");
    check(br#"{"success":false}"#, "error none | success is false");
    check(br#"{"error":"plain text"}"#, "error none | plain text");
    // With HTTP 200, in front of data: still an error.
    check(
        br#"{"data":[],"error":{"code":"internal_error","message":"x\n y"}}"#,
        "error internal_error | x  y",
    );
    check(br#"{"data":[{"a":1}],"error":null}"#, r#"-: {"a":1}"#);
}

#[test]
fn no_part_of_a_key_survives_the_cut() {
    let key = AccessKey::new("cnry-0123456789abcdef".to_owned());
    for padding in 270..310 {
        let echo = format!("{}cnry-0123456789abcdef", "x".repeat(padding));
        let body = format!(r#"{{"error":{{"code":"{echo}","message":"{echo}"}}}}"#);
        let Body::Error(error) = read(&Bytes::from(body), "eod") else {
            panic!("an error is read as one");
        };
        let VendorError { code, message } = error.cleaned(&key);
        assert!(!code.contains('c') && !message.contains('c'), "{padding}: {message}");
        assert!(message.chars().count() <= MESSAGE_CHARS_MAX);
    }
}

#[test]
fn refuses_what_is_no_page() {
    check(b"", "no page: it is empty");
    check(b" \n", "no page: it is empty");
    check(
        b"<html><body>Service Unavailable</body></html>",
        "no page: it is no JSON, or ends early",
    );
    check(
        br#"{"pagination":{"limit":100,"offset":0,"count":1,"total":1},"data":[{"a":1}"#,
        "no page: it is no JSON, or ends early",
    );
    check(
        br#"{"pagination":{"limit":100},"data":[]}"#,
        "no page: its pagination is not four counts",
    );
    check(br#"{"data":null}"#, "no page: its data is no list and no object");
    check(b"\"text\"", "no page: it is no JSON object and no list");
    check(b"[1,]", "no page: its list is no JSON");
    check(b"{1:2}", "no page: its object is no JSON");
}

#[track_caller]
fn check_row(bytes: &[u8], expected: (Option<&str>, Option<&str>, Option<&str>)) {
    let row = read_row(Bytes::copy_from_slice(bytes));
    let ts = row.ts.map(|ts| ts.to_rfc3339());
    assert_eq!((row.symbol.as_deref(), ts.as_deref(), row.mic.as_deref()), expected);
    assert_eq!(row.bytes, bytes, "the bytes are the vendor's");
}

#[test]
fn reads_what_tells_a_row_apart() {
    check_row(
        br#"{"open":1e400,"symbol":"AAPL","exchange":"XNAS","date":"2024-08-20T19:59:00+0000"}"#,
        (Some("AAPL"), Some("2024-08-20T19:59:00+00:00"), Some("XNAS")),
    );
    check_row(
        br#"{"date":"2021-05-24","symbol":"IAU"}"#,
        (Some("IAU"), Some("2021-05-24T00:00:00+00:00"), None),
    );
    check_row(br#"{"ticker":"AAPL"}"#, (Some("AAPL"), None, None));
    check_row(br#"{"mic":"XNAS","name":"NASDAQ"}"#, (Some("XNAS"), None, None));
}

#[test]
fn a_row_that_cannot_be_read_is_handed_on() {
    check_row(b"[]", (None, None, None));
    check_row(br#"["AAPL","X"]"#, (None, None, None));
    check_row(b"null", (None, None, None));
    check_row(b"{\"symbol\":\"\xff\"}", (None, None, None));
    check_row(
        br#"{"symbol":5,"date":"2024-08-20"}"#,
        (None, Some("2024-08-20T00:00:00+00:00"), None),
    );
    check_row(br#"{"symbol":"A","symbol":"B"}"#, (None, None, None));
    check_row(br#"{"symbol":"AAPL","date":"yesterday"}"#, (Some("AAPL"), None, None));
    let deep = format!(r#"{{"symbol":"A","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    check_row(deep.as_bytes(), (Some("A"), None, None));
}
