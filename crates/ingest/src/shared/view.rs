//! The shared pollers seen from outside: what `status`, `verify` and `doctor` ask, on any machine.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use model::Clock;
use object_store::ObjectStore;

use super::{
    chain::{READS_AT_ONCE, generation_folder, generations, is_current, load, pages},
    config::Layout,
    journal::Place,
    members::{Glance, list_beats, read_beat},
    objects::Objects,
    quota::{quota_taken, take_one},
};
use crate::{
    Error,
    poller::losses::{SeenTo, seen_to},
    quota::Reservation,
    state::{FetchedPage, PollStatus},
};

/// Reads what pollers share; changes nothing but the quota, when it is asked to.
#[derive(Clone, Debug)]
pub struct SharedView {
    objects: Objects,
}

impl SharedView {
    /// Looks at the store that [`super::SharedParts::store`] names; it may be empty.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self { objects: Objects::new(store, clock) }
    }

    /// Returns what the pollers say of themselves, all shards together.
    ///
    /// What they say is as old as their last beats. A shard that nobody shows, or only a poller
    /// that has lost it, is asked itself.
    ///
    /// # Errors
    /// The store failed, or an object is damaged.
    pub async fn status(&self, now: DateTime<Utc>) -> Result<PollStatus, Error> {
        let quota_used = quota_taken(&self.objects, now).await?;
        let mut status =
            PollStatus { windows_behind: 0, rows_total: 0, ts_newest: None, quota_used };
        let layouts = self.layouts().await?;
        let Some((generation, layout)) = layouts.last() else { return Ok(status) };
        let shown = self.shown(*generation).await?;
        let glances = stream::iter(0..layout.shards).map(|shard| {
            let place = layout.place(*generation, shard);
            self.glance(place, shown.get(&shard))
        });
        let glances: Vec<Glance> = glances.buffered(READS_AT_ONCE).try_collect().await?;
        for glance in glances {
            status.windows_behind = status.windows_behind.saturating_add(glance.windows_behind);
            status.rows_total = status.rows_total.saturating_add(glance.rows_total);
            status.ts_newest = status.ts_newest.max(glance.ts_newest);
        }
        Ok(status)
    }

    /// Takes one request of the shared quota for `holder`, who is no poller, unless that would pass
    /// `limit`. The holder's name must be another for every call, or two at once share one request.
    ///
    /// # Errors
    /// The store failed, or others were faster every time.
    pub async fn reserve_one(
        &self,
        holder: &str,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<Reservation, Error> {
        take_one(&self.objects, holder, limit, now).await
    }

    /// Returns every recorded page of every shard and generation, in the order of fetch ids.
    ///
    /// A page that was appended but not recorded before a crash is not among them: the lake may
    /// hold more pages than this, never fewer.
    ///
    /// # Errors
    /// The store failed, or an object is damaged or gone.
    pub async fn fetched_pages(&self) -> Result<Vec<FetchedPage>, Error> {
        let mut found = Vec::new();
        for (generation, layout) in self.layouts().await? {
            for shard in 0..layout.shards {
                found.extend(pages(&self.objects, layout.place(generation, shard)).await?);
            }
        }
        found.sort_unstable_by_key(|page| (page.fetch_id, page.page));
        Ok(found)
    }

    /// Returns the losses that the holders of shards have seen to; each shard has seen to them by
    /// itself.
    ///
    /// # Errors
    /// The store failed, or an object is damaged or gone.
    pub async fn losses_seen_to(&self) -> Result<Vec<SeenTo>, Error> {
        let mut found = Vec::new();
        for (generation, layout) in self.layouts().await? {
            for shard in 0..layout.shards {
                let state = load(&self.objects, layout.place(generation, shard)).await?;
                let notes = state.progress.into_iter().flat_map(|(chunk, parts)| {
                    parts.into_iter().map(move |(part, text)| (chunk, part, text))
                });
                found.extend(seen_to(notes));
            }
        }
        Ok(found)
    }

    /// Returns the generations that were ever begun, oldest first.
    async fn layouts(&self) -> Result<Vec<(u32, Layout)>, Error> {
        let mut layouts = Vec::new();
        for generation in generations(&self.objects).await? {
            if let Some(layout) = Layout::read(&self.objects, generation).await? {
                layouts.push((generation, layout));
            }
        }
        Ok(layouts)
    }

    /// Returns what is known of a shard: what its poller shows, or else what its chain holds.
    async fn glance(&self, place: Place, shown: Option<&Shown>) -> Result<Glance, Error> {
        if let Some(Shown { member, glance }) = shown
            && is_current(&self.objects, place, member, glance.links).await?
        {
            return Ok(*glance);
        }
        Ok(load(&self.objects, place).await?.glance())
    }

    /// Returns what the newest beats say of each shard; of two that show one, the one that wrote
    /// last to its chain: the other has lost it.
    async fn shown(&self, generation: u32) -> Result<BTreeMap<u32, Shown>, Error> {
        let folder = format!("{}/members", generation_folder(generation));
        let mut shown: BTreeMap<u32, Shown> = BTreeMap::new();
        for (member, numbers) in list_beats(&self.objects, &folder).await? {
            let Some(newest) = numbers.last() else { continue };
            let key = format!("{folder}/{member}/{newest:020}");
            let beat = read_beat(&self.objects, &key).await?.unwrap_or_default();
            for (shard, glance) in beat.shards {
                let known = shown.get(&shard).map(|known| known.glance.links);
                if known.is_none_or(|links| links < glance.links) {
                    shown.insert(shard, Shown { member: member.clone(), glance });
                }
            }
        }
        Ok(shown)
    }
}

/// What a poller shows of a shard.
#[derive(Clone, Debug)]
struct Shown {
    member: String,
    glance: Glance,
}
