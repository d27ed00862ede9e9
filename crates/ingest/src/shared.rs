//! Pollers on many machines: they share the symbols through an object store and nothing else.
//!
//! Symbols are split into shards. Each shard is one [`Poller`] with a memory of its own, a chain of
//! create-only objects in the store; each process holds some shards and is one member among the
//! others, alive as long as it creates beats. What may happen:
//!
//! | | then |
//! |---|---|
//! | a poller dies | its beats stop, the others take its shards after `lease_ttl` |
//! | it stops in order | it releases its shards; the others take them at their next look |
//! | it sleeps and wakes | it finds its lease lapsed, or the next link of the chain taken |
//! | one more comes | the others give up what is above their share, between two plans |
//! | the store is away | leases lapse, nobody fetches; whoever is back first goes on |
//! | a reply is lost | the chain is read again, whatever it says holds |
//!
//! Beats only say who should hold a shard. Who does is decided by the chain alone, so no clock,
//! however wrong, can make two pollers record the same fetch id.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::future::{Either, select};
use model::{Clock, ErrorKind, clock::MarketTime};
use object_store::ObjectStore;

use crate::{
    Error,
    limiter::Limiter,
    poller::{PollConfig, Poller, PollerParts, Progress, WaitsFor, losses::Losses},
    quota::Forecast,
    source::MarketSource,
    topic::TopicWriter,
};

mod chain;
mod config;
mod journal;
mod members;
mod objects;
mod quota;
mod shard;
mod share;
mod view;

use chain::{generation_folder, load};
use config::Layout;
pub use config::SharedConfig;
pub(crate) use journal::are_of_one_memory;
use members::{Beat, Lease, Members};
use objects::{Objects, hash};
use quota::SharedQuota;
use shard::{Shard, ShardParts};
use share::{Situation, decide, split};
pub use view::SharedView;

/// What shared polling works with.
pub struct SharedParts {
    /// How pollers share.
    pub shared: SharedConfig,
    /// What all of them fetch together.
    pub config: PollConfig,
    /// Where they share, rooted at a prefix of their own; it must refuse to create an object twice.
    pub store: Arc<dyn ObjectStore>,
    /// Where rows come from.
    pub source: Arc<dyn MarketSource>,
    /// Where rows go.
    pub topic: Arc<dyn TopicWriter>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Market time.
    pub market_time: MarketTime,
    /// Seeds the jitter of retries.
    pub seed: u64,
}

impl std::fmt::Debug for SharedParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedParts").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// A shard that this process polls.
#[derive(Debug)]
struct Held {
    shard: Arc<Shard>,
    poller: Poller,
    due_at: Duration,
    /// When it last had its turn, to take turns.
    ran_at: Duration,
    progress: Option<Progress>,
    problem: Option<String>,
}

/// The poll stage of one of many machines.
#[derive(Debug)]
pub struct SharedPolling {
    parts: SharedParts,
    objects: Objects,
    limiter: Arc<tokio::sync::Mutex<Limiter>>,
    lease: Arc<Lease>,
    quota: Arc<SharedQuota>,
    members: Members,
    /// Unknown until the store has answered.
    layout: Option<Layout>,
    /// What each shard has to fetch; those without anything to do are not in it.
    work: BTreeMap<u32, PollConfig>,
    held: BTreeMap<u32, Held>,
    /// The shard whose poller is at work, taken out of `held`.
    running: Option<(u32, Arc<Shard>)>,
    /// Since when a shard was shown by nobody.
    unshown_since: BTreeMap<u32, Duration>,
    next_round_at: Duration,
    losses: Vec<Arc<dyn Losses>>,
}

/// A shard whose store or vendor failed is left alone this long; its chunks have longer pauses of
/// their own.
const REST: Duration = Duration::from_secs(1);

impl SharedPolling {
    /// Creates a poller that holds nothing yet; the store is first asked by [`Self::run_once`].
    ///
    /// # Errors
    /// `Error::Settings` when the settings cannot work.
    pub fn new(parts: SharedParts) -> Result<Self, Error> {
        parts.config.check()?;
        parts.shared.check()?;
        let SharedParts { shared, config, store, clock, .. } = &parts;
        let objects = Objects::new(Arc::clone(store), Arc::clone(clock));
        let limiter = Limiter::new(Arc::clone(clock), config.requests_per_second);
        let lease = Arc::new(Lease::new(Arc::clone(clock), shared.lease_ttl));
        let quota = Arc::new(SharedQuota::new(objects.clone(), shared.holder.clone()));
        let folder = format!("{}/members", generation_folder(shared.generation.get()));
        let (holder, ttl) = (shared.holder.clone(), shared.lease_ttl);
        let members = Members::new(objects.clone(), folder, holder, ttl, Arc::clone(&lease));
        let next_round_at = clock.monotonic();
        let work = split(config, shared.shards.get());
        Ok(Self {
            parts,
            objects,
            limiter: Arc::new(tokio::sync::Mutex::new(limiter)),
            lease,
            quota,
            members,
            layout: None,
            work,
            held: BTreeMap::new(),
            running: None,
            unshown_since: BTreeMap::new(),
            next_round_at,
            losses: Vec::new(),
        })
    }

