//! A topic that was deleted and made again while somebody reads it.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use ingest::topic::{Fetched, KafkaTopic, KafkaTopicConfig, TopicReader, TopicWriter};
use model::ErrorKind;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

use super::{Fixed, check_complete, config, numbered, open, open_with, read_all, service, unique};

const PATIENCE: Duration = Duration::from_secs(60);

fn one_partition(servers: &str) -> Arc<KafkaTopic> {
    open(KafkaTopicConfig { partitions: NonZeroU32::MIN, ..config(servers) })
}

async fn delete(servers: &str, name: &str) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers);
    let admin: AdminClient<DefaultClientContext> = client.create().expect("an admin");
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for deleted in admin.delete_topics(&[name], &options).await.expect("asks") {
        deleted.expect("deletes");
    }
}

/// Deletes a topic, and appends five records to another one of the same name.
async fn replace(servers: &str, name: &str) -> Arc<KafkaTopic> {
    delete(servers, name).await;
    let again = one_partition(servers);
    again.append(name, numbered(1000..1005)).await.expect("creates and appends");
    again
}

/// Appends ten records and reads them, so that the reader waits behind them.
async fn reader_at_ten(servers: &str, name: &str) -> Arc<KafkaTopic> {
    let topic = one_partition(servers);
    topic.append(name, numbered(0..10)).await.expect("appends");
    let mut next = 0;
    while next < 10 {
        let read = topic.read(name, 0, next, 64 * 1024).await.expect("reads");
        let Fetched::Records(records) = read else { panic!("{next} is in range: {read:?}") };
        next = records.last().map_or(next, |last| last.offset + 1);
    }
    topic
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_reader_is_told_that_its_topic_is_shorter_than_it_was() {
    let (servers, name) = (service("MARKETLAKE_TEST_KAFKA"), unique());
    let topic = reader_at_ten(&servers, &name).await;
    replace(&servers, &name).await;
    let read = topic.read(&name, 0, 10, 64 * 1024).await.expect("reads");
    assert_eq!(read, Fetched::OutOfRange { first_offset: 0, next_offset: 5 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_reader_does_not_read_on_in_another_log_that_has_its_offset_again() {
    let (servers, name) = (service("MARKETLAKE_TEST_KAFKA"), unique());
    let topic = reader_at_ten(&servers, &name).await;
    let again = replace(&servers, &name).await;
    // Ends when the reader knows that its offset is gone.
    topic.wait(&name, &[10], PATIENCE).await.expect("waits");
    again.append(&name, numbered(1005..1020)).await.expect("appends");
    let refused = topic.read(&name, 0, 10, 64 * 1024).await.expect_err("it is another log");
    assert_eq!(refused.kind(), ErrorKind::Transient, "{refused:?}");
    // Whoever has checked its place may read on.
    let read = topic.read(&name, 0, 10, 64 * 1024).await.expect("reads");
    let Fetched::Records(records) = read else { panic!("10 is in range: {read:?}") };
    assert_eq!(records[0].value, "1010");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_writer_makes_its_topic_again_as_configured() {
    let (servers, name) = (service("MARKETLAKE_TEST_KAFKA"), unique());
    // How long a client believes that a topic which is not there may be on its way.
    let patience = ("topic.metadata.propagation.max.ms", "500".to_owned());
    let topic = open_with(config(&servers), Arc::new(Fixed(vec![patience])));
    topic.append(&name, numbered(0..10)).await.expect("appends");
    delete(&servers, &name).await;
    let mut tries = 0;
    while let Err(error) = topic.append(&name, numbered(10..20)).await {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
        tries += 1;
        assert!(tries < 3, "{error:?}");
    }
    assert_eq!(topic.check(&name).await.expect("looks"), 3, "as configured");
    check_complete(&read_all(topic.as_ref(), &name).await, 10..20);
}
