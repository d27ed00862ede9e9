//! The truth against the bars that the market is made of, and against what was served.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    io::Write,
    path::PathBuf,
};

use chrono::TimeDelta;
use serde_json::Value;
use simulator::{FaultKind, FaultPlan, Quirk, Quirks, Semantics};

use crate::harness::{Server, config};

type Key = (String, String);

/// Bars as `(symbol, ts_start)` and the five values.
fn bars(lines: &[Value]) -> HashMap<Key, [String; 5]> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let names = ["open", "high", "low", "close", "volume"];
    let bar = |line: &Value| {
        let key = (text(line, "symbol"), text(line, "ts_start"));
        (key, names.map(|name| text(line, name)))
    };
    lines.iter().map(bar).collect()
}

/// Trailing zeros of a decimal mean nothing.
fn shortest(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn recorded(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let found = path.try_exists().unwrap();
    if !found {
        // Cargo keeps what a passing test prints to itself, but not what is written to the handle.
        let text = format!("NOT TESTED with recorded bars: {} is absent\n", path.display());
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    found.then_some(path)
}

fn csv_bars(path: &PathBuf) -> HashMap<Key, [String; 5]> {
    let text = fs::read_to_string(path).unwrap();
    let bar = |line: &str| {
        let columns: Vec<&str> = line.split(',').collect();
        let values = [3, 4, 5, 6, 7].map(|column| shortest(columns[column]));
        ((columns[1].to_owned(), columns[2].to_owned()), values)
    };
    text.lines().skip(1).map(bar).collect()
}

#[tokio::test]
async fn with_bar_semantics_the_truth_is_the_recorded_bars() {
    // Without the recording, the test below says the same of generated bars.
    let Some(path) = recorded("eqker_1min.csv") else { return };
    let mut config = config(&format!("csv:{}", path.display()));
    config.semantics = Semantics::Bar;
    let server = Server::start(config).await;
    server.clock.advance(TimeDelta::days(6));
    let expected = csv_bars(&path);
    let truth = bars(&server.truth("bar_1m").await);
    assert_eq!(truth.len(), expected.len());
    for (key, values) in &expected {
        assert_eq!(truth.get(key), Some(values), "{key:?}");
    }
    check_resampled(&server).await;
    server.stop().await;
}

/// The 15-minute file is another feed; for these symbols both are known to agree.
async fn check_resampled(server: &Server) {
    let Some(path) = recorded("eqker_15min.csv") else { return };
    let agreeing = ["AMZN", "GLD", "JPM", "MSFT", "MU", "SPY", "V", "XLP"];
    let resampled = bars(&server.truth("bar_15m").await);
    let mut compared = 0;
    for (key, values) in csv_bars(&path) {
        if agreeing.contains(&key.0.as_str()) && "2019-02-11" <= key.1.as_str() {
            assert_eq!(resampled.get(&key), Some(&values), "{key:?}");
            compared += 1;
        }
    }
    assert!(1_000 <= compared, "8 symbols, 5 days, 26 quarters of an hour: {compared}");
}

/// Six symbols, two days: every minute of the generated market, as a client reads them.
const MARKET: &str = "generated:6x2@2019-02-11#7";

async fn rows_on_the_wire(server: &Server) -> Vec<Value> {
    let mut rows = Vec::new();
    for offset in [0, 1_000, 2_000, 3_000, 4_000] {
        let page = server
            .json(&format!(
                "/v2/intraday?symbols=AAAA,AAAB,AAAC,AAAD,AAAE,AAAF&interval=1min&sort=ASC\
                 &limit=1000&offset={offset}&access_key=sim-pro"
            ))
            .await;
        rows.extend(page["data"].as_array().unwrap().clone());
    }
    rows
}

/// Returns a decimal of at most six places as a whole number of millionths.
fn scaled(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<6}").parse().unwrap()
}

#[tokio::test]
async fn with_bar_semantics_the_truth_is_the_bars_on_the_wire() {
    let mut config = config(MARKET);
    config.semantics = Semantics::Bar;
    let server = Server::start(config).await;
    server.clock.advance(TimeDelta::days(3));
    let truth = bars(&server.truth("bar_1m").await);
    let mut quarters: BTreeMap<Key, [i64; 5]> = BTreeMap::new();
    let rows = rows_on_the_wire(&server).await;
    for row in &rows {
        let symbol = row["symbol"].as_str().unwrap().to_owned();
        let ts_start = row["date"].as_str().unwrap().replace("+0000", "Z");
        let values =
            ["open", "high", "low", "close", "volume"].map(|name| shortest(&row[name].to_string()));
        assert_eq!(truth.get(&(symbol.clone(), ts_start.clone())), Some(&values), "{ts_start}");
        // 14:30 is a whole quarter of an hour, so the session's quarters are the clock's.
        let minute: u32 = ts_start[14..16].parse().unwrap();
        let quarter = format!("{}:{:02}:00Z", &ts_start[..13], minute / 15 * 15);
        let [open, high, low, close, volume] = values.map(|text| scaled(&text));
        let bar = quarters.entry((symbol, quarter)).or_insert([open, high, low, close, 0]);
        *bar = [bar[0], bar[1].max(high), bar[2].min(low), close, bar[4] + volume];
    }
    assert_eq!(truth.len(), rows.len());
    let truth = bars(&server.truth("bar_15m").await).into_iter();
    let truth: BTreeMap<Key, [i64; 5]> =
        truth.map(|(key, values)| (key, values.map(|text| scaled(&text)))).collect();
    assert_eq!(truth, quarters);
    server.stop().await;
}

/// Applies the rule for readings to the rows on the wire, with floats scaled to whole numbers.
fn bars_of_readings(rows: &[Value]) -> HashMap<Key, [i64; 5]> {
    let number = |row: &Value, key: &str| scaled(&row[key].to_string());
    let mut rows: Vec<&Value> = rows.iter().collect();
    rows.sort_by_key(|row| (row["symbol"].to_string(), row["date"].to_string()));
    let mut bars = HashMap::new();
    let mut before: Option<&Value> = None;
    for row in rows {
        let same = |other: &&Value| {
            other["symbol"] == row["symbol"]
                && other["date"].as_str().unwrap()[..10] == row["date"].as_str().unwrap()[..10]
        };
        let [high, low, volume] = ["high", "low", "volume"].map(|key| number(row, key));
        let close = number(row, "marketstack_last");
        let bar = match before.filter(same) {
            None => [number(row, "open"), high, low, close, volume],
            Some(before) => {
                let open = number(before, "marketstack_last");
                let (top, bottom) = (open.max(close), open.min(close));
                [
                    open,
                    if number(before, "high") < high { top.max(high) } else { top },
                    if low < number(before, "low") { bottom.min(low) } else { bottom },
                    close,
                    volume - number(before, "volume"),
                ]
            }
        };
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        bars.insert((text("symbol"), text("date").replace("+0000", "Z")), bar);
        before = Some(row);
    }
    bars
}

#[tokio::test]
async fn with_reading_semantics_the_truth_follows_from_the_rows_on_the_wire() {
    let mut config = config(MARKET);
    let kinds = vec![FaultKind::Late, FaultKind::Restated];
    config.faults = Some(FaultPlan { kinds, ..FaultPlan::new(5, 0.2) });
    let server = Server::start(config).await;
    // In the middle of the session, some rows are late and some not yet restated.
    for passed in [TimeDelta::minutes(125), TimeDelta::days(3)] {
        server.clock.advance(passed);
        let expected = bars_of_readings(&rows_on_the_wire(&server).await);
        let truth = bars(&server.truth("silver_bar").await);
        assert_eq!(truth.len(), expected.len());
        for (key, values) in truth {
            let values = values.map(|text| scaled(&text));
            assert_eq!(expected.get(&key), Some(&values), "{key:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_line_that_is_final_never_changes() {
    let mut config = config(MARKET);
    let kinds = vec![FaultKind::Late, FaultKind::Restated];
    config.faults = Some(FaultPlan { kinds, ..FaultPlan::new(5, 0.2) });
    // A quiet symbol's last row is older than the wait for the volume of all venues.
    config.iex_share_permille = 20;
    (config.late_minutes_max, config.restated_minutes_max) = (2, 3);
    let server = Server::start(config).await;
    server.clock.advance(TimeDelta::minutes(360));
    let mut final_so_far: HashSet<String> = HashSet::new();
    for minute in 360..410 {
        let text = server.get("/__sim/truth").await.body;
        let lines: HashSet<&str> = text.lines().collect();
        let changed = final_so_far.iter().find(|line| !lines.contains(line.as_str()));
        assert_eq!(changed, None, "{minute} minutes after the opening");
        let is_final = |line: &&&str| line.contains("\"final\":true");
        final_so_far.extend(lines.iter().filter(is_final).map(|line| (*line).to_owned()));
        server.clock.advance(TimeDelta::minutes(1));
    }
    let bars = server.truth("silver_bar").await;
    assert!(bars.iter().all(|bar| bar["final"] == true), "nothing changes after the consolidation");
    server.stop().await;
}

#[tokio::test]
async fn served_versions_are_counted_once_each() {
    let mut config = config("generated:1x1@2019-02-11#7");
    let kinds = vec![FaultKind::Restated];
    config.faults = Some(FaultPlan { kinds, ..FaultPlan::new(5, 1.0) });
    config.quirks = Quirks::NONE.with(Quirk::EodTwoStage);
    let server = Server::start(config).await;
    let intraday = "/v2/intraday?symbols=AAAA&interval=1min&limit=1000&access_key=sim-pro";
    server.clock.advance(TimeDelta::minutes(10));
    for _ in 0..3 {
        server.get(intraday).await;
    }
    server.clock.advance(TimeDelta::minutes(40));
    server.get(intraday).await;
    let served = server.truth("served").await;
    assert_eq!(served.len(), 50);
    let versions: Vec<u64> = served.iter().map(|line| line["values"].as_u64().unwrap()).collect();
    assert!(versions.iter().all(|count| *count == 1 || *count == 2));
    assert!(5 <= versions.iter().filter(|count| **count == 2).count(), "{versions:?}");
    server.stop().await;
}

#[tokio::test]
async fn the_truth_file_is_written_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("generated:2x1@2019-02-11#7");
    config.truth_file = Some(folder.path().join("truth.ndjson"));
    let path = config.truth_file.clone().unwrap();
    let server = Server::start(config).await;
    server.clock.advance(TimeDelta::days(2));
    let expected = server.get("/__sim/truth").await.body;
    server.stop().await;
    let written = fs::read_to_string(path).unwrap();
    assert_eq!(written, expected);
    for kind in ["silver_bar", "bar_1m", "bar_5m", "bar_15m", "bar_1h", "bar_1d", "eod"] {
        assert!(written.contains(&format!("{{\"kind\":\"{kind}\"")), "{kind}");
    }
}
