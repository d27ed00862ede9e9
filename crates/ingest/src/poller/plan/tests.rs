//! The planner, driven through market time by a simulated poller.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use model::BarInterval;
use proptest::prelude::*;

use super::*;
use crate::poller::coverage::Outcome;

fn ts(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn config() -> PollConfig {
    PollConfig {
        datasets: vec![Dataset::Intraday],
        symbols: vec!["AAPL".to_owned(), "MSFT".to_owned()],
        interval: BarInterval::Minute1,
        after_hours: false,
        start_date: "2024-03-11".parse().unwrap(),
        look_back: Duration::from_secs(45 * 60),
        revise_days: 2,
        settle: Duration::from_secs(5),
        poll_every: Duration::from_secs(60),
        page_rows: NonZeroU32::new(1000).unwrap(),
        pages_max: NonZeroU32::new(20).unwrap(),
        symbols_per_request: NonZeroU32::new(100).unwrap(),
        requests_per_second: NonZeroU32::new(5).unwrap(),
        quota_month: None,
        topic_prefix: String::new(),
    }
}

/// A poller without a vendor: every plan succeeds, and the invariants are checked on the way.
struct Driver {
    config: PollConfig,
    chunks: Vec<Chunk>,
    coverage: Coverage,
    was_live: bool,
    plans: Vec<(DateTime<Utc>, FetchPlan)>,
    /// Every label that was scanned, with how often.
    scanned: BTreeMap<(u32, DateTime<Utc>), u32>,
    /// Decides the set hash of a scan.
    hash: fn(&FetchPlan, DateTime<Utc>) -> String,
    has_eod_rows: bool,
}

impl Driver {
    fn new(config: PollConfig) -> Self {
        let chunks = config
            .datasets
            .iter()
            .zip(1..)
            .map(|(dataset, id)| Chunk {
                id,
                dataset: *dataset,
                interval: String::new(),
                symbols: config.symbols.clone(),
            })
            .collect();
        Self {
            config,
            chunks,
            coverage: Coverage::default(),
            was_live: false,
            plans: Vec::new(),
            scanned: BTreeMap::new(),
            hash: |_, _| "same".to_owned(),
            has_eod_rows: true,
        }
    }

    fn decide(&self, now: DateTime<Utc>, quota_left: u64) -> Decision {
        let planner =
            Planner { config: &self.config, chunks: &self.chunks, coverage: &self.coverage };
        planner.decide(&Situation {
            now,
            quota_left,
            parked: BTreeSet::new(),
            was_live: self.was_live,
        })
    }

    /// Runs until nothing is due at `now`; returns when something will be.
    fn drain(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        for _ in 0..5_000 {
            match self.decide(now, u64::MAX) {
                Decision::Fetch(plan) => self.fetch(plan, now),
                Decision::Wait(until) => {
                    assert!(until.is_none_or(|until| now < until), "{until:?} is not after {now}");
                    return until;
                }
                Decision::QuotaShort => panic!("there is no quota"),
            }
        }
        panic!("it does not come to rest at {now}: {:?}", self.plans.last());
    }

    /// Runs from `from` to `to`, waking when asked to.
    fn run(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) {
        let mut now = from;
        for _ in 0..50_000 {
            match self.drain(now) {
                Some(until) if until <= to => now = until,
                _ => return,
            }
        }
        panic!("it wakes too often");
    }

    fn fetch(&mut self, plan: FetchPlan, now: DateTime<Utc>) {
        self.check_plan(&plan, now);
        let date = plan.bounds().map_or(now, |(_, to)| to).date_naive();
        let symbols: BTreeSet<String> = plan.symbols.iter().cloned().collect();
        let symbols_by_date = if self.has_eod_rows {
            plan.bounds()
                .map_or(date, |(from, _)| from.date_naive())
                .iter_days()
                .take_while(|day| *day <= date)
                .map(|day| (day, symbols.clone()))
                .collect()
        } else {
            BTreeMap::new()
        };
        let outcome =
            Outcome { ts_started: now, set_hash: (self.hash)(&plan, now), symbols_by_date };
        self.coverage.record(&self.config, &plan, &outcome);
        self.was_live = plan.reason == Reason::Live;
        self.plans.push((now, plan));
    }

    fn check_plan(&mut self, plan: &FetchPlan, now: DateTime<Utc>) {
        let Some((from, to)) = plan.bounds() else { return };
        assert!(from <= to, "{plan:?}");
        if !matches!(plan.dataset, Dataset::Intraday | Dataset::Eod) {
            assert!(to <= now, "{plan:?} at {now}");
            return;
        }
        let mut labels_in_plan = 0;
        let first_day = from.date_naive().pred_opt().unwrap();
        for session in Session::between(first_day, to.date_naive()) {
            let labels = Labels::new(&self.config, plan.dataset, &session);
            let mut label = labels.first;
            while label <= labels.last {
                if (from..=to).contains(&label) {
                    assert!(
                        labels.available_at(label) <= now,
                        "{plan:?} asks for {label}, which is not closed at {now}"
                    );
                    *self.scanned.entry((plan.chunk, label)).or_default() += 1;
                    labels_in_plan += 1;
                }
                label += labels.step;
            }
        }
        assert_ne!(labels_in_plan, 0, "{plan:?} asks for nothing");
        let rows_max = u64::from(self.config.page_rows.get()) * u64::from(plan.pages_max);
        let symbols = u64::try_from(plan.symbols.len()).unwrap();
        assert!(labels_in_plan == 1 || labels_in_plan * symbols <= rows_max, "{plan:?}");
        assert!(self.config.start_date <= from.date_naive(), "{plan:?}");
    }

    /// Checks that every label that could be asked for at `now` was scanned.
    fn check_no_hole(&self, now: DateTime<Utc>) {
        for chunk in &self.chunks {
            if !matches!(chunk.dataset, Dataset::Intraday | Dataset::Eod) {
                continue;
            }
            for session in Session::between(self.config.start_date, now.date_naive()) {
                let labels = Labels::new(&self.config, chunk.dataset, &session);
                // A live scan may rest until `poll_every` passed.
                let slack = time_delta(self.config.poll_every);
                let mut label = labels.first;
                while label <= labels.last && labels.available_at(label) + slack <= now {
                    assert!(
                        self.scanned.contains_key(&(chunk.id, label)),
                        "{label} of {} was never asked for by {now}",
                        chunk.dataset
                    );
                    label += labels.step;
                }
            }
        }
    }

    fn reasons(&self) -> Vec<Reason> {
        self.plans.iter().map(|(_, plan)| plan.reason).collect()
    }
}

#[test]
fn catch_up_goes_oldest_first_and_stops_at_the_last_closed_interval() {
    let mut driver = Driver::new(config());
    let now = ts("2024-03-13T14:00:30Z");
    driver.drain(now);
    let windows: Vec<Window> = driver.plans.iter().map(|(_, plan)| plan.window).collect();
    assert_eq!(driver.reasons()[..2], [Reason::Live, Reason::CatchUp]);
    assert_eq!(
        windows[..2],
        [
            Window::Times { from: ts("2024-03-13T13:30:00Z"), to: ts("2024-03-13T13:59:00Z") },
            Window::Times { from: ts("2024-03-11T13:30:00Z"), to: ts("2024-03-12T19:59:00Z") },
        ]
    );
    driver.check_no_hole(now);
}

#[test]
fn a_live_poll_reaches_back_and_waits_for_the_next_closed_interval() {
    let mut driver = Driver::new(PollConfig { revise_days: 0, ..config() });
    driver.drain(ts("2024-03-13T15:00:05Z"));
    let before = driver.plans.len();
    let wake = driver.drain(ts("2024-03-13T15:00:06Z")).unwrap();
    assert_eq!(wake, ts("2024-03-13T15:01:05Z"));
    assert_eq!(driver.plans.len(), before);
    driver.drain(wake);
    let (_, plan) = driver.plans.last().unwrap();
    assert_eq!(
        plan.window,
        Window::Times { from: ts("2024-03-13T14:15:00Z"), to: ts("2024-03-13T15:00:00Z") }
    );
}

#[test]
fn a_session_closes_when_two_tail_scans_agree() {
    let mut driver = Driver::new(PollConfig { revise_days: 0, ..config() });
    let date: NaiveDate = "2024-03-13".parse().unwrap();
    driver.run(ts("2024-03-13T13:00:00Z"), ts("2024-03-13T20:02:00Z"));
    assert!(!driver.coverage.day(1, date).unwrap().is_closed, "one tail scan proves nothing");
    driver.run(ts("2024-03-13T20:02:00Z"), ts("2024-03-13T20:05:00Z"));
    assert!(driver.coverage.day(1, date).unwrap().is_closed);
    let plans = driver.plans.len();
    driver.run(ts("2024-03-13T20:05:00Z"), ts("2024-03-14T13:00:00Z"));
    assert_eq!(driver.plans.len(), plans, "a closed session is left alone");
}

#[test]
fn a_session_that_keeps_changing_closes_at_the_horizon() {
    let mut driver = Driver::new(PollConfig { revise_days: 0, ..config() });
    driver.hash = |_, now| now.to_string();
    let date: NaiveDate = "2024-03-13".parse().unwrap();
    driver.run(ts("2024-03-13T13:00:00Z"), ts("2024-03-13T20:44:00Z"));
    assert!(!driver.coverage.day(1, date).unwrap().is_closed);
    driver.run(ts("2024-03-13T20:44:00Z"), ts("2024-03-13T20:46:00Z"));
    assert!(driver.coverage.day(1, date).unwrap().is_closed);
}

#[test]
fn a_stopped_poller_leaves_no_hole() {
    let mut driver = Driver::new(config());
    driver.run(ts("2024-03-13T13:00:00Z"), ts("2024-03-13T15:12:00Z"));
    let now = ts("2024-03-18T18:00:30Z");
    driver.drain(now);
    driver.check_no_hole(now);
    let first_again = driver
        .plans
        .iter()
        .find(|(at, plan)| *at == now && plan.reason == Reason::CatchUp)
        .unwrap();
    // What was young when the poller stopped is looked at again.
    let (from, _) = first_again.1.bounds().unwrap();
    assert!(from <= ts("2024-03-13T14:27:00Z"), "{from}");
}

#[test]
fn recent_sessions_are_revised_once_a_day_and_no_longer() {
    let mut driver = Driver::new(config());
    // Friday the 15th is revised on Saturday and Sunday, two days as set.
    driver.run(ts("2024-03-15T13:00:00Z"), ts("2024-03-19T12:00:00Z"));
    let friday = (ts("2024-03-15T13:30:00Z"), ts("2024-03-15T19:59:00Z"));
    let days: Vec<NaiveDate> = driver
        .plans
        .iter()
        .filter(|(_, plan)| plan.reason == Reason::Revision)
        .filter(|(_, plan)| {
            plan.bounds().is_some_and(|(from, to)| from <= friday.0 && friday.1 <= to)
        })
        .map(|(at, _)| at.date_naive())
        .collect();
    assert_eq!(days, ["2024-03-16".parse().unwrap(), "2024-03-17".parse().unwrap()]);
}

#[test]
fn end_of_day_rows_are_waited_for_and_asked_for_again_the_next_morning() {
    let mut driver = Driver::new(PollConfig {
        datasets: vec![Dataset::Eod],
        start_date: "2024-03-13".parse().unwrap(),
        revise_days: 1,
        ..config()
    });
    driver.has_eod_rows = false;
    assert_eq!(driver.drain(ts("2024-03-13T20:30:00Z")), Some(ts("2024-03-13T21:10:00Z")));
    driver.run(ts("2024-03-13T21:10:00Z"), ts("2024-03-13T21:20:00Z"));
    assert_eq!(driver.plans.len(), 1);
    driver.has_eod_rows = true;
    driver.run(ts("2024-03-13T21:20:00Z"), ts("2024-03-14T12:00:00Z"));
    let at: Vec<DateTime<Utc>> = driver.plans.iter().map(|(at, _)| *at).collect();
    assert_eq!(
        at,
        [ts("2024-03-13T21:10:00Z"), ts("2024-03-13T21:25:00Z"), ts("2024-03-14T06:30:00Z")]
    );
    let date = "2024-03-13".parse().unwrap();
    assert_eq!(driver.plans[0].1.window, Window::Dates { from: date, to: date });
}

#[test]
fn a_row_that_never_comes_costs_a_handful_of_requests() {
    let mut driver = Driver::new(PollConfig {
        datasets: vec![Dataset::Eod],
        start_date: "2024-03-13".parse().unwrap(),
        revise_days: 0,
        ..config()
    });
    driver.has_eod_rows = false;
    driver.run(ts("2024-03-13T21:10:00Z"), ts("2024-03-14T20:00:00Z"));
    assert!((4..=8).contains(&driver.plans.len()), "{}", driver.plans.len());
    assert!(driver.coverage.day(1, "2024-03-13".parse().unwrap()).unwrap().is_closed);
}

#[test]
fn daily_lists_are_fetched_once_a_day() {
    let mut driver =
        Driver::new(PollConfig { datasets: vec![Dataset::Splits, Dataset::Tickers], ..config() });
    driver.run(ts("2024-03-13T13:00:00Z"), ts("2024-03-15T12:00:00Z"));
    let splits: Vec<Window> = driver
        .plans
        .iter()
        .filter(|(_, plan)| plan.dataset == Dataset::Splits)
        .map(|(_, plan)| plan.window)
        .collect();
    let from = "2024-03-11".parse().unwrap();
    let dates = ["2024-03-13", "2024-03-14", "2024-03-15"];
    assert_eq!(splits, dates.map(|to| Window::Dates { from, to: to.parse().unwrap() }));
    let tickers = driver.plans.iter().filter(|(_, plan)| plan.dataset == Dataset::Tickers);
    assert_eq!(tickers.count(), 3);
}

#[test]
fn a_window_with_too_many_rows_is_halved() {
    let mut driver = Driver::new(config());
    let now = ts("2024-03-16T00:00:00Z");
    let Decision::Fetch(whole) = driver.decide(now, u64::MAX) else { panic!("it is due") };
    driver.coverage.halve(1);
    driver.coverage.halve(1);
    driver.coverage.halve(1);
    driver.coverage.halve(1);
    let Decision::Fetch(part) = driver.decide(now, u64::MAX) else { panic!("it is due") };
    assert!(part.bounds().unwrap().1 < whole.bounds().unwrap().1);
    for _ in 0..60 {
        driver.coverage.halve(1);
    }
    let Decision::Fetch(smallest) = driver.decide(now, u64::MAX) else { panic!("it is due") };
    let (from, to) = smallest.bounds().unwrap();
    assert_eq!((from, smallest.pages_max), (to, SMALLEST_WINDOW_PAGES_MAX));
}

#[test]
fn a_quota_that_does_not_reach_for_one_page_stops_everything() {
    let driver = Driver::new(config());
    let now = ts("2024-03-13T14:00:30Z");
    assert_eq!(driver.decide(now, 1), Decision::QuotaShort);
    assert!(matches!(driver.decide(now, 2), Decision::Fetch(_)));
}

#[test]
fn live_and_past_take_turns() {
    let mut driver =
        Driver::new(PollConfig { start_date: "2023-09-01".parse().unwrap(), ..config() });
    let mut now = ts("2024-03-13T14:00:30Z");
    for _ in 0..8 {
        let Decision::Fetch(plan) = driver.decide(now, u64::MAX) else { panic!("it is due") };
        driver.fetch(plan, now);
        now += TimeDelta::minutes(1);
    }
    let live = driver.reasons().iter().filter(|reason| **reason == Reason::Live).count();
    assert_eq!(live, 4, "{:?}", driver.reasons());
}

prop_compose! {
    fn any_config()(
        interval in prop::sample::select(vec![
            BarInterval::Minute1, BarInterval::Minute5, BarInterval::Minute30, BarInterval::Hour1,
            BarInterval::Day1,
        ]),
        after_hours in any::<bool>(),
        symbols in 1_usize..40,
        look_back in 0_u64..7_200,
        revise_days in 0_u32..4,
        settle in 0_u64..600,
        poll_every in 30_u64..3_600,
        page_rows in 5_u32..1_000,
        pages_max in 1_u32..20,
        halvings in 0_u32..4,
    ) -> (PollConfig, u32) {
        let config = PollConfig {
            datasets: vec![Dataset::Intraday, Dataset::Eod, Dataset::Dividends],
            symbols: (0..symbols).map(|number| format!("S{number}")).collect(),
            interval,
            after_hours,
            look_back: Duration::from_secs(look_back),
            revise_days,
            settle: Duration::from_secs(settle),
            poll_every: Duration::from_secs(poll_every),
            page_rows: NonZeroU32::new(page_rows).unwrap(),
            pages_max: NonZeroU32::new(pages_max).unwrap(),
            ..config()
        };
        (config, halvings)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the settings and whenever the poller runs or stands still: no window reaches
    /// beyond the last closed label, none is too large, nothing is left out, and it comes to rest.
    #[test]
    fn never_too_far_never_too_much_never_a_hole(
        (config, halvings) in any_config(),
        pauses in prop::collection::vec(1_i64..2_000, 1..25),
        is_restless in any::<bool>(),
    ) {
        let mut driver = Driver::new(config);
        if is_restless {
            driver.hash = |_, now| now.to_string();
        }
        for _ in 0..halvings {
            for chunk in 1..=3 {
                driver.coverage.halve(chunk);
            }
        }
        let mut now = ts("2024-03-07T12:00:00Z");
        for pause in pauses {
            now += TimeDelta::seconds(pause * 61);
            driver.drain(now);
            driver.check_no_hole(now);
        }
    }
}
