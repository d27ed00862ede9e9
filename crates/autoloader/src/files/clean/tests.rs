//! What may go, what stays, and every crash in between.

use std::time::Duration;

use object_store::{PutPayload, memory::InMemory};

use super::*;
use hurried::Hurried;

mod hurried;
use crate::{
    BatchId,
    files::plan::{Action, FileOutcome, Found},
};

const DAY: Duration = Duration::from_secs(86_400);

fn at(days: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).expect("a time") + TimeDelta::days(days)
}

fn known(file: SourceFile, status: Status) -> Known {
    Known {
        file,
        found: Found::Listing,
        action: Action::Append,
        batch: BatchId(4),
        status,
        failures: 0,
        rows_kept: 1,
        schema_version: Some(0),
        found_at: None,
        planned_at: at(0),
        decided_at: Some(at(0)),
        outcome: FileOutcome::default(),
        cleaned: None,
    }
}

fn delete(days: u32) -> CleanSource {
    CleanSource::Delete { retention: DAY * days }
}

fn to(destination: &str) -> CleanSource {
    CleanSource::Move { retention: Duration::ZERO, destination: destination.to_owned() }
}

#[test]
fn rules_that_would_lose_files_are_refused() {
    for (name, source, clean, is_fine) in [
        ("OFF is fine", "in", CleanSource::Off, true),
        ("DELETE after 7 days is too soon", "in", delete(7), false),
        ("DELETE after 8 days is fine", "in", delete(8), true),
        ("MOVE has no least retention", "in", to("done"), true),
        ("MOVE into the source", "in", to("in/done"), false),
        ("MOVE onto the source", "in", to("/in/"), false),
        ("MOVE beside the source", "in", to("in2"), true),
        ("MOVE above the source: a file `in/x` would come back", "a/in", to("a"), false),
        ("MOVE without a place", "in", to(""), false),
        ("MOVE inside a source that is the whole store", "", to("done"), false),
    ] {
        assert_eq!(check(source, &clean).is_ok(), is_fine, "{name}");
    }
}

#[test]
fn files_are_due_after_commit_and_retention() {
    let file =
        SourceFile { path: "a".to_owned(), size: 1, modified: at(-9), etag: None, version: None };
    let loaded = known(file, Status::Loaded);
    let with = |status| Known { status, ..loaded.clone() };
    let cleaned = super::super::seen::Cleaned { cleaned_at: at(9), moved_to: None };
    for (name, known, clean, day, is_due) in [
        ("loaded, and the retention has passed", loaded.clone(), delete(8), 9, true),
        ("the retention has not passed", loaded.clone(), delete(8), 8, false),
        ("the setting of now decides, not that of the load", loaded.clone(), to("x"), 1, true),
        ("OFF", loaded.clone(), CleanSource::Off, 99, false),
        (
            "not committed",
            Known { decided_at: None, ..with(Status::Planned) },
            delete(8),
            99,
            false,
        ),
        ("planned again", with(Status::Planned), delete(8), 99, false),
        ("failed", with(Status::Failed), delete(8), 99, false),
        ("poisoned", with(Status::Poisoned), delete(8), 99, false),
        ("skipped: it was never loaded here", with(Status::Skipped), delete(8), 99, false),
        ("undone: it may be replayed", with(Status::Undone), delete(8), 99, false),
        ("missing", with(Status::Missing), delete(8), 99, false),
        ("cleaned", Known { cleaned: Some(cleaned), ..loaded.clone() }, delete(8), 99, false),
        (
            "a retention beyond all time",
            loaded.clone(),
            CleanSource::Delete { retention: Duration::MAX },
            99,
            false,
        ),
    ] {
        let seen = Seen::from_rows([known]);
        assert_eq!(due(&seen, &clean, at(day), None).count() == 1, is_due, "{name}");
    }
    let seen = Seen::from_rows([loaded]);
    assert_eq!(due(&seen, &to("x"), at(9), Some("a")).count(), 0, "goes on behind a path");
}

/// A store with a loaded file `in/d/a`, and what the ledger knows of it.
async fn scene() -> (Arc<InMemory>, Known) {
    let store = Arc::new(InMemory::new());
    put(&store, "in/d/a", "rows").await;
    let there = store.head(&Path::from("in/d/a")).await.expect("is there");
    let known = known(version("d/a", &there), Status::Loaded);
    (store, known)
}

