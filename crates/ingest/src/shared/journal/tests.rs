//! The sum of changes: what may follow what, and that snapshots change nothing.

use proptest::prelude::*;

use super::*;

const PLACE: Place = Place { generation: 1, shard: 5, snapshot_links: 4 };

fn link(writer: &str, change: Change) -> Link {
    Link { writer: writer.to_owned(), change }
}

fn begin(fetch_id: u64) -> Change {
    let (dataset, chunk, plan) = (Dataset::Eod, 1, "{}".to_owned());
    Change::BeginFetch { fetch_id, dataset, chunk, plan, ts: DateTime::UNIX_EPOCH }
}

fn record(fetch_id: u64, page: u32) -> Change {
    let ts_fetched = DateTime::UNIX_EPOCH;
    Change::RecordPage { fetch_id, page, rows: 3, set_hash: "0".to_owned(), ts_fetched }
}

fn finish(fetch_id: u64, part: &str) -> Change {
    let progress = vec![(part.to_owned(), format!("{fetch_id}"))];
    let (set_hash, ts) = ("0".to_owned(), DateTime::UNIX_EPOCH);
    Change::FinishFetch { fetch_id, rows_total: 3, set_hash, chunk: 1, progress, ts }
}

fn save(number: u64) -> Change {
    let part = |chunk, name: &str| (chunk, name.to_owned(), number.to_string());
    Change::SaveProgress { progress: vec![part(0, "lost"), part(1, "2024-03-11")] }
}

#[test]
fn a_fetch_id_is_generation_count_and_shard() {
    let place = |generation, shard| Place { generation, shard, snapshot_links: 4 };
    let first = |place: Place| ShardState::default().next_fetch_id(place).unwrap();
    assert_eq!(first(place(1, 0)), (1 << 40) + 1024);
    assert_eq!(first(place(1, 1023)), (1 << 40) + 1024 + 1023);
    assert!(first(place(1, 1023)) < first(place(2, 0)));
    let mut full = ShardState { fetch_last: (2 << 40) - 1, ..ShardState::default() };
    assert_eq!(full.next_fetch_id(place(1, 1023)), None, "a billion fetches are used up");
    full.fetch_last = 1;
    assert!(full.next_fetch_id(place(GENERATION_MAX, SHARDS_MAX - 1)).unwrap() < 1 << 53);
}

#[test]
fn only_the_holder_changes_a_shard_and_only_what_is_under_way() {
    let mut state = ShardState::default();
    let mut check = |writer: &str, change: Change, is_taken: bool| {
        let (before, shown) = (state.clone(), format!("{writer}: {change:?}"));
        let applied = state.apply(PLACE, &link(writer, change));
        assert_eq!(applied.is_ok(), is_taken, "{shown}: {applied:?}");
        assert_eq!(state == before, !is_taken, "{shown}");
    };
    let first = ShardState::default().next_fetch_id(PLACE).unwrap();
    check("a", begin(first), false);
    check("a", Change::Claim, true);
    check("b", begin(first), false);
    check("a", begin(first + 1), false);
    check("a", begin(first), true);
    check("a", record(first, 0), true);
    check("a", finish(first + 1024, "x"), false);
    check("b", Change::Claim, true);
    // What the one before had begun is given up.
    check("b", record(first, 1), false);
    check("a", finish(first, "x"), false);
    check("b", begin(first), false);
    check("b", begin(first + 1024), true);
    check("b", Change::ShrinkChunk { id: 1, symbols: Vec::new() }, false);
    check("a", save(1), false);
    check("b", save(1), true);
    check("b", Change::Release { windows_behind: 2 }, true);
    check("b", finish(first + 1024, "x"), false);
    assert_eq!((state.owner, state.windows_behind), (None, 2));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Claim,
    Release,
    AddChunk,
    Shrink,
    Begin,
    Record,
    Finish,
    Fail,
    Save,
}

/// Turns a step into the link that a poller would write, right or not.
fn link_of(state: &ShardState, writer: &str, step: Step) -> Link {
    let next = state.next_fetch_id(PLACE).unwrap();
    let running = state.started.keys().next().copied().unwrap_or(next);
    let symbols = vec![format!("S{}", state.next)];
    let change = match step {
        Step::Claim => Change::Claim,
        Step::Release => Change::Release { windows_behind: state.next },
        Step::AddChunk => Change::AddChunk {
            id: state.next_chunk(),
            dataset: Dataset::Eod,
            interval: String::new(),
            symbols,
        },
        Step::Shrink => Change::ShrinkChunk { id: 1, symbols },
        Step::Begin => begin(next),
        Step::Record => record(running, u32::try_from(state.next).unwrap()),
        Step::Finish => finish(running, "2024-03-11"),
        Step::Save => save(state.next),
        Step::Fail => {
            let (problem, ts) = ("cut".to_owned(), DateTime::UNIX_EPOCH);
            Change::FailFetch { fetch_id: running, problem, ts }
        }
    };
    link(writer, change)
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        1 => Just(Step::Claim),
        1 => Just(Step::Release),
        1 => Just(Step::AddChunk),
        1 => Just(Step::Shrink),
        4 => Just(Step::Begin),
        4 => Just(Step::Record),
        3 => Just(Step::Finish),
        1 => Just(Step::Fail),
        1 => Just(Step::Save),
    ];
    proptest::collection::vec((any::<bool>(), step), 0..60)
}

proptest! {
    /// Whoever begins from a snapshot knows what everybody knows, and no page is forgotten.
    #[test]
    fn a_snapshot_and_the_links_behind_it_are_the_whole_chain(steps in steps()) {
        let mut state = ShardState::default();
        let (mut snapshot, mut behind) = (ShardState::default(), Vec::new());
        let (mut archived, mut recorded, mut fetch_last) = (Vec::new(), Vec::new(), 0);
        for (is_first, step) in steps {
            if state.is_at_snapshot(PLACE) && snapshot.next != state.next {
                snapshot = state.clone();
                archived.append(&mut snapshot.recent);
                behind.clear();
                let text = serde_json::to_vec(&snapshot).unwrap();
                prop_assert_eq!(&serde_json::from_slice::<ShardState>(&text).unwrap(), &snapshot);
            }
            let link = link_of(&state, if is_first { "a" } else { "b" }, step);
            let text = serde_json::to_vec(&link).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Link>(&text).unwrap(), &link);
            let before = state.clone();
            if state.apply(PLACE, &link).is_err() {
                prop_assert_eq!(&state, &before, "a refused link changes nothing");
                continue;
            }
            behind.push(link.clone());
            let mut rebuilt = snapshot.clone();
            for link in &behind {
                rebuilt.apply(PLACE, link).unwrap();
            }
            prop_assert_eq!(&rebuilt, &state);
            match link.change {
                Change::BeginFetch { fetch_id, .. } => {
                    prop_assert!(fetch_last < fetch_id);
                    fetch_last = fetch_id;
                }
                Change::RecordPage { fetch_id, page, .. } => recorded.push((fetch_id, page)),
                _ => (),
            }
            let known = archived.iter().chain(&state.recent);
            let known: Vec<_> = known.map(|page| (page.fetch_id, page.page)).collect();
            prop_assert_eq!(&known, &recorded);
        }
    }
}
