//! Losses: what was fetched and may be gone, so that it is fetched again.
//!
//! A record is acknowledged by the topic, and the fetch counts; when the topic then loses its tail
//! before the record landed, nobody else has it. A loss says since when that may have happened.
//! Every session and daily list that was fetched since then is due again, in the same durable step
//! that notes the loss: so it happens once, however often it is told and whoever crashes when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use model::{Clock, landing::Opened};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use super::Poller;
use crate::{
    Error,
    landing::generation,
    shared::are_of_one_memory,
    state::{Chunk, FetchedPage},
};

/// Something that was fetched and may be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What tells losses apart, for good: one that was seen to is not seen to again.
    pub id: String,
    /// The topic that lost it; `None` for all of them.
    pub topic: Option<String>,
    /// What may be gone.
    pub since: Since,
}

/// Which fetches a loss concerns: those that may have ended at or after a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// All of them.
    Ever,
    /// Wall time.
    Wall(DateTime<Utc>),
    /// Market time.
    Market(DateTime<Utc>),
}

/// What is known of a scan is when it began. The record of a loss may be from its last page: longer
/// than an ordinary plan takes with every page tried to the end, and seldom a session more.
const SCAN_MAX: TimeDelta = TimeDelta::hours(6);

impl Loss {
    /// What may be gone when a lander opened a generation.
    #[must_use]
    pub fn of(opened: &Opened) -> Self {
        let since = opened.ts_lost_since.and_then(|ts| ts.checked_sub_signed(SCAN_MAX));
        Self {
            id: format!("{} {}", opened.topic, opened.generation),
            topic: Some(opened.topic.clone()),
            since: since.map_or(Since::Ever, Since::Wall),
        }
    }

    /// An operator's wish: whatever was fetched from `date` on, market time. The same `id` again is
    /// the same wish.
    #[must_use]
    pub fn from_date(id: &str, date: NaiveDate) -> Self {
        let id = format!("wish {id}");
        Self { id, topic: None, since: Since::Market(date.and_time(NaiveTime::MIN).and_utc()) }
    }

    /// The name under which it is noted that the loss was seen to.
    fn part(&self) -> String {
        format!("lost {}", self.id)
    }
}

/// The note that a loss was seen to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenTo {
    /// The topic that lost it; `None` for all of them.
    pub topic: Option<String>,
    /// The last fetch before.
    pub fetch_last: u64,
}

impl SeenTo {
    /// Returns whether the loss may be why rows of a page of `topic` have not landed. They were
    /// fetched before, and again since. An operator's wish explains nothing.
    #[must_use]
    pub fn explains(&self, topic: &str, page: &FetchedPage) -> bool {
        self.topic.as_deref() == Some(topic)
            && are_of_one_memory(self.fetch_last, page.fetch_id)
            && page.fetch_id <= self.fetch_last
    }
}

/// Returns the losses that were seen to, of what a memory holds as progress.
pub fn seen_to(
    progress: impl IntoIterator<Item = (u32, String, String)>,
) -> impl Iterator<Item = SeenTo> {
    let notes = progress.into_iter().filter(|(chunk, ..)| *chunk == NOTES);
    notes.filter_map(|(_, _, text)| serde_json::from_str(&text).ok())
}

/// Where a poller hears of losses.
#[async_trait]
pub trait Losses: fmt::Debug + Send + Sync {
    /// Returns every loss that is known, seen to or not.
    ///
    /// # Errors
    /// They cannot be read now; the poller goes on and asks again.
    async fn losses(&self) -> Result<Vec<Loss>, Error>;
}

/// Losses that somebody knows beforehand: an operator's.
#[async_trait]
impl Losses for Vec<Loss> {
    async fn losses(&self) -> Result<Self, Error> {
        Ok(self.clone())
    }
}

/// How long an answer of the landing store holds, so that pollers of one process ask once.
const HOLDS: Duration = Duration::from_secs(30);

/// The losses that the landing store tells of: every generation that was opened.
pub struct LandedLosses {
    store: Arc<dyn ObjectStore>,
    topics: Vec<String>,
    clock: Arc<dyn Clock>,
    known: tokio::sync::Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By generation and topic; what was opened once stays.
    opened: BTreeMap<(u32, String), Loss>,
    asked_at: Option<Duration>,
}

impl fmt::Debug for LandedLosses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LandedLosses").field("store", &self.store).finish_non_exhaustive()
    }
}

impl LandedLosses {
    /// Looks at the generations of `topics` in the landing store; nothing is read yet.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, topics: Vec<String>, clock: Arc<dyn Clock>) -> Self {
        Self { store, topics, clock, known: tokio::sync::Mutex::default() }
    }
}

