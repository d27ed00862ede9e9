//! The landing chain: the records of a topic as immutable objects, each exactly once.
//!
//! An object is named by its first offset and its footer names the next one, so the objects of a
//! partition are a chain, and the chain is the progress: nothing else is kept or believed. Every
//! object is created by one create-only PUT. Whoever loses that race takes the winner's object as
//! the next link and goes on behind it; so any number of landers may run on one chain, and a call
//! may be cut off anywhere.
//!
//! A topic that is no longer the one that landed goes on in a chain beside the old one, the next
//! [`generation`]. [`chain`] reads links. The store must arbitrate creations; whoever opens it makes
//! sure of that.

pub mod chain;
mod draft;
pub mod generation;
mod mark;
mod partition;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use model::{
    Clock,
    landing::{Divergence, LandingKey},
};
use object_store::ObjectStore;

use self::{
    generation::{Current, Next},
    partition::PartitionLander,
};
use crate::{error::Error, topic::TopicReader};

/// Partitions worked on at once: hides the latency of a remote store, and bounds memory to four
/// reads and four open objects.
const PARTITIONS_AT_ONCE: usize = 4;

/// How often it is looked whether another lander opened a generation. Until then what is landed
/// lies in both, so a minute is soon enough and one listing a minute costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Generations that one lander opens by itself. One incident can show itself twice, when a copy is
/// put back and then the topic itself; a topic that changes more often does not keep what it is
/// given, and somebody has to look at it.
const OPENED_MAX: u32 = 3;

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
    /// The generation to begin with. A newer one that was opened after a divergence comes first;
    /// an operator may still raise it by hand, then chains begin at offset 0.
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
    /// The generation that was begun because the topic was no longer the one that had landed.
    pub opened: Option<u32>,
    /// Whether more can be landed at once.
    pub is_behind: bool,
    /// When an open object has to be sealed; run again by then, new records or not.
    pub seal_in: Option<Duration>,
}

impl Progress {
    /// Returns whether the chain grew or our view of it did.
    #[must_use]
    pub const fn moved(&self) -> bool {
        self.objects != 0 || self.adopted != 0 || self.opened.is_some()
    }

    const fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            objects: self.objects + other.objects,
            bytes: self.bytes + other.bytes,
            adopted: self.adopted + other.adopted,
            gaps: self.gaps + other.gaps,
            gap_records: self.gap_records + other.gap_records,
            opened: if other.opened.is_some() { other.opened } else { self.opened },
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
    current: Current,
}

impl Context {
    fn key(&self, partition: u32, first_offset: u64) -> LandingKey {
        LandingKey {
            generation: self.current.generation,
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
    /// When the generation was last asked for.
    looked_at: Option<Duration>,
    /// Generations opened by this lander.
    opened: u32,
}

impl std::fmt::Debug for Lander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lander")
            .field("store", &self.context.store)
            .field("config", &self.context.config)
            .field("current", &self.context.current)
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
        let current = Current { generation: config.generation, opened: None };
        let context = Context { store, reader, clock, config, current };
        let (partitions, assigned, looked_at, opened) = (Vec::new(), None, None, 0);
        Ok(Self { context, partitions, assigned, looked_at, opened })
    }

    /// Returns the generation that is landed; the configured one until the store was asked.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.context.current.generation
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
    /// A topic that is not the one landed so far is landed from where the two part on, in the next
    /// generation; see [`generation`].
    ///
    /// # Errors
    /// The topic or the store failed, a record is gone and the policy is to stop, or the topic
    /// changes again and again; see [`Error::kind`].
    pub async fn run_once(&mut self) -> Result<Progress, Error> {
        let followed = self.follow().await?;
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
        // After a failure as well: what landed has landed.
        let landed: Vec<(u32, u64)> = self
            .partitions
            .iter()
            .filter_map(|partition| Some((partition.index(), partition.landed()?)))
            .collect();
        context.reader.landed(&context.config.topic, &landed).await;
        let mut progress = followed;
        let mut failed = None;
        for run in runs {
            match run {
                Ok(one) => progress = progress.and(one),
                // It decides for all partitions, whatever else went wrong in the old chains.
                Err(error @ Error::Diverged { .. }) => failed = Some(error),
                Err(error) if failed.is_none() => failed = Some(error),
                Err(_) => (),
            }
        }
        match failed {
            None => Ok(progress),
            Some(error @ Error::Diverged { .. }) => Ok(progress.and(self.diverged(error).await?)),
            Some(error) => Err(error),
        }
    }

