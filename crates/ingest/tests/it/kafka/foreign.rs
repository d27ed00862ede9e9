//! What others write, and what brokers delete.

use std::sync::Arc;

use ingest::{
    Error,
    landing::{Lander, LandingConfig, OnGap},
    topic::{Fetched, KafkaTopicConfig, NewRecord, TopicReader, TopicWriter, kafka::Compression},
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer},
};

use super::{RealClock, config, numbered, open, read_all, service, unique};

pub(super) fn client(servers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn shows_whatever_others_wrote() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let name = unique();
    let topic =
        open(KafkaTopicConfig { partitions: std::num::NonZeroU32::MIN, ..config(&servers) });
    topic.append(&name, numbered(0..1)).await.expect("appends");
    let producer: FutureProducer = client(&servers).create().expect("a producer");
    let patience = std::time::Duration::from_secs(30);
    let send = async |record: FutureRecord<'_, [u8], [u8]>| {
        producer.send(record, patience).await.expect("sent");
    };
    // A tombstone without a key.
    send(FutureRecord::to(&name)).await;
    let key: &[u8] = b"\xff\\key";
    let headers = OwnedHeaders::new()
        .insert(Header { key: "binary", value: Some(&b"\x00\xfe"[..]) })
        .insert(Header::<&[u8]> { key: "none", value: None });
    let payload: &[u8] = b"\xc3\x28";
    send(FutureRecord::to(&name).key(key).payload(payload).headers(headers)).await;
    // A value without a key, and empty ones, which are not the same as none.
    send(FutureRecord::to(&name).payload(&b"keyless"[..])).await;
    send(FutureRecord::to(&name).key(&b""[..]).payload(&b""[..])).await;

    let read = read_all(topic.as_ref(), &name).await;
    assert_eq!(read.len(), 5);
    let offsets: Vec<u64> = read.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4], "each has a place of its own");
    assert_eq!((read[3].key.as_str(), &read[3].value[..]), ("", &b"keyless"[..]));
    assert_eq!((read[4].key.as_str(), &read[4].value[..]), ("", &b""[..]));
    assert_eq!((read[1].key.as_str(), read[1].value.len(), read[1].headers.len()), ("", 0, 0));
    assert_eq!(read[2].key, r"\xff\\key");
    assert_eq!(&read[2].value[..], payload, "a value need not be text");
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(read[2].headers, [header("binary", "\0\\xfe"), header("none", "")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn skips_the_markers_of_transactions() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let name = unique();
    let topic =
        open(KafkaTopicConfig { partitions: std::num::NonZeroU32::MIN, ..config(&servers) });
    topic.append(&name, numbered(0..1)).await.expect("appends");
    let producer: FutureProducer =
        client(&servers).set("transactional.id", unique()).create().expect("a producer");
    let patience = std::time::Duration::from_secs(30);
    let run = async |payload: &str, is_kept: bool| {
        producer.begin_transaction().expect("begins");
        let record = FutureRecord::<[u8], str>::to(&name).payload(payload);
        producer.send(record, patience).await.expect("sent");
        let producer = producer.clone();
        let end = tokio::task::spawn_blocking(move || {
            if is_kept {
                producer.commit_transaction(patience)
            } else {
                producer.abort_transaction(patience)
            }
        });
        end.await.expect("a thread").expect("ends");
    };
    let init = producer.clone();
    tokio::task::spawn_blocking(move || init.init_transactions(patience))
        .await
        .expect("a thread")
        .expect("transactions");
    run("given up", false).await;
    run("kept", true).await;
    let read = read_all(topic.as_ref(), &name).await;
    let shown: Vec<_> = read.iter().map(|record| (record.offset, &record.value[..])).collect();
    // 1 and 2: the record that was given up, and the marker that says so.
    assert_eq!(shown, [(0, &b"0"[..]), (3, &b"kept"[..])]);
    let end = topic.end_offset(&name, 0).await.expect("an end");
    assert_eq!(end, 5, "the last marker counts");
    // Behind the last record is only a marker: nothing to wake up for.
    let clock = RealClock::new();
    let wait = topic.wait(&name, &[4], std::time::Duration::from_millis(500));
    wait.await.expect("waits");
    let slept = model::Clock::monotonic(clock.as_ref());
    assert!(std::time::Duration::from_millis(400) < slept, "a marker ended the wait: {slept:?}");
    topic.append(&name, numbered(1..2)).await.expect("appends");
    topic.wait(&name, &[4], std::time::Duration::from_secs(60)).await.expect("waits");
    let read = topic.read(&name, 0, 4, 100).await.expect("reads");
    let Fetched::Records(read) = read else { panic!("{read:?}") };
    assert_eq!(read[0].offset, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn takes_records_up_to_the_limit() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let name = unique();
    let config = KafkaTopicConfig { compression: Compression::None, ..config(&servers) };
    let limit = usize::try_from(config.record_bytes_max).expect("a size");
    let topic = open(config);
    let record = |value: usize| NewRecord {
        key: "k".to_owned(),
        value: vec![b'x'; value].into(),
        headers: vec![("h".to_owned(), "v".to_owned())],
    };
    // The batch's header, a record's length and fields: see the unit test of its weight.
    let overhead = 61 + 3 + 3 + 2 + 3 + 1 + 4;
    let error = topic.append(&name, vec![record(1), record(limit - overhead + 1)]).await;
    let Err(Error::Append { problem, .. }) = error else { panic!("too large: {error:?}") };
    assert!(problem.contains(&format!("{} bytes, at most {limit}", limit + 1)), "{problem}");
    assert_eq!(topic.partitions(&name).await.expect("partitions"), 0, "nothing was touched");
    for value in [limit - overhead, limit - overhead - 1] {
        topic.append(&name, vec![record(1), record(value), record(2)]).await.expect("fits");
    }
    let mut sizes: Vec<_> =
        read_all(topic.as_ref(), &name).await.iter().map(|read| read.value.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2, 2, limit - overhead - 1, limit - overhead]);
}

/// The largest limit there can be: the record fills the producer's queue, and a fetch many times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn takes_a_record_of_the_largest_size() {
    let name = unique();
    let limit = KafkaTopicConfig {
        record_bytes_max: 32 << 20,
        compression: Compression::None,
        ..config(&service("MARKETLAKE_TEST_KAFKA"))
    };
    let topic = open(limit);
    let value: bytes::Bytes = vec![b'x'; (32 << 20) - 100].into();
    let headers = Vec::new();
    let record = NewRecord { key: "k".to_owned(), value: value.clone(), headers };
    // Each waits until the one before has left; the library reports that before it makes room.
    topic.append(&name, vec![record; 4]).await.expect("appends");
    let read = read_all(topic.as_ref(), &name).await;
    assert_eq!(read.len(), 4);
    assert!(read.iter().all(|record| record.value == value));
}

