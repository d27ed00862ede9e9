//! Slows down whoever guesses passwords: by address, and by role.
//!
//! After some failures in a row the next attempt has to wait, each time twice as long. Those who
//! wait are told so before anything is compared, whether the role exists or not. Whoever has logged
//! in as a role before, from the same address, is not held up by the failures of others, so that
//! nobody can lock out a role, or everybody behind a tunnel, by guessing.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Failures in a row that cost nothing: a tool with an old password opens about ten connections.
const FREE_FAILURES: u32 = 10;

/// The first wait, which every further failure doubles.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// The longest wait: about a guess a minute, and a person who has mended a setting is let in soon.
const WAIT_MAX: Duration = Duration::from_secs(64);

/// The longest wait for what others guessed at a role: one who guesses from everywhere gets nowhere
/// with it, and the role's own people get in.
const ROLE_WAIT_MAX: Duration = Duration::from_secs(2);

/// After so long without a failure the earlier ones are forgotten.
const MEMORY: Duration = Duration::from_secs(900);

/// Addresses and roles that are remembered; beyond it the one that failed least recently is not.
const ENTRIES_MAX: usize = 4_096;

/// Logins that are remembered: some hundred tools on some hundred machines.
const KNOWN_MAX: usize = 1_024;

/// No role has a longer name.
const NAME_BYTES_MAX: usize = 63;

