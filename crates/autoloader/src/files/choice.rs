//! Which of the files that were found make the next batch. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    options::{Discovery, Limits, Overwrites},
    plan::{Action, Found, PlannedFile},
    seen::{Known, News, Seen},
    source_file::SourceFile,
};

mod backlog;

pub use backlog::Backlog;

/// A file that was found, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub file: SourceFile,
    /// How it was found.
    pub found: Found,
}

/// What a batch may take.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Which files count.
    pub discovery: &'a Discovery,
    /// What overwritten files do.
    pub overwrites: Overwrites,
    /// How much is taken.
    pub limits: Limits,
    /// The time at the store.
    pub now: DateTime<Utc>,
}

/// The files of a batch, and what has to be said of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The batch, by path.
    pub files: Vec<PlannedFile>,
    /// Files that are to be loaded and did not fit, and their bytes.
    pub waiting: (u64, u64),
    /// When the first file that is too young will be old enough.
    pub ripe_at: Option<DateTime<Utc>>,
    /// Files whose bytes changed after they were loaded, and that the rules leave alone; only of a
    /// look, for they are the same for all its batches.
    pub overwritten: Vec<String>,
    /// A changed file that the rules do not allow.
    pub refused: Option<String>,
}

/// Returns what is to be done with a file that was found; `None` when nothing is.
fn action(news: News, seen: &Seen, file: &SourceFile, overwrites: Overwrites) -> Option<Action> {
    match (news, overwrites) {
        (News::New | News::Retry, _) => {
            // A version before this one may have left rows, which whatever failed was to replace.
            let is_replacing = |known: &Known| {
                known.rows_kept != 0
                    && (known.action == Action::Replace || overwrites == Overwrites::Replace)
            };
            let replaces = seen.get(&file.path).is_some_and(is_replacing);
            Some(if replaces { Action::Replace } else { Action::Append })
        }
        (News::Overwritten, Overwrites::Append) => Some(Action::Append),
        (News::Overwritten, Overwrites::Replace) => Some(Action::Replace),
        (News::Overwritten, Overwrites::Ignore | Overwrites::Fail) | (News::Old, _) => None,
    }
}

/// Chooses the next batch from what was found: see [`Backlog`], which many batches are taken from.
#[must_use]
pub fn choose(candidates: &[Candidate], seen: &Seen, rules: Rules<'_>) -> Choice {
    let mut backlog = Backlog::new(candidates.to_vec(), seen, rules);
    let choice = backlog.choose(seen, rules);
    Choice { overwritten: backlog.overwritten().iter().cloned().collect(), ..choice }
}

/// Chooses a batch from what was asked for: in that order, each path once.
///
/// What a person asks for is one transaction, whatever its size, for rows are never held in memory;
/// the limits are for what the stream asks of itself.
#[must_use]
pub fn choose_asked(asked: &[PlannedFile], limits: Limits) -> Vec<PlannedFile> {
    let mut room = Room::new(limits);
    let mut paths = BTreeSet::new();
    let mut chosen = Vec::new();
    for wanted in asked {
        // A second wish about a path is for the batch after this one, and so are those behind it.
        if !paths.insert(&wanted.file.path)
            || wanted.found == Found::Backfill && !room.takes(&wanted.file)
        {
            break;
        }
        chosen.push(wanted.clone());
    }
    chosen
}

/// What a batch still takes.
struct Room {
    limits: Limits,
    files: usize,
    bytes: u64,
}

impl Room {
    const fn new(limits: Limits) -> Self {
        Self { limits, files: 0, bytes: 0 }
    }

    /// Takes a file if there is room; the first one always.
    fn takes(&mut self, file: &SourceFile) -> bool {
        let is_full = self.limits.files_max <= self.files
            || self.limits.bytes_max.is_some_and(|max| max <= self.bytes);
        if is_full && self.files != 0 {
            return false;
        }
        self.files += 1;
        self.bytes = self.bytes.saturating_add(file.size);
        true
    }
}

/// Whether the times that a user set let a file in. Names are looked at where files are listed.
pub(super) fn is_wanted(file: &SourceFile, discovery: &Discovery) -> bool {
    discovery.modified_after.is_none_or(|after| after < file.modified)
        && discovery.modified_before.is_none_or(|before| file.modified < before)
}

#[cfg(test)]
mod tests;
