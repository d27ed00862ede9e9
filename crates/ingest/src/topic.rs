//! The topic: the durable log between the fetch of a row and its landing object.
//!
//! A topic has partitions; the key of a record decides its partition, offsets count from 0 in each.
//! [`embedded`] keeps topics in one SQLite file, [`kafka`] in a Kafka cluster. Both pass the suite
//! in [`contract`].

#[cfg(feature = "test-util")]
pub mod contract;
pub mod embedded;
pub mod kafka;
pub mod partitioner;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::error::Error;

pub use embedded::{EmbeddedTopic, EmbeddedTopicConfig};
pub use kafka::{KafkaTopic, KafkaTopicConfig};

/// A record to be appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// The symbol; decides the partition. May be empty.
    pub key: String,
    /// The vendor's row, byte for byte. May be empty, need not be text.
    pub value: Bytes,
    /// Provenance, kept in this order; see [`model::record`].
    pub headers: Vec<(String, String)>,
}

impl NewRecord {
    /// Bytes of content and of its lengths: what limits count.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        content_bytes(&self.key, &self.value, &self.headers)
    }
}

/// A record as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place in the partition.
    pub offset: u64,
    /// The key it was appended with.
    pub key: String,
    /// When the topic took it. Never used to order anything.
    pub ts: DateTime<Utc>,
    /// The headers it was appended with, in the same order.
    pub headers: Vec<(String, String)>,
    /// The value it was appended with.
    pub value: Bytes,
}

impl Record {
    /// Bytes of content and of its lengths: what limits count.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        content_bytes(&self.key, &self.value, &self.headers)
    }
}

fn content_bytes(key: &str, value: &[u8], headers: &[(String, String)]) -> u64 {
    // The lengths count as well (4 bytes each), or a million empty headers would weigh nothing.
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    u64::try_from(12 + key.len() + value.len() + headers).unwrap_or(u64::MAX)
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Records from the asked offset on, in offset order; empty at the end of the partition.
    ///
    /// Offsets may skip (a Kafka topic has markers and compaction), but nothing readable is left
    /// out between two records of one answer.
    Records(Vec<Record>),
    /// The asked offset is before the first or behind the end.
    OutOfRange {
        /// The oldest offset still held.
        first_offset: u64,
        /// The offset the next appended record gets.
        next_offset: u64,
    },
}

/// Appends records.
#[async_trait]
pub trait TopicWriter: Send + Sync {
    /// Appends `records`, each to the partition of its key, in the given order per partition.
    ///
    /// Returns when every record is durably acknowledged; until then nothing is promised. A
    /// dropped or failed call may have appended any part of the records, readable at once: call
    /// again with all of them, and let duplicates be recognised by their provenance.
    ///
    /// # Errors
    /// The topic's name is none, a record is too large, or the log cannot be written; see
    /// [`Error::kind`].
    async fn append(&self, topic: &str, records: Vec<NewRecord>) -> Result<(), Error>;
}

/// Reads records by partition and offset. Positions belong to the caller.
#[async_trait]
pub trait TopicReader: Send + Sync {
    /// Returns how many partitions `topic` has; 0 when nobody has written to it yet.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn partitions(&self, topic: &str) -> Result<u32, Error>;

    /// Reads from `from_offset` on: as many records as fit in `bytes_max` of content, but at
    /// least one if there is any.
    ///
    /// A reader at the end may see what was just appended a moment late, when it is on its way
    /// from a broker; [`Self::wait`] ends when it is there.
    ///
    /// # Errors
    /// The log cannot be read, or what it holds is damaged. Afterwards it may be another log, with
    /// other records at the same offsets: check what was read last before reading on.
    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from_offset: u64,
        bytes_max: u64,
    ) -> Result<Fetched, Error>;

    /// Returns the offset the partition's next record gets; 0 for a topic nobody has written to.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn end_offset(&self, topic: &str, partition: u32) -> Result<u64, Error>;

    /// Waits until a partition holds a record at or behind its entry in `positions`, or `timeout`
    /// has passed. A partition without an entry counts from 0; one with `u64::MAX` is not waited
    /// for.
    ///
    /// Positions make it free of races: what was appended between the caller's last read and this
    /// call ends the wait at once. May also return early for no reason.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn wait(&self, topic: &str, positions: &[u64], timeout: Duration) -> Result<(), Error>;

    /// Returns whether a read that goes on where the last one ended answers out of range when what
    /// was read before is lost or replaced by now. If not, whoever needs to know has to look.
    fn tells_of_truncation(&self) -> bool {
        false
    }

    /// Returns which partitions of `topic` this process is to land; `None` for all of them.
    ///
    /// It spreads the work, and nothing depends on it: an answer may be late or wrong, and two
    /// processes may have the same partition for a while.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn assigned(&self, _topic: &str) -> Result<Option<Vec<u32>>, Error> {
        Ok(None)
    }

    /// Tells whoever watches how far partitions have landed: the next offset of each.
    ///
    /// Nothing is ever read from what is told here, so it cannot fail.
    async fn landed(&self, _topic: &str, _next_offsets: &[(u32, u64)]) {}
}
