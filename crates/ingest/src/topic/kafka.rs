//! The topic in a Kafka cluster.
//!
//! Records are appended by an idempotent producer that waits for every acknowledgement of all
//! replicas in sync, and read by a consumer that is told its partitions and offsets: what was
//! landed decides where reading goes on, never a committed offset. Clients are made when first
//! needed, and made anew with freshly read secrets when the cluster refuses their login.
//!
//! A page may come twice (a lost acknowledgement, a producer made anew); its rows are recognised
//! by their provenance. It never goes missing: [`TopicWriter::append`] ends well only when every
//! record is kept.

mod config;
mod create;
mod cursor;
mod events;
mod failure;
mod member;
mod properties;
mod read;
mod record;
mod slot;
mod write;

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use model::{Clock, landing::LandingKey};
use rdkafka::ClientConfig;
use tokio::sync::Notify;

pub use config::{Compression, KafkaTopicConfig, RECORD_BYTES_MAX};
pub use failure::KafkaFailure;
pub use properties::{
    ConnectionProperties, NoProperties, PropertiesError, Property, check_property,
    is_secret_property,
};

use self::{
    failure::Doing,
    member::Member,
    properties::{Role, client_config},
    read::{At, Reader},
    slot::Slot,
    write::Writer,
};
use crate::{
    error::Error,
    topic::{Fetched, NewRecord, TopicReader, TopicWriter},
};

/// A number of partitions is believed this long: topics grow by hand, and rarely.
const PARTITIONS_AGE_MAX: Duration = Duration::from_secs(30);

/// How often a topic that does not exist is looked for by whoever waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A created topic is looked for this often before it counts as missing: ten seconds, in which a
/// cluster has told all its brokers.
const CREATED_LOOKS_MAX: u32 = 40;

/// Clients made in a row when their login is refused: the second for a secret that was rotated,
/// the third for a broker that was just starting.
const CLIENTS_MAX: u32 = 3;
const CLIENT_PAUSE: Duration = Duration::from_secs(1);

/// Topics in a Kafka cluster. Share one instance within a process: its clients are shared too.
#[derive(Debug)]
pub struct KafkaTopic {
    config: KafkaTopicConfig,
    properties: Arc<dyn ConnectionProperties>,
    clock: Arc<dyn Clock>,
    /// Wakes whoever waits for records, for a topic, or for the group.
    changed: Arc<Notify>,
    reader: Slot<Reader>,
    writer: Slot<Writer>,
    member: Slot<Member>,
    partitions: Mutex<BTreeMap<String, Counted>>,
    /// What [`TopicReader::assigned`] answered last.
    assigned: Mutex<BTreeMap<String, Option<Vec<u32>>>>,
}

/// A topic's number of partitions, and when it was asked for.
#[derive(Clone, Copy, Debug)]
struct Counted {
    partitions: u32,
    ts_asked: Duration,
}

impl KafkaTopic {
    /// Prepares the topic; nothing is connected yet. See [`Self::check`].
    ///
    /// # Errors
    /// A setting cannot work.
    pub fn open(
        config: KafkaTopicConfig,
        properties: Arc<dyn ConnectionProperties>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        config.check()?;
        Ok(Self {
            config,
            properties,
            clock,
            changed: Arc::default(),
            reader: Slot::default(),
            writer: Slot::default(),
            member: Slot::default(),
            partitions: Mutex::default(),
            assigned: Mutex::default(),
        })
    }

    /// Reaches the cluster and returns how many partitions `topic` has, whatever is remembered: for
    /// a look before work begins. 0 when the topic does not exist yet, which is no failure.
    ///
    /// # Errors
    /// The cluster cannot be reached, refuses our login, or does not let us see the topic.
    pub async fn check(&self, topic: &str) -> Result<u32, Error> {
        self.ask_partitions(topic).await
    }

