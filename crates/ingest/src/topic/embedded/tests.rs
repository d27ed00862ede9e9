//! The embedded topic beyond the contract: its file, its failures, retention and leases.

use bytes::Bytes;
use model::{ErrorKind, ManualClock};

use super::*;

struct Fixture {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new() -> Self {
        let start = "2019-02-11T14:30:00Z".parse().expect("a time");
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, clock: Arc::new(ManualClock::new(start)) }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("topic.db")
    }

    async fn try_open(&self) -> Result<EmbeddedTopic, Error> {
        let config = EmbeddedTopicConfig {
            busy_timeout: Duration::from_millis(20),
            ..EmbeddedTopicConfig::default()
        };
        EmbeddedTopic::open(&self.path(), &config, Arc::clone(&self.clock) as Arc<dyn Clock>).await
    }

    async fn open(&self) -> EmbeddedTopic {
        self.try_open().await.expect("opens")
    }

    fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("opens beside it")
    }
}

fn records(count: usize) -> Vec<NewRecord> {
    let record = |n: usize| NewRecord {
        key: "AAPL".to_owned(),
        value: Bytes::from(format!("{{\"close\":{n}.50}}")),
        headers: vec![("row".to_owned(), n.to_string())],
    };
    (0..count).map(record).collect()
}

async fn append(topic: &EmbeddedTopic, count: usize) {
    topic.append("eod", records(count)).await.expect("appends");
}

#[tokio::test]
async fn a_page_is_one_row_and_one_transaction() {
    let fixture = Fixture::new();
    let topic = fixture.open().await;
    append(&topic, 1000).await;
    let rows: u64 = fixture
        .sqlite()
        .query_row("SELECT count(*) FROM batch", (), |row| row.get(0))
        .expect("counts");
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    let fixture = Fixture::new();
    let opened = futures::future::join_all((0..6).map(|_| fixture.open())).await;
    for topic in &opened {
        append(topic, 1).await;
    }
    assert_eq!(opened[0].end_offset("eod", 0).await.expect("end"), 6);
}

#[tokio::test]
async fn the_number_of_partitions_stays_what_it_was() {
    let fixture = Fixture::new();
    append(&fixture.open().await, 1).await;
    let partitions = NonZeroU32::new(5).expect("not zero");
    let config = EmbeddedTopicConfig { partitions, ..EmbeddedTopicConfig::default() };
    let clock = Arc::clone(&fixture.clock) as Arc<dyn Clock>;
    let topic = EmbeddedTopic::open(&fixture.path(), &config, clock).await.expect("opens");
    append(&topic, 1).await;
    topic.append("other", records(1)).await.expect("appends");
    assert_eq!(topic.partitions("eod").await.expect("partitions"), 1);
    assert_eq!(topic.partitions("other").await.expect("partitions"), 5);
}

#[tokio::test]
async fn a_locked_database_is_told_with_its_path_and_nothing_is_appended() {
    let fixture = Fixture::new();
    let topic = fixture.open().await;
    append(&topic, 3).await;
    let other = fixture.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let error = topic.append("eod", records(2)).await.expect_err("is locked");
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("topic.db"), "{error}");
    assert!(error.to_string().contains("another process holds it"), "{error}");
    other.execute_batch("ROLLBACK").expect("unlocks");
    assert_eq!(topic.end_offset("eod", 0).await.expect("end"), 3, "nothing half appended");
    append(&topic, 1).await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_work_resumes_when_there_is_room() {
    let fixture = Fixture::new();
    let topic = fixture.open().await;
    append(&topic, 1).await;
    let limit = |pages: u32| {
        topic.database.write("limiting", move |connection| {
            let set = format!("PRAGMA max_page_count = {pages}");
            Ok(connection.query_row(&set, (), |row| row.get::<_, u32>(0))?)
        })
    };
    limit(1).await.expect("limits to what there is");
    // Does not compress, so that it needs pages.
    let noise = (0..200_000_u32).map(|n| u8::try_from(murmur(n) & 0xff).unwrap_or(0)).collect();
    let large = NewRecord { value: noise, ..NewRecord::default() };
    let error = topic.append("eod", vec![large.clone()]).await.expect_err("is full");
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(topic.end_offset("eod", 0).await.expect("end"), 1, "nothing half appended");
    limit(1_000_000).await.expect("makes room");
    topic.append("eod", vec![large]).await.expect("appends");
    assert_eq!(topic.end_offset("eod", 0).await.expect("end"), 2);
}

fn murmur(n: u32) -> u32 {
    crate::topic::partitioner::partition_of(&n.to_le_bytes(), u32::MAX)
}

#[tokio::test]
async fn a_damaged_batch_is_told_with_its_place() {
    let fixture = Fixture::new();
    let topic = fixture.open().await;
    append(&topic, 3).await;
    append(&topic, 3).await;
    fixture
        .sqlite()
        .execute_batch("UPDATE batch SET frame = zeroblob(20) WHERE first_offset = 3")
        .expect("damages");
    assert!(topic.read("eod", 0, 0, 1).await.is_ok(), "the batch before is fine");
    let error = topic.read("eod", 0, 4, 1).await.expect_err("is damaged");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("offset 3 of topic `eod`, partition 0"), "{error}");
    fixture.sqlite().execute_batch("DELETE FROM batch WHERE first_offset = 3").expect("damages");
    let error = topic.read("eod", 0, 3, 1).await.expect_err("is missing");
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
}

