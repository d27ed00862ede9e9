//! What a row says while its interval runs, before a restatement, and after the close.

use super::*;
use crate::{
    FaultPlan, Source,
    tape::tests::{OPEN, minute, two_days},
};

fn config() -> SimulatorConfig {
    let source: Source = "generated:1x1@2019-02-11".parse().unwrap();
    let epoch = crate::tape::time(OPEN);
    let time = model::clock::MarketTime { epoch, start: epoch, speed: 1 };
    SimulatorConfig::new(source, time)
}

/// Shows open, high, low, price in whole dollars and shares.
fn shown(values: Values) -> ([i64; 4], i64) {
    let prices = [values.open, values.high, values.low, values.price];
    (prices.map(|price| price / 1_000_000), values.volume / 10_000)
}

#[track_caller]
fn check(config: &SimulatorConfig, slot: usize, seconds: i64, expected: Option<([i64; 4], i64)>) {
    check_of(config, BarInterval::Minute1, slot, seconds, expected);
}

#[track_caller]
fn check_of(
    config: &SimulatorConfig,
    interval: BarInterval,
    slot: usize,
    seconds: i64,
    expected: Option<([i64; 4], i64)>,
) {
    let intraday = Intraday::new(config);
    let instrument = two_days();
    let slot = instrument.slots(interval)[slot];
    let key = row_key(&instrument, interval, &slot);
    let now = OPEN + seconds;
    let values = intraday
        .is_visible(&instrument, &key, &slot, now)
        .then(|| shown(intraday.values(&instrument, &key, &slot, now)));
    assert_eq!(values, expected, "{seconds} s after the opening");
}

#[test]
fn a_running_minute_is_served_and_changes_until_it_ends() {
    let config = config();
    check(&config, 1, 59, None);
    check(&config, 1, 60, Some(([100, 103, 99, 102], 55)));
    check(&config, 1, 90, Some(([100, 103, 99, 101], 65)));
    check(&config, 1, 105, Some(([100, 103, 99, 101], 70)));
    check(&config, 1, 120, Some(([100, 103, 99, 101], 70)));
    let off = SimulatorConfig { quirks: Quirks::NONE, ..config };
    check(&off, 1, 119, None);
    check(&off, 1, 120, Some(([100, 103, 99, 101], 70)));
}

#[test]
fn the_high_of_a_running_row_never_falls() {
    check(&config(), 2, 6 * 60 + 1, Some(([100, 103, 99, 101], 77)));
    check(&config(), 2, 6 * 60 + 15, Some(([100, 110, 99, 110], 84)));
}

#[test]
fn a_longer_running_row_has_its_ended_minutes_in_full() {
    check_of(&config(), BarInterval::Minute5, 0, 60, Some(([100, 103, 99, 102], 55)));
    check_of(&config(), BarInterval::Minute5, 0, 299, Some(([100, 103, 99, 101], 70)));
}

#[test]
fn a_bar_is_of_its_own_interval() {
    let config = SimulatorConfig { semantics: Semantics::Bar, ..config() };
    check(&config, 1, 120, Some(([102, 102, 101, 101], 20)));
}

#[test]
fn iex_sees_a_share_until_all_venues_are_counted() {
    let config = SimulatorConfig { iex_share_permille: 500, ..config() };
    check(&config, 2, 7 * 60, Some(([100, 110, 99, 109], 50)));
    check(&config, 2, 390 * 60 + 14 * 60, Some(([100, 110, 99, 109], 50)));
    check(&config, 2, 390 * 60 + 15 * 60, Some(([100, 110, 99, 109], 100)));
    check(&config, 1, 390 * 60 + 15 * 60, Some(([100, 103, 99, 101], 35)));
}

#[test]
fn a_restated_row_has_exactly_two_values_and_ends_with_the_true_one() {
    let plan = FaultPlan { kinds: vec![crate::FaultKind::Restated], ..FaultPlan::new(1, 1.0) };
    let config = SimulatorConfig { faults: Some(plan), quirks: Quirks::NONE, ..config() };
    let intraday = Intraday::new(&config);
    let instrument = two_days();
    let slot = instrument.slots(BarInterval::Minute1)[0];
    let key = row_key(&instrument, BarInterval::Minute1, &slot);
    let mut seen: Vec<_> = (1..60)
        .map(|passed| shown(intraday.values(&instrument, &key, &slot, OPEN + passed * 60)))
        .collect();
    seen.dedup();
    assert_eq!(seen, [([100, 103, 99, 100], 45), ([100, 103, 99, 102], 50)]);
}

#[test]
fn rows_are_written_with_the_keys_of_their_version() {
    let config = config();
    let intraday = Intraday::new(&config);
    let instrument = two_days();
    let slot = instrument.slots(BarInterval::Minute1)[3];
    let key = row_key(&instrument, BarInterval::Minute1, &slot);
    let values = intraday.values(&instrument, &key, &slot, i64::MAX / 4);
    assert_eq!(
        intraday.row(ApiVersion::V1, "AAPL", &key, &values).finish(),
        r#"{"open":120.0,"high":121.0,"low":119.0,"last":120.0,"close":109.0,"volume":5.0,"date":"2019-02-12T14:30:00+0000","symbol":"AAPL","exchange":"IEXG"}"#
    );
    assert_eq!(
        intraday.row(ApiVersion::V2, "AAPL", &key, &values).finish(),
        r#"{"open":120.0,"high":121.0,"low":119.0,"mid":null,"last_size":null,"bid_size":null,"bid_price":null,"ask_price":null,"ask_size":null,"last":null,"close":109.0,"volume":5.0,"marketstack_last":120.0,"date":"2019-02-12T14:30:00+0000","symbol":"AAPL","exchange":"IEXG"}"#
    );
}

#[test]
fn rows_without_price_come_after_the_session_with_a_wrong_time() {
    let config = SimulatorConfig { quirks: Quirks::NONE.with(Quirk::KindB), ..config() };
    let intraday = Intraday::new(&config);
    let late = minute(180, [1, 1, 1, 1], 1);
    let instrument = Instrument::new("A", "XNAS", &[minute(0, [1, 1, 1, 1], 1), late]);
    let shifted = |slot: usize, now| {
        let slot = instrument.slots(BarInterval::Minute1)[slot];
        let key = row_key(&instrument, BarInterval::Minute1, &slot);
        intraday.shifted_ts(&instrument, &key, &slot, now)
    };
    assert_eq!(shifted(0, i64::MAX / 4), None, "still within the session");
    assert_eq!(shifted(1, i64::MAX / 4), Some(late.ts + 5 * 3_600));
    assert_eq!(shifted(1, late.ts + 5 * 3_600 + 59), None, "not yet");
}