    /// Lets what was fetched and lost be fetched again, as [`Poller::with_losses`]: by whoever holds
    /// the shard, and once.
    #[must_use]
    pub fn with_losses(mut self, losses: Arc<dyn Losses>) -> Self {
        self.losses.push(losses);
        self
    }

    /// Compares what the settings ask for with what is left of this month's quota.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forecast(&self) -> Result<Forecast, Error> {
        let now = self.parts.clock.now();
        self.quota.refresh(now).await?;
        let left = self.quota.left(self.parts.config.quota_month, now);
        Ok(self.parts.config.forecast(left, now))
    }

    /// Returns the shards that this process holds.
    #[must_use]
    pub fn shards(&self) -> BTreeSet<u32> {
        self.live().map(|(id, _)| id).collect()
    }

    /// Takes part in sharing, fetches what is due next, at most one plan, and returns when there
    /// is more to do; as [`Poller::run_once`].
    ///
    /// Call it again by then: beats are made in here. Dropping the future loses nothing: the shard
    /// at work is claimed again, and its window fetched again under a new fetch id.
    ///
    /// # Errors
    /// What an operator has to mend. What passes is told in the progress instead: it concerns one
    /// shard or one object, and the others go on.
    pub async fn run_once(&mut self) -> Result<Progress, Error> {
        self.running = None;
        if self.next_round_at <= self.now() {
            self.round().await?;
        }
        // One that has nothing to do leaves its turn to the next: what all of them wait for is
        // known when each has had its own.
        for _ in 0..self.held.len() {
            let now = self.now();
            let due = self.held.iter().filter(|(_, held)| held.due_at <= now);
            let next = due.min_by_key(|(_, held)| held.ran_at).map(|(id, _)| *id);
            let Some((id, held)) = next.and_then(|id| self.held.remove_entry(&id)) else { break };
            if let Some(moved) = self.run_shard(id, held).await? {
                return Ok(self.progress(Some(&moved)));
            }
        }
        Ok(self.progress(None))
    }

    /// Runs a shard's poller once, and takes part in sharing meanwhile; returns what it moved.
    async fn run_shard(&mut self, id: u32, mut held: Held) -> Result<Option<Progress>, Error> {
        self.running = Some((id, Arc::clone(&held.shard)));
        let result = {
            let mut run = Box::pin(held.poller.run_once());
            loop {
                let clock = Arc::clone(&self.parts.clock);
                let wait = self.next_round_at.saturating_sub(clock.monotonic());
                tokio::select! {
                    biased;
                    result = &mut run => break result,
                    () = clock.sleep(wait) => (),
                }
                // The poller goes on meanwhile: a slow store must not hold up what needs none.
                match select(pin!(self.round()), &mut run).await {
                    Either::Left((round, _)) => round?,
                    Either::Right((result, round)) => {
                        round.await?;
                        break result;
                    }
                }
            }
        };
        self.running = None;
        let now = self.now();
        held.ran_at = now;
        let moved = result.as_ref().ok().filter(|progress| progress.has_moved).cloned();
        let result = match result {
            Ok(progress) => {
                held.due_at = now.saturating_add(progress.next_due);
                held.progress = Some(progress);
                held.problem = None;
                Ok(())
            }
            Err(error) if !matches!(error.kind(), ErrorKind::Transient | ErrorKind::Conflict) => {
                held.due_at = now.saturating_add(REST);
                Err(error)
            }
            Err(error) => {
                tracing::warn!(shard = id, %error, "will try again");
                held.due_at = now.saturating_add(REST);
                held.problem = Some(error.to_string());
                Ok(())
            }
        };
        if held.shard.is_held() {
            self.held.insert(id, held);
        } else {
            self.next_round_at = now;
        }
        result.map(|()| moved)
    }

    /// Releases every shard and leaves, so that the others need not wait for the lease to lapse.
    ///
    /// # Errors
    /// The store failed; the others wait.
    pub async fn leave(&mut self) -> Result<(), Error> {
        let held = std::mem::take(&mut self.held).into_values().map(|held| held.shard);
        // Its poller is gone with the future it ran in; what it had begun is begun again.
        let running = self.running.take().map(|(_, shard)| shard);
        for shard in held.chain(running) {
            match shard.release().await {
                Ok(()) | Err(Error::ShardLost { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        self.members.leave().await
    }

    fn now(&self) -> Duration {
        self.parts.clock.monotonic()
    }

    /// Does what sharing asks for now and then; what passes by itself is tried again soon.
    ///
    /// A request that hangs must not keep the next beat waiting: what was begun is dropped then,
    /// and begun again after the beat.
    async fn round(&mut self) -> Result<(), Error> {
        let clock = Arc::clone(&self.parts.clock);
        let at_most = self.parts.shared.lease_ttl / 2;
        let taken = tokio::select! {
            biased;
            taken = Box::pin(self.take_part()) => taken,
            () = clock.sleep(at_most) => Ok(Duration::ZERO),
        };
        match taken {
            Ok(next) => {
                self.next_round_at = self.now().saturating_add(next);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Transient | ErrorKind::Conflict) => {
                tracing::warn!(%error, "sharing with other pollers: will try again");
                self.next_round_at = self.now().saturating_add(self.parts.shared.lease_ttl / 16);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Beats, looks at the others, and gives up or claims shards; returns when to do so again.
    async fn take_part(&mut self) -> Result<Duration, Error> {
        let layout = match self.layout {
            Some(layout) => layout,
            None => *self.layout.insert(Layout::agree(&self.objects, &self.parts.shared).await?),
        };
        self.held.retain(|_, held| held.shard.is_held());
        let next = self.members.beat(&self.beat()).await?;
        // A lease that lapsed before this beat took its shards along.
        self.held.retain(|_, held| held.shard.is_held());
        self.members.look().await?;
        let others = self.members.others();
        let pollers = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1);
        let pollers = NonZeroU32::new(pollers).unwrap_or(NonZeroU32::MIN);
        // The poller at work may hold the limiter while it waits its turn: next time, then.
        if let Ok(mut limiter) = self.limiter.try_lock() {
            limiter.share_among(pollers);
        }
        self.quota.refresh(self.parts.clock.now()).await?;
        if !self.lease.holds() || !self.members.is_known() {
            return Ok(next);
        }
        let has_changed = self.share_shards(layout, &others).await?;
        self.tidy().await;
        // Others learn of it from the next beat.
        Ok(if has_changed { Duration::ZERO } else { next })
    }

    /// Deletes what is superfluous of one shard: the next one has its turn in the next round.
    async fn tidy(&self) {
        let shard = self.live().map(|(_, shard)| shard).find(|shard| shard.is_prunable());
        if let Some(shard) = shard.cloned()
            && let Err(error) = shard.prune().await
        {
            tracing::debug!(%error, "old links stay until next time");
        }
    }

    /// Returns the shards that this process holds, the one at work included.
    fn live(&self) -> impl Iterator<Item = (u32, &Arc<Shard>)> {
        let held = self.held.iter().map(|(id, held)| (*id, &held.shard));
        let running = self.running.iter().map(|(id, shard)| (*id, shard));
        held.chain(running).filter(|(_, shard)| shard.is_held())
    }

    fn beat(&self) -> Beat {
        Beat { shards: self.live().map(|(id, shard)| (id, shard.glance())).collect() }
    }

    /// Gives up a shard that is above our share, or claims those nobody holds.
    async fn share_shards(
        &mut self,
        layout: Layout,
        others: &BTreeSet<String>,
    ) -> Result<bool, Error> {
        let wanted: BTreeSet<u32> = self.work.keys().copied().collect();
        let (ours, shown) = (self.shards(), self.members.shown());
        let now = self.now();
        self.unshown_since.retain(|id, _| !shown.contains(id) && !ours.contains(id));
        for id in wanted.iter().filter(|id| !shown.contains(id) && !ours.contains(id)) {
            self.unshown_since.entry(*id).or_insert(now);
        }
        let start = usize::from_str_radix(&hash(self.parts.shared.holder.as_bytes())[..4], 16);
        let situation = Situation {
            wanted: &wanted,
            ours: &ours,
            shown: &shown,
            pollers: others.len() + 1,
            start: start.unwrap_or_default(),
        };
        let round = decide(&situation);
        let mut has_changed = false;
        // The one at work is given up another time, between two plans.
        if let Some(held) = round.release.and_then(|id| self.held.remove(&id)) {
            match held.shard.release().await {
                Ok(()) | Err(Error::ShardLost { .. }) => has_changed = true,
                Err(error) => return Err(error),
            }
        }
        for id in round.claim {
            has_changed |= self.claim(layout, id, others).await?;
        }
        Ok(has_changed)
    }

    /// Claims a shard unless somebody else holds it; returns whether it is ours now.
    async fn claim(
        &mut self,
        layout: Layout,
        id: u32,
        others: &BTreeSet<String>,
    ) -> Result<bool, Error> {
        let SharedParts { shared, source, topic, clock, market_time, seed, .. } = &self.parts;
        let place = layout.place(shared.generation.get(), id);
        let state = load(&self.objects, place).await?;
        let unshown = self.unshown_since.get(&id).copied().unwrap_or_else(|| clock.monotonic());
        let is_left = match &state.owner {
            None => true,
            Some(owner) if *owner == shared.holder => true,
            // Alive, and has not shown it for the length of a lease: it let the shard go unsaid.
            Some(owner) if others.contains(owner) => {
                unshown.saturating_add(shared.lease_ttl) <= clock.monotonic()
            }
            Some(_) => self.members.has_watched_long(),
        };
        let Some(config) = self.work.get(&id).filter(|_| is_left).cloned() else {
            return Ok(false);
        };
        let parts = ShardParts {
            objects: self.objects.clone(),
            holder: shared.holder.clone(),
            lease: Arc::clone(&self.lease),
            quota: Arc::clone(&self.quota),
        };
        let Some(shard) = Shard::claim(parts, place, state).await? else { return Ok(false) };
        tracing::info!(shard = id, symbols = config.symbols.len(), "polls a shard");
        let shard = Arc::new(shard);
        let parts = PollerParts {
            config,
            source: Arc::clone(source),
            topic: Arc::clone(topic),
            state: Arc::<Shard>::clone(&shard),
            clock: Arc::clone(clock),
            market_time: *market_time,
            seed: seed.wrapping_add(u64::from(id)),
        };
        let mut poller = Poller::with_limiter(parts, Arc::clone(&self.limiter))?;
        for losses in &self.losses {
            poller = poller.with_losses(Arc::clone(losses));
        }
        let (due_at, ran_at) = (clock.monotonic(), Duration::ZERO);
        let held = Held { shard, poller, due_at, ran_at, progress: None, problem: None };
        self.held.insert(id, held);
        Ok(true)
    }

    /// Adds up what the shards say; `moved` is what the one at work has just done.
    fn progress(&self, moved: Option<&Progress>) -> Progress {
        let now = self.now();
        let wait = |at: Duration| at.saturating_sub(now);
        let mut sum = Progress {
            rows: moved.map_or(0, |progress| progress.rows),
            has_moved: moved.is_some(),
            next_due: wait(self.next_round_at),
            waits_for: None,
            windows_behind: 0,
            is_retrying: false,
            problem: None,
        };
        let mut waits_for = None;
        for held in self.held.values() {
            sum.next_due = sum.next_due.min(wait(held.due_at));
            sum.windows_behind =
                sum.windows_behind.saturating_add(held.shard.glance().windows_behind);
            let known = held.progress.as_ref();
            let problem = held.problem.as_ref().or(known.and_then(|known| known.problem.as_ref()));
            sum.is_retrying |= problem.is_some();
            sum.problem = sum.problem.take().or_else(|| problem.cloned());
            let this = match held.problem {
                Some(_) => Some(WaitsFor::Retry),
                None => known.and_then(|known| known.waits_for),
            };
            waits_for = more_urgent(waits_for, this.unwrap_or(WaitsFor::Market));
        }
        // One that has not had its turn yet waits for nothing.
        let is_new = |held: &Held| held.progress.is_none() && held.problem.is_none();
        if moved.is_none() && !self.held.values().any(is_new) {
            sum.waits_for = waits_for.or(Some(WaitsFor::ActivePoller));
        }
        sum
    }
}

/// Returns what to tell of two shards that wait: what keeps windows behind, before what does not.
fn more_urgent(one: Option<WaitsFor>, other: WaitsFor) -> Option<WaitsFor> {
    let rank = |waits_for: &WaitsFor| match waits_for {
        WaitsFor::ActivePoller => 0,
        WaitsFor::Market => 1,
        WaitsFor::Retry => 2,
        WaitsFor::Quota { .. } => 3,
    };
    one.into_iter().chain([other]).max_by_key(rank)
}