/// Who failed, and who did not. Time is what a clock that only rises says.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    failures: HashMap<Guesser, Failures>,
    known: VecDeque<(IpAddr, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Guesser {
    Address(IpAddr),
    Role(String),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Throttle {
    /// Returns how long an attempt has to wait; `None` when it may be made now.
    pub(crate) fn wait(&self, address: IpAddr, role: &str, now: Duration) -> Option<Duration> {
        let (address, role) = (network(address), cut(role));
        if self.known.iter().any(|known| known.0 == address && known.1 == role) {
            return None;
        }
        let guessers = [Guesser::Address(address), Guesser::Role(role.to_owned())];
        let waits = guessers.iter().zip([WAIT_MAX, ROLE_WAIT_MAX]);
        waits.filter_map(|(guesser, most)| self.failures.get(guesser)?.wait(now, most)).max()
    }

    /// Notes a wrong password.
    pub(crate) fn failed(&mut self, address: IpAddr, role: &str, now: Duration) {
        let (address, role) = (network(address), cut(role));
        self.known.retain(|known| known.0 != address || known.1 != role);
        for guesser in [Guesser::Address(address), Guesser::Role(role.to_owned())] {
            let before = self.failures.get(&guesser).filter(|failures| !failures.is_old(now));
            let count = before.map_or(0, |failures| failures.count).saturating_add(1);
            if !self.failures.contains_key(&guesser) {
                self.make_room(now);
            }
            self.failures.insert(guesser, Failures { count, last: now });
        }
    }

    /// Notes a login. What failed before is not forgiven: somebody else may have guessed, and whoever
    /// has logged in does not wait for it.
    pub(crate) fn succeeded(&mut self, address: IpAddr, role: &str) {
        let (address, role) = (network(address), cut(role));
        self.known.retain(|known| known.0 != address || known.1 != role);
        self.known.push_back((address, role.to_owned()));
        if self.known.len() > KNOWN_MAX {
            self.known.pop_front();
        }
    }

    fn make_room(&mut self, now: Duration) {
        if self.failures.len() < ENTRIES_MAX {
            return;
        }
        self.failures.retain(|_, failures| !failures.is_old(now));
        let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.last);
        let oldest = oldest.map(|(guesser, _)| guesser.clone());
        if let Some(oldest) = oldest.filter(|_| self.failures.len() >= ENTRIES_MAX) {
            self.failures.remove(&oldest);
        }
    }
}

impl Failures {
    fn is_old(self, now: Duration) -> bool {
        now.saturating_sub(self.last) > MEMORY
    }

    fn wait(self, now: Duration, most: Duration) -> Option<Duration> {
        let doublings = self.count.checked_sub(FREE_FAILURES)?;
        let wait = WAIT_MIN.saturating_mul(2_u32.saturating_pow(doublings)).min(most);
        let left = wait.saturating_sub(now.saturating_sub(self.last));
        Some(left).filter(|left| !left.is_zero())
    }
}

/// A household has 2^64 addresses of IPv6, and is one guesser.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            if address.is_loopback() {
                IpAddr::V6(address)
            } else {
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

/// A name that is longer is none of a role; what is remembered of it is bounded.
fn cut(role: &str) -> &str {
    let end = (0..=NAME_BYTES_MAX.min(role.len())).rev().find(|end| role.is_char_boundary(*end));
    &role[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    const fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn after_failures(count: u32, role: &str) -> Throttle {
        let mut throttle = Throttle::default();
        for _ in 0..count {
            throttle.failed(HERE, role, second(100));
        }
        throttle
    }

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_wait() {
        for (failures, expected) in [
            (0, None),
            (FREE_FAILURES - 1, None),
            (FREE_FAILURES, Some(second(1))),
            (FREE_FAILURES + 1, Some(second(2))),
            (FREE_FAILURES + 5, Some(second(32))),
            (FREE_FAILURES + 6, Some(WAIT_MAX)),
            (FREE_FAILURES + 4_000, Some(WAIT_MAX)),
        ] {
            let throttle = after_failures(failures, "desk");
            assert_eq!(throttle.wait(HERE, "desk", second(100)), expected, "{failures}");
        }
        let throttle = after_failures(FREE_FAILURES + 2, "desk");
        assert_eq!(throttle.wait(HERE, "desk", second(103)), Some(second(1)));
        assert_eq!(throttle.wait(HERE, "desk", second(104)), None);
    }

    #[test]
    fn an_address_waits_for_every_role_and_a_role_for_every_address() {
        let throttle = after_failures(FREE_FAILURES, "desk");
        assert!(throttle.wait(HERE, "other", second(100)).is_some());
        assert!(throttle.wait(THERE, "desk", second(100)).is_some());
        assert!(throttle.wait(THERE, "other", second(100)).is_none());
    }

    #[test]
    fn who_has_logged_in_before_is_not_held_up_by_others() {
        let mut throttle = Throttle::default();
        throttle.succeeded(THERE, "desk");
        for _ in 0..100 {
            throttle.failed(HERE, "desk", second(100));
            throttle.failed(THERE, "other", second(100));
        }
        assert_eq!(throttle.wait(THERE, "desk", second(100)), None);
        assert!(throttle.wait(THERE, "other", second(100)).is_some());
        // Until it fails itself.
        throttle.failed(THERE, "desk", second(100));
        assert!(throttle.wait(THERE, "desk", second(100)).is_some());
        throttle.succeeded(THERE, "desk");
        assert_eq!(throttle.wait(HERE, "other", second(165)), None);
    }

    #[test]
    fn failures_are_forgotten_in_time_and_never_more_than_a_bound() {
        let mut throttle = after_failures(FREE_FAILURES + 3, "desk");
        throttle.failed(HERE, "desk", second(100) + MEMORY + second(1));
        assert_eq!(throttle.wait(HERE, "desk", second(1_001)), None);
        let long = "x".repeat(9_000);
        for number in 0..ENTRIES_MAX {
            let address = IpAddr::V6(Ipv6Addr::from(u128::try_from(number).unwrap() << 64));
            throttle.failed(address, &format!("{number}{long}"), second(2_000));
        }
        assert_eq!(throttle.failures.len(), ENTRIES_MAX);
        let longest = throttle.failures.keys().map(|guesser| match guesser {
            Guesser::Address(_) => 0,
            Guesser::Role(role) => role.len(),
        });
        assert!(longest.max() <= Some(NAME_BYTES_MAX));
        for number in 0..2 * KNOWN_MAX {
            throttle.succeeded(HERE, &number.to_string());
        }
        assert_eq!(throttle.known.len(), KNOWN_MAX);
    }

    #[test]
    fn addresses_of_one_household_are_one_guesser() {
        let mut throttle = Throttle::default();
        for number in 1..=u16::try_from(FREE_FAILURES).unwrap() {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, number);
            throttle.failed(address.into(), &number.to_string(), second(1));
        }
        let wait = |last| {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, last, 9, 9, 9, 9);
            throttle.wait(address.into(), "new", second(1))
        };
        assert!(wait(1).is_some());
        assert!(wait(2).is_none());
    }

    #[test]
    fn a_name_is_cut_between_its_characters() {
        let name = "ä".repeat(40);
        assert_eq!(cut(&name).len(), 62);
        assert_eq!(cut("desk"), "desk");
        assert_eq!(cut(""), "");
    }
}
