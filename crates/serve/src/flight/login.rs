//! Who asks: a user name and password in the Handshake become a bearer token, which every other
//! call has to show.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use tonic::{Status, metadata::MetadataMap};

use super::{caller::Origin, noted::Notes, refused};
use crate::{
    kept::{Bounds, Kept, Key},
    passwords::{Credentials, Passwords, Rejected},
    postgres::{Standing, Standings, Users},
};

/// The header that carries a password, and afterwards a token.
pub(super) const HEADER: &str = "authorization";

/// A tool logs in once for each of its connections. A token outlives a night's pause and not a
/// weekend.
const TOKENS: Bounds =
    Bounds { entries_max: 1_024, weight_max: usize::MAX, idle_max: Duration::from_secs(12 * 3600) };

/// The roles and the tokens they hold.
pub(super) struct Logins {
    standings: Standings,
    passwords: Passwords,
    tokens: Kept<Arc<Standing>>,
}

/// What a client shows.
enum Shown {
    Password(Credentials),
    Token(String),
}

impl Logins {
    pub(super) fn new(standings: Standings, users: Users, mock_key: [u8; 32]) -> Self {
        Self { standings, passwords: Passwords::new(users, mock_key), tokens: Kept::new(TOKENS) }
    }

    /// Checks a password and returns a token, or the token itself if there is a good one already.
    pub(super) async fn login(
        &self,
        headers: &MetadataMap,
        origin: &Origin,
        notes: &Notes,
    ) -> Result<String, Status> {
        let clock = notes.clock.as_ref();
        match shown(headers) {
            Some(Shown::Password(shown)) => {
                let user = shown.user.clone();
                let checked = self.passwords.check(shown, origin.address, clock, || false).await;
                let checked = checked.map_err(told);
                notes.login(origin, &user, checked.as_ref().err());
                checked?;
                // Nobody proves to be a role that is not there.
                let role = self.standings.get(&user).ok_or_else(refused::wrong_password)?;
                Ok(self.grant(role, rand::random(), clock.monotonic()))
            }
            Some(Shown::Token(token)) => {
                self.holder(&token, clock.monotonic())?;
                Ok(token)
            }
            None => Err(Status::unauthenticated(
                "a user name and password are needed: log in with basic authentication",
            )),
        }
    }

    /// Returns who makes a call.
    pub(super) fn role(
        &self,
        headers: &MetadataMap,
        now: Duration,
    ) -> Result<Arc<Standing>, Status> {
        match shown(headers) {
            Some(Shown::Token(token)) => self.holder(&token, now),
            Some(Shown::Password(_)) => Err(Status::unauthenticated(
                "a password is taken in the Handshake only, which answers with a token",
            )),
            None => Err(Status::unauthenticated(
                "a bearer token is needed: log in with a user name and password first",
            )),
        }
    }

    fn grant(&self, role: &Arc<Standing>, random: [u8; 32], now: Duration) -> String {
        let token = URL_SAFE_NO_PAD.encode(random);
        self.tokens.keep(hash(&token), &role.name, 0, Arc::clone(role), now);
        token
    }

    fn holder(&self, token: &str, now: Duration) -> Result<Arc<Standing>, Status> {
        let found = self.tokens.find(&hash(token), now).map(|(_, role)| role);
        found.ok_or_else(|| {
            Status::unauthenticated("the token is unknown or has expired; log in again")
        })
    }
}

/// What a client is told that is not let in.
fn told(rejected: Rejected) -> Status {
    match rejected {
        Rejected::TooSoon(wait) => refused::must_wait(wait),
        Rejected::Wrong => refused::wrong_password(),
        Rejected::Unchecked => Status::internal("the password could not be checked"),
    }
}

/// Tokens are kept by their hash: whoever reads the memory of the table can show none, and how long
/// a look-up takes says nothing about any of them.
fn hash(token: &str) -> Key {
    Sha256::digest(token).into()
}

