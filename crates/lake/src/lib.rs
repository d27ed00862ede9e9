//! Delta tables: bronze keeps what landed, silver keeps every revision, gold is shaped for people.
//!
//! ```text
//! autoloader ──▶ bronze.<dataset> ──▶ silver.bar, silver.eod, … ──▶ gold.bar_1m … bar_1d, gold.quote_latest
//!                                └──▶ silver.quarantine
//! ```
//!
//! Every arrow is exact for the same reason. A step reads one pinned version range of its source,
//! and commits what it derived together with `txn(step, source version)`, on the very snapshot
//! from which it had read that number. A crash leaves either both or neither; a second instance
//! loses the race, reloads, and finds the work done. After any error the step reloads and looks
//! again: an error never means "not committed".

pub mod bi;
mod bronze;
mod data_file;
mod error;
mod files;
mod flow;
mod gold;
mod location;
mod maintenance;
pub mod market;
mod reader;
mod refine;
mod rows;
mod schema;
mod silver;
mod table;
mod verify;

pub use arrow;
pub use datafusion;

pub use crate::{
    bronze::{BronzeTarget, row_schema},
    error::Error,
    files::{FileTable, FileTableConfig, StagedRows, put_table},
    location::Location,
    maintenance::{Maintenance, MaintenanceConfig, MaintenanceReport},
    reader::{
        AsOf, Change, Grants, InvalidGrants, Memory, Reader, ResultTooLarge, TableFile,
        TableVersion,
    },
    refine::{Progress, RefineConfig, Refiner},
    schema::{primary_key, table_names},
    silver::Semantics,
    verify::{
        Breach, DatasetDay, FetchedPage, Looked, Verification, VerifyScope, VerifyTopic, verify,
    },
};
