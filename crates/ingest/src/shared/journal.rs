//! A shard's memory as the sum of its changes: pure, so that every poller adds up the same.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use model::Dataset;
use serde::{Deserialize, Serialize};

use crate::state::FetchedPage;

/// Bits of a fetch id that name the shard.
const SHARD_BITS: u32 = 10;
/// Bits of a fetch id below the generation.
const BELOW_GENERATION_BITS: u32 = 40;

/// Returns whether two fetch ids were given by the same memory, so that they can be compared.
pub(crate) const fn are_of_one_memory(one: u64, other: u64) -> bool {
    let is_shared = one >> BELOW_GENERATION_BITS != 0;
    one >> BELOW_GENERATION_BITS == other >> BELOW_GENERATION_BITS
        && (!is_shared || one % (1 << SHARD_BITS) == other % (1 << SHARD_BITS))
}

/// Most shards: what a fetch id has room for.
pub(super) const SHARDS_MAX: u32 = 1 << SHARD_BITS;
/// The last generation whose fetch ids a JSON reader keeps exact (2^53).
pub(super) const GENERATION_MAX: u32 = (1 << (53 - BELOW_GENERATION_BITS)) - 1;

/// Claims that are remembered, 20 KiB of a snapshot. A poller that slept through more of them is
/// fenced by its lease alone.
const CLAIMS_MAX: usize = 1024;

/// Which shard of which generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: u32,
    pub(super) shard: u32,
    /// A snapshot stands before every link whose number is a multiple of this.
    pub(super) snapshot_links: u64,
}

impl Place {
    /// Returns the fetch id before the first one.
    ///
    /// An id is `generation << 40 | count << 10 | shard`: no two shards give the same, a later one
    /// of a shard is larger, and all of a generation are larger than those of the one before and
    /// than any that a single poller counted from 1.
    fn fetch_zero(self) -> u64 {
        u64::from(self.generation) << BELOW_GENERATION_BITS | u64::from(self.shard)
    }
}

/// One object of a shard's journal: what one writer changed in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// The poller that wrote it.
    pub(super) writer: String,
    pub(super) change: Change,
}

/// Everything that can happen to a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(super) enum Change {
    /// The writer holds the shard from here on; what its predecessor had begun is given up.
    Claim,
    /// Nobody holds the shard from here on.
    Release {
        windows_behind: u64,
    },
    AddChunk {
        id: u32,
        dataset: Dataset,
        interval: String,
        symbols: Vec<String>,
    },
    ShrinkChunk {
        id: u32,
        symbols: Vec<String>,
    },
    /// The plan is for people.
    BeginFetch {
        fetch_id: u64,
        dataset: Dataset,
        chunk: u32,
        plan: String,
        ts: DateTime<Utc>,
    },
    RecordPage {
        fetch_id: u64,
        page: u32,
        rows: u64,
        set_hash: String,
        ts_fetched: DateTime<Utc>,
    },
    FinishFetch {
        fetch_id: u64,
        rows_total: u64,
        set_hash: String,
        chunk: u32,
        progress: Vec<(String, String)>,
        ts: DateTime<Utc>,
    },
    FailFetch {
        fetch_id: u64,
        problem: String,
        ts: DateTime<Utc>,
    },
    /// Progress outside a fetch, as chunk, part and state.
    SaveProgress {
        progress: Vec<(u32, String, String)>,
    },
}

/// A chunk of symbols that are fetched together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChunkRow {
    pub(super) dataset: Dataset,
    pub(super) interval: String,
    pub(super) symbols: Vec<String>,
}

/// All that is known of a shard after its first `next` links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardState {
    /// The number of the next link.
    pub(super) next: u64,
    /// Who holds the shard.
    pub(super) owner: Option<String>,
    /// The links by which somebody took the shard, the newest ones.
    #[serde(default)]
    claims: BTreeSet<u64>,
    chunk_last: u32,
    pub(super) chunks: BTreeMap<u32, ChunkRow>,
    /// Per chunk and part.
    pub(super) progress: BTreeMap<u32, BTreeMap<String, String>>,
    /// The last fetch id given, 0 for none.
    fetch_last: u64,
    /// Fetches that are under way.
    started: BTreeMap<u64, Dataset>,
    /// Pages recorded since the last snapshot; earlier ones are in the archive.
    pub(super) recent: Vec<FetchedPage>,
    pub(super) rows_total: u64,
    pub(super) ts_newest: Option<DateTime<Utc>>,
    pub(super) windows_behind: u64,
}

impl ShardState {
    /// Returns the number of the next chunk.
    pub(super) const fn next_chunk(&self) -> u32 {
        self.chunk_last.saturating_add(1)
    }

