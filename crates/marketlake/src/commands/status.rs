//! `status`: asked of the data folder, whoever runs the stages.

use model::status::{PipelineStatus, StageState};
use serve::http::StatusProbe;

use super::{Context, Ended};
use crate::{
    assemble::{Gauges, Topic, probe::PipelineProbe},
    cli::Output,
    failure::Failure,
    render,
    supervise::Board,
};

pub(crate) async fn run(context: Context) -> Result<Ended, Failure> {
    let bench = context.open_existing()?;
    let (topic, reader) = (Topic::open(&bench).await?, bench.reader().await?);
    let nobody = (Board::default(), Gauges::default());
    let status = PipelineProbe::open(&bench, &topic, reader, nobody).await?.status().await;
    let text = match context.output {
        Output::Json => {
            let json = serde_json::to_string_pretty(&status).map_err(|error| {
                Failure::internal(format!("writing the status as JSON: {error}"))
            })?;
            format!("{json}\n")
        }
        _ => as_text(&status),
    };
    render::print(&text)?;
    Ok(Ended::default())
}

fn as_text(status: &PipelineStatus) -> String {
    let header = ["stage", "state", "waiting", "rows", "newest row", "age", "message"];
    let mut stages = render::table(&header);
    for stage in &status.stages {
        stages.add_row([
            stage.name.clone(),
            state_name(stage.state).to_owned(),
            format!("{} {}", stage.lag, stage.lag_unit),
            stage.rows_total.to_string(),
            stage
                .ts_newest
                .map(|ts| ts.format("%Y-%m-%dT%H:%M:%SZ").to_string())
                .unwrap_or_default(),
            stage.freshness_ms.map(age).unwrap_or_default(),
            stage.message.clone().unwrap_or_default(),
        ]);
    }
    render::align_right(&mut stages, [2, 3, 5]);
    let mut tables = render::table(&["table", "version", "rows", "files", "bytes"]);
    for table in &status.tables {
        tables.add_row([
            table.name.clone(),
            table.version.to_string(),
            table.rows.to_string(),
            table.files.to_string(),
            table.bytes.to_string(),
        ]);
    }
    render::align_right(&mut tables, 1..5);
    let market = if status.is_simulated {
        format!("simulated prices; market time {}\n", status.ts_market.format("%Y-%m-%dT%H:%M:%SZ"))
    } else {
        String::new()
    };
    format!("{market}{stages}\n{tables}\n")
}

const fn state_name(state: StageState) -> &'static str {
    match state {
        StageState::Idle => "idle",
        StageState::Running => "running",
        StageState::Waiting => "waiting",
        StageState::Stopped => "stopped",
    }
}

fn age(milliseconds: i64) -> String {
    match milliseconds / 1000 {
        ..1 => format!("{milliseconds}ms"),
        seconds @ 1..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}
