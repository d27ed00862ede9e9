//! A landing zone written by the test, and the stages that read it.

use std::sync::Arc;

use autoloader::{Loader, LoaderConfig};
use lake::{
    BronzeTarget, Location, Reader, RefineConfig, Refiner, Semantics, arrow::array::RecordBatch,
    row_schema,
};
use model::{
    Dataset, ManualClock,
    envelope::Envelope,
    landing::{Footer, LandingKey, LandingKind},
};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use sha2::{Digest, Sha256};

/// A vendor row with the fetch that brought it.
pub(crate) struct Row {
    pub dataset: Dataset,
    pub fetch_id: u64,
    pub json: String,
}

/// A lake in memory with its landing zone.
pub(crate) struct World {
    pub landing: Arc<dyn ObjectStore>,
    pub checkpoints: Arc<dyn ObjectStore>,
    pub location: Location,
    next: std::collections::BTreeMap<Dataset, u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            landing: Arc::new(InMemory::new()),
            checkpoints: Arc::new(InMemory::new()),
            location: Location::in_memory(),
            next: std::collections::BTreeMap::new(),
        }
    }

    /// Seals rows of one dataset into the next object of its chain.
    pub(crate) async fn land(&mut self, rows: &[Row]) {
        self.land_at(rows, "2019-02-11T15:00:00.000000Z").await;
    }

    /// Seals rows that were fetched at some moment.
    pub(crate) async fn land_at(&mut self, rows: &[Row], ts_fetched: &str) {
        let Some(dataset) = rows.first().map(|row| row.dataset) else {
            return;
        };
        let first = *self.next.entry(dataset).or_default();
        let mut lines = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let headers = [
                ("source", "marketstack-v2".to_owned()),
                ("fetch_id", row.fetch_id.to_string()),
                ("page", "0".to_owned()),
                ("row", (first + index as u64).to_string()),
                ("interval", "1min".to_owned()),
                ("ts_fetched", ts_fetched.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value));
            let envelope = Envelope {
                offset: first + index as u64,
                key: "KEY",
                ts: "2019-02-11T15:00:01Z".parse().expect("a time"),
                headers: &headers,
                data: row.json.as_bytes(),
            };
            envelope.write_line(&mut lines);
        }
        let sha256 = Sha256::digest(&lines).iter().map(|byte| format!("{byte:02x}")).collect();
        let next = first + rows.len() as u64;
        let footer = Footer { first, next, count: rows.len() as u64, sha256, last_record_crc: 0 };
        lines.extend_from_slice(footer.to_line().as_bytes());
        let key = LandingKey {
            generation: 0,
            topic: dataset.to_string(),
            partition: 0,
            first_offset: first,
            kind: LandingKind::Records,
        };
        let bytes = zstd::encode_all(lines.as_slice(), 1).expect("compresses");
        self.landing.put(&Path::from(key.to_string()), bytes.into()).await.expect("puts");
        self.next.insert(dataset, next);
    }

    pub(crate) async fn loader(&self, dataset: Dataset) -> Loader<BronzeTarget> {
        let name = dataset.as_str();
        let target = BronzeTarget::open(&self.location, dataset, name).await.expect("opens");
        let clock = Arc::new(ManualClock::new("2019-02-11T15:00:02Z".parse().expect("a time")));
        Loader::new(
            LoaderConfig::new(name, name, name),
            Arc::clone(&self.landing),
            Arc::clone(&self.checkpoints),
            row_schema(dataset),
            target,
            clock,
        )
    }

    pub(crate) async fn load(&self, dataset: Dataset) {
        let mut loader = self.loader(dataset).await;
        while loader.run_once().await.expect("loads").moved() {}
    }

    pub(crate) async fn refiner(&self) -> Refiner {
        let config = RefineConfig { generation: 0, semantics: Semantics::Auto };
        Refiner::open(&self.location, config).await.expect("opens")
    }

    pub(crate) async fn refine(&self) {
        let mut refiner = self.refiner().await;
        while refiner.run_once().await.expect("refines").is_some() {}
    }

    pub(crate) async fn reader(&self) -> Reader {
        Reader::open(Arc::clone(&self.location.store), self.location.url.clone())
            .await
            .expect("opens")
    }

    /// Runs a query and shows every row as text.
    pub(crate) async fn query(&self, sql: &str) -> Vec<String> {
        show(&self.reader().await.query(sql).await.expect("queries"))
    }
}

/// Shows rows as `a|b|c`.
pub(crate) fn show(batches: &[RecordBatch]) -> Vec<String> {
    use lake::arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("formats"))
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(values.join("|"));
        }
    }
    rows
}

/// A reading of `minute` past the open of 2019-02-11, prices in cents.
pub(crate) fn reading(
    symbol: &str,
    minute: u32,
    fetch_id: u64,
    values: [u32; 4],
    volume: u64,
) -> Row {
    let [open, high, low, price] =
        values.map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
    let (hour, minute) = (14 + (30 + minute) / 60, (30 + minute) % 60);
    Row {
        dataset: Dataset::Intraday,
        fetch_id,
        json: format!(
            "{{\"open\":{open},\"high\":{high},\"low\":{low},\"mid\":null,\"last\":null,\"close\":99.50,\
             \"volume\":{volume}.0,\"marketstack_last\":{price},\
             \"date\":\"2019-02-11T{hour:02}:{minute:02}:00+0000\",\"symbol\":\"{symbol}\",\"exchange\":\"IEXG\"}}"
        ),
    }
}
