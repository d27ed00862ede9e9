//! Objects that pollers share: created once or not at all, checked when read, never changed.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use model::Clock;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path};
use sha2::{Digest, Sha256};

pub(super) use crate::create_only::Created;
use crate::{
    Error,
    create_only::{self, Found},
    hex::hex,
};

/// A body that arrived damaged is read again: the network may be at fault. Thrice the same finding
/// is the object's own.
const READS_MAX: u32 = 3;

/// Tries to create an object before the outcome is left open. With the pauses between them about
/// 1 s: a lease must not run out over it.
const CREATES_MAX: u32 = 6;

/// Hexadecimal digits of the SHA-256 that is an object's first line.
const HASH_DIGITS: usize = 64;

/// The store, rooted where pollers share.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
}

/// An object as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    /// The store's own time.
    pub(super) ts_modified: DateTime<Utc>,
}

impl Listed {
    /// Returns the number that is the last part of the key; `None` when it is none of ours.
    pub(super) fn number(&self) -> Option<u64> {
        number(&self.key)
    }
}

/// Returns the number that is the last part of a key.
pub(super) fn number(key: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?;
    let is_number = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| is_number)
}

/// Puts the hash of the body before it.
fn seal(body: &[u8]) -> Vec<u8> {
    let mut stored = hash(body).into_bytes();
    stored.push(b'\n');
    stored.extend_from_slice(body);
    stored
}

/// Returns the body that [`seal`] was given.
fn unseal(stored: &Bytes) -> Result<Bytes, String> {
    let is_whole = stored.get(HASH_DIGITS) == Some(&b'\n');
    if !is_whole {
        return Err("it has no hash in its first line: it is empty or cut off".to_owned());
    }
    let body = stored.slice(HASH_DIGITS + 1..);
    if hash(&body).as_bytes() == &stored[..HASH_DIGITS] {
        Ok(body)
    } else {
        Err("it does not have the SHA-256 of its first line".to_owned())
    }
}

pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Reads an object; `None` when there is none.
    pub(super) async fn read(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let failed = |source| Error::PollStore { doing: "reading", key: key.to_owned(), source };
        let path = path(key)?;
        let mut reads = 1;
        loop {
            let stored = match self.store.get(&path).await {
                Ok(found) => found.bytes().await.map_err(failed)?,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(source) => return Err(failed(source)),
            };
            match unseal(&stored) {
                Ok(body) => return Ok(Some(body)),
                Err(problem) if reads == READS_MAX => {
                    return Err(Error::PollObject { key: key.to_owned(), problem });
                }
                Err(_) => reads += 1,
            }
        }
    }

    /// Creates an object, or finds out who did; see [`create_only::create`].
    ///
    /// After an error the outcome is open: a request on its way may still create the object.
    pub(super) async fn create(&self, key: &str, body: &[u8]) -> Result<Created, Error> {
        let look = || async move {
            let found = self.read(key).await?;
            Ok(found.map_or(Found::Nothing, |found| Found::of(found == body)))
        };
        let put = || self.create_once(key, body);
        create_only::create(self.clock.as_ref(), CREATES_MAX, put, look).await
    }

    /// Tries to create an object, once; an error says nothing about whether it is there.
    pub(super) async fn create_once(&self, key: &str, body: &[u8]) -> Result<(), Error> {
        let options = PutOptions::from(PutMode::Create);
        let put = self.store.put_opts(&path(key)?, seal(body).into(), options).await;
        let failed = |source| Error::PollStore { doing: "creating", key: key.to_owned(), source };
        put.map(drop).map_err(failed)
    }

    /// Lists a prefix in the order of keys, all of it or what comes after a key.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<Listed>, Error> {
        let prefix_path = path(prefix)?;
        let listed = match after {
            Some(after) => self.store.list_with_offset(Some(&prefix_path), &path(after)?),
            None => self.store.list(Some(&prefix_path)),
        };
        let listed: Result<Vec<Listed>, _> = listed
            .map_ok(|meta| Listed { key: meta.location.into(), ts_modified: meta.last_modified })
            .try_collect()
            .await;
        let mut listed = listed.map_err(|source| Error::PollStore {
            doing: "listing",
            key: prefix.to_owned(),
            source,
        })?;
        listed.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        Ok(listed)
    }

    /// Lists the folders of the root.
    pub(super) async fn folders(&self) -> Result<Vec<String>, Error> {
        let failed = |source| Error::PollStore { doing: "listing", key: "/".to_owned(), source };
        let found = self.store.list_with_delimiter(None).await.map_err(failed)?;
        Ok(found.common_prefixes.into_iter().map(String::from).collect())
    }

    /// Deletes objects that nobody needs, many at a time; returns whether all of them are gone.
    pub(super) async fn delete(&self, keys: impl IntoIterator<Item = String>) -> bool {
        let paths: Vec<_> =
            keys.into_iter().map(|key| Path::parse(key).map_err(Into::into)).collect();
        let deleted = self.store.delete_stream(stream::iter(paths).boxed());
        let is_gone = deleted.map(|deleted| match deleted {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => true,
            Err(error) => {
                tracing::debug!(%error, "an object that is not needed stays");
                false
            }
        });
        is_gone.fold(true, |all, one| async move { all && one }).await
    }
}

fn path(key: &str) -> Result<Path, Error> {
    Path::parse(key).map_err(|error| Error::PollStore {
        doing: "naming",
        key: key.to_owned(),
        source: object_store::Error::InvalidPath { source: error },
    })
}

#[cfg(test)]
pub(super) mod counting;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_was_sealed_or_refused() {
        let sealed = seal(b"{\"a\":1}");
        assert_eq!(unseal(&sealed.clone().into()).as_deref(), Ok(&b"{\"a\":1}"[..]));
        for length in 0..sealed.len() {
            assert!(unseal(&Bytes::copy_from_slice(&sealed[..length])).is_err(), "cut at {length}");
            let mut flipped = sealed.clone();
            flipped[length] ^= 16;
            assert!(unseal(&flipped.into()).is_err(), "flipped at {length}");
        }
    }

    #[test]
    fn only_our_names_are_numbers() {
        assert_eq!(number("a/00000000000000000012"), Some(12));
        assert_eq!(number("a/00000000000000000012#1"), None);
        assert_eq!(number("a/12"), None);
        assert_eq!(number("a/+0000000000000000012"), None);
    }
}
