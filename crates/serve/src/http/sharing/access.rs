//! Who may read: bearer tokens, of which only a hash is kept, each with its shares and its end.

use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Refused, Share, State};
use crate::http::{App, login::Known};

/// Longest token that is looked at; ours have 47 characters.
const TOKEN_BYTES_MAX: usize = 256;

/// What a hash begins with in the settings.
const HASH_PREFIX: &str = "sha256:";

/// Whether a text can name a share or a recipient: it stands in addresses and settings.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// What is kept of a token. A token is 256 random bits: nobody finds it again from its hash, however
/// quick the hash is.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl FromStr for TokenHash {
    type Err = InvalidRecipient;

    fn from_str(text: &str) -> Result<Self, InvalidRecipient> {
        let digits = text.strip_prefix(HASH_PREFIX).ok_or(InvalidRecipient::Hash)?;
        let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Err(InvalidRecipient::Hash);
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte =
                u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| InvalidRecipient::Hash)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HASH_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Somebody with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// What the log calls them.
    pub name: String,
    /// The hash of their token.
    pub hash: TokenHash,
    /// The names of the shares that they see.
    pub shares: BTreeSet<String>,
    /// When their token ends.
    pub expires: DateTime<Utc>,
}

/// Why a text describes no recipient. Never holds the text: it may be the token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecipient {
    /// The name could not stand in settings.
    #[error("a recipient's name must be 1 to 64 letters, digits, `_`, `-`")]
    Name,
    /// There is no hash where it belongs.
    #[error(
        "must begin with `sha256:` and 64 hexadecimal digits; `marketlake sharing token` makes a \
         token and the line that belongs here"
    )]
    Hash,
    /// There is no share where it belongs.
    #[error("must name shares, such as `shares=market`, several with a comma between")]
    Shares,
    /// There is no moment where it belongs.
    #[error("must say when the token ends, such as `expires=2027-01-31T00:00:00Z`")]
    Expires,
    /// There is something else.
    #[error("has a part that is neither the hash, `shares=…` nor `expires=…`")]
    Unknown,
}

impl Recipient {
    /// Reads what [`Recipient`]'s `Display` writes: `sha256:…; shares=a,b; expires=…`.
    ///
    /// # Errors
    /// A part is missing or wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, InvalidRecipient> {
        if !is_name(name) {
            return Err(InvalidRecipient::Name);
        }
        let mut parts = text.split(';').map(str::trim);
        let hash = parts.next().unwrap_or_default().parse()?;
        let (mut shares, mut expires) = (BTreeSet::new(), None);
        for part in parts.filter(|part| !part.is_empty()) {
            match part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("shares", names)) => {
                    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
                    shares.extend(names.map(str::to_owned));
                }
                Some(("expires", ts)) => {
                    let ts = DateTime::parse_from_rfc3339(ts);
                    expires = Some(ts.map_err(|_| InvalidRecipient::Expires)?.to_utc());
                }
                _ => return Err(InvalidRecipient::Unknown),
            }
        }
        if shares.is_empty() || !shares.iter().all(|share| is_name(share)) {
            return Err(InvalidRecipient::Shares);
        }
        let expires = expires.ok_or(InvalidRecipient::Expires)?;
        Ok(Self { name: name.to_owned(), hash, shares, expires })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares: Vec<&str> = self.shares.iter().map(String::as_str).collect();
        let expires = self.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "{}; shares={}; expires={expires}", self.hash, shares.join(","))
    }
}

/// What a token is worth.
#[derive(Debug, PartialEq, Eq)]
enum Admission<'a> {
    Granted(&'a Recipient),
    /// Whose it was.
    Expired(&'a str),
    Unknown,
}

/// Looks a token up. Every hash is compared whole: the time tells nothing about any of them.
fn admit<'a>(recipients: &'a [Recipient], token: &str, now: DateTime<Utc>) -> Admission<'a> {
    let presented = TokenHash::of(token);
    let mut found = None;
    for recipient in recipients {
        if bool::from(presented.0.ct_eq(&recipient.hash.0)) {
            found = Some(recipient);
        }
    }
    match found {
        Some(recipient) if now < recipient.expires => Admission::Granted(recipient),
        Some(recipient) => Admission::Expired(&recipient.name),
        None => Admission::Unknown,
    }
}

/// Failures in a row that are answered and logged one by one: a tool that was given a wrong token
/// tries it a few times.
const FAILURES_MAX: u64 = 10;
/// After that one more for each of these.
const FAILURE_EVERY: Duration = Duration::from_secs(1);

/// Bounds what wrong tokens cost and log. A good token is never held up by the wrong ones of others:
/// guessing 256 bits needs no bound.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// When the room for failures is whole again, and how many were not logged since.
    state: Mutex<(Duration, u64)>,
}

impl Failures {
    /// Counts a failure; returns how many before it went unlogged, or `None` if this one has to.
    fn note(&self, now: Duration) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (whole, silent) = *state;
        let next = whole.max(now) + FAILURE_EVERY;
        if now + FAILURE_EVERY * u32::try_from(FAILURES_MAX).unwrap_or(u32::MAX) < next {
            *state = (whole, silent + 1);
            return None;
        }
        *state = (next, 0);
        Some(silent)
    }
}

/// The recipient of a request whose token is good, with what they may see.
#[derive(Debug)]
pub(super) struct Caller {
    app: Arc<App>,
    pub(super) recipient: Recipient,
}

impl Caller {
    pub(super) fn state(&self) -> Result<&State, Refused> {
        self.app.sharing.as_ref().ok_or_else(Refused::off)
    }

    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// Returns the shares that the recipient sees, sorted by name.
    pub(super) fn shares(&self) -> Result<Vec<&Share>, Refused> {
        let sees = |share: &&Share| {
            let name = &share.name;
            self.recipient.shares.iter().any(|seen| seen.eq_ignore_ascii_case(name))
        };
        let mut shares: Vec<&Share> = self.state()?.sharing.shares.iter().filter(sees).collect();
        shares.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(shares)
    }

    /// Returns one of those shares.
    pub(super) fn share(&self, name: &str) -> Result<&Share, Refused> {
        let shares = self.shares()?;
        let found = shares.into_iter().find(|share| share.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Refused::not_found(format!("no share `{}`", crate::http::reply::echo(name)))
        })
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let state = app.sharing.as_ref().ok_or_else(Refused::off)?;
        let Some(token) = bearer(&parts.headers) else {
            return Err(Refused::unauthenticated(
                "a bearer token is needed: see your profile file",
            ));
        };
        match admit(&state.sharing.recipients, token, app.clock.now()) {
            Admission::Granted(recipient) => {
                if let Some(Known(known)) = parts.extensions.get() {
                    known.cancel();
                }
                Ok(Self { app: Arc::clone(app), recipient: recipient.clone() })
            }
            refused => Err(refuse(state, &refused, app.clock.monotonic())),
        }
    }
}

/// Logs a refused token without the token, unless too many were logged just now.
fn refuse(state: &State, refused: &Admission<'_>, now: Duration) -> Refused {
    let Some(unlogged) = state.failures.note(now) else {
        return Refused::too_many_failures();
    };
    match refused {
        Admission::Expired(recipient) => {
            tracing::warn!(recipient, unlogged, "refused an expired sharing token");
            Refused::unauthenticated("the token has expired; ask for a new profile file")
        }
        _ => {
            tracing::warn!(unlogged, "refused an unknown sharing token");
            Refused::unauthenticated("the token is not known here")
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let is_usable = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    (is_usable && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

#[cfg(test)]
mod tests;
