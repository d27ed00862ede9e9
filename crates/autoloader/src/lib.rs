//! Auto Loader: landing objects become batches of Arrow columns, each line exactly once.
//!
//! Knows no table format: where batches go is a [`Target`]. Read in this order:
//!
//! ```text
//! object   one landing object: bytes ──▶ lines that match their footer
//! decode   lines ──▶ columns of a RowSchema; what does not fit is kept beside them
//! chain    which object comes next, told by the footer of the one before
//! plan     which objects make a batch: pure choice, and the immutable plan file
//! state    the plan files and what else survives the process
//! target   who keeps batches, and the contract of keeping one once
//! loader   the shell that runs one batch at a time
//! ```

pub mod chain;
pub mod decode;
pub mod error;
#[cfg(test)]
mod faults;
pub mod files;
mod folder;
pub mod loader;
pub mod object;
pub mod plan;
pub mod schema;
mod state;
pub mod target;

pub use error::Error;
pub use loader::{Backlog, BatchReport, Loader, LoaderConfig, Progress, Trigger};
pub use object::{ObjectRows, verify_object};
pub use schema::{Column, ColumnKind, RowSchema, output_schema};
pub use target::{Appended, BatchId, Target, TargetError};
