//! What one look found, in the order in which batches take it. Sorted once: a batch costs what it
//! takes, however much waits behind it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Candidate, Choice, Room, Rules, action, is_wanted};
use crate::files::{
    options::Overwrites,
    plan::{Action, Found, PlannedFile},
    seen::{News, Seen, Status},
    source_file::SourceFile,
};

/// Files to be loaded, the oldest first, less those that were planned since.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    files: Vec<Waiting>,
    /// Places in `files` by path.
    by_path: Vec<usize>,
    /// Those before this place are gone.
    first: usize,
    /// Those before this place are old enough.
    ripe: usize,
    /// How many of these are there still, and their bytes.
    left: (u64, u128),
    overwritten: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Waiting {
    candidate: Candidate,
    action: Action,
    is_gone: bool,
}

impl Backlog {
    /// Sorts what was found. `candidates` may come in any order and name a path more than once; the
    /// newest version counts.
    #[must_use]
    pub fn new(mut candidates: Vec<Candidate>, seen: &Seen, rules: Rules<'_>) -> Self {
        candidates.sort_unstable_by(|a, b| {
            (&a.file.path, b.file.modified, a.found).cmp(&(&b.file.path, a.file.modified, b.found))
        });
        candidates.dedup_by(|a, b| a.file.path == b.file.path);
        let (mut files, mut overwritten) = (Vec::new(), BTreeSet::new());
        for candidate in candidates {
            let file = &candidate.file;
            let news = seen.news(file);
            match action(news, seen, file, rules.overwrites) {
                Some(action) if is_wanted(file, rules.discovery) => {
                    files.push(Waiting { candidate, action, is_gone: false });
                }
                None if news == News::Overwritten => {
                    overwritten.insert(candidate.file.path);
                }
                Some(_) | None => (),
            }
        }
        files.sort_unstable_by(|a, b| {
            let (a, b) = (&a.candidate.file, &b.candidate.file);
            (a.modified, &a.path).cmp(&(b.modified, &b.path))
        });
        let mut by_path: Vec<usize> = (0..files.len()).collect();
        by_path.sort_unstable_by_key(|at| files.get(*at).map(Waiting::path));
        Self { files, by_path, overwritten, ..Self::default() }
    }

    /// Forgets a file that was planned: what was seen of it may be old by now.
    pub fn forget(&mut self, path: &str) {
        self.overwritten.remove(path);
        let place = self
            .by_path
            .binary_search_by_key(&Some(path), |at| self.files.get(*at).map(Waiting::path));
        let place = place.ok().and_then(|place| self.by_path.get(place)).copied();
        let Some(place) = place else { return };
        let Some(waiting) = self.files.get_mut(place).filter(|waiting| !waiting.is_gone) else {
            return;
        };
        waiting.is_gone = true;
        if place < self.ripe {
            self.left.0 -= 1;
            self.left.1 -= u128::from(waiting.candidate.file.size);
        }
        while self.files.get(self.first).is_some_and(|waiting| waiting.is_gone) {
            self.first += 1;
        }
    }

    /// Forgets all files of which `is_planned` says so.
    pub fn forget_all(&mut self, is_planned: impl Fn(&str) -> bool) {
        let paths =
            self.files.iter().map(Waiting::path).chain(self.overwritten.iter().map(String::as_str));
        let planned: Vec<String> =
            paths.filter(|path| is_planned(path)).map(str::to_owned).collect();
        planned.iter().for_each(|path| self.forget(path));
    }

    /// Returns files whose bytes changed after they were loaded, and that the rules leave alone.
    #[must_use]
    pub const fn overwritten(&self) -> &BTreeSet<String> {
        &self.overwritten
    }

    /// Chooses the next batch: the oldest files first, as many as the limits allow, and at least one
    /// when there is any. They stay until they are forgotten.
    pub fn choose(&mut self, seen: &Seen, rules: Rules<'_>) -> Choice {
        self.ripen(rules);
        let mut choice = Choice::default();
        if rules.overwrites == Overwrites::Fail {
            choice.refused = self.overwritten.first().cloned();
        }
        let mut young = self.files.iter().skip(self.ripe).filter(|waiting| !waiting.is_gone);
        choice.ripe_at = young.next().and_then(|young| ripe_at(&young.candidate.file, rules));
        let (mut room, mut left) = (Room::new(rules.limits), self.left);
        let ripe = self.files.iter().take(self.ripe).skip(self.first);
        for waiting in ripe.filter(|waiting| !waiting.is_gone) {
            let file = &waiting.candidate.file;
            // What is full stays full.
            if !room.takes(file) {
                break;
            }
            left.0 -= 1;
            left.1 -= u128::from(file.size);
            choice.files.push(waiting.planned(seen));
        }
        choice.waiting = (left.0, u64::try_from(left.1).unwrap_or(u64::MAX));
        choice.files.sort_unstable_by(|a, b| a.file.path.cmp(&b.file.path));
        choice
    }

    /// Moves the place that parts the old enough from the young. The clock may go back.
    fn ripen(&mut self, rules: Rules<'_>) {
        let is_ripe = |waiting: &Waiting| {
            // Where objects appear whole no clock matters: the store's may well be ahead of ours.
            rules.discovery.age_min.is_zero()
                || ripe_at(&waiting.candidate.file, rules).is_some_and(|at| at <= rules.now)
        };
        while let Some(next) = self.files.get(self.ripe).filter(|next| is_ripe(next)) {
            self.ripe += 1;
            if !next.is_gone {
                self.left.0 += 1;
                self.left.1 += u128::from(next.candidate.file.size);
            }
        }
        while let Some(before) = self.ripe.checked_sub(1)
            && let Some(last) = self.files.get(before).filter(|last| !is_ripe(last))
        {
            self.ripe = before;
            if !last.is_gone {
                self.left.0 -= 1;
                self.left.1 -= u128::from(last.candidate.file.size);
            }
        }
    }
}

impl Waiting {
    fn path(&self) -> &str {
        &self.candidate.file.path
    }

    fn planned(&self, seen: &Seen) -> PlannedFile {
        let Candidate { file, found } = &self.candidate;
        let known = seen.get(&file.path).filter(|known| known.status == Status::Failed);
        PlannedFile {
            file: file.clone(),
            action: self.action,
            found: if known.is_some() { Found::Retry } else { *found },
            failures: known.map_or(0, |known| known.failures),
        }
    }
}

/// Returns when a file is old enough; `None`: never, for that is beyond all time.
fn ripe_at(file: &SourceFile, rules: Rules<'_>) -> Option<DateTime<Utc>> {
    let age = TimeDelta::from_std(rules.discovery.age_min).ok()?;
    file.modified.checked_add_signed(age)
}
