//! The forms in which a secret is usually written, each made by the encoder that others use.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Url, form_urlencoded::byte_serialize};
use zeroize::Zeroizing;

/// Shortest line of a value of several lines that is searched for on its own.
const LINE_BYTES_MIN: usize = 32;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Browsers' `encodeURIComponent`.
const COMPONENT: &AsciiSet =
    &RESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// Python's `quote`, which takes a value for a path.
const QUOTED_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Returns the forms of a value, the value itself among them; some may be equal.
pub(super) fn forms_of(value: &str) -> Vec<Zeroizing<String>> {
    let shown = shown(value);
    let mut forms = vec![
        value.to_owned(),
        json(value),
        json_ascii(value),
        shown.clone(),
        value.escape_debug().to_string(),
        // A field logged with `{:?}` by a JSON log is escaped twice.
        json(&shown),
        value.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
        value.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02X}")),
    ];
    for encoded in in_addresses(value) {
        forms.push(in_lower_case(&encoded));
        forms.push(encoded);
    }
    // A private key is often printed line by line. Lines with blanks are prose or settings.
    let lines = value.lines().map(str::trim).filter(|line| LINE_BYTES_MIN <= line.len());
    forms.extend(lines.filter(|line| !line.contains(' ')).map(str::to_owned));
    for shift in 0..3 {
        forms.push(base64_core(&STANDARD_NO_PAD, value, shift));
        forms.push(base64_core(&URL_SAFE_NO_PAD, value, shift));
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

/// Returns a value as it stands in addresses.
fn in_addresses(value: &str) -> Vec<String> {
    let percent = |set| utf8_percent_encode(value, set).to_string();
    let mut forms = vec![
        percent(RESERVED),
        percent(COMPONENT),
        percent(QUOTED_PATH),
        // Browsers' and `reqwest`'s forms, which encode the tilde, and others, which do not.
        byte_serialize(value.as_bytes()).collect(),
        percent(RESERVED).replace("%20", "+"),
    ];
    // The URL standard has rules of its own for each part of an address.
    if let Ok(mut url) = Url::parse("https://host/") {
        if url.set_password(Some(value)).is_ok() {
            forms.extend(url.password().map(str::to_owned));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(value);
        }
        forms.extend(url.path().get(1..).map(str::to_owned));
    }
    forms
}

/// Returns a text as `{:?}` writes it, without the quotes.
fn shown(text: &str) -> String {
    inner(&format!("{text:?}"))
}

/// Returns a text as it stands in JSON, without the quotes.
fn json(text: &str) -> String {
    inner(&serde_json::Value::from(text).to_string())
}

/// The same of writers that escape all but ASCII, as Python's does.
fn json_ascii(text: &str) -> String {
    let mut ascii = String::new();
    for character in json(text).chars() {
        if character.is_ascii() && character != '\x7f' {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

fn inner(quoted: &str) -> String {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// Returns a percent-encoded text with the digits of its escapes in lower case.
fn in_lower_case(encoded: &str) -> String {
    let mut digits = 0;
    let lower = encoded.chars().map(|character| {
        if character == '%' {
            digits = 2;
            return character;
        }
        let is_digit = 0 < digits;
        digits -= i32::from(is_digit);
        if is_digit { character.to_ascii_lowercase() } else { character }
    });
    lower.collect()
}

/// Returns the characters of a base64 text that depend on `value` alone when `shift` bytes stand
/// before it (as `user:` does in a Basic header) and anything may follow.
fn base64_core(engine: &impl Engine, value: &str, shift: usize) -> String {
    let mut bytes = Zeroizing::new(vec![0; shift]);
    bytes.extend_from_slice(value.as_bytes());
    let encoded = Zeroizing::new(engine.encode(&*bytes));
    // `shift` bytes reach into the first ceil(shift * 8 / 6) characters.
    let first = (shift * 8).div_ceil(6);
    // A last, incomplete group of six bits also depends on what follows.
    let last = bytes.len() * 8 / 6;
    encoded.get(first..last).unwrap_or_default().to_owned()
}
