//! Several landers share a topic's partitions, and monitors see how far they are.

use std::{sync::Arc, time::Duration};

use ingest::{
    landing::{Lander, LandingConfig, chain},
    topic::{KafkaTopic, KafkaTopicConfig, TopicReader, TopicWriter},
};
use object_store::{ObjectStore, memory::InMemory};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::{Fixed, RealClock, config, numbered, open, open_with, service, unique};

const PATIENCE: Duration = Duration::from_secs(60);

fn lander(topic: &Arc<KafkaTopic>, store: &Arc<dyn ObjectStore>, name: &str) -> Lander {
    let config = LandingConfig { age_max: Duration::ZERO, ..LandingConfig::for_topic(name) };
    let reader = Arc::clone(topic) as Arc<dyn TopicReader>;
    Lander::new(Arc::clone(store), reader, RealClock::new(), config).expect("a lander")
}

/// Lands until `is_done`.
async fn land_until(lander: &mut Lander, is_done: impl AsyncFn() -> bool) {
    let began = tokio::time::Instant::now();
    while !is_done().await {
        assert!(began.elapsed() < PATIENCE, "{lander:?}");
        let progress = lander.run_once().await.expect("lands");
        if !progress.is_behind {
            lander.wait(Duration::from_millis(100)).await.expect("waits");
        }
    }
}

async fn landed(store: &Arc<dyn ObjectStore>, name: &str, partitions: u32) -> Vec<u64> {
    let mut all = Vec::new();
    for partition in 0..partitions {
        let tail = chain::tail(store, 0, name, partition).await.expect("a chain");
        all.push(tail.map_or(0, |(_, footer)| footer.next));
    }
    all
}

async fn ends(topic: &KafkaTopic, name: &str, partitions: u32) -> Vec<u64> {
    let mut all = Vec::new();
    for partition in 0..partitions {
        all.push(topic.end_offset(name, partition).await.expect("an end"));
    }
    all
}

/// What a monitor reads from the group.
async fn committed(servers: &str, group: &str, name: &str, partitions: u32) -> Vec<u64> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers).set("group.id", group);
    let name = name.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let monitor: BaseConsumer = client.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&name, 0, i32::try_from(partitions).unwrap() - 1);
        let found = monitor.committed_offsets(list, PATIENCE).expect("offsets");
        let offset = |found: Offset| match found {
            Offset::Offset(offset) => u64::try_from(offset).unwrap(),
            _ => 0,
        };
        found.elements().iter().map(|element| offset(element.offset())).collect()
    });
    read.await.expect("a thread")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_lander_shows_its_lag_to_monitors() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let (name, config) = (unique(), config(&servers));
    let group = config.group.clone();
    let topic = open(config);
    topic.append(&name, numbered(0..100)).await.expect("appends");
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let ends = ends(&topic, &name, 3).await;
    let is_told = async || committed(&servers, &group, &name, 3).await == ends;
    land_until(&mut lander(&topic, &store, &name), is_told).await;
    assert_eq!(landed(&store, &name, 3).await, ends, "only what has landed is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn two_landers_share_partitions_and_take_over() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let (name, group) = (unique(), unique());
    let open = || {
        let config = KafkaTopicConfig {
            group: group.clone(),
            partitions: std::num::NonZeroU32::new(4).expect("four"),
            ..config(&servers)
        };
        // As short as the broker allows: the stall of a member is noticed this late.
        let patience = ["session.timeout.ms", "max.poll.interval.ms"];
        let patience = patience.map(|name| (name, "6000".to_owned()));
        open_with(config, Arc::new(Fixed(patience.to_vec())))
    };
    let (one, other) = (open(), open());
    one.append(&name, numbered(0..100)).await.expect("appends");
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut left, mut right) = (lander(&one, &store, &name), lander(&other, &store, &name));

    let share = async |topic: &KafkaTopic| topic.assigned(&name).await.expect("assigned");
    let is_shared = async || {
        let (left, right) = (share(&one).await, share(&other).await);
        left.is_some_and(|left| left.len() == 2) && right.is_some_and(|right| right.len() == 2)
    };
    futures::join!(land_until(&mut left, &is_shared), land_until(&mut right, &is_shared));
    let mut both = [share(&one).await.expect("some"), share(&other).await.expect("some")].concat();
    both.sort_unstable();
    assert_eq!(both, [0, 1, 2, 3], "each partition has one lander");

    one.append(&name, numbered(100..200)).await.expect("appends");
    let reached = ends(&one, &name, 4).await;
    let is_landed = async || landed(&store, &name, 4).await == reached;
    futures::join!(land_until(&mut left, &is_landed), land_until(&mut right, &is_landed));

    // One stalls, as a process does that is stopped. Its heartbeats do not count: it stopped asking.
    one.append(&name, numbered(200..300)).await.expect("appends");
    let reached = ends(&one, &name, 4).await;
    land_until(&mut right, async || landed(&store, &name, 4).await == reached).await;
    assert_eq!(share(&other).await.map(|all| all.len()), Some(4), "the rest is all its own now");

    // It wakes up, forgets what it had, and gets its share again.
    futures::join!(land_until(&mut left, &is_shared), land_until(&mut right, &is_shared));
    one.append(&name, numbered(300..400)).await.expect("appends");
    let reached = ends(&one, &name, 4).await;
    let is_landed = async || landed(&store, &name, 4).await == reached;
    futures::join!(land_until(&mut left, &is_landed), land_until(&mut right, &is_landed));
}

