//! The reading client: a consumer that is told its partitions, with a cursor for each, and another
//! one that only asks.

use std::{
    collections::BTreeMap,
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use model::Clock;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaResult, RDKafkaErrorCode},
};
use tokio::sync::{Notify, OwnedMutexGuard};

use super::{
    cursor::{Cursor, Found},
    events::Events,
    failure::{Doing, KafkaFailure, classify, client_failure, code_of, is_damage, is_unknown},
    slot::Offload,
};
use crate::{
    error::Error,
    topic::{Fetched, Record},
};

/// The library's blocking questions are cut into pieces this long, so that a refused login ends
/// them early.
const SLICE: Duration = Duration::from_millis(500);
/// The pause before a question is repeated whose answer came at once: nobody was there.
const PAUSE: Duration = Duration::from_millis(100);

/// Events taken from the library at once: it has a handful per failed connection.
const EVENTS_AT_ONCE: usize = 16;

/// A partition that has to be found anew this often within one read moves faster than we do.
const PLACINGS_MAX: u32 = 3;

type Shared = Arc<tokio::sync::Mutex<Cursor>>;

/// A partition, and what is done with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) doing: Doing<'a>,
    pub(super) partition: u32,
}

/// The reading client of a [`super::KafkaTopic`].
pub(super) struct Reader {
    // Before the consumer: a cursor's queue must not outlive it.
    cursors: Mutex<BTreeMap<(String, u32), Shared>>,
    consumer: Offload<Arc<BaseConsumer<Events>>>,
    /// Asks for metadata and ends on connections of its own: a broker answers each connection in
    /// order, and behind a fetch that waits for records every question would wait as well.
    asker: Offload<Arc<BaseConsumer<Events>>>,
    changed: Arc<Notify>,
    clock: Arc<dyn Clock>,
    request_timeout: Duration,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// The outcome of looking for an offset.
enum Placed {
    There(OwnedMutexGuard<Cursor>),
    OutOfRange(Fetched),
}

/// The outcome of emptying a cursor's queue.
enum Taken {
    Records(Vec<Record>),
    Nothing,
    OutOfRange,
    Failed(RDKafkaErrorCode),
}

impl Reader {
    /// Makes the client. Blocks: it reads certificates.
    pub(super) fn new(
        client: &ClientConfig,
        changed: Arc<Notify>,
        clock: Arc<dyn Clock>,
        request_timeout: Duration,
    ) -> Result<Self, KafkaFailure> {
        let make = |client: &ClientConfig| {
            let events = Events::new(Arc::clone(&changed));
            let made = client.create_with_context(events);
            let mut made: BaseConsumer<Events> = made.map_err(|error| client_failure(&error))?;
            let wake = Arc::clone(&changed);
            made.set_nonempty_callback(move || wake.notify_waiters());
            Ok(Offload::new(Arc::new(made)))
        };
        let consumer = make(client)?;
        let mut client = client.clone();
        client.remove("group.id");
        let asker = make(&client)?;
        Ok(Self { cursors: Mutex::default(), consumer, asker, changed, clock, request_timeout })
    }

    /// Lets the library say what it has to say.
    fn check(&self, doing: Doing<'_>) -> Result<(), Error> {
        for client in [&self.consumer, &self.asker] {
            let events = client.context();
            for _ in 0..EVENTS_AT_ONCE {
                if let Some(Ok(_)) = client.poll(Duration::ZERO) {
                    // A record of a partition whose queue was lost: its cursor would skip it.
                    events.set_stale();
                }
            }
            if let Some((code, said)) = events.refused() {
                return Err(doing.failed(classify(code, said, Duration::ZERO)));
            }
            if events.is_stale() {
                let said = events.said(RDKafkaErrorCode::Fatal);
                return Err(doing.failed(KafkaFailure::Passing { said }));
            }
        }
        Ok(())
    }

