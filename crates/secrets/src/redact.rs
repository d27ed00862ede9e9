//! Scrubs every known secret, in every form it is usually written in, out of a text.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use crate::Secret;

/// What stands in place of a secret.
const MASK: &str = "[redacted]";

/// Shortest form that is searched for; shorter ones would match by chance.
const FORM_BYTES_MIN: usize = 4;

/// Knows every resolved secret. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret within a secret leaves no remainder.
    forms: Arc<RwLock<Vec<Zeroizing<String>>>>,
}

impl Redactor {
    /// Adds a secret in all its forms: verbatim, percent-encoded, escaped, hex, base64.
    pub fn register(&self, secret: &Secret) {
        let mut forms = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        for form in forms_of(secret.expose()) {
            if FORM_BYTES_MIN <= form.len() && !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// Returns `text` with every known secret masked; the same text when there is none in it.
    #[must_use]
    pub fn scrub<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        let mut scrubbed = Cow::Borrowed(text);
        for form in forms.iter() {
            if scrubbed.contains(form.as_str()) {
                scrubbed = Cow::Owned(scrubbed.replace(form.as_str(), MASK));
            }
        }
        scrubbed
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

fn forms_of(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = vec![
        value.to_owned(),
        percent_encode(value, "0123456789ABCDEF", "%20"),
        percent_encode(value, "0123456789abcdef", "%20"),
        percent_encode(value, "0123456789ABCDEF", "+"),
        escape_json(value),
        value.escape_debug().to_string(),
        // A field logged with `{:?}` by a JSON log is escaped twice.
        escape_json(&value.escape_debug().to_string()),
        value.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
    ];
    for shift in 0..3 {
        forms.push(base64_core(&STANDARD_NO_PAD, value, shift));
        forms.push(base64_core(&URL_SAFE_NO_PAD, value, shift));
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn percent_encode(value: &str, digits: &str, space: &str) -> String {
    let digit = |nibble: u8| char::from(digits.as_bytes()[usize::from(nibble)]);
    let mut encoded = String::new();
    for byte in value.bytes() {
        match byte {
            b' ' => encoded.push_str(space),
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                encoded.push(char::from(byte));
            }
            _ => encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    encoded
}

fn escape_json(value: &str) -> String {
    let mut escaped = String::new();
    for character in value.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ => escaped.push(character),
        }
    }
    escaped
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

#[cfg(test)]
mod tests;
