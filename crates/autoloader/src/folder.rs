//! A folder of small immutable JSON files that several processes share.
//!
//! Nothing in it is ever overwritten: whoever creates a file first decides, the others read.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, path::Path};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// How often a create-only write is tried while the store says neither yes nor "it is there".
/// Some stores answer a collision of two writers as if the object existed although neither wrote.
const CREATE_ATTEMPTS_MAX: u32 = 4;

/// The folder; names are below its root.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    store: Arc<dyn ObjectStore>,
    root: String,
}

impl Folder {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, root: String) -> Self {
        Self { store, root }
    }

    /// Returns the whole key of a file, for messages.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    /// Creates a file with `value`, or returns what is there already.
    pub(crate) async fn create<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        value: T,
    ) -> Result<T, Error> {
        let key = self.key(name);
        let bytes = serde_json::to_vec_pretty(&value).map_err(|error| unusable(&key, &error))?;
        for _ in 0..CREATE_ATTEMPTS_MAX {
            let payload = PutPayload::from(bytes.clone());
            match self.store.put_opts(&path(&key), payload, PutMode::Create.into()).await {
                Ok(_) => return Ok(value),
                // Whose it is does not matter: what is there counts. When nothing is there, two
                // writers collided and neither wrote.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    if let Some(found) = self.read(name).await? {
                        return Ok(found);
                    }
                }
                Err(source) => return Err(Error::Store { action: "creating", key, source }),
            }
        }
        Err(Error::Contended { attempts: CREATE_ATTEMPTS_MAX })
    }

    /// Returns a file's value; `None` when it is not there.
    pub(crate) async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.bytes(name).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unusable(&self.key(name), &error))
    }

    /// Returns a file's bytes; `None` when it is not there.
    pub(crate) async fn bytes(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let key = self.key(name);
        let error = |source| Error::Store { action: "reading", key: key.clone(), source };
        match self.store.get(&path(&key)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(error),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(error(source)),
        }
    }

    /// Whether a file is there.
    pub(crate) async fn has(&self, name: &str) -> Result<bool, Error> {
        crate::chain::is_there(&*self.store, &self.key(name)).await
    }

    /// Puts a file that nothing relies on, such as a saving or what only people read. A failure is
    /// logged; returns whether it was written.
    pub(crate) async fn note(&self, name: &str, bytes: Vec<u8>) -> bool {
        let key = self.key(name);
        match self.store.put(&path(&key), PutPayload::from(bytes)).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(key, %error, "a file that nothing relies on was not written");
                false
            }
        }
    }

    /// Removes a file. A failure is logged; the next start tries again.
    pub(crate) async fn remove(&self, name: &str) {
        let key = self.key(name);
        match self.store.delete(&path(&key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => (),
            Err(error) => tracing::warn!(key, %error, "old state was not removed"),
        }
    }

    /// Returns the numbers that name files of a folder, as in `offsets/7.json`, in no order.
    pub(crate) async fn numbers(&self, folder: &str, ending: &str) -> Result<Vec<u64>, Error> {
        let key = self.key(folder);
        let listed: Vec<_> = self
            .store
            .list(Some(&path(&key)))
            .try_collect()
            .await
            .map_err(|source| Error::Store { action: "listing", key, source })?;
        let number = |meta: object_store::ObjectMeta| {
            meta.location.filename()?.strip_suffix(ending)?.parse().ok()
        };
        Ok(listed.into_iter().filter_map(number).collect())
    }
}

fn path(key: &str) -> Path {
    Path::from(key)
}

fn unusable(key: &str, error: &serde_json::Error) -> Error {
    Error::State { key: key.to_owned(), problem: error.to_string() }
}
