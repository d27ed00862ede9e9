//! Topics in Kafka: a real cluster where only it can tell, librdkafka's double for its moods.
#![expect(clippy::panic, reason = "helpers of tests, outside the test functions themselves")]

mod damage;
mod faults;
mod foreign;
mod generation;
mod group;
mod login;
mod recreated;
mod token;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use ingest::topic::{
    Fetched, KafkaTopic, KafkaTopicConfig, NewRecord, Record, TopicReader, TopicWriter,
    contract::{Opened, topic_contract},
    kafka::{ConnectionProperties, NoProperties, PropertiesError, Property},
};
use model::{Clock, clock::Sleep};
use rdkafka::mocking::MockCluster;
use zeroize::Zeroizing;

/// Real time: the client library keeps its own.
#[derive(Debug)]
pub(crate) struct RealClock(tokio::time::Instant);

impl RealClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for RealClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.0.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Properties that a test knows beforehand.
pub(crate) struct Fixed(pub(crate) Vec<(&'static str, String)>);

impl std::fmt::Debug for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fixed")
    }
}

#[async_trait]
impl ConnectionProperties for Fixed {
    async fn current(&self) -> Result<Vec<Property>, PropertiesError> {
        let property =
            |(name, value): &(&str, String)| ((*name).to_owned(), Zeroizing::new(value.clone()));
        Ok(self.0.iter().map(property).collect())
    }
}

#[expect(clippy::disallowed_methods, reason = "tests find the real services in the environment")]
pub(crate) fn service(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} names a test service; run scripts/services start"))
}

/// A start of names that no other run has used.
pub(crate) fn unique() -> String {
    format!("t{}-", uuid::Uuid::new_v4().simple())
}

pub(crate) fn config(bootstrap: &str) -> KafkaTopicConfig {
    KafkaTopicConfig { group: unique(), ..KafkaTopicConfig::new(bootstrap) }
}

pub(crate) fn open(config: KafkaTopicConfig) -> Arc<KafkaTopic> {
    open_with(config, Arc::new(NoProperties))
}

pub(crate) fn open_with(
    config: KafkaTopicConfig,
    properties: Arc<dyn ConnectionProperties>,
) -> Arc<KafkaTopic> {
    Arc::new(KafkaTopic::open(config, properties, RealClock::new()).expect("opens"))
}

pub(crate) fn opened(topic: &Arc<KafkaTopic>) -> Opened {
    Opened { writer: Arc::clone(topic) as _, reader: Arc::clone(topic) as _ }
}

pub(crate) fn numbered(numbers: std::ops::Range<u32>) -> Vec<NewRecord> {
    numbers
        .map(|number| NewRecord {
            key: format!("k{}", number % 11),
            value: number.to_string().into(),
            headers: vec![("row".to_owned(), number.to_string())],
        })
        .collect()
}

/// Reads every partition from its start to its end.
pub(crate) async fn read_all(topic: &dyn TopicReader, name: &str) -> Vec<Record> {
    let mut all = Vec::new();
    for partition in 0..topic.partitions(name).await.expect("partitions") {
        let mut next = 0;
        loop {
            let read = topic.read(name, partition, next, 64 * 1024).await.expect("reads");
            let records = match read {
                Fetched::Records(records) => records,
                Fetched::OutOfRange { first_offset, next_offset } => {
                    panic!("{next} is not in {first_offset}..{next_offset}")
                }
            };
            let Some(last) = records.last() else { break };
            next = last.offset + 1;
            all.extend(records);
        }
    }
    all
}

/// Asserts that each number came at least once, and in order apart from repeats.
#[track_caller]
pub(crate) fn check_complete(records: &[Record], numbers: std::ops::Range<u32>) {
    let found: std::collections::BTreeSet<u32> = records
        .iter()
        .map(|record| std::str::from_utf8(&record.value).unwrap().parse().unwrap())
        .collect();
    assert_eq!(found, numbers.collect(), "every acknowledged record is there");
}

/// The double of a cluster, with the topics that the contract wants: it cannot create them.
pub(crate) fn mock(
    prefix: &str,
    brokers: i32,
    partitions: i32,
) -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
    let cluster = MockCluster::new(brokers).expect("a mock cluster");
    for name in ["verbatim", "order", "limits", "range", "writers", "wake", "durable", "x"] {
        let replicas = brokers.min(3);
        cluster.create_topic(&format!("{prefix}{name}"), partitions, replicas).expect("a topic");
    }
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mock_cluster_keeps_the_contract() {
    let cluster = mock("contract-", 3, 3);
    let servers = cluster.bootstrap_servers();
    topic_contract("contract-", async || opened(&open(config(&servers)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_real_cluster_keeps_the_contract() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    topic_contract(&unique(), async || opened(&open(config(&servers)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn two_writers_may_create_one_topic() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let name = unique();
    let (one, other) = (open(config(&servers)), open(config(&servers)));
    let (left, right) =
        futures::join!(one.append(&name, numbered(0..50)), other.append(&name, numbered(50..100)));
    left.expect("appends");
    right.expect("appends");
    assert_eq!(one.partitions(&name).await.expect("partitions"), 3, "as configured");
    check_complete(&read_all(one.as_ref(), &name).await, 0..100);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    for (bootstrap, group) in
        [("", "g"), ("localhost", "g"), ("a:1,,b:2", "g"), ("a:0", "g"), ("a:1", "")]
    {
        let config =
            KafkaTopicConfig { group: group.to_owned(), ..KafkaTopicConfig::new(bootstrap) };
        let opened = KafkaTopic::open(config, Arc::new(NoProperties), RealClock::new());
        assert!(opened.is_err(), "{bootstrap:?} {group:?}");
    }
    let sizes = [(999, false), (1000, true), (32 << 20, true), ((32 << 20) + 1, false)];
    for (record_bytes_max, is_fine) in sizes {
        let config = KafkaTopicConfig { record_bytes_max, ..config("localhost:9092") };
        let opened = KafkaTopic::open(config, Arc::new(NoProperties), RealClock::new());
        assert_eq!(opened.is_ok(), is_fine, "{record_bytes_max}");
    }
}
