//! The shared pollers seen from outside: what `status` and `verify` ask, on any machine.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use model::Clock;
use object_store::ObjectStore;

use super::{
    Layout,
    journal::Place,
    members::{Glance, list_beats, read_beat},
    objects::Objects,
    quota::quota_taken,
    shard::{generation_folder, load, pages},
};
use crate::{
    Error,
    state::{FetchedPage, PollStatus},
};

/// Reads what pollers share, and changes nothing.
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
    /// What they say is as old as their last beats. A shard that nobody shows is asked itself.
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
        for shard in 0..layout.shards {
            let glance = match shown.get(&shard) {
                Some(glance) => *glance,
                None => {
                    let state = load(&self.objects, layout.place(*generation, shard)).await?;
                    let (windows_behind, rows_total) = (state.windows_behind, state.rows_total);
                    Glance { windows_behind, rows_total, ts_newest: state.ts_newest }
                }
            };
            status.windows_behind = status.windows_behind.saturating_add(glance.windows_behind);
            status.rows_total = status.rows_total.saturating_add(glance.rows_total);
            status.ts_newest = status.ts_newest.max(glance.ts_newest);
        }
        Ok(status)
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

    /// Returns the generations that were ever begun, oldest first.
    async fn layouts(&self) -> Result<Vec<(u32, Layout)>, Error> {
        let mut layouts = BTreeMap::new();
        for folder in self.objects.folders().await? {
            let number = folder.strip_prefix("generation=").and_then(|text| text.parse().ok());
            let Some(generation) = number else { continue };
            if let Some(layout) = Layout::read(&self.objects, generation).await? {
                layouts.insert(generation, layout);
            }
        }
        Ok(layouts.into_iter().collect())
    }

    /// Returns what the newest beats say of each shard; of two that show one, the furthest.
    async fn shown(&self, generation: u32) -> Result<BTreeMap<u32, Glance>, Error> {
        let folder = format!("{}/members", generation_folder(generation));
        let mut shown: BTreeMap<u32, Glance> = BTreeMap::new();
        for (member, numbers) in list_beats(&self.objects, &folder).await? {
            let Some(newest) = numbers.last() else { continue };
            let key = format!("{folder}/{member}/{newest:020}");
            let beat = read_beat(&self.objects, &key).await?.unwrap_or_default();
            for (shard, glance) in beat.shards {
                let known = shown.entry(shard).or_insert(glance);
                if known.rows_total < glance.rows_total {
                    *known = glance;
                }
            }
        }
        Ok(shown)
    }
}

impl Layout {
    pub(super) const fn place(self, generation: u32, shard: u32) -> Place {
        Place { generation, shard, snapshot_links: self.snapshot_links }
    }
}
