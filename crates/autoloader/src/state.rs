//! What a pipeline remembers outside the target: who it is, and the plan of each batch.
//!
//! ```text
//! <pipeline>/g=<generation>/meta.json       create-only: whose state this is
//! <pipeline>/g=<generation>/offsets/N.json  create-only: the plan of batch N
//! <pipeline>/g=<generation>/commits/N.json  advisory: batch N is in the target
//! ```
//!
//! Nothing here is ever overwritten, so two processes can share it: whoever creates a file first
//! decides, the other one reads.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, path::Path};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::Error, plan::Plan, target::BatchId};

/// How often a create-only write is tried while the store says neither yes nor "it is there".
/// Some stores answer a collision of two writers as if the object existed although neither wrote.
const CREATE_ATTEMPTS_MAX: u32 = 4;

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
    store: Arc<dyn ObjectStore>,
    root: String,
}

impl State {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, pipeline: &str, generation: u32) -> Self {
        Self { store, root: format!("{pipeline}/g={generation}") }
    }

    pub(crate) fn plan_key(&self, batch: BatchId) -> String {
        format!("{}/offsets/{batch}.json", self.root)
    }

    fn mark_key(&self, batch: BatchId) -> String {
        format!("{}/commits/{batch}.json", self.root)
    }

    /// Returns the plan of `batch`, if there is one.
    pub(crate) async fn plan(&self, batch: BatchId) -> Result<Option<Plan>, Error> {
        self.read(&self.plan_key(batch)).await
    }

    /// Whether a plan of `batch` exists.
    pub(crate) async fn has_plan(&self, batch: BatchId) -> Result<bool, Error> {
        crate::chain::is_there(&*self.store, &self.plan_key(batch)).await
    }

    /// Whether `batch` was seen in the target by the process that ran it.
    pub(crate) async fn has_mark(&self, batch: BatchId) -> Result<bool, Error> {
        crate::chain::is_there(&*self.store, &self.mark_key(batch)).await
    }

    /// Makes `plan` the plan of its batch, or returns the one that was there first.
    pub(crate) async fn create_plan(&self, plan: Plan) -> Result<Plan, Error> {
        self.create(&self.plan_key(plan.batch), plan).await
    }

    /// Makes `meta` the folder's meta file, or returns the one that was there first.
    pub(crate) async fn create_meta(&self, meta: Meta) -> Result<Meta, Error> {
        self.create(&format!("{}/meta.json", self.root), meta).await
    }

    /// Returns the batches that have plans, in no order. Called once, at start.
    pub(crate) async fn batches(&self) -> Result<Vec<BatchId>, Error> {
        self.list("offsets").await
    }

    /// Writes the commit mark. A failure is logged and harmless: nothing relies on the mark.
    pub(crate) async fn mark(&self, mark: &CommitMark) {
        let key = self.mark_key(mark.batch);
        let bytes = serde_json::to_vec(mark).expect("numbers and text always serialise");
        if let Err(error) = self.store.put(&Path::from(key.as_str()), PutPayload::from(bytes)).await
        {
            tracing::warn!(key, error = %error, "commit mark was not written");
        }
    }

    /// Removes plan and mark of `batch`. A failure is logged; the next start tries again.
    pub(crate) async fn remove(&self, batch: BatchId) {
        for key in [self.plan_key(batch), self.mark_key(batch)] {
            match self.store.delete(&Path::from(key.as_str())).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => (),
                Err(error) => tracing::warn!(key, error = %error, "old state was not removed"),
            }
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<BatchId>, Error> {
        let key = format!("{}/{folder}", self.root);
        let listed: Vec<_> = self
            .store
            .list(Some(&Path::from(key.as_str())))
            .try_collect()
            .await
            .map_err(|source| Error::Store { action: "listing", key, source })?;
        let batch = |meta: object_store::ObjectMeta| {
            let number = meta.location.filename()?.strip_suffix(".json")?;
            number.parse().ok().map(BatchId)
        };
        Ok(listed.into_iter().filter_map(batch).collect())
    }

    /// Creates `key` with `value`, or returns what is there already.
    async fn create<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        value: T,
    ) -> Result<T, Error> {
        let bytes = serde_json::to_vec_pretty(&value)
            .map_err(|error| Error::State { key: key.to_owned(), problem: error.to_string() })?;
        for _ in 0..CREATE_ATTEMPTS_MAX {
            let payload = PutPayload::from(bytes.clone());
            match self.store.put_opts(&Path::from(key), payload, PutMode::Create.into()).await {
                Ok(_) => return Ok(value),
                // Whose it is does not matter: what is there counts. When nothing is there, two
                // writers collided and neither wrote.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    if let Some(found) = self.read(key).await? {
                        return Ok(found);
                    }
                }
                Err(source) => {
                    return Err(Error::Store { action: "creating", key: key.to_owned(), source });
                }
            }
        }
        Err(Error::Contended { attempts: CREATE_ATTEMPTS_MAX })
    }

    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let error = |source| Error::Store { action: "reading", key: key.to_owned(), source };
        let found = match self.store.get(&Path::from(key)).await {
            Ok(found) => found.bytes().await.map_err(error)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(error(source)),
        };
        serde_json::from_slice(&found)
            .map(Some)
            .map_err(|error| Error::State { key: key.to_owned(), problem: error.to_string() })
    }
}
