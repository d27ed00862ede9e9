//! A stream on good days and on odd ones, its refusals, and thousands of bad days.

use chrono::TimeDelta;
use object_store::{ObjectStoreExt, PutPayload, memory::InMemory, path::Path};

use super::*;
use crate::{
    faults::Faults,
    files::{
        clean::Cleaner,
        command::{Which, replay},
        options::CleanSource,
        plan::Found,
        target::contract::file_target_contract,
    },
};
use target::{Kept, MemoryTarget};
use world::World;

mod ports;
mod scenarios;
mod simulation;
mod stored;
mod target;
mod whole;
mod world;

#[tokio::test]
async fn the_target_in_memory_keeps_the_contract() {
    let tables: std::sync::Mutex<BTreeMap<String, Arc<std::sync::Mutex<Kept>>>> =
        std::sync::Mutex::default();
    let table = |name: &str| Arc::clone(tables.lock().unwrap().entry(name.to_owned()).or_default());
    let open = async |name: &str| MemoryTarget { kept: table(name), faults: Faults::none() };
    let read = async |name: &str| table(name).lock().unwrap().read();
    file_target_contract(open, read).await;
}

/// A store that holds the world's file `a`, with the tag that the world gave it.
async fn bucket() -> Arc<InMemory> {
    let store = Arc::new(InMemory::new());
    // The store's tags begin at 0, the world's at 1.
    for key in ["placeholder", "source/a"] {
        store.put(&Path::from(key), PutPayload::from_static(b"a=1\n")).await.unwrap();
    }
    store
}

fn moving(store: &Arc<InMemory>) -> Cleaner {
    let store: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(store);
    let destination = "done".to_owned();
    let rule = CleanSource::Move { retention: Duration::from_secs(60), destination };
    Cleaner::new(store, "source", rule).unwrap()
}

#[tokio::test]
async fn a_cleaned_file_is_remembered_and_counts_as_seen() {
    let (world, store) = (World::new(Overwrites::Ignore), bucket().await);
    world.put("a", 1, &["a=1"]);
    let mut stream = world.stream(world.manner(), &Faults::none());
    let cleaner = moving(&store);
    assert_eq!(stream.clean(&cleaner, None).await.unwrap(), Cleaning::default());
    assert!(matches!(stream.run_once().await.unwrap(), Progress::Loaded(_)));
    let early = stream.clean(&cleaner, None).await.unwrap();
    assert_eq!(early, Cleaning::default(), "its retention has not passed");
    world.clock.jump(TimeDelta::seconds(61));
    let done = stream.clean(&cleaner, None).await.unwrap();
    assert_eq!(done, Cleaning { gone: 1, ..Cleaning::default() });
    assert!(store.head(&Path::from("done/a")).await.is_ok());
    assert!(store.head(&Path::from("source/a")).await.is_err());
    world.source().files.clear();

    // The note outlives the process, and the path stays known when something of its name is back.
    let mut stream = world.stream(world.manner(), &Faults::none());
    let known = stream.recall().await.unwrap().get("a").cloned().unwrap();
    assert_eq!(known.cleaned.unwrap().moved_to.as_deref(), Some("done/a"));
    assert_eq!(stream.clean(&cleaner, None).await.unwrap(), Cleaning::default(), "only once");
    world.put("a", 9, &["a=2"]);
    assert!(matches!(stream.run_once().await.unwrap(), Progress::UpToDate { .. }));
    assert_eq!(world.rows().len(), 1);
    assert!(replay(stream.seen(), Which::All).is_empty(), "what is gone cannot be replayed");
}

#[tokio::test]
async fn cleaning_beside_another_stream_of_the_source_is_refused() {
    for (name, source, is_refused) in [
        ("the same", world::SOURCE, true),
        ("a folder of it", "s3://bucket/source/x/", true),
        ("one that it is a folder of", "s3://bucket/", true),
        ("a folder whose name begins alike", "s3://bucket/source2/", false),
        ("another bucket", "s3://other/source/", false),
    ] {
        let (world, store) = (World::new(Overwrites::Ignore), bucket().await);
        let mut manner = world.manner();
        manner.config.name = "other".to_owned();
        manner.config.source = source.to_owned();
        // It has found nothing yet, and will.
        world.stream(manner, &Faults::none()).run_once().await.expect(name);
        world.put("a", 1, &["a=1"]);
        let mut stream = world.stream(world.manner(), &Faults::none());
        let cleaned = stream.clean(&moving(&store), None).await;
        let is_told = |error: Error<_>| error.to_string().contains("stream `other`");
        assert_eq!(cleaned.is_err_and(is_told), is_refused, "{name}");
        let off = Cleaner::new(store, "source", CleanSource::Off).expect(name);
        assert_eq!(stream.clean(&off, None).await.expect(name), Cleaning::default());
    }
}

#[tokio::test]
async fn what_another_process_cleaned_is_not_cleaned_again() {
    let (world, store) = (World::new(Overwrites::Ignore), bucket().await);
    world.put("a", 1, &["a=1"]);
    let mut one = world.stream(world.manner(), &Faults::none());
    assert!(matches!(one.run_once().await.unwrap(), Progress::Loaded(_)));
    let mut other = world.stream(world.manner(), &Faults::none());
    other.recall().await.unwrap();
    world.clock.jump(TimeDelta::seconds(61));
    let cleaner = moving(&store);
    let done = one.clean(&cleaner, None).await.unwrap();
    assert_eq!(done, Cleaning { gone: 1, ..Cleaning::default() });
    assert_eq!(other.clean(&cleaner, None).await.unwrap(), Cleaning::default());
}

#[tokio::test]
async fn what_waits_is_told_without_loading_it() {
    let world = World::new(Overwrites::Ignore);
    world.put("a", 1, &["a=1"]);
    world.put("b", 2, &["a=1", "a=2"]);
    let mut manner = world.manner();
    manner.config.limits.files_max = 1;
    let mut stream = world.stream(manner, &Faults::none());
    let choice = stream.look().await.unwrap();
    assert_eq!((choice.files.len(), choice.waiting), (1, (1, 2)));
    assert!(world.table.lock().unwrap().commits.is_empty());
    let Progress::Loaded(report) = stream.run_once().await.unwrap() else { panic!("loads") };
    assert_eq!((report.waiting, report.outcome.files["a"].rows), ((1, 2), 1));
    assert_eq!(report.plan.found_at, Some(world.clock.now()));
}

#[test]
fn streams_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let world = World::new(Overwrites::Ignore);
    let mut stream = world.stream(world.manner(), &Faults::none());
    is_send(&stream.run_once());
}
