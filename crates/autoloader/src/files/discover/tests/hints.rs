//! Hints: whatever a queue says, or fails to say, the objects decide.

use std::collections::BTreeSet;

use model::{
    ErrorKind, ManualClock,
    hint::{Oddity, Place},
};

use super::{queue::Queue, *};
use crate::files::discover::{Expected, Messages, Reach, inbox::HELD_MAX};

/// A discoverer whose source was listed at second 10.
fn hinted(store: &Arc<Pages>, queue: &Queue) -> Discoverer {
    let hints: Vec<Box<dyn Hints>> = vec![Box::new(queue.clone())];
    Discoverer::new(source(store), discovery(), Overwrites::Ignore, hints, Some(at(10)))
}

fn object(path: &str) -> Place {
    Place::Object(path.to_owned())
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn messages_are_taken_as_documented() {
    struct Row<'a> {
        name: &'a str,
        places: &'a [Place],
        oddity: Option<Oddity>,
        /// What is found, what is asked of the store, and what is counted.
        found: &'a [&'a str],
        asked: (u64, u64),
        count: Messages,
    }
    let one = Messages { received: 1, ..Messages::default() };
    let plain = Row { name: "", places: &[], oddity: None, found: &[], asked: (0, 0), count: one };
    let rows = [
        Row {
            name: "a new object, by its own metadata",
            places: &[object("new")],
            found: &["new"],
            asked: (0, 1),
            ..plain
        },
        Row { name: "one that was loaded", places: &[object("old")], asked: (0, 1), ..plain },
        Row {
            name: "one that was overwritten",
            places: &[object("changed")],
            found: &["changed"],
            asked: (0, 1),
            ..plain
        },
        Row {
            name: "one that is gone",
            places: &[object("gone")],
            asked: (0, 1),
            count: Messages { gone: 1, ..one },
            ..plain
        },
        Row {
            name: "several in one message, one of them gone",
            places: &[object("new"), object("x/new"), object("gone")],
            found: &["new", "x/new"],
            asked: (0, 3),
            count: Messages { gone: 1, ..one },
            ..plain
        },
        Row { name: "a hidden one is not asked about", places: &[object("_new")], ..plain },
        Row { name: "nor a mark of a folder", places: &[object("x/")], ..plain },
        Row { name: "nor the source itself", places: &[object("")], ..plain },
        Row {
            name: "a name that no path can be",
            places: &[object("a//b")],
            count: Messages { gone: 1, ..one },
            ..plain
        },
        Row {
            name: "a folder that was renamed is listed",
            places: &[Place::Folder("x".to_owned())],
            found: &["x/new"],
            asked: (1, 0),
            ..plain
        },
        Row {
            name: "lost events: everything is listed",
            places: &[Place::Everywhere],
            found: &["changed", "new", "x/new"],
            asked: (1, 0),
            ..plain
        },
        Row {
            name: "a test event of S3",
            oddity: Some(Oddity::Test),
            count: Messages { test: 1, ..one },
            ..plain
        },
        Row {
            name: "a deletion",
            oddity: Some(Oddity::Other),
            count: Messages { other: 1, ..one },
            ..plain
        },
        Row {
            name: "an object of another bucket",
            oddity: Some(Oddity::Foreign),
            count: Messages { foreign: 1, ..one },
            ..plain
        },
        Row {
            name: "a message that cannot be read",
            oddity: Some(Oddity::Broken),
            count: Messages { broken: 1, ..one },
            ..plain
        },
    ];
    for row in rows {
        let store = Arc::new(Pages::with(&["new", "old", "changed", "x/new", "_new"]));
        store.write("changed", 11);
        let queue = Queue::default();
        let mut discoverer = hinted(&store, &queue);
        let mut seen = seen(&["old", "changed"]);
        queue.send(row.places, row.oddity);
        let looked = discoverer.look(&seen, at(20)).await.expect(row.name);
        assert_eq!(paths(&looked), row.found, "{}", row.name);
        assert_eq!(store.asked(), row.asked, "{}: LIST and HEAD requests", row.name);
        assert_eq!(looked.messages, row.count, "{}", row.name);

        // An overwritten file is left alone here: nothing will be planned.
        let kept = usize::from(row.found.iter().any(|path| *path != "changed"));
        assert_eq!(queue.left(), kept, "{}: what has news is kept until the plan", row.name);
        take(&mut seen, looked.candidates.into_iter().map(|found| found.file), 1);
        discoverer.settle(&seen, None).await.expect(row.name);
        assert_eq!(queue.left(), 0, "{}: no message poisons the queue", row.name);
    }
}

