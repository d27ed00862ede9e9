//! The landing chain: the records of a topic as immutable objects, each exactly once.
//!
//! An object is named by its first offset and its footer names the next one, so the objects of a
//! partition are a chain, and the chain is the progress: nothing else is kept or believed. Every
//! object is created by one create-only PUT. Whoever loses that race takes the winner's object as
//! the next link and goes on behind it; so any number of landers may run on one chain, and a call
//! may be cut off anywhere.
//!
//! [`chain`] reads links. The store must arbitrate creations; whoever opens it makes sure of that.

pub mod chain;
mod draft;
mod partition;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use model::{Clock, landing::LandingKey};
use object_store::ObjectStore;

use self::partition::PartitionLander;
use crate::{error::Error, topic::TopicReader};

/// Partitions worked on at once: hides the latency of a remote store, and bounds memory to four
/// reads and four open objects.
const PARTITIONS_AT_ONCE: usize = 4;

/// What to do when the topic dropped records before they landed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnGap {
    /// Stop with an error.
    #[default]
    Stop,
    /// State the gap in the chain, warn, and land on behind it.
    Record,
}

/// The settings of a [`Lander`].
#[derive(Clone, Debug)]
pub struct LandingConfig {
    /// The chain's generation; raised by an operator after a divergence.
    pub generation: u32,
    /// The topic to land.
    pub topic: String,
    /// An object is sealed when its lines reach this many bytes, uncompressed.
    pub bytes_max: u64,
    /// An object is sealed when it has this many records.
    pub rows_max: u64,
    /// An object is sealed this long after its first record was read, once the topic's end is
    /// reached. Short means fresh data in many objects.
    pub age_max: Duration,
    /// What to do about records the topic no longer has.
    pub on_gap: OnGap,
}

impl LandingConfig {
    /// Returns the settings for `topic` that suit a local disk: 16 MiB or 100,000 rows while
    /// catching up, 200 ms when live.
    #[must_use]
    pub fn for_topic(topic: &str) -> Self {
        Self {
            generation: 0,
            topic: topic.to_owned(),
            bytes_max: 16 * 1024 * 1024,
            rows_max: 100_000,
            age_max: Duration::from_millis(200),
            on_gap: OnGap::Stop,
        }
    }
}

/// What one call of [`Lander::run_once`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records this call landed.
    pub records: u64,
    /// Objects this call created, gaps included.
    pub objects: u64,
    /// Bytes of those objects, as stored.
    pub bytes: u64,
    /// Links that another lander created first and that were taken over.
    pub adopted: u64,
    /// Gaps written.
    pub gaps: u64,
    /// Offsets lost in those gaps.
    pub gap_records: u64,
    /// Whether more can be landed at once.
    pub is_behind: bool,
    /// When an open object has to be sealed; run again by then, new records or not.
    pub seal_in: Option<Duration>,
}

impl Progress {
    /// Returns whether the chain grew or our view of it did.
    #[must_use]
    pub const fn moved(&self) -> bool {
        self.objects != 0 || self.adopted != 0
    }

    const fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            objects: self.objects + other.objects,
            bytes: self.bytes + other.bytes,
            adopted: self.adopted + other.adopted,
            gaps: self.gaps + other.gaps,
            gap_records: self.gap_records + other.gap_records,
            is_behind: self.is_behind || other.is_behind,
            seal_in: match (self.seal_in, other.seal_in) {
                (Some(left), Some(right)) if left.as_nanos() < right.as_nanos() => Some(left),
                (Some(_), Some(right)) => Some(right),
                (Some(one), None) | (None, Some(one)) => Some(one),
                (None, None) => None,
            },
        }
    }
}

/// What every partition of a lander works with.
#[derive(Clone)]
struct Context {
    store: Arc<dyn ObjectStore>,
    reader: Arc<dyn TopicReader>,
    clock: Arc<dyn Clock>,
    config: LandingConfig,
}

impl Context {
    fn key(&self, partition: u32, first_offset: u64) -> LandingKey {
        LandingKey {
            generation: self.config.generation,
            topic: self.config.topic.clone(),
            partition,
            first_offset,
            kind: model::landing::LandingKind::Records,
        }
    }
}

/// Lands one topic, all its partitions.
pub struct Lander {
    context: Context,
    partitions: Vec<PartitionLander>,
    /// The partitions that are ours; `None` for all of them.
    assigned: Option<Vec<u32>>,
}

impl std::fmt::Debug for Lander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lander")
            .field("store", &self.context.store)
            .field("config", &self.context.config)
            .field("partitions", &self.partitions)
            .field("assigned", &self.assigned)
            .finish_non_exhaustive()
    }
}