#[tokio::test]
async fn refuses_files_that_are_not_its_own() {
    #[track_caller]
    fn check(opened: Result<EmbeddedTopic, Error>, kind: ErrorKind, text: &str) {
        let error = opened.expect_err("is refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let fixture = Fixture::new();
    fixture.sqlite().execute_batch("CREATE TABLE mine (x)").expect("creates");
    check(fixture.try_open().await, ErrorKind::Data, "something else");

    let fixture = Fixture::new();
    fixture.open().await;
    fixture.sqlite().execute_batch("PRAGMA user_version = 9").expect("sets");
    check(fixture.try_open().await, ErrorKind::Data, "schema version 9");

    let fixture = Fixture::new();
    std::fs::write(fixture.path(), vec![b'x'; 100_000]).expect("writes");
    check(fixture.try_open().await, ErrorKind::Data, "damaged");

    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path()).expect("creates");
    check(fixture.try_open().await, ErrorKind::Config, "permissions");
}

#[tokio::test]
async fn refuses_names_and_records_no_topic_could_take() {
    let topic = Fixture::new().open().await;
    for name in ["", "a/b", "..", "a b"] {
        let error = topic.append(name, records(1)).await.expect_err("is refused");
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    }
    let value = Bytes::from(vec![0; 17 * 1024 * 1024]);
    let large = NewRecord { value, ..NewRecord::default() };
    let error = topic.append("eod", vec![large]).await.expect_err("is refused");
    assert!(error.to_string().contains("at most"), "{error}");
}

#[tokio::test]
async fn retention_keeps_what_has_not_landed_and_the_record_before() {
    let fixture = Fixture::new();
    let topic = fixture.open().await;
    for _ in 0..4 {
        append(&topic, 10).await;
    }
    fixture.clock.advance(Duration::from_hours(2));
    let hour = Retention { age_max: Some(Duration::from_hours(1)), ..Retention::default() };
    for (landed, records) in [(vec![], 0), (vec![5], 0), (vec![20], 10), (vec![35], 20)] {
        let dropped = topic.retain("eod", &landed, hour).await.expect("retains");
        assert_eq!(dropped.records, records, "landed {landed:?}");
    }
    let gone = topic.read("eod", 0, 29, 100).await.expect("reads");
    assert_eq!(gone, Fetched::OutOfRange { first_offset: 30, next_offset: 40 });
    let forced = Retention { force: true, ..hour };
    let dropped = topic.retain("eod", &[], forced).await.expect("retains");
    assert_eq!((dropped.batches, dropped.records), (1, 10));
    append(&topic, 1).await;
    assert_eq!(topic.end_offset("eod", 0).await.expect("end"), 41, "no offset is given twice");
    let kept = topic.retain("eod", &[41], hour).await.expect("retains");
    assert_eq!(kept, Dropped::default(), "young batches stay");
}

#[tokio::test]
async fn retention_by_bytes_drops_the_oldest_only() {
    let topic = Fixture::new().open().await;
    for _ in 0..4 {
        append(&topic, 10).await;
    }
    let all = Retention { bytes_max: Some(0), force: true, age_max: None };
    let roomy = Retention { bytes_max: Some(1_000_000), ..all };
    assert_eq!(topic.retain("eod", &[40], roomy).await.expect("retains"), Dropped::default());
    let one = topic.retain("eod", &[11], Retention { force: false, ..all }).await.expect("retains");
    assert_eq!(one.batches, 1);
    let tight = Retention { bytes_max: Some(2 * one.bytes + one.bytes / 2), ..all };
    assert_eq!(topic.retain("eod", &[40], tight).await.expect("retains").batches, 1);
    assert_eq!(topic.retain("eod", &[40], all).await.expect("retains").batches, 2);
}

#[tokio::test]
async fn a_lease_is_exclusive_until_it_ends() {
    let fixture = Fixture::new();
    let topic = fixture.open().await;
    let ttl = Duration::from_secs(10);
    let is_ours = async |owner: &str| {
        let lease = topic.try_lease("eod", 0, owner, ttl).await.expect("asks");
        matches!(lease, Lease::Ours { .. })
    };
    assert!(is_ours("a").await);
    assert!(is_ours("a").await, "renewing");
    assert!(!is_ours("b").await);
    topic.release_lease("eod", 0, "b").await.expect("releases what it has not");
    assert!(!is_ours("b").await);
    fixture.clock.advance(ttl);
    assert!(is_ours("b").await, "it has run out");
    topic.release_lease("eod", 0, "b").await.expect("releases");
    assert!(is_ours("a").await, "it was given back");
}

#[tokio::test]
async fn a_reader_is_woken_by_another_instance() {
    let fixture = Fixture::new();
    let (reader, writer) = (fixture.open().await, fixture.open().await);
    let before = fixture.clock.monotonic();
    reader.wait("eod", &[], Duration::from_secs(1)).await.expect("waits");
    assert_eq!(fixture.clock.monotonic() - before, Duration::from_secs(1), "nothing came");
    append(&writer, 1).await;
    let before = fixture.clock.monotonic();
    reader.wait("eod", &[0], Duration::from_secs(1)).await.expect("waits");
    assert_eq!(fixture.clock.monotonic(), before, "it was there already");
}
