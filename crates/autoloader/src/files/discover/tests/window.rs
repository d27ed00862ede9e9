//! Windows of a listing: what they cost, what they find, and what proves them complete.

use proptest::prelude::*;

use super::*;
use crate::files::discover::{Expected, Reach};

fn windowed(window: u64) -> Discovery {
    Discovery {
        window: Some(window),
        backfill_interval: Some(Duration::from_secs(1_000)),
        ..discovery()
    }
}

/// A discoverer of which everything was proven at second 10.
fn proven(store: &Arc<Pages>, window: u64) -> Discoverer {
    let discovery = windowed(window);
    Discoverer::new(source(store), discovery, Overwrites::Ignore, Vec::new(), Some(at(10)))
}

#[tokio::test]
async fn ten_new_files_beside_100_000_cost_two_requests() {
    let store = Arc::new(Pages::default());
    let name = |number: u64| format!("2026/{number:08}.json");
    let known: Vec<String> = (0..100_000).map(name).collect();
    for path in &known {
        store.write(path, 10);
    }
    let seen = seen(&known);
    let mut discoverer = proven(&store, 1_000);
    let new: Vec<String> = (100_000..100_010).map(name).collect();
    for path in &new {
        store.write(path, 10);
    }
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    assert_eq!(paths(&looked), new);
    assert_eq!(looked.names, 1_010, "the window and what is new");
    assert_eq!((looked.lists, looked.heads), (2, 0));
    assert_eq!(store.asked(), (2, 0), "and so the store says");

    let looked = discoverer.look(&seen, at(1_010)).await.expect("a full listing");
    assert_eq!(looked.names, 100_010);
    assert_eq!(store.asked(), (101, 0), "what the window saves");
}

#[tokio::test]
async fn a_window_finds_what_it_should_and_a_full_listing_the_rest() {
    // The row, the new file, when, and how it is found.
    for (name, path, now, expected, late) in [
        ("a greater name", "z", 20, Some(Found::Listing), 0),
        ("a name inside the window", "g5", 20, Some(Found::Listing), 0),
        ("a name at its beginning", "f5", 20, Some(Found::Listing), 0),
        ("a name behind the window waits", "b5", 20, None, 0),
        ("for the full listing", "b5", 1_010, Some(Found::Sweep), 1),
        ("which finds the others as ever", "z", 1_010, Some(Found::Listing), 0),
    ] {
        let store = Arc::new(Pages::with(&["a", "b", "c", "d", "e", "f", "g", "h"]));
        let seen = seen(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        let mut discoverer = proven(&store, 2);
        store.write(path, 10);
        let looked = discoverer.look(&seen, at(now)).await.expect(name);
        let found: Vec<Found> = looked.candidates.iter().map(|found| found.found).collect();
        assert_eq!((found, looked.late), (expected.into_iter().collect(), late), "{name}");
        let looked = discoverer.look(&seen, at(now)).await.expect(name);
        assert_eq!(looked.late, 0, "{name}: it is counted once");
    }
}

#[tokio::test]
async fn a_store_that_lists_from_its_beginning_always_is_as_right() {
    let store = Arc::new(Pages::with(&["a", "b", "c", "d"]));
    store.set(&store.ignores_offset, true);
    let seen = seen(&["b", "c", "d"]);
    let mut discoverer = proven(&store, 1);
    store.write("e", 10);
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    assert_eq!((paths(&looked), looked.names), (vec!["e"], 5));
}

#[tokio::test]
async fn what_a_full_listing_found_is_kept_until_it_is_planned() {
    let store = Arc::new(Pages::with(&["a", "b", "c", "x", "y", "z"]));
    let mut seen = seen(&["x", "y", "z"]);
    let mut discoverer = discoverer(&store, windowed(1));
    let looked = discoverer.look(&seen, at(10)).await.expect("a full listing");
    assert_eq!(looked.reach, Reach::Everything(Expected::Anything));
    let mut planned = 0;
    let mut files = looked.candidates.into_iter().map(|candidate| candidate.file);
    for (left, ts_proven) in [(vec!["b", "c"], None), (vec!["c"], None), (Vec::new(), Some(at(10)))]
    {
        planned += 1;
        take(&mut seen, files.next(), planned);
        let settled = discoverer.settle(&seen, None).await.expect("settled");
        assert_eq!(settled.ts_proven, ts_proven, "proven when all of it is planned");
        let looked = discoverer.look(&seen, at(20)).await.expect("a look");
        assert_eq!(looked.reach, Reach::After("y".to_owned()));
        assert_eq!(paths(&looked), left, "although the window does not reach them");
    }
}

#[tokio::test]
async fn a_file_that_failed_is_tried_again_wherever_the_window_is() {
    let store = Arc::new(Pages::with(&["a", "x", "y", "z"]));
    let mut seen = seen(&["x", "y", "z"]);
    let mut discoverer = proven(&store, 1);
    set_aside(&mut seen, meta("a", 10).into(), 1, SetAside::Failed);
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    assert_eq!((paths(&looked), looked.heads), (vec!["a"], 1));
    assert_eq!(looked.candidates[0].found, Found::Retry);
    store.remove("a");
    let mut discoverer = proven(&store, 1);
    let looked = discoverer.look(&seen, at(20)).await.expect("a look");
    assert!(looked.candidates.is_empty(), "one that is gone is not");
}

proptest! {
    /// Whatever comes in, in whatever order: windows and full listings together find each file, and
    /// the window alone each one that is greater than its beginning.
    #[test]
    fn nothing_is_lost_between_window_and_full_listing(
        waves in prop::collection::vec(prop::collection::btree_set(0..200_u32, 0..12), 1..12),
        window in 0..20_u64,
        batch in 1..6_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let store = Arc::new(Pages::default());
        let mut discoverer = discoverer(&store, windowed(window));
        let mut seen = Seen::default();
        let mut number = 0;
        let mut now = 10;
        let mut turn = |seen: &mut Seen, now: i64| runtime.block_on(async {
            let looked = discoverer.look(seen, at(now)).await.expect("a look");
            let count = looked.candidates.len();
            number += 1;
            take(seen, looked.candidates.into_iter().take(batch).map(|found| found.file), number);
            discoverer.settle(seen, None).await.expect("settled");
            count
        });
        let mut written = std::collections::BTreeSet::new();
        for wave in waves {
            for name in wave {
                let path = format!("{name:03}");
                store.write(&path, 10);
                written.insert(path);
            }
            now += 1;
            turn(&mut seen, now);
        }
        now += 1_000;
        for _ in 0..written.len() + 2 {
            turn(&mut seen, now);
        }
        prop_assert_eq!(turn(&mut seen, now), 0, "nothing is left");
        let known: Vec<String> = seen.rows().map(|known| known.file.path.clone()).collect();
        prop_assert_eq!(known, written.into_iter().collect::<Vec<_>>());
    }
}
