//! How a stream bears a great backlog: so many small files in memory, planned batch by batch, with
//! everything real but the table.
//!
//! `cargo run --release --example backlog -p autoloader -- FILES BATCHES`; the time of a batch must
//! not grow with the backlog.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures, and tells people"
)]

use std::{collections::BTreeSet, error::Error, sync::Arc, time::Instant};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use async_trait::async_trait;
use autoloader::{
    Appended, BatchId,
    files::{
        FileTarget, Load, LoadOptions, SourceStore, open_stream,
        stream::Progress,
        target::{Change, Sealed},
    },
};
use chrono::DateTime;
use model::{ErrorKind, ManualClock};
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, memory::InMemory, path::Path,
};

/// Of so many batches the times are shown, at the beginning and at the end.
const SHOWN: usize = 3;

/// A table that counts.
#[derive(Debug, Default)]
struct Counted {
    last: Option<BatchId>,
    rows: usize,
    columns: BTreeSet<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("no batch may be missing")]
struct Hole;

#[async_trait]
impl FileTarget for Counted {
    type Error = Hole;
    type Staged = usize;

    fn kind(_: &Hole) -> ErrorKind {
        ErrorKind::Internal
    }

    async fn last_batch(&mut self) -> Result<Option<BatchId>, Hole> {
        Ok(self.last)
    }

    async fn columns(&mut self) -> Result<Option<SchemaRef>, Hole> {
        Ok(None)
    }

    async fn begin(&mut self, columns: SchemaRef) -> Result<usize, Hole> {
        self.columns = columns.fields().iter().map(|field| field.name().clone()).collect();
        Ok(0)
    }

    async fn stage(&mut self, staged: &mut usize, rows: RecordBatch) -> Result<(), Hole> {
        *staged += rows.num_rows();
        Ok(())
    }

    async fn seal(&mut self, staged: usize) -> Result<Sealed, Hole> {
        Ok(Sealed(staged.into()))
    }

    async fn commit_once(
        &mut self,
        batch: BatchId,
        rows: Option<&Sealed>,
        _: &Change,
    ) -> Result<Appended, Hole> {
        let staged = rows.and_then(|rows| rows.0.as_u64()).unwrap_or_default();
        self.rows += usize::try_from(staged).unwrap_or_default();
        self.last = Some(batch);
        Ok(Appended::Committed { version: batch.0 })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (files, batches_max) = (number(1_000_000)?, number(usize::MAX)?);
    let source = Arc::new(InMemory::new());
    for number in 0..files {
        let path = Path::from(format!("day={:03}/{number:08}.json", number % 365));
        source.put(&path, PutPayload::from_static(b"{\"close\":189.43}\n")).await?;
    }
    let folder = tempfile::tempdir()?;
    let state: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path())?);
    let options = [("format", "json"), ("minFileAge", "0 seconds")];
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
    println!("{files} files; {} MB before the stream", resident_mb());
    let mut stream = open_stream(Load {
        stream: "backlog".to_owned(),
        source: SourceStore {
            name: "s3://bucket/in".to_owned(),
            url: "s3://bucket/in/".to_owned(),
            store: source,
            prefix: None,
            is_local: false,
        },
        options: LoadOptions::parse(options)?,
        hints: Vec::new(),
        state,
        target: Counted::default(),
        quarantine: None,
        is_dry: false,
        clock: Arc::new(ManualClock::new(
            DateTime::from_timestamp(4_000_000_000, 0).ok_or("a time")?,
        )),
    })
    .await?;
    let (start, mut times, mut loaded) = (Instant::now(), Vec::new(), 0);
    while times.len() < batches_max {
        let began = Instant::now();
        match stream.run_once().await? {
            Progress::Loaded(report) => loaded += report.plan.files.len(),
            Progress::UpToDate { .. } => break,
        }
        times.push(began.elapsed().as_millis());
    }
    println!(
        "{loaded} files in {} batches, {} s; {} MB",
        times.len(),
        start.elapsed().as_secs(),
        resident_mb()
    );
    let (first, last) = (times.iter().take(SHOWN), times.iter().rev().take(SHOWN).rev());
    println!("milliseconds of the first batches {:?}", first.collect::<Vec<_>>());
    println!("of the last {:?}", last.collect::<Vec<_>>());
    let mut sorted = times.clone();
    sorted.sort_unstable();
    println!("median {:?}, greatest {:?}", sorted.get(sorted.len() / 2), sorted.last());
    Ok(())
}

/// Returns what this process has in memory, where the system tells it.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}
