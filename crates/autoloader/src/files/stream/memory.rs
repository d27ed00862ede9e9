//! A stream's state folder: plans, outcomes, and snapshots that save reading all of them.
//!
//! ```text
//! <stream>/offsets/N.json        create-only: what batch N is
//! <stream>/outcomes/N.json       create-only: what became of it
//! <stream>/seen/N.ndjson.zst     derived: everything seen up to batch N, a line for each path
//! ```

use std::{io::Read, sync::Arc};

use object_store::ObjectStore;

use crate::{
    error::Error,
    files::{
        plan::{FORMAT, FilePlan, Outcome},
        seen::{Known, Seen},
    },
    folder::Folder,
    target::BatchId,
};

/// A snapshot is written after this many batches: reading as many plans at a start takes a second
/// on a bucket, and a snapshot of a million files is ten megabytes.
const SNAPSHOT_EVERY: u64 = 100;

/// What a snapshot may unpack to, 4 GiB: some ten million files. Beyond it is none of ours.
const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;

/// zstd's own default: the text shrinks tenfold.
const LEVEL: i32 = 3;

/// The state folder of one stream.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    folder: Folder,
    failures_max: u32,
}

impl Memory {
    pub(super) fn new(store: Arc<dyn ObjectStore>, stream: &str, failures_max: u32) -> Self {
        Self { folder: Folder::new(store, stream.to_owned()), failures_max }
    }

    /// Returns the plan of `batch`, if there is one.
    pub(super) async fn plan(&self, batch: BatchId) -> Result<Option<FilePlan>, Error> {
        let name = plan_name(batch);
        let plan: Option<FilePlan> = self.folder.read(&name).await?;
        self.checked(plan, &name, batch, |plan| (plan.format, plan.batch))
    }

    /// Makes `plan` the plan of its batch, or returns the one that was there first.
    pub(super) async fn create_plan(&self, plan: FilePlan) -> Result<FilePlan, Error> {
        let (name, batch) = (plan_name(plan.batch), plan.batch);
        let plan = self.folder.create(&name, plan).await?;
        self.valid(plan, &name, batch, |plan| (plan.format, plan.batch))
    }

    /// Returns the outcome of `batch`, if it was decided.
    pub(super) async fn outcome(&self, batch: BatchId) -> Result<Option<Outcome>, Error> {
        let name = outcome_name(batch);
        let outcome: Option<Outcome> = self.folder.read(&name).await?;
        self.checked(outcome, &name, batch, |outcome| (outcome.format, outcome.batch))
    }

    /// Makes `outcome` the outcome of its batch, or returns the one that was there first.
    pub(super) async fn create_outcome(&self, outcome: Outcome) -> Result<Outcome, Error> {
        let (name, batch) = (outcome_name(outcome.batch), outcome.batch);
        let outcome = self.folder.create(&name, outcome).await?;
        self.valid(outcome, &name, batch, |outcome| (outcome.format, outcome.batch))
    }

    /// Brings `seen`, which knows the end of `settled`, to the end of `last`, or as far as plans and
    /// outcomes reach. Returns it with the last batch that it knows the end of.
    pub(super) async fn catch_up(
        &self,
        mut seen: Seen,
        mut settled: Option<BatchId>,
        last: Option<BatchId>,
    ) -> Result<(Seen, Option<BatchId>), Error> {
        let Some(last) = last else { return Ok((seen, settled)) };
        if settled.is_none_or(|settled| settled.0 + SNAPSHOT_EVERY < last.0)
            && let Some((snapshot, batch)) = self.newest_snapshot(last).await?
            && settled < Some(batch)
        {
            (seen, settled) = (snapshot, Some(batch));
        }
        let mut next = BatchId::after(settled);
        while next <= last {
            let (Some(plan), Some(outcome)) = (self.plan(next).await?, self.outcome(next).await?)
            else {
                break;
            };
            seen.settle(&plan, &outcome, self.failures_max);
            settled = Some(next);
            next = next.next();
        }
        Ok((seen, settled))
    }

    /// Writes a snapshot when one is due. A failure is logged: the plans are still there.
    pub(super) async fn note_commit(&self, batch: BatchId, seen: &Seen) {
        if batch.0 % SNAPSHOT_EVERY != SNAPSHOT_EVERY - 1 {
            return;
        }
        match packed(seen) {
            Ok(bytes) => self.folder.note(&snapshot_name(batch), bytes).await,
            Err(error) => tracing::warn!(%error, "a snapshot of what was seen was not written"),
        }
    }

    /// Returns the newest snapshot up to `last` that can be read.
    async fn newest_snapshot(&self, last: BatchId) -> Result<Option<(Seen, BatchId)>, Error> {
        let mut batches = self.folder.numbers("seen", ".ndjson.zst").await?;
        batches.sort_unstable();
        while let Some(number) = batches.pop() {
            let batch = BatchId(number);
            if last < batch {
                continue;
            }
            let name = snapshot_name(batch);
            let Some(bytes) = self.folder.bytes(&name).await? else { continue };
            match unpacked(&bytes) {
                Ok(seen) => return Ok(Some((seen, batch))),
                // An older one will do, or none: it is derived.
                Err(error) => tracing::warn!(name, %error, "a snapshot cannot be read"),
            }
        }
        Ok(None)
    }

    fn checked<D>(
        &self,
        found: Option<D>,
        name: &str,
        batch: BatchId,
        says: fn(&D) -> (u32, BatchId),
    ) -> Result<Option<D>, Error> {
        found.map(|found| self.valid(found, name, batch, says)).transpose()
    }

    /// Refuses a file of another format, or of another batch than its name says.
    fn valid<D>(
        &self,
        found: D,
        name: &str,
        batch: BatchId,
        says: fn(&D) -> (u32, BatchId),
    ) -> Result<D, Error> {
        let (format, said) = says(&found);
        let problem = match (format == FORMAT, said == batch) {
            (true, true) => return Ok(found),
            (false, _) => format!("its format is {format}, and this release knows {FORMAT}"),
            (true, false) => format!("it is of batch {said}"),
        };
        Err(Error::State { key: self.folder.key(name), problem })
    }
}

fn plan_name(batch: BatchId) -> String {
    format!("offsets/{batch}.json")
}

fn outcome_name(batch: BatchId) -> String {
    format!("outcomes/{batch}.json")
}

fn snapshot_name(batch: BatchId) -> String {
    format!("seen/{batch}.ndjson.zst")
}

fn packed(seen: &Seen) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL)?;
    for known in seen.rows() {
        serde_json::to_writer(&mut encoder, known)?;
        std::io::Write::write_all(&mut encoder, b"\n")?;
    }
    encoder.finish()
}

fn unpacked(bytes: &[u8]) -> std::io::Result<Seen> {
    let mut text = String::new();
    zstd::stream::Decoder::new(bytes)?.take(SNAPSHOT_BYTES_MAX).read_to_string(&mut text)?;
    let rows: Result<Vec<Known>, _> = text.lines().map(serde_json::from_str).collect();
    Ok(Seen::from_rows(rows?))
}