    /// Returns whether this client can go on.
    pub(super) fn is_stale(&self) -> bool {
        self.consumer.context().is_stale() || self.asker.context().is_stale()
    }

    /// Asks a question that blocks until it is answered, for as long as a request may take.
    async fn ask<T: Send + 'static>(
        &self,
        doing: Doing<'_>,
        question: impl Fn(&BaseConsumer<Events>) -> KafkaResult<T> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        let slices = self.request_timeout.as_millis().div_ceil(SLICE.as_millis()).max(1);
        let mut last = RDKafkaErrorCode::OperationTimedOut;
        for _ in 0..slices {
            self.check(doing)?;
            let (asker, question) = (Arc::clone(&self.asker), question.clone());
            let asked = tokio::task::spawn_blocking(move || question(&asker)).await;
            match asked.map_err(|source| Error::TaskLost { doing: doing.doing, source })? {
                Ok(answer) => return Ok(answer),
                Err(error) => last = code_of(&error),
            }
            if !is_passing(last) {
                break;
            }
            if last != RDKafkaErrorCode::OperationTimedOut {
                self.clock.sleep(PAUSE).await;
            }
        }
        self.check(doing)?;
        let said = self.asker.context().said(last);
        Err(doing.failed(classify(last, said, self.request_timeout)))
    }

    /// Returns how many partitions the topic has; 0 when it does not exist.
    pub(super) async fn partitions(&self, doing: Doing<'_>) -> Result<u32, Error> {
        let topic = doing.topic.to_owned();
        let found = self.ask(doing, move |consumer| {
            let metadata = consumer.fetch_metadata(Some(&topic), SLICE)?;
            let topic = metadata.topics().iter().find(|found| found.name() == topic);
            Ok(topic
                .map(|found| (found.error().map(RDKafkaErrorCode::from), found.partitions().len())))
        });
        match found.await? {
            None | Some((Some(RDKafkaErrorCode::UnknownTopicOrPartition), _)) => Ok(0),
            Some((None | Some(RDKafkaErrorCode::LeaderNotAvailable), count)) => {
                Ok(u32::try_from(count).unwrap_or(u32::MAX))
            }
            Some((Some(code), _)) => {
                Err(doing.failed(classify(code, code.to_string(), Duration::ZERO)))
            }
        }
    }

    /// Returns the first offset held and the one the next record gets, by the broker's word now.
    pub(super) async fn bounds(&self, at: At<'_>) -> Result<(u64, u64), Error> {
        let Ok(partition) = i32::try_from(at.partition) else {
            return Ok((0, 0));
        };
        let topic = at.doing.topic.to_owned();
        let found = self.ask(at.doing, move |consumer| {
            match consumer.fetch_watermarks(&topic, partition, SLICE) {
                Err(error) if is_unknown(code_of(&error)) => Ok((0, 0)),
                found => found,
            }
        });
        let (first, end) = found.await?;
        Ok((u64::try_from(first).unwrap_or(0), u64::try_from(end).unwrap_or(0)))
    }

    fn cursor(&self, at: At<'_>) -> Result<Shared, Error> {
        let refuse = || {
            let said = format!("there is no partition {}", at.partition);
            at.doing.failed(KafkaFailure::Passing { said })
        };
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (at.doing.topic.to_owned(), at.partition);
        if let Some(cursor) = cursors.get(&place) {
            return Ok(Arc::clone(cursor));
        }
        let partition = i32::try_from(at.partition).map_err(|_| refuse())?;
        let changed = Arc::clone(&self.changed);
        let cursor = Cursor::new(&self.consumer, at.doing.topic, partition, changed);
        let cursor = Arc::new(tokio::sync::Mutex::new(cursor.ok_or_else(refuse)?));
        cursors.insert(place, Arc::clone(&cursor));
        Ok(cursor)
    }

