//! Thousands of bad days: several processes run one stream while people write to its source, stores
//! refuse, forget and hang up, clocks jump, and processes die at any await. Afterwards every file's
//! rows are in the table exactly once, and the ledger says so.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use model::ErrorKind;
use object_store::{ObjectStoreExt, path::Path};
use serde::de::DeserializeOwned;

use super::{
    ports::{Finding, Growing},
    target::MemoryTarget,
    world::{Manner, Row, Version, World, at},
};
use crate::{
    BatchId,
    faults::{Faults, Random, killed_after, seeds},
    files::{
        command::{Which, redrive, replay, undo},
        error::Error,
        options::{LoadTrigger, Overwrites},
        plan::{FilePlan, Found, Outcome, SetAside},
        seen::{Known, Seen, Status},
        stream::{Progress, Stream},
    },
};

/// In the ordinary run; `MARKETLAKE_SEEDS=10000` with `--release` takes some minutes.
const SEEDS: u64 = 300;

/// Worlds are small: a stream that needs more goes round in circles.
const RUNS_MAX: usize = 60;

const PATHS: [&str; 7] = ["a", "b", "d=1/a", "d=1/c", "d=2/x", "e", "f"];

/// What happened, for the proof that it does happen.
#[derive(Debug, Default)]
struct Told {
    counts: BTreeMap<&'static str, u64>,
}

impl Told {
    fn add(&mut self, what: &'static str, count: usize) {
        *self.counts.entry(what).or_default() += count as u64;
    }
}

struct Process {
    stream: Stream<MemoryTarget>,
}

impl Process {
    fn start(world: &World, random: &mut Random) -> Self {
        let faults =
            Faults::new(random.below(u64::MAX), 4 + random.below(60), 1 + random.below(300));
        Self { stream: world.stream(manner(world, random), &faults) }
    }

    /// Runs once, perhaps not to the end; bad days may cost time, never sense.
    async fn run(&mut self, polls: u64, context: &str) {
        let Some(ended) = killed_after(self.stream.run_once(), polls).await else { return };
        if let Err(error) = ended {
            let is_stop = matches!(error, Error::Schema { .. });
            let kind = error.kind();
            assert!(
                is_stop || matches!(kind, ErrorKind::Transient | ErrorKind::Conflict),
                "{context}: {kind} {error:?}"
            );
        }
    }

    /// Asks for something a person might ask for.
    fn ask(&mut self, random: &mut Random, told: &mut Told) {
        let path = PATHS[usize::try_from(random.below(7)).unwrap()];
        let is_path = |found: &str| found == path;
        let which = if random.one_in(3) { Which::All } else { Which::Paths(&is_path) };
        let seen = self.stream.seen();
        let files = match random.below(3) {
            0 => redrive(seen, which),
            1 => replay(seen, which),
            _ => undo(seen, which),
        };
        told.add("asked", files.len());
        if let Err(refused) = self.stream.ask(files) {
            assert!(refused.to_string().contains("several versions"), "{refused}");
        }
    }
}

/// Processes differ as their options may.
fn manner(world: &World, random: &mut Random) -> Manner {
    let mut manner = world.manner();
    let config = &mut manner.config;
    config.limits.files_max = usize::try_from(1 + random.below(6)).unwrap();
    config.limits.bytes_max = random.one_in(2).then(|| random.below(12));
    config.bad.failures_max = u32::try_from(1 + random.below(4)).unwrap();
    config.trigger =
        if random.one_in(2) { LoadTrigger::Continuous } else { LoadTrigger::AvailableNow };
    manner.finding = if random.one_in(2) { Finding::Hints } else { Finding::Listing };
    manner.growing = match random.below(4) {
        0 => Growing::Stop,
        1 => Growing::Rescue,
        _ => Growing::Evolve,
    };
    manner
}

