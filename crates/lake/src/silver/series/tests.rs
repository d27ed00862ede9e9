//! How readings and bars of one day become revisions.

use super::*;

/// A reading: day's open, high, low, price, cumulative volume.
fn reading(open: i128, high: i128, low: i128, price: i128, volume: i128) -> Served {
    Served {
        open,
        high,
        low,
        close: Some(90),
        price: Some(price),
        volume: Some(volume),
        price_source: PriceSource::MarketstackLast,
    }
}

fn bar(open: i128, high: i128, low: i128, close: i128, volume: i128) -> Served {
    Served {
        open,
        high,
        low,
        close: Some(close),
        price: None,
        volume: Some(volume),
        price_source: PriceSource::Close,
    }
}

/// Applies rows in order and returns what was written: time, revision, o h l c v.
fn revisions(
    rows: &[(Micros, i64, Served)],
    semantics: Semantics,
) -> Vec<(Micros, i32, [i128; 4], Option<i128>)> {
    let mut series = Series::default();
    let mut written = Vec::new();
    for (ts, fetch_id, served) in rows {
        let mut revised = Vec::new();
        let _outcome = series.apply(*ts, *served, *fetch_id, semantics, &mut revised);
        for ts in revised {
            let Entry { bar, revision, .. } = series.entries()[&ts];
            written.push((ts, revision, [bar.open, bar.high, bar.low, bar.close], bar.volume));
        }
    }
    written
}

#[test]
fn consecutive_readings_become_bars() {
    let rows = [
        (1, 1, reading(100, 105, 99, 104, 50)),
        (2, 1, reading(100, 105, 99, 101, 80)),
        (3, 1, reading(100, 110, 98, 109, 80)),
    ];
    assert_eq!(
        revisions(&rows, Semantics::Reading),
        [
            (1, 1, [100, 105, 99, 104], Some(50)),
            // The day's high and low did not move, so only the two prices are known.
            (2, 1, [104, 104, 101, 101], Some(30)),
            (3, 1, [101, 110, 98, 109], Some(0)),
        ]
    );
}

#[test]
fn a_late_reading_revises_its_successor() {
    let rows = [
        (1, 1, reading(100, 105, 99, 104, 50)),
        (3, 1, reading(100, 106, 99, 106, 90)),
        (2, 2, reading(100, 105, 99, 101, 80)),
    ];
    assert_eq!(
        revisions(&rows, Semantics::Reading)[1..],
        [
            (3, 1, [104, 106, 104, 106], Some(40)),
            (2, 1, [104, 104, 101, 101], Some(30)),
            (3, 2, [101, 106, 101, 106], Some(10)),
        ]
    );
}

#[test]
fn what_is_known_already_changes_nothing() {
    let first = reading(100, 105, 99, 104, 50);
    let mut series = Series::default();
    let mut revised = Vec::new();
    assert_eq!(series.apply(1, first, 5, Semantics::Reading, &mut revised), Outcome::New);
    assert_eq!(series.apply(1, first, 6, Semantics::Reading, &mut revised), Outcome::Unchanged);
    let older = reading(100, 105, 99, 103, 50);
    assert_eq!(series.apply(1, older, 4, Semantics::Reading, &mut revised), Outcome::Superseded);
    assert_eq!(series.apply(1, older, 7, Semantics::Reading, &mut revised), Outcome::Restated);
    assert_eq!(series.apply(1, first, 8, Semantics::Reading, &mut revised), Outcome::Restated);
    assert_eq!(revised, [1, 1, 1], "A, B, A are three revisions");
    assert_eq!(series.entries()[&1].revision, 3);
}