    const fn doing<'a>(&'a self, doing: &'static str, topic: &'a str) -> Doing<'a> {
        Doing { doing, topic, servers: self.config.bootstrap.as_str() }
    }

    async fn client_config(&self, role: Role, doing: Doing<'_>) -> Result<ClientConfig, Error> {
        let current = self.properties.current().await;
        let properties = current.map_err(|PropertiesError { kind, source }| {
            doing.failed(KafkaFailure::Secrets { kind, source })
        })?;
        client_config(role, &self.config, &properties).map_err(|failure| doing.failed(failure))
    }

    /// Makes a client on a blocking thread: it reads certificates.
    async fn make<T: Send + 'static>(
        &self,
        role: Role,
        doing: Doing<'_>,
        make: impl FnOnce(&ClientConfig) -> Result<T, KafkaFailure> + Send + 'static,
    ) -> Result<T, Error> {
        let client = self.client_config(role, doing).await?;
        let made = tokio::task::spawn_blocking(move || make(&client)).await;
        let made = made.map_err(|source| Error::TaskLost { doing: doing.doing, source })?;
        made.map_err(|failure| doing.failed(failure))
    }

    async fn reader(&self, doing: Doing<'_>) -> Result<Arc<Reader>, Error> {
        let (changed, clock) = (Arc::clone(&self.changed), Arc::clone(&self.clock));
        let timeout = self.config.request_timeout;
        let make = self
            .make(Role::Reader, doing, move |client| Reader::new(client, changed, clock, timeout));
        self.reader.get(make).await
    }

    /// Lets `read` read, with a new client when the last one's secrets may be too old.
    async fn with_reader<'a, T>(
        &self,
        doing: Doing<'_>,
        read: impl Fn(Arc<Reader>) -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let mut clients = 1;
        loop {
            let reader = self.reader(doing).await?;
            let answer = read(Arc::clone(&reader)).await;
            let Err(error) = &answer else { return answer };
            let is_refused = error.may_be_old_secrets();
            if is_refused || reader.is_stale() {
                self.reader.discard(&reader).await;
            }
            if !is_refused || clients == CLIENTS_MAX {
                return answer;
            }
            clients += 1;
            self.clock.sleep(CLIENT_PAUSE).await;
        }
    }

    async fn ask_partitions(&self, topic: &str) -> Result<u32, Error> {
        let doing = self.doing("looking for", topic);
        let asked =
            self.with_reader(doing, |reader| async move { reader.partitions(doing).await }.boxed());
        let partitions = asked.await?;
        let mut known = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        if partitions == 0 {
            known.remove(topic);
        } else {
            let counted = Counted { partitions, ts_asked: self.clock.monotonic() };
            known.insert(topic.to_owned(), counted);
        }
        Ok(partitions)
    }

    /// Returns the number of partitions, from memory while it is fresh.
    async fn count_partitions(&self, topic: &str) -> Result<u32, Error> {
        let known =
            self.partitions.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied();
        let now = self.clock.monotonic();
        match known {
            Some(known) if now.saturating_sub(known.ts_asked) < PARTITIONS_AGE_MAX => {
                Ok(known.partitions)
            }
            _ => self.ask_partitions(topic).await,
        }
    }

    /// Returns the number of partitions; creates the topic if there is none.
    async fn need_partitions(&self, topic: &str) -> Result<u32, Error> {
        let found = self.count_partitions(topic).await?;
        if found != 0 {
            return Ok(found);
        }
        let doing = self.doing("creating", topic);
        let client = self.client_config(Role::Admin, doing).await?;
        let created = create::create_topic(&client, &self.config, topic).await;
        created.map_err(|failure| doing.failed(failure))?;
        for _ in 0..CREATED_LOOKS_MAX {
            let found = self.ask_partitions(topic).await?;
            if found != 0 {
                self.changed.notify_waiters();
                return Ok(found);
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
        let said = "the new topic does not show up".to_owned();
        Err(doing.failed(KafkaFailure::Passing { said }))
    }

    fn check_append(&self, topic: &str, records: &[NewRecord]) -> Result<(), Error> {
        let refuse = |problem| Err(Error::Append { topic: topic.to_owned(), problem });
        if !LandingKey::is_topic_name(topic) {
            return refuse("a topic has 1 to 64 characters of `A-Z a-z 0-9 . _ -`".to_owned());
        }
        let limit = self.config.record_bytes_max;
        for record in records {
            let bytes = record::batch_bytes(record);
            if limit < bytes {
                return refuse(format!(
                    "the record of `{}` has {bytes} bytes, at most {limit} are possible; raise `topic.record_bytes_max` and the topic's `max.message.bytes`",
                    record.key
                ));
            }
            // The library would end the name there, without a word.
            if let Some((name, _)) = record.headers.iter().find(|(name, _)| name.contains('\0')) {
                return refuse(format!("the header name {name:?} holds a NUL character"));
            }
        }
        Ok(())
    }

    /// Returns this process's member of the group.
    async fn member(&self, doing: Doing<'_>) -> Result<Arc<Member>, Error> {
        let (changed, clock) = (Arc::clone(&self.changed), Arc::clone(&self.clock));
        let make =
            self.make(Role::Member, doing, move |client| Member::new(client, changed, clock));
        self.member.get(make).await
    }

    /// Returns whether the group gives other partitions than it did.
    async fn group_moved(&self, topic: &str) -> bool {
        let Some(member) = self.member.peek().await else { return false };
        let given =
            self.assigned.lock().unwrap_or_else(PoisonError::into_inner).get(topic).cloned();
        let Some(given) = given else { return false };
        member.serve();
        member.assigned(topic) != given
    }

    /// Returns whether a read of any of the partitions would have something to say.
    async fn is_any_ready(
        &self,
        (topic, partitions): (&str, u32),
        positions: &[u64],
    ) -> Result<bool, Error> {
        let doing = self.doing("waiting for", topic);
        let ready = self.with_reader(doing, move |reader| {
            async move {
                for partition in 0..partitions {
                    let index = usize::try_from(partition).unwrap_or(usize::MAX);
                    let position = positions.get(index).copied().unwrap_or(0);
                    // Nobody waits for this one.
                    if position == u64::MAX {
                        continue;
                    }
                    if reader.is_ready(At { doing, partition }, position).await? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            .boxed()
        });
        ready.await
    }
}

#[async_trait]
impl TopicWriter for KafkaTopic {
    async fn append(&self, topic: &str, records: Vec<NewRecord>) -> Result<(), Error> {
        self.check_append(topic, &records)?;
        if records.is_empty() {
            return Ok(());
        }
        let partitions = self.need_partitions(topic).await?;
        let doing = self.doing("appending to", topic);
        let mut clients = 1;
        loop {
            let (changed, clock) = (Arc::clone(&self.changed), Arc::clone(&self.clock));
            let timeout = self.config.delivery_timeout;
            let make = self.make(Role::Writer, doing, move |client| {
                Writer::new(client, changed, clock, timeout)
            });
            let writer = self.writer.get(make).await?;
            let appended = writer.append(doing, partitions, &records).await;
            let Err(error) = &appended else { return Ok(()) };
            let is_refused = error.may_be_old_secrets();
            // After a fatal error a producer promises nothing any more.
            if is_refused || writer.is_stale() {
                self.writer.discard(&writer).await;
            }
            if !is_refused || clients == CLIENTS_MAX {
                // The topic may be gone, or another one of the same name be there.
                self.partitions.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
                return appended;
            }
            clients += 1;
            self.clock.sleep(CLIENT_PAUSE).await;
        }
    }
}

#[async_trait]
impl TopicReader for KafkaTopic {
    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.count_partitions(topic).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from_offset: u64,
        bytes_max: u64,
    ) -> Result<Fetched, Error> {
        if self.count_partitions(topic).await? <= partition {
            return Ok(if from_offset == 0 {
                Fetched::Records(Vec::new())
            } else {
                Fetched::OutOfRange { first_offset: 0, next_offset: 0 }
            });
        }
        let at = At { doing: self.doing("reading", topic), partition };
        let read = self.with_reader(at.doing, |reader| {
            async move { reader.read(at, (from_offset, bytes_max)).await }.boxed()
        });
        read.await
    }

    async fn end_offset(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        if self.count_partitions(topic).await? <= partition {
            return Ok(0);
        }
        let at = At { doing: self.doing("reading the end of", topic), partition };
        let bounds =
            self.with_reader(at.doing, |reader| async move { reader.bounds(at).await }.boxed());
        Ok(bounds.await?.1)
    }

    async fn wait(&self, topic: &str, positions: &[u64], timeout: Duration) -> Result<(), Error> {
        let began = self.clock.monotonic();
        loop {
            // Registered before looking: what happens in between ends the wait.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let partitions = self.count_partitions(topic).await?;
            if self.is_any_ready((topic, partitions), positions).await? {
                return Ok(());
            }
            if self.group_moved(topic).await {
                return Ok(());
            }
            let passed = self.clock.monotonic().saturating_sub(began);
            let Some(left) = timeout.checked_sub(passed).filter(|left| !left.is_zero()) else {
                return Ok(());
            };
            let pause = if partitions == 0 { LOOK_EVERY } else { PARTITIONS_AGE_MAX };
            tokio::select! {
                () = changed => (),
                () = self.clock.sleep(left.min(pause)) => (),
            }
        }
    }

    /// The library compares the leader's epochs. A topic that was deleted and made anew begins with
    /// the first epoch again, and the library reads on in it; the lander looks for that now and then.
    fn tells_of_truncation(&self) -> bool {
        true
    }

    async fn assigned(&self, topic: &str) -> Result<Option<Vec<u32>>, Error> {
        // A group may only be asked about topics that exist.
        if self.count_partitions(topic).await? == 0 {
            return Ok(None);
        }
        let doing = self.doing("joining the group of", topic);
        let member = self.member(doing).await?;
        member.join(topic).await;
        member.serve();
        let assigned = member.assigned(topic);
        if member.is_stale() {
            self.member.discard(&member).await;
        }
        if let Some(kept) = &assigned {
            let reader = self.reader(doing).await?;
            reader.keep_only(doing, kept).await?;
        }
        let mut given = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(topic.to_owned(), assigned.clone());
        Ok(assigned)
    }

    async fn landed(&self, topic: &str, next_offsets: &[(u32, u64)]) {
        if let Some(member) = self.member.peek().await {
            member.commit(topic, next_offsets);
        }
    }
}