/// People put, overwrite, mend, break and remove files, and events of it get lost or doubled.
fn live(world: &World, random: &mut Random, told: &mut Told) {
    let path = PATHS[usize::try_from(random.below(7)).unwrap()];
    world.clock.jump(TimeDelta::seconds(i64::try_from(random.below(100)).unwrap() - 45));
    let mut source = world.source();
    if random.one_in(6) {
        told.add("removed", usize::from(source.files.remove(path).is_some()));
        return;
    }
    told.add("overwritten", usize::from(source.files.contains_key(path)));
    let lines = usize::try_from(random.below(6)).unwrap();
    let line = |random: &mut Random| {
        if random.one_in(8) {
            return None;
        }
        let mut fields = BTreeMap::from([("a".to_owned(), random.below(100).to_string())]);
        for name in ["b", "c"] {
            if random.one_in(6) {
                fields.insert(name.to_owned(), random.below(100).to_string());
            }
        }
        Some(fields)
    };
    let lines: Vec<_> = (0..lines).map(|_| line(random)).collect();
    let broken = random.one_in(5).then(|| random.below(lines.len() as u64 + 1));
    let broken_at = broken.map(|at| usize::try_from(at).unwrap());
    told.add("broken", usize::from(broken_at.is_some()));
    // Stores tell seconds, and two writes may fall into one.
    let modified = at(i64::try_from(random.below(500)).unwrap());
    source.put(path, Version { etag: 0, modified, lines, broken_at });
    for _ in 0..random.below(3) {
        source.hints.push(path.to_owned());
    }
}

async fn simulate(seed: u64, told: &mut Told) {
    let context = format!("seed {seed}");
    let mut random = Random::new(seed);
    let overwrites = [Overwrites::Ignore, Overwrites::Append, Overwrites::Replace]
        [usize::try_from(random.below(3)).unwrap()];
    let world = World::new(overwrites);
    let mut processes = [0; 3].map(|_| Process::start(&world, &mut random));
    for _ in 0..10 + random.below(40) {
        for _ in 0..random.below(3) {
            live(&world, &mut random, told);
        }
        let polls = [(); 3].map(|()| 1 + random.below(150));
        let writes = random.below(3);
        let [one, two, three] = &mut processes;
        let people = async {
            for _ in 0..writes {
                for _ in 0..random.below(20) {
                    tokio::task::yield_now().await;
                }
                live(&world, &mut random, told);
            }
        };
        futures::join!(
            one.run(polls[0], &context),
            two.run(polls[1], &context),
            three.run(polls[2], &context),
            people
        );
        for process in &mut processes {
            if random.one_in(12) {
                process.ask(&mut random, told);
            }
            if random.one_in(4) {
                *process = Process::start(&world, &mut random);
                told.add("restarts", 1);
            }
        }
    }
    let survivor = processes.map(|process| process.stream).into_iter().next().unwrap();
    let seen = settle(&world, &context).await;
    check(&world, &seen, &context, told).await;
    // One that slept through all of it wakes up.
    let mut survivor = Process { stream: survivor };
    survivor.run(10_000, &context).await;
    let again = settle(&world, &context).await;
    check(&world, &again, &context, told).await;
}

/// Runs good days until nothing is to be done, trying once more what failed on bad ones.
async fn settle(world: &World, context: &str) -> Seen {
    let mut seen = Seen::default();
    for round in 0..RUNS_MAX {
        let mut stream = world.stream(world.manner(), &Faults::none());
        let mut batches = 0;
        // Twice, for a batch that was decided on a bad day may still be on its way.
        if round < 2 {
            let failed = redrive(stream.recall().await.unwrap(), Which::All);
            stream.ask(failed).unwrap();
        }
        loop {
            match stream.run_once().await {
                Ok(Progress::Loaded(_)) => batches += 1,
                Ok(Progress::UpToDate { .. }) => break,
                Err(error) => panic!("{context}: on a good day: {error:?}"),
            }
            assert!(batches < RUNS_MAX, "{context}: never up to date");
        }
        let is_done = 2 <= round && batches == 0;
        seen = stream.seen().clone();
        if is_done {
            return seen;
        }
    }
    panic!("{context}: there is always something to do: {seen:?}");
}

