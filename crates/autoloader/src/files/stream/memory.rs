//! A stream's state folder: plans, outcomes, and what saves reading all of them.
//!
//! ```text
//! <stream>/stream.json           create-only: what the stream was told when it began
//! <stream>/offsets/N.json        create-only: what batch N is
//! <stream>/outcomes/N.json       create-only: what became of it
//! <stream>/cleaned/K.json        create-only: files that were moved or deleted after their batch
//! <stream>/seen/N.ndjson.zst     derived: everything seen up to batch N, a line for each path
//! <stream>/proven.json           a saving: when everything that was there is known to be planned
//! ```

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    files::{
        plan::{FORMAT, FilePlan, Outcome},
        seen::{Cleaned, Known, Seen},
    },
    folder::Folder,
    target::BatchId,
};

/// A snapshot is written after this many batches: reading as many plans at a start takes a second
/// on a bucket, and a snapshot of a million files is some 35 megabytes: 34 bytes a file with tags as
/// services give them, of 364 unpacked.
const SNAPSHOT_EVERY: u64 = 100;

/// Snapshots kept: the newest may be half written when a disk fills up.
const SNAPSHOTS_KEPT: u64 = 3;

/// What a snapshot may unpack to, 4 GiB: some ten million files. More is not written, and what is
/// more is none of ours.
const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;

/// Files whose snapshot is packed, and unpacked, on a thread of its own: fewer take milliseconds.
const FILES_AT_ONCE: usize = 10_000;

/// The same for packed bytes, unread.
const BYTES_AT_ONCE: usize = 1 << 20;

/// zstd's own default: the text shrinks tenfold.
const LEVEL: i32 = 3;

/// Text that is packed at a time.
const PAGE_BYTES: usize = 64 << 10;

const MANIFEST: &str = "stream.json";

const PROOF: &str = "proven.json";

/// What a stream was told when it began, and may not be told otherwise later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The release that began the stream.
    pub release: String,
    /// The stream.
    pub stream: String,
    /// Where its source lies.
    pub source: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Options that count at the first start, as they were then.
    pub pinned: BTreeMap<String, String>,
}

/// That a file was moved or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CleanNote {
    /// The file.
    pub path: String,
    /// The batch that had it last.
    pub batch: BatchId,
    /// What was done.
    pub cleaned: Cleaned,
}

/// That every file which was there at a time is planned. Without it a start lists everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    /// [`FORMAT`].
    pub format: u32,
    /// The time.
    pub ts_proven: DateTime<Utc>,
    /// Which files counted then: where others count now, nothing is proven.
    pub looks_for: String,
}

/// Everything seen up to a batch, as it was written down.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub seen: Seen,
    pub batch: BatchId,
    /// How many files of notes it has taken in.
    pub notes: u64,
}

/// The first line of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotHead {
    format: u32,
    batch: BatchId,
    notes: u64,
    files: usize,
}

/// The state folder of one stream.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    folder: Folder,
    store: Arc<dyn ObjectStore>,
    stream: String,
    /// Batches between two snapshots.
    pub(super) snapshot_every: u64,
}

impl Memory {
    pub(super) fn new(store: Arc<dyn ObjectStore>, stream: &str) -> Self {
        let folder = Folder::new(Arc::clone(&store), stream.to_owned());
        Self { folder, store, stream: stream.to_owned(), snapshot_every: SNAPSHOT_EVERY }
    }

    /// Makes `manifest` the stream's, or returns the one that it began with.
    pub(super) async fn begin(&self, manifest: Manifest) -> Result<Manifest, Error> {
        self.known(self.folder.create(MANIFEST, manifest).await?)
    }

    fn known(&self, manifest: Manifest) -> Result<Manifest, Error> {
        let known = manifest.format;
        if known == FORMAT { Ok(manifest) } else { Err(self.unusable(MANIFEST, other(known))) }
    }

    /// Returns what the stream was told when it began; `None` before that.
    pub(super) async fn told(&self) -> Result<Option<Manifest>, Error> {
        let manifest: Option<Manifest> = self.folder.read(MANIFEST).await?;
        manifest.map(|manifest| self.known(manifest)).transpose()
    }

