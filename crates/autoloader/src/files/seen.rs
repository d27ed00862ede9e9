//! What a stream has seen: each path with the version that was planned last, and what became of it.
//!
//! Derived from plans and outcomes, in the order of batches, and from nothing else; a snapshot only
//! saves reading them again. A path is never forgotten: what may appear in a listing again has to
//! be known for as long.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    plan::{Action, FileOutcome, FilePlan, Found, Outcome, SetAside},
    source_file::SourceFile,
};
use crate::target::BatchId;

/// What is known of a path: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The version that was planned last.
    pub file: SourceFile,
    /// How it came to be planned.
    pub found: Found,
    /// What was to be done with it.
    pub action: Action,
    /// The batch that had it last.
    pub batch: BatchId,
    /// Where it stands.
    pub status: Status,
    /// How often it failed since it was last asked for.
    pub failures: u32,
    /// Rows of this path in the table, of whatever version: a version that failed leaves those of
    /// the version before it.
    pub rows_kept: u64,
    /// The version of the columns that its rows were read under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u64>,
    /// When it was found; `None`: it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_at: Option<DateTime<Utc>>,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// When its batch was decided, right before the commit; `None` until it is in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<DateTime<Utc>>,
    /// What the last batch that is in the target made of it.
    pub outcome: FileOutcome,
    /// What became of the file after its rows were safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<Cleaned>,
}

/// Where a file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Planned; its batch is not known to be in the target.
    Planned,
    /// Its rows are in the target.
    Loaded,
    /// It is not to be loaded: there before the stream, or loaded by another one.
    Skipped,
    /// It failed, and will be tried again.
    Failed,
    /// It failed too often; nothing but a command tries it again.
    Poisoned,
    /// It was gone before it was read.
    Missing,
    /// Its rows were taken away again.
    Undone,
}

impl Status {
    /// Returns the name in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Loaded => "loaded",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Poisoned => "poisoned",
            Self::Missing => "missing",
            Self::Undone => "undone",
        }
    }
}

/// What was done with a file that had been loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleaned {
    /// When.
    pub cleaned_at: DateTime<Utc>,
    /// Where it lies now; `None`: deleted.
    pub moved_to: Option<String>,
}

/// What a candidate is to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Never planned.
    New,
    /// Planned before with these bytes, or not to be planned again.
    Old,
    /// Planned before with other bytes.
    Overwritten,
    /// Failed before, and may be tried again.
    Retry,
}

/// Everything a stream has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    files: BTreeMap<String, Known>,
    /// Paths of files that are tried again.
    failed: BTreeSet<String>,
    schema_version: Option<u64>,
}

impl Seen {
    /// Returns a stream's memory from the rows of a snapshot.
    #[must_use]
    pub fn from_rows(rows: impl IntoIterator<Item = Known>) -> Self {
        let files: BTreeMap<String, Known> =
            rows.into_iter().map(|known| (known.file.path.clone(), known)).collect();
        let failed = files.values().filter(|known| known.status == Status::Failed);
        Self {
            failed: failed.map(|known| known.file.path.clone()).collect(),
            schema_version: files.values().filter_map(|known| known.schema_version).max(),
            files,
        }
    }

