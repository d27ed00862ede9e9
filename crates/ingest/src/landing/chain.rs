//! Links of the landing chain: finding the last one, reading one, creating one.
//!
//! Nothing here trusts a listing further than for names, or a body further than its footer proves.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use model::{
    Clock,
    landing::{Footer, LandingKey, LandingKind},
};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path};
use sha2::{Digest, Sha256};

use super::draft::Sealed;
pub(super) use crate::create_only::Created;
use crate::{
    create_only::{self, Found},
    error::Error,
    hex::hex,
};

/// What an object may unpack to, 256 MiB: sixteen times the usual limit of an object. Beyond it is
/// no object of ours, and not to be held in memory.
pub(super) const LINES_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A body that arrived damaged is read again: the network may be at fault. Thrice the same finding
/// is the object's own.
pub(super) const READS_MAX: u32 = 3;

/// From this size on, 64 KiB stored, checking is worth a blocking thread: about a millisecond.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Tries to create a link before the outcome is left open for the next call, which begins from the
/// chain. With the pauses between them about 3 s.
pub(super) const CREATES_MAX: u32 = 8;

/// A link as read: its lines and the footer that proves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the object says of itself; agrees with its name and its lines.
    pub footer: Footer,
    /// The lines above the footer, uncompressed, newlines included.
    pub lines: Bytes,
}

/// Returns whether a link holds no records but states that offsets are gone.
#[must_use]
pub const fn is_gap(footer: &Footer) -> bool {
    footer.count == 0
}

/// Checks the stored bytes of `key` against its footer: name, count, hash.
///
/// # Errors
/// What is wrong with the object, as a phrase.
pub fn verify(key: &LandingKey, stored: &[u8]) -> Result<Link, String> {
    let mut text = match key.kind {
        LandingKind::Records => decompress(stored)?,
        LandingKind::Gap => stored.to_vec(),
    };
    if text.pop() != Some(b'\n') {
        return Err("it has no footer line: it is empty or cut off".to_owned());
    }
    let lines_end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let footer = Footer::parse_line(&text[lines_end..])
        .ok_or_else(|| "its last line is no footer: it is cut off or not ours".to_owned())?;
    text.truncate(lines_end);
    if footer.first != key.first_offset || footer.next <= footer.first {
        return Err(format!("its footer spans {} to {}", footer.first, footer.next));
    }
    let count = text.iter().filter(|byte| **byte == b'\n').count();
    if u64::try_from(count).ok() != Some(footer.count) || footer.next - footer.first < footer.count
    {
        return Err(format!("it has {count} lines, its footer says {}", footer.count));
    }
    if hex(&Sha256::digest(&text)) != footer.sha256 {
        return Err("its lines do not have the footer's SHA-256".to_owned());
    }
    Ok(Link { footer, lines: Bytes::from(text) })
}

fn decompress(stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(stored)
        .map_err(|error| format!("it is no zstd: {error}"))?;
    let length = decoder
        .take(LINES_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| format!("it cannot be decompressed: {error}"))?;
    if u64::try_from(length).is_ok_and(|length| length <= LINES_BYTES_MAX) {
        Ok(text)
    } else {
        Err(format!("it unpacks to more than {LINES_BYTES_MAX} bytes"))
    }
}

/// Reads and checks one link; `None` when there is no such object.
///
/// # Errors
/// The store failed, or the object is damaged.
pub async fn read(store: &Arc<dyn ObjectStore>, key: &LandingKey) -> Result<Option<Link>, Error> {
    let doing = "reading";
    let failed = |source| Error::LandingStore { doing, key: key.to_string(), source };
    let mut reads = 1;
    loop {
        let path = path(&key.to_string())?;
        let stored = match store.get(&path).await {
            Ok(found) => found.bytes().await.map_err(failed)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let verified = if stored.len() < INLINE_BYTES_MAX {
            verify(key, &stored)
        } else {
            let key = key.clone();
            tokio::task::spawn_blocking(move || verify(&key, &stored))
                .await
                .map_err(|source| Error::TaskLost { doing, source })?
        };
        match verified {
            Ok(link) => return Ok(Some(link)),
            Err(problem) if reads == READS_MAX => {
                return Err(Error::LandingObject { key: key.to_string(), problem });
            }
            Err(_) => reads += 1,
        }
    }
}

/// Returns the last link of a partition's chain, checked; `None` when nothing has landed.
///
/// # Errors
/// The store failed, or the last object is damaged.
pub async fn tail(
    store: &Arc<dyn ObjectStore>,
    generation: u32,
    topic: &str,
    partition: u32,
) -> Result<Option<(LandingKey, Footer)>, Error> {
    let Some(key) = list(store, generation, topic, partition, None).await?.pop() else {
        return Ok(None);
    };
    let link = require(store, &key).await?;
    Ok(Some((key, link.footer)))
}

/// Reads a link that was there.
pub(super) async fn require(store: &Arc<dyn ObjectStore>, key: &LandingKey) -> Result<Link, Error> {
    read(store, key).await?.ok_or_else(|| vanished(key))
}

pub(super) fn vanished(key: &impl ToString) -> Error {
    Error::LandingObject {
        key: key.to_string(),
        problem: "it was there and is gone; landing objects are deleted by nobody".to_owned(),
    }
}

/// Lists a partition's links in chain order, all or those after `known`.
///
/// Whatever else lies there is left alone: a local store leaves staging files (`…#1`) behind when
/// it is killed, and they are no keys.
///
/// # Errors
/// The store failed.
pub async fn list(
    store: &Arc<dyn ObjectStore>,
    generation: u32,
    topic: &str,
    partition: u32,
    known: Option<&LandingKey>,
) -> Result<Vec<LandingKey>, Error> {
    let prefix = LandingKey::partition_prefix(generation, topic, partition);
    let prefix_path = path(&prefix)?;
    let listed = match known {
        Some(known) => store.list_with_offset(Some(&prefix_path), &path(&known.to_string())?),
        None => store.list(Some(&prefix_path)),
    };
    let mut keys: Vec<LandingKey> = listed
        .try_filter_map(|found| async move { Ok(found.location.as_ref().parse().ok()) })
        .try_collect()
        .await
        .map_err(|source| Error::LandingStore { doing: "listing", key: prefix, source })?;
    keys.sort_unstable();
    Ok(keys)
}

fn path(key: &str) -> Result<Path, Error> {
    Path::parse(key).map_err(|error| Error::LandingStore {
        doing: "naming",
        key: key.to_owned(),
        source: object_store::Error::InvalidPath { source: error },
    })
}

/// Creates one link, or finds out who did; see [`create_only::create`].
pub(super) async fn create(
    store: &Arc<dyn ObjectStore>,
    clock: &dyn Clock,
    key: &LandingKey,
    sealed: &Sealed,
) -> Result<Created, Error> {
    let failed = |source| Error::LandingStore { doing: "creating", key: key.to_string(), source };
    let path = &path(&key.to_string())?;
    let put = || async move {
        let options = PutOptions::from(PutMode::Create);
        let put = store.put_opts(path, sealed.payload.clone().into(), options).await;
        put.map(drop).map_err(failed)
    };
    let look = || async move {
        let found = read(store, key).await?;
        Ok(found.map_or(Found::Nothing, |found| Found::of(found.footer == sealed.footer)))
    };
    create_only::create(clock, CREATES_MAX, put, look).await
}
