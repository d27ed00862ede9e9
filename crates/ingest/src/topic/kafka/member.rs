//! The group's member: spreads partitions over landers, and tells monitors how far they are.
//!
//! Nothing depends on it. A lander without a group lands every partition, and two that believe to
//! own the same one meet at the create-only objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::Clock;
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::Notify;

use super::{
    events::Events,
    failure::{KafkaFailure, client_failure, code_of},
    slot::Offload,
};

/// How many sessions a member without partitions from the group waits for some, before it takes all
/// of them. In one a dead member is replaced; it begins anew when the group's own broker dies.
const PATIENCE_SESSIONS: u32 = 3;
/// And how long at most, however long an operator lets sessions be: a minute and a quarter, within
/// which those who ask whether anything is still to come wait for an answer.
const PATIENCE_MAX: Duration = Duration::from_secs(75);

/// Events taken from the library at once.
const EVENTS_AT_ONCE: usize = 8;

/// Commits at most this often: monitors look once in some seconds.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

type Partitions = BTreeMap<String, BTreeSet<u32>>;

/// The consumer's side: [`Events`], and what the group gave us.
struct MemberEvents {
    events: Events,
    /// `None` before the group's first answer, and after it threw us out.
    assigned: Mutex<Option<Partitions>>,
}

impl MemberEvents {
    fn assigned(&self) -> MutexGuard<'_, Option<Partitions>> {
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for MemberEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.events.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ConsumerContext for MemberEvents {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let given: Vec<(String, u32)> = list
            .elements()
            .iter()
            .filter_map(|found| {
                Some((found.topic().to_owned(), u32::try_from(found.partition()).ok()?))
            })
            .collect();
        let is_gain = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        // Asked first: giving them up ends it.
        let is_lost = !is_gain && consumer.assignment_lost();
        let done = if is_gain {
            // It reads nothing, and no committed offset may matter to it.
            list.set_all_offsets(Offset::End)
                .and_then(|()| consumer.assign(list))
                .and_then(|()| consumer.pause(list))
        } else {
            consumer.unassign()
        };
        if let Err(error) = done {
            tracing::debug!(target: "librdkafka", code = ?code_of(&error), "a rebalance failed");
        }
        let mut assigned = self.assigned();
        if is_gain {
            tracing::info!(partitions = ?given, "the group gave partitions");
            let mut all = Partitions::new();
            for (topic, partition) in given {
                all.entry(topic).or_default().insert(partition);
            }
            *assigned = Some(all);
        } else if is_lost {
            tracing::info!(partitions = ?given, "the group took its partitions away");
            *assigned = None;
        }
        // Otherwise it is about to give others: until then landing goes on with those it gave last,
        // which does no harm, and makes no pause.
        drop(assigned);
        self.events.changed.notify_waiters();
    }

    fn commit_callback(&self, result: KafkaResult<()>, list: &TopicPartitionList) {
        self.events.commit_callback(result, list);
    }
}

/// What was subscribed and committed so far.
#[derive(Debug, Default)]
struct Standing {
    topics: BTreeSet<String>,
    /// Since when the group owes us an answer.
    ts_asked: Option<Duration>,
    has_warned: bool,
    committed: BTreeMap<(String, u32), u64>,
    /// What we were told last, committed or not.
    told: BTreeMap<(String, u32), u64>,
    /// When a topic's last commit was sent.
    ts_committed: BTreeMap<String, Duration>,
}

/// A member of the group of a [`super::KafkaTopic`].
pub(super) struct Member {
    consumer: Offload<Arc<BaseConsumer<MemberEvents>>>,
    standing: Mutex<Standing>,
    patience: Duration,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Member")
    }
}

