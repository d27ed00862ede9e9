//! The ledger across restarts and months, and the forecast's arithmetic.

use std::path::Path;

use super::*;
use crate::state::Durability;

fn ts(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn open(folder: &Path) -> State {
    State::open(folder, Durability::Process).unwrap()
}

#[test]
fn a_restart_forgets_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let now = ts("2024-03-15T12:00:00Z");
    let reserve = |count| open(folder.path()).reserve_quota(count, Some(10), now).unwrap();
    assert_eq!(reserve(4), Reservation::Granted);
    assert_eq!(reserve(6), Reservation::Granted);
    assert_eq!(reserve(1), Reservation::Exhausted);
    assert_eq!(open(folder.path()).quota_used(now).unwrap(), 10);
    assert_eq!(open(folder.path()).quota_left(Some(10), now).unwrap(), 0);
    assert_eq!(open(folder.path()).quota_left(None, now).unwrap(), u64::MAX);
}

#[test]
fn a_wish_that_does_not_fit_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let now = ts("2024-03-15T12:00:00Z");
    assert_eq!(state.reserve_quota(11, Some(10), now).unwrap(), Reservation::Exhausted);
    assert_eq!(state.quota_used(now).unwrap(), 0);
    assert_eq!(state.reserve_quota(10, Some(10), now).unwrap(), Reservation::Granted);
}

#[test]
fn a_new_month_begins_at_zero() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let last = ts("2024-12-31T23:59:59.999Z");
    let first = ts("2025-01-01T00:00:00Z");
    assert_eq!(next_month(last), first);
    assert_eq!(next_month(ts("2024-02-29T00:00:00Z")), ts("2024-03-01T00:00:00Z"));
    assert_eq!(state.reserve_quota(10, Some(10), last).unwrap(), Reservation::Granted);
    assert_eq!(state.reserve_quota(10, Some(10), first).unwrap(), Reservation::Granted);
    assert_eq!(state.quota_used(last).unwrap(), 10);
}

#[test]
fn the_vendors_word_holds_for_hours_or_until_the_limit_changes() {
    for limit in [Some(100), None] {
        let folder = tempfile::tempdir().unwrap();
        let state = open(folder.path());
        let now = ts("2024-03-15T12:00:00Z");
        assert_eq!(state.reserve_quota(3, limit, now).unwrap(), Reservation::Granted);
        let until = ts("2024-03-15T18:00:00Z");
        assert_eq!(state.refuse_quota(limit, now).unwrap(), until);
        assert_eq!(state.quota_used(now).unwrap(), 3, "what was counted stays counted");
        assert_eq!(state.quota_left(limit, now).unwrap(), 0, "{limit:?}");
        assert_eq!(state.reserve_quota(1, limit, now).unwrap(), Reservation::Exhausted);
        assert_eq!(state.reserve_quota(1, Some(200), now).unwrap(), Reservation::Granted);
        assert_eq!(state.quota_reset(limit, now).unwrap(), until);
        assert_eq!(state.quota_reset(Some(200), now).unwrap(), ts("2024-04-01T00:00:00Z"));
        drop(state);
        let state = open(folder.path());
        let last = until - TimeDelta::microseconds(1);
        assert_eq!(state.reserve_quota(1, limit, last).unwrap(), Reservation::Exhausted);
        assert_eq!(state.reserve_quota(1, limit, until).unwrap(), Reservation::Granted);
        assert_ne!(state.quota_left(limit, until).unwrap(), 0);
    }
}

#[test]
fn a_refusal_at_the_turn_of_the_month_does_not_cost_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let april = ts("2024-04-01T00:00:00Z");
    let refuse = |now| state.refuse_quota(Some(100), now).unwrap();
    let reserve = |now| state.reserve_quota(1, Some(100), now).unwrap();
    assert_eq!(refuse(ts("2024-03-31T23:59:59Z")), april);
    assert_eq!(reserve(april), Reservation::Granted);
    // The answer to a request of March arrives late, or the vendor's clock is behind.
    assert_eq!(refuse(april), ts("2024-04-01T06:00:00Z"));
    assert_eq!(reserve(ts("2024-04-01T05:59:59Z")), Reservation::Exhausted);
    assert_eq!(reserve(ts("2024-04-01T06:00:00Z")), Reservation::Granted);
}

#[test]
fn a_used_up_ledger_waits_for_the_month_whatever_the_vendor_says() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let now = ts("2024-03-15T12:00:00Z");
    assert_eq!(state.reserve_quota(10, Some(10), now).unwrap(), Reservation::Granted);
    state.refuse_quota(Some(10), now).unwrap();
    assert_eq!(state.quota_reset(Some(10), now).unwrap(), ts("2024-04-01T00:00:00Z"));
}

#[test]
fn a_file_without_the_end_of_refusals_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let now = ts("2024-03-15T12:00:00Z");
    let old = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    old.execute_batch(
        "CREATE TABLE quota (
           month TEXT PRIMARY KEY, used INTEGER NOT NULL, refused_at_limit INTEGER
         ) STRICT, WITHOUT ROWID;
         INSERT INTO quota VALUES ('2024-03', 7, 10);
         PRAGMA user_version=1;",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let state = open(folder.path());
        assert_eq!(state.quota_used(now).unwrap(), 7);
        assert_eq!(state.quota_left(Some(10), now).unwrap(), 3, "a refusal without end has ended");
    }
    let state = open(folder.path());
    state.refuse_quota(Some(10), now).unwrap();
    assert_eq!(state.quota_left(Some(10), now).unwrap(), 0);
}

#[test]
fn a_forecast_counts_symbols_pages_rounds_and_sessions() {
    // 25 to 28 March 2024 are the last sessions of the month: the 29th is Good Friday.
    let now = ts("2024-03-25T12:00:00Z");
    let wish = Wish { symbols: 50, pages: 1, rounds_per_session: 390 };
    let forecast = Forecast::new(&[wish], 100_000, now);
    assert_eq!(
        forecast,
        Forecast { sessions_left: 4, per_session: 19_500, needed: 78_000, left: 100_000 }
    );
    assert_eq!(forecast.warning(), None);
    let warning = Forecast::new(&[wish], 50_000, now).warning().unwrap();
    assert!(warning.contains("78000") && warning.contains("enough for 2"), "{warning}");
    assert_eq!(Forecast::new(&[wish], 0, ts("2024-03-28T20:00:00Z")).sessions_left, 0);
}
