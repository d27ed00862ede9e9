//! The same in real time over a real store: MinIO, which refuses to create an object twice.

use std::{collections::BTreeSet, num::NonZeroU64, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use ingest::{
    poller::PollConfig,
    shared::{SharedConfig, SharedParts, SharedPolling, SharedView},
    source::recorded::RecordedSource,
};
use model::{Clock, Dataset, clock::MarketTime};
use object_store::{ObjectStore, aws::AmazonS3Builder, prefix::PrefixStore};

use super::{NOW, config, sessions, symbols};
use crate::{
    kafka::{RealClock, service, unique},
    landing::memory_topic::MemoryTopic,
};

const TTL: Duration = Duration::from_secs(2);

struct Shared {
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    source: Arc<RecordedSource>,
    topic: Arc<MemoryTopic>,
    config: PollConfig,
}

impl Shared {
    fn new() -> Self {
        let store = AmazonS3Builder::new()
            .with_endpoint(service("MARKETLAKE_TEST_S3"))
            .with_allow_http(true)
            .with_bucket_name("marketlake")
            .with_region("us-east-1")
            .with_access_key_id("marketlake")
            .with_secret_access_key("marketlake-minio-test")
            .build()
            .expect("sound settings");
        let clock: Arc<dyn Clock> = RealClock::new();
        let source = Arc::new(RecordedSource::new(Arc::clone(&clock)));
        let symbols = symbols(12);
        for session in sessions() {
            for symbol in &symbols {
                let date = session.date.to_string();
                let row = format!(r#"{{"close":1.5,"symbol":"{symbol}","date":"{date}"}}"#);
                source.put(Dataset::Eod, symbol, &date, row);
            }
        }
        Self {
            store: Arc::new(PrefixStore::new(store, unique())),
            clock,
            source,
            topic: Arc::new(MemoryTopic::new(1)),
            config: PollConfig {
                requests_per_second: 50.try_into().unwrap(),
                page_rows: 20.try_into().unwrap(),
                ..config(symbols)
            },
        }
    }

    fn poller(&self, holder: &str) -> SharedPolling {
        let start: DateTime<Utc> = NOW.parse().expect("a time");
        SharedPolling::new(SharedParts {
            shared: SharedConfig {
                generation: 1.try_into().unwrap(),
                shards: 6.try_into().unwrap(),
                lease_ttl: TTL,
                holder: holder.to_owned(),
                snapshot_links: NonZeroU64::new(5).unwrap(),
            },
            config: self.config.clone(),
            store: Arc::clone(&self.store),
            source: Arc::<RecordedSource>::clone(&self.source),
            topic: Arc::<MemoryTopic>::clone(&self.topic),
            clock: Arc::clone(&self.clock),
            market_time: MarketTime { epoch: self.clock.now(), start, speed: 1 },
            seed: 7,
        })
        .expect("sound settings")
    }
}

/// Runs a poller until it holds every shard, and nothing is left to fetch.
async fn run_to_rest(polling: &mut SharedPolling, clock: &dyn Clock) {
    loop {
        let progress = polling.run_once().await.expect("polls");
        let has_rest = progress.waits_for.is_some() && progress.windows_behind == 0;
        if polling.shards().len() == 6 && has_rest {
            return;
        }
        clock.sleep(progress.next_due).await;
    }
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn two_pollers_share_a_bucket_and_one_takes_over() {
    let shared = Shared::new();
    let (mut first, mut second) = (shared.poller("first"), shared.poller("second"));
    while first.shards().len() != 3 || second.shards().len() != 3 {
        let (one, other) = tokio::join!(first.run_once(), second.run_once());
        let wait = one.expect("polls").next_due.min(other.expect("polls").next_due);
        shared.clock.sleep(wait).await;
    }
    // Dies without a word.
    drop(first);
    run_to_rest(&mut second, &*shared.clock).await;
    let mut seen = BTreeSet::new();
    for record in shared.topic.logs("eod").iter().flat_map(|log| &log.records) {
        seen.insert(record.value.clone());
    }
    assert_eq!(seen.len(), 12 * sessions().len(), "every row was fetched");
    second.leave().await.expect("leaves");
    let view = SharedView::new(Arc::clone(&shared.store), Arc::clone(&shared.clock));
    let status = view.status(shared.clock.now()).await.expect("reads");
    let pages = view.fetched_pages().await.expect("reads");
    assert_eq!(status.windows_behind, 0);
    assert_eq!(status.rows_total, pages.iter().map(|page| page.rows).sum::<u64>());
    // A newcomer need not wait for anybody, and finds nothing to do.
    let asked = shared.source.requests().len();
    let mut third = shared.poller("third");
    run_to_rest(&mut third, &*shared.clock).await;
    assert_eq!(shared.source.requests().len(), asked);
    third.leave().await.expect("leaves");
}
