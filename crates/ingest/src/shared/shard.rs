//! One shard as its holder sees it: a chain of create-only links, each one change.
//!
//! Whoever creates the next link holds the shard; whoever finds that somebody else did has lost
//! it. That is the whole fence: a poller that slept, was cut off, or was taken for dead cannot
//! record anything any more, and begins from the chain again. What it would find there is a claim,
//! and claims stay when other old links are deleted: no sleep is too long for the fence.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use model::Dataset;

use super::{
    chain::key,
    journal::{Change, Link, Place, ShardState},
    members::{Glance, Lease},
    objects::{Created, Listed, Objects},
    quota::SharedQuota,
};
use crate::{
    Error,
    poller::memory::{Finished, Memory, RecordedPage},
    quota::Reservation,
    state::{Chunk, PollerLock},
};

/// How long a link stays after a later snapshot made it superfluous, by the store's own clock. A
/// create that was on its way all this time would otherwise succeed where a link had been; no
/// request lives as long as that, except on a machine that was suspended, and that one is behind a
/// claim, which stays.
const KEEP: TimeDelta = TimeDelta::days(1);

fn to_json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("dates, numbers and text always serialise")
}

/// Returns the objects that the snapshot `state` makes superfluous, and that are old.
fn prunable<'a>(listed: &'a [Listed], state: &ShardState, keep: TimeDelta) -> Vec<&'a str> {
    let newest = listed.iter().map(|listed| listed.ts_modified).max();
    let is_old = |listed: &Listed| newest.is_some_and(|newest| keep <= newest - listed.ts_modified);
    let is_spare = |number: u64| number < state.next && !state.is_claim(number);
    listed
        .iter()
        .filter(|listed| listed.number().is_some_and(is_spare) && is_old(listed))
        .map(|listed| listed.key.as_str())
        .collect()
}

/// What a holder needs for each of its shards.
#[derive(Clone, Debug)]
pub(super) struct ShardParts {
    pub(super) objects: Objects,
    pub(super) holder: String,
    pub(super) lease: Arc<Lease>,
    pub(super) quota: Arc<SharedQuota>,
}

/// Loses the shard unless what became of a link is known, also when its future is dropped.
///
/// While the link is on its way the shard is held all the same: its poller waits for the answer,
/// and must not be taken for one that lost it.
struct Outcome<'a> {
    is_lost: &'a AtomicBool,
    is_known: bool,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if !self.is_known {
            self.is_lost.store(true, Ordering::Relaxed);
        }
    }
}