    /// Returns everything known, by path.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Known> {
        self.files.values()
    }

    /// Returns what is known of the paths behind `after`, by path.
    pub fn rows_after(&self, after: Option<&str>) -> impl Iterator<Item = &Known> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.files.range::<str, _>((first, Bound::Unbounded)).map(|(_, known)| known)
    }

    /// Returns the files that failed and are tried again, by path.
    pub fn failed(&self) -> impl Iterator<Item = &Known> {
        self.failed.iter().filter_map(|path| self.files.get(path))
    }

    /// Returns what is known of a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Known> {
        self.files.get(path)
    }

    /// Returns how many paths are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether nothing was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the greatest path but `count`: after it come the `count` greatest. `None` when no more
    /// than those are known.
    #[must_use]
    pub fn path_before_last(&self, count: u64) -> Option<&str> {
        let count = usize::try_from(count).ok()?;
        self.files.keys().nth_back(count).map(String::as_str)
    }

    /// Says what a file that was found is to this stream.
    #[must_use]
    pub fn news(&self, file: &SourceFile) -> News {
        let Some(known) = self.files.get(&file.path) else { return News::New };
        let is_other = known.file.was_overwritten_by(file);
        match known.status {
            Status::Failed => News::Retry,
            // What was not read may be read now that it is there again.
            Status::Missing => News::New,
            // A repaired file is worth another try, whatever the policy about overwrites.
            Status::Poisoned if is_other => News::Retry,
            _ if is_other => News::Overwritten,
            _ => News::Old,
        }
    }

    /// Returns the newest version of the columns that rows were read under.
    #[must_use]
    pub const fn schema_version(&self) -> Option<u64> {
        self.schema_version
    }

    /// Notes a plan: its files are not found again until its outcome says so.
    ///
    /// A plan that was noted before, or one older than a snapshot, changes nothing.
    pub fn plan(&mut self, plan: &FilePlan) {
        for planned in &plan.files {
            let before = self.files.get(&planned.file.path);
            if before.is_some_and(|known| plan.batch <= known.batch) {
                continue;
            }
            let known = Known {
                file: planned.file.clone(),
                found: planned.found,
                action: planned.action,
                batch: plan.batch,
                status: Status::Planned,
                failures: planned.failures,
                rows_kept: before.map_or(0, |known| known.rows_kept),
                schema_version: before.and_then(|known| known.schema_version),
                found_at: plan.found_at,
                planned_at: plan.planned_at,
                decided_at: None,
                outcome: before.map(|known| known.outcome.clone()).unwrap_or_default(),
                cleaned: None,
            };
            self.failed.remove(&planned.file.path);
            self.files.insert(planned.file.path.clone(), known);
        }
    }

    /// Notes what became of a plan that is in the target. Doing it twice changes nothing.
    pub fn settle(&mut self, plan: &FilePlan, outcome: &Outcome) {
        self.plan(plan);
        for planned in &plan.files {
            let Some(known) = self.files.get_mut(&planned.file.path) else { continue };
            if known.batch == plan.batch && known.status == Status::Planned {
                let found = outcome.files.get(&planned.file.path).cloned().unwrap_or_default();
                known.settle(found, outcome);
                self.schema_version = self.schema_version.max(known.schema_version);
                if known.status == Status::Failed {
                    self.failed.insert(planned.file.path.clone());
                }
            }
        }
    }

    /// Notes that a loaded file was moved or deleted, if `batch` still has it last.
    pub fn clean(&mut self, path: &str, batch: BatchId, cleaned: Cleaned) {
        if let Some(known) = self.files.get_mut(path)
            && known.batch == batch
        {
            known.cleaned = Some(cleaned);
        }
    }
}

impl Known {
    /// Takes in what its batch, which is in the target, made of it.
    fn settle(&mut self, found: FileOutcome, outcome: &Outcome) {
        self.decided_at = Some(outcome.decided_at);
        if let (Found::Backfill, Some(why)) = (self.found, found.set_aside) {
            // Its rows are as good as before. It is asked for again as often as any file that fails.
            self.status = Status::Loaded;
            if why == SetAside::Failed {
                self.failures = self.failures.saturating_add(1);
            } else {
                (self.failures, self.schema_version) = (0, outcome.schema_version);
            }
            return;
        }
        (self.status, self.failures) = match (self.action, found.set_aside) {
            (Action::Skip, _) | (_, Some(SetAside::Corrupt)) => (Status::Skipped, 0),
            (Action::Remove, _) => (Status::Undone, 0),
            (_, None) => (Status::Loaded, 0),
            (_, Some(SetAside::Missing)) => (Status::Missing, self.failures),
            // The version that took its place is another one, and new.
            (_, Some(SetAside::Changed)) => (Status::Failed, self.failures),
            (_, Some(SetAside::Failed)) => (Status::Failed, self.failures.saturating_add(1)),
            (_, Some(SetAside::Poisoned)) => (Status::Poisoned, self.failures.saturating_add(1)),
        };
        if found.set_aside.is_none() {
            self.rows_kept = match self.action {
                Action::Append => self.rows_kept.saturating_add(found.rows),
                Action::Replace => found.rows,
                Action::Remove => 0,
                Action::Skip => self.rows_kept,
            };
            if self.action.is_reading() {
                self.schema_version = outcome.schema_version;
            }
        }
        self.outcome = found;
    }
}