/// The invariants.
async fn check(world: &World, seen: &Seen, context: &str, told: &mut Told) {
    check_files(world, seen, context, told);
    check_batches(world, seen, context, told).await;
}

fn check_files(world: &World, seen: &Seen, context: &str, told: &mut Told) {
    let rows = world.rows();
    let source = world.source();
    let mut by_version: BTreeMap<(String, String), Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        by_version.entry((row.path.clone(), row.etag.clone())).or_default().push(row);
    }
    // No invention, no loss inside a file, no row twice.
    for (key, rows) in &by_version {
        let version = &source.versions[key];
        assert_eq!(version.broken_at, None, "{context}: a broken file has no rows: {key:?}");
        let expected: Vec<(i64, &BTreeMap<String, String>)> = (1..)
            .zip(&version.lines)
            .filter_map(|(number, line)| line.as_ref().map(|line| (number, line)))
            .collect();
        let found: Vec<_> = rows.iter().map(|row| (row.line, &row.fields)).collect();
        assert_eq!(found, expected, "{context}: {key:?}");
    }
    // The ledger says of each path what the table has, whatever version it is of.
    for known in seen.rows() {
        let kept = rows.iter().filter(|row| row.path == known.file.path).count() as u64;
        assert_eq!(known.rows_kept, kept, "{context}: {known:?}");
        check_file(world.overwrites, known, &by_version, context, told);
    }
    let known: BTreeSet<&str> = seen.rows().map(|known| known.file.path.as_str()).collect();
    for (path, version) in &source.files {
        assert!(known.contains(path.as_str()), "{context}: {path} was never seen");
        let known = seen.get(path).unwrap();
        let is_newest = known.file.etag == Some(version.etag.to_string());
        assert!(
            is_newest || world.overwrites == Overwrites::Ignore || known.status == Status::Undone,
            "{context}: the last version counts: {known:?}, {version:?}"
        );
        if is_newest && world.overwrites != Overwrites::Append {
            check_backfill(world, seen, known, &rows, context);
        }
    }
}

/// What is a column is rescued no more, once rows were read under a version that has it; but for a
/// file that could not be read again as often as it was tried.
fn check_backfill(world: &World, seen: &Seen, known: &Known, rows: &[Row], context: &str) {
    let versions = world.versions.lock().unwrap();
    let newest = (versions.len() as u64).checked_sub(1);
    let is_column = |name: &String| versions.last().is_some_and(|names| names.contains(name));
    let is_given_up = known.found == Found::Backfill && known.schema_version == newest;
    let mut of_it = rows.iter().filter(|row| row.path == known.file.path);
    if known.status == Status::Loaded && seen.schema_version() == newest && !is_given_up {
        assert!(!of_it.any(|row| row.rescued.iter().any(is_column)), "{context}: {known:?}");
    }
}

fn check_file(
    overwrites: Overwrites,
    known: &Known,
    by_version: &BTreeMap<(String, String), Vec<&Row>>,
    context: &str,
    told: &mut Told,
) {
    let etags: Vec<&String> = by_version
        .keys()
        .filter(|(path, _)| *path == known.file.path)
        .map(|(_, etag)| etag)
        .collect();
    if overwrites != Overwrites::Append {
        assert!(etags.len() <= 1, "{context}: replaced rows are gone: {known:?} {etags:?}");
    }
    told.add(known.status.as_str(), 1);
    match known.status {
        Status::Loaded if known.outcome.rows == 0 => {
            assert_eq!(known.outcome.set_aside, None, "{context}: it was read: {known:?}");
        }
        Status::Loaded => {
            let etag = known.file.etag.as_ref().unwrap();
            assert!(etags.contains(&etag), "{context}: {known:?} {etags:?}");
        }
        Status::Undone => assert!(etags.is_empty(), "{context}: {known:?}"),
        Status::Poisoned => {
            let reason = &known.outcome.first_error.as_ref().unwrap().reason;
            assert!(reason.contains("cut off"), "{context}: it was tried on a good day: {known:?}");
        }
        Status::Missing => (),
        // Its file was taken away before the next version was found.
        Status::Failed => {
            assert_eq!(known.outcome.set_aside, Some(SetAside::Changed), "{context}: {known:?}");
        }
        Status::Planned | Status::Skipped => panic!("{context}: {known:?}"),
    }
}