    /// Returns other streams that keep their state beside this one, and their sources, which are a
    /// part of `source` or have it as a part. Sources end in a slash.
    pub(super) async fn others_of(&self, source: &str) -> Result<Vec<(String, String)>, Error> {
        let listed = self.store.list_with_delimiter(None).await.map_err(|source| Error::Store {
            action: "listing streams of",
            key: self.stream.clone(),
            source,
        })?;
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename());
        let mut others = Vec::new();
        for name in names.filter(|name| *name != self.stream) {
            let folder = Folder::new(Arc::clone(&self.store), name.to_owned());
            let manifest: Option<Manifest> = folder.read(MANIFEST).await?;
            let is_shared = |other: &Manifest| {
                other.source.starts_with(source) || source.starts_with(&other.source)
            };
            if let Some(other) = manifest.filter(is_shared) {
                others.push((name.to_owned(), other.source));
            }
        }
        Ok(others)
    }

    /// Returns the plan of `batch`, if there is one.
    pub(super) async fn plan(&self, batch: BatchId) -> Result<Option<FilePlan>, Error> {
        let name = plan_name(batch);
        let plan: Option<FilePlan> = self.folder.read(&name).await?;
        plan.map(|plan| self.valid(plan, &name, batch, says_plan)).transpose()
    }

    /// Makes `plan` the plan of its batch, or returns the one that was there first.
    pub(super) async fn create_plan(&self, plan: FilePlan) -> Result<FilePlan, Error> {
        let (name, batch) = (plan_name(plan.batch), plan.batch);
        let plan = self.folder.create(&name, plan).await?;
        self.valid(plan, &name, batch, says_plan)
    }

    /// Returns the outcome of `batch`, if it was decided.
    pub(super) async fn outcome(&self, batch: BatchId) -> Result<Option<Outcome>, Error> {
        let name = outcome_name(batch);
        let outcome: Option<Outcome> = self.folder.read(&name).await?;
        outcome.map(|outcome| self.valid(outcome, &name, batch, says_outcome)).transpose()
    }

    /// Makes `outcome` the outcome of its batch, or returns the one that was there first.
    pub(super) async fn create_outcome(&self, outcome: Outcome) -> Result<Outcome, Error> {
        let (name, batch) = (outcome_name(outcome.batch), outcome.batch);
        let outcome = self.folder.create(&name, outcome).await?;
        self.valid(outcome, &name, batch, says_outcome)
    }

    /// Returns the newest snapshot that saves reading many plans between two batches.
    pub(super) async fn snapshot(
        &self,
        settled: Option<BatchId>,
        last: BatchId,
    ) -> Result<Option<Snapshot>, Error> {
        if last.0.saturating_sub(BatchId::after(settled).0) < self.snapshot_every {
            return Ok(None);
        }
        let mut batches = self.folder.numbers("seen", ".ndjson.zst").await?;
        batches.retain(|&batch| batch <= last.0 && settled < Some(BatchId(batch)));
        batches.sort_unstable();
        while let Some(batch) = batches.pop().map(BatchId) {
            let name = snapshot_name(batch);
            let Some(bytes) = self.folder.bytes(&name).await? else { continue };
            let is_small = bytes.len() < BYTES_AT_ONCE;
            match aside(is_small, move || unpacked(&bytes, batch)).await {
                Ok(snapshot) => return Ok(Some(snapshot)),
                // An older one will do, or none: it is derived.
                Err(error) => tracing::warn!(name, %error, "a snapshot cannot be read"),
            }
        }
        Ok(None)
    }

    /// Writes a snapshot when one is due. A failure is logged: the plans are still there, and so is
    /// the snapshot before.
    pub(super) async fn note_commit(&self, batch: BatchId, seen: &Arc<Seen>, notes: u64) {
        if !batch.next().0.is_multiple_of(self.snapshot_every) {
            return;
        }
        let (is_small, seen) = (seen.len() < FILES_AT_ONCE, Arc::clone(seen));
        let work = move || packed(&seen, batch, notes, SNAPSHOT_BYTES_MAX);
        let is_written = match aside(is_small, work).await {
            Ok(bytes) => self.folder.note(&snapshot_name(batch), bytes).await,
            Err(error) => {
                tracing::warn!(%error, "a snapshot of what was seen was not written");
                false
            }
        };
        if let Some(old) = batch.0.checked_sub(self.snapshot_every * SNAPSHOTS_KEPT)
            && is_written
        {
            self.folder.remove(&snapshot_name(BatchId(old))).await;
        }
    }

    /// Returns up to when every file is planned, where that was told of the files that count now.
    pub(super) async fn proven(&self, looks_for: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let Some(bytes) = self.folder.bytes(PROOF).await? else { return Ok(None) };
        let proof: Option<Proof> = serde_json::from_slice(&bytes).ok();
        // One that cannot be read costs a listing.
        let proof = proof.filter(|proof| proof.format == FORMAT && proof.looks_for == looks_for);
        Ok(proof.map(|proof| proof.ts_proven))
    }

    /// Keeps a proof, instead of the one before. A failure is logged: it costs a listing.
    pub(super) async fn note_proof(&self, proof: &Proof) {
        match serde_json::to_vec_pretty(proof) {
            Ok(bytes) => drop(self.folder.note(PROOF, bytes).await),
            Err(error) => tracing::warn!(%error, "what is proven was not written"),
        }
    }

    /// Returns the notes of number `number`, if there are so many.
    pub(super) async fn notes(&self, number: u64) -> Result<Option<Vec<CleanNote>>, Error> {
        self.folder.read(&notes_name(number)).await
    }

    /// Makes `notes` those of number `number`; `false` when others were there first.
    pub(super) async fn create_notes(
        &self,
        number: u64,
        notes: &[CleanNote],
    ) -> Result<bool, Error> {
        let created = self.folder.create(&notes_name(number), notes.to_vec()).await?;
        Ok(created == notes)
    }

    /// Refuses a file of another format, or of another batch than its name says.
    fn valid<D>(
        &self,
        found: D,
        name: &str,
        batch: BatchId,
        says: fn(&D) -> (u32, BatchId),
    ) -> Result<D, Error> {
        match says(&found) {
            (FORMAT, said) if said == batch => Ok(found),
            (FORMAT, said) => Err(self.unusable(name, format!("it is of batch {said}"))),
            (format, _) => Err(self.unusable(name, other(format))),
        }
    }

    fn unusable(&self, name: &str, problem: String) -> Error {
        Error::State { key: self.folder.key(name), problem }
    }
}

