//! Faults on demand: which kinds, how often, and what befalls a given request.

use std::str::FromStr;

use crate::{Error, seed::mix};

/// Something that goes wrong at the vendor or on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// 429 `rate_limit_reached`, with or without `Retry-After`.
    RateLimit,
    /// 500 `internal_error`.
    Internal,
    /// 406 `data_not_available`.
    Unavailable,
    /// The answer comes up to two seconds late.
    Slow,
    /// The body ends in the middle.
    Truncated,
    /// HTTP 200 with an `error` key.
    ErrorInOk,
    /// HTTP 200 with an HTML page.
    Html,
    /// HTTP 200 with nothing.
    Empty,
    /// The connection closes without an answer.
    Closed,
    /// `count` is not the number of rows.
    WrongCount,
    /// A reading appears some market minutes late.
    Late,
    /// A reading's last price and volume are restated some market minutes later.
    Restated,
    /// An extra row that no bar may be made of.
    Poison,
    /// A row stands twice in the list.
    Duplicate,
    /// A row has an unknown field or lacks an unimportant one.
    KeyDrift,
    /// A newest-first list shifts between two pages.
    PageDrift,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::RateLimit,
        Self::Internal,
        Self::Unavailable,
        Self::Slow,
        Self::Truncated,
        Self::ErrorInOk,
        Self::Html,
        Self::Empty,
        Self::Closed,
        Self::WrongCount,
        Self::Late,
        Self::Restated,
        Self::Poison,
        Self::Duplicate,
        Self::KeyDrift,
        Self::PageDrift,
    ];
    /// The kinds that befall a request as a whole; the others befall rows.
    const OF_REQUESTS: usize = 10;

    /// Returns the name used in settings and counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate-limit",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Slow => "slow",
            Self::Truncated => "truncated",
            Self::ErrorInOk => "error-in-ok",
            Self::Html => "html",
            Self::Empty => "empty",
            Self::Closed => "closed",
            Self::WrongCount => "wrong-count",
            Self::Late => "late",
            Self::Restated => "restated",
            Self::Poison => "poison",
            Self::Duplicate => "duplicate",
            Self::KeyDrift => "key-drift",
            Self::PageDrift => "page-drift",
        }
    }
}

impl FromStr for FaultKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            Error::InvalidSetting {
                what: "fault",
                text: text.to_owned(),
                known: "known are rate-limit, internal, unavailable, slow, truncated, \
                        error-in-ok, html, empty, closed, wrong-count, late, restated, poison, \
                        duplicate, key-drift, page-drift",
            }
        })
    }
}

/// Slow answers stay under this, well below any sensible client's timeout.
pub(crate) const SLOW_MS_MAX: u64 = 2_000;

/// How often what goes wrong. The same seed, the same faults.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// Where all faults are derived from.
    pub seed: u64,
    /// Probability per request, and per row, from 0 to 1.
    pub rate: f64,
    /// What may happen at all.
    pub kinds: Vec<FaultKind>,
}

impl FaultPlan {
    /// Creates a plan with every kind of fault.
    #[must_use]
    pub fn new(seed: u64, rate: f64) -> Self {
        Self { seed, rate, kinds: FaultKind::ALL.to_vec() }
    }

    /// Returns what befalls the `ordinal`-th request, and a hash for its details.
    ///
    /// By ordinal, not by content: a client that asks again must be able to succeed. Every round
    /// of requests meets each kind once, at a place of its own: a short run misses none, and
    /// several in a row are as likely as by chance.
    pub(crate) fn of_request(&self, ordinal: u64) -> Option<(FaultKind, u64)> {
        let kinds: Vec<FaultKind> = FaultKind::ALL[..FaultKind::OF_REQUESTS]
            .iter()
            .copied()
            .filter(|kind| self.kinds.contains(kind))
            .collect();
        let length = self.round_length(kinds.len())?;
        let (round, place) = (ordinal / length, ordinal % length);
        let mut taken = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let hash = mix(self.seed, &[0x7265_7175, round, kind as u64]);
            let mut at = hash % length;
            // A round is no shorter than it has kinds, so there is a place left.
            while taken.contains(&at) {
                at = (at + 1) % length;
            }
            if at == place {
                return Some((kind, mix(hash, &[1])));
            }
            taken.push(at);
        }
        None
    }

    /// Returns the requests of a round, the fewest in which one fault of each kind keeps to the
    /// rate; `None` when there are no faults.
    fn round_length(&self, kinds: usize) -> Option<u64> {
        let kinds = u32::try_from(kinds).ok().filter(|kinds| *kinds != 0)?;
        if self.rate <= 0.0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive; a rate next to nothing saturates, and no run is that long"
        )]
        let length = (f64::from(kinds) / self.rate).ceil() as u64;
        Some(length.max(u64::from(kinds)))
    }

    /// Returns the rate of a fault of rows; 0 when the plan leaves it out.
    pub(crate) fn rate_of(&self, kind: FaultKind) -> f64 {
        if self.kinds.contains(&kind) { self.rate } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_request_fault_happens_and_the_seed_repeats_it() {
        let plan = FaultPlan::new(11, 0.5);
        let drawn: Vec<_> = (0..500).map(|n| plan.of_request(n)).collect();
        assert_eq!(drawn, (0..500).map(|n| plan.of_request(n)).collect::<Vec<_>>());
        for kind in &FaultKind::ALL[..FaultKind::OF_REQUESTS] {
            assert!(drawn.iter().flatten().any(|(found, _)| found == kind), "{kind:?}");
        }
        let none = FaultPlan { kinds: vec![FaultKind::Late], ..plan };
        assert!((0..500).all(|n| none.of_request(n).is_none()));
    }

    #[track_caller]
    fn check_rounds(rate: f64, kinds: &[FaultKind], length: u64) {
        for seed in 0..20 {
            let plan = FaultPlan { kinds: kinds.to_vec(), ..FaultPlan::new(seed, rate) };
            for round in 0..3 {
                let drawn = (round * length..(round + 1) * length)
                    .filter_map(|ordinal| plan.of_request(ordinal))
                    .map(|(kind, _)| kind);
                let mut drawn: Vec<&str> = drawn.map(FaultKind::as_str).collect();
                drawn.sort_unstable();
                let mut expected: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
                expected.sort_unstable();
                assert_eq!(drawn, expected, "seed {seed}, round {round} at rate {rate}");
            }
        }
    }

    #[test]
    fn every_round_of_requests_meets_each_kind_once() {
        let all = &FaultKind::ALL[..FaultKind::OF_REQUESTS];
        check_rounds(0.1, all, 100);
        check_rounds(0.3, all, 34);
        check_rounds(1.0, all, 10);
        check_rounds(0.7, &[FaultKind::Slow], 2);
        let never = FaultPlan::new(1, 0.0);
        assert!((0..500).all(|ordinal| never.of_request(ordinal).is_none()));
    }

    #[test]
    fn names_are_read_back() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.as_str().parse::<FaultKind>().unwrap(), kind);
        }
    }
}