    /// Returns the id of the next fetch; `None` after a billion of them.
    pub(super) fn next_fetch_id(&self, place: Place) -> Option<u64> {
        let last = self.fetch_last.max(place.fetch_zero());
        let next = last + (1 << SHARD_BITS);
        (next >> BELOW_GENERATION_BITS == u64::from(place.generation)).then_some(next)
    }

    /// Returns whether a link is a claim, as far as they are remembered.
    ///
    /// Such a link is what whoever held the shard before finds in the place of its own next one.
    /// While it stays, nobody can write where somebody else took over, however late.
    pub(super) fn is_claim(&self, number: u64) -> bool {
        self.claims.contains(&number)
    }

    /// Returns the last fetch id given, 0 for none.
    pub(super) const fn fetch_last(&self) -> u64 {
        self.fetch_last
    }

    /// Returns whether the next link has a snapshot before it.
    pub(super) const fn is_at_snapshot(&self, place: Place) -> bool {
        self.next != 0 && self.next.is_multiple_of(place.snapshot_links)
    }

    /// Adds the next link.
    ///
    /// # Errors
    /// The link cannot follow, as a phrase; nothing was changed.
    pub(super) fn apply(&mut self, place: Place, link: &Link) -> Result<(), String> {
        self.check(place, link)?;
        if self.is_at_snapshot(place) {
            self.recent.clear();
        }
        let number = self.next;
        self.next += 1;
        match &link.change {
            Change::Claim => {
                self.claims.insert(number);
                if CLAIMS_MAX < self.claims.len() {
                    self.claims.pop_first();
                }
                self.owner = Some(link.writer.clone());
                self.started.clear();
            }
            Change::Release { windows_behind } => {
                self.owner = None;
                self.windows_behind = *windows_behind;
            }
            Change::AddChunk { id, dataset, interval, symbols } => {
                self.chunk_last = *id;
                let (interval, symbols) = (interval.clone(), symbols.clone());
                self.chunks.insert(*id, ChunkRow { dataset: *dataset, interval, symbols });
            }
            Change::ShrinkChunk { id, symbols } => {
                if let Some(chunk) = self.chunks.get_mut(id) {
                    chunk.symbols.clone_from(symbols);
                }
            }
            Change::BeginFetch { fetch_id, dataset, .. } => {
                self.fetch_last = *fetch_id;
                self.started.insert(*fetch_id, *dataset);
            }
            Change::RecordPage { fetch_id, page, rows, ts_fetched, .. } => {
                if let Some(dataset) = self.started.get(fetch_id).copied() {
                    let (fetch_id, page, rows) = (*fetch_id, *page, *rows);
                    self.recent.push(FetchedPage { dataset, fetch_id, page, rows });
                }
                self.rows_total = self.rows_total.saturating_add(*rows);
                self.ts_newest = Some(*ts_fetched);
            }
            Change::FinishFetch { fetch_id, chunk, progress, .. } => {
                self.started.remove(fetch_id);
                self.progress.entry(*chunk).or_default().extend(progress.iter().cloned());
            }
            Change::FailFetch { fetch_id, .. } => {
                self.started.remove(fetch_id);
            }
            Change::SaveProgress { progress } => {
                for (chunk, part, state) in progress {
                    self.progress.entry(*chunk).or_default().insert(part.clone(), state.clone());
                }
            }
        }
        Ok(())
    }

    /// Checks that a link can follow.
    ///
    /// # Errors
    /// Why it cannot, as a phrase.
    pub(super) fn check(&self, place: Place, link: &Link) -> Result<(), String> {
        let is_claim = matches!(link.change, Change::Claim);
        if !is_claim && self.owner.as_ref() != Some(&link.writer) {
            return Err(format!("`{}` wrote it without holding the shard", link.writer));
        }
        let under_way = |fetch_id: &u64| {
            let is_known = self.started.contains_key(fetch_id);
            is_known.then_some(()).ok_or_else(|| format!("fetch {fetch_id} is not under way"))
        };
        match &link.change {
            Change::Claim | Change::Release { .. } | Change::SaveProgress { .. } => Ok(()),
            Change::AddChunk { id, .. } if *id == self.next_chunk() => Ok(()),
            Change::AddChunk { id, .. } => Err(format!("chunk {id} is not the next one")),
            Change::ShrinkChunk { id, .. } if self.chunks.contains_key(id) => Ok(()),
            Change::ShrinkChunk { id, .. } => Err(format!("there is no chunk {id}")),
            Change::BeginFetch { fetch_id, .. } if Some(*fetch_id) == self.next_fetch_id(place) => {
                Ok(())
            }
            Change::BeginFetch { fetch_id, .. } => {
                Err(format!("fetch {fetch_id} is not the next one"))
            }
            Change::RecordPage { fetch_id, .. }
            | Change::FinishFetch { fetch_id, .. }
            | Change::FailFetch { fetch_id, .. } => under_way(fetch_id),
        }
    }
}

#[cfg(test)]
mod tests;
