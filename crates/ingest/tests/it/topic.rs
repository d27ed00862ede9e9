//! Every topic passes the one contract.

use std::{num::NonZeroU32, sync::Arc};

use ingest::topic::{
    EmbeddedTopic, EmbeddedTopicConfig,
    contract::{Opened, topic_contract},
    embedded::Durability,
};
use model::ManualClock;

use crate::landing::memory_topic::MemoryTopic;

async fn check_embedded(partitions: u32, durability: Durability) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("topic.db");
    let partitions = NonZeroU32::new(partitions).expect("not zero");
    let config = EmbeddedTopicConfig { partitions, durability, ..EmbeddedTopicConfig::default() };
    let clock = Arc::new(ManualClock::new("2019-02-11T14:30:00Z".parse().expect("a time")));
    topic_contract("contract-", async || {
        let topic = EmbeddedTopic::open(&path, &config, Arc::clone(&clock) as _).await;
        let topic = Arc::new(topic.expect("opens"));
        Opened { writer: Arc::clone(&topic) as _, reader: topic }
    })
    .await;
}

#[tokio::test]
async fn the_embedded_topic_keeps_the_contract() {
    check_embedded(1, Durability::KillSafe).await;
}

#[tokio::test]
async fn the_embedded_topic_keeps_the_contract_with_partitions_and_power_safety() {
    check_embedded(3, Durability::PowerSafe).await;
}

#[tokio::test]
async fn the_topic_of_the_simulation_keeps_the_contract() {
    let topic = Arc::new(MemoryTopic::new(3));
    topic_contract("contract-", async || Opened {
        writer: Arc::clone(&topic) as _,
        reader: Arc::clone(&topic) as _,
    })
    .await;
}
