//! What was found and no plan has taken yet, and what nobody could look at.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use model::hint::Place;

use crate::files::{
    choice::Candidate,
    seen::{News, Seen},
};

/// A file that no plan has taken yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) candidate: Candidate,
    /// When it was found first.
    pub(super) ts_found: DateTime<Utc>,
    /// It is to be asked about again: it was too young, or may be growing.
    pub(super) is_unsure: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Waitlist {
    files: BTreeMap<String, Waiting>,
    /// How many of them were found first at each time.
    found: BTreeMap<DateTime<Utc>, usize>,
    /// Objects that could not be looked at; the next full listing tells what they are.
    pub(super) unclear: BTreeSet<String>,
}

impl Waitlist {
    pub(super) fn get(&self, path: &str) -> Option<&Waiting> {
        self.files.get(path)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Waiting)> {
        self.files.iter()
    }

    pub(super) fn insert(&mut self, path: String, waiting: Waiting) {
        *self.found.entry(waiting.ts_found).or_default() += 1;
        if let Some(before) = self.files.insert(path, waiting) {
            self.forget_found(before.ts_found);
        }
    }

    /// Forgets a file if `seen` knows what was found of it.
    pub(super) fn forget_planned(&mut self, seen: &Seen, path: &str) {
        let is_planned = |waiting: &Waiting| seen.news(&waiting.candidate.file) == News::Old;
        if self.files.get(path).is_some_and(is_planned)
            && let Some(planned) = self.files.remove(path)
        {
            self.forget_found(planned.ts_found);
        }
    }

    /// Forgets all files that `seen` knows: one walk over all that waits.
    pub(super) fn forget_all_planned(&mut self, seen: &Seen) {
        for (path, waiting) in std::mem::take(&mut self.files) {
            self.forget_found(waiting.ts_found);
            if seen.news(&waiting.candidate.file) != News::Old {
                self.insert(path, waiting);
            }
        }
    }

    /// Returns when the first of those was found that wait still.
    pub(super) fn oldest(&self) -> Option<DateTime<Utc>> {
        self.found.keys().next().copied()
    }

    /// Whether a file at this place waits, or is unclear.
    pub(super) fn has_open(&self, place: &Place) -> bool {
        match place {
            Place::Object(path) => self.files.contains_key(path) || self.unclear.contains(path),
            Place::Folder(folder) => {
                let first = format!("{folder}/");
                let file = self.files.range(first.clone()..).next().map(|(path, _)| path);
                let unclear = self.unclear.range(first.clone()..).next();
                file.into_iter().chain(unclear).any(|path| path.starts_with(&first))
            }
            Place::Everywhere => !self.files.is_empty() || !self.unclear.is_empty(),
        }
    }

    fn forget_found(&mut self, ts_found: DateTime<Utc>) {
        if let Some(count) = self.found.get_mut(&ts_found) {
            *count -= 1;
            if *count == 0 {
                self.found.remove(&ts_found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::discover::tests::{at, meta, plan, take};
    use crate::files::{plan::Found, seen::Seen};

    fn waiting(path: &str, seconds: i64) -> (String, Waiting) {
        let candidate = Candidate { file: meta(path, 10).into(), found: Found::Listing };
        (path.to_owned(), Waiting { candidate, ts_found: at(seconds), is_unsure: false })
    }

    #[test]
    fn the_oldest_is_known_however_files_come_and_go() {
        let mut list = Waitlist::default();
        for (path, seconds) in [("a", 3), ("b", 1), ("c", 1), ("b", 2)] {
            let (path, waiting) = waiting(path, seconds);
            list.insert(path, waiting);
        }
        assert_eq!(list.oldest(), Some(at(1)));
        let mut seen = Seen::default();
        list.forget_planned(&seen, "c");
        assert_eq!(list.oldest(), Some(at(1)), "it is not planned");
        take(&mut seen, [meta("c", 10).into()], 1);
        list.forget_planned(&seen, "c");
        assert_eq!(list.oldest(), Some(at(2)));
        seen.plan(&plan([meta("b", 10).into(), meta("a", 11).into()], 2));
        list.forget_all_planned(&seen);
        assert_eq!(list.oldest(), Some(at(3)), "another version of it is planned");
        assert!(list.get("a").is_some());
    }
}