/// Batches are numbered without holes, each is what its outcome says, and so is quarantine.
async fn check_batches(world: &World, seen: &Seen, context: &str, told: &mut Told) {
    let commits = world.table.lock().unwrap().commits.clone();
    let (mut bad, mut derived) = (Vec::new(), Seen::default());
    for (number, (batch, rows)) in (0..).zip(&commits) {
        assert_eq!(*batch, BatchId(number), "{context}: a number is given once");
        let plan: FilePlan = state(world, format!("s/offsets/{number}.json")).await;
        let outcome: Outcome = state(world, format!("s/outcomes/{number}.json")).await;
        assert_eq!(outcome.rows, *rows, "{context}: batch {number} is what was decided");
        derived.settle(&plan, &outcome);
        for (path, found) in &outcome.files {
            bad.extend((0..found.records_bad).map(|_| (number, path.clone())));
        }
        let backfilled = plan.files.iter().filter(|planned| planned.found == Found::Backfill);
        told.add("backfilled", backfilled.count());
    }
    assert_eq!(*seen, derived, "{context}: what is seen follows from plans and outcomes alone");
    told.add("batches", commits.len());
    told.add("quarantined", bad.len());
    let found: Vec<_> = world.bad().into_iter().map(|(batch, path, _)| (batch, path)).collect();
    let lines: BTreeSet<_> = world.bad().into_iter().collect();
    assert_eq!(lines.len(), found.len(), "{context}: a bad record is in quarantine once");
    assert_eq!(found, bad, "{context}: quarantine holds what the outcomes count");
}

async fn state<D: DeserializeOwned>(world: &World, name: String) -> D {
    let found = world.state.get(&Path::from(name)).await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&found).unwrap()
}

/// Every seed is another story; `MARKETLAKE_SEED` tells one again, `MARKETLAKE_SEEDS` tells more.
#[tokio::test]
async fn every_file_is_loaded_exactly_once_whatever_happens() {
    let mut told = Told::default();
    let seeds = seeds(SEEDS);
    let count = seeds.end - seeds.start;
    for seed in seeds {
        println!("seed {seed}; replay with MARKETLAKE_SEED={seed}");
        Box::pin(simulate(seed, &mut told)).await;
    }
    println!("{:?}", told.counts);
    // What never happened has proved nothing.
    for what in [
        "asked",
        "removed",
        "overwritten",
        "broken",
        "restarts",
        "backfilled",
        "batches",
        "quarantined",
        "loaded",
        "undone",
        "poisoned",
        "missing",
    ] {
        let happened = told.counts.get(what).copied().unwrap_or_default();
        assert!(count == 1 || count / 10 < happened, "`{what}` happened {happened} times only");
    }
}

/// Dies at every single step of a run, one after the other.
#[tokio::test]
async fn a_death_at_any_step_loses_and_repeats_nothing() {
    let mut told = Told::default();
    for lifetime in 1..90 {
        for seed in 0..3 {
            let world = World::new(Overwrites::Replace);
            world.put("a", 1, &["a=1", "a=2 b=3", "!", "a=4"]);
            world.put("b", 2, &["a=1", "#"]);
            world.put("e", 3, &["a=7", "c=8"]);
            let mut manner = world.manner();
            manner.config.limits.files_max = 2;
            let mut doomed = world.stream(manner, &Faults::new(seed, 0, lifetime));
            for _ in 0..4 {
                drop(doomed.run_once().await);
            }
            world.put("a", 9, &["a=5"]);
            let context = format!("death at step {lifetime}, seed {seed}");
            let seen = settle(&world, &context).await;
            check(&world, &seen, &context, &mut told).await;
        }
    }
}
