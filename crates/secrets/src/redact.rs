//! Scrubs every known secret, in every form it is usually written in, out of a text.

use std::{
    borrow::Cow,
    collections::VecDeque,
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

/// Most secrets that are remembered: ten times what a large configuration refers to, so that only
/// values that were rotated away long ago are ever forgotten.
const SECRETS_MAX: usize = 1000;

/// Most tokens that are remembered. A session gets a new one every hour or so, for months; the
/// oldest have long ended when as many newer ones were seen.
const TOKENS_MAX: usize = 100;

/// Shortest line of a value of several lines that is searched for on its own.
const LINE_BYTES_MIN: usize = 32;

/// Knows every resolved secret. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// Longest first, so that a secret within a secret leaves no remainder.
    forms: Vec<Form>,
    /// The number of the next secret.
    next: u64,
    /// The secrets in the order in which they were met, without their values.
    secrets: VecDeque<u64>,
    /// The same of tokens, so that they push no secret out.
    tokens: VecDeque<u64>,
}

struct Form {
    text: Zeroizing<String>,
    /// The secret that it is a form of.
    secret: u64,
}

impl Redactor {
    /// Adds a secret in all its forms: verbatim, percent-encoded, escaped, hex, base64.
    pub fn register(&self, secret: &Secret) {
        self.add(secret, |known| (&mut known.secrets, SECRETS_MAX));
    }

    /// Adds a token of a session, which is forgotten again when many newer ones were seen.
    pub fn register_token(&self, token: &Secret) {
        self.add(token, |known| (&mut known.tokens, TOKENS_MAX));
    }

    fn add(&self, secret: &Secret, order: impl Fn(&mut Known) -> (&mut VecDeque<u64>, usize)) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        // Most calls bring a value that is known already, and must not hold up the log.
        if known.forms.iter().any(|form| form.text.as_str() == secret.expose()) {
            return;
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let number = known.next;
        known.next += 1;
        for text in forms_of(secret.expose()) {
            let is_new = !known.forms.iter().any(|form| form.text == text);
            if FORM_BYTES_MIN <= text.len() && is_new {
                known.forms.push(Form { text, secret: number });
            }
        }
        known.forms.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
        let (order, most) = order(&mut known);
        order.push_back(number);
        let oldest = if most < order.len() { order.pop_front() } else { None };
        if let Some(oldest) = oldest {
            known.forms.retain(|form| form.secret != oldest);
        }
    }

    /// Returns `text` with every known secret masked; the same text when there is none in it.
    #[must_use]
    pub fn scrub<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut scrubbed = Cow::Borrowed(text);
        for form in &known.forms {
            if scrubbed.contains(form.text.as_str()) {
                scrubbed = Cow::Owned(scrubbed.replace(form.text.as_str(), MASK));
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
        value.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02X}")),
    ];
    // A private key is often printed line by line. Lines with blanks are prose or settings.
    let lines = value.lines().map(str::trim).filter(|line| LINE_BYTES_MIN <= line.len());
    forms.extend(lines.filter(|line| !line.contains(' ')).map(str::to_owned));
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
            '\0'..='\x1f' => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
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