impl Lander {
    /// Creates a lander; nothing is read yet. `store` is rooted at the landing zone.
    ///
    /// # Errors
    /// A setting cannot work.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        reader: Arc<dyn TopicReader>,
        clock: Arc<dyn Clock>,
        config: LandingConfig,
    ) -> Result<Self, Error> {
        let refuse =
            |setting, problem: &str| Err(Error::Settings { setting, problem: problem.to_owned() });
        if !LandingKey::is_topic_name(&config.topic) {
            return refuse(
                "landing.topic",
                "a topic has 1 to 64 characters of `A-Z a-z 0-9 . _ -`, not starting with a dot",
            );
        }
        if config.bytes_max == 0 || chain::LINES_BYTES_MAX / 2 < config.bytes_max {
            return refuse("landing.bytes_max", "must be from 1 byte to 128 MiB");
        }
        if config.rows_max == 0 {
            return refuse("landing.rows_max", "must be at least 1");
        }
        let context = Context { store, reader, clock, config };
        Ok(Self { context, partitions: Vec::new(), assigned: None })
    }

    /// Brings every partition that is ours forward by at most one object.
    ///
    /// What was gathered of a partition that went to another lander is forgotten. One that still
    /// believes to own it does no harm: whoever creates an object second takes over the first.
    ///
    /// Records that do not fill an object stay open in memory until it is old enough; see
    /// [`Progress::seal_in`]. A call that fails or is dropped loses only that memory: the next one
    /// begins from the chain.
    ///
    /// # Errors
    /// The topic or the store failed, a record is gone and the policy is to stop, or the topic is
    /// not the one landed so far; see [`Error::kind`].
    pub async fn run_once(&mut self) -> Result<Progress, Error> {
        let count = self.context.reader.partitions(&self.context.config.topic).await?;
        // Partitions are never taken away, and a topic may get more.
        let known = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        self.partitions.extend((known..count).map(PartitionLander::new));
        let context = &self.context;
        self.assigned = context.reader.assigned(&context.config.topic).await?;
        let assigned = &self.assigned;
        // Collected first: a stream that borrows from its closure could not change threads.
        let mut runs = Vec::new();
        for partition in &mut self.partitions {
            if is_ours(assigned.as_deref(), partition.index()) {
                runs.push(partition.run_once(context));
            } else {
                partition.forget();
            }
        }
        // All of them run to their end, whatever becomes of the others: what a partition has learnt
        // of its chain would be forgotten, and a store that fails now and then would hold up all.
        let runs: Vec<Result<Progress, Error>> =
            futures::stream::iter(runs).buffered(PARTITIONS_AT_ONCE).collect().await;
        let progress = runs
            .into_iter()
            .try_fold(Progress::default(), |all, one| one.map(|progress| all.and(progress)));
        // After a failure as well: what landed has landed.
        let landed: Vec<(u32, u64)> = self
            .partitions
            .iter()
            .filter_map(|partition| Some((partition.index(), partition.landed()?)))
            .collect();
        context.reader.landed(&context.config.topic, &landed).await;
        progress
    }

    /// Waits until there may be something to do: new records, or an object to be sealed; at most
    /// for `timeout`.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub async fn wait(&self, timeout: Duration) -> Result<(), Error> {
        let now = self.context.clock.monotonic();
        let due = self
            .partitions
            .iter()
            .filter_map(|partition| partition.seal_in(&self.context.config, now))
            .fold(timeout, Duration::min);
        let position = |partition: &PartitionLander| {
            let is_ours = is_ours(self.assigned.as_deref(), partition.index());
            if is_ours { partition.read_position() } else { u64::MAX }
        };
        let positions: Vec<u64> = self.partitions.iter().map(position).collect();
        self.context.reader.wait(&self.context.config.topic, &positions, due).await
    }

    /// Returns the next offset to land per partition; 0 where the chain was not read yet.
    ///
    /// What is below has landed: the topic may drop it.
    #[must_use]
    pub fn landed(&self) -> Vec<u64> {
        self.partitions.iter().map(|partition| partition.landed().unwrap_or(0)).collect()
    }

    /// Returns how many records have not landed, per partition of the topic.
    ///
    /// # Errors
    /// The topic or the store cannot be read.
    pub async fn lag(&self) -> Result<Vec<u64>, Error> {
        let config = &self.context.config;
        let mut lag = Vec::new();
        for index in 0..self.context.reader.partitions(&config.topic).await? {
            let known = usize::try_from(index).ok().and_then(|at| self.partitions.get(at));
            let landed = match known.and_then(PartitionLander::landed) {
                Some(landed) => landed,
                None => chain::tail(&self.context.store, config.generation, &config.topic, index)
                    .await?
                    .map_or(0, |(_, footer)| footer.next),
            };
            let end = self.context.reader.end_offset(&config.topic, index).await?;
            lag.push(end.saturating_sub(landed));
        }
        Ok(lag)
    }
}

fn is_ours(assigned: Option<&[u32]>, partition: u32) -> bool {
    assigned.is_none_or(|assigned| assigned.contains(&partition))
}
