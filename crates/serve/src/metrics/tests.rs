//! The page as Prometheus would read it.

use std::{collections::BTreeSet, time::Duration};

use axum::http::{Method, StatusCode};
use chrono::DateTime;
use model::status::TableStatus;

use super::*;

fn status() -> PipelineStatus {
    let stage = |name: &str, lag_unit: &str, freshness_ms| StageStatus {
        name: name.to_owned(),
        state: StageState::Running,
        lag: 3,
        lag_unit: lag_unit.to_owned(),
        rows_total: 10,
        ts_newest: None,
        freshness_ms,
        message: None,
    };
    PipelineStatus {
        ts: DateTime::UNIX_EPOCH,
        ts_market: DateTime::UNIX_EPOCH,
        is_simulated: true,
        stages: vec![
            stage("poll", "windows", None),
            stage("land", "records", Some(1_250)),
            stage("refine", "versions", Some(-4)),
            stage("odd\"\\\nname", "Bad Unit", None),
        ],
        tables: vec![TableStatus {
            name: "gold.bar_1m".to_owned(),
            version: 4,
            rows: 5,
            files: 6,
            bytes: 7,
        }],
    }
}

fn page() -> String {
    let meter = Meter::default();
    meter.record("/a", &Method::GET, StatusCode::OK, Duration::from_micros(1_500));
    meter.record("/a", &Method::GET, StatusCode::OK, Duration::from_secs(60));
    meter.record("/a", &Method::DELETE, StatusCode::METHOD_NOT_ALLOWED, Duration::ZERO);
    render(&status(), &meter.report(), 2, Some(&FlightMeter::default()))
}

#[test]
fn names_say_crate_noun_and_unit() {
    let page = page();
    for line in [
        "marketlake_ingest_lag_windows{stage=\"poll\"} 3",
        "marketlake_ingest_lag_records{stage=\"land\"} 3",
        "marketlake_ingest_rows_total{stage=\"land\"} 10",
        "marketlake_ingest_freshness_seconds{stage=\"land\"} 1.25",
        "marketlake_lake_freshness_seconds{stage=\"refine\"} -0.004",
        "marketlake_lake_stage_state{stage=\"refine\",state=\"running\"} 1",
        "marketlake_lake_stage_state{stage=\"refine\",state=\"idle\"} 0",
        "marketlake_lake_table_version{table=\"gold.bar_1m\"} 4",
        "marketlake_lake_table_bytes{table=\"gold.bar_1m\"} 7",
        "marketlake_serve_stream_connections 2",
        "marketlake_serve_market_simulated 1",
    ] {
        assert!(page.lines().any(|known| known == line), "{line} in\n{page}");
    }
}

#[test]
fn requests_are_counted_and_timed() {
    let page = page();
    for line in [
        "marketlake_serve_requests_total{route=\"/a\",method=\"GET\",status=\"200\"} 2",
        "marketlake_serve_requests_total{route=\"/a\",method=\"other\",status=\"405\"} 1",
        "marketlake_serve_request_duration_seconds_bucket{route=\"/a\",le=\"0.001\"} 1",
        "marketlake_serve_request_duration_seconds_bucket{route=\"/a\",le=\"0.002\"} 2",
        "marketlake_serve_request_duration_seconds_bucket{route=\"/a\",le=\"30\"} 2",
        "marketlake_serve_request_duration_seconds_bucket{route=\"/a\",le=\"+Inf\"} 3",
        "marketlake_serve_request_duration_seconds_sum{route=\"/a\"} 60.0015",
        "marketlake_serve_request_duration_seconds_count{route=\"/a\"} 3",
    ] {
        assert!(page.lines().any(|known| known == line), "{line} in\n{page}");
    }
}

#[test]
fn labels_are_escaped_and_stay_on_their_line() {
    let page = page();
    let expected = "marketlake_pipeline_lag_items{stage=\"odd\\\"\\\\\\nname\"} 3";
    assert!(page.lines().any(|line| line == expected), "{page}");
}

#[test]
fn every_family_is_announced_once_and_its_samples_follow() {
    let page = page();
    let mut announced = BTreeSet::new();
    let mut current = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap();
            assert!(announced.insert(current), "{current} twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(current), "{line} below {current}");
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(page.ends_with('\n'));
}