#[test]
fn volume_never_falls_below_zero_and_stays_unknown_when_it_is() {
    let mut silent = reading(100, 105, 99, 104, 0);
    silent.volume = None;
    let rows = [
        (1, 1, reading(100, 105, 99, 104, 50)),
        (2, 1, reading(100, 105, 99, 104, 40)),
        (3, 1, silent),
        (4, 1, reading(100, 105, 99, 104, 60)),
    ];
    let volumes: Vec<Option<i128>> =
        revisions(&rows, Semantics::Reading).iter().map(|row| row.3).collect();
    assert_eq!(volumes, [Some(50), Some(0), None, None]);
}

#[test]
fn bars_are_kept_as_served() {
    let rows = [(1, 1, bar(100, 105, 99, 104, 50)), (2, 1, bar(103, 104, 102, 102, 7))];
    assert_eq!(
        revisions(&rows, Semantics::Auto),
        [(1, 1, [100, 105, 99, 104], Some(50)), (2, 1, [103, 104, 102, 102], Some(7))]
    );
}

#[test]
fn auto_recognises_bars_that_carry_a_price() {
    let rows: Vec<(Micros, i64, Served)> = (0..8)
        .map(|index| {
            let open = 100 + i128::from(index % 3);
            let mut row = bar(open, open + 2, open - 2, open + 1, 10);
            row.price = row.close;
            (index, 1, row)
        })
        .collect();
    let mut series = Series::default();
    for (ts, fetch_id, served) in &rows {
        let _outcome = series.apply(*ts, *served, *fetch_id, Semantics::Auto, &mut Vec::new());
    }
    for (ts, _, served) in &rows {
        assert_eq!(series.entries()[ts].bar, as_bar(served), "at {ts}");
    }
}

/// Whatever is read back from the table must go on exactly as the memory it replaces.
#[test]
fn loading_gives_the_state_back() {
    let rows = [
        (1, 1, reading(100, 105, 99, 104, 50)),
        (3, 1, reading(101, 106, 97, 106, 90)),
        (2, 2, reading(100, 104, 99, 101, 80)),
        (4, 2, reading(100, 106, 99, 101, 95)),
        (5, 3, reading(100, 106, 99, 101, 94)),
        (5, 4, reading(100, 106, 99, 101, 93)),
        (6, 4, reading(100, 106, 99, 101, 99)),
    ];
    for split in 0..rows.len() {
        let (mut kept, mut revised) = (Series::default(), Vec::new());
        for (ts, fetch_id, served) in &rows[..split] {
            let _outcome = kept.apply(*ts, *served, *fetch_id, Semantics::Auto, &mut revised);
        }
        let mut loaded = Series::default();
        for (ts, entry) in kept.entries() {
            loaded.load(*ts, *entry);
        }
        loaded.finish_loading();
        for (ts, fetch_id, served) in &rows[split..] {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            let outcome = kept.apply(*ts, *served, *fetch_id, Semantics::Auto, &mut left);
            assert_eq!(outcome, loaded.apply(*ts, *served, *fetch_id, Semantics::Auto, &mut right));
            assert_eq!(left, right, "after a reload at {split}");
        }
        assert_eq!(kept.entries(), loaded.entries(), "after a reload at {split}");
    }
}

/// A volume that fell is cut to zero, before and after a restatement; the next bar must still be
/// measured from what was served last.
#[test]
fn a_restatement_that_leaves_the_bar_alone_is_a_revision_all_the_same() {
    let rows = [
        (1, 1, reading(100, 105, 99, 104, 100)),
        (2, 1, reading(100, 105, 99, 104, 90)),
        (2, 2, reading(100, 105, 99, 104, 95)),
        (3, 2, reading(100, 105, 99, 104, 200)),
    ];
    let written: Vec<(Micros, i32, Option<i128>)> = revisions(&rows, Semantics::Reading)
        .into_iter()
        .map(|(ts, revision, _, volume)| (ts, revision, volume))
        .collect();
    assert_eq!(written, [(1, 1, Some(100)), (2, 1, Some(0)), (2, 2, Some(0)), (3, 1, Some(105))]);
}