    /// Gives up the cursors of a topic whose partitions are read elsewhere.
    pub(super) async fn keep_only(&self, doing: Doing<'_>, kept: &[u32]) -> Result<(), Error> {
        let dropped: Vec<Shared> = {
            let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
            let is_dropped = |(topic, partition): &(String, u32), _: &mut Shared| {
                topic == doing.topic && !kept.contains(partition)
            };
            cursors.extract_if(.., is_dropped).map(|(_, cursor)| cursor).collect()
        };
        for cursor in dropped {
            let mut cursor = cursor.lock_owned().await;
            let consumer = Arc::clone(&self.consumer);
            let released = tokio::task::spawn_blocking(move || cursor.release(&consumer)).await;
            let released =
                released.map_err(|source| Error::TaskLost { doing: doing.doing, source });
            released?.map_err(|error| self.failed(doing, code_of(&error)))?;
        }
        Ok(())
    }

    fn failed(&self, doing: Doing<'_>, code: RDKafkaErrorCode) -> Error {
        doing.failed(classify(code, self.consumer.context().said(code), self.request_timeout))
    }

    /// Moves a cursor to `from`, if the partition has it.
    async fn place(
        &self,
        at: At<'_>,
        mut cursor: OwnedMutexGuard<Cursor>,
        from: u64,
    ) -> Result<Placed, Error> {
        let (first_offset, next_offset) = self.bounds(at).await?;
        if !is_held(from, (first_offset, next_offset)) {
            cursor.forget();
            return Ok(Placed::OutOfRange(Fetched::OutOfRange { first_offset, next_offset }));
        }
        let consumer = Arc::clone(&self.consumer);
        // The lock goes along: a read that is dropped meanwhile lets nobody see a half moved cursor.
        let placed = tokio::task::spawn_blocking(move || {
            let placed = cursor.place(&consumer, (from, from == next_offset));
            (cursor, placed)
        });
        let (cursor, placed) =
            placed.await.map_err(|source| Error::TaskLost { doing: at.doing.doing, source })?;
        placed.map_err(|error| self.failed(at.doing, code_of(&error)))?;
        Ok(Placed::There(cursor))
    }

    /// Reads from `from` on; goes on where the last read ended without asking the broker.
    pub(super) async fn read(
        &self,
        at: At<'_>,
        (from, bytes_max): (u64, u64),
    ) -> Result<Fetched, Error> {
        let began = self.clock.monotonic();
        let mut cursor = self.cursor(at)?.lock_owned().await;
        let mut placings = 0;
        let mut damage = None;
        let mut has_asked_end = false;
        loop {
            // Registered before looking: what arrives in between ends the wait.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            self.check(at.doing)?;
            if cursor.next() != Some(from) {
                placings += 1;
                if PLACINGS_MAX < placings {
                    if let Some(code) = damage {
                        return Err(self.damaged(at, cursor, (from, code)).await);
                    }
                    let said = format!("offset {from} came and went while it was read");
                    return Err(at.doing.failed(KafkaFailure::Passing { said }));
                }
                cursor = match self.place(at, cursor, from).await? {
                    Placed::There(cursor) => cursor,
                    Placed::OutOfRange(answer) => return Ok(answer),
                };
            }
            match take(&mut cursor, bytes_max) {
                Taken::Records(records) => return Ok(Fetched::Records(records)),
                // It may have been damaged on the way: fetched anew, like one that moved. Behind
                // such a batch the library may lose its place, and call that out of range.
                Taken::Failed(code) if is_damage(code) => {
                    damage = Some(code);
                    continue;
                }
                Taken::Failed(code) => return Err(self.failed(at.doing, code)),
                // It was found in this very read: word of the place before, or of one that the
                // library has made up behind a damaged batch.
                Taken::OutOfRange if 0 < placings => continue,
                Taken::OutOfRange => {
                    let (first_offset, next_offset) = self.bounds(at).await?;
                    if !is_held(from, (first_offset, next_offset)) {
                        return Ok(Fetched::OutOfRange { first_offset, next_offset });
                    }
                    // The log was cut off, or is another one, and has grown since: what stands
                    // there may not follow what was read. The caller begins from its chain.
                    let said = format!("offset {from} was gone for a moment");
                    return Err(at.doing.failed(KafkaFailure::Passing { said }));
                }
                Taken::Nothing => (),
            }
            // The broker says sooner than an empty fetch whether there is more to come.
            if !has_asked_end {
                has_asked_end = true;
                let (first_offset, next_offset) = self.bounds(at).await?;
                if next_offset < from {
                    cursor.forget();
                    return Ok(Fetched::OutOfRange { first_offset, next_offset });
                }
                if next_offset == from {
                    cursor.set_at_end();
                }
                continue;
            }
            let passed = self.clock.monotonic().saturating_sub(began);
            let Some(left) = self.request_timeout.checked_sub(passed) else {
                return Err(self.failed(at.doing, RDKafkaErrorCode::OperationTimedOut));
            };
            tokio::select! {
                () = changed => (),
                () = self.clock.sleep(left) => (),
            }
        }
    }

