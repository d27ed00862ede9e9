//! Who should hold what: pure, so tried with any number of pollers and shards.

use std::{num::NonZeroU32, time::Duration};

use model::BarInterval;
use proptest::prelude::*;

use super::*;

fn config(symbols: &[&str], datasets: &[Dataset]) -> PollConfig {
    PollConfig {
        datasets: datasets.to_vec(),
        symbols: symbols.iter().map(|symbol| (*symbol).to_owned()).collect(),
        interval: BarInterval::Minute1,
        after_hours: false,
        start_date: "2024-03-11".parse().unwrap(),
        look_back: Duration::from_secs(600),
        revise_days: 0,
        settle: Duration::from_secs(5),
        poll_every: Duration::from_secs(60),
        page_rows: NonZeroU32::MIN,
        pages_max: NonZeroU32::MIN,
        symbols_per_request: NonZeroU32::MIN,
        requests_per_second: NonZeroU32::MIN,
        quota_month: None,
        topic_prefix: String::new(),
    }
}

#[test]
fn a_symbol_keeps_its_shard_in_every_release() {
    let shards = |symbol| [1, 2, 8, 1024].map(|shards| shard_of(symbol, shards));
    assert_eq!(shards("AAPL"), [0, 1, 3, 235]);
    assert_eq!(shards("MSFT"), [0, 1, 1, 481]);
    assert_eq!(shards("BRK.B"), [0, 1, 7, 967]);
}

#[test]
fn every_symbol_is_in_one_shard_and_lists_are_in_the_first() {
    let symbols: Vec<String> = (0..200).map(|number| format!("S{number}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let parts = split(&config(&symbols, &[Dataset::Eod, Dataset::Exchanges]), 8);
    let mut seen: Vec<&str> = Vec::new();
    for (shard, part) in &parts {
        assert!(part.symbols.iter().all(|symbol| shard_of(symbol, 8) == *shard));
        assert_eq!(part.datasets.contains(&Dataset::Exchanges), *shard == 0);
        assert!(15 < part.symbols.len(), "shard {shard} is not much smaller than others");
        seen.extend(part.symbols.iter().map(String::as_str));
    }
    seen.sort_unstable();
    let mut all = symbols.clone();
    all.sort_unstable();
    assert_eq!(seen, all);
}

#[test]
fn a_shard_without_anything_to_do_is_none() {
    let shards = |symbols: &[&str], datasets: &[Dataset]| -> Vec<u32> {
        split(&config(symbols, datasets), 4).into_keys().collect()
    };
    let (first, second) = (shard_of("S0", 4), shard_of("S1", 4));
    assert_eq!(shards(&["S0"], &[Dataset::Eod]), [first]);
    assert_eq!(shards(&[], &[Dataset::Exchanges]), [0]);
    assert_eq!(shards(&["S0", "S1"], &[]), Vec::<u32>::new());
    let both = BTreeSet::from([0, first, second]);
    let found = shards(&["S0", "S1"], &[Dataset::Exchanges, Dataset::Eod]);
    assert_eq!(found, both.into_iter().collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn a_round_takes_no_more_than_its_share_and_nothing_of_others(
        wanted in proptest::collection::btree_set(0..40_u32, 0..30),
        ours in proptest::collection::btree_set(0..40_u32, 0..30),
        shown in proptest::collection::btree_set(0..40_u32, 0..30),
        pollers in 0..6_usize,
        start in any::<usize>(),
    ) {
        let situation =
            Situation { wanted: &wanted, ours: &ours, shown: &shown, pollers, start };
        let round = decide(&situation);
        let share = wanted.len().div_ceil(pollers.max(1));
        prop_assert!(round.release.is_none_or(|id| ours.contains(&id) && share < ours.len()));
        prop_assert!(round.release.is_none() || round.claim.is_empty());
        let claim: BTreeSet<u32> = round.claim.iter().copied().collect();
        prop_assert_eq!(claim.len(), round.claim.len(), "each once");
        prop_assert!(claim.len() <= CLAIMS_MAX);
        prop_assert!(claim.is_empty() || ours.len() + claim.len() <= share);
        prop_assert!(claim.iter().all(|id| wanted.contains(id)));
        prop_assert!(claim.is_disjoint(&ours) && claim.is_disjoint(&shown));
    }

    /// Whoever held what before: all shards are held, each once, and nobody holds too many.
    #[test]
    fn rounds_come_to_rest_with_equal_shares(
        shards in 1..40_u32,
        pollers in 1..7_usize,
        owners in proptest::collection::vec(0..8_usize, 40),
        starts in proptest::collection::vec(any::<usize>(), 7),
    ) {
        let wanted: BTreeSet<u32> = (0..shards).collect();
        let mut held = vec![BTreeSet::new(); pollers];
        for (id, owner) in (0..shards).zip(owners) {
            if let Some(held) = held.get_mut(owner) {
                held.insert(id);
            }
        }
        // One release a round, or four claims: after as many rounds nobody has anything to do.
        for _ in 0..=shards {
            for (number, start) in (0..pollers).zip(&starts) {
                let others = held.iter().enumerate().filter(|(other, _)| *other != number);
                let shown = others.flat_map(|(_, held)| held.iter().copied()).collect();
                let ours = held[number].clone();
                let (wanted, start) = (&wanted, *start);
                let situation = Situation { wanted, ours: &ours, shown: &shown, pollers, start };
                let round = decide(&situation);
                held[number].retain(|id| Some(*id) != round.release);
                held[number].extend(round.claim);
            }
        }
        let sum: usize = held.iter().map(BTreeSet::len).sum();
        prop_assert_eq!(sum, wanted.len());
        prop_assert_eq!(&held.iter().flatten().copied().collect::<BTreeSet<u32>>(), &wanted);
        let share = wanted.len().div_ceil(pollers);
        prop_assert!(held.iter().all(|held| held.len() <= share), "{:?}", held);
    }
}
