//! The server's half of a SCRAM-SHA-256 exchange (RFC 5802, RFC 7677), as pure steps.
//!
//! An unknown user walks the same path with a verifier that no password fits: the same messages,
//! the same work, the same answer, so a stranger learns no user names.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    roles::Users,
    verifier::{Digest, ITERATIONS, Verifier, hmac_sha256},
};

/// The mechanism that every client knows.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";

/// The same, bound to the TLS connection it runs on.
pub(super) const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// What binds an exchange to the server's certificate, so that nobody between the two can pass it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// There is no TLS, or no hash of its certificate.
    NotOffered,
    /// The client chose the mechanism without.
    Declined,
    /// The client has to name this, by `tls-server-end-point`.
    EndPoint(Vec<u8>),
}

/// Why an exchange ended without a login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// The messages are not SCRAM as we offered it.
    Malformed(&'static str),
    /// The proof does not fit the verifier.
    WrongPassword,
}

/// The exchange after the server's first message.
#[derive(Debug)]
pub(super) struct Challenge {
    verifier: Verifier,
    /// The header of the client's first message, and what the exchange is bound to.
    bound: Vec<u8>,
    client_first_bare: String,
    nonce: String,
    /// What the client must answer.
    pub(super) server_first: String,
}

/// Returns the verifier of `user`, or one that fits no password but looks the same every time.
pub(crate) fn verifier_or_mock(users: &Users, user: &str, mock_key: &[u8]) -> Verifier {
    let salt = hmac_sha256(mock_key, &[b"salt", user.as_bytes()]);
    let mock = Verifier {
        iterations: std::num::NonZeroU32::new(ITERATIONS).expect("the constant is not zero"),
        salt: salt[..16].to_vec(),
        stored_key: hmac_sha256(mock_key, &[b"stored", user.as_bytes()]),
        server_key: hmac_sha256(mock_key, &[b"server", user.as_bytes()]),
    };
    users.get(user).cloned().unwrap_or(mock)
}

/// Answers the client's first message with salt, iterations and a nonce.
pub(super) fn challenge(
    client_first: &[u8],
    verifier: Verifier,
    server_nonce: &str,
    binding: &Binding,
) -> Result<Challenge, Rejected> {
    let text = std::str::from_utf8(client_first).map_err(|_| Rejected::Malformed("not UTF-8"))?;
    let mut parts = text.splitn(3, ',');
    let (Some(flag), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Rejected::Malformed("client-first message is incomplete"));
    };
    check_binding(flag, binding)?;
    if !identity.is_empty() {
        return Err(Rejected::Malformed("another identity was not offered"));
    }
    // The user comes from the startup packet, as in PostgreSQL; `n=` is ignored.
    let client_nonce = bare
        .split(',')
        .find_map(|attribute| attribute.strip_prefix("r="))
        .filter(|nonce| !nonce.is_empty())
        .ok_or(Rejected::Malformed("client-first message has no nonce"))?;
    let nonce = format!("{client_nonce}{server_nonce}");
    let server_first =
        format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
    let mut bound = format!("{flag},,").into_bytes();
    if let Binding::EndPoint(end_point) = binding {
        bound.extend_from_slice(end_point);
    }
    Ok(Challenge { bound, client_first_bare: bare.to_owned(), verifier, nonce, server_first })
}

/// Checks that client and server mean the same. A client that believes that the server has no
/// channel binding, where it has been offered, was told so by somebody in between.
fn check_binding(flag: &str, binding: &Binding) -> Result<(), Rejected> {
    match (flag, binding) {
        ("n", Binding::NotOffered | Binding::Declined)
        | ("y", Binding::NotOffered)
        | ("p=tls-server-end-point", Binding::EndPoint(_)) => Ok(()),
        ("y", Binding::Declined) => {
            Err(Rejected::Malformed("channel binding was offered, and the client did not see it"))
        }
        ("p=tls-server-end-point", _) => Err(Rejected::Malformed("channel binding was not chosen")),
        _ => Err(Rejected::Malformed("an unknown kind of channel binding")),
    }
}

