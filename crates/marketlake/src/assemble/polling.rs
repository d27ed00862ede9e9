//! The poller: alone on its data folder, or one of several that share through a store.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use ingest::{
    poller::{
        Poller, PollerParts, Progress,
        losses::{LandedLosses, Loss, Losses, SeenTo, seen_to},
    },
    quota::Reservation,
    shared::{SharedConfig, SharedParts, SharedPolling, SharedView},
    state::{FetchedPage, PollStatus, State, fetched_pages},
    topic::TopicWriter,
};
use model::{Clock, Dataset};

use super::{Access, CurrentKey, ResultExt, Workbench};
use crate::failure::Failure;

/// Whoever fetches.
pub(crate) enum Polling {
    Alone(Box<Poller>),
    Shared(Box<Sharing>),
}

/// One of several pollers.
pub(crate) struct Sharing {
    polling: SharedPolling,
    clock: Arc<dyn Clock>,
    lease: Duration,
    /// How many parts of the symbols are ours, and since when.
    shards: (usize, Duration),
}

impl Polling {
    /// Builds the poller that the settings name.
    pub(crate) async fn open(
        bench: &Workbench,
        topic: Arc<dyn TopicWriter>,
        key: &CurrentKey,
        again_from: Option<NaiveDate>,
    ) -> Result<Self, Failure> {
        let source = Arc::new(bench.market(key)?);
        let (config, clock) = (bench.poll_config()?, Arc::clone(&bench.clock));
        let market_time = bench.config.market_time.market_time();
        let seed = rand::random();
        let Some(settings) = &bench.config.poll.shared else {
            let state = bench.poll_state()?;
            let parts = PollerParts { config, source, topic, state, clock, market_time, seed };
            let mut poller = Poller::new(parts).or_fail()?;
            for losses in losses(bench, again_from).await {
                poller = poller.with_losses(losses);
            }
            warn(poller.forecast().or_fail()?.warning());
            return Ok(Self::Alone(Box::new(poller)));
        };
        let store = bench.poll_store(settings, Access::Write).await?;
        let shared = SharedConfig {
            generation: settings.generation,
            shards: settings.shards,
            lease_ttl: settings.lease,
            holder: format!("{:016x}", rand::random::<u64>()),
            snapshot_links: SharedConfig::SNAPSHOT_LINKS,
        };
        let began = clock.monotonic();
        let parts = SharedParts {
            shared,
            config,
            store,
            source,
            topic,
            clock: Arc::clone(&clock),
            market_time,
            seed,
        };
        let mut polling = SharedPolling::new(parts).or_fail()?;
        for losses in losses(bench, again_from).await {
            polling = polling.with_losses(losses);
        }
        warn(polling.forecast().await.or_fail()?.warning());
        let lease = settings.lease;
        Ok(Self::Shared(Box::new(Sharing { polling, clock, lease, shards: (0, began) })))
    }

    /// Fetches what is due next; says as well whether the parts of the symbols are still being
    /// divided, so that more may come to be due.
    pub(crate) async fn run_once(&mut self) -> Result<(Progress, bool), ingest::Error> {
        match self {
            Self::Alone(poller) => Ok((poller.run_once().await?, false)),
            Self::Shared(sharing) => sharing.run_once().await,
        }
    }

    /// Gives back what others may take over at once.
    pub(crate) async fn leave(&mut self) -> Result<(), ingest::Error> {
        match self {
            Self::Alone(_) => Ok(()),
            Self::Shared(sharing) => sharing.polling.leave().await,
        }
    }
}

impl Sharing {
    async fn run_once(&mut self) -> Result<(Progress, bool), ingest::Error> {
        let progress = self.polling.run_once().await?;
        let (held, now) = (self.polling.shards().len(), self.clock.monotonic());
        if held != self.shards.0 {
            self.shards = (held, now);
        }
        // Parts of a poller that went without a word come after one lease, and some more.
        let is_dividing = now.saturating_sub(self.shards.1) < 2 * self.lease;
        Ok((progress, is_dividing))
    }
}

