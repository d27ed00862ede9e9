//! `/metrics` in the text format of Prometheus: `marketlake_<crate>_<noun>_<unit>`.

mod flight;
mod meter;
mod text;

use model::status::{PipelineStatus, StageState, StageStatus};

pub use self::flight::FlightMeter;
pub(crate) use self::{flight::FlightCall, meter::Meter};
use self::{
    meter::Report,
    text::{Exposition, Kind, millis, seconds},
};
use crate::http::RELEASE;

/// The content type of the text format, version 0.0.4.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns everything the process knows of itself, as text.
pub(crate) fn render(
    status: &PipelineStatus,
    requests: &Report,
    streams: usize,
    flight: Option<&FlightMeter>,
) -> String {
    let mut text = Exposition::default();
    render_stages(&mut text, &status.stages);
    render_tables(&mut text, status);
    render_requests(&mut text, requests);
    if let Some(flight) = flight {
        flight.render(&mut text);
    }
    let name = "marketlake_serve_stream_connections";
    text.family(name, Kind::Gauge, "Open event streams.");
    text.sample(name, &[], streams);
    let name = "marketlake_serve_release_info";
    text.family(name, Kind::Gauge, "Always 1; the label says which release runs.");
    text.sample(name, &[("release", RELEASE)], 1);
    let name = "marketlake_serve_market_simulated";
    text.family(name, Kind::Gauge, "1 when prices come from the simulator.");
    text.sample(name, &[], u8::from(status.is_simulated));
    text.finish()
}

fn render_stages(text: &mut Exposition, stages: &[StageStatus]) {
    for stage in stages {
        let name = format!("marketlake_{}_lag_{}", crate_of(&stage.name), unit(&stage.lag_unit));
        text.family(&name, Kind::Gauge, "What waits in front of the stage.");
        text.sample(&name, &[("stage", &stage.name)], stage.lag);
    }
    for stage in stages {
        let name = format!("marketlake_{}_rows_total", crate_of(&stage.name));
        text.family(&name, Kind::Counter, "Rows the stage has brought forward.");
        text.sample(&name, &[("stage", &stage.name)], stage.rows_total);
    }
    for stage in stages {
        if let Some(freshness_ms) = stage.freshness_ms {
            let name = format!("marketlake_{}_freshness_seconds", crate_of(&stage.name));
            text.family(&name, Kind::Gauge, "Age of the newest row that passed the stage.");
            text.sample(&name, &[("stage", &stage.name)], millis(freshness_ms));
        }
    }
    for stage in stages {
        let name = format!("marketlake_{}_stage_state", crate_of(&stage.name));
        text.family(&name, Kind::Gauge, "1 for the state the stage is in, 0 for the others.");
        for (state, label) in [
            (StageState::Idle, "idle"),
            (StageState::Running, "running"),
            (StageState::Waiting, "waiting"),
            (StageState::Stopped, "stopped"),
        ] {
            let is_current = u8::from(stage.state == state);
            text.sample(&name, &[("stage", &stage.name), ("state", label)], is_current);
        }
    }
}

fn render_tables(text: &mut Exposition, status: &PipelineStatus) {
    type Get = fn(&model::status::TableStatus) -> u64;
    let families: [(&str, &str, Get); 4] = [
        ("marketlake_lake_table_version", "Delta version of the table.", |table| table.version),
        ("marketlake_lake_table_rows", "Rows of the table's version.", |table| table.rows),
        ("marketlake_lake_table_files", "Data files of the table's version.", |table| table.files),
        ("marketlake_lake_table_bytes", "Bytes of those data files.", |table| table.bytes),
    ];
    for (name, help, get) in families {
        for table in &status.tables {
            text.family(name, Kind::Gauge, help);
            text.sample(name, &[("table", &table.name)], get(table));
        }
    }
}

fn render_requests(text: &mut Exposition, requests: &Report) {
    let name = "marketlake_serve_requests_total";
    for (key, count) in &requests.counts {
        text.family(name, Kind::Counter, "HTTP requests answered.");
        let status = key.status.to_string();
        let labels = [("route", key.route.as_str()), ("method", key.method), ("status", &status)];
        text.sample(name, &labels, count);
    }
    let name = "marketlake_serve_request_duration_seconds";
    for (route, histogram) in &requests.durations {
        text.family(name, Kind::Histogram, "Time until the answer of an HTTP request started.");
        for (bound, count) in histogram.cumulative() {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), seconds);
            let labels = [("route", route.as_str()), ("le", &bound)];
            text.sample(&format!("{name}_bucket"), &labels, count);
        }
        let labels = [("route", route.as_str())];
        text.sample(&format!("{name}_sum"), &labels, seconds(histogram.sum));
        text.sample(&format!("{name}_count"), &labels, histogram.count);
    }
}

/// The crate that runs a stage.
fn crate_of(stage: &str) -> &'static str {
    match stage {
        "poll" | "land" => "ingest",
        "load" => "autoloader",
        "refine" => "lake",
        "serve" => "serve",
        "simulate" => "simulator",
        _ => "pipeline",
    }
}

/// A unit is part of a metric's name, where only these letters may be.
fn unit(unit: &str) -> &str {
    let is_name = !unit.is_empty() && unit.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_name { unit } else { "items" }
}

#[cfg(test)]
mod tests;
