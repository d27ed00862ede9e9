//! The running state of a day, from bars written by hand.

use chrono::NaiveDate;
use model::BarInterval;

use super::*;

/// 2019-02-11T14:30:00Z, a Monday's opening.
pub(crate) const OPEN: Seconds = 1_549_895_400;

pub(crate) fn minute(offset: i64, prices: [i64; 4], shares: i64) -> Minute {
    let [open, high, low, close] = prices.map(|price| price * 1_000_000);
    Minute { ts: OPEN + offset * 60, open, high, low, close, volume: shares * 10_000 }
}

pub(crate) fn two_days() -> Instrument {
    let next_day = 24 * 60;
    Instrument::new(
        "AAPL",
        "XNAS",
        &[
            minute(0, [100, 103, 99, 102], 50),
            minute(1, [102, 102, 101, 101], 20),
            minute(6, [101, 110, 101, 109], 30),
            minute(next_day, [120, 121, 119, 120], 5),
        ],
    )
}

#[test]
fn open_high_low_and_volume_run_through_the_day_and_start_anew() {
    let instrument = two_days();
    let shown: Vec<_> = instrument
        .slots(BarInterval::Minute1)
        .iter()
        .map(|slot| {
            let prices = [slot.day_open, slot.day_high, slot.day_low, slot.bar.close];
            (prices.map(|price| price / 1_000_000), slot.day_volume / 10_000, slot.is_last)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ([100, 103, 99, 102], 50, false),
            ([100, 103, 99, 101], 70, false),
            ([100, 110, 99, 109], 100, true),
            ([120, 121, 119, 120], 5, true),
        ]
    );
    let closes: Vec<_> = instrument.days.iter().map(|day| day.previous_close).collect();
    assert_eq!(closes, [None, Some(109_000_000)]);
}

#[test]
fn longer_intervals_merge_minutes_and_keep_the_state_at_their_end() {
    let instrument = two_days();
    let slots = instrument.slots(BarInterval::Minute5);
    assert_eq!(slots.len(), 3);
    assert_eq!(slots[0].bar, Minute { ts: OPEN, ..minute(0, [100, 103, 99, 101], 70) });
    assert_eq!(slots[1].bar.ts, OPEN + 300, "labelled by the interval's start");
    assert_eq!(slots[1].day_volume, 100 * 10_000);
    assert!(slots[1].is_last);
    assert_eq!(instrument.minutes_of(&slots[0]).len(), 2);
}

#[test]
fn an_hour_starts_at_the_full_hour_as_the_vendor_labels_it() {
    let instrument = two_days();
    assert_eq!(instrument.slots(BarInterval::Hour1)[0].bar.ts, OPEN - 1_800);
}

#[test]
fn generated_markets_are_reproducible_cheap_and_have_quiet_symbols_and_actions() {
    let source = crate::GeneratedSource {
        symbols: 60,
        names: vec!["AAPL".to_owned()],
        first_date: NaiveDate::from_ymd_opt(2019, 2, 9).unwrap(),
        sessions: 4,
        seed: 7,
    };
    let instruments = generate::instruments(&source);
    let again = generate::instruments(&source);
    assert_eq!(instruments.len(), 60);
    assert_eq!(instruments[0].symbol, "AAPL");
    for (left, right) in instruments.iter().zip(&again) {
        assert_eq!(left.minutes, right.minutes, "{}", left.symbol);
        assert!(!left.days.is_empty(), "{}", left.symbol);
        for slot in &left.minutes {
            let Minute { open, high, low, close, volume, .. } = slot.bar;
            assert!(0 < low && low <= open.min(close) && open.max(close) <= high && 0 <= volume);
            assert!(left.days[slot.day].session.unwrap().contains(time(slot.bar.ts)));
        }
    }
    assert!(instruments.iter().any(|instrument| instrument.minutes.len() < 4 * 390 * 6 / 10));
    let terms = |wanted: fn(&Terms) -> bool| {
        instruments
            .iter()
            .flat_map(|one| &one.actions)
            .filter(|action| wanted(&action.terms))
            .count()
    };
    assert_ne!(terms(|terms| matches!(terms, Terms::Split { .. })), 0);
    assert_ne!(terms(|terms| matches!(terms, Terms::Dividend(_))), 0);
}

#[test]
fn the_volume_of_a_generated_day_is_u_shaped() {
    let source = crate::GeneratedSource {
        symbols: 20,
        names: Vec::new(),
        first_date: NaiveDate::from_ymd_opt(2019, 2, 11).unwrap(),
        sessions: 1,
        seed: 1,
    };
    let total = |from: i64, to: i64| -> i64 {
        generate::instruments(&source)
            .iter()
            .flat_map(|instrument| &instrument.minutes)
            .filter(|slot| (from..to).contains(&((slot.bar.ts - OPEN) / 60)))
            .map(|slot| slot.bar.volume / 10_000)
            .sum()
    };
    let noon = total(180, 210);
    assert!(2 * noon < total(0, 30) && 2 * noon < total(360, 390));
}