/// Reads the header. Two of them, or one that is neither kind, count as none.
fn shown(headers: &MetadataMap) -> Option<Shown> {
    let mut given = headers.get_all(HEADER).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let value = value.to_str().ok()?;
    if let Some((scheme, token)) = value.split_once(' ')
        && scheme.eq_ignore_ascii_case("bearer")
    {
        let token = token.trim();
        return (!token.is_empty()).then(|| Shown::Token(token.to_owned()));
    }
    Credentials::of_basic(value).map(Shown::Password)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use base64::engine::general_purpose::STANDARD;
    use chrono::DateTime;
    use model::ManualClock;

    use super::*;
    use crate::postgres::{Bounds, Verifier};

    fn headers(values: &[&str]) -> MetadataMap {
        let mut headers = MetadataMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        headers
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn logins() -> Logins {
        let mut users = Users::new();
        users.insert("ann", Verifier::from_password("pass: word", b"0123456789abcdef"));
        let bounds =
            Bounds { connections_max: 1, statement_timeout: Duration::from_secs(1), rows_max: 1 };
        let reader = lake::Reader::in_memory(Vec::new()).unwrap();
        Logins::new(users.standings(bounds, &reader), users, [1; 32])
    }

    fn notes() -> Notes {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        Notes { audit: None, is_encrypted: false, clock }
    }

    fn origin() -> Origin {
        Origin { address: IpAddr::from([192, 0, 2, 1]), application: String::new() }
    }

    fn token(logins: &Logins) -> String {
        logins.grant(&logins.standings["ann"], [7; 32], Duration::ZERO)
    }

    #[tokio::test]
    async fn a_password_becomes_a_token_and_nothing_else_does() {
        let (logins, notes, now) = (logins(), notes(), Duration::ZERO);
        let login = async |value: &str| logins.login(&headers(&[value]), &origin(), &notes).await;
        let token = login(&basic("ann:pass: word")).await.unwrap();
        let bearer = format!("Bearer {token}");
        assert_eq!(&*logins.role(&headers(&[&bearer]), now).unwrap().name, "ann");
        assert_eq!(login(&bearer).await.unwrap(), token, "a good token stays as it is");
        assert_ne!(login(&basic("ann:pass: word")).await.unwrap(), token);
        let without_padding = basic("ann:pass: word").trim_end_matches('=').to_owned();
        assert_ne!(without_padding, basic("ann:pass: word"));
        login(&without_padding).await.unwrap();
        for wrong in [
            basic("ann:pass word"),
            basic("bob:pass: word"),
            basic("ann:"),
            basic("ann"),
            basic(":pass: word"),
            "Basic !".to_owned(),
            "Bearer x".to_owned(),
            "Negotiate x".to_owned(),
            "Basic".to_owned(),
        ] {
            let refused = login(&wrong).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{wrong}");
        }
    }

    #[tokio::test]
    async fn guesses_that_come_together_do_not_pass_together() {
        let (logins, notes, origin) = (logins(), notes(), origin());
        let wrong = headers(&[&basic("ann:wrong")]);
        let guesses = (0..14).map(|_| logins.login(&wrong, &origin, &notes));
        let told = futures::future::join_all(guesses).await;
        let codes: Vec<_> = told.into_iter().map(|told| told.unwrap_err().code()).collect();
        let (compared, asked_to_wait) = codes.split_at(10);
        assert_eq!(compared, [tonic::Code::Unauthenticated; 10]);
        assert_eq!(asked_to_wait, [tonic::Code::ResourceExhausted; 4]);
    }

    #[test]
    fn a_token_ends_when_it_is_not_used() {
        let logins = logins();
        let token = token(&logins);
        let bearer = headers(&[&format!("Bearer {token}")]);
        assert!(logins.role(&bearer, TOKENS.idle_max).is_ok());
        assert!(logins.role(&bearer, TOKENS.idle_max * 2).is_ok());
        assert!(logins.role(&bearer, TOKENS.idle_max * 3 + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_call_shows_one_token() {
        let logins = logins();
        let token = token(&logins);
        let bearer = format!("Bearer {token}");
        for values in [vec![], vec![bearer.as_str(), "Bearer x"], vec!["Basic YTpi"], vec![&token]]
        {
            assert!(logins.role(&headers(&values), Duration::ZERO).is_err(), "{values:?}");
        }
    }
}
