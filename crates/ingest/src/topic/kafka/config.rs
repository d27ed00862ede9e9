//! The settings of a Kafka topic.

use std::{num::NonZeroU32, time::Duration};

use super::properties::QUEUE_KIB_MAX;
use crate::error::Error;

/// The most bytes a batch of one record may have: a broker's default for `max.message.bytes`.
pub const RECORD_BYTES_MAX: u64 = 1_048_588;

/// How records are compressed on their way and in the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip: for clusters with very old consumers.
    Gzip,
    /// LZ4: less work than zstd, larger.
    Lz4,
    /// Snappy.
    Snappy,
    /// Zstandard: rows of one page compress about tenfold.
    #[default]
    Zstd,
}

impl Compression {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }
}

/// The settings of a Kafka topic.
#[derive(Clone, Debug)]
pub struct KafkaTopicConfig {
    /// Some of the cluster's brokers, `host:port`, separated by commas.
    pub bootstrap: String,
    /// The consumer group that spreads partitions over landers and shows their lag.
    pub group: String,
    /// Partitions of a topic that does not exist yet; existing topics keep theirs.
    pub partitions: NonZeroU32,
    /// Copies of a topic that does not exist yet; 0 for the cluster's default.
    pub replication: u16,
    /// How long a topic that does not exist yet keeps its records; `None` for the cluster's
    /// default. Longer than the longest outage of landing, or records are lost.
    pub retention: Option<Duration>,
    /// How records are compressed.
    pub compression: Compression,
    /// The most bytes of a record, as its batch counts them uncompressed; at most 32 MiB. A topic
    /// that does not exist yet gets it as its own limit.
    pub record_bytes_max: u64,
    /// How long a request may take, or a record that exists may be on its way.
    pub request_timeout: Duration,
    /// How long an appended record may wait for its acknowledgement, attempts included.
    pub delivery_timeout: Duration,
}

impl KafkaTopicConfig {
    /// Returns the settings for a cluster: three partitions, the cluster's replication and
    /// retention, and two minutes for an append, in which a broker is replaced.
    #[must_use]
    pub fn new(bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            group: "marketlake".to_owned(),
            partitions: NonZeroU32::MIN.saturating_add(2),
            replication: 0,
            retention: None,
            compression: Compression::default(),
            record_bytes_max: RECORD_BYTES_MAX,
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
        }
    }

    /// Refuses settings that cannot work.
    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse =
            |setting, problem: &str| Err(Error::Settings { setting, problem: problem.to_owned() });
        let is_server = |server: &str| {
            server.trim().rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
            })
        };
        if !self.bootstrap.split(',').all(is_server) {
            return refuse("topic.brokers", "must be `host:port`, or several with commas");
        }
        if self.group.is_empty() {
            return refuse("topic.group", "must not be empty");
        }
        if i32::try_from(self.partitions.get()).is_err() {
            return refuse("topic.partitions", "must be at most 2147483647");
        }
        if i16::try_from(self.replication).is_err() {
            return refuse("topic.replication", "must be at most 32767");
        }
        // From librdkafka's own bound to what its queue takes.
        if !(1000..=u64::from(QUEUE_KIB_MAX) * 1024).contains(&self.record_bytes_max) {
            return refuse("topic.record_bytes_max", "must be from 1000 bytes to 32 MiB");
        }
        let hour = Duration::from_secs(3600);
        if self.request_timeout.is_zero() || hour < self.request_timeout {
            return refuse("topic.request_timeout", "must be over zero and at most an hour");
        }
        if self.delivery_timeout < Duration::from_secs(1) || hour < self.delivery_timeout {
            return refuse("topic.delivery_timeout", "must be from a second to an hour");
        }
        Ok(())
    }
}
