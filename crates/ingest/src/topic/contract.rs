//! What every topic must do. Each implementation runs [`topic_contract`] from its own tests.
#![expect(clippy::panic, reason = "a suite of checks: a failed one panics")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Fetched, NewRecord, Record, TopicReader, TopicWriter, partitioner::partition_of};

/// Reads in a row before a check gives up: enough for every record of this suite one by one.
const READS_MAX: usize = 10_000;

/// Both halves of an opened topic.
#[derive(Clone)]
pub struct Opened {
    /// The half that appends.
    pub writer: Arc<dyn TopicWriter>,
    /// The half that reads.
    pub reader: Arc<dyn TopicReader>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

/// Runs every check. `open` opens the same storage each time, as a restart would; topics named
/// `<prefix><check>` must be new, and get whatever number of partitions the storage gives.
///
/// # Panics
/// A check fails.
pub async fn topic_contract(prefix: &str, open: impl AsyncFn() -> Opened) {
    let topic = |name: &str| format!("{prefix}{name}");
    an_empty_topic_is_no_error(&open().await, &topic("none")).await;
    keeps_everything_verbatim(&open().await, &topic("verbatim")).await;
    keeps_order_and_counts_from_zero(&open().await, &topic("order")).await;
    reads_within_limits(&open().await, &topic("limits")).await;
    says_what_is_out_of_range(&open().await, &topic("range")).await;
    concurrent_writers_leave_no_hole(&open().await, &open().await, &topic("writers")).await;
    wakes_readers(&open().await, &topic("wake")).await;
    let name = topic("durable");
    let written = append_numbered(&open().await, &name, 0..500).await;
    let again = open().await;
    assert_eq!(keys(&read_all(&again, &name).await), written, "acknowledged means kept");
    append_numbered(&again, &name, 500..501).await;
    assert_eq!(read_all(&open().await, &name).await.len(), 501, "offsets go on after a restart");
}

fn record(key: &str, value: impl Into<Bytes>) -> NewRecord {
    NewRecord { key: key.to_owned(), value: value.into(), headers: Vec::new() }
}

async fn append_numbered(
    opened: &Opened,
    topic: &str,
    numbers: std::ops::Range<u32>,
) -> BTreeSet<String> {
    let records: Vec<_> = numbers.map(|n| record(&format!("k{n}"), n.to_string())).collect();
    let keys = records.iter().map(|record| record.key.clone()).collect();
    opened.writer.append(topic, records).await.expect("appends");
    keys
}

fn keys(records: &[(u32, Record)]) -> BTreeSet<String> {
    records.iter().map(|(_, record)| record.key.clone()).collect()
}

/// Reads every partition to its end and checks that offsets count from 0 without holes.
async fn read_all(opened: &Opened, topic: &str) -> Vec<(u32, Record)> {
    let mut all = Vec::new();
    for partition in 0..opened.reader.partitions(topic).await.expect("partitions") {
        let mut next = 0;
        for _ in 0..READS_MAX {
            let fetched = opened.reader.read(topic, partition, next, 64 * 1024).await;
            let Fetched::Records(records) = fetched.expect("reads") else {
                panic!("offset {next} is in range");
            };
            if records.is_empty() {
                break;
            }
            for record in records {
                assert_eq!(record.offset, next, "partition {partition} counts without holes");
                next += 1;
                all.push((partition, record));
            }
        }
        let end = opened.reader.end_offset(topic, partition).await.expect("end offset");
        assert_eq!(next, end, "the reader reaches the end of partition {partition}");
    }
    all
}

async fn an_empty_topic_is_no_error(opened: &Opened, topic: &str) {
    assert_eq!(opened.reader.end_offset(topic, 0).await.expect("end offset"), 0);
    let read = opened.reader.read(topic, 0, 0, 100).await.expect("reads");
    assert_eq!(read, Fetched::Records(Vec::new()), "nothing yet");
    opened.writer.append(topic, Vec::new()).await.expect("an append of nothing");
    assert_eq!(opened.reader.end_offset(topic, 0).await.expect("end offset"), 0);
}

async fn keeps_everything_verbatim(opened: &Opened, topic: &str) {
    let headers = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let binary: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let sent = vec![
        NewRecord {
            key: "AAPL".to_owned(),
            value: Bytes::from_static(b"{\"close\": 1.50,\r\n\t\"x\":1e400}"),
            headers: headers(&[("source", "marketstack-v2"), ("page", "0"), ("page", "0")]),
        },
        NewRecord {
            headers: headers(&[("", ""), ("z", "\u{1F4C8}"), ("a", "\0")]),
            ..record("", "")
        },
        record("binary", binary),
        record("\u{e9}\0\"", &b"\xff\xfe"[..]),
        record("large", vec![b'x'; 1_000_000]),
        record("", "an empty key"),
    ];
    opened.writer.append(topic, sent.clone()).await.expect("appends");
    let read = read_all(opened, topic).await;
    assert_eq!(read.len(), sent.len());
    let partitions = opened.reader.partitions(topic).await.expect("partitions");
    for sent in sent {
        let found = read.iter().find(|(_, read)| {
            read.key == sent.key && read.value == sent.value && read.headers == sent.headers
        });
        let (partition, _) = found.unwrap_or_else(|| panic!("`{}` is kept verbatim", sent.key));
        let expected = partition_of(sent.key.as_bytes(), partitions);
        assert_eq!(*partition, expected, "the key `{}` decides the partition", sent.key);
    }
}

async fn keeps_order_and_counts_from_zero(opened: &Opened, topic: &str) {
    for append in 0..20_u32 {
        let records =
            (0..50).map(|n| record(&format!("k{}", n % 7), format!("{}", append * 50 + n)));
        opened.writer.append(topic, records.collect()).await.expect("appends");
    }
    let read = read_all(opened, topic).await;
    assert_eq!(read.len(), 1000);
    let mut last = std::collections::BTreeMap::new();
    for (partition, record) in read {
        let number: u32 =
            std::str::from_utf8(&record.value).expect("text").parse().expect("number");
        let before = last.insert(partition, number);
        assert!(before.is_none_or(|before| before < number), "partition {partition}: {number}");
    }
}

async fn reads_within_limits(opened: &Opened, topic: &str) {
    let records = (0..10).map(|_| record("k", vec![b'x'; 1000])).collect();
    opened.writer.append(topic, records).await.expect("appends");
    let partitions = opened.reader.partitions(topic).await.expect("partitions");
    let partition = partition_of(b"k", partitions);
    for (bytes_max, at_most) in [(0, 1), (1, 1), (5000, 4), (1_000_000, 10)] {
        let read = opened.reader.read(topic, partition, 2, bytes_max).await.expect("reads");
        let Fetched::Records(records) = read else { panic!("offset 2 is in range") };
        assert!((1..=at_most).contains(&records.len()), "{} in {bytes_max}", records.len());
        assert_eq!(records[0].offset, 2, "from the asked offset on, within {bytes_max}");
    }
}

async fn says_what_is_out_of_range(opened: &Opened, topic: &str) {
    opened.writer.append(topic, vec![record("k", "1"), record("k", "2")]).await.expect("appends");
    let partitions = opened.reader.partitions(topic).await.expect("partitions");
    let partition = partition_of(b"k", partitions);
    let at_end = opened.reader.read(topic, partition, 2, 100).await.expect("reads");
    assert_eq!(at_end, Fetched::Records(Vec::new()), "the end is not out of range");
    for behind in [3, 1000, u64::MAX] {
        let read = opened.reader.read(topic, partition, behind, 100).await.expect("reads");
        let expected = Fetched::OutOfRange { first_offset: 0, next_offset: 2 };
        assert_eq!(read, expected, "offset {behind}");
    }
}

async fn concurrent_writers_leave_no_hole(one: &Opened, other: &Opened, topic: &str) {
    let write = |opened: Opened, writer: u32| async move {
        for append in 0..25 {
            let records =
                (0..4).map(|n| record(&format!("k{n}"), format!("{writer}-{append}-{n}")));
            opened.writer.append(topic, records.collect()).await.expect("appends");
        }
    };
    futures::join!(
        write(one.clone(), 0),
        write(other.clone(), 1),
        write(one.clone(), 2),
        write(other.clone(), 3),
    );
    let values: Vec<_> =
        read_all(other, topic).await.into_iter().map(|(_, record)| record.value).collect();
    assert_eq!(values.len(), 400);
    assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), 400, "each record once");
}

async fn wakes_readers(opened: &Opened, topic: &str) {
    // Long enough for any machine; a wait that misses the append would take all of it.
    let long = Duration::from_secs(60);
    let append = async {
        tokio::task::yield_now().await;
        append_numbered(opened, topic, 0..1).await
    };
    let (waited, _) = futures::join!(opened.reader.wait(topic, &[], long), append);
    waited.expect("waits");
    assert_eq!(read_all(opened, topic).await.len(), 1, "the wait ended after the append");
    opened.reader.wait(topic, &[], long).await.expect("what is there already ends a wait at once");
}
