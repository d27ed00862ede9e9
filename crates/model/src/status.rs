//! What the pipeline says of itself: one shape for the console, the API and the command line.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The whole pipeline at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineStatus {
    /// Wall time of this report.
    pub ts: DateTime<Utc>,
    /// Market time; differs from `ts` when the market is simulated.
    pub ts_market: DateTime<Utc>,
    /// Whether prices come from the simulator.
    pub is_simulated: bool,
    /// The stages in the order a row passes them.
    pub stages: Vec<StageStatus>,
    /// The lake's tables.
    pub tables: Vec<TableStatus>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageStatus {
    /// `poll`, `land`, `load`, `refine` or `serve`.
    pub name: String,
    /// How the stage is doing.
    pub state: StageState,
    /// What waits in front of the stage.
    pub lag: u64,
    /// What `lag` counts: `windows`, `records`, `objects` or `versions`.
    pub lag_unit: String,
    /// Rows this stage has brought forward in all.
    pub rows_total: u64,
    /// When the newest row that passed this stage was fetched from the vendor.
    pub ts_newest: Option<DateTime<Utc>>,
    /// Age of the newest row that passed this stage, milliseconds.
    pub freshness_ms: Option<i64>,
    /// What an operator should know, such as the last error and its remedy.
    pub message: Option<String>,
}

/// How a stage is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// Nothing waits in front of it.
    Idle,
    /// It has work.
    Running,
    /// It backs off after a failure, or waits for a session, a quota or a lease.
    Waiting,
    /// It stopped; `message` says why.
    Stopped,
}

/// One table of the lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Layer and name, such as `gold.bar_1m`.
    pub name: String,
    /// Delta table version.
    pub version: u64,
    /// Rows in the current version.
    pub rows: u64,
    /// Data files in the current version.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}
