//! The landing chain: sealing, gaps, divergence, damage; under faults in `simulation`.

pub(crate) mod faulty;
mod generation;
pub(crate) mod memory_topic;
mod shared;
mod simulation;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use ingest::{
    Error,
    landing::{Lander, LandingConfig, OnGap, Progress, chain},
    topic::{
        EmbeddedTopic, EmbeddedTopicConfig, NewRecord, TopicReader, TopicWriter,
        embedded::Retention,
    },
};
use model::{
    ErrorKind, ManualClock,
    envelope::EnvelopeLine,
    landing::{LandingKey, LandingKind},
};
use object_store::{
    ObjectStore, ObjectStoreExt, local::LocalFileSystem, memory::InMemory, path::Path,
};

use self::memory_topic::{Log, MemoryTopic};

const TOPIC: &str = "intraday";

/// Reads the whole chain and compares it with what the topic holds.
pub(crate) async fn check_chain(
    store: &Arc<dyn ObjectStore>,
    generation: u32,
    topic: &str,
    logs: &[Log],
    context: &str,
) {
    for (partition, log) in logs.iter().enumerate() {
        let partition = u32::try_from(partition).expect("a few");
        let keys = chain::list(store, generation, topic, partition, None).await.expect("lists");
        let mut expected = log.records.iter();
        let mut next = 0;
        for key in keys {
            assert_eq!(key.first_offset, next, "{context}: `{key}` is no link of the chain");
            let link = chain::read(store, &key).await.expect("reads").expect("is there");
            next = link.footer.next;
            for line in link.lines.split_inclusive(|byte| *byte == b'\n') {
                let line = &line[..line.len() - 1];
                let record = expected.next().expect("a record of the topic");
                let offset = format!("{{\"_offset\":{},", record.offset);
                assert!(line.starts_with(offset.as_bytes()), "{context}: {offset} in `{key}`");
                let ending = [b"\"data\":", &record.value[..], b"}"].concat();
                assert!(line.ends_with(&ending), "{context}: the bytes of {offset} in `{key}`");
                if !record.value.is_empty() {
                    let line = EnvelopeLine::parse(line).expect("parses");
                    assert_eq!(line.data.get().as_bytes(), &record.value[..], "{context}");
                    assert_eq!(line.key, record.key, "{context}: key of {offset}");
                }
            }
        }
        assert!(expected.next().is_none(), "{context}: partition {partition} is not landed whole");
        assert_eq!(next, log.next, "{context}: the chain ends where the topic does");
    }
}

struct Fixture {
    store: Arc<dyn ObjectStore>,
    topic: Arc<MemoryTopic>,
    clock: Arc<ManualClock>,
    config: LandingConfig,
}

impl Fixture {
    fn new() -> Self {
        Self {
            store: Arc::new(InMemory::new()),
            topic: Arc::new(MemoryTopic::new(1)),
            clock: Arc::new(ManualClock::new("2019-02-11T14:30:00Z".parse().expect("a time"))),
            config: LandingConfig::for_topic(TOPIC),
        }
    }

    fn lander(&self) -> Lander {
        let (store, topic) = (Arc::clone(&self.store), Arc::clone(&self.topic));
        Lander::new(store, topic, Arc::clone(&self.clock) as _, self.config.clone())
            .expect("sound settings")
    }

    async fn append(&self, count: usize) {
        self.topic.append(TOPIC, records(count)).await.expect("appends");
    }

    /// Lands everything there is, young or not.
    async fn land(&self, lander: &mut Lander) -> Progress {
        let mut objects = 0;
        for _ in 0..1000 {
            let progress = lander.run_once().await.expect("lands");
            objects += progress.objects;
            if !progress.is_behind && progress.seal_in.is_none() {
                return Progress { objects, ..progress };
            }
            self.clock.advance(self.config.age_max);
        }
        unreachable!("does not come to rest");
    }

    async fn keys(&self) -> Vec<String> {
        let keys = chain::list(&self.store, self.config.generation, TOPIC, 0, None).await;
        keys.expect("lists").iter().map(ToString::to_string).collect()
    }

    async fn check(&self) {
        let logs = self.topic.logs(TOPIC);
        check_chain(&self.store, self.config.generation, TOPIC, &logs, "chain").await;
    }
}

fn records(count: usize) -> Vec<NewRecord> {
    let record = |n: usize| NewRecord {
        key: format!("K{}", n % 10),
        value: Bytes::from(format!("{{\"close\":{n}.50}}")),
        headers: vec![("row".to_owned(), n.to_string())],
    };
    (0..count).map(record).collect()
}

#[tokio::test]
async fn an_empty_topic_is_idle() {
    let fixture = Fixture::new();
    let mut lander = fixture.lander();
    assert_eq!(lander.run_once().await.expect("runs"), Progress::default());
    assert_eq!(lander.lag().await.expect("lag"), Vec::<u64>::new());
}

