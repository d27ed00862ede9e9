//! A lander that shares its topic: it lands what is its own, and says how far it is.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ingest::{
    Error,
    landing::Lander,
    topic::{Fetched, NewRecord, TopicReader, TopicWriter},
};

use super::{Fixture, MemoryTopic, TOPIC, check_chain};

/// A topic whose partitions somebody hands out.
#[derive(Debug)]
struct SharedTopic {
    inner: Arc<MemoryTopic>,
    assigned: Mutex<Option<Vec<u32>>>,
    told: Mutex<Vec<(u32, u64)>>,
    waited: Mutex<Vec<u64>>,
}

#[async_trait]
impl TopicReader for SharedTopic {
    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.inner.partitions(topic).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from_offset: u64,
        bytes_max: u64,
    ) -> Result<Fetched, Error> {
        self.inner.read(topic, partition, from_offset, bytes_max).await
    }

    async fn end_offset(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        self.inner.end_offset(topic, partition).await
    }

    async fn wait(&self, _: &str, positions: &[u64], _: Duration) -> Result<(), Error> {
        *self.waited.lock().unwrap() = positions.to_vec();
        Ok(())
    }

    async fn assigned(&self, _: &str) -> Result<Option<Vec<u32>>, Error> {
        Ok(self.assigned.lock().unwrap().clone())
    }

    async fn landed(&self, topic: &str, next_offsets: &[(u32, u64)]) {
        assert_eq!(topic, TOPIC);
        *self.told.lock().unwrap() = next_offsets.to_vec();
    }
}

struct SharedFixture {
    fixture: Fixture,
    topic: Arc<SharedTopic>,
}

impl SharedFixture {
    fn new(assigned: Option<&[u32]>) -> Self {
        let mut fixture = Fixture::new();
        fixture.topic = Arc::new(MemoryTopic::new(3));
        let topic = Arc::new(SharedTopic {
            inner: Arc::clone(&fixture.topic),
            assigned: Mutex::new(assigned.map(<[u32]>::to_vec)),
            told: Mutex::default(),
            waited: Mutex::default(),
        });
        Self { fixture, topic }
    }

    fn lander(&self) -> Lander {
        let Fixture { store, clock, config, .. } = &self.fixture;
        let reader = Arc::clone(&self.topic) as Arc<dyn TopicReader>;
        Lander::new(Arc::clone(store), reader, Arc::clone(clock) as _, config.clone())
            .expect("sound settings")
    }

    /// Appends a record to each partition, ten times.
    async fn append(&self) {
        // Keys of the partitions 0, 1 and 2 of three.
        let keys: Vec<String> = (0..3)
            .map(|wanted| {
                let of = |key: &String| {
                    ingest::topic::partitioner::partition_of(key.as_bytes(), 3) == wanted
                };
                (0..).map(|number: u32| number.to_string()).find(of).expect("a key")
            })
            .collect();
        let records = keys.iter().cycle().take(30).map(|key| NewRecord {
            key: key.clone(),
            value: "{}".into(),
            headers: Vec::new(),
        });
        self.fixture.topic.append(TOPIC, records.collect()).await.expect("appends");
    }

    fn assign(&self, partitions: &[u32]) {
        *self.topic.assigned.lock().unwrap() = Some(partitions.to_vec());
    }

    fn told(&self) -> Vec<(u32, u64)> {
        self.topic.told.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn lands_its_own_partitions_only() {
    let shared = SharedFixture::new(Some(&[0, 2]));
    shared.append().await;
    let mut lander = shared.lander();
    shared.fixture.land(&mut lander).await;
    assert_eq!(lander.landed(), [10, 0, 10]);
    assert_eq!(shared.told(), [(0, 10), (2, 10)], "nothing is said about what is not known");
    assert_eq!(lander.lag().await.expect("lag"), [0, 10, 0]);
    lander.wait(Duration::from_secs(1)).await.expect("waits");
    assert_eq!(*shared.topic.waited.lock().unwrap(), [10, u64::MAX, 10], "for its own records");
}

#[tokio::test]
async fn forgets_what_went_to_another_lander() {
    let shared = SharedFixture::new(Some(&[0, 1, 2]));
    shared.append().await;
    let (mut one, mut other) = (shared.lander(), shared.lander());
    // Gathered, but too young to be sealed.
    assert!(one.run_once().await.expect("gathers").seal_in.is_some());
    shared.assign(&[]);
    assert_eq!(one.run_once().await.expect("nothing to do").seal_in, None);
    shared.assign(&[0, 1, 2]);
    shared.fixture.land(&mut other).await;
    shared.append().await;
    // It is given all back, and goes on behind what the other one landed.
    let first = one.run_once().await.expect("gathers");
    shared.fixture.clock.advance(shared.fixture.config.age_max);
    let second = one.run_once().await.expect("lands");
    assert_eq!((first.objects, first.adopted), (0, 0), "{first:?}");
    assert_eq!((second.objects, second.adopted), (3, 0), "{second:?}");
    let logs = shared.fixture.topic.logs(TOPIC);
    check_chain(&shared.fixture.store, 0, TOPIC, &logs, "shared").await;
}

#[tokio::test]
async fn lands_everything_without_a_group() {
    let shared = SharedFixture::new(None);
    shared.append().await;
    let mut lander = shared.lander();
    shared.fixture.land(&mut lander).await;
    assert_eq!(lander.landed(), [10, 10, 10]);
}