/// One topic has most of the records: whoever had all of it would do all the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn landers_share_each_topic_by_itself() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    let (busy, quiet, group) = (unique(), unique(), unique());
    let open = || {
        let partitions = std::num::NonZeroU32::new(4).expect("four");
        open(KafkaTopicConfig { group: group.clone(), partitions, ..config(&servers) })
    };
    let (one, other) = (open(), open());
    for name in [&busy, &quiet] {
        one.append(name, numbered(0..10)).await.expect("appends");
    }
    let share = async |topic: &KafkaTopic, name: &str| {
        topic.assigned(name).await.expect("assigned").map_or(0, |all| all.len())
    };
    let until = async |wanted: &[(&KafkaTopic, usize)]| {
        let began = tokio::time::Instant::now();
        loop {
            let mut has_all = true;
            for (topic, count) in wanted {
                // As landers of one process do: one topic after the other.
                for name in [&busy, &quiet] {
                    has_all &= share(topic, name).await == *count;
                }
                topic.wait(&busy, &[u64::MAX; 4], Duration::from_millis(50)).await.expect("waits");
            }
            if has_all {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "never divided as {wanted:?}");
        }
    };
    until(&[(&one, 4)]).await;
    until(&[(&one, 2), (&other, 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_zombie_does_no_harm() {
    let servers = service("MARKETLAKE_TEST_KAFKA");
    // Groups of their own: each believes that every partition is its own.
    let (one, other) = (open(config(&servers)), open(config(&servers)));
    let name = unique();
    one.append(&name, numbered(0..50)).await.expect("appends");
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut left, mut right) = (lander(&one, &store, &name), lander(&other, &store, &name));
    let reached = ends(&one, &name, 3).await;
    land_until(&mut left, async || landed(&store, &name, 3).await == reached).await;
    // The other one goes on; the first sleeps through it and lands from where it was.
    one.append(&name, numbered(50..100)).await.expect("appends");
    let reached = ends(&one, &name, 3).await;
    land_until(&mut right, async || landed(&store, &name, 3).await == reached).await;
    one.append(&name, numbered(100..150)).await.expect("appends");
    let reached = ends(&one, &name, 3).await;
    let is_landed = async || landed(&store, &name, 3).await == reached;
    futures::join!(land_until(&mut left, &is_landed), land_until(&mut right, &is_landed));
    for partition in 0..3 {
        let mut next = 0;
        let end = reached[usize::try_from(partition).unwrap()];
        while next < end {
            let footer = chain::tail(&store, 0, &name, partition).await.expect("a chain");
            let (_, footer) = footer.expect("a tail");
            assert_eq!(footer.next, end, "partition {partition}");
            next = footer.next;
        }
    }
}