impl Member {
    /// Makes the client. Blocks: it reads certificates.
    pub(super) fn new(
        client: &ClientConfig,
        changed: Arc<Notify>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KafkaFailure> {
        let session = client.create_native_config().and_then(|made| made.get("session.timeout.ms"));
        let session = session.map_err(|error| client_failure(&error))?.parse().unwrap_or(0);
        let patience =
            Duration::from_millis(session).saturating_mul(PATIENCE_SESSIONS).min(PATIENCE_MAX);
        let events = Events::new(Arc::clone(&changed));
        let context = MemberEvents { events, assigned: Mutex::new(None) };
        let mut consumer: BaseConsumer<MemberEvents> =
            client.create_with_context(context).map_err(|error| client_failure(&error))?;
        consumer.set_nonempty_callback(move || changed.notify_waiters());
        let consumer = Offload::new(Arc::new(consumer));
        Ok(Self { consumer, standing: Mutex::default(), patience, clock })
    }

    fn context(&self) -> &MemberEvents {
        self.consumer.context()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether this client can go on.
    pub(super) fn is_stale(&self) -> bool {
        self.context().events.is_stale() || self.context().events.refused().is_some()
    }

    /// Lets the library do what it wants done: above all, rebalance. A member that is not called
    /// for longer than `max.poll.interval.ms` leaves the group by itself.
    pub(super) fn serve(&self) {
        for _ in 0..EVENTS_AT_ONCE {
            // Paused partitions bring no records; one on its way when it was paused is not missed.
            drop(self.consumer.poll(Duration::ZERO));
        }
    }

    /// Adds a topic to those that the group spreads.
    pub(super) async fn join(&self, topic: &str) {
        let topics: Vec<String> = {
            let mut standing = self.standing();
            if !standing.topics.insert(topic.to_owned()) {
                return;
            }
            standing.ts_asked = Some(self.clock.monotonic());
            standing.topics.iter().cloned().collect()
        };
        let consumer = Arc::clone(&self.consumer);
        let subscribed = tokio::task::spawn_blocking(move || {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            consumer.subscribe(&topics)
        });
        // The patience runs out if it failed.
        if let Ok(Err(error)) = subscribed.await {
            tracing::debug!(target: "librdkafka", code = ?code_of(&error), "no subscription");
        }
    }

    /// Returns which partitions of `topic` the group gave us; `None` when it does not answer, so
    /// that every partition is ours.
    pub(super) fn assigned(&self, topic: &str) -> Option<Vec<u32>> {
        let assigned = self.context().assigned();
        if let Some(all) = assigned.as_ref() {
            self.standing().ts_asked = None;
            return Some(all.get(topic).into_iter().flatten().copied().collect());
        }
        drop(assigned);
        let now = self.clock.monotonic();
        let mut standing = self.standing();
        let asked = *standing.ts_asked.get_or_insert(now);
        if now.saturating_sub(asked) < self.patience && !self.is_stale() {
            return Some(Vec::new());
        }
        if !std::mem::replace(&mut standing.has_warned, true) {
            let said = self.context().events.said(rdkafka::types::RDKafkaErrorCode::Fail);
            tracing::warn!(
                topic,
                said,
                "the consumer group gives no partitions: landing all of them"
            );
        }
        None
    }

    /// Tells the group how far each partition has landed, if it changed: now and then while it
    /// moves, at once when it has come to rest.
    pub(super) fn commit(&self, topic: &str, next_offsets: &[(u32, u64)]) {
        if self.context().assigned().is_none() {
            return;
        }
        let now = self.clock.monotonic();
        let mut standing = self.standing();
        if self.context().events.take_commit_error() {
            standing.committed.clear();
        }
        let before = standing.ts_committed.get(topic);
        let is_early = before.is_some_and(|before| now.saturating_sub(*before) < COMMIT_EVERY);
        let mut list = TopicPartitionList::new();
        for (partition, next) in next_offsets {
            let place = (topic.to_owned(), *partition);
            let is_moving = standing.told.insert(place.clone(), *next) != Some(*next);
            let is_known = standing.committed.get(&place) == Some(next);
            if is_known || (is_early && is_moving) {
                continue;
            }
            let (Ok(partition), Ok(offset)) = (i32::try_from(*partition), i64::try_from(*next))
            else {
                continue;
            };
            if list.add_partition_offset(topic, partition, Offset::Offset(offset)).is_ok() {
                standing.committed.insert(place, *next);
            }
        }
        if list.count() == 0 {
            return;
        }
        standing.ts_committed.insert(topic.to_owned(), now);
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(target: "librdkafka", code = ?code_of(&error), "a commit failed");
            standing.committed.clear();
        }
    }
}
