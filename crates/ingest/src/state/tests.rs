//! Ids, the log, progress and the lock, each across a restart.

use std::sync::Arc;

use super::*;

fn now() -> DateTime<Utc> {
    "2024-03-15T12:00:00Z".parse().unwrap()
}

fn open(folder: &Path) -> State {
    State::open(folder, Durability::Power).unwrap()
}

#[test]
fn fetch_ids_rise_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..5 {
        let state = open(folder.path());
        for _ in 0..3 {
            let id = state.begin_fetch(Dataset::Eod, 1, "{}", now()).unwrap();
            assert!(last < id, "{last} then {id}");
            last = id;
        }
    }
    // A deleted log must not hand out its ids again.
    let state = open(folder.path());
    state.write("test", |connection| connection.execute("DELETE FROM fetch", [])).unwrap();
    drop(state);
    assert!(last < open(folder.path()).begin_fetch(Dataset::Eod, 1, "{}", now()).unwrap());
}

#[test]
fn the_log_returns_every_recorded_page_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(open(folder.path()));
    let mut expected = Vec::new();
    for dataset in [Dataset::Intraday, Dataset::Eod] {
        let fetch_id = state.begin_fetch(dataset, 1, "{}", now()).unwrap();
        for page in 0..3 {
            let rows = u64::from(page) * 7;
            state.record_page(fetch_id, page, usize::try_from(rows).unwrap(), "h", now()).unwrap();
            expected.push(FetchedPage { dataset, fetch_id, page, rows });
        }
    }
    let found: Vec<FetchedPage> = fetched_pages(Arc::clone(&state)).map(Result::unwrap).collect();
    assert_eq!(found, expected);
    let status = state.status(now()).unwrap();
    assert_eq!((status.rows_total, status.ts_newest), (42, Some(now())));
    assert!(state.record_page(1, 0, 1, "h", now()).is_err(), "a page is recorded once");
    assert_eq!(state.status(now()).unwrap().rows_total, 42, "and counted once");
}

#[test]
fn a_fetch_ends_once_and_unfinished_ones_are_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let ids: Vec<u64> =
        (0..3).map(|_| state.begin_fetch(Dataset::Eod, 9, "{}", now()).unwrap()).collect();
    let progress = [("2024-03-14".to_owned(), "{}".to_owned())];
    state.finish_fetch(ids[0], 5, "h", (9, &progress), now()).unwrap();
    state.fail_fetch(ids[1], "why", now()).unwrap();
    assert_eq!(state.fetch_status(ids[2]).unwrap(), Some(FetchStatus::Started));
    drop(state);
    let state = open(folder.path());
    assert_eq!(state.fail_unfinished(now()).unwrap(), 1);
    let statuses: Vec<_> = ids.iter().map(|id| state.fetch_status(*id).unwrap().unwrap()).collect();
    assert_eq!(statuses, [FetchStatus::Done, FetchStatus::Failed, FetchStatus::Failed]);
    assert_eq!(state.fetch_status(99).unwrap(), None);
    assert_eq!(
        state.progress().unwrap(),
        [(9, "2024-03-14".to_owned(), "{}".to_owned())],
        "the progress came with the end of the fetch"
    );
}

#[test]
fn one_poller_holds_the_lock_and_the_next_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(folder.path()), open(folder.path()));
    let held = first.try_lock().unwrap().expect("nobody holds it");
    assert!(second.try_lock().unwrap().is_none());
    drop(held);
    assert!(second.try_lock().unwrap().is_some());
}

#[test]
fn chunks_keep_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let symbols = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let first = state.add_chunk(Dataset::Intraday, "1min", symbols(&["B", "A\"x"])).unwrap();
    let other = state.add_chunk(Dataset::Intraday, "5min", symbols(&["B"])).unwrap();
    assert_ne!(first.id, other.id);
    drop(state);
    assert_eq!(open(folder.path()).chunks(Dataset::Intraday, "1min").unwrap(), [first]);
}

#[test]
fn a_newer_releases_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    state.write("test", |connection| connection.pragma_update(None, "user_version", 99)).unwrap();
    drop(state);
    let error = State::open(folder.path(), Durability::Power).unwrap_err();
    assert_eq!(error.kind(), model::ErrorKind::Data, "{error}");
}

#[cfg(unix)]
#[test]
fn the_folder_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data/ingest");
    drop(open(&inner));
    assert_eq!(inner.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}