impl Challenge {
    /// Checks the client's proof and returns the server's final message.
    pub(super) fn verify(&self, client_final: &[u8]) -> Result<String, Rejected> {
        let text =
            std::str::from_utf8(client_final).map_err(|_| Rejected::Malformed("not UTF-8"))?;
        let (without_proof, proof) = text
            .rsplit_once(",p=")
            .ok_or(Rejected::Malformed("client-final message has no proof"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|attribute| attribute.strip_prefix("c="));
        if binding != Some(STANDARD.encode(&self.bound).as_str()) {
            return Err(Rejected::Malformed("channel binding differs"));
        }
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) {
            return Err(Rejected::Malformed("nonce differs"));
        }
        let proof = STANDARD
            .decode(proof)
            .ok()
            .and_then(|bytes| Digest::try_from(bytes).ok())
            .ok_or(Rejected::Malformed("proof is not 32 bytes"))?;

        let message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = hmac_sha256(&self.verifier.stored_key, &[message.as_bytes()]);
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let stored: Digest = Sha256::digest(client_key).into();
        if !bool::from(stored.ct_eq(&self.verifier.stored_key)) {
            return Err(Rejected::WrongPassword);
        }
        let server = hmac_sha256(&self.verifier.server_key, &[message.as_bytes()]);
        Ok(format!("v={}", STANDARD.encode(server)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange printed in RFC 7677 §3.
    #[test]
    fn the_exchange_of_the_rfc_succeeds() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = pgwire::api::auth::sasl::scram::gen_salted_password("pencil", &salt, 4096);
        let client_key = hmac_sha256(&salted, &[b"Client Key"]);
        let verifier = Verifier {
            iterations: 4096.try_into().unwrap(),
            salt,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac_sha256(&salted, &[b"Server Key"]),
        };
        let challenge = challenge(
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            verifier,
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            &Binding::NotOffered,
        )
        .unwrap();
        let answer = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(
            challenge.verify(answer.as_bytes()).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let wrong = answer.replace("p=d", "p=e");
        assert_eq!(challenge.verify(wrong.as_bytes()), Err(Rejected::WrongPassword));
        let replayed = answer.replace("k0,", "k1,");
        assert!(matches!(challenge.verify(replayed.as_bytes()), Err(Rejected::Malformed(_))));
    }

    #[test]
    fn an_unknown_user_gets_the_same_salt_every_time() {
        let users = Users::new();
        let first = verifier_or_mock(&users, "nobody", b"key");
        assert_eq!(first, verifier_or_mock(&users, "nobody", b"key"));
        assert_ne!(first.salt, verifier_or_mock(&users, "somebody", b"key").salt);
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        let verifier = verifier_or_mock(&Users::new(), "x", b"key");
        for text in ["", "n", "n,,", "n,,n=x", "p=tls-unique,,n=x,r=1", "n,a=root,n=x,r=1"] {
            assert!(
                challenge(text.as_bytes(), verifier.clone(), "s", &Binding::NotOffered).is_err(),
                "{text}"
            );
        }
        let good = challenge(b"n,,n=,r=c", verifier, "s", &Binding::NotOffered).unwrap();
        for text in ["", "c=biws", "c=biws,r=cs", "c=biws,r=cs,p=", "c=eSws,r=cs,p=AAAA"] {
            assert!(good.verify(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_exchange_is_bound_to_the_certificate_that_the_client_saw() {
        let end_point = |byte| Binding::EndPoint(vec![byte; 32]);
        let verifier = || verifier_or_mock(&Users::new(), "x", b"key");
        let begin = |flag: &str, binding: &Binding| {
            challenge(format!("{flag},,n=,r=c").as_bytes(), verifier(), "s", binding)
        };
        for (flag, binding, is_fine) in [
            ("n", Binding::NotOffered, true),
            ("y", Binding::NotOffered, true),
            ("p=tls-server-end-point", Binding::NotOffered, false),
            ("n", Binding::Declined, true),
            // Somebody in between took the offer away.
            ("y", Binding::Declined, false),
            ("p=tls-server-end-point", Binding::Declined, false),
            ("n", end_point(1), false),
            ("p=tls-unique", end_point(1), false),
            ("p=tls-server-end-point", end_point(1), true),
        ] {
            assert_eq!(begin(flag, &binding).is_ok(), is_fine, "{flag} {binding:?}");
        }
        let bound = begin("p=tls-server-end-point", &end_point(1)).unwrap();
        let answer = |byte: u8| {
            let seen = [b"p=tls-server-end-point,,".as_slice(), &[byte; 32]].concat();
            let proof = STANDARD.encode([0; 32]);
            format!("c={},r=cs,p={proof}", STANDARD.encode(seen))
        };
        // Another certificate is found out before the proof is looked at.
        let differs = Err(Rejected::Malformed("channel binding differs"));
        assert_eq!(bound.verify(answer(2).as_bytes()), differs);
        assert_eq!(bound.verify(answer(1).as_bytes()), Err(Rejected::WrongPassword));
    }
}
