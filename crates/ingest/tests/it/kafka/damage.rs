//! Bytes that a broker's disk has damaged: said where, never skipped.

use std::{
    fs::{self, OpenOptions},
    num::NonZeroU32,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ingest::{
    Error,
    landing::{Lander, LandingConfig, OnGap, chain},
    topic::{Fetched, KafkaTopic, KafkaTopicConfig, TopicReader, TopicWriter, kafka::KafkaFailure},
};
use model::ErrorKind;
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

use super::{
    RealClock, config,
    foreign::{client, land},
    numbered, open, read_all, service, unique,
};

/// The fields of a batch in Kafka's message format 2, by their place.
const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
/// What the length does not count: the first offset and itself.
const BEFORE_LENGTH: usize = 12;

/// The one partition of a topic as its broker keeps it.
struct Segment {
    path: PathBuf,
    sound: Vec<u8>,
}

impl Segment {
    fn of(topic: &str) -> Self {
        let folder = PathBuf::from(service("MARKETLAKE_TEST_KAFKA_DATA"));
        let path = folder.join(format!("{topic}-0")).join(format!("{:020}.log", 0));
        let sound = fs::read(&path).expect("the broker's segment");
        Self { path, sound }
    }

    /// Returns where the batch that begins with `offset` lies.
    fn batch(&self, offset: u64) -> std::ops::Range<usize> {
        let mut begin = 0;
        loop {
            let number = |at: usize, bytes: usize| {
                let field = &self.sound[begin + at..begin + at + bytes];
                field.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
            };
            let length = usize::try_from(number(LENGTH_AT, 4)).unwrap();
            let end = begin + BEFORE_LENGTH + length;
            if number(0, 8) == offset {
                return begin..end;
            }
            begin = end;
        }
    }

    /// Changes one byte in place: the running broker serves it at once.
    fn damage(&self, at: usize) {
        self.write(at, self.sound[at] ^ 0x55);
    }

    fn repair(&self, at: usize) {
        self.write(at, self.sound[at]);
    }

    fn write(&self, at: usize, byte: u8) {
        // Not written anew: for a moment the broker would see it empty.
        let file = OpenOptions::new().write(true).open(&self.path).expect("the broker's segment");
        file.write_all_at(&[byte], u64::try_from(at).unwrap()).expect("writes");
    }
}

/// Five batches of three records each.
async fn filled(name: &str) -> Arc<KafkaTopic> {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let topic = open(KafkaTopicConfig {
        partitions: NonZeroU32::MIN,
        request_timeout: Duration::from_secs(10),
        ..config(&servers)
    });
    for start in (0..15).step_by(3) {
        topic.append(name, numbered(start..start + 3)).await.expect("appends");
    }
    topic
}

#[track_caller]
fn check_damaged(error: &Error, offset: u64) {
    assert_eq!(error.kind(), ErrorKind::Data, "{error:?}");
    let Error::Kafka { source, .. } = error else { panic!("{error:?}") };
    let KafkaFailure::Damaged { partition, offset: found, .. } = source else {
        panic!("{error:?}")
    };
    assert_eq!((*partition, *found), (0, offset), "{source}");
    assert!(source.to_string().contains("kafka-delete-records"), "{source}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_damaged_batch_is_named_and_not_skipped() {
    let name = unique();
    let topic = filled(&name).await;
    let segment = Segment::of(&name);
    let batch = segment.batch(6);
    // In the records, which their checksum covers, and where a batch says how it is to be read.
    for at in [batch.end - 1, batch.start + MAGIC_AT] {
        segment.damage(at);
        let mut next = 0;
        while next < 6 {
            let Fetched::Records(read) =
                topic.read(&name, 0, next, 1).await.expect("reads what is sound")
            else {
                panic!("{next} is in range")
            };
            assert_eq!(read[0].offset, next);
            next += 1;
        }
        for _ in 0..3 {
            let error = topic.read(&name, 0, 6, 1_000_000).await.expect_err("damaged");
            check_damaged(&error, 6);
        }
        // What lies behind it is sound, for whoever wants it.
        let behind = topic.read(&name, 0, 9, 1_000_000).await.expect("reads behind it");
        assert!(matches!(behind, Fetched::Records(read) if read.len() == 6));
        segment.repair(at);
        assert_eq!(read_all(topic.as_ref(), &name).await.len(), 15, "it was not skipped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn landing_stops_before_damage_and_goes_on_behind_what_was_given_up() {
    let name = unique();
    let topic = filled(&name).await;
    let segment = Segment::of(&name);
    segment.damage(segment.batch(6).end - 1);
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let lander = |on_gap| {
        let config =
            LandingConfig { age_max: Duration::ZERO, on_gap, ..LandingConfig::for_topic(&name) };
        let reader = Arc::clone(&topic) as Arc<dyn TopicReader>;
        Lander::new(Arc::clone(&store), reader, RealClock::new(), config).expect("a lander")
    };
    let mut stopped = lander(OnGap::Stop);
    check_damaged(&land(&mut stopped).await.expect_err("damaged"), 6);
    check_damaged(&land(&mut stopped).await.expect_err("still damaged"), 6);
    // The last failure has made it forget; the chain knows.
    let tail = chain::tail(&store, 0, &name, 0).await.expect("a chain").expect("a tail");
    let landed = tail.1.next;
    assert_eq!(landed, 6, "what came before it has landed, and nothing lands over it");

    let admin: AdminClient<DefaultClientContext> =
        client(&service("MARKETLAKE_TEST_KAFKA")).create().expect("an admin");
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&name, 0, Offset::Offset(9)).expect("an offset");
    admin.delete_records(&before, &AdminOptions::new()).await.expect("deleted");
    let mut lander = lander(OnGap::Record);
    let (records, gap_records) = land(&mut lander).await.expect("lands behind the gap");
    assert_eq!((records, gap_records), (6, 3), "what was given up, and no more");
    assert_eq!(lander.landed(), [15]);
}
