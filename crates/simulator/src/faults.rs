//! Faults on demand: which kinds, how often, and what befalls a given request.

use std::str::FromStr;

use crate::{
    Error,
    seed::{chance, mix},
};

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
    /// By ordinal, not by content: a client that asks again must be able to succeed.
    pub(crate) fn of_request(&self, ordinal: u64) -> Option<(FaultKind, u64)> {
        let hash = mix(self.seed, &[0x7265_7175, ordinal]);
        let kinds: Vec<FaultKind> = FaultKind::ALL[..FaultKind::OF_REQUESTS]
            .iter()
            .copied()
            .filter(|kind| self.kinds.contains(kind))
            .collect();
        if !chance(hash, self.rate) {
            return None;
        }
        let detail = mix(hash, &[1]);
        let index = usize::try_from(detail % 1_000).unwrap_or(0).checked_rem(kinds.len())?;
        Some((kinds[index], mix(detail, &[2])))
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

    #[test]
    fn names_are_read_back() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.as_str().parse::<FaultKind>().unwrap(), kind);
        }
    }
}