/// Returns where a poller hears of what is to be fetched again: landing, of what topics lost, and an
/// operator, of everything from a date on.
async fn losses(bench: &Workbench, again_from: Option<NaiveDate>) -> Vec<Arc<dyn Losses>> {
    let mut all: Vec<Arc<dyn Losses>> = Vec::new();
    let topics = Dataset::ALL.map(|dataset| bench.topic_name(dataset)).to_vec();
    match bench.landing_store(Access::Read).await {
        Ok(landing) => {
            all.push(Arc::new(LandedLosses::new(landing, topics, Arc::clone(&bench.clock))));
        }
        // A machine that only polls may have no right to look there.
        Err(failure) => tracing::warn!(
            "what a topic lost before it landed is not fetched again by this machine: {:#}",
            failure.error
        ),
    }
    if let Some(date) = again_from {
        let id = format!("{date}, asked at {}", bench.clock.now().to_rfc3339());
        all.push(Arc::new(vec![Loss::from_date(&id, date)]));
    }
    all
}

fn warn(warning: Option<String>) {
    if let Some(warning) = warning {
        tracing::warn!("quota: {warning}");
    }
}

/// What pollers remember, for those who only look.
pub(crate) enum PollMemory {
    Folder(Arc<State>),
    Shared(SharedView),
}

impl PollMemory {
    /// Opens the memory that the settings name.
    pub(crate) async fn open(bench: &Workbench) -> Result<Self, Failure> {
        match &bench.config.poll.shared {
            None => Ok(Self::Folder(bench.poll_state()?)),
            Some(settings) => {
                let store = bench.poll_store(settings, Access::Read).await?;
                Ok(Self::Shared(SharedView::new(store, Arc::clone(&bench.clock))))
            }
        }
    }

    /// Returns what the pollers say of themselves.
    pub(crate) async fn status(&self, now: DateTime<Utc>) -> Result<PollStatus, Failure> {
        match self {
            Self::Folder(state) => state.status(now).or_fail(),
            Self::Shared(view) => view.status(now).await.or_fail(),
        }
    }

    /// Takes one request of the vendor's monthly quota, for one that no poller sends.
    ///
    /// # Errors
    /// The quota is used up, or the memory cannot be asked.
    pub(crate) async fn reserve_one(
        &self,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<(), Failure> {
        let reserved = match self {
            Self::Folder(state) => state.reserve_quota(1, limit, now).or_fail()?,
            Self::Shared(view) => {
                // Two doctors at once are two requests.
                let holder = format!("doctor-{:016x}", rand::random::<u64>());
                view.reserve_one(&holder, limit, now).await.or_fail()?
            }
        };
        match reserved {
            Reservation::Granted => Ok(()),
            Reservation::Exhausted => Err(Failure::config(
                "the monthly quota is used up; raise `source.quota_month` if the plan allows more",
            )),
        }
    }

    /// Returns which losses of topics pollers have seen to.
    pub(crate) async fn losses_seen_to(&self) -> Result<Vec<SeenTo>, Failure> {
        match self {
            Self::Folder(state) => Ok(seen_to(state.progress().or_fail()?).collect()),
            Self::Shared(view) => view.losses_seen_to().await.or_fail(),
        }
    }

    /// Returns every page that was recorded, oldest fetch first.
    pub(crate) async fn pages(&self) -> Result<Vec<FetchedPage>, Failure> {
        match self {
            Self::Folder(state) => {
                fetched_pages(Arc::clone(state)).map(|page| page.or_fail()).collect()
            }
            Self::Shared(view) => view.fetched_pages().await.or_fail(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ingest::shared::SharedView;
    use model::clock::ManualClock;
    use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};

    use super::PollMemory;

    #[tokio::test]
    async fn a_request_beside_the_pollers_asks_for_the_quota_that_they_share() {
        let now = "2026-05-04T12:00:00Z".parse().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let memory = PollMemory::Shared(SharedView::new(
            Arc::clone(&store),
            Arc::new(ManualClock::new(now)),
        ));
        memory.reserve_one(Some(100), now).await.unwrap();

        // As a poller on another machine takes a range: the hash of the body, and the body.
        let taken = "8a0a426a91719585e153f82f623ba0fb77ae06ae502f8725b6c475a51b879190\n\
                     {\"holder\":\"another machine\",\"requests\":100}";
        let key = format!("quota/2026-05/{:020}", 1);
        store.put(&key.into(), taken.into()).await.unwrap();
        let error = memory.reserve_one(Some(100), now).await.unwrap_err().error.to_string();
        assert!(error.contains("used up"), "{error}");
        memory.reserve_one(Some(102), now).await.unwrap();
        memory.reserve_one(None, now).await.unwrap();
        assert_eq!(memory.status(now).await.unwrap().quota_used, 103, "each request counts");
    }
}
