//! What a pipeline remembers outside the target: who it is, and the plan of each batch.
//!
//! ```text
//! <pipeline>/g=<generation>/meta.json       create-only: whose state this is
//! <pipeline>/g=<generation>/offsets/N.json  create-only: the plan of batch N
//! <pipeline>/g=<generation>/commits/N.json  advisory: batch N is in the target
//! ```
//!
//! Two processes may share it; see [`crate::folder`].

use std::sync::Arc;

use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use crate::{error::Error, folder::Folder, plan::Plan, target::BatchId};

/// Plans kept behind the newest committed batch, as Spark keeps of its own: enough to see what
/// the last hours did, few enough to list at start.
pub(crate) const PLANS_KEPT: u64 = 100;

/// Whose state a folder is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub format: u32,
    pub pipeline_uuid: String,
    pub generation: u32,
    pub topic: String,
}

/// Says that a batch was seen in the target. Nothing relies on it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CommitMark {
    pub batch: BatchId,
    pub release: &'static str,
    pub ts_committed: String,
    pub version: Option<u64>,
    pub rows: u64,
}

/// The state folder of one pipeline.
#[derive(Debug)]
pub(crate) struct State {
    folder: Folder,
}

impl State {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, pipeline: &str, generation: u32) -> Self {
        Self { folder: Folder::new(store, format!("{pipeline}/g={generation}")) }
    }

    pub(crate) fn plan_key(&self, batch: BatchId) -> String {
        self.folder.key(&plan_name(batch))
    }

    /// Returns the plan of `batch`, if there is one.
    pub(crate) async fn plan(&self, batch: BatchId) -> Result<Option<Plan>, Error> {
        self.folder.read(&plan_name(batch)).await
    }

    /// Whether a plan of `batch` exists.
    pub(crate) async fn has_plan(&self, batch: BatchId) -> Result<bool, Error> {
        self.folder.has(&plan_name(batch)).await
    }

    /// Whether `batch` was seen in the target by the process that ran it.
    pub(crate) async fn has_mark(&self, batch: BatchId) -> Result<bool, Error> {
        self.folder.has(&mark_name(batch)).await
    }

    /// Makes `plan` the plan of its batch, or returns the one that was there first.
    pub(crate) async fn create_plan(&self, plan: Plan) -> Result<Plan, Error> {
        self.folder.create(&plan_name(plan.batch), plan).await
    }

    /// Makes `meta` the folder's meta file, or returns the one that was there first.
    pub(crate) async fn create_meta(&self, meta: Meta) -> Result<Meta, Error> {
        self.folder.create("meta.json", meta).await
    }

    /// Returns the batches that have plans, in no order. Called once, at start.
    pub(crate) async fn batches(&self) -> Result<Vec<BatchId>, Error> {
        let numbers = self.folder.numbers("offsets", ".json").await?;
        Ok(numbers.into_iter().map(BatchId).collect())
    }

    /// Writes the commit mark. A failure is logged and harmless: nothing relies on the mark.
    pub(crate) async fn mark(&self, mark: &CommitMark) {
        let bytes = serde_json::to_vec(mark).expect("numbers and text always serialise");
        let _is_written = self.folder.note(&mark_name(mark.batch), bytes).await;
    }

    /// Removes plan and mark of `batch`. A failure is logged; the next start tries again.
    pub(crate) async fn remove(&self, batch: BatchId) {
        for name in [plan_name(batch), mark_name(batch)] {
            self.folder.remove(&name).await;
        }
    }
}

fn plan_name(batch: BatchId) -> String {
    format!("offsets/{batch}.json")
}

fn mark_name(batch: BatchId) -> String {
    format!("commits/{batch}.json")
}
