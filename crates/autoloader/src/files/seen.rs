//! What a stream has seen: each path with the version that was planned last, and what became of it.
//!
//! Derived from plans and outcomes, in the order of batches, and from nothing else; a snapshot only
//! saves reading them again. A path is never forgotten: what may appear in a listing again has to
//! be known for as long.

use std::collections::{BTreeMap, btree_map::Entry};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    plan::{Action, FileOutcome, FilePlan, Found, Outcome, SetAside},
    source_file::SourceFile,
};
use crate::target::BatchId;

/// What is known of a path: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The version that was planned last.
    pub file: SourceFile,
    /// How it came to be planned.
    pub found: Found,
    /// The batch that had it last.
    pub batch: BatchId,
    /// Where it stands.
    pub status: Status,
    /// How often it failed since it was last asked for.
    pub failures: u32,
    /// What its batch made of it.
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
pub struct Cleaned {
    /// When.
    pub ts: DateTime<Utc>,
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
}

impl Seen {
    /// Returns a stream's memory from the rows of a snapshot.
    #[must_use]
    pub fn from_rows(rows: impl IntoIterator<Item = Known>) -> Self {
        Self { files: rows.into_iter().map(|known| (known.file.path.clone(), known)).collect() }
    }

    /// Returns everything known, by path.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Known> {
        self.files.values()
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

    /// Notes a plan: its files are not found again until its outcome says so.
    pub fn plan(&mut self, plan: &FilePlan) {
        for planned in &plan.files {
            let fresh = Known {
                file: planned.file.clone(),
                found: planned.found,
                batch: plan.batch,
                status: Status::Planned,
                failures: planned.failures,
                outcome: FileOutcome::default(),
                cleaned: None,
            };
            match self.files.entry(planned.file.path.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(fresh);
                }
                Entry::Occupied(mut entry) => {
                    // A plan that was noted before, or one older than a snapshot, changes nothing.
                    if entry.get().batch < plan.batch {
                        entry.insert(fresh);
                    }
                }
            }
        }
    }

    /// Notes what became of a plan that is in the target. Doing it twice changes nothing.
    pub fn settle(&mut self, plan: &FilePlan, outcome: &Outcome, failures_max: u32) {
        self.plan(plan);
        for planned in &plan.files {
            let Some(known) = self.files.get_mut(&planned.file.path) else { continue };
            if known.batch != plan.batch {
                continue;
            }
            let found = outcome.files.get(&planned.file.path).cloned().unwrap_or_default();
            (known.status, known.failures) =
                status(planned.action, &found, planned.failures, failures_max);
            known.outcome = found;
        }
    }

    /// Notes that a loaded file was moved or deleted.
    pub fn clean(&mut self, path: &str, cleaned: Cleaned) {
        if let Some(known) = self.files.get_mut(path) {
            known.cleaned = Some(cleaned);
        }
    }
}

/// Says where a file stands after its batch.
fn status(action: Action, found: &FileOutcome, failed: u32, failures_max: u32) -> (Status, u32) {
    match (action, found.set_aside) {
        (Action::Skip, _) => (Status::Skipped, 0),
        (Action::Remove, _) => (Status::Undone, 0),
        (_, None) => (Status::Loaded, 0),
        (_, Some(SetAside::Missing)) => (Status::Missing, failed),
        // The version that took its place is another one, and new.
        (_, Some(SetAside::Changed)) => (Status::Failed, failed),
        (_, Some(SetAside::Failed)) if failures_max <= failed + 1 => (Status::Poisoned, failed + 1),
        (_, Some(SetAside::Failed)) => (Status::Failed, failed + 1),
    }
}
