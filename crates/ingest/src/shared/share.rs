//! Who should hold which shard: pure functions of what a poller knows.

use std::collections::{BTreeMap, BTreeSet};

use model::Dataset;

use super::objects::hash;
use crate::poller::PollConfig;

/// Shards claimed in one round: a claim reads a journal, and the next beat must not wait for many.
const CLAIMS_MAX: usize = 4;

/// Returns the shard of a symbol: for good, as long as the number of shards stays.
pub(super) fn shard_of(symbol: &str, shards: u32) -> u32 {
    // Sixteen digits of the hash are 64 bits: no shard is favoured that anybody could notice.
    let hash = hash(symbol.as_bytes());
    let number = u64::from_str_radix(&hash[..16], 16).expect("a hash is hexadecimal");
    u32::try_from(number % u64::from(shards.max(1))).expect("less than a u32")
}

/// Splits what is to be fetched among shards; one without anything to do has no entry.
///
/// What is not asked for by symbol belongs to shard 0.
pub(super) fn split(config: &PollConfig, shards: u32) -> BTreeMap<u32, PollConfig> {
    let mut symbols: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for symbol in &config.symbols {
        symbols.entry(shard_of(symbol, shards)).or_default().push(symbol.clone());
    }
    symbols.entry(0).or_default();
    let rest = PollConfig { symbols: Vec::new(), datasets: Vec::new(), ..config.clone() };
    let part = |(shard, symbols): (u32, Vec<String>)| {
        let is_its = |dataset: &Dataset| match dataset {
            Dataset::Exchanges => shard == 0,
            _ => !symbols.is_empty(),
        };
        let datasets: Vec<Dataset> = config.datasets.iter().copied().filter(is_its).collect();
        (!datasets.is_empty()).then(|| (shard, PollConfig { symbols, datasets, ..rest.clone() }))
    };
    symbols.into_iter().filter_map(part).collect()
}

/// What a poller knows when it decides what to hold.
#[derive(Clone, Debug)]
pub(super) struct Situation<'a> {
    /// The shards that have something to do.
    pub(super) wanted: &'a BTreeSet<u32>,
    /// Those this poller holds.
    pub(super) ours: &'a BTreeSet<u32>,
    /// Those that other live pollers show.
    pub(super) shown: &'a BTreeSet<u32>,
    /// Live pollers, this one included.
    pub(super) pollers: usize,
    /// Spreads pollers over the shards, so that they do not claim the same ones.
    pub(super) start: usize,
}

/// What to do about shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// One to give up: somebody else has room for it.
    pub(super) release: Option<u32>,
    /// Those to look at, and to claim if nobody holds them.
    pub(super) claim: Vec<u32>,
}

/// Decides what to hold: an equal share, rounded up, so that the shares reach for every shard.
pub(super) fn decide(situation: &Situation<'_>) -> Round {
    let Situation { wanted, ours, shown, pollers, start } = situation;
    let share = wanted.len().div_ceil((*pollers).max(1));
    if share < ours.len() {
        // One at a time: those that come may not be as many as it seems.
        return Round { release: ours.last().copied(), claim: Vec::new() };
    }
    let free: Vec<u32> =
        wanted.iter().filter(|id| !ours.contains(id) && !shown.contains(id)).copied().collect();
    let begin = start.checked_rem(free.len()).unwrap_or(0);
    let room = (share - ours.len()).min(CLAIMS_MAX);
    let claim = free.iter().cycle().skip(begin).take(room.min(free.len())).copied().collect();
    Round { release: None, claim }
}

#[cfg(test)]
mod tests;