fn other(format: u32) -> String {
    format!("its format is {format}, and this release knows {FORMAT}")
}

const fn says_plan(plan: &FilePlan) -> (u32, BatchId) {
    (plan.format, plan.batch)
}

const fn says_outcome(outcome: &Outcome) -> (u32, BatchId) {
    (outcome.format, outcome.batch)
}

fn plan_name(batch: BatchId) -> String {
    format!("offsets/{batch}.json")
}

fn outcome_name(batch: BatchId) -> String {
    format!("outcomes/{batch}.json")
}

fn notes_name(number: u64) -> String {
    format!("cleaned/{number}.json")
}

fn snapshot_name(batch: BatchId) -> String {
    format!("seen/{batch}.ndjson.zst")
}

/// Does work that takes a while where it holds up nobody, and other work at once.
async fn aside<R: Send + 'static>(
    is_small: bool,
    work: impl FnOnce() -> std::io::Result<R> + Send + 'static,
) -> std::io::Result<R> {
    if is_small {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

fn packed(seen: &Seen, batch: BatchId, notes: u64, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let packer = Packer { encoder: zstd::stream::Encoder::new(Vec::new(), LEVEL)?, bytes_max };
    // JSON is written word by word, and packing a word costs as much as packing a page.
    let mut packer = BufWriter::with_capacity(PAGE_BYTES, packer);
    let head = SnapshotHead { format: FORMAT, batch, notes, files: seen.len() };
    serde_json::to_writer(&mut packer, &head)?;
    for known in seen.rows() {
        packer.write_all(b"\n")?;
        serde_json::to_writer(&mut packer, known)?;
    }
    packer.into_inner().map_err(std::io::IntoInnerError::into_error)?.encoder.finish()
}

/// Packs as much as whoever unpacks it takes.
struct Packer {
    encoder: zstd::stream::Encoder<'static, Vec<u8>>,
    bytes_max: u64,
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(left) = self.bytes_max.checked_sub(count) else {
            return Err(std::io::Error::other("it would be more than a snapshot may hold"));
        };
        self.bytes_max = left;
        self.encoder.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.encoder.flush()
    }
}

fn unpacked(bytes: &[u8], batch: BatchId) -> std::io::Result<Snapshot> {
    let bad = |problem: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, problem);
    let text = zstd::stream::Decoder::new(bytes)?.take(SNAPSHOT_BYTES_MAX);
    let mut lines = BufReader::new(text).lines();
    let head = lines.next().ok_or_else(|| bad("it is empty"))??;
    let head: SnapshotHead = serde_json::from_str(&head)?;
    if (head.format, head.batch) != (FORMAT, batch) {
        return Err(bad("it is of another format or batch"));
    }
    let rows: std::io::Result<Vec<Known>> =
        lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect();
    let seen = Seen::from_rows(rows?);
    if seen.len() != head.files {
        return Err(bad("it is cut off"));
    }
    Ok(Snapshot { seen, batch, notes: head.notes })
}

#[cfg(test)]
mod tests;
