//! Who asks: a user name and password in the Handshake become a bearer token, which every other
//! call has to show.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD},
    },
};
use model::Clock;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tonic::{Status, metadata::MetadataMap};

use super::{
    caller::Origin,
    kept::{Bounds, Kept, Key},
    noted::Notes,
    refused,
};
use crate::postgres::{Standing, Standings, Throttle, Users, verifier_or_mock};

/// The header that carries a password, and afterwards a token.
pub(super) const HEADER: &str = "authorization";

/// Clients written in Go leave out the padding, others do not.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Passwords that are checked at a time. Each takes some milliseconds of a processor, and who asks
/// is nobody yet: the others wait, and the engine keeps its threads. No more than one, so that each
/// guess is counted before the next is let through.
const CHECKS_MAX: usize = 1;

/// Longest password that is looked at; the longest that people and programs make up have 128.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// A tool logs in once for each of its connections. A token outlives a night's pause and not a
/// weekend.
const TOKENS: Bounds =
    Bounds { entries_max: 1_024, weight_max: usize::MAX, idle_max: Duration::from_secs(12 * 3600) };

/// The roles and the tokens they hold.
pub(super) struct Logins {
    standings: Standings,
    users: Users,
    /// Makes up verifiers for users that do not exist.
    mock_key: [u8; 32],
    tokens: Kept<Arc<Standing>>,
    checks: Arc<Semaphore>,
    throttle: Arc<Mutex<Throttle>>,
}

/// What a client shows.
enum Shown {
    Password { user: String, password: String },
    Token(String),
}

impl Logins {
    pub(super) fn new(standings: Standings, users: Users, mock_key: [u8; 32]) -> Self {
        let (tokens, checks) = (Kept::new(TOKENS), Arc::new(Semaphore::new(CHECKS_MAX)));
        Self { standings, users, mock_key, tokens, checks, throttle: Arc::default() }
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
            Some(Shown::Password { user, password }) => {
                let checked = self.check(&user, password, origin.address, clock).await;
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
            Some(Shown::Password { .. }) => Err(Status::unauthenticated(
                "a password is taken in the Handshake only, which answers with a token",
            )),
            None => Err(Status::unauthenticated(
                "a bearer token is needed: log in with a user name and password first",
            )),
        }
    }

    /// Lets a password pass, or says why not. Whether it has to wait is asked when its turn has come,
    /// or guesses that come together would pass together. An unknown user costs as much time as a
    /// known one.
    async fn check(
        &self,
        user: &str,
        password: String,
        address: IpAddr,
        clock: &dyn Clock,
    ) -> Result<(), Status> {
        let failed = || Status::internal("the password could not be checked");
        let turn = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| failed())?;
        if let Some(wait) = self.patience(address, user, clock.monotonic()) {
            return Err(refused::must_wait(wait));
        }
        let verifier = verifier_or_mock(&self.users, user, &self.mock_key);
        let (throttle, name) = (Arc::clone(&self.throttle), user.to_owned());
        let now = clock.monotonic();
        let check = move || {
            let fits = verifier.fits(&password);
            let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
            if fits {
                throttle.succeeded(address, &name);
            } else {
                throttle.failed(address, &name, now);
            }
            // The turn ends with the work: who hangs up does not end that.
            drop(turn);
            fits
        };
        let fits = tokio::task::spawn_blocking(check).await.map_err(|_| failed())?;
        if fits { Ok(()) } else { Err(refused::wrong_password()) }
    }

    /// How long somebody has to wait before the next guess.
    fn patience(&self, address: IpAddr, user: &str, now: Duration) -> Option<Duration> {
        let throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.wait(address, user, now)
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

/// Tokens are kept by their hash: whoever reads the memory of the table can show none, and how long
/// a look-up takes says nothing about any of them.
fn hash(token: &str) -> Key {
    Sha256::digest(token).into()
}

/// Reads the header. Two of them, or one that is neither kind, count as none.
fn shown(headers: &MetadataMap) -> Option<Shown> {
    let mut given = headers.get_all(HEADER).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty()).then(|| Shown::Token(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASIC.decode(rest).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let is_usable = !user.is_empty() && password.len() <= PASSWORD_BYTES_MAX;
    is_usable.then(|| Shown::Password { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
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
        format!("Basic {}", BASIC.encode(text))
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