#[async_trait]
impl Losses for LandedLosses {
    async fn losses(&self) -> Result<Vec<Loss>, Error> {
        let mut known = self.known.lock().await;
        let now = self.clock.monotonic();
        if known.asked_at.is_none_or(|at| at.saturating_add(HOLDS) <= now) {
            // Before the answer: while the store hangs, not every poller of this process, one after
            // the other, waits for it.
            known.asked_at = Some(now);
            for generation in generation::folders(&self.store).await? {
                for topic in &self.topics {
                    let place = (generation, topic.clone());
                    if known.opened.contains_key(&place) {
                        continue;
                    }
                    if let Some(opened) = generation::read(&self.store, generation, topic).await? {
                        known.opened.insert(place, Loss::of(&opened));
                    }
                }
            }
        }
        Ok(known.opened.values().cloned().collect())
    }
}

/// How often a poller asks for losses. A minute later is soon enough: they need hours to be fetched.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// The longest a poller waits for the answer: the vendor's rows of this minute go before.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A poller's view of losses.
#[derive(Debug, Default)]
pub(super) struct Watch {
    places: Vec<Place>,
    asked_at: Option<Duration>,
    /// Losses of which memory says that they were seen to.
    seen_to: BTreeSet<String>,
}

/// Where losses are told, and whether it was said that nobody can be heard there.
#[derive(Debug)]
struct Place {
    losses: Arc<dyn Losses>,
    is_silent: bool,
}

impl Watch {
    /// Returns what is known now; empty while it need not, or cannot, be asked for.
    async fn ask(&mut self, clock: &dyn Clock) -> Vec<Loss> {
        let now = clock.monotonic();
        let mut found = Vec::new();
        if self.asked_at.is_some_and(|at| now < at.saturating_add(ASK_EVERY)) {
            return found;
        }
        self.asked_at = Some(now);
        for place in &mut self.places {
            found.extend(place.ask(clock).await);
        }
        found
    }
}

impl Place {
    async fn ask(&mut self, clock: &dyn Clock) -> Vec<Loss> {
        let problem = tokio::select! {
            biased;
            answer = self.losses.losses() => match answer {
                Ok(found) => {
                    self.is_silent = false;
                    return found;
                }
                Err(error) => error.to_string(),
            },
            () = clock.sleep(ANSWER_MAX) => format!("no answer in {} s", ANSWER_MAX.as_secs()),
        };
        if !std::mem::replace(&mut self.is_silent, true) {
            tracing::warn!(
                problem,
                "cannot see whether a topic lost records: this poller needs the right to list and \
                 read the landing store; it goes on, and fetches nothing again by itself"
            );
        }
        Vec::new()
    }
}

impl Poller {
    /// Lets what was fetched and lost be fetched again; `losses` is asked now and then. Call it for
    /// each place where losses are told.
    #[must_use]
    pub fn with_losses(mut self, losses: Arc<dyn Losses>) -> Self {
        self.watch.places.push(Place { losses, is_silent: false });
        self
    }

    /// Makes due again what was lost since the last look; returns whether anything was.
    ///
    /// Afterwards, or after a failure, memory says what is known: begin from there.
    pub(super) async fn see_to_losses(&mut self) -> Result<bool, Error> {
        let mut new = self.watch.ask(self.parts.clock.as_ref()).await;
        new.retain(|loss| !self.watch.seen_to.contains(&loss.part()));
        if new.is_empty() {
            return Ok(false);
        }
        let memory = Arc::clone(&self.parts.state);
        let notes = memory.progress()?.into_iter().filter(|(chunk, ..)| *chunk == NOTES);
        self.watch.seen_to = notes.map(|(_, part, _)| part).collect();
        new.retain(|loss| !self.watch.seen_to.contains(&loss.part()));
        if new.is_empty() {
            return Ok(false);
        }
        let Some(active) = self.active.take() else { return Ok(false) };
        let mut coverage = active.coverage.clone();
        for loss in new {
            let since = match loss.since {
                Since::Ever => None,
                Since::Wall(ts) => Some(self.parts.market_time.at(ts)),
                Since::Market(ts) => Some(ts),
            };
            let config = &self.parts.config;
            let is_concerned = |chunk: &&Chunk| {
                loss.topic.as_ref().is_none_or(|topic| *topic == config.topic(chunk.dataset))
            };
            let chunks: Vec<&Chunk> = active.chunks.iter().filter(is_concerned).collect();
            let mut saved = coverage.lose(config, &chunks, since);
            let windows = saved.len();
            // The note and what it stands for in one step.
            let (part, topic, fetch_last) = (loss.part(), loss.topic, memory.fetch_last()?);
            let note = SeenTo { topic, fetch_last };
            let note = serde_json::to_string(&note).expect("numbers and text always serialise");
            saved.push((NOTES, part, note));
            memory.save_progress(&saved).await?;
            tracing::warn!(
                loss = loss.id,
                ?since,
                windows,
                "records may have been lost before they landed: what was fetched since is fetched again"
            );
        }
        Ok(true)
    }
}

/// The chunk under which notes are kept; chunks of symbols count from 1.
const NOTES: u32 = 0;