#[tokio::test]
async fn seals_by_age_only_when_the_topic_has_no_more() {
    let fixture = Fixture::new();
    let mut lander = fixture.lander();
    fixture.append(5).await;
    let waiting = lander.run_once().await.expect("runs");
    assert_eq!((waiting.objects, waiting.seal_in), (0, Some(Duration::from_millis(200))));
    assert_eq!(lander.lag().await.expect("lag"), [5], "open is not landed");
    fixture.clock.advance(Duration::from_millis(150));
    fixture.append(5).await;
    let waiting = lander.run_once().await.expect("runs");
    assert_eq!((waiting.objects, waiting.seal_in), (0, Some(Duration::from_millis(50))));
    fixture.clock.advance(Duration::from_millis(50));
    let landed = lander.run_once().await.expect("runs");
    assert_eq!((landed.objects, landed.records, landed.seal_in), (1, 10, None));
    assert_eq!((lander.landed(), lander.lag().await.expect("lag")), (vec![10], vec![0]));
    assert_eq!(lander.run_once().await.expect("runs"), Progress::default(), "nothing twice");
    assert_eq!(fixture.lander().lag().await.expect("lag"), [0], "told from the chain alone");
    fixture.check().await;
}

#[tokio::test]
async fn seals_by_rows_and_by_bytes_while_catching_up() {
    let mut fixture = Fixture::new();
    fixture.config.rows_max = 30;
    fixture.append(100).await;
    assert_eq!(fixture.land(&mut fixture.lander()).await.objects, 4);
    fixture.config.rows_max = 1000;
    // A line of these records has about 130 bytes.
    fixture.config.bytes_max = 1000;
    fixture.append(100).await;
    let objects = fixture.land(&mut fixture.lander()).await.objects;
    assert!((10..=20).contains(&objects), "{objects} objects");
    fixture.check().await;
}

#[tokio::test]
async fn a_record_larger_than_an_object_gets_its_own() {
    let mut fixture = Fixture::new();
    fixture.config.bytes_max = 1000;
    let large = Bytes::from(format!("\"{}\"", "x".repeat(900_000)));
    let large = NewRecord { key: "K".to_owned(), value: large, headers: Vec::new() };
    fixture.topic.append(TOPIC, vec![large.clone(), large]).await.expect("appends");
    assert_eq!(fixture.land(&mut fixture.lander()).await.objects, 2);
    fixture.check().await;
}

