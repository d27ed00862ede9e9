//! SCRAM-SHA-256 verifiers: what is kept of a password, in PostgreSQL's own notation.

use std::{fmt, num::NonZeroU32};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use pgwire::api::auth::sasl::scram::gen_salted_password;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Error;

/// Three times PostgreSQL's default: a stolen verifier then costs an attacker a few hundred
/// guesses per second and core, and a client still needs only some milliseconds to log in.
pub const ITERATIONS: u32 = 15_000;

/// Fewer than RFC 7677 asks for: such a verifier was not made by a serious program.
const ITERATIONS_MIN: u32 = 4_096;

/// More would let a bad verifier file burn minutes in every client that connects.
const ITERATIONS_MAX: u32 = 10_000_000;

const SCHEME: &str = "SCRAM-SHA-256";

pub(super) type Digest = [u8; 32];

/// Proof that somebody knows a password, without the password.
///
/// Text form: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, base64 inside, the
/// notation of `pg_authid.rolpassword`. It logs nobody in by itself, but whoever reads it can
/// guess passwords offline and can pose as this server: keep its file private.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(super) iterations: NonZeroU32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Digest,
    pub(super) server_key: Digest,
}

impl Verifier {
    /// Derives the verifier of `password`; `salt` must be random, at least 16 bytes.
    ///
    /// Takes some milliseconds of processor time.
    #[must_use]
    pub fn from_password(password: &str, salt: &[u8]) -> Self {
        let iterations = NonZeroU32::new(ITERATIONS).expect("the constant is not zero");
        let salted = gen_salted_password(password, salt, ITERATIONS as usize);
        let client_key = hmac_sha256(&salted, &[b"Client Key"]);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac_sha256(&salted, &[b"Server Key"]),
        }
    }

    /// Whether `password` is the one, for clients that send it as it is. Takes some milliseconds,
    /// as long for a wrong one as for the right one.
    pub(crate) fn fits(&self, password: &str) -> bool {
        let iterations = usize::try_from(self.iterations.get()).unwrap_or(usize::MAX);
        let salted = gen_salted_password(password, &self.salt, iterations);
        let client_key = hmac_sha256(&salted, &[b"Client Key"]);
        let stored_key: Digest = Sha256::digest(client_key).into();
        stored_key.ct_eq(&self.stored_key).into()
    }

    /// Parses the text form.
    ///
    /// # Errors
    /// The text is not a SCRAM-SHA-256 verifier, or its iteration count is out of reason.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |problem| Error::Verifier { problem };
        let rest = text
            .trim()
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix('$'))
            .ok_or_else(|| invalid("does not begin with `SCRAM-SHA-256$`"))?;
        let (cost, keys) = rest.split_once('$').ok_or_else(|| invalid("has no keys"))?;
        let (iterations, salt) = cost.split_once(':').ok_or_else(|| invalid("has no salt"))?;
        let (stored, server) = keys.split_once(':').ok_or_else(|| invalid("has one key"))?;
        let iterations = iterations
            .parse::<u32>()
            .ok()
            .filter(|count| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(count))
            .and_then(NonZeroU32::new)
            .ok_or_else(|| invalid("has an iteration count outside 4096 to 10000000"))?;
        let salt = STANDARD.decode(salt).map_err(|_| invalid("has a salt that is not base64"))?;
        let key =
            |text: &str| STANDARD.decode(text).ok().and_then(|bytes| Digest::try_from(bytes).ok());
        Ok(Self {
            iterations,
            salt,
            stored_key: key(stored).ok_or_else(|| invalid("has a damaged stored key"))?,
            server_key: key(server).ok_or_else(|| invalid("has a damaged server key"))?,
        })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SCHEME}${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

/// HMAC-SHA-256 over the concatenation of `parts`.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_survives_its_text_form() {
        let verifier = Verifier::from_password("correct horse", b"0123456789abcdef");
        let text = verifier.to_string();
        assert!(text.starts_with("SCRAM-SHA-256$15000:"), "{text}");
        assert_eq!(Verifier::parse(&text).unwrap(), verifier);
        assert!(!text.contains("correct"), "the password is not in it");
    }

    #[test]
    fn only_the_password_itself_fits() {
        let verifier = Verifier::from_password("correct horse", b"0123456789abcdef");
        assert!(verifier.fits("correct horse"));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!verifier.fits(wrong), "{wrong}");
        }
    }

    #[test]
    fn damaged_verifiers_are_refused() {
        let good = Verifier::from_password("x", b"0123456789abcdef").to_string();
        for bad in [
            String::new(),
            "md5abc".to_owned(),
            good.replace("15000", "1"),
            good.replace("15000", "4000000000"),
            good[..good.len() - 4].to_owned(),
            good.replacen('$', ":", 2),
        ] {
            assert!(Verifier::parse(&bad).is_err(), "{bad}");
        }
    }
}
