//! What every stage of this process is doing right now: written by the supervisor, read by status.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::status::StageState;

/// One stage's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StageHealth {
    pub(crate) state: StageState,
    /// Rows brought forward since this process started.
    pub(crate) rows: u64,
    pub(crate) message: Option<String>,
}

/// The health of all stages; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<BTreeMap<String, StageHealth>>>);

impl Board {
    /// Returns the health of `stage`, or `None` when this process does not run it.
    pub(crate) fn get(&self, stage: &str) -> Option<StageHealth> {
        self.lock().get(stage).cloned()
    }

    pub(super) fn set(&self, stage: &str, state: StageState, message: Option<String>) {
        let mut stages = self.lock();
        let rows = stages.get(stage).map_or(0, |health| health.rows);
        stages.insert(stage.to_owned(), StageHealth { state, rows, message });
    }

    pub(super) fn add_rows(&self, stage: &str, rows: u64) {
        if let Some(health) = self.lock().get_mut(stage) {
            health.rows = health.rows.saturating_add(rows);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StageHealth>> {
        // Every change is one assignment, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