#[tokio::test]
async fn dropped_records_stop_the_lander_or_become_a_gap() {
    let mut fixture = Fixture::new();
    fixture.append(10).await;
    fixture.land(&mut fixture.lander()).await;
    fixture.append(10).await;
    fixture.topic.tamper(TOPIC, 0, |log| {
        log.records.drain(..15);
        log.first = 15;
    });
    let error = fixture.lander().run_once().await.expect_err("records are gone");
    assert!(matches!(error, Error::RecordsGone { next: 10, first_offset: 15, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(fixture.keys().await.len(), 1, "nothing was written");

    fixture.config.on_gap = OnGap::Record;
    let mut lander = fixture.lander();
    let progress = lander.run_once().await.expect("goes on");
    assert_eq!((progress.gaps, progress.gap_records, progress.records), (1, 5, 0));
    let (key, footer) =
        chain::tail(&fixture.store, 0, TOPIC, 0).await.expect("reads").expect("a tail");
    assert!(chain::is_gap(&footer));
    assert_eq!((key.first_offset, footer.next), (10, 15));
    fixture.land(&mut lander).await;
    assert_eq!(fixture.land(&mut fixture.lander()).await.objects, 0, "a gap is not diverged");
    assert_eq!(fixture.keys().await.len(), 3);
}

#[tokio::test]
async fn a_late_lander_cannot_land_beside_a_gap() {
    let mut fixture = Fixture::new();
    fixture.config.on_gap = OnGap::Record;
    fixture.append(10).await;
    let mut late = fixture.lander();
    late.run_once().await.expect("holds ten records open");
    fixture.append(10).await;
    fixture.topic.tamper(TOPIC, 0, |log| {
        log.records.drain(..5);
        log.first = 5;
    });
    fixture.land(&mut fixture.lander()).await;
    fixture.land(&mut late).await;
    let keys = fixture.keys().await;
    assert_eq!(keys.len(), 2, "the gap, and one object behind it: {keys:?}");
    assert_eq!(late.landed(), [20]);
}

#[tokio::test]
async fn a_damaged_tail_stops_the_lander_and_stays_as_it_is() {
    let fixture = Fixture::new();
    fixture.append(10).await;
    fixture.land(&mut fixture.lander()).await;
    let path = Path::from(fixture.keys().await.remove(0));
    let whole = fixture.store.get(&path).await.expect("gets").bytes().await.expect("reads");
    let half = whole.slice(..whole.len() / 2);
    // The second is what a loss of power leaves of a file that was not flushed.
    for damaged in [half, Bytes::new(), Bytes::from_static(b"x\n")] {
        fixture.store.put(&path, damaged.clone().into()).await.expect("damages");
        fixture.append(1).await;
        let error = fixture.lander().run_once().await.expect_err("is damaged");
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        assert!(error.to_string().contains(path.as_ref()), "{error}");
        assert_eq!(fixture.keys().await.len(), 1, "nothing was written behind it");
        let found = fixture.store.get(&path).await.expect("gets").bytes().await.expect("reads");
        assert_eq!(found, damaged, "nothing was overwritten");
    }
}

#[tokio::test]
async fn every_flipped_byte_of_an_object_is_noticed() {
    let fixture = Fixture::new();
    fixture.append(20).await;
    fixture.land(&mut fixture.lander()).await;
    let key: LandingKey = fixture.keys().await.remove(0).parse().expect("a key");
    assert_eq!(key.kind, LandingKind::Records);
    let path = Path::from(key.to_string());
    let whole = fixture.store.get(&path).await.expect("gets").bytes().await.expect("reads");
    let intact = chain::verify(&key, &whole).expect("is sound");
    for at in 0..whole.len() {
        let mut flipped = whole.to_vec();
        flipped[at] ^= 1;
        // A flip in zstd's frame header may change nothing that is stored; never the lines.
        if let Ok(link) = chain::verify(&key, &flipped) {
            assert_eq!(link, intact, "byte {at}");
        }
    }
    let elsewhere = LandingKey { first_offset: 1, ..key };
    assert!(chain::verify(&elsewhere, &whole).is_err(), "a footer belongs to one name");
}

#[tokio::test]
async fn a_local_folder_lands_what_the_embedded_topic_holds() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a store"));
    let db = tempfile::tempdir().expect("a folder");
    let partitions = NonZeroU32::new(2).expect("not zero");
    let config = EmbeddedTopicConfig { partitions, ..EmbeddedTopicConfig::default() };
    let clock = Arc::clone(&fixture.clock) as _;
    let topic = EmbeddedTopic::open(&db.path().join("topic.db"), &config, clock).await;
    let topic = Arc::new(topic.expect("opens"));
    let config = LandingConfig { rows_max: 700, ..fixture.config.clone() };
    let new_lander = || {
        let (store, topic) = (Arc::clone(&store), Arc::clone(&topic));
        Lander::new(store, topic, Arc::clone(&fixture.clock) as _, config.clone())
            .expect("sound settings")
    };

    // What a killed process leaves behind: a staging file where the next object belongs.
    let staged = folder.path().join(LandingKey::partition_prefix(0, TOPIC, 0));
    std::fs::create_dir_all(&staged).expect("creates");
    std::fs::write(staged.join("00000000000000000000.ndjson.zst#1"), b"half").expect("writes");

    let mut landers = [new_lander(), new_lander()];
    for _ in 0..3 {
        for _ in 0..3 {
            topic.append(TOPIC, records(1000)).await.expect("appends");
        }
        for _ in 0..100 {
            let [one, two] = &mut landers;
            let (one, two) = futures::join!(one.run_once(), two.run_once());
            let progress = [one.expect("lands"), two.expect("lands")];
            if progress.iter().all(|progress| !progress.is_behind && progress.seal_in.is_none()) {
                break;
            }
            fixture.clock.advance(config.age_max);
        }
        let landed = landers[0].landed();
        assert_eq!(landed, landers[1].landed());
        let all = Retention { bytes_max: Some(0), ..Retention::default() };
        topic.retain(TOPIC, &landed, all).await.expect("retains");
        // A new process finds its way although the topic has dropped most of what landed.
        assert_eq!(new_lander().run_once().await.expect("runs"), Progress::default());
        landers[1] = new_lander();
    }
    let mut count = 0;
    for partition in 0..2 {
        let mut next = 0;
        for key in chain::list(&store, 0, TOPIC, partition, None).await.expect("lists") {
            assert_eq!(key.first_offset, next, "`{key}`");
            let link = chain::read(&store, &key).await.expect("reads").expect("is there");
            (next, count) = (link.footer.next, count + link.footer.count);
        }
    }
    assert_eq!(count, 9000);
}

#[test]
fn refuses_settings_that_cannot_work() {
    let fixture = Fixture::new();
    let sound = &fixture.config;
    for config in [
        LandingConfig { topic: "a/b".to_owned(), ..sound.clone() },
        LandingConfig { bytes_max: 0, ..sound.clone() },
        LandingConfig { bytes_max: u64::MAX, ..sound.clone() },
        LandingConfig { rows_max: 0, ..sound.clone() },
    ] {
        let reader = Arc::clone(&fixture.topic) as Arc<dyn TopicReader>;
        let (store, clock) = (Arc::clone(&fixture.store), Arc::clone(&fixture.clock));
        let error = Lander::new(store, reader, clock as _, config).expect_err("is refused");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}
