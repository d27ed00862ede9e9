//! Which of the files that were found make the next batch. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    options::{Discovery, Limits, Overwrites},
    plan::{Action, Found, PlannedFile},
    seen::{Known, News, Seen, Status},
    source_file::SourceFile,
};

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
    /// Files whose bytes changed after they were loaded, and that the rules leave alone.
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

/// Chooses the next batch from what was found: the oldest files first, as many as the limits allow,
/// and at least one when there is any.
///
/// `candidates` may come in any order and name a path more than once; the newest version counts.
#[must_use]
pub fn choose(candidates: &[Candidate], seen: &Seen, rules: Rules<'_>) -> Choice {
    let Rules { discovery, overwrites, limits, now } = rules;
    let mut choice = Choice::default();
    let mut sorted: Vec<&Candidate> = candidates.iter().collect();
    sorted.sort_by(|a, b| {
        (&a.file.path, b.file.modified, a.found).cmp(&(&b.file.path, a.file.modified, b.found))
    });
    sorted.dedup_by(|a, b| a.file.path == b.file.path);
    let mut wanted: Vec<(&Candidate, Action)> = Vec::new();
    for candidate in sorted {
        let file = &candidate.file;
        let news = seen.news(file);
        let Some(action) = action(news, seen, file, overwrites) else {
            if news == News::Overwritten {
                choice.overwritten.push(file.path.clone());
                if overwrites == Overwrites::Fail && choice.refused.is_none() {
                    choice.refused = Some(file.path.clone());
                }
            }
            continue;
        };
        if !is_wanted(file, discovery) {
            continue;
        }
        let ripe_at = TimeDelta::from_std(discovery.age_min)
            .ok()
            .and_then(|age| file.modified.checked_add_signed(age));
        match ripe_at {
            // Where objects appear whole no clock matters: the store's may well be ahead of ours.
            _ if discovery.age_min.is_zero() => wanted.push((candidate, action)),
            Some(ripe_at) if ripe_at <= now => wanted.push((candidate, action)),
            Some(ripe_at) => {
                choice.ripe_at = Some(choice.ripe_at.map_or(ripe_at, |known| known.min(ripe_at)));
            }
            // An age beyond all time: never.
            None => (),
        }
    }
    wanted.sort_by(|(a, _), (b, _)| {
        (a.file.modified, &a.file.path).cmp(&(b.file.modified, &b.file.path))
    });
    let mut room = Room::new(limits);
    for (candidate, action) in wanted {
        if !room.takes(&candidate.file) {
            choice.waiting.0 += 1;
            choice.waiting.1 = choice.waiting.1.saturating_add(candidate.file.size);
            continue;
        }
        let known = seen.get(&candidate.file.path);
        let is_retry = known.is_some_and(|known| known.status == Status::Failed);
        choice.files.push(PlannedFile {
            file: candidate.file.clone(),
            action,
            found: if is_retry { Found::Retry } else { candidate.found },
            failures: known.filter(|_| is_retry).map_or(0, |known| known.failures),
        });
    }
    choice.files.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    choice
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
