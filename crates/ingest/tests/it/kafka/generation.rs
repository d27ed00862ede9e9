//! A topic of a real cluster that is deleted and made anew under the same name.

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use ingest::{
    landing::{Lander, LandingConfig, chain, generation},
    topic::{KafkaTopic, KafkaTopicConfig, TopicReader, TopicWriter},
};
use model::{Clock, clock::Sleep, envelope::EnvelopeLine};
use object_store::{ObjectStore, memory::InMemory};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

use super::{RealClock, config, numbered, open, service, unique};

const PATIENCE: Duration = Duration::from_secs(90);

/// A lander's clock that runs faster: what it does once a minute, it does every two seconds.
#[derive(Debug)]
struct FastClock(Arc<RealClock>);

const SPEED: u32 = 30;

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic() * SPEED
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        self.0.sleep(duration / SPEED)
    }
}

struct Rig {
    servers: String,
    name: String,
    store: Arc<dyn ObjectStore>,
}

impl Rig {
    fn new() -> Self {
        let (servers, name) = (service("MARKETLAKE_TEST_KAFKA"), unique());
        Self { servers, name, store: Arc::new(InMemory::new()) }
    }

    fn topic(&self) -> Arc<KafkaTopic> {
        open(KafkaTopicConfig { partitions: NonZeroU32::MIN, ..config(&self.servers) })
    }

    fn lander(&self, topic: &Arc<KafkaTopic>) -> Lander {
        let config =
            LandingConfig { age_max: Duration::ZERO, ..LandingConfig::for_topic(&self.name) };
        let reader = Arc::clone(topic) as Arc<dyn TopicReader>;
        let clock = Arc::new(FastClock(RealClock::new()));
        Lander::new(Arc::clone(&self.store), reader, clock, config).expect("a lander")
    }

    async fn append(&self, numbers: std::ops::Range<u32>) {
        // A client of its own: one that knew the topic before has to learn that it is another.
        self.topic().append(&self.name, numbered(numbers)).await.expect("appends");
    }

    /// Deletes the topic, and waits until the cluster has forgotten it.
    async fn delete(&self) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.servers);
        let admin: AdminClient<DefaultClientContext> = client.create().expect("an admin");
        let deleted = admin.delete_topics(&[&self.name], &AdminOptions::new()).await;
        deleted.expect("asks").remove(0).expect("is deleted");
        let began = tokio::time::Instant::now();
        while self.topic().partitions(&self.name).await.expect("asks") != 0 {
            assert!(began.elapsed() < PATIENCE, "the topic stays");
        }
    }

    /// Lands until every number is in some chain.
    async fn land_until(&self, lander: &mut Lander, wanted: &BTreeSet<u32>) {
        let began = tokio::time::Instant::now();
        while !self.landed().await.is_superset(wanted) {
            assert!(began.elapsed() < PATIENCE, "{lander:?}: {:?}", self.landed().await);
            // The deletion passes through the client in its own time.
            match lander.run_once().await {
                Ok(progress) if progress.is_behind => (),
                Ok(_) => lander.wait(Duration::from_millis(200)).await.unwrap_or(()),
                Err(error) => assert_eq!(error.kind(), model::ErrorKind::Transient, "{error:?}"),
            }
        }
    }

    async fn landed(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for current in generation::all(&self.store, &self.name).await.expect("lists") {
            let mut next = current.begins_at(0);
            let keys = chain::list(&self.store, current.generation, &self.name, 0, None).await;
            for key in keys.expect("lists") {
                assert_eq!(key.first_offset, next, "`{key}` is no link of the chain");
                let link = chain::read(&self.store, &key).await.expect("reads").expect("is there");
                next = link.footer.next;
                found.extend(link.lines.split_inclusive(|byte| *byte == b'\n').map(|line| {
                    let line = EnvelopeLine::parse(&line[..line.len() - 1]).expect("parses");
                    line.data.get().parse::<u32>().expect("a number")
                }));
            }
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_topic_made_anew_goes_on_in_a_new_generation() {
    let rig = Rig::new();
    rig.append(0..20).await;
    let topic = rig.topic();
    let mut living = rig.lander(&topic);
    rig.land_until(&mut living, &(0..20).collect()).await;

    // More records than before: the offsets of the old ones are in use again.
    rig.delete().await;
    rig.append(100..150).await;
    let all: BTreeSet<u32> = (0..20).chain(100..150).collect();
    rig.land_until(&mut living, &all).await;
    assert_eq!(living.generation(), 1);
    let current = generation::current(&rig.store, &rig.name, 0).await.expect("reads");
    let opened = current.opened.expect("was opened");
    // The client library read on where it was, in the new topic: more of it is in the old chain.
    assert_eq!(opened.begins_at(0), 0, "{opened:?}");

    // Fewer: the topic ends before the chain does. One that starts later finds it so.
    rig.delete().await;
    rig.append(200..205).await;
    drop(living);
    let topic = rig.topic();
    let mut later = rig.lander(&topic);
    let all: BTreeSet<u32> = all.into_iter().chain(200..205).collect();
    rig.land_until(&mut later, &all).await;
    assert_eq!(later.generation(), 2);

    // And goes on there.
    rig.append(205..230).await;
    rig.land_until(&mut later, &all.into_iter().chain(205..230).collect()).await;
    assert_eq!((later.generation(), later.landed()), (2, vec![30]));
}
