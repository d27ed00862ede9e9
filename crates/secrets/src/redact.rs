//! Scrubs every known secret, in every form it is usually written in, out of a text.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use zeroize::Zeroizing;

use crate::Secret;

mod forms;

use forms::forms_of;

/// What stands in place of a secret.
const MASK: &str = "[redacted]";

/// Shortest secret, and shortest form of one, that is searched for; shorter ones would match by
/// chance.
const FORM_BYTES_MIN: usize = 4;

/// Most secrets that are remembered: ten times what a large configuration refers to, so that only
/// values that were rotated away long ago are ever forgotten.
const SECRETS_MAX: usize = 1000;

/// Most tokens that are remembered. A session gets a new one every hour or so, for months; the
/// oldest have long ended when as many newer ones were seen.
const TOKENS_MAX: usize = 100;

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
    /// The secrets without their values, those that were not met for longest first.
    secrets: VecDeque<u64>,
    /// The same of tokens, so that they push no secret out.
    tokens: VecDeque<u64>,
}

struct Form {
    text: Zeroizing<String>,
    /// The secret that it is a form of. Two secrets may share a form, and each has its own, so that
    /// one can be forgotten without the other.
    secret: u64,
    /// Whether it is the secret itself.
    is_value: bool,
}

/// How long something is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Token,
    Secret,
}

impl Redactor {
    /// Adds a secret in all its forms: verbatim, percent-encoded, escaped, hex, base64.
    pub fn register(&self, secret: &Secret) {
        self.add(secret, Rank::Secret);
    }

    /// Adds a token of a session, which is forgotten again when many newer ones were seen.
    pub fn register_token(&self, token: &Secret) {
        self.add(token, Rank::Token);
    }

    fn add(&self, secret: &Secret, rank: Rank) {
        if secret.expose().len() < FORM_BYTES_MIN {
            return;
        }
        // Most calls bring a value that was met a moment ago, and must not hold up the log.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.number_of(secret).is_some_and(|number| known.is_settled(number, rank)) {
            return;
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Looked up again: another caller may have brought the same value meanwhile.
        let number = known.number_of(secret).unwrap_or_else(|| known.add(secret));
        known.meet(number, rank);
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

impl Known {
    /// Returns the number of a secret that is known as such, not as a form of another.
    fn number_of(&self, secret: &Secret) -> Option<u64> {
        let is_it = |form: &&Form| form.is_value && form.text.as_str() == secret.expose();
        self.forms.iter().find(is_it).map(|form| form.secret)
    }

    /// Returns whether a secret has its rank and is far from being forgotten.
    fn is_settled(&self, number: u64, rank: Rank) -> bool {
        let is_recent = |order: &VecDeque<u64>, most: usize| {
            order.iter().rev().take(most / 2).any(|recent| *recent == number)
        };
        is_recent(&self.secrets, SECRETS_MAX)
            || rank == Rank::Token && is_recent(&self.tokens, TOKENS_MAX)
    }

    /// Adds the forms of a secret; returns its number.
    fn add(&mut self, secret: &Secret) -> u64 {
        let number = self.next;
        self.next += 1;
        let mut forms = forms_of(secret.expose());
        forms.retain(|text| FORM_BYTES_MIN <= text.len());
        forms.sort_by(|left, right| left.as_str().cmp(right.as_str()));
        forms.dedup_by(|left, right| left.as_str() == right.as_str());
        self.forms.extend(forms.into_iter().map(|text| {
            let is_value = text.as_str() == secret.expose();
            Form { text, secret: number, is_value }
        }));
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
        number
    }

    /// Notes that a secret was met just now; what was once a secret never becomes a token.
    fn meet(&mut self, number: u64, rank: Rank) {
        let secrets = self.secrets.len();
        self.secrets.retain(|known| *known != number);
        self.tokens.retain(|known| *known != number);
        let was_secret = self.secrets.len() < secrets;
        let (order, most) = match rank {
            Rank::Token if !was_secret => (&mut self.tokens, TOKENS_MAX),
            _ => (&mut self.secrets, SECRETS_MAX),
        };
        order.push_back(number);
        let oldest = if most < order.len() { order.pop_front() } else { None };
        if let Some(oldest) = oldest {
            self.forms.retain(|form| form.secret != oldest);
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