async fn put(store: &InMemory, key: &str, text: &str) {
    store.put(&Path::from(key), PutPayload::from(text.to_owned())).await.expect("puts");
}

/// Returns what the store has, as `key=text`, by key.
async fn held(store: &InMemory) -> Vec<String> {
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.expect("lists");
    let mut held = Vec::new();
    for meta in listed {
        let bytes = store.get(&meta.location).await.expect("gets").bytes().await.expect("reads");
        held.push(format!("{}={}", meta.location, String::from_utf8_lossy(&bytes)));
    }
    held.sort();
    held
}

#[tokio::test]
async fn cleaning_may_be_cut_off_anywhere() {
    let moved = |key: &str| Fate::Gone { moved_to: Some(key.to_owned()) };
    let gone = Fate::Gone { moved_to: None };
    // What happened before: other objects put, in order, and whether the file itself is removed.
    type Before = (&'static [(&'static str, &'static str)], bool);
    let cases: [(&str, CleanSource, Before, Fate, &[&str]); 10] = [
        ("DELETE", delete(8), (&[], false), gone.clone(), &[]),
        ("DELETE of a file that is gone", delete(8), (&[], true), gone.clone(), &[]),
        (
            "DELETE of a file that was overwritten",
            delete(8),
            (&[("in/d/a", "new")], false),
            Fate::Kept,
            &["in/d/a=new"],
        ),
        ("MOVE", to("done"), (&[], false), moved("done/d/a"), &["done/d/a=rows"]),
        (
            "MOVE that ended after its copy",
            to("done"),
            (&[("done/d/a", "rows")], false),
            moved("done/d/a"),
            &["done/d/a=rows"],
        ),
        (
            "MOVE that ended after its delete",
            to("done"),
            (&[("done/d/a", "rows")], true),
            moved("done/d/a"),
            &["done/d/a=rows"],
        ),
        ("MOVE of a file that others removed", to("done"), (&[], true), gone.clone(), &[]),
        (
            "MOVE of a file that was overwritten",
            to("done"),
            (&[("in/d/a", "new")], false),
            Fate::Kept,
            &["in/d/a=new"],
        ),
        (
            "MOVE beside an older version of the same size",
            to("done"),
            (&[("done/d/a", "olds")], false),
            moved("done/d/a.batch-4"),
            &["done/d/a.batch-4=rows", "done/d/a=olds"],
        ),
        (
            "MOVE beside an older version that ended after its delete",
            to("done"),
            (&[("done/d/a", "older"), ("done/d/a.batch-4", "rows")], true),
            moved("done/d/a.batch-4"),
            &["done/d/a.batch-4=rows", "done/d/a=older"],
        ),
    ];
    for (name, clean, (before, is_gone), expected, left) in cases {
        let (store, known) = scene().await;
        for (key, text) in before {
            put(&store, key, text).await;
        }
        if is_gone {
            store.delete(&Path::from("in/d/a")).await.expect("deletes");
        }
        let shared: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&store);
        let cleaner = Cleaner::new(shared, "in/", clean).expect("is sound");
        assert_eq!(cleaner.clean(&known).await.expect(name), expected, "{name}");
        assert_eq!(held(&store).await, left, "{name}");
        if expected != Fate::Kept {
            let again = cleaner.clean(&known).await.expect(name);
            assert_eq!(again, expected, "{name}, again");
            assert_eq!(held(&store).await, left, "{name}, again");
        }
    }
}

#[tokio::test]
async fn a_version_that_comes_while_the_file_is_copied_stays() {
    let (store, known) = scene().await;
    let shared = Arc::new(Hurried(Arc::clone(&store)));
    let cleaner = Cleaner::new(shared, "in", to("done")).expect("is sound");
    assert_eq!(cleaner.clean(&known).await.expect("cleans"), Fate::Kept);
    assert!(held(&store).await.contains(&"in/d/a=hurried".to_owned()));
}

#[tokio::test]
async fn nothing_in_the_archive_is_overwritten() {
    let (store, known) = scene().await;
    put(&store, "done/d/a", "olds").await;
    put(&store, "done/d/a.batch-4", "else").await;
    let shared: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&store);
    let cleaner = Cleaner::new(shared, "in", to("done")).expect("is sound");
    assert!(cleaner.clean(&known).await.is_err(), "nothing is overwritten in the archive");
    assert_eq!(held(&store).await.len(), 3, "and the file stays");
}