    /// Gives the place up, or the library would fetch the damaged bytes again and again.
    async fn damaged(
        &self,
        at: At<'_>,
        mut cursor: OwnedMutexGuard<Cursor>,
        (offset, code): (u64, RDKafkaErrorCode),
    ) -> Error {
        let consumer = Arc::clone(&self.consumer);
        let released = tokio::task::spawn_blocking(move || cursor.release(&consumer)).await;
        if let Err(source) = released {
            return Error::TaskLost { doing: at.doing.doing, source };
        }
        let partition = at.partition;
        at.doing.failed(KafkaFailure::Damaged { partition, offset, said: code.to_string() })
    }

    /// Returns whether a read at `position` would have something to say.
    pub(super) async fn is_ready(&self, at: At<'_>, position: u64) -> Result<bool, Error> {
        self.check(at.doing)?;
        let mut cursor = self.cursor(at)?.lock_owned().await;
        if cursor.next() != Some(position) {
            cursor = match self.place(at, cursor, position).await? {
                Placed::There(cursor) => cursor,
                Placed::OutOfRange(_) => return Ok(true),
            };
        }
        match cursor.poll() {
            Found::End | Found::Nothing => Ok(false),
            found => {
                cursor.hold(found);
                Ok(true)
            }
        }
    }
}

/// Takes what a cursor has, within `bytes_max`, but at least one record if there is any.
fn take(cursor: &mut Cursor, bytes_max: u64) -> Taken {
    let mut records: Vec<Record> = Vec::new();
    let mut bytes = 0_u64;
    while bytes < bytes_max || records.is_empty() {
        let found = cursor.poll();
        match found {
            Found::Record(record) => {
                let size = record.content_bytes();
                if !records.is_empty() && bytes_max < bytes.saturating_add(size) {
                    cursor.hold(Found::Record(record));
                    break;
                }
                bytes = bytes.saturating_add(size);
                cursor.advance(record.offset.saturating_add(1));
                records.push(record);
            }
            Found::End => break,
            Found::Nothing if records.is_empty() => return Taken::Nothing,
            Found::Nothing => break,
            // First what was read; the failure is found again.
            failed if !records.is_empty() => {
                cursor.hold(failed);
                break;
            }
            Found::OutOfRange => {
                cursor.forget();
                return Taken::OutOfRange;
            }
            Found::Failed(code) => {
                cursor.forget();
                return Taken::Failed(code);
            }
        }
    }
    Taken::Records(records)
}

/// Returns whether a partition with these bounds can be read from an offset on; the end counts.
const fn is_held(from: u64, (first_offset, next_offset): (u64, u64)) -> bool {
    first_offset <= from && from <= next_offset
}

/// Returns whether the same question may be answered in a moment.
const fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::CoordinatorLoadInProgress
    )
}
