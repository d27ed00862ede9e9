//! Any folder of files into a table: the Auto Loader that stands alone. See ADR 0016.
//!
//! ```text
//! options    what a user may say, under Auto Loader's names ──▶ LoadOptions
//! discover   which files there are: listings, windows, and hints of queues
//! seen       which of them were planned before, and as what version
//! plan       which files make a batch, and what became of them: pure choice, immutable files
//! schema     columns: inferred, hinted, evolved, and kept in versions
//! format     one file's bytes ──▶ stretches of rows in those columns
//! target     who keeps rows, and the contract of keeping each batch once
//! stream     the shell that runs one batch at a time
//! open       everything above, put together from what a user says
//! command    what people ask about files that are known: redrive, replay, undo, import
//! clean      what becomes of files that were loaded
//! ledger     what was seen, as a table
//! ```

pub mod choice;
pub mod clean;
pub mod columns;
pub mod command;
pub mod decoded;
pub mod discover;
pub mod error;
pub mod format;
pub mod ledger;
pub mod metadata;
pub mod open;
pub mod options;
pub mod plan;
pub mod ports;
pub mod preview;
pub mod reading;
pub mod schema;
pub mod seen;
pub mod source_file;
pub mod stream;
pub mod target;

pub use decoded::{BadRecord, Decoded, ReadSchema};
pub use discover::Discoverer;
pub use open::{Load, SourceStore, open_discoverer, open_stream};
pub use options::LoadOptions;
pub use source_file::SourceFile;
pub use target::FileTarget;
