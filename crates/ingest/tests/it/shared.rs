//! Pollers on many machines: who holds what, what is fetched how often, and what is known after.

mod audit;
mod clock;
mod machines;
mod market;
mod minio;
mod simulation;
mod store;

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

use ingest::{
    poller::{
        PollConfig,
        losses::{Loss, Since},
    },
    shared::SharedConfig,
    state::FetchedPage,
};
use model::{BarInterval, Dataset, session::Session};

use self::{
    audit::{Audit, view},
    clock::World,
    machines::{Common, Machine, Said, finish, step},
    market::{SlowTopic, Vendor},
    store::WatchedStore,
};
use crate::landing::faulty::Dice;

/// A Sunday: every session since the start is over, none is added while a test runs.
const NOW: &str = "2024-03-17T12:00:00Z";
const START_DATE: &str = "2024-02-01";
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
        told: Arc::default(),
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
        // Asked when everybody waits: there is nothing new before.
        if step(&common.world, machines, dice).is_none() && is_done(machines) {
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
    // From the next beat on, each takes its part of the requests a second.
    run(&mut machines, &common, &mut dice, TTL, |_| false);
    let asked: Vec<Duration> = common.vendor.requests().iter().map(|(at, _)| *at).collect();
    let shared_since = common.world.now() - TTL / 2;
    let asked: Vec<Duration> = asked.into_iter().filter(|at| shared_since < *at).collect();
    assert!(asked.windows(6).all(|six| Duration::from_secs(1) <= six[5] - six[0]), "{asked:?}");
    assert!(6 < asked.len(), "{asked:?}");
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

#[test]
fn a_poller_that_stops_in_order_leaves_its_shards_to_the_others_at_once() {
    let common = common(2, 6, 12);
    let mut dice = Dice::new(2);
    let mut machines: Vec<_> = (0..2).map(|n| Machine::new(&common, n, &mut dice)).collect();
    machines.iter_mut().for_each(Machine::start);
    let is_shared = |machines: &[Machine]| held(machines).iter().all(|held| held.len() == 3);
    assert!(run(&mut machines, &common, &mut dice, TTL * 2, is_shared), "{:?}", held(&machines));
    // Stopped in the midst of a fetch: the shard at work is given up as the others are.
    machines[0].stop();
    let has_all = |machines: &[Machine]| machines[1].said().shards.len() == 6;
    let within = TTL - Duration::from_secs(1);
    assert!(run(&mut machines, &common, &mut dice, within, has_all), "{:?}", held(&machines));
    machines[0].crash();
    machines[0].starts_at = None;
    let is_done = |machines: &[Machine]| !is_behind(&machines[1]);
    assert!(run(&mut machines, &common, &mut dice, TTL * 30, is_done), "does not end");
    run(&mut machines, &common, &mut dice, TTL, |_| false);
    Audit::of(&common).check_all_fetched_once(&common);
}

#[test]
fn a_machine_that_was_suspended_for_days_has_lost_its_shards() {
    let mut common = common(4, 2, 12);
    // Days of the store are short, and every link is a snapshot: what fenced it is deleted.
    let store_clock_speed = 100_000;
    common.store = WatchedStore::new(&common.world, 4, TTL * 2, store_clock_speed);
    common.shared.snapshot_links = NonZeroU64::new(2).unwrap();
    let mut dice = Dice::new(4);
    let mut machines: Vec<_> = (0..2).map(|n| Machine::new(&common, n, &mut dice)).collect();
    machines.iter_mut().for_each(Machine::start);
    let is_shared = |machines: &[Machine]| held(machines).iter().all(|held| held.len() == 1);
    assert!(run(&mut machines, &common, &mut dice, TTL * 2, is_shared), "{:?}", held(&machines));
    assert!(machines.iter().all(is_behind));
    machines[0].suspend(TTL * 4);
    let has_all = |machines: &[Machine]| machines[1].said().shards.len() == 2;
    assert!(run(&mut machines, &common, &mut dice, TTL * 2, has_all), "{:?}", held(&machines));
    let is_up = |machines: &[Machine]| machines[0].is_up();
    assert!(run(&mut machines, &common, &mut dice, TTL * 3, is_up), "does not wake up");
    assert!(50 < common.store.fired().pruned, "{:?}", common.store.fired());
    let is_done = |machines: &[Machine]| !machines.iter().any(is_behind);
    assert!(run(&mut machines, &common, &mut dice, TTL * 30, is_done), "does not end");
    run(&mut machines, &common, &mut dice, TTL, |_| false);
    Audit::of(&common).check_all_fetched_once(&common);
}

#[test]
fn a_store_that_is_slow_to_list_does_not_hold_up_a_plan() {
    let mut common = common(5, 1, 12);
    // Long plans: a page is one row.
    common.config.page_rows = NonZeroU32::MIN;
    common.config.pages_max = NonZeroU32::new(50).unwrap();
    let mut dice = Dice::new(5);
    let mut machines = vec![Machine::new(&common, 0, &mut dice)];
    machines[0].start();
    let has_begun = |_: &[Machine]| !common.vendor.requests().is_empty();
    assert!(run(&mut machines, &common, &mut dice, TTL * 2, has_begun), "asks for nothing");
    common.store.set_slow(true);
    let asked = common.vendor.requests().len();
    run(&mut machines, &common, &mut dice, TTL * 5, |_| false);
    let asked = common.vendor.requests().len() - asked;
    // In these twenty seconds it could ask for a hundred; plans begin after the rounds.
    assert!(60 < asked, "{asked} requests");
}

#[test]
fn what_a_topic_lost_is_fetched_again_once_whoever_holds_the_shard() {
    let common = common(4, 6, 12);
    let mut dice = Dice::new(4);
    let mut machines: Vec<_> = (0..2).map(|n| Machine::new(&common, n, &mut dice)).collect();
    machines.iter_mut().for_each(Machine::start);
    let are_done = |machines: &[Machine]| {
        held(machines).iter().all(|held| !held.is_empty()) && !machines.iter().any(is_behind)
    };
    assert!(run(&mut machines, &common, &mut dice, TTL * 100, are_done), "does not end");
    run(&mut machines, &common, &mut dice, TTL, |_| false);
    Audit::of(&common).check_all_fetched(&common, 1);
    common.told.tell(Loss {
        id: "1".to_owned(),
        topic: Some("eod".to_owned()),
        since: Since::Ever,
    });
    // They hear of it within a minute, and one of them dies on the way.
    let is_at_it = |machines: &[Machine]| machines.iter().all(is_behind);
    assert!(run(&mut machines, &common, &mut dice, TTL * 30, is_at_it), "nobody heard");
    machines[0].crash();
    let is_done =
        |machines: &[Machine]| machines[1].said().shards.len() == 6 && !is_behind(&machines[1]);
    assert!(run(&mut machines, &common, &mut dice, TTL * 100, is_done), "does not end");
    // The other is back, is told the same, and knows that it was seen to.
    machines[0].start();
    run(&mut machines, &common, &mut dice, TTL * 60, |_| false);
    Audit::of(&common).check_all_fetched(&common, 2);
    // Of what landed, the first half of the pages may be missing for good.
    let view = view(&common);
    let notes = finish(&common.world, view.losses_seen_to()).expect("reads");
    assert_eq!(notes.len(), 6, "one of each shard");
    let pages = finish(&common.world, view.fetched_pages()).expect("reads");
    let is_explained = |page: &&FetchedPage| notes.iter().any(|note| note.explains("eod", page));
    assert_eq!(pages.iter().filter(is_explained).count() * 2, pages.len());
}

#[test]
fn another_number_of_shards_is_refused() {
    let mut common = common(3, 6, 12);
    let mut dice = Dice::new(3);
    let mut first = vec![Machine::new(&common, 0, &mut dice)];
    first[0].start();
    run(&mut first, &common, &mut dice, TTL, |_| false);
    common.shared.shards = NonZeroU32::new(7).unwrap();
    let mut second = vec![Machine::new(&common, 1, &mut dice)];
    second[0].start();
    run(&mut second, &common, &mut dice, TTL, |_| false);
    let Said { shards, problems, .. } = second[0].said();
    assert!(shards.is_empty() && problems[0].contains("has 6 shards, not 7"), "{problems:?}");
    common.shared.generation = NonZeroU32::new(2).unwrap();
    let mut third = vec![Machine::new(&common, 2, &mut dice)];
    third[0].start();
    let has_all = |machines: &[Machine]| held(machines)[0].len() == 7;
    assert!(run(&mut third, &common, &mut dice, TTL * 2, has_all), "{:?}", held(&third));
}
