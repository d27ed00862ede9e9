//! Files that new columns ask for again: found in one walk over what was seen, and read again batch
//! by batch.

use std::collections::VecDeque;

use arrow::datatypes::SchemaRef;

use crate::files::{
    choice::choose_asked,
    command::{backfill, backfilled},
    options::Limits,
    plan::PlannedFile,
    seen::Seen,
};

/// What one version of the columns asks for.
#[derive(Debug)]
pub(super) struct Backfill {
    pub(super) version: u64,
    columns: SchemaRef,
    /// Paths that the last walk found.
    paths: VecDeque<String>,
    /// A walk found nothing: from then on files are read under this version.
    is_over: bool,
}

impl Backfill {
    pub(super) const fn new(version: u64, columns: SchemaRef) -> Self {
        Self { version, columns, paths: VecDeque::new(), is_over: false }
    }

    /// Returns the next files to read again, within the limits. They stay until they were.
    pub(super) fn choose(&mut self, seen: &Seen, limits: Limits) -> Vec<PlannedFile> {
        if self.is_over {
            return Vec::new();
        }
        let chosen = self.take(seen, limits);
        if !chosen.is_empty() {
            return chosen;
        }
        let found = backfill(seen, self.version, &self.columns);
        self.paths = found.into_iter().map(|planned| planned.file.path).collect();
        self.is_over = self.paths.is_empty();
        self.take(seen, limits)
    }

    fn take(&mut self, seen: &Seen, limits: Limits) -> Vec<PlannedFile> {
        let wanted = |path: &String| backfilled(seen.get(path)?, self.version, &self.columns);
        while self.paths.front().is_some_and(|path| wanted(path).is_none()) {
            self.paths.pop_front();
        }
        let next = self.paths.iter().filter_map(wanted).take(limits.files_max.max(1));
        choose_asked(&next.collect::<Vec<_>>(), limits)
    }
}
