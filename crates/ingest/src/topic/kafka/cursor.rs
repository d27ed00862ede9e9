//! A place in one partition from which reading goes on without asking the broker again.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, base_consumer::PartitionQueue},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::sync::Notify;

use super::{events::Events, failure::code_of, record::from_message};
use crate::topic::Record;

/// Failures of a place that was left, a few for each attempt; more would come from elsewhere.
const STALE_MAX: u32 = 100;

/// What a cursor has now, without waiting.
pub(super) enum Found {
    /// The next record.
    Record(Record),
    /// Nothing, and there is nothing more in the partition.
    End,
    /// Nothing yet.
    Nothing,
    /// The broker does not have the asked offset.
    OutOfRange,
    /// Reading this partition failed.
    Failed(RDKafkaErrorCode),
}

/// Reads one partition. The caller serialises all use of it.
pub(super) struct Cursor {
    topic: String,
    partition: i32,
    queue: PartitionQueue<Events>,
    is_assigned: bool,
    /// The offset after the last record handed out: where this cursor goes on.
    next: Option<u64>,
    /// Taken from the queue but not handed out.
    held: Option<Found>,
    /// Everything up to the end was handed out, markers of transactions included.
    is_at_end: bool,
}

impl Cursor {
    /// Creates a cursor without a place. `None` when the library refuses the topic's name.
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<Events>>,
        topic: &str,
        partition: i32,
        changed: Arc<Notify>,
    ) -> Option<Self> {
        // Split before it is assigned: its records never reach the consumer's common queue.
        let mut queue = consumer.split_partition_queue(topic, partition)?;
        queue.set_nonempty_callback(move || changed.notify_waiters());
        let topic = topic.to_owned();
        let (is_assigned, next, held, is_at_end) = (false, None, None, false);
        Some(Self { topic, partition, queue, is_assigned, next, held, is_at_end })
    }

    /// Returns where this cursor goes on.
    pub(super) const fn next(&self) -> Option<u64> {
        self.next
    }

    /// Moves to `from`. Blocks for a moment: the library's main thread does it.
    ///
    /// Given up and taken again instead of moved: nothing fetched for the old place comes through.
    pub(super) fn place(
        &mut self,
        consumer: &BaseConsumer<Events>,
        (from, is_at_end): (u64, bool),
    ) -> KafkaResult<()> {
        self.release(consumer)?;
        // Records of the old place are left out by the library itself, its last failures are not.
        for _ in 0..STALE_MAX {
            if self.queue.poll(Duration::ZERO).is_none() {
                break;
            }
        }
        let offset = i64::try_from(from).map_err(|_| KafkaError::NoMessageReceived)?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&self.topic, self.partition, Offset::Offset(offset))?;
        self.is_assigned = true;
        consumer.incremental_assign(&list)?;
        self.next = Some(from);
        self.is_at_end = is_at_end;
        Ok(())
    }

    /// Gives the place up: nothing is read ahead any more.
    pub(super) fn release(&mut self, consumer: &BaseConsumer<Events>) -> KafkaResult<()> {
        self.forget();
        if self.is_assigned {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition(&self.topic, self.partition);
            consumer.incremental_unassign(&list)?;
            self.is_assigned = false;
        }
        Ok(())
    }

    /// Forgets the place; the next read finds it anew.
    pub(super) fn forget(&mut self) {
        self.next = None;
        self.held = None;
        self.is_at_end = false;
    }

    /// Notes that `next` is where the partition ends now.
    pub(super) const fn set_at_end(&mut self) {
        self.is_at_end = true;
    }

    /// Returns what there is. Never blocks.
    pub(super) fn poll(&mut self) -> Found {
        if let Some(found) = self.held.take() {
            return found;
        }
        loop {
            let found = match self.queue.poll(Duration::ZERO) {
                None if self.is_at_end => Found::End,
                None => Found::Nothing,
                Some(Ok(message)) => Found::Record(from_message(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.is_at_end = true;
                    continue;
                }
                Some(Err(error)) => match code_of(&error) {
                    RDKafkaErrorCode::AutoOffsetReset
                    | RDKafkaErrorCode::OffsetOutOfRange
                    | RDKafkaErrorCode::LogTruncation => Found::OutOfRange,
                    code => Found::Failed(code),
                },
            };
            if let Found::Record(record) = &found {
                self.is_at_end = false;
                // The library keeps such from us; a second look costs nothing.
                if self.next.is_none_or(|next| record.offset < next) {
                    continue;
                }
            }
            return found;
        }
    }

    /// Takes back what was found: the next poll finds it again.
    pub(super) fn hold(&mut self, found: Found) {
        self.held = Some(found);
    }

    /// Notes that everything before `next` was handed out.
    pub(super) const fn advance(&mut self, next: u64) {
        self.next = Some(next);
    }
}