#[tokio::test]
async fn a_message_is_deleted_when_all_its_files_are_planned() {
    let store = Arc::new(Pages::with(&["a", "b"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    let mut seen = Seen::default();
    queue.send(&[object("a"), object("b")], None);
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    for (batch, (candidate, left)) in looked.candidates.into_iter().zip([1, 0]).enumerate() {
        take(&mut seen, [candidate.file], u64::try_from(batch).expect("small") + 1);
        discoverer.settle(&seen, None).await.expect("settled");
        assert_eq!(queue.left(), left, "after batch {batch}");
    }
}

#[tokio::test]
async fn a_folder_s_message_waits_for_all_below_it() {
    let store = Arc::new(Pages::with(&["x/a", "x/b", "xy"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    let mut seen = Seen::default();
    queue.send(&[Place::Folder("x".to_owned())], None);
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    assert_eq!(paths(&looked), ["x/a", "x/b"]);
    for (batch, (candidate, left)) in looked.candidates.into_iter().zip([1, 0]).enumerate() {
        assert_eq!(candidate.found, Found::Hint);
        take(&mut seen, [candidate.file], u64::try_from(batch).expect("small") + 1);
        discoverer.settle(&seen, None).await.expect("settled");
        assert_eq!(queue.left(), left, "after batch {batch}");
    }
}

#[tokio::test]
async fn a_message_that_comes_again_does_no_harm() {
    let store = Arc::new(Pages::with(&["a"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    let mut seen = Seen::default();
    queue.tell("a");
    queue.tell("a");
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"]);
    queue.time_out();
    let again = discoverer.look(&seen, at(21)).await.expect("a look");
    assert_eq!(again.candidates, looked.candidates);
    take(&mut seen, looked.candidates.into_iter().map(|found| found.file), 1);
    discoverer.settle(&seen, None).await.expect("settled");
    assert_eq!(queue.left(), 0);
    queue.tell("a");
    let looked = discoverer.look(&seen, at(22)).await.expect("a look");
    assert_eq!(looked.candidates, []);
}

#[tokio::test]
async fn a_process_that_dies_before_planning_finds_its_messages_again() {
    let store = Arc::new(Pages::with(&["a"]));
    let queue = Queue::default();
    queue.tell("a");
    let looked = hinted(&store, &queue).look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"]);
    queue.time_out();
    let looked = hinted(&store, &queue).look(&Seen::default(), at(21)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"]);
}

#[tokio::test]
async fn a_lost_event_is_made_up_for_by_the_backfill() {
    let store = Arc::new(Pages::with(&["lost", "told"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    let looked = discoverer.look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!(paths(&looked), Vec::<&str>::new());
    queue.tell("told");
    let looked = discoverer.look(&Seen::default(), at(10 + 86_400)).await.expect("a look");
    assert_eq!(looked.reach, Reach::Everything(Expected::Nothing));
    let found: Vec<Found> = looked.candidates.iter().map(|found| found.found).collect();
    assert_eq!((paths(&looked), found), (vec!["lost", "told"], vec![Found::Sweep, Found::Hint]));
}

#[tokio::test]
async fn the_first_look_after_subscribing_lists_everything() {
    let store = Arc::new(Pages::with(&["before"]));
    let queue = Queue::default();
    let mut discoverer = with_hints(&store, discovery(), queue.clone());
    store.write("between", 10);
    queue.tell("between");
    let looked = discoverer.look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!(paths(&looked), ["before", "between"]);
    let looked = discoverer.look(&Seen::default(), at(21)).await.expect("a look");
    assert_eq!(looked.reach, Reach::Hinted);
    assert_eq!(paths(&looked), ["before", "between"], "kept until planned");
}

#[tokio::test]
async fn hints_that_nobody_kept_are_made_up_for_at_each_start() {
    let store = Arc::new(Pages::with(&["a"]));
    let queue = Queue::default();
    queue.inner().is_lossy = true;
    let mut discoverer = hinted(&store, &queue);
    let looked = discoverer.look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!(looked.reach, Reach::Everything(Expected::Anything));
    let looked = discoverer.look(&Seen::default(), at(21)).await.expect("a look");
    assert_eq!(looked.reach, Reach::Hinted);
}

#[tokio::test]
async fn a_queue_that_is_down_is_made_up_for_by_listing_and_a_refusal_stops() {
    let store = Arc::new(Pages::with(&["a"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    queue.inner().failure = Some(ErrorKind::Transient);
    let looked = discoverer.look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"]);
    queue.inner().failure = Some(ErrorKind::Config);
    let error = discoverer.look(&Seen::default(), at(21)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn an_object_that_cannot_be_asked_about_keeps_its_message() {
    let store = Arc::new(Pages::with(&["a"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    queue.tell("a");
    store.set(&store.is_down, true);
    discoverer.look(&Seen::default(), at(20)).await.expect_err("the store is down");
    discoverer.settle(&Seen::default(), None).await.expect("settled");
    assert_eq!(queue.left(), 1);
    store.set(&store.is_down, false);
    let looked = discoverer.look(&Seen::default(), at(21)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"], "and is looked at again");
}

#[tokio::test]
async fn an_object_that_nobody_may_look_at_blocks_no_other_and_is_not_forgotten() {
    let store = Arc::new(Pages::with(&["open"]));
    let tag = Some(store::LOCKED.to_owned());
    store.put_meta("locked", ObjectMeta { e_tag: tag, ..meta("locked", 10) });
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    queue.tell("locked");
    queue.tell("open");
    let looked = discoverer.look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!((paths(&looked), looked.unclear), (vec!["open"], 1));
    let looked = discoverer.look(&Seen::default(), at(21)).await.expect("a look");
    assert_eq!(looked.reach, Reach::Everything(Expected::Anything));
    assert_eq!(paths(&looked), ["locked", "open"], "reading it will tell what is wrong");
    let looked = discoverer.look(&Seen::default(), at(22)).await.expect("a look");
    assert_eq!(looked.reach, Reach::Hinted);
}

#[tokio::test]
async fn an_object_that_the_store_never_tells_of_stops_some_looks_and_no_more() {
    let store = Arc::new(Pages::with(&["open"]));
    let tag = Some(store::SILENT.to_owned());
    store.put_meta("silent", ObjectMeta { e_tag: tag, ..meta("silent", 10) });
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    queue.tell("silent");
    queue.tell("open");
    for look in 0..2 {
        discoverer.look(&Seen::default(), at(20 + look)).await.expect_err("it may pass");
    }
    let mut seen = Seen::default();
    let looked = discoverer.look(&seen, at(22)).await.expect("a look");
    assert_eq!((paths(&looked), looked.unclear), (vec!["open"], 1));
    take(&mut seen, looked.candidates.into_iter().map(|found| found.file), 1);
    let settled = discoverer.settle(&seen, None).await.expect("settled");
    assert_eq!(queue.left(), 1, "its message is kept until a listing has named it");
    assert_eq!(settled.ts_proven, None, "of an object that nobody could look at nothing is proven");
    let looked = discoverer.look(&seen, at(23)).await.expect("a look");
    assert_eq!(looked.reach, Reach::Everything(Expected::Anything));
    assert_eq!(paths(&looked), ["silent"], "reading it will tell what is wrong");
    take(&mut seen, looked.candidates.into_iter().map(|found| found.file), 2);
    let settled = discoverer.settle(&seen, None).await.expect("settled");
    assert_eq!((queue.left(), settled.ts_proven), (0, Some(at(23))));
}

#[tokio::test]
async fn a_source_that_is_one_file_is_told_of() {
    let store = Arc::new(Pages::with(&["x/a"]));
    let queue = Queue::default();
    let source = Source { prefix: Some(Path::from("x/a")), ..source(&store) };
    let hints: Vec<Box<dyn Hints>> = vec![Box::new(queue.clone())];
    let mut discoverer =
        Discoverer::new(source, discovery(), Overwrites::Ignore, hints, Some(at(10)));
    queue.tell("x/a");
    queue.tell("x/b");
    let looked = discoverer.look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!((paths(&looked), looked.heads), (vec!["x/a"], 1));
}

#[tokio::test]
async fn a_file_that_is_too_young_is_asked_about_again() {
    let store = Arc::new(Pages::with(&["a"]));
    let queue = Queue::default();
    let discovery = Discovery { age_min: Duration::from_secs(60), ..discovery() };
    let hints: Vec<Box<dyn Hints>> = vec![Box::new(queue.clone())];
    let mut discoverer =
        Discoverer::new(source(&store), discovery, Overwrites::Ignore, hints, Some(at(10)));
    queue.tell("a");
    for (now, size, heads) in [(20, 10, 1), (30, 20, 1), (70, 30, 1), (80, 30, 0)] {
        store.write("a", size);
        let looked = discoverer.look(&Seen::default(), at(now)).await.expect("a look");
        let sizes: Vec<u64> = looked.candidates.iter().map(|found| found.file.size).collect();
        assert_eq!((sizes, looked.heads), (vec![size], heads), "at {now}");
    }
}

#[tokio::test]
async fn ten_new_files_cost_ten_questions_and_no_listing() {
    let store = Arc::new(Pages::default());
    let queue = Queue::default();
    let known: Vec<String> = (0..100_000).map(|number| format!("{number:08}")).collect();
    let seen = seen(&known);
    let mut discoverer = hinted(&store, &queue);
    for number in 0..10 {
        let path = format!("new-{number}");
        store.write(&path, 10);
        queue.tell(&path);
    }
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    assert_eq!((looked.candidates.len(), looked.lists, looked.heads), (10, 0, 10));
    assert_eq!(store.asked(), (0, 10));
}

#[tokio::test]
async fn a_self_test_tells_latency_and_loss_and_loads_no_probe() {
    let clock = ManualClock::new(at(0));
    let store = Arc::new(Pages::with(&["a"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    let names = ["_probe-1".to_owned(), "_probe-2".to_owned()];
    queue.tell("_probe-1");
    queue.tell("a");
    let patience = Duration::from_secs(5);
    let report = discoverer.self_test(&names, &clock, patience).await.expect("a test");
    assert_eq!((report.sent, report.latencies.len(), report.lost()), (2, 1, 1));
    let looked = discoverer.look(&Seen::default(), at(20)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"], "what came in between is kept, and probes are gone");
    assert_eq!(queue.left(), 1);
}

#[tokio::test]
async fn messages_without_news_never_stop_hints() {
    let store = Arc::new(Pages::with(&["good"]));
    let queue = Queue::default();
    let mut discoverer = hinted(&store, &queue);
    for _ in 0..=HELD_MAX {
        queue.send(&[], Some(Oddity::Foreign));
    }
    queue.tell("good");
    let mut found = BTreeSet::new();
    for look in 0..12 {
        let looked = discoverer.look(&Seen::default(), at(20 + look)).await.expect("a look");
        found.extend(looked.candidates.into_iter().map(|found| found.file.path));
    }
    assert!(found.contains("good"), "nobody planned anything, and it was found all the same");
}
