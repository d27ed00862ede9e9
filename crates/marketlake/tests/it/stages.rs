//! Each stage as a process of its own, one after the other, on one data folder.

use std::{path::Path, process::Command};

use crate::process::{Running, marketlake, run};

const START: &str = "2019-02-12T21:30:00Z";
const EPOCH: &str = "2026-01-02T00:00:00Z";

/// The stages' settings: two symbols of a market that stands after the close of its second day.
fn stage(folder: &Path, vendor: &str, arguments: &[&str]) -> Command {
    let mut command = marketlake(folder, arguments);
    command
        .env("MARKETLAKE__SOURCE__BASE_URL", format!("{vendor}/v2"))
        .env("MARKETLAKE_SECRET_MARKETSTACK_ACCESS_KEY", "sim-biz")
        .env("MARKETLAKE__SOURCE__REQUESTS_PER_SECOND", "50")
        .env("MARKETLAKE__MARKET_TIME__EPOCH", EPOCH)
        .env("MARKETLAKE__MARKET_TIME__START", START)
        .env("MARKETLAKE__POLL__START_DATE", "2019-02-11")
        .env("MARKETLAKE__POLL__SYMBOLS", "AAAA,AAAB")
        .env("MARKETLAKE__POLL__INTERVAL", "1m")
        .env("MARKETLAKE__POLL__POLL_EVERY", "1m")
        .env("MARKETLAKE__POLL__DATASETS", "intraday,eod");
    command
}

#[test]
fn stages_run_alone_and_what_they_did_is_proven() {
    let temp = tempfile::tempdir().unwrap();
    let mut command = marketlake(
        temp.path(),
        &[
            "simulate",
            "--symbols",
            "2",
            "--days",
            "2",
            "--start",
            START,
            "--epoch",
            EPOCH,
            "--requests-per-second",
            "50",
        ],
    );
    let mut simulator = Running::start(&mut command);
    let line = simulator.line();
    let vendor = line.strip_prefix("listening on ").expect(&line);

    for name in ["poll", "land", "load", "refine"] {
        let arguments = [name, "--available-now", "--log", "warn"];
        let (code, out, err) = run(&mut stage(temp.path(), vendor, &arguments));
        assert_eq!((code, out.as_str()), (0, ""), "{name}: {err}");
    }
    let count = |sql: &str| {
        let arguments = ["query", sql, "--output", "csv"];
        let (code, out, err) = run(&mut stage(temp.path(), vendor, &arguments));
        assert_eq!(code, 0, "{err}");
        out.lines().nth(1).unwrap_or_default().parse::<u64>().expect(&out)
    };
    let bars = count("SELECT count(*) FROM bar_1m");
    assert!(700 < bars, "two symbols, two sessions, few gaps: {bars}");
    assert_eq!(count("SELECT count(*) FROM bar_1d"), 4);

    // A second round finds nothing new that changes a bar.
    for name in ["poll", "land", "load", "refine"] {
        let arguments = [name, "--available-now", "--log", "warn"];
        let (code, _, err) = run(&mut stage(temp.path(), vendor, &arguments));
        assert_eq!(code, 0, "{name}: {err}");
    }
    assert_eq!(count("SELECT count(*) FROM bar_1m"), bars);

    let (code, out, err) = run(&mut stage(temp.path(), vendor, &["verify", "--output", "json"]));
    assert_eq!(code, 0, "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["holds"], true);
    assert_eq!(report["pending"].as_array().map(Vec::len), Some(0), "{out}");
    assert_eq!(simulator.terminate(), 0);
}

#[test]
fn a_wrong_key_is_one_clear_message_without_the_key() {
    let temp = tempfile::tempdir().unwrap();
    let arguments =
        ["simulate", "--symbols", "2", "--days", "2", "--start", START, "--epoch", EPOCH];
    let mut simulator = Running::start(&mut marketlake(temp.path(), &arguments));
    let line = simulator.line();
    let vendor = line.strip_prefix("listening on ").expect(&line);
    let mut command = stage(temp.path(), vendor, &["poll", "--log", "trace"]);
    command.env("MARKETLAKE_SECRET_MARKETSTACK_ACCESS_KEY", "cnry-0123456789");
    let (code, out, err) = run(&mut command);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("invalid_access_key") && err.contains("401"), "{err}");
    assert!(!err.contains("cnry"), "{err}");
    assert_eq!(simulator.terminate(), 0);
}
