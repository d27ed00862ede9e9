//! Accounts: plans, the rate limit, and the monthly quota that counts every symbol.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use chrono::{DateTime, Datelike, Utc};
use model::{BarInterval, Dataset};

use crate::reply::Refusal;

/// A subscription plan; each has one access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    /// `sim-free`: no intraday rows.
    Free,
    /// `sim-basic`: intraday rows of 15 minutes and longer.
    Basic,
    /// `sim-pro`: everything simulated.
    Professional,
    /// `sim-biz`: the same, a larger quota.
    Business,
}

impl Plan {
    const ALL: [Self; 4] = [Self::Free, Self::Basic, Self::Professional, Self::Business];

    /// Returns the plan's access key.
    #[must_use]
    pub const fn access_key(self) -> &'static str {
        match self {
            Self::Free => "sim-free",
            Self::Basic => "sim-basic",
            Self::Professional => "sim-pro",
            Self::Business => "sim-biz",
        }
    }

    /// Returns the plan of an access key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.access_key() == key)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Basic => "basic",
            Self::Professional => "professional",
            Self::Business => "business",
        }
    }

    const fn requests_monthly(self) -> u64 {
        match self {
            Self::Free => 100,
            Self::Basic => 10_000,
            Self::Professional => 100_000,
            Self::Business => 500_000,
        }
    }

    /// Returns whether the plan includes the rows asked for.
    pub(crate) fn includes(self, dataset: Dataset, interval: BarInterval) -> bool {
        match dataset {
            Dataset::Intraday if interval < BarInterval::Minute15 => Self::Professional <= self,
            Dataset::Intraday => Self::Basic <= self,
            _ => true,
        }
    }
}

/// How much of an account is used up.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    /// Year and month that `used` is about.
    month: (i32, u32),
    used: u64,
    /// Nanoseconds of the rate limit saved up, and when they were counted.
    credit_ns: u64,
    counted_at: Option<Duration>,
}

/// All accounts.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// What one request costs of the rate limit.
    request_ns: u64,
    quota_monthly: Option<u64>,
    usage: BTreeMap<Plan, Usage>,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Accounts {
    pub(crate) fn new(requests_per_second: NonZeroU32, quota_monthly: Option<u64>) -> Self {
        let request_ns = SECOND_NS / u64::from(requests_per_second.get());
        Self { request_ns, quota_monthly, usage: BTreeMap::new() }
    }

    /// Takes one request from the token bucket: it fills at the limit, up to one second's worth.
    pub(crate) fn take_token(&mut self, plan: Plan, monotonic: Duration) -> Result<(), Refusal> {
        let usage = self.usage.entry(plan).or_default();
        let gained = match usage.counted_at {
            None => SECOND_NS,
            Some(before) => {
                u64::try_from(monotonic.saturating_sub(before).as_nanos()).unwrap_or(SECOND_NS)
            }
        };
        usage.credit_ns = usage.credit_ns.saturating_add(gained).min(SECOND_NS);
        usage.counted_at = Some(monotonic);
        match usage.credit_ns.checked_sub(self.request_ns) {
            Some(rest) => {
                usage.credit_ns = rest;
                Ok(())
            }
            None => Err(Refusal::RateLimit { retry_after: Some(1) }),
        }
    }

    /// Charges `requests` to the month of `now`. What does not fit is refused and not charged.
    pub(crate) fn charge(
        &mut self,
        plan: Plan,
        requests: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let quota = self.quota(plan);
        let usage = self.usage.entry(plan).or_default();
        let month = (now.year(), now.month());
        if usage.month != month {
            (usage.month, usage.used) = (month, 0);
        }
        let used = usage.used.saturating_add(requests);
        if quota < used {
            return Err(Refusal::MonthlyLimit);
        }
        usage.used = used;
        Ok(())
    }

    /// Returns, per plan that was used, its name, what is used and what is allowed.
    pub(crate) fn report(&self) -> Vec<(&'static str, u64, u64)> {
        let line = |(plan, usage): (&Plan, &Usage)| (plan.as_str(), usage.used, self.quota(*plan));
        self.usage.iter().map(line).collect()
    }

    fn quota(&self, plan: Plan) -> u64 {
        self.quota_monthly.unwrap_or(plan.requests_monthly())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(quota: Option<u64>) -> Accounts {
        Accounts::new(NonZeroU32::new(5).unwrap(), quota)
    }

    #[test]
    fn plans_include_what_is_paid_for() {
        let check = |plan: Plan, expected: [bool; 3]| {
            let included = [
                plan.includes(Dataset::Eod, BarInterval::Hour1),
                plan.includes(Dataset::Intraday, BarInterval::Minute15),
                plan.includes(Dataset::Intraday, BarInterval::Minute10),
            ];
            assert_eq!(included, expected, "{plan:?}");
        };
        check(Plan::Free, [true, false, false]);
        check(Plan::Basic, [true, true, false]);
        check(Plan::Professional, [true, true, true]);
        check(Plan::Business, [true, true, true]);
        assert_eq!(Plan::of_key("sim-pro"), Some(Plan::Professional));
        assert_eq!(Plan::of_key("sim-pr"), None);
    }

    #[test]
    fn the_rate_limit_refills_with_time() {
        let mut accounts = accounts(None);
        let mut take = |millis| accounts.take_token(Plan::Basic, Duration::from_millis(millis));
        assert!((0..5).all(|_| take(0).is_ok()), "a burst of one second");
        assert_eq!(take(0), Err(Refusal::RateLimit { retry_after: Some(1) }));
        assert!(take(199).is_err());
        assert!(take(400).is_ok());
        assert!(
            (0..5).all(|_| take(10_000).is_ok()) && take(10_000).is_err(),
            "no more than a second"
        );
    }

    #[test]
    fn the_quota_counts_until_the_month_ends() {
        let mut accounts = accounts(Some(10));
        let november = "2026-11-30T23:59:59Z".parse().unwrap();
        let december = "2026-12-01T00:00:00Z".parse().unwrap();
        assert!(accounts.charge(Plan::Free, 7, november).is_ok());
        assert_eq!(accounts.charge(Plan::Free, 4, november), Err(Refusal::MonthlyLimit));
        assert!(
            accounts.charge(Plan::Free, 3, november).is_ok(),
            "a refused request costs nothing"
        );
        assert!(accounts.charge(Plan::Basic, 10, november).is_ok(), "accounts are separate");
        assert!(accounts.charge(Plan::Free, 10, december).is_ok());
        assert_eq!(accounts.report()[0], ("free", 10, 10));
    }
}
