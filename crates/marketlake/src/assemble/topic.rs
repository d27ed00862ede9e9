//! The topic, embedded or Kafka's, behind the two traits that the stages know.

use std::{sync::Arc, time::Duration};

use ingest::topic::{
    self, EmbeddedTopic, EmbeddedTopicConfig, KafkaTopic, KafkaTopicConfig, TopicReader,
    TopicWriter, embedded::Retention,
};

use super::{ResultExt, Workbench, options::CurrentOptions};
use crate::{
    config::{Compression, Durability},
    failure::Failure,
};

/// How long an operation of the embedded topic waits for another process: a thousand of its appends.
const BUSY: Duration = Duration::from_secs(10);

/// How long a cluster may take to answer: a broker that is replaced needs some seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The open topic. Share one within a process, so that readers are woken.
#[derive(Clone)]
pub(crate) struct Topic {
    pub(crate) writer: Arc<dyn TopicWriter>,
    pub(crate) reader: Arc<dyn TopicReader>,
    /// With how long landed records are kept; a cluster does that by itself.
    embedded: Option<(Arc<EmbeddedTopic>, Duration)>,
}

impl Topic {
    /// Opens the topic that the settings name.
    pub(crate) async fn open(bench: &Workbench) -> Result<Self, Failure> {
        Self::open_with_patience(bench, REQUEST_TIMEOUT).await
    }

    /// Opens it for somebody who waits less, or longer, for a cluster that does not answer.
    pub(crate) async fn open_with_patience(
        bench: &Workbench,
        request_timeout: Duration,
    ) -> Result<Self, Failure> {
        let settings = &bench.config.topic;
        let clock = Arc::clone(&bench.clock);
        let Some(kafka) = &settings.kafka else {
            let config = EmbeddedTopicConfig {
                partitions: settings.partitions,
                durability: match bench.config.durability {
                    Durability::Process => topic::embedded::Durability::KillSafe,
                    Durability::Power => topic::embedded::Durability::PowerSafe,
                },
                busy_timeout: BUSY,
            };
            let opened = EmbeddedTopic::open(&bench.data.topic_db(), &config, clock).await;
            let topic = Arc::new(opened.or_fail()?);
            return Ok(Self {
                writer: Arc::<EmbeddedTopic>::clone(&topic),
                reader: Arc::<EmbeddedTopic>::clone(&topic),
                embedded: Some((topic, settings.retention)),
            });
        };
        let config = KafkaTopicConfig {
            group: kafka.group.clone(),
            partitions: settings.partitions,
            replication: kafka.replication,
            retention: Some(settings.retention),
            compression: match kafka.compression {
                Compression::None => topic::kafka::Compression::None,
                Compression::Gzip => topic::kafka::Compression::Gzip,
                Compression::Lz4 => topic::kafka::Compression::Lz4,
                Compression::Snappy => topic::kafka::Compression::Snappy,
                Compression::Zstd => topic::kafka::Compression::Zstd,
            },
            request_timeout,
            ..KafkaTopicConfig::new(&kafka.brokers)
        };
        let properties = Arc::new(CurrentOptions::new(&bench.scopes, &kafka.properties));
        let topic = Arc::new(KafkaTopic::open(config, properties, clock).or_fail()?);
        Ok(Self { writer: Arc::<KafkaTopic>::clone(&topic), reader: topic, embedded: None })
    }

    /// Drops what has landed, offsets by partition, and is old enough.
    pub(crate) async fn retain(&self, topic: &str, landed: &[u64]) -> Result<(), Failure> {
        let Some((embedded, age_max)) = &self.embedded else { return Ok(()) };
        let retention = Retention { age_max: Some(*age_max), bytes_max: None, force: false };
        let dropped = embedded.retain(topic, landed, retention).await.or_fail()?;
        if dropped.batches != 0 {
            tracing::info!(topic, records = dropped.records, "dropped landed records");
        }
        Ok(())
    }
}
