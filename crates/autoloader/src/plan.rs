//! Which objects make a batch: the choice, pure, and the plan file that makes it final.

use std::collections::BTreeMap;

use model::landing::{LandingKey, LandingKind};
use serde::{Deserialize, Serialize};

use crate::target::BatchId;

/// How far each partition's chain has been read: the offset that names the next object.
///
/// A partition that is absent has not begun; its chain starts at its first object.
pub type Cursors = BTreeMap<u32, u64>;

/// The plan file's format; a loader refuses any other.
pub const PLAN_FORMAT: u32 = 1;

/// One object of a batch, and what it held when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedObject {
    /// The landing key.
    pub key: String,
    /// The store's tag of these bytes, where it gives one.
    pub etag: Option<String>,
    /// Bytes as stored.
    pub size: u64,
    /// The first offset.
    pub first: u64,
    /// The first offset of the following object.
    pub next: u64,
    /// Records in the object.
    pub count: u64,
    /// SHA-256 of the lines, from the footer. Decides whether an object is still the planned one:
    /// a restored bucket has new etags but the same rows.
    pub sha256: String,
}

/// What a batch consists of. Written once, create-only, before the batch is appended; from then
/// on batch `batch` means exactly these objects, for every process and for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// The release that wrote the plan.
    pub release: String,
    /// The pipeline.
    pub pipeline: String,
    /// The landing generation.
    pub generation: u32,
    /// The topic.
    pub topic: String,
    /// The batch.
    pub batch: BatchId,
    /// Where the chains stood before the batch.
    pub before: Cursors,
    /// Where they stand after it.
    pub after: Cursors,
    /// The objects, by partition, then offset.
    pub objects: Vec<PlannedObject>,
}

/// When a batch is full.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Most objects. Hard; Auto Loader calls it `maxFilesPerTrigger`.
    pub files_max: usize,
    /// Stored bytes after which nothing is added. Soft, the last object may exceed it; Auto Loader
    /// calls it `maxBytesPerTrigger`.
    pub bytes_max: u64,
    /// Uncompressed bytes after which nothing is added; soft as well. Bounds memory, which stored
    /// bytes do not: JSON shrinks twentyfold.
    pub raw_bytes_max: u64,
}

/// Collects the objects of one batch while their chains are walked.
#[derive(Debug)]
pub struct BatchChoice {
    limits: BatchLimits,
    objects: Vec<(LandingKey, PlannedObject)>,
    bytes: u64,
    raw_bytes: u64,
}

impl BatchChoice {
    /// Begins with nothing chosen.
    #[must_use]
    pub const fn new(limits: BatchLimits) -> Self {
        Self { limits, objects: Vec::new(), bytes: 0, raw_bytes: 0 }
    }

    /// Whether the batch takes no more. The first object always fits, or it would never be read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.objects.is_empty()
            && (self.limits.files_max <= self.objects.len()
                || self.limits.bytes_max <= self.bytes
                || self.limits.raw_bytes_max <= self.raw_bytes)
    }

    /// Takes `object` unless the batch is full; returns whether it did.
    pub fn offer(&mut self, key: LandingKey, object: PlannedObject, raw_bytes: u64) -> bool {
        if self.is_full() {
            return false;
        }
        self.bytes = self.bytes.saturating_add(object.size);
        self.raw_bytes = self.raw_bytes.saturating_add(raw_bytes);
        self.objects.push((key, object));
        true
    }

    /// Returns the objects and where they leave the chains that stood at `before`; `None` when
    /// nothing was chosen.
    #[must_use]
    pub fn finish(mut self, before: &Cursors) -> Option<(Vec<PlannedObject>, Cursors)> {
        if self.objects.is_empty() {
            return None;
        }
        self.objects.sort_by(|left, right| left.0.cmp(&right.0));
        let mut after = before.clone();
        let mut objects = Vec::with_capacity(self.objects.len());
        for (key, object) in self.objects {
            after.insert(key.partition, object.next);
            objects.push(object);
        }
        Some((objects, after))
    }
}

impl Plan {
    /// Returns why this release cannot use a plan that was read as that of `batch`.
    #[must_use]
    pub fn unreadable(&self, batch: BatchId) -> Option<String> {
        if self.format != PLAN_FORMAT {
            return Some(format!(
                "format {}, written by release {}; this release reads format {PLAN_FORMAT}",
                self.format, self.release
            ));
        }
        (self.batch != batch).then(|| format!("it is the plan of batch {}", self.batch))
    }

    /// Returns what is wrong with a plan that was read back; `None` when it can be run.
    ///
    /// `follows` is the plan of the batch before it.
    #[must_use]
    pub fn problem(&self, batch: BatchId, follows: Option<&Self>) -> Option<String> {
        if let Some(problem) = self.unreadable(batch) {
            return Some(problem);
        }
        if self.before != follows.map(|plan| plan.after.clone()).unwrap_or_default() {
            return Some("it does not begin where the batch before it ended".to_owned());
        }
        let mut cursors = self.before.clone();
        for object in &self.objects {
            let Ok(key) = object.key.parse::<LandingKey>() else {
                return Some(format!("`{}` is no landing key", object.key));
            };
            let ours = key.generation == self.generation && key.topic == self.topic;
            let linked =
                cursors.get(&key.partition).is_none_or(|cursor| *cursor == key.first_offset);
            if !ours || !linked || key.first_offset != object.first || object.next <= object.first {
                return Some(format!("`{}` is no link of the chain at its place", object.key));
            }
            cursors.insert(key.partition, object.next);
        }
        (cursors != self.after).then(|| "its objects do not lead to its end".to_owned())
    }

    /// Returns how many offsets of the batch are gaps: gone from the topic before they landed.
    #[must_use]
    pub fn offsets_lost(&self) -> u64 {
        let is_gap = |object: &&PlannedObject| {
            object.key.parse::<LandingKey>().is_ok_and(|key| key.kind == LandingKind::Gap)
        };
        let lost = self.objects.iter().filter(is_gap).map(|gap| gap.next.saturating_sub(gap.first));
        // Gaps of several partitions may be more together than a number holds, if a plan lies.
        lost.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests;
