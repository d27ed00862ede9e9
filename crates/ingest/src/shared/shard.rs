//! One shard as its holder sees it: a chain of create-only links, each one change.
//!
//! Whoever creates the next link holds the shard; whoever finds that somebody else did has lost
//! it. That is the whole fence: a poller that slept, was cut off, or was taken for dead cannot
//! record anything any more, and begins from the chain again. What it would find there is a claim,
//! and claims stay when other old links are deleted: no sleep is too long for the fence.

use std::{
    fmt,
    ops::Range,
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

/// Links deleted at a time, some snapshots' worth: it catches up, and is done within a round.
const PRUNED_MAX: u64 = 1024;

/// Returns the links that an old snapshot made superfluous, given the snapshots that there are.
///
/// What is before a snapshot is older than it. The links before the oldest one are gone, unless it
/// is the very first.
fn prunable(snapshots: &[Listed], place: Place, keep: TimeDelta) -> Range<u64> {
    let newest = snapshots.iter().map(|listed| listed.ts_modified).max();
    let is_old =
        |listed: &&Listed| newest.is_some_and(|newest| keep <= newest - listed.ts_modified);
    let first = snapshots.iter().find_map(Listed::number).unwrap_or_default();
    let begin = if first <= place.snapshot_links { 0 } else { first };
    let ends = snapshots.iter().filter(is_old).filter_map(Listed::number);
    let ends: Vec<u64> = ends.filter(|end| begin < *end).collect();
    let within = ends.iter().rfind(|end| **end - begin <= PRUNED_MAX);
    begin..within.or(ends.first()).copied().unwrap_or(begin)
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
    is_prunable: AtomicBool,
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
            is_prunable: AtomicBool::new(false),
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
        self.is_prunable.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns whether there is a snapshot that came after the last [`Self::prune`].
    pub(super) fn is_prunable(&self) -> bool {
        self.is_prunable.load(Ordering::Relaxed)
    }

    /// Deletes what a snapshot made superfluous a day ago.
    pub(super) async fn prune(&self) -> Result<(), Error> {
        let (objects, place) = (&self.parts.objects, self.place);
        let snapshots = objects.list(&place.snapshots(), None).await?;
        let links = prunable(&snapshots, place, KEEP);
        let spare: Vec<u64> = {
            let state = self.lock();
            links.clone().filter(|number| !state.is_claim(*number)).collect()
        };
        // The links first: the oldest snapshot says how far they are gone.
        if objects.delete(spare.into_iter().map(|number| key(&place.links(), number))).await {
            let is_spare = |listed: &Listed| listed.number().is_some_and(|it| it < links.end);
            let spare = snapshots.into_iter().filter(is_spare).map(|listed| listed.key);
            objects.delete(spare).await;
        }
        self.is_prunable.store(false, Ordering::Relaxed);
        Ok(())
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

    fn fetch_last(&self) -> Result<u64, Error> {
        Ok(self.lock().fetch_last())
    }

    async fn save_progress(&self, progress: &[(u32, String, String)]) -> Result<(), Error> {
        let progress = progress.to_vec();
        self.append(|_| Ok(Change::SaveProgress { progress })).await.map(drop)
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
    use std::time::Duration;

    use model::{Clock, ManualClock};

    use super::{
        super::{
            members::{Beat, Members},
            objects::counting::CountingStore,
        },
        *,
    };

    #[track_caller]
    fn check(snapshots: &[(u64, i64)], expected: Range<u64>) {
        let place = Place { generation: 1, shard: 0, snapshot_links: 4 };
        let listed = |(number, hours): &(u64, i64)| Listed {
            key: key("snapshots", *number),
            ts_modified: DateTime::UNIX_EPOCH + TimeDelta::hours(*hours),
        };
        let strange = Listed { key: "snapshots/notes.txt".to_owned(), ..listed(&(0, 0)) };
        let listed: Vec<Listed> = snapshots.iter().map(listed).chain([strange]).collect();
        assert_eq!(prunable(&listed, place, KEEP), expected, "{snapshots:?}");
    }

    #[test]
    fn only_what_is_before_an_old_snapshot_is_deleted() {
        check(&[], 0..0);
        check(&[(4, 0)], 0..0);
        check(&[(4, 0), (8, 23)], 0..0);
        check(&[(4, 0), (8, 24)], 0..4);
        check(&[(4, 0), (8, 1), (12, 24)], 0..4);
        check(&[(4, 0), (8, 1), (12, 25)], 0..8);
        // What is before the oldest one is gone already.
        check(&[(8, 0), (12, 1), (16, 24)], 8..8);
        check(&[(8, 0), (12, 1), (16, 25)], 8..12);
        // One that a late poller wrote once more.
        check(&[(8, 30), (12, 0), (16, 1), (20, 25)], 8..16);
        // Not all at once, but always something.
        check(&[(500, 0), (1000, 0), (1500, 0), (2000, 0), (2500, 24)], 500..1500);
        check(&[(1000, 0), (3000, 0), (5000, 24)], 1000..3000);
    }
    #[tokio::test]
    async fn a_change_waits_for_no_housekeeping() {
        let place = Place { generation: 1, shard: 0, snapshot_links: 4 };
        let store = Arc::new(CountingStore::default());
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        let objects = Objects::new(Arc::<CountingStore>::clone(&store), Arc::clone(&clock));
        let (holder, ttl) = ("a".to_owned(), Duration::from_secs(30));
        let lease = Arc::new(Lease::new(clock, ttl));
        let (folder, beats) = ("members".to_owned(), Arc::clone(&lease));
        let mut members = Members::new(objects.clone(), folder, holder.clone(), ttl, beats);
        members.beat(&Beat::default()).await.unwrap();
        let quota = Arc::new(SharedQuota::new(objects.clone(), holder.clone()));
        let parts = ShardParts { objects, holder, lease, quota };
        let shard = Shard::claim(parts, place, ShardState::default()).await.unwrap().unwrap();
        for _ in 0..9 {
            shard.add_chunk(Dataset::Eod, "1d", Vec::new()).await.unwrap();
        }
        assert_eq!(store.take().1, 0, "objects listed");
        assert!(shard.is_prunable());
        shard.prune().await.unwrap();
        assert_eq!(store.take().1, 2, "snapshots listed, and no link");
        assert!(!shard.is_prunable());
    }
}
