//! When a row appears, changes and what befalls it: a pure function of the seed and its identity.
//!
//! Asking twice therefore gives the same answer: a late row stays once it has come, a restated
//! row has exactly two values besides those of its running interval.

use model::{BarInterval, Dataset};

use crate::{
    FaultKind, FaultPlan, Quirk, Quirks, Semantics, SimulatorConfig,
    seed::{chance, mix},
    tape::{Seconds, Slot},
};

/// How often a habit that has no rate of its own shows: about one row in thirty.
const QUIRK_RATE: f64 = 0.03;
/// The volume of all venues replaces IEX's this long after the close.
const CONSOLIDATED_AFTER: Seconds = 15 * 60;

/// A moment after which nothing changes, far from overflow.
pub(crate) const END_OF_TIME: Seconds = i64::MAX / 4;

/// What a row is about; the same in every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    pub(crate) dataset: Dataset,
    /// Hash of the symbol.
    pub(crate) symbol: u64,
    pub(crate) interval: BarInterval,
    pub(crate) ts: Seconds,
}

/// Ways in which a row can be unfit to make a bar of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poison {
    /// Text and objects where numbers belong.
    WrongTypes,
    /// No `date`.
    MissingDate,
    /// `[]` instead of an object.
    EmptyArray,
    /// Prices below zero.
    NegativePrice,
}

/// Ways in which a row's keys can drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    ExtraNumber,
    ExtraText,
    ExtraObject,
    Missing,
}

/// Decides for every row.
#[derive(Debug)]
pub(crate) struct Schedule {
    faults: Option<FaultPlan>,
    quirks: Quirks,
    late_max: u64,
    restated_max: u64,
    consolidates: bool,
}

impl Schedule {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        let quirks = config.quirks;
        Self {
            faults: config.faults.clone(),
            quirks,
            late_max: u64::from(config.late_minutes_max),
            restated_max: u64::from(config.restated_minutes_max),
            consolidates: quirks.has(Quirk::ConsolidatedVolume)
                && config.semantics == Semantics::Reading
                && config.iex_share_permille != 1_000,
        }
    }

    /// Returns when a slot is served for the first time in full.
    pub(crate) fn served_from(&self, key: &RowKey) -> Seconds {
        end(key) + self.late(key).unwrap_or(0)
    }

    /// Returns whether the slot may be served while its interval runs.
    pub(crate) fn runs(&self, key: &RowKey) -> bool {
        self.quirks.has(Quirk::Running) && self.late(key).is_none()
    }

    /// Returns when the wrong first values are replaced, for a slot that is restated.
    pub(crate) fn restated_at(&self, key: &RowKey, slot: &Slot) -> Option<Seconds> {
        let hash = self.draw(key, FaultKind::Restated, None)?;
        // One reason to change is enough: exactly two values.
        if self.late(key).is_some() || (self.consolidates && slot.is_last) {
            return None;
        }
        Some(end(key) + minutes(hash, self.restated_max))
    }

    /// Returns when the slot takes on the volume of all venues, if it ever does.
    pub(crate) fn consolidated_at(&self, slot: &Slot, close: Option<Seconds>) -> Option<Seconds> {
        close.filter(|_| self.consolidates && slot.is_last).map(|close| close + CONSOLIDATED_AFTER)
    }

    /// Returns how long after its interval a row can still appear or change, but for the volume
    /// of all venues.
    pub(crate) fn settling(&self) -> Seconds {
        let bound = self.late_max.max(self.restated_max) * 60;
        i64::try_from(bound).unwrap_or(i64::MAX / 2)
    }

    /// Returns what kind of poison row follows the row at `now`, once its interval has ended.
    pub(crate) fn poison_at(&self, key: &RowKey, now: Seconds) -> Option<Poison> {
        self.poison(key)
            .filter(|_| key.dataset != Dataset::Intraday || self.served_from(key) <= now)
    }

    fn poison(&self, key: &RowKey) -> Option<Poison> {
        let kinds =
            [Poison::WrongTypes, Poison::MissingDate, Poison::EmptyArray, Poison::NegativePrice];
        pick(self.draw(key, FaultKind::Poison, None)?, &kinds)
    }

    pub(crate) fn is_duplicated(&self, key: &RowKey) -> bool {
        self.draw(key, FaultKind::Duplicate, None).is_some()
    }

    pub(crate) fn drift(&self, key: &RowKey) -> Option<Drift> {
        let kinds = [Drift::ExtraNumber, Drift::ExtraText, Drift::ExtraObject, Drift::Missing];
        pick(self.draw(key, FaultKind::KeyDrift, Some(Quirk::KeyDrift))?, &kinds)
    }

    /// Returns whether whole numbers of this row come without `.0`.
    pub(crate) fn writes_integers(&self, key: &RowKey) -> bool {
        self.quirks.has(Quirk::NumberFormats) && hash(0, key, 0x6e75).is_multiple_of(2)
    }

    /// Returns whether the list of a query shifts by a row after its first page.
    pub(crate) fn page_drifts(&self, query: u64) -> bool {
        let faulty = self.faults.as_ref().is_some_and(|plan| {
            chance(mix(plan.seed, &[0x7067, query]), plan.rate_of(FaultKind::PageDrift))
        });
        faulty || self.quirks.has(Quirk::PageDrift)
    }

    /// Returns what can be seen at `now` to have befallen an intraday row, a quirk's share of it
    /// included. Poison and duplicates are rows of their own.
    pub(crate) fn faults(&self, key: &RowKey, slot: &Slot, now: Seconds) -> Vec<FaultKind> {
        let is_wrong = self.restated_at(key, slot).is_some_and(|at| now < at);
        [
            (FaultKind::Late, self.late(key).is_some()),
            (FaultKind::Restated, end(key) <= now && is_wrong),
            (FaultKind::KeyDrift, self.drift(key).is_some()),
        ]
        .into_iter()
        .filter_map(|(kind, is_seen)| is_seen.then_some(kind))
        .collect()
    }

    fn late(&self, key: &RowKey) -> Option<Seconds> {
        self.draw(key, FaultKind::Late, Some(Quirk::Gaps)).map(|hash| minutes(hash, self.late_max))
    }

    /// Returns a hash for the details when `kind`, or the quirk like it, befalls the row.
    fn draw(&self, key: &RowKey, kind: FaultKind, quirk: Option<Quirk>) -> Option<u64> {
        let planned = self.faults.as_ref().map_or(0.0, |plan| plan.rate_of(kind));
        let habitual = quirk.filter(|quirk| self.quirks.has(*quirk)).map_or(0.0, |_| QUIRK_RATE);
        let rate = planned.max(habitual);
        if rate <= 0.0 {
            return None;
        }
        let seed = self.faults.as_ref().map_or(0, |plan| plan.seed);
        let hash = hash(seed, key, kind as u64);
        chance(hash, rate).then(|| mix(hash, &[1]))
    }
}

