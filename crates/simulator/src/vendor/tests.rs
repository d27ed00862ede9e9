//! Lists and pages: nothing lost, nothing twice, whatever the page size.

use std::collections::BTreeMap;

use super::*;
use crate::{FaultKind, FaultPlan, Source, tape::tests::OPEN};

const DAY: Seconds = 86_400;

fn config(faults: Option<FaultPlan>) -> SimulatorConfig {
    let source: Source = "generated:12x3@2019-02-11#3".parse().unwrap();
    let epoch = crate::tape::time(OPEN);
    let time = model::clock::MarketTime { epoch, start: epoch, speed: 1 };
    SimulatorConfig { faults, ..SimulatorConfig::new(source, time) }
}

fn ask(
    vendor: &Vendor,
    path: &str,
    params: &[(&str, &str)],
    now: Seconds,
) -> Result<Page, Refusal> {
    let (version, route) = Route::parse(path);
    let route = route.unwrap();
    let params: BTreeMap<String, String> =
        params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    vendor.page(version, &route, &Query::parse(&route, &params)?, now)
}

fn all_pages(vendor: &Vendor, sort: &str, limit: usize, now: Seconds) -> Vec<String> {
    let mut rows = Vec::new();
    for _ in 0..10_000 {
        let (limit, offset) = (limit.to_string(), rows.len().to_string());
        let page = ask(
            vendor,
            "/v2/intraday",
            &[
                ("symbols", "AAAA,AAAB,AAAE"),
                ("interval", "1min"),
                ("sort", sort),
                ("limit", &limit),
                ("offset", &offset),
            ],
            now,
        )
        .unwrap();
        assert_eq!(page.pagination.count, page.rows.len());
        rows.extend(page.rows);
        if page.pagination.total <= page.pagination.offset + page.pagination.count {
            return rows;
        }
    }
    panic!("more pages than rows");
}

#[test]
fn paging_is_complete_in_both_directions_and_the_page_size_does_not_matter() {
    let vendor = Vendor::new(&config(None)).unwrap();
    let now = OPEN + 3 * DAY;
    let ascending = all_pages(&vendor, "ASC", 1_000, now);
    assert!(1_500 < ascending.len());
    assert_eq!(ascending, all_pages(&vendor, "ASC", 7, now));
    let mut sorted = all_pages(&vendor, "DESC", 137, now);
    let mut expected = ascending;
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn rows_with_faults_are_the_same_in_every_answer() {
    let plan = FaultPlan {
        kinds: vec![FaultKind::Poison, FaultKind::Duplicate],
        ..FaultPlan::new(4, 0.1)
    };
    let vendor = Vendor::new(&config(Some(plan))).unwrap();
    let rows = all_pages(&vendor, "ASC", 1_000, OPEN + DAY);
    assert_eq!(rows, all_pages(&vendor, "ASC", 10, OPEN + DAY));
    assert!(rows.iter().any(|row| row == "[]"), "a poison row");
    assert!(rows.windows(2).any(|pair| pair[0] == pair[1]), "a duplicate");
}

#[test]
fn a_drifting_list_repeats_a_row_and_loses_none() {
    let mut config = config(None);
    config.quirks = config.quirks.with(Quirk::PageDrift);
    let vendor = Vendor::new(&config).unwrap();
    let rows = all_pages(&vendor, "DESC", 100, OPEN + DAY);
    let steady = all_pages(&vendor, "ASC", 100, OPEN + DAY);
    assert_eq!(rows.len(), steady.len() + 1);
    assert!(steady.iter().all(|row| rows.contains(row)));
}

#[test]
fn windows_are_closed_and_unknown_symbols_are_dropped() {
    let vendor = Vendor::new(&config(None)).unwrap();
    let params = [
        ("symbols", "AAAA,NOPE"),
        ("interval", "1min"),
        ("sort", "ASC"),
        ("date_from", "2019-02-11T14:31:00+0000"),
        ("date_to", "2019-02-11T14:33:00+0000"),
    ];
    let page = ask(&vendor, "/v2/intraday", &params, OPEN + DAY).unwrap();
    assert!(
        page.rows.first().unwrap().contains("14:31:00")
            && page.rows.last().unwrap().contains("14:33:00")
    );
    assert_eq!(page.rows.len(), 3);
    let unknown = ask(&vendor, "/v2/intraday", &[("symbols", "NOPE")], OPEN).unwrap_err();
    assert_eq!(unknown, Refusal::NoValidSymbols);
}

#[test]
fn a_late_row_appears_and_stays() {
    let plan = FaultPlan { kinds: vec![FaultKind::Late], ..FaultPlan::new(9, 0.3) };
    let mut config = config(Some(plan));
    config.quirks = Quirks::NONE;
    let vendor = Vendor::new(&config).unwrap();
    let at = |minutes: i64| all_pages(&vendor, "ASC", 1_000, OPEN + minutes * 60);
    let mut before = Vec::new();
    let mut came_late = 0;
    for minute in 0..60 {
        let rows = at(minute);
        assert!(before.iter().all(|row| rows.contains(row)), "minute {minute}");
        came_late +=
            usize::from(rows.iter().rev().take(before.len()).any(|row| !before.contains(row)));
        before = rows;
    }
    assert_ne!(came_late, 0);
    let complete = Vendor::new(&SimulatorConfig { faults: None, ..config }).unwrap();
    assert_eq!(
        all_pages(&vendor, "ASC", 1_000, OPEN + DAY).len(),
        all_pages(&complete, "ASC", 1_000, OPEN + DAY).len(),
        "in the end nothing is missing"
    );
}

#[test]
fn latest_is_one_row_per_symbol() {
    let vendor = Vendor::new(&config(None)).unwrap();
    for path in ["/v1/intraday/latest", "/v2/eod/latest"] {
        let page = ask(&vendor, path, &[("symbols", "AAAA,AAAB,AAAC")], OPEN + DAY).unwrap();
        assert_eq!((page.rows.len(), page.pagination.total), (3, 3), "{path}");
    }
    let none = ask(&vendor, "/v2/eod/latest", &[("symbols", "AAAA")], OPEN).unwrap();
    assert!(none.rows.is_empty());
}

#[test]
fn splits_and_dividends_are_published_on_their_day() {
    let vendor = Vendor::new(&config(None)).unwrap();
    let splits = |now| ask(&vendor, "/v2/splits", &[("symbols", "AAAD,AAAF")], now).unwrap().rows;
    let dividends = ask(&vendor, "/v1/dividends", &[("symbols", "AAAD,AAAF")], OPEN + 4 * DAY);
    assert!(splits(OPEN).is_empty());
    assert_eq!(splits(OPEN + 4 * DAY).len(), 1);
    assert_eq!(dividends.unwrap().rows.len(), 1);
}
