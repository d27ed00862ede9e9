//! What brokers do to us: moving leaders, lost answers, short outages. Nothing acknowledged is
//! lost, and each offset is read once.

use std::time::Duration;

use ingest::topic::{Fetched, KafkaTopicConfig, TopicReader, TopicWriter};
use model::ErrorKind;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{check_complete, config, mock, numbered, open, read_all};

/// Appends and reads while the requests of one sort fail with `errors`.
async fn check(key: RDKafkaApiKey, errors: &[RDKafkaRespErr]) {
    let cluster = mock("", 3, 3);
    let topic = open(config(&cluster.bootstrap_servers()));
    topic.append("x", numbered(0..10)).await.expect("appends before");
    cluster.request_errors(key, errors);
    for start in (10..60).step_by(10) {
        topic.append("x", numbered(start..start + 10)).await.expect("appends");
    }
    cluster.request_errors(key, errors);
    let records = read_all(topic.as_ref(), "x").await;
    check_complete(&records, 0..60);
    // The double keeps a repeated batch again, where a broker would recognise it.
    let mut seen = std::collections::BTreeMap::<String, Vec<u32>>::new();
    for record in &records {
        let number = std::str::from_utf8(&record.value).unwrap().parse().unwrap();
        let seen = seen.entry(record.key.clone()).or_default();
        if !seen.contains(&number) {
            assert!(seen.last() < Some(&number), "`{}`: {number} after {seen:?}", record.key);
            seen.push(number);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_survive_what_passes() {
    use RDKafkaRespErr as E;
    for errors in [
        [E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2],
        [E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT; 2],
        [E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 2],
        [E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND; 2],
        // The broker hangs up instead of answering.
        [E::RD_KAFKA_RESP_ERR__TRANSPORT; 2],
    ] {
        check(RDKafkaApiKey::Produce, &errors).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_survive_what_passes() {
    use RDKafkaRespErr as E;
    for errors in [
        [E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2],
        [E::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE; 2],
        [E::RD_KAFKA_RESP_ERR__TRANSPORT; 2],
    ] {
        check(RDKafkaApiKey::Fetch, &errors).await;
    }
    let coordinator = [E::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE; 3];
    check(RDKafkaApiKey::FindCoordinator, &coordinator).await;
    check(RDKafkaApiKey::ListOffsets, &[E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2]).await;
    check(RDKafkaApiKey::Metadata, &[E::RD_KAFKA_RESP_ERR__TRANSPORT; 2]).await;
}

/// A producer the cluster forgot: the append fails or is repeated, and the next one works. What
/// was not acknowledged may be there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_producer_is_made_anew() {
    use RDKafkaRespErr as E;
    for error in [
        E::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
        E::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
        E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
        E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING,
    ] {
        let cluster = mock("", 1, 1);
        let topic = open(config(&cluster.bootstrap_servers()));
        topic.append("x", numbered(0..10)).await.expect("appends before");
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
        let mut tries = 0;
        while let Err(failure) = topic.append("x", numbered(10..20)).await {
            assert_eq!(failure.kind(), ErrorKind::Transient, "{error:?}: {failure:?}");
            tries += 1;
            assert!(tries < 3, "{error:?}: {failure:?}");
        }
        topic.append("x", numbered(20..30)).await.expect("appends after");
        check_complete(&read_all(topic.as_ref(), "x").await, 0..30);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_waited_out() {
    let cluster = mock("", 1, 1);
    let topic = open(config(&cluster.bootstrap_servers()));
    topic.append("x", numbered(0..10)).await.expect("appends before");
    assert_eq!(read_all(topic.as_ref(), "x").await.len(), 10);
    cluster.broker_down(1).expect("down");
    let outage = async {
        // It is over as soon as the append has noticed it.
        tokio::task::yield_now().await;
        let early = topic.wait("x", &[10], Duration::from_millis(300)).await;
        early.expect("nothing new is no failure, and neither is a short outage");
        cluster.broker_up(1).expect("up");
    };
    let (appended, ()) = futures::join!(topic.append("x", numbered(10..20)), outage);
    appended.expect("the outage was shorter than the patience");
    check_complete(&read_all(topic.as_ref(), "x").await, 0..20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_is_transient() {
    let cluster = mock("", 1, 1);
    // By somebody with patience: a busy machine may need more than a second for a first append.
    let patient = open(config(&cluster.bootstrap_servers()));
    patient.append("x", numbered(0..10)).await.expect("appends before");
    let topic = open(KafkaTopicConfig {
        delivery_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
        ..config(&cluster.bootstrap_servers())
    });
    cluster.broker_down(-1).expect("down");
    let error = topic.append("x", numbered(10..20)).await.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    let error = topic.end_offset("x", 0).await.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    cluster.broker_up(-1).expect("up");
    let mut tries = 0;
    while topic.append("x", numbered(10..20)).await.is_err() {
        tries += 1;
        assert!(tries < 30, "it comes back");
    }
    check_complete(&read_all(topic.as_ref(), "x").await, 0..20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_behind_a_move() {
    let cluster = mock("", 3, 1);
    let topic = open(config(&cluster.bootstrap_servers()));
    let mut next = 0;
    for (turn, leader) in [2, 3, 1, 2].into_iter().enumerate() {
        cluster.partition_leader("x", 0, Some(leader)).expect("a leader");
        let start = u32::try_from(turn).unwrap() * 10;
        topic.append("x", numbered(start..start + 10)).await.expect("appends");
        topic.wait("x", &[next], Duration::from_secs(60)).await.expect("waits");
        while next < u64::from(start) + 10 {
            let read = topic.read("x", 0, next, 1).await.expect("reads");
            let Fetched::Records(records) = read else { panic!("{next} is in range: {read:?}") };
            for record in records {
                assert_eq!(record.offset, next, "without a hole");
                assert_eq!(record.value, next.to_string(), "in order");
                next += 1;
            }
        }
    }
}