    /// Goes on in a generation that another lander opened, if there is one.
    ///
    /// Asked for before a chain is read, and now and then.
    async fn follow(&mut self) -> Result<Progress, Error> {
        let now = self.context.clock.monotonic();
        let is_old = self.looked_at.is_none_or(|at| at.saturating_add(LOOK_EVERY) <= now);
        let is_lost = |partition: &PartitionLander| {
            let is_ours = is_ours(self.assigned.as_deref(), partition.index());
            is_ours && partition.landed().is_none()
        };
        if !is_old && !self.partitions.iter().any(is_lost) {
            return Ok(Progress::default());
        }
        let LandingConfig { topic, generation: floor, .. } = &self.context.config;
        let current = generation::current(&self.context.store, topic, *floor).await?;
        let is_first = self.looked_at.replace(now).is_none();
        if current.generation == self.context.current.generation && !is_first {
            return Ok(Progress::default());
        }
        let progress = self.begin(current);
        Ok(if is_first { Progress::default() } else { progress })
    }

    /// Goes on in the next generation after `error`, or returns it after too many of them.
    async fn diverged(&mut self, error: Error) -> Result<Progress, Error> {
        let Error::Diverged { topic, partition, next, problem } = &error else { return Err(error) };
        // Another lander may have seen the same already.
        let floor = self.context.config.generation;
        let newest = generation::current(&self.context.store, topic, floor).await?;
        if self.context.current.generation < newest.generation {
            return Ok(self.begin(newest));
        }
        if self.opened == OPENED_MAX {
            return Err(error);
        }
        let (partition, next, problem) = (*partition, *next, problem.clone());
        let found = Divergence { partition, next, problem: problem.clone() };
        let current = match generation::open_next(&self.context, found).await? {
            Next::Opened(current) => current,
            // The next call meets the topic as it is then.
            Next::Missing => return Ok(Progress::default()),
            Next::Exhausted => return Err(error),
        };
        self.opened += 1;
        let lost_since = current.opened.as_ref().and_then(|opened| opened.ts_lost_since);
        tracing::error!(
            topic,
            partition,
            next,
            problem,
            generation = current.generation,
            lost_since = ?lost_since,
            "ALARM: the topic is not the one that landed; what landed stays, and landing goes on \
             in a new generation. What was fetched since `lost_since` is fetched again"
        );
        Ok(self.begin(current))
    }

    /// Begins with the chains of a generation; nothing is known of them.
    fn begin(&mut self, current: Current) -> Progress {
        let opened = Some(current.generation);
        let is_other = current.generation != self.context.current.generation;
        if is_other {
            tracing::warn!(
                topic = self.context.config.topic,
                generation = current.generation,
                "lands in another generation"
            );
        }
        self.context.current = current;
        self.looked_at = Some(self.context.clock.monotonic());
        self.partitions.clear();
        Progress { opened, is_behind: true, ..Progress::default() }
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
        let current = match self.looked_at {
            Some(_) => self.context.current.clone(),
            None => {
                generation::current(&self.context.store, &config.topic, config.generation).await?
            }
        };
        let mut lag = Vec::new();
        for index in 0..self.context.reader.partitions(&config.topic).await? {
            let known = usize::try_from(index).ok().and_then(|at| self.partitions.get(at));
            let landed = match known.and_then(PartitionLander::landed) {
                Some(landed) => landed,
                None => current.landed(&self.context.store, &config.topic, index).await?,
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