/// The limits of reading bound what is read ahead, not what can be read at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn lands_a_record_larger_than_any_of_ours() {
    const LARGE: usize = 6 * 1024 * 1024;
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let name = unique();
    let admin: AdminClient<DefaultClientContext> = client(&servers).create().expect("an admin");
    let limit = (2 * LARGE).to_string();
    let wanted =
        NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("max.message.bytes", &limit);
    admin.create_topics([&wanted], &AdminOptions::new()).await.expect("created");
    let producer: FutureProducer =
        client(&servers).set("message.max.bytes", &limit).create().expect("a producer");
    for size in [10, LARGE, 20] {
        let value = vec![b'7'; size];
        let record = FutureRecord::<[u8], [u8]>::to(&name).payload(&value);
        producer.send(record, std::time::Duration::from_secs(60)).await.expect("sent");
    }
    let topic = open(config(&servers));
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let config = LandingConfig {
        age_max: std::time::Duration::ZERO,
        bytes_max: 1024 * 1024,
        ..LandingConfig::for_topic(&name)
    };
    let reader = Arc::clone(&topic) as Arc<dyn TopicReader>;
    let mut lander = Lander::new(store, reader, RealClock::new(), config).expect("a lander");
    assert_eq!(land(&mut lander).await.expect("lands"), (3, 0));
    assert_eq!(lander.landed(), [3]);
    let sizes: Vec<usize> =
        read_all(topic.as_ref(), &name).await.iter().map(|record| record.value.len()).collect();
    assert_eq!(sizes, [10, LARGE, 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_topic_with_a_lower_limit_says_so() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let name = unique();
    let admin: AdminClient<DefaultClientContext> = client(&servers).create().expect("an admin");
    let wanted =
        NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "2000");
    admin.create_topics([&wanted], &AdminOptions::new()).await.expect("created");
    let topic = open(KafkaTopicConfig { compression: Compression::None, ..config(&servers) });
    let value = vec![b'x'; 3000].into();
    let record = NewRecord { value, ..NewRecord::default() };
    let error = topic.append(&name, vec![record]).await.expect_err("too large for this topic");
    let Error::Kafka { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("max.message.bytes"), "{source}");
    assert_eq!(error.kind(), model::ErrorKind::Config);
    topic.append(&name, numbered(0..3)).await.expect("the next one is not held up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn retention_before_landing_is_a_gap() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let name = unique();
    let topic =
        open(KafkaTopicConfig { partitions: std::num::NonZeroU32::MIN, ..config(&servers) });
    topic.append(&name, numbered(0..10)).await.expect("appends");
    let admin: AdminClient<DefaultClientContext> = client(&servers).create().expect("an admin");
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&name, 0, Offset::Offset(6)).expect("an offset");
    admin.delete_records(&before, &AdminOptions::new()).await.expect("deleted");

    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let lander = |on_gap| {
        let config = LandingConfig {
            age_max: std::time::Duration::ZERO,
            on_gap,
            ..LandingConfig::for_topic(&name)
        };
        let reader = Arc::clone(&topic) as Arc<dyn TopicReader>;
        Lander::new(Arc::clone(&store), reader, RealClock::new(), config).expect("a lander")
    };
    let error = land(&mut lander(OnGap::Stop)).await.expect_err("six records are gone");
    assert!(matches!(error, Error::RecordsGone { next: 0, first_offset: 6, .. }), "{error:?}");
    let mut lander = lander(OnGap::Record);
    let (records, gap_records) = land(&mut lander).await.expect("lands behind the gap");
    assert_eq!((records, gap_records), (4, 6));
    assert_eq!(lander.landed(), [10]);
}

/// Runs until the group has given the lander its partitions and they are landed.
pub(super) async fn land(lander: &mut Lander) -> Result<(u64, u64), Error> {
    let (mut records, mut gone) = (0, 0);
    for _ in 0..100 {
        let progress = lander.run_once().await?;
        records += progress.records;
        gone += progress.gap_records;
        if !progress.is_behind {
            if lander.lag().await?.iter().all(|lag| *lag == 0) {
                break;
            }
            lander.wait(std::time::Duration::from_secs(1)).await?;
        }
    }
    Ok((records, gone))
}