/// A shard that this process holds.
pub(super) struct Shard {
    place: Place,
    parts: ShardParts,
    /// The term of the lease in which it was claimed.
    term: u64,
    /// Links are written one after the other.
    writing: tokio::sync::Mutex<()>,
    state: Mutex<ShardState>,
    /// What is known here may not be what the chain holds.
    is_lost: AtomicBool,
    windows_behind: AtomicU64,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Shard {
    /// Claims a shard whose chain ends as in `state`; `None` when somebody else was first.
    pub(super) async fn claim(
        parts: ShardParts,
        place: Place,
        state: ShardState,
    ) -> Result<Option<Self>, Error> {
        let shard = Self {
            place,
            term: parts.lease.term(),
            parts,
            writing: tokio::sync::Mutex::default(),
            windows_behind: AtomicU64::new(state.windows_behind),
            state: Mutex::new(state),
            is_lost: AtomicBool::new(false),
        };
        match shard.append(|_| Ok(Change::Claim)).await {
            Ok(_) => Ok(Some(shard)),
            Err(Error::ShardLost { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the shard up, so that others need not wait.
    pub(super) async fn release(&self) -> Result<(), Error> {
        let windows_behind = self.windows_behind.load(Ordering::Relaxed);
        self.append(|_| Ok(Change::Release { windows_behind })).await?;
        self.is_lost.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns whether this process still holds the shard, as far as it knows.
    pub(super) fn is_held(&self) -> bool {
        !self.is_lost.load(Ordering::Relaxed) && self.parts.lease.is_in(self.term)
    }

    /// Returns what others may know of the shard.
    pub(super) fn glance(&self) -> Glance {
        let windows_behind = self.windows_behind.load(Ordering::Relaxed);
        Glance { windows_behind, ..self.lock().glance() }
    }

    fn lock(&self) -> MutexGuard<'_, ShardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self, problem: &'static str) -> Error {
        Error::ShardLost { shard: self.place.shard, problem }
    }

    /// Makes a change durable, then true here.
    ///
    /// | the link is | then |
    /// |---|---|
    /// | created | the change holds |
    /// | somebody else's | the shard is lost, and nothing was changed |
    /// | perhaps created, or on its way | the shard is lost too: only the chain knows |
    async fn append(
        &self,
        change: impl FnOnce(&ShardState) -> Result<Change, Error> + Send,
    ) -> Result<Change, Error> {
        let _writing = self.writing.lock().await;
        self.confirm()?;
        self.seal().await?;
        let (key, link) = {
            let state = self.lock();
            let link = Link { writer: self.parts.holder.clone(), change: change(&state)? };
            let key = key(&self.place.links(), state.next);
            state
                .check(self.place, &link)
                .map_err(|problem| Error::PollObject { key: key.clone(), problem })?;
            (key, link)
        };
        let mut outcome = Outcome { is_lost: &self.is_lost, is_known: false };
        match self.parts.objects.create(&key, &to_json(&link)).await? {
            Created::Ours => {
                let applied = self.lock().apply(self.place, &link);
                applied.map_err(|problem| Error::PollObject { key, problem })?;
                outcome.is_known = true;
                Ok(link.change)
            }
            Created::Others => Err(self.lost("another poller wrote to its journal")),
        }
    }

    /// Writes the snapshot that has to stand before the next link, if one has to.
    ///
    /// It follows from the links alone, so it does not matter who writes it, or how often.
    async fn seal(&self) -> Result<(), Error> {
        let (state, recent) = {
            let state = self.lock();
            if !state.is_at_snapshot(self.place) {
                return Ok(());
            }
            let mut state = state.clone();
            let recent = std::mem::take(&mut state.recent);
            (state, recent)
        };
        let objects = &self.parts.objects;
        // Before the snapshot: a crash in between leaves pages that are written once more.
        if !recent.is_empty() {
            objects.create(&key(&self.place.pages(), state.next), &to_json(&recent)).await?;
        }
        objects.create(&key(&self.place.snapshots(), state.next), &to_json(&state)).await?;
        self.prune(&state).await;
        Ok(())
    }

    /// Deletes what the snapshot `state` made superfluous a day ago.
    async fn prune(&self, state: &ShardState) {
        for folder in [self.place.links(), self.place.snapshots()] {
            match self.parts.objects.list(&folder, None).await {
                Ok(listed) => {
                    for key in prunable(&listed, state, KEEP) {
                        self.parts.objects.delete(key).await;
                    }
                }
                Err(error) => tracing::debug!(folder, %error, "old links stay until next time"),
            }
        }
    }
}

#[async_trait]
impl Memory for Shard {
    fn try_lock(&self) -> Result<Option<PollerLock>, Error> {
        self.confirm().map(|()| Some(PollerLock::leased()))
    }

    fn confirm(&self) -> Result<(), Error> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(self.lost("its journal has to be read again"));
        }
        if !self.parts.lease.is_in(self.term) {
            return Err(self.lost("the lease was not renewed in time"));
        }
        Ok(())
    }

    fn chunks(&self, dataset: Dataset, interval: &str) -> Result<Vec<Chunk>, Error> {
        let state = self.lock();
        let wanted = state
            .chunks
            .iter()
            .filter(|(_, chunk)| chunk.dataset == dataset && chunk.interval == interval);
        let chunk = |(id, chunk): (&u32, &super::journal::ChunkRow)| Chunk {
            id: *id,
            dataset,
            interval: interval.to_owned(),
            symbols: chunk.symbols.clone(),
        };
        Ok(wanted.map(chunk).collect())
    }

    async fn add_chunk(
        &self,
        dataset: Dataset,
        interval: &str,
        symbols: Vec<String>,
    ) -> Result<Chunk, Error> {
        let interval = interval.to_owned();
        let mut chunk = Chunk { id: 0, dataset, interval, symbols };
        let added = chunk.clone();
        let added = self.append(|state| {
            let Chunk { dataset, interval, symbols, .. } = added;
            Ok(Change::AddChunk { id: state.next_chunk(), dataset, interval, symbols })
        });
        if let Change::AddChunk { id, .. } = added.await? {
            chunk.id = id;
        }
        Ok(chunk)
    }

    async fn shrink_chunk(&self, chunk: &Chunk) -> Result<(), Error> {
        let (id, symbols) = (chunk.id, chunk.symbols.clone());
        self.append(|_| Ok(Change::ShrinkChunk { id, symbols })).await.map(drop)
    }

    fn progress(&self) -> Result<Vec<(u32, String, String)>, Error> {
        let state = self.lock();
        let parts = state.progress.iter().flat_map(|(chunk, parts)| {
            parts.iter().map(|(part, text)| (*chunk, part.clone(), text.clone()))
        });
        Ok(parts.collect())
    }

    async fn begin_fetch(
        &self,
        dataset: Dataset,
        chunk: u32,
        plan: &str,
        ts: DateTime<Utc>,
    ) -> Result<u64, Error> {
        let (place, plan) = (self.place, plan.to_owned());
        let begun = self.append(|state| {
            let no_id = || self.broken("beginning a fetch", "its fetch ids are used up".to_owned());
            let fetch_id = state.next_fetch_id(place).ok_or_else(no_id)?;
            Ok(Change::BeginFetch { fetch_id, dataset, chunk, plan, ts })
        });
        match begun.await? {
            Change::BeginFetch { fetch_id, .. } => Ok(fetch_id),
            other => Err(self.broken("beginning a fetch", format!("{other:?} was written"))),
        }
    }

    async fn record_page(&self, page: RecordedPage<'_>) -> Result<(), Error> {
        let RecordedPage { fetch_id, page, rows, set_hash, ts_fetched } = page;
        let (rows, set_hash) = (u64::try_from(rows).unwrap_or(u64::MAX), set_hash.to_owned());
        let change = Change::RecordPage { fetch_id, page, rows, set_hash, ts_fetched };
        self.append(|_| Ok(change)).await.map(drop)
    }

    async fn finish_fetch(&self, finished: Finished<'_>, ts: DateTime<Utc>) -> Result<(), Error> {
        let Finished { fetch_id, rows_total, set_hash, chunk, progress } = finished;
        let (set_hash, progress) = (set_hash.to_owned(), progress.to_vec());
        let change = Change::FinishFetch { fetch_id, rows_total, set_hash, chunk, progress, ts };
        self.append(|_| Ok(change)).await.map(drop)
    }

    async fn fail_fetch(
        &self,
        fetch_id: u64,
        problem: &str,
        ts: DateTime<Utc>,
    ) -> Result<(), Error> {
        let change = Change::FailFetch { fetch_id, problem: problem.to_owned(), ts };
        self.append(|_| Ok(change)).await.map(drop)
    }

    /// The claim has given them up already.
    async fn fail_unfinished(&self, _now: DateTime<Utc>) -> Result<usize, Error> {
        Ok(0)
    }

    /// Told with the next beat, and written down when the shard is released.
    fn note_windows_behind(&self, windows: u64) -> Result<(), Error> {
        self.windows_behind.store(windows, Ordering::Relaxed);
        Ok(())
    }

    async fn reserve_quota(
        &self,
        requests: u64,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<Reservation, Error> {
        self.parts.quota.reserve(requests, limit, now).await
    }

    async fn refuse_quota(
        &self,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Error> {
        self.parts.quota.refuse(limit, now).await
    }

    fn quota_left(&self, limit: Option<u64>, now: DateTime<Utc>) -> Result<u64, Error> {
        Ok(self.parts.quota.left(limit, now))
    }

    fn quota_reset(&self, limit: Option<u64>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
        Ok(self.parts.quota.reset(limit, now))
    }

    fn broken(&self, doing: &'static str, problem: String) -> Error {
        Error::PollObject { key: self.place.folder(), problem: format!("{doing}: {problem}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { generation: 1, shard: 0, snapshot_links: 4 };

    /// A shard of one writer that was taken with its first link, and has `next` of them.
    fn state(next: u64) -> ShardState {
        let mut state = ShardState::default();
        for _ in 0..next {
            let id = state.next_chunk();
            let (dataset, interval, symbols) = (Dataset::Eod, String::new(), Vec::new());
            let change = match state.owner {
                None => Change::Claim,
                Some(_) => Change::AddChunk { id, dataset, interval, symbols },
            };
            state.apply(PLACE, &Link { writer: "a".to_owned(), change }).unwrap();
        }
        state
    }

    fn listed(number: u64, hours: i64) -> Listed {
        let ts_modified = DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        Listed { key: key("links", number), ts_modified }
    }

    #[test]
    fn only_what_is_old_and_before_the_snapshot_is_deleted() {
        let strange = Listed { key: "links/notes.txt".to_owned(), ..listed(0, 0) };
        let mut links: Vec<Listed> = vec![listed(1, 0), listed(2, 1), listed(3, 2)];
        links.extend([listed(4, 0), listed(5, 25), strange]);
        let found = |next, keep| prunable(&links, &state(next), TimeDelta::hours(keep));
        assert_eq!(found(4, 24), [&links[0].key[..], &links[1].key]);
        assert_eq!(found(2, 24), [&links[0].key[..]]);
        assert_eq!(found(4, 25), [&links[0].key[..]]);
        assert_eq!(found(4, 26), Vec::<&str>::new());
        assert_eq!(prunable(&[], &state(4), KEEP), Vec::<&str>::new());
    }

    #[test]
    fn a_claim_stays_for_ever() {
        let mut state = state(3);
        state.apply(PLACE, &Link { writer: "b".to_owned(), change: Change::Claim }).unwrap();
        let links: Vec<Listed> = (0..5).map(|number| listed(number, 0)).collect();
        let newest = Listed { key: key("links", 5), ..listed(0, 24) };
        let links: Vec<Listed> = links.into_iter().chain([newest]).collect();
        assert_eq!(prunable(&links, &state, KEEP), [&links[1].key[..], &links[2].key]);
    }
}
