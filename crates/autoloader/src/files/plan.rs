//! What a batch is, and what became of it: the two files that make both final.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{source_file::SourceFile, target::Sealed};
use crate::target::BatchId;

/// The format of plans and outcomes; a loader refuses any other.
pub const FORMAT: u32 = 1;

/// What a batch consists of. Created once, before anything is read; from then on `batch` means
/// exactly these versions of these files, for every process and for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePlan {
    /// [`FORMAT`].
    pub format: u32,
    /// The release that wrote the plan.
    pub release: String,
    /// The stream.
    pub stream: String,
    /// The batch.
    pub batch: BatchId,
    /// When it was made.
    pub planned_at: DateTime<Utc>,
    /// When its files were found; `None`: it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_at: Option<DateTime<Utc>>,
    /// What to do, in this order, by path; no path twice.
    pub files: Vec<PlannedFile>,
}

/// One file of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFile {
    /// The version of it that is meant.
    pub file: SourceFile,
    /// What is done with it.
    pub action: Action,
    /// How it was found, or asked for.
    pub found: Found,
    /// How often it failed before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
}

/// What a batch does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Appends its rows.
    Append,
    /// Appends its rows, and takes away those of earlier versions in the same commit.
    Replace,
    /// Takes its rows away; nothing is read.
    Remove,
    /// Nothing but remembering it: it was there before the stream, or another loader had it.
    Skip,
}

impl Action {
    /// Whether the file is read.
    #[must_use]
    pub const fn is_reading(self) -> bool {
        match self {
            Self::Append | Self::Replace => true,
            Self::Remove | Self::Skip => false,
        }
    }
}

/// How a file came to be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A listing named it.
    Listing,
    /// A hint named it first.
    Hint,
    /// Only a full listing did: hints or window had missed it.
    Sweep,
    /// It failed before and is tried again.
    Retry,
    /// Somebody asked: `files redrive`, `replay`, `undo`.
    Command,
    /// A new column takes values that were rescued from it.
    Backfill,
    /// The list of another loader: `import`.
    Import,
}

/// What became of a batch. Created once, after reading and before the commit, with everything that
/// the commit needs: whoever runs the batch again commits these rows and reads no file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// The batch.
    pub batch: BatchId,
    /// When it was decided; the commit follows.
    pub decided_at: DateTime<Utc>,
    /// The version of the schema that the rows have; `None`: there was nothing to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u64>,
    /// What became of each file of the plan, by path.
    pub files: BTreeMap<String, FileOutcome>,
    /// The rows, as the target staged them; `None`: there was nothing to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Sealed>,
    /// The records that were none, as quarantine staged them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Sealed>,
}

/// What became of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileOutcome {
    /// Rows appended.
    pub rows: u64,
    /// Rows with rescued data.
    #[serde(default, skip_serializing_if = "is_zero_rows")]
    pub rows_rescued: u64,
    /// Records that were none.
    #[serde(default, skip_serializing_if = "is_zero_rows")]
    pub records_bad: u64,
    /// The first thing that was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error: Option<FirstError>,
    /// Why nothing of it was appended; `None` when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<SetAside>,
    /// Fields that were rescued from it, as dotted paths, for a column that may come.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rescued_fields: BTreeSet<String>,
}

/// Where and what the first error of a file was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstError {
    /// The line or record, from 1; 0: the file as a whole.
    pub line: u64,
    /// Uncompressed bytes from the beginning.
    pub offset: u64,
    /// What was wrong.
    pub reason: String,
}

/// Why a file was left out of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetAside {
    /// It was gone when it was to be read.
    Missing,
    /// It held other bytes than planned; the new version is found and planned by itself.
    Changed,
    /// It could not be read or is no file of the format; it will be tried again.
    Failed,
    /// The same once too often: nothing but a command tries it again.
    Poisoned,
    /// It is no file of the format, and such files are to be passed over.
    Corrupt,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero_rows(count: &u64) -> bool {
    *count == 0
}
