//! Which versions of which rows were served, so that a test can check revisions.

use std::collections::HashMap;

use crate::{schedule::RowKey, tape::Seconds};

/// Distinct versions per row. Memory grows with the rows served, about 60 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Served {
    versions: HashMap<RowKey, Vec<u64>>,
}

impl Served {
    /// Notes the rows of a page that left in one piece.
    pub(crate) fn note(&mut self, rows: &[(RowKey, u64)]) {
        for (key, hash) in rows {
            let versions = self.versions.entry(*key).or_default();
            if !versions.contains(hash) {
                versions.push(*hash);
            }
        }
    }

    /// Returns each row of a symbol that was served, by time, with how many versions of it.
    pub(crate) fn of_symbol(&self) -> HashMap<u64, Vec<(RowKey, usize)>> {
        let mut by_symbol: HashMap<u64, Vec<(RowKey, usize)>> = HashMap::new();
        for (key, versions) in &self.versions {
            by_symbol.entry(key.symbol).or_default().push((*key, versions.len()));
        }
        for rows in by_symbol.values_mut() {
            rows.sort_by_key(|(key, _)| order(key));
        }
        by_symbol
    }
}

fn order(key: &RowKey) -> (model::Dataset, model::BarInterval, Seconds) {
    (key.dataset, key.interval, key.ts)
}
