//! Pollers on many machines: who holds what, what is fetched how often, and what is known after.

mod audit;
mod clock;
mod machines;
mod market;
mod simulation;
mod store;

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use ingest::{poller::PollConfig, shared::SharedConfig};
use model::{BarInterval, Dataset, session::Session};

use self::{
    audit::Audit,
    clock::World,
    machines::{Common, Machine, step},
    market::{SlowTopic, Vendor},
    store::WatchedStore,
};
use crate::landing::faulty::Dice;

/// A Sunday: every session since the start is over, none is added while a test runs.
const NOW: &str = "2024-03-17T12:00:00Z";
const START_DATE: &str = "2024-01-16";
const TTL: Duration = Duration::from_secs(4);

fn symbols(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("S{number}")).collect()
}

fn sessions() -> Vec<Session> {
    let (from, to) = (START_DATE.parse().unwrap(), NOW[..10].parse().unwrap());
    Session::between(from, to).collect()
}

fn config(symbols: Vec<String>) -> PollConfig {
    PollConfig {
        datasets: vec![Dataset::Eod],
        symbols,
        interval: BarInterval::Minute1,
        after_hours: false,
        start_date: START_DATE.parse().unwrap(),
        look_back: Duration::from_secs(600),
        revise_days: 0,
        settle: Duration::from_secs(5),
        poll_every: Duration::from_secs(60),
        page_rows: NonZeroU32::new(3).unwrap(),
        pages_max: NonZeroU32::new(3).unwrap(),
        symbols_per_request: NonZeroU32::new(2).unwrap(),
        requests_per_second: NonZeroU32::new(5).unwrap(),
        quota_month: None,
        topic_prefix: String::new(),
    }
}

/// A world with a store, a vendor and a topic, and nobody in it.
fn common(seed: u64, shards: u32, symbols_count: u64) -> Common {
    let world = World::new(NOW);
    let symbols = symbols(symbols_count);
    let vendor = Vendor::new(&world, seed, &symbols, &sessions());
    Common {
        store: WatchedStore::new(&world, seed, TTL * 2, 1),
        topic: SlowTopic::new(&world, seed),
        vendor,
        world,
        config: config(symbols),
        shared: SharedConfig {
            generation: NonZeroU32::MIN,
            shards: NonZeroU32::new(shards).unwrap(),
            lease_ttl: TTL,
            holder: String::new(),
            snapshot_links: NonZeroU64::new(7).unwrap(),
        },
    }
}

/// Runs machines until `is_done`, at most for a time of the world.
fn run(
    machines: &mut [Machine],
    common: &Common,
    dice: &mut Dice,
    at_most: Duration,
    mut is_done: impl FnMut(&[Machine]) -> bool,
) -> bool {
    let until = common.world.now() + at_most;
    while common.world.now() < until {
        step(&common.world, machines, dice);
        if is_done(machines) {
            return true;
        }
    }
    false
}

fn held(machines: &[Machine]) -> Vec<BTreeSet<u32>> {
    machines.iter().filter(|machine| machine.is_up()).map(|machine| machine.said().shards).collect()
}

/// Whether a machine has, or may have, more to fetch.
fn is_behind(machine: &Machine) -> bool {
    machine.said().progress.is_none_or(|progress| progress.windows_behind != 0)
}

#[test]
fn two_pollers_share_and_one_takes_over() {
    let common = common(1, 6, 12);
    let mut dice = Dice::new(1);
    let mut machines: Vec<_> = (0..2).map(|n| Machine::new(&common, n, &mut dice)).collect();
    machines.iter_mut().for_each(Machine::start);
    let is_shared = |machines: &[Machine]| held(machines).iter().all(|held| held.len() == 3);
    assert!(run(&mut machines, &common, &mut dice, TTL * 2, is_shared), "{:?}", held(&machines));
    // In the midst of it: what the one has fetched is not fetched again.
    assert!(is_behind(&machines[0]));
    machines[0].crash();
    let has_all = |machines: &[Machine]| held(machines)[0].len() == 6;
    assert!(run(&mut machines, &common, &mut dice, TTL * 2, has_all), "{:?}", held(&machines));
    let is_done = |machines: &[Machine]| !is_behind(&machines[1]);
    assert!(run(&mut machines, &common, &mut dice, TTL * 10, is_done), "does not end");
    // What `status` says is as old as the last beat.
    run(&mut machines, &common, &mut dice, TTL, |_| false);
    let audit = Audit::of(&common);
    audit.check_all_fetched_once(&common);
    let untold = audit.claims - audit.releases;
    assert_eq!(untold, 9, "six shards, and three of them taken over");
}
