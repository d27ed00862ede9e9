//! Prints how fast rows go through the embedded topic and the landing chain on this machine.
//!
//! `cargo run --release -p ingest --example throughput`
#![expect(clippy::print_stdout, reason = "the figures are the purpose")]

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use ingest::{
    landing::{Lander, LandingConfig},
    topic::{EmbeddedTopic, EmbeddedTopicConfig, NewRecord, TopicReader, TopicWriter},
};
use model::{Clock, clock::Sleep};
use object_store::local::LocalFileSystem;

/// Rows in all, in pages of a thousand as the vendor serves them.
const PAGES: u64 = 500;
const PAGE_ROWS: u64 = 1000;

/// The machine's clock.
#[derive(Debug)]
struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock to be injected")]
    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

fn page(page: u64) -> Vec<NewRecord> {
    let row = |row: u64| {
        let price = 100_000 + (page * 7919 + row * 104_729) % 50_000;
        let (whole, cents) = (price / 1000, price % 1000);
        let symbol = format!("SYM{}", row % 100);
        let value = format!(
            "{{\"open\":{whole}.{cents:03},\"high\":{whole}.{cents:03},\"low\":{whole}.{cents:03},\
             \"mid\":null,\"last_size\":{row},\"bid_size\":null,\"bid_price\":null,\
             \"ask_price\":null,\"ask_size\":null,\"last\":{whole}.{cents:03},\"close\":{whole}.5,\
             \"volume\":{},\"marketstack_last\":{whole}.{cents:03},\
             \"date\":\"2019-02-11T14:{:02}:00+0000\",\"symbol\":\"{symbol}\",\"exchange\":\"IEXG\"}}",
            price * row,
            page % 60
        );
        let headers = [
            ("source", "marketstack-v2".to_owned()),
            ("fetch_id", "12".to_owned()),
            ("page", page.to_string()),
            ("row", row.to_string()),
            ("interval", "1min".to_owned()),
            ("ts_fetched", "2019-02-11T14:30:00.123456Z".to_owned()),
        ];
        NewRecord {
            key: symbol,
            value: Bytes::from(value),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        }
    };
    (0..PAGE_ROWS).map(row).collect()
}

fn print(what: &str, bytes: u64, took: Duration) {
    let rows = u32::try_from(PAGES * PAGE_ROWS).map_or(f64::NAN, f64::from);
    let megabytes = u32::try_from(bytes / 1_000_000).map_or(f64::NAN, f64::from);
    let seconds = took.as_secs_f64();
    println!("{what}: {:.0} rows/s, {:.0} MB/s", rows / seconds, megabytes / seconds);
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "this is the clock to be injected")]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(SystemClock(Instant::now()));
    let folder = tempfile::tempdir()?;
    let (db, landing) = (folder.path().join("topic.db"), folder.path().join("landing"));
    std::fs::create_dir(&landing)?;
    let config = EmbeddedTopicConfig::default();
    let topic = Arc::new(EmbeddedTopic::open(&db, &config, Arc::clone(&clock) as _).await?);
    let pages: Vec<_> = (0..PAGES).map(page).collect();
    let bytes = pages.iter().flatten().map(NewRecord::content_bytes).sum();

    let began = clock.monotonic();
    for page in pages {
        topic.append("intraday", page).await?;
    }
    print("append", bytes, clock.monotonic() - began);

    let store = Arc::new(LocalFileSystem::new_with_prefix(&landing)?);
    let reader = Arc::clone(&topic) as Arc<dyn TopicReader>;
    let config = LandingConfig { age_max: Duration::ZERO, ..LandingConfig::for_topic("intraday") };
    let mut lander = Lander::new(store, reader, Arc::clone(&clock) as _, config)?;
    let began = clock.monotonic();
    let mut objects = 0;
    while lander.landed().first() != Some(&(PAGES * PAGE_ROWS)) {
        objects += lander.run_once().await?.objects;
    }
    print(&format!("land into {objects} objects"), bytes, clock.monotonic() - began);
    Ok(())
}
