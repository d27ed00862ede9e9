//! The writing client: an idempotent producer, and appends that wait for every acknowledgement.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use model::Clock;
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseRecord, Producer, ProducerContext, PurgeConfig, ThreadedProducer},
};
use tokio::sync::Notify;

use super::{
    events::Events,
    failure::{Doing, KafkaFailure, classify, client_failure, code_of, is_unknown},
    record::to_headers,
    slot::Offload,
};
use crate::{
    error::Error,
    topic::{NewRecord, partitioner::partition_of},
};

/// A full queue is tried again this soon. The library calls a record delivered before it gives its
/// room free: a report may come too early, and the last one has no successor.
const ROOM_AGAIN: Duration = Duration::from_millis(20);

/// The records of one append that are on their way.
pub(super) struct Pending {
    left: AtomicUsize,
    failed: Mutex<Option<RDKafkaErrorCode>>,
    done: Notify,
}

impl Pending {
    fn new(records: usize) -> Self {
        Self { left: AtomicUsize::new(records), failed: Mutex::new(None), done: Notify::new() }
    }

    /// Notes the first failure: what follows it are its consequences.
    fn fail(&self, code: RDKafkaErrorCode) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(code);
    }

    fn failed(&self) -> Option<RDKafkaErrorCode> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, records: usize) {
        if self.left.fetch_sub(records, Ordering::AcqRel) == records {
            self.done.notify_one();
        }
    }

    fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

/// The producer's side of [`Events`].
struct WriterEvents {
    events: Events,
    /// Wakes whoever waits for room in the producer's queue.
    room: Notify,
}

impl ClientContext for WriterEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.events.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
        self.room.notify_waiters();
    }
}

impl ProducerContext for WriterEvents {
    type DeliveryOpaque = Arc<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Arc<Pending>) {
        if let Err((error, _)) = result {
            pending.fail(code_of(error));
        }
        pending.finish(1);
        self.room.notify_waiters();
    }
}

/// The writing client of a [`super::KafkaTopic`].
pub(super) struct Writer {
    producer: Offload<ThreadedProducer<WriterEvents>>,
    clock: Arc<dyn Clock>,
    delivery_timeout: Duration,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Makes the client. Blocks: it reads certificates.
    pub(super) fn new(
        client: &ClientConfig,
        changed: Arc<Notify>,
        clock: Arc<dyn Clock>,
        delivery_timeout: Duration,
    ) -> Result<Self, KafkaFailure> {
        let events = WriterEvents { events: Events::new(changed), room: Notify::new() };
        let producer =
            client.create_with_context(events).map_err(|error| client_failure(&error))?;
        Ok(Self { producer: Offload::new(producer), clock, delivery_timeout })
    }

    fn events(&self) -> &WriterEvents {
        self.producer.context()
    }

    /// Returns whether this client can go on.
    pub(super) fn is_stale(&self) -> bool {
        self.events().events.is_stale() || self.producer.client().fatal_error().is_some()
    }

    /// Appends the records and waits until each is acknowledged or given up.
    ///
    /// The library gives every record up after the delivery timeout, so this ends.
    pub(super) async fn append(
        self: &Arc<Self>,
        doing: Doing<'_>,
        partitions: u32,
        records: &[NewRecord],
    ) -> Result<(), Error> {
        let pending = Arc::new(Pending::new(records.len()));
        for (index, record) in records.iter().enumerate() {
            let partition = partition_of(record.key.as_bytes(), partitions);
            if let Err(code) = self.send(doing.topic, (partition, record), &pending).await {
                pending.fail(code);
                pending.finish(records.len() - index);
                break;
            }
        }
        self.wait(&pending).await;
        match pending.failed() {
            None => Ok(()),
            Some(code) => {
                if is_unknown(code) {
                    // The library believes in that for minutes, also when the topic is made again.
                    self.events().events.set_stale();
                }
                Err(doing.failed(self.failure(code)))
            }
        }
    }

    /// Puts one record into the producer's queue; waits while it is full. That ends: the library
    /// gives up whatever fills it after the delivery timeout.
    async fn send(
        &self,
        topic: &str,
        (partition, record): (u32, &NewRecord),
        pending: &Arc<Pending>,
    ) -> Result<(), RDKafkaErrorCode> {
        let events = self.events();
        let partition = i32::try_from(partition).map_err(|_| RDKafkaErrorCode::UnknownPartition)?;
        let mut message = BaseRecord::with_opaque_to(topic, Arc::clone(pending))
            .partition(partition)
            .key(record.key.as_bytes())
            .payload(record.value.as_ref())
            .headers(to_headers(&record.headers));
        loop {
            // Registered before trying: room made in between ends the wait.
            let mut room = pin!(events.room.notified());
            room.as_mut().enable();
            if let Some((code, _)) = events.events.refused() {
                return Err(code);
            }
            message = match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), message)) => {
                    message
                }
                Err((error, _)) => return Err(code_of(&error)),
            };
            tokio::select! {
                () = room => (),
                () = self.clock.sleep(ROOM_AGAIN) => (),
            }
        }
    }

    async fn wait(self: &Arc<Self>, pending: &Pending) {
        let events = self.events();
        let mut is_purged = false;
        while !pending.is_done() {
            let mut room = pin!(events.room.notified());
            room.as_mut().enable();
            if !is_purged && events.events.refused().is_some() {
                is_purged = true;
                // Nothing gets through any more; without this every record would wait its full
                // time. It blocks for a moment, and its reports end the wait.
                let writer = Arc::clone(self);
                let purge = PurgeConfig::default().queue().inflight();
                drop(tokio::task::spawn_blocking(move || writer.producer.purge(purge)));
            }
            if pending.is_done() {
                break;
            }
            tokio::select! {
                () = pending.done.notified() => (),
                () = room, if !is_purged => (),
            }
        }
    }

    fn failure(&self, code: RDKafkaErrorCode) -> KafkaFailure {
        let events = &self.events().events;
        if let Some((code, said)) = events.refused() {
            return classify(code, said, Duration::ZERO);
        }
        if let Some((code, said)) = self.producer.client().fatal_error() {
            return KafkaFailure::Passing { said: format!("{code}: {said}") };
        }
        classify(code, events.said(code), self.delivery_timeout)
    }
}