/// Returns the end of the interval that a row is about.
pub(crate) fn end(key: &RowKey) -> Seconds {
    key.ts + key.interval.length().num_seconds()
}

fn hash(seed: u64, key: &RowKey, purpose: u64) -> u64 {
    let RowKey { dataset, symbol, interval, ts } = *key;
    let length = interval.length().num_seconds().unsigned_abs();
    mix(seed, &[purpose, dataset as u64, symbol, length, ts.unsigned_abs()])
}

/// Returns 1 to `max` minutes.
fn minutes(hash: u64, max: u64) -> Seconds {
    i64::try_from(1 + hash % max.max(1)).unwrap_or(1) * 60
}

fn pick<T: Copy>(hash: u64, kinds: &[T; 4]) -> Option<T> {
    usize::try_from(hash % 4).ok().and_then(|index| kinds.get(index)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, tape::tests::OPEN};

    fn config() -> SimulatorConfig {
        let source: Source = "generated:1x1@2019-02-11".parse().unwrap();
        let epoch = crate::tape::time(OPEN);
        let time = model::clock::MarketTime { epoch, start: epoch, speed: 1 };
        SimulatorConfig {
            faults: Some(FaultPlan::new(5, 0.2)),
            ..SimulatorConfig::new(source, time)
        }
    }

    fn keys() -> impl Iterator<Item = RowKey> {
        (0..2_000).map(|n| RowKey {
            dataset: Dataset::Intraday,
            symbol: 42,
            interval: BarInterval::Minute1,
            ts: OPEN + n * 60,
        })
    }

    #[test]
    fn everything_settles_within_the_configured_bound() {
        let schedule = Schedule::new(&config());
        let slot = crate::tape::tests::two_days().slots(BarInterval::Minute1)[0];
        let (mut late, mut restated) = (0, 0);
        for key in keys() {
            let from = schedule.served_from(&key);
            let restatement = schedule.restated_at(&key, &slot);
            assert!((end(&key)..=end(&key) + 20 * 60).contains(&from));
            assert!(restatement.unwrap_or(from) <= end(&key) + schedule.settling());
            assert!(from <= end(&key) + schedule.settling());
            assert!(from == end(&key) || restatement.is_none(), "one reason to change");
            late += u32::from(from != end(&key));
            restated += u32::from(restatement.is_some());
        }
        assert!((300..500).contains(&late), "{late} late of 2000 at rate 0.2");
        assert!((200..450).contains(&restated), "{restated} restated of 2000 at rate 0.2");
    }

    #[test]
    fn without_faults_and_quirks_nothing_happens() {
        let config = SimulatorConfig { faults: None, quirks: Quirks::NONE, ..config() };
        let schedule = Schedule::new(&config);
        for key in keys() {
            assert_eq!(schedule.served_from(&key), end(&key));
            assert!(schedule.poison(&key).is_none() && schedule.drift(&key).is_none());
            assert!(!schedule.is_duplicated(&key) && !schedule.runs(&key));
        }
        assert!(!schedule.page_drifts(3));
    }
}
