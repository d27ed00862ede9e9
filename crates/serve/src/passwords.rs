//! Passwords that clients send as they are: judged in one way behind every door that takes them.
//!
//! The SQL port never sees one, for there a client proves that it knows it; users and verifiers are the
//! same.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use model::Clock;
use tokio::sync::Semaphore;

use crate::postgres::{Throttle, Users, verifier_or_mock};

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

/// Who somebody says they are, and the password that shows it.
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Too many passwords were wrong; the next may be tried after so long.
    TooSoon(Duration),
    /// There is no such user, or it has another password: nobody is told which.
    Wrong,
    /// The check did not come to an end.
    Unchecked,
}

/// The users of one door.
pub(crate) struct Passwords {
    users: Users,
    /// Makes up verifiers for users that do not exist.
    mock_key: [u8; 32],
    checks: Arc<Semaphore>,
    throttle: Arc<Mutex<Throttle>>,
}

impl Credentials {
    /// Reads the value of an `Authorization` header of the scheme `Basic` (RFC 7617).
    pub(crate) fn of_basic(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(BASIC.decode(encoded.trim()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        let is_usable = !user.is_empty() && password.len() <= PASSWORD_BYTES_MAX;
        is_usable.then(|| Self { user: user.to_owned(), password: password.to_owned() })
    }
}

impl Passwords {
    pub(crate) fn new(users: Users, mock_key: [u8; 32]) -> Self {
        let checks = Arc::new(Semaphore::new(CHECKS_MAX));
        Self { users, mock_key, checks, throttle: Arc::default() }
    }

    /// Whether somebody has to wait before they are looked at, whatever they show.
    pub(crate) fn check_patience(
        &self,
        address: IpAddr,
        user: &str,
        now: Duration,
    ) -> Result<(), Rejected> {
        let wait = lock(&self.throttle).wait(address, user, now);
        wait.map_or(Ok(()), |wait| Err(Rejected::TooSoon(wait)))
    }

    /// Notes that somebody showed again what was right before.
    pub(crate) fn remember(&self, address: IpAddr, user: &str) {
        lock(&self.throttle).succeeded(address, user);
    }

    /// Checks a password. An unknown user costs as much time as one whose verifier is of our own
    /// making. `is_judged` is asked when its turn has come: somebody else may have shown the same
    /// meanwhile.
    pub(crate) async fn check(
        &self,
        shown: Credentials,
        address: IpAddr,
        clock: &dyn Clock,
        is_judged: impl FnOnce() -> bool,
    ) -> Result<(), Rejected> {
        // Before its turn, so that those who wait take none from others.
        self.check_patience(address, &shown.user, clock.monotonic())?;
        let turn = Arc::clone(&self.checks).acquire_owned().await;
        let turn = turn.map_err(|_| Rejected::Unchecked)?;
        // And in its turn, or guesses that come together would pass together.
        let now = clock.monotonic();
        self.check_patience(address, &shown.user, now)?;
        if is_judged() {
            return Ok(());
        }
        let verifier = verifier_or_mock(&self.users, &shown.user, &self.mock_key);
        let throttle = Arc::clone(&self.throttle);
        let check = move || {
            let is_right = verifier.fits(&shown.password);
            // Here, and not with whoever asks: one who hangs up is counted all the same.
            if is_right {
                lock(&throttle).succeeded(address, &shown.user);
            } else {
                lock(&throttle).failed(address, &shown.user, now);
            }
            drop(turn);
            is_right
        };
        match tokio::task::spawn_blocking(check).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Rejected::Wrong),
            Err(_) => Err(Rejected::Unchecked),
        }
    }
}

fn lock(throttle: &Mutex<Throttle>) -> MutexGuard<'_, Throttle> {
    throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use chrono::DateTime;
    use model::ManualClock;

    use super::*;
    use crate::postgres::Verifier;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn basic(text: &str) -> String {
        format!("Basic {}", BASIC.encode(text))
    }

    fn passwords() -> Passwords {
        let mut users = Users::new();
        users.insert("ann", Verifier::from_password("pass: word", b"0123456789abcdef"));
        Passwords::new(users, [1; 32])
    }

    async fn check(passwords: &Passwords, text: &str, clock: &ManualClock) -> Result<(), Rejected> {
        let shown = Credentials::of_basic(&basic(text)).unwrap();
        passwords.check(shown, HERE, clock, || false).await
    }

    fn clock() -> ManualClock {
        ManualClock::new(DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_header_holds_a_user_and_a_password_or_nothing() {
        let shown =
            |header: &str| Credentials::of_basic(header).map(|shown| (shown.user, shown.password));
        let expected = Some(("ann".to_owned(), "pass: word".to_owned()));
        assert_eq!(shown(&basic("ann:pass: word")), expected);
        assert_eq!(shown(&basic("ann:pass: word").replace("Basic", "basic")), expected);
        assert_eq!(shown(basic("ann:pass: word").trim_end_matches('=')), expected);
        let long = basic(&format!("ann:{}", "x".repeat(PASSWORD_BYTES_MAX + 1)));
        for header in
            ["", "Basic", "Basic !", "Bearer x", &basic("ann"), &basic(":x"), "Basic /w==", &long]
        {
            assert_eq!(shown(header), None, "{header}");
        }
    }

    #[tokio::test]
    async fn the_right_password_is_the_users_alone() {
        let (passwords, clock) = (passwords(), clock());
        assert_eq!(check(&passwords, "ann:pass: word", &clock).await, Ok(()));
        for wrong in ["ann:pass word", "bob:pass: word", "ann:"] {
            assert_eq!(check(&passwords, wrong, &clock).await, Err(Rejected::Wrong), "{wrong}");
        }
    }

    #[tokio::test]
    async fn who_guesses_has_to_wait_with_the_right_one_too_and_guesses_do_not_pass_together() {
        let (passwords, clock) = (&passwords(), &clock());
        let guesses = (0..14)
            .map(|guess| async move { check(passwords, &format!("ann:{guess}"), clock).await });
        let told = futures::future::join_all(guesses).await;
        let wait = Err(Rejected::TooSoon(Duration::from_secs(1)));
        assert_eq!(told.split_at(10), (&[Err(Rejected::Wrong); 10][..], &[wait; 4][..]));
        assert_eq!(check(passwords, "ann:pass: word", clock).await, wait);
        clock.advance(Duration::from_secs(1));
        assert_eq!(check(passwords, "ann:pass: word", clock).await, Ok(()));
    }

    #[tokio::test]
    async fn what_was_judged_meanwhile_is_not_checked_again() {
        let shown = Credentials { user: "nobody".to_owned(), password: String::new() };
        let checked = passwords().check(shown, HERE, &clock(), || true).await;
        assert_eq!(checked, Ok(()));
    }
}
