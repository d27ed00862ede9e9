//! Each documented behaviour of a stream, one row each: what people do, and what the table holds.

use chrono::TimeDelta;
use object_store::{ObjectStoreExt, path::Path};

use super::{
    ports::Growing,
    target::MemoryTarget,
    world::{Manner, Row, World},
};
use crate::{
    faults::Faults,
    files::{
        command::{Which, import, parse_list, redrive, replay, undo},
        options::Overwrites,
        plan::PlannedFile,
        seen::Seen,
        stream::{Progress, Stream},
    },
};

mod bad_data;
mod columns;
mod commands;
mod discovery;
mod overwrites;
mod state;

/// What happens, in order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody writes a file, at this second.
    Put(&'static str, i64, &'static [&'static str]),
    /// Somebody removes one.
    Remove(&'static str),
    /// From now on processes are told otherwise.
    Told(fn(&mut Manner)),
    /// A new process loads all it can, in so many batches.
    Load(usize),
    /// The same process goes on, for so many batches.
    Again(usize),
    /// A new process stops with these words.
    Stops(&'static str),
    /// A process dies when the plan exists.
    DiesPlanned,
    /// A process dies when it is decided what becomes of the plan.
    DiesDecided,
    /// A new process is asked for something about files with this in the path, and loads all.
    Redrive(&'static str, usize),
    Replay(&'static str, usize),
    Undo(&'static str, usize),
    /// A new process refuses to replay files with this in the path, with these words.
    Refuses(&'static str, &'static str),
    /// A new process is given another loader's list, and loads all.
    Import(&'static str, usize),
    /// What the ledger says of a file.
    Stands(&'static str, &'static str),
    /// Records in quarantine.
    Bad(usize),
    /// The table goes back to its state after so many batches.
    Restored(usize),
    /// A file of the state is lost.
    Lost(&'static str),
    /// An hour passes.
    Waits,
}

struct Scenario {
    name: &'static str,
    overwrites: Overwrites,
    steps: &'static [Step],
    /// The rows at the end, by path: fields in order, rescued ones in brackets.
    rows: &'static str,
}

const fn row(
    name: &'static str,
    overwrites: Overwrites,
    steps: &'static [Step],
    rows: &'static str,
) -> Scenario {
    Scenario { name, overwrites, steps, rows }
}

const ONE_A_BATCH: Step = Step::Told(|m| m.config.limits.files_max = 1);
const ONE_TRY: Step = Step::Told(|m| m.config.bad.failures_max = 1);
const WITHOUT_EXISTING: Step = Step::Told(|m| m.config.discovery.includes_existing = false);
const RESCUE: Step = Step::Told(|m| m.growing = Growing::Rescue);
const EVOLVE: Step = Step::Told(|m| m.growing = Growing::Evolve);

const ONE: &[&str] = &["a=1"];
const TWO: &[&str] = &["a=1", "a=2"];
const OTHER: &[&str] = &["a=7"];
const BROKEN: &[&str] = &["a=1", "#"];
const WITH_B: &[&str] = &["a=3 b=4"];

struct Scene {
    name: &'static str,
    world: World,
    manner: Manner,
    stream: Stream<MemoryTarget>,
}

impl Scene {
    fn new(name: &'static str, overwrites: Overwrites) -> Self {
        let world = World::new(overwrites);
        let manner = world.manner();
        let stream = world.stream(manner.clone(), &Faults::none());
        Self { name, world, manner, stream }
    }

    fn restart(&mut self) {
        self.stream = self.world.stream(self.manner.clone(), &Faults::none());
    }

    /// Loads until there is nothing more to do; `Err` says why it stopped.
    async fn load(&mut self) -> Result<usize, String> {
        for batches in 0..100 {
            match self.stream.run_once().await {
                Ok(Progress::Loaded(_)) => (),
                Ok(Progress::UpToDate { .. }) => return Ok(batches),
                Err(error) => return Err(error.to_string()),
            }
        }
        panic!("{}: never up to date", self.name);
    }

    /// Runs processes that die a step later each, until `name` is there and not committed.
    async fn die_with(&mut self, name: &str) {
        let batch = self.world.table.lock().unwrap().commits.len();
        let wanted = Path::from(format!("s/{name}/{batch}.json"));
        for lifetime in 1..200 {
            // Whether the last step has its effect depends on the seed, and it must not be one more.
            for seed in 0..16 {
                let faults = Faults::new(seed, 0, lifetime);
                drop(self.world.stream(self.manner.clone(), &faults).run_once().await);
                let committed = self.world.table.lock().unwrap().commits.len();
                assert_eq!(committed, batch, "{}", self.name);
                if self.world.state.head(&wanted).await.is_ok() {
                    return;
                }
            }
        }
        panic!("{}: {wanted} never came", self.name);
    }

    async fn step(&mut self, step: Step) {
        use Step::{
            Again, Bad, DiesDecided, DiesPlanned, Import, Load, Lost, Put, Redrive, Refuses,
            Remove, Replay, Restored, Stands, Stops, Told, Undo, Waits,
        };

        let name = self.name;
        match step {
            Put(path, seconds, lines) => self.world.put(path, seconds, lines),
            Remove(path) => drop(self.world.source().files.remove(path).expect("is there")),
            Told(change) => change(&mut self.manner),
            Waits => self.world.clock.jump(TimeDelta::hours(1)),
            Load(batches) => {
                self.restart();
                assert_eq!(self.load().await, Ok(batches), "{name}: {step:?}");
            }
            Again(batches) => assert_eq!(self.load().await, Ok(batches), "{name}: {step:?}"),
            Stops(words) => {
                self.restart();
                let stopped = self.load().await.expect_err(name);
                assert!(stopped.contains(words), "{name}: {stopped}");
            }
            DiesPlanned => self.die_with("offsets").await,
            DiesDecided => self.die_with("outcomes").await,
            Redrive(path, batches) => self.ask(path, batches, redrive).await,
            Replay(path, batches) => self.ask(path, batches, replay).await,
            Undo(path, batches) => self.ask(path, batches, undo).await,
            Refuses(path, words) => {
                self.restart();
                let seen = self.stream.recall().await.expect(name);
                let files = replay(seen, Which::Paths(&|found| found.contains(path)));
                let refused = self.stream.ask(files).expect_err(name).to_string();
                assert!(refused.contains(words), "{name}: {refused}");
            }
            Import(list, batches) => self.import(list, batches).await,
            Stands(path, expected) => {
                if let Some(words) = expected.strip_prefix("stops: ") {
                    let stopped = self.load().await.expect_err(name);
                    assert!(stopped.contains(words), "{name}: {stopped}");
                    return;
                }
                self.restart();
                let seen = self.stream.recall().await.expect(name);
                let stands = seen.get(path).map_or("unknown", |known| known.status.as_str());
                assert_eq!(stands, expected, "{name}: {path}");
            }
            Bad(count) => assert_eq!(self.world.bad().len(), count, "{name}"),
            Restored(batches) => {
                let mut kept = self.world.table.lock().unwrap();
                kept.commits.truncate(batches);
                kept.rows.truncate(batches);
            }
            Lost(file) => self.world.state.delete(&Path::from(file)).await.expect(name),
        }
    }

    async fn ask(
        &mut self,
        path: &str,
        batches: usize,
        select: fn(&Seen, Which<'_>) -> Vec<PlannedFile>,
    ) {
        self.restart();
        let seen = self.stream.recall().await.expect(self.name);
        let files = select(seen, Which::Paths(&|found| found.contains(path)));
        self.stream.ask(files).expect(self.name);
        assert_eq!(self.load().await, Ok(batches), "{}", self.name);
        assert!(self.stream.asked().is_empty(), "{}", self.name);
    }

    async fn import(&mut self, list: &str, batches: usize) {
        self.restart();
        let listed = parse_list(list, super::world::SOURCE).expect(self.name);
        let found = self.stream.found_now().await.expect(self.name);
        let files = import(self.stream.seen(), &found, &listed);
        self.stream.ask(files).expect(self.name);
        assert_eq!(self.load().await, Ok(batches), "{}", self.name);
    }
}

/// Writes rows as the tables above do.
fn written(rows: &[Row]) -> String {
    let mut paths: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows {
        let field = |(name, value): (&String, &String)| {
            if row.rescued.contains(name) {
                format!("({name}{value})")
            } else {
                format!("{name}{value}")
            }
        };
        let text: String = row.fields.iter().map(field).collect();
        match paths.last_mut() {
            Some((path, texts)) if *path == row.path => texts.push(text),
            _ => paths.push((&row.path, vec![text])),
        }
    }
    let paths = paths.iter().map(|(path, rows)| format!("{path}:{}", rows.join(",")));
    paths.collect::<Vec<_>>().join(" ")
}

async fn play(scenarios: &[Scenario]) {
    for Scenario { name, overwrites, steps, rows } in scenarios {
        println!("{name}");
        let mut scene = Scene::new(name, *overwrites);
        for step in *steps {
            scene.step(*step).await;
        }
        let mut found = scene.world.rows();
        found.sort_by(|a, b| (&a.path, etag(a), a.line).cmp(&(&b.path, etag(b), b.line)));
        assert_eq!(written(&found), *rows, "{name}");
    }
}

fn etag(row: &Row) -> u64 {
    row.etag.parse().expect("a number")
}
