//! A small world to run loaders in: a landing zone that grows, a target that keeps batches in
//! memory, and faults between them and the loader, all from one seed.

use std::sync::{Arc, Mutex};

use arrow::{array::AsArray, datatypes::Int64Type, record_batch::RecordBatch};
use async_trait::async_trait;
use model::{ErrorKind, ManualClock, landing::LandingKind};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, memory::InMemory, path::Path};

use crate::{
    Appended, BatchId, Column, ColumnKind, Loader, LoaderConfig, RowSchema, Target,
    faults::{Fate, Faults, FaultyStore},
    object::tests::{key, seal},
};

/// What the target holds: the last batch, and the file and line of every row.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub last: Option<u64>,
    pub rows: Vec<(String, i64)>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum MemoryError {
    #[error("injected")]
    Injected,
    #[error("batch {0} would leave a hole")]
    Hole(BatchId),
}

/// A target in memory; all handles share what it keeps.
#[derive(Clone, Debug)]
pub(super) struct MemoryTarget {
    pub kept: Arc<Mutex<Kept>>,
    pub faults: Arc<Faults>,
}

impl MemoryTarget {
    fn commit(&self, batch: BatchId, rows: &[RecordBatch]) -> Result<Appended, MemoryError> {
        let mut kept = self.kept.lock().unwrap();
        if kept.last.is_some_and(|last| batch.0 <= last) {
            return Ok(Appended::AlreadyThere);
        }
        if batch != BatchId::after(kept.last.map(BatchId)) {
            return Err(MemoryError::Hole(batch));
        }
        for rows in rows {
            let files = rows.column_by_name("_file").unwrap().as_string::<i32>().clone();
            let lines = rows.column_by_name("_line").unwrap().as_primitive::<Int64Type>().clone();
            let pairs = files.iter().zip(lines.iter());
            kept.rows.extend(pairs.map(|(file, line)| (file.unwrap().to_owned(), line.unwrap())));
        }
        kept.last = Some(batch.0);
        Ok(Appended::Committed { version: batch.0 + 1 })
    }
}

#[async_trait]
impl Target for MemoryTarget {
    type Error = MemoryError;

    fn kind(error: &MemoryError) -> ErrorKind {
        match error {
            MemoryError::Injected => ErrorKind::Transient,
            MemoryError::Hole(_) => ErrorKind::Data,
        }
    }

    async fn last_batch(&mut self) -> Result<Option<BatchId>, MemoryError> {
        match self.faults.step().await {
            Fate::Done => Ok(self.kept.lock().unwrap().last.map(BatchId)),
            _ => Err(MemoryError::Injected),
        }
    }

    async fn append_once(
        &mut self,
        batch: BatchId,
        rows: Vec<RecordBatch>,
    ) -> Result<Appended, MemoryError> {
        match self.faults.step().await {
            Fate::Done => self.commit(batch, &rows),
            Fate::Refused | Fate::Delayed => Err(MemoryError::Injected),
            Fate::ReplyLost => {
                self.commit(batch, &rows)?;
                Err(MemoryError::Injected)
            }
        }
    }
}

/// Landing zone, checkpoints and target, and what ought to be in the target in the end.
#[derive(Debug)]
pub(super) struct World {
    pub landing: Arc<InMemory>,
    pub checkpoints: Arc<InMemory>,
    pub kept: Arc<Mutex<Kept>>,
    pub clock: Arc<ManualClock>,
    pub landed: Vec<(String, i64)>,
    /// The next offset of each partition.
    pub next: Vec<u64>,
}

impl World {
    /// A world whose partitions begin at the given offsets.
    pub(super) fn new(firsts: &[u64]) -> Self {
        Self {
            landing: Arc::new(InMemory::new()),
            checkpoints: Arc::new(InMemory::new()),
            kept: Arc::default(),
            clock: Arc::new(ManualClock::new("2026-01-05T15:00:00Z".parse().unwrap())),
            landed: Vec::new(),
            next: firsts.to_vec(),
        }
    }

    /// Lands an object of `lines` lines, or a gap when there are none.
    pub(super) async fn land(&mut self, partition: usize, lines: usize) -> String {
        let first = self.next[partition];
        let next = first + u64::try_from(lines).unwrap().max(1);
        self.next[partition] = next;
        let kind = if lines == 0 { LandingKind::Gap } else { LandingKind::Records };
        let name = key(u32::try_from(partition).unwrap(), first, kind).to_string();
        let lines: Vec<Vec<u8>> = (first..next)
            .take(lines)
            .map(|offset| {
                if offset % 5 == 3 {
                    return b"{\"_offset\":oops".to_vec();
                }
                format!("{{\"_offset\":{offset},\"_key\":\"A\",\"_ts\":\"2026-01-05T14:30:00.000000Z\",\"_headers\":{{}},\"data\":{{\"close\":{offset}.5,\"new\":1}}}}").into_bytes()
            })
            .collect();
        self.landed.extend((1..).take(lines.len()).map(|line| (name.clone(), line)));
        let object = PutPayload::from(seal(first, next, &lines));
        self.landing.put(&Path::from(name.as_str()), object).await.unwrap();
        name
    }

    pub(super) fn config(&self) -> LoaderConfig {
        LoaderConfig::new("bronze.intraday", "a-uuid", "intraday")
    }

    pub(super) fn loader(
        &self,
        config: LoaderConfig,
        faults: &Arc<Faults>,
    ) -> Loader<MemoryTarget> {
        let store = |inner: &Arc<InMemory>| -> Arc<dyn ObjectStore> {
            let inner: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(inner);
            Arc::new(FaultyStore { inner, faults: Arc::clone(faults) })
        };
        let target = MemoryTarget { kept: Arc::clone(&self.kept), faults: Arc::clone(faults) };
        let clock = Arc::<ManualClock>::clone(&self.clock);
        let (landing, checkpoints) = (store(&self.landing), store(&self.checkpoints));
        Loader::new(config, landing, checkpoints, schema(), target, clock)
    }

    /// Asserts that every line landed is in the target exactly once.
    #[track_caller]
    pub(super) fn check_exactly_once(&self, context: &str) {
        let mut landed = self.landed.clone();
        let mut kept = self.kept.lock().unwrap().rows.clone();
        landed.sort();
        kept.sort();
        assert_eq!(kept, landed, "{context}");
    }
}

pub(super) fn schema() -> RowSchema {
    let close = Column {
        name: "close".to_owned(),
        field: "close".to_owned(),
        kind: ColumnKind::Decimal(model::decimal::PRICE),
    };
    RowSchema { columns: vec![close], date_key: None }
}
