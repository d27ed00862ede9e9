//! One loader on good days, its refusals, and hundreds of bad days: faults, deaths, and two
//! loaders at once, after which every line is in the target exactly once.

use model::{ErrorKind, ManualClock};
use object_store::{ObjectStoreExt, PutPayload, path::Path};

use super::*;
use crate::{
    faults::{Faults, Random, killed_after, seeds},
    target::contract::target_contract,
};
use world::{Kept, MemoryTarget, World, schema};

mod world;

/// Objects of a test are few; a loader that needs more runs than this goes round in circles.
const RUNS_MAX: usize = 500;

async fn drain(loader: &mut Loader<MemoryTarget>) -> Vec<BatchReport> {
    let mut reports = Vec::new();
    for _ in 0..RUNS_MAX {
        match loader.run_once().await.expect("a good day") {
            Progress::Loaded(report) => reports.push(report),
            Progress::UpToDate => return reports,
        }
    }
    panic!("never up to date");
}

async fn failure(loader: &mut Loader<MemoryTarget>) -> (ErrorKind, String) {
    let error = loader.run_once().await.expect_err("must refuse");
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn follows_every_chain_within_the_limits() {
    let mut world = World::new(&[0, 700, 0]);
    for (partition, lines) in [(0, 4), (0, 2), (1, 3), (1, 0), (1, 1), (0, 5)] {
        world.land(partition, lines).await;
    }
    let config = LoaderConfig { files_max: 4, ..world.config() };
    let mut loader = world.loader(config, &Faults::none());
    let waiting = loader.backlog().await.unwrap();
    assert_eq!(waiting.objects, 6);
    let reports = drain(&mut loader).await;
    let objects: Vec<_> = reports.iter().map(|report| report.objects).collect();
    assert_eq!(objects, [4, 2]);
    assert_eq!(reports.iter().map(|report| report.rows).sum::<u64>(), 15);
    assert_eq!(reports.iter().map(|report| report.offsets_lost).sum::<u64>(), 1);
    assert_eq!(loader.backlog().await.unwrap(), Backlog::default());
    world.check_exactly_once("after the first objects");
    world.land(2, 3).await;
    world.land(1, 1).await;
    world.clock.advance(PARTITIONS_EVERY);
    assert_eq!(loader.backlog().await.unwrap().objects, 2);
    assert_eq!(drain(&mut loader).await.len(), 1);
    world.check_exactly_once("after later ones");
}

#[tokio::test]
async fn available_now_ends_with_what_was_there() {
    let mut world = World::new(&[0, 5]);
    world.land(0, 2).await;
    world.land(0, 2).await;
    let config = LoaderConfig { files_max: 1, trigger: Trigger::AvailableNow, ..world.config() };
    let mut loader = world.loader(config.clone(), &Faults::none());
    assert!(loader.run_once().await.unwrap().moved());
    world.land(0, 2).await;
    world.land(1, 2).await;
    assert_eq!(drain(&mut loader).await.len(), 1, "later objects wait for the next start");
    assert_eq!(loader.backlog().await.unwrap().objects, 2);
    assert_eq!(drain(&mut world.loader(config, &Faults::none())).await.len(), 2);
    world.check_exactly_once("after both starts");
}

#[tokio::test]
async fn refuses_a_target_that_does_not_fit_its_plans() {
    let mut world = World::new(&[0]);
    let config = LoaderConfig { files_max: 1, ..world.config() };
    for _ in 0..3 {
        world.land(0, 2).await;
    }
    let mut running = world.loader(config.clone(), &Faults::none());
    drain(&mut running).await;
    let whole = std::mem::take(&mut *world.kept.lock().unwrap());

    for last in [None, Some(0), Some(9)] {
        world.kept.lock().unwrap().last = last;
        let (kind, text) = failure(&mut world.loader(config.clone(), &Faults::none())).await;
        assert_eq!(kind, ErrorKind::Data, "{last:?}: {text}");
        assert!(text.contains("bring back"), "{text}");
    }
    // One batch back is what a power loss leaves; its plan is still there.
    let rows: Vec<_> = whole.rows.iter().take(4).cloned().collect();
    *world.kept.lock().unwrap() = Kept { last: Some(1), rows };
    assert_eq!(failure(&mut running).await.0, ErrorKind::Data, "it has seen the batch");
    assert_eq!(drain(&mut world.loader(config, &Faults::none())).await.len(), 1);
    world.check_exactly_once("after the last batch was repeated");
}

#[tokio::test]
async fn refuses_the_state_of_another_pipeline() {
    let world = World::new(&[0]);
    drain(&mut world.loader(world.config(), &Faults::none())).await;
    let other = LoaderConfig { pipeline_uuid: "another".to_owned(), ..world.config() };
    assert_eq!(failure(&mut world.loader(other, &Faults::none())).await.0, ErrorKind::Config);
    let senseless = LoaderConfig { files_max: 0, topic: "a/b".to_owned(), ..world.config() };
    let (kind, text) = failure(&mut world.loader(senseless, &Faults::none())).await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(text.contains("`a/b`") && text.contains("files_max"), "{text}");
}

/// Plans a batch and fails before appending it.
async fn plan_only(world: &World) {
    let plan = Path::from("bronze.intraday/g=0/offsets/0.json");
    for lifetime in 1..100 {
        // Whether the last step has its effect depends on the seed, and it must not be one more.
        for seed in 0..16 {
            let mut loader = world.loader(world.config(), &Faults::new(seed, 0, lifetime));
            drop(loader.run_once().await);
            assert_eq!(world.kept.lock().unwrap().last, None);
            if world.checkpoints.head(&plan).await.is_ok() {
                return;
            }
        }
    }
    panic!("never planned");
}

#[tokio::test]
async fn a_planned_object_is_the_same_by_its_rows_and_not_its_etag() {
    let mut world = World::new(&[0]);
    let name = Path::from(world.land(0, 3).await);
    plan_only(&world).await;
    let bytes = world.landing.get(&name).await.unwrap().bytes().await.unwrap();
    world.landing.put(&name, PutPayload::from(bytes)).await.unwrap();
    assert_eq!(drain(&mut world.loader(world.config(), &Faults::none())).await.len(), 1);
    world.check_exactly_once("after the bucket was copied");
}

#[tokio::test]
async fn a_planned_object_that_changed_or_is_gone_stops_the_loader() {
    let mut world = World::new(&[0]);
    let name = Path::from(world.land(0, 3).await);
    plan_only(&world).await;
    let other = crate::object::tests::seal(0, 3, &[b"other".to_vec()]);
    world.landing.put(&name, PutPayload::from(other)).await.unwrap();
    let (kind, text) = failure(&mut world.loader(world.config(), &Faults::none())).await;
    assert!(kind == ErrorKind::Data && text.contains("not the one"), "{text}");
    world.landing.delete(&name).await.unwrap();
    let (kind, text) = failure(&mut world.loader(world.config(), &Faults::none())).await;
    assert!(kind == ErrorKind::Data && text.contains("gone"), "{text}");
}

#[tokio::test]
async fn a_damaged_object_is_named_and_never_skipped() {
    let mut world = World::new(&[0]);
    world.land(0, 3).await;
    let name = Path::from(world.land(0, 3).await);
    let bytes = world.landing.get(&name).await.unwrap().bytes().await.unwrap();
    world.landing.put(&name, PutPayload::from(bytes.slice(..bytes.len() - 3))).await.unwrap();
    let mut loader = world.loader(world.config(), &Faults::none());
    for _ in 0..2 {
        let (kind, text) = failure(&mut loader).await;
        assert_eq!(kind, ErrorKind::Data);
        assert!(text.contains(name.as_ref()), "{text}");
    }
    world.landing.put(&name, PutPayload::from(bytes)).await.unwrap();
    drain(&mut loader).await;
    world.check_exactly_once("after the object was mended");
}

#[tokio::test]
async fn old_plans_are_removed_and_the_cursors_stay() {
    let mut world = World::new(&[0]);
    let config = LoaderConfig { files_max: 1, ..world.config() };
    let batches = PLANS_KEPT + 20;
    for _ in 0..batches {
        world.land(0, 1).await;
    }
    for _ in 0..batches {
        let mut loader = world.loader(config.clone(), &Faults::none());
        assert!(loader.run_once().await.unwrap().moved());
    }
    world.check_exactly_once("one process per batch");
    let loader = world.loader(config, &Faults::none());
    let plans = loader.state.batches().await.unwrap().len();
    assert!(u64::try_from(plans).unwrap() <= PLANS_KEPT + 1, "{plans} plans");
    assert_eq!(loader.backlog().await.unwrap(), Backlog::default());
}

#[tokio::test]
async fn the_target_in_memory_keeps_the_contract() {
    let kept = Arc::new(std::sync::Mutex::new(Kept::default()));
    let open = async || MemoryTarget { kept: Arc::clone(&kept), faults: Faults::none() };
    let count = async || u64::try_from(kept.lock().unwrap().rows.len()).unwrap();
    target_contract(&schema(), open, count).await;
}

/// A process in the simulation, born anew after its death.
struct Process {
    loader: Loader<MemoryTarget>,
}

impl Process {
    fn start(world: &World, config: &LoaderConfig, random: &mut Random) -> Self {
        let faults =
            Faults::new(random.below(u64::MAX), 3 + random.below(30), 1 + random.below(60));
        let mut config = config.clone();
        // Processes of different settings choose different batches, so a lost race matters.
        config.files_max = usize::try_from(1 + random.below(5)).unwrap();
        config.bytes_max = 200 + random.below(3_000);
        Self { loader: world.loader(config, &faults) }
    }

    /// Runs once, perhaps not to the end; bad days may cost time, never sense.
    async fn run(&mut self, polls: u64, context: &str) {
        if let Some(Err(error)) = killed_after(self.loader.run_once(), polls).await {
            let kind = error.kind();
            assert!(
                matches!(kind, ErrorKind::Transient | ErrorKind::Conflict),
                "{context}: {kind} {error}"
            );
        }
    }
}

async fn simulate(seed: u64) {
    let context = format!("seed {seed}");
    let mut random = Random::new(seed);
    let firsts: Vec<u64> = (0..=random.below(3))
        .map(|_| if random.one_in(3) { random.below(50) } else { 0 })
        .collect();
    let mut world = World::new(&firsts);
    let config = world.config();
    let mut processes = [0, 1].map(|_| Process::start(&world, &config, &mut random));
    for _ in 0..30 + random.below(60) {
        for _ in 0..random.below(3) {
            let partition = usize::try_from(random.below(firsts.len() as u64)).unwrap();
            let lines = usize::try_from(random.below(6)).unwrap();
            world.land(partition, lines).await;
        }
        let polls = [(); 2].map(|()| 1 + random.below(200));
        let [one, two] = &mut processes;
        match random.below(3) {
            0 => one.run(polls[0], &context).await,
            1 => two.run(polls[1], &context).await,
            _ => {
                futures::future::join(one.run(polls[0], &context), two.run(polls[1], &context))
                    .await;
            }
        }
        for process in &mut processes {
            if random.one_in(3) {
                *process = Process::start(&world, &config, &mut random);
            }
        }
    }
    drain(&mut world.loader(config, &Faults::none())).await;
    world.check_exactly_once(&context);
}

/// Every seed is a different story of faults; `MARKETLAKE_SEED` tells one again.
#[tokio::test]
async fn every_line_arrives_exactly_once_whatever_happens() {
    const SEEDS: u64 = 200;
    for seed in seeds(SEEDS) {
        println!("seed {seed}; replay with MARKETLAKE_SEED={seed}");
        Box::pin(simulate(seed)).await;
    }
}

/// Dies at every single step of a run, one after the other.
#[tokio::test]
async fn a_death_at_any_step_loses_and_repeats_nothing() {
    for lifetime in 1..60 {
        for seed in 0..4 {
            let mut world = World::new(&[0, 3]);
            for (partition, lines) in [(0, 3), (1, 2), (0, 0), (0, 4)] {
                world.land(partition, lines).await;
            }
            let config = LoaderConfig { files_max: 2, ..world.config() };
            let mut doomed = world.loader(config.clone(), &Faults::new(seed, 0, lifetime));
            for _ in 0..4 {
                drop(doomed.run_once().await);
            }
            drain(&mut world.loader(config, &Faults::none())).await;
            world.check_exactly_once(&format!("death at step {lifetime}, seed {seed}"));
        }
    }
}

#[test]
fn clocks_and_loaders_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let world = World::new(&[0]);
    let mut loader = world.loader(world.config(), &Faults::none());
    is_send(&loader.run_once());
    is_send(&ManualClock::new(DateTime::UNIX_EPOCH));
}
