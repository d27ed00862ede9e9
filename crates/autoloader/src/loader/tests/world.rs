//! A small world to run loaders in: a landing zone that grows, a target that keeps batches in
//! memory, and faults between them and the loader, all from one seed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{array::AsArray, datatypes::Int64Type, record_batch::RecordBatch};
use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use model::{ErrorKind, ManualClock, landing::LandingKind};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory,
    path::Path,
};

use crate::{
    Appended, BatchId, Column, ColumnKind, Loader, LoaderConfig, RowSchema, Target,
    object::tests::{key, seal},
};

/// A generator of numbers that a seed repeats: splitmix64.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// What happens to a step of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// Nothing happens, and an error is seen.
    Refused,
    /// It happens, and an error is seen.
    ReplyLost,
}

/// The faults of one process: random ones, and death after some steps.
#[derive(Debug)]
pub(super) struct Faults {
    state: Mutex<(Random, u64)>,
    /// One step in so many goes wrong; 0 for none.
    rate: u64,
}

impl Faults {
    /// Dies at step `lifetime`; from then on nothing happens any more.
    pub(super) fn new(seed: u64, rate: u64, lifetime: u64) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new((Random::new(seed), lifetime)), rate })
    }

    pub(super) fn none() -> Arc<Self> {
        Self::new(0, 0, u64::MAX)
    }

    async fn step(&self) -> Fate {
        let (pauses, fate) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (random, lifetime) = &mut *state;
            let is_dead = *lifetime == 0;
            *lifetime = lifetime.saturating_sub(1);
            let pauses = random.below(3);
            let fate = if is_dead {
                Fate::Refused
            } else if *lifetime == 0 {
                // The last step may still have reached the store.
                if random.one_in(2) { Fate::ReplyLost } else { Fate::Refused }
            } else if self.rate != 0 && random.one_in(self.rate) {
                if random.one_in(2) { Fate::ReplyLost } else { Fate::Refused }
            } else {
                Fate::Done
            };
            (pauses, fate)
        };
        // Other processes run in between.
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
        fate
    }
}

/// An object store seen by a process with faults.
#[derive(Clone, Debug)]
struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

fn fault() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "injected".into() }
}

impl FaultyStore {
    async fn through<R>(
        &self,
        work: impl Future<Output = object_store::Result<R>> + Send,
    ) -> object_store::Result<R> {
        match self.faults.step().await {
            Fate::Done => work.await,
            Fate::Refused => Err(fault()),
            Fate::ReplyLost => {
                // The reply, good or bad, never arrives.
                drop(work.await);
                Err(fault())
            }
        }
    }

    fn listed(
        &self,
        list: impl FnOnce() -> BoxStream<'static, object_store::Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let faults = Arc::clone(&self.faults);
        stream::once(async move {
            match faults.step().await {
                Fate::Done => list(),
                _ => stream::once(async { Err(fault()) }).boxed(),
            }
        })
        .flatten()
        .boxed()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.through(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.through(self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.through(self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> object_store::Result<Vec<bytes::Bytes>> {
        self.through(self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let (faults, inner) = (Arc::clone(&self.faults), Arc::clone(&self.inner));
        stream::once(async move {
            match faults.step().await {
                Fate::Done => inner.delete_stream(locations),
                _ => stream::once(async { Err(fault()) }).boxed(),
            }
        })
        .flatten()
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        self.listed(move || inner.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (inner, prefix, offset) = (Arc::clone(&self.inner), prefix.cloned(), offset.clone());
        self.listed(move || inner.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.through(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.through(self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(
        &self,
        from: &Path,
        to: &Path,
        options: object_store::RenameOptions,
    ) -> object_store::Result<()> {
        self.through(self.inner.rename_opts(from, to, options)).await
    }
}

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
            Fate::Refused => Err(MemoryError::Injected),
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
