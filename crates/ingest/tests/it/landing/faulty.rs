//! A store and a topic that fail, lie and die by a seeded script.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use ingest::{
    Error,
    topic::{Fetched, TopicReader},
};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path,
};
use tokio::sync::Notify;

/// The number of each fault that fired, to notice a class that never does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fired {
    pub(crate) cut_before: u32,
    pub(crate) applied_then_error: u32,
    pub(crate) conflict_without_object: u32,
    pub(crate) delayed: u32,
    pub(crate) get_failed: u32,
    pub(crate) body_truncated: u32,
    pub(crate) body_flipped: u32,
    pub(crate) list_failed: u32,
    pub(crate) crashed: u32,
}

/// A small seeded generator; the script must not depend on another package's version.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

#[derive(Debug)]
struct State {
    dice: Dice,
    /// Operations until the process dies; none left means it does not.
    steps_left: Option<u64>,
    delayed: Vec<(Path, PutPayload, PutOptions)>,
    fired: Fired,
}

/// What the store and the topic of one lander share: the script.
#[derive(Debug)]
pub(crate) struct Script {
    state: Mutex<State>,
    is_quiet: AtomicBool,
    crash: Notify,
}

impl Script {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let state = State {
            dice: Dice::new(seed),
            steps_left: None,
            delayed: Vec::new(),
            fired: Fired::default(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            is_quiet: AtomicBool::new(false),
            crash: Notify::new(),
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn fired(&self) -> Fired {
        self.with(|state| state.fired)
    }

    /// Ends all faults, as far as new ones go.
    pub(crate) fn quiet(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
        self.with(|state| state.steps_left = None);
    }

    /// Lets the process die within the next operations, or not at all.
    pub(crate) fn arm(&self, steps: Option<u64>) {
        self.with(|state| state.steps_left = steps);
    }

    /// Ends when the process has to die.
    pub(crate) async fn crashed(&self) {
        self.crash.notified().await;
    }

    fn chance(&self, percent: u64) -> bool {
        !self.is_quiet.load(Ordering::Relaxed) && self.with(|state| state.dice.percent(percent))
    }

    /// A point between two instructions: others may run here, and the process may die here.
    async fn point(&self) {
        for _ in 0..self.with(|state| state.dice.roll(3)) {
            tokio::task::yield_now().await;
        }
        let dies = self.with(|state| {
            let dies = state.steps_left == Some(0);
            state.steps_left = state.steps_left.and_then(|left| left.checked_sub(1));
            state.fired.crashed += u32::from(dies);
            dies
        });
        if dies {
            self.crash.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

fn failed(text: &'static str) -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: text.into() }
}

/// The store as one lander sees it.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<InMemory>,
    pub(crate) script: Arc<Script>,
}

impl FaultyStore {
    /// Writes that were on their way all this time arrive now.
    pub(crate) async fn deliver_delayed(&self) {
        for (path, payload, options) in self.script.with(|state| std::mem::take(&mut state.delayed))
        {
            // Refused or not: nobody waits for the answer.
            drop(self.inner.put_opts(&path, payload, options).await);
        }
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.script.point().await;
        if self.script.chance(30) {
            self.deliver_delayed().await;
        }
        let fired = |count: fn(&mut Fired)| self.script.with(|state| count(&mut state.fired));
        if self.script.chance(10) {
            fired(|fired| fired.cut_before += 1);
            return Err(failed("cut before"));
        }
        if self.script.chance(10) {
            fired(|fired| fired.conflict_without_object += 1);
            let source = "409".into();
            return Err(object_store::Error::AlreadyExists { path: at.to_string(), source });
        }
        if self.script.chance(10) {
            fired(|fired| fired.delayed += 1);
            self.script.with(|state| state.delayed.push((at.clone(), payload, opts)));
            return Err(failed("timed out"));
        }
        let result = self.inner.put_opts(at, payload, opts).await;
        self.script.point().await;
        if self.script.chance(15) {
            fired(|fired| fired.applied_then_error += 1);
            return Err(failed("reply lost"));
        }
        result
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.script.point().await;
        if self.script.chance(10) {
            self.script.with(|state| state.fired.get_failed += 1);
            return Err(failed("cut while reading"));
        }
        let found = self.inner.get_opts(at, options).await?;
        let (meta, range, attributes) =
            (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let mut body = found.bytes().await?.to_vec();
        if self.script.chance(5) {
            self.script.with(|state| state.fired.body_truncated += 1);
            body.truncate(body.len() / 2);
        } else if self.script.chance(5) {
            self.script.with(|state| state.fired.body_flipped += 1);
            let middle = body.len() / 2;
            body[middle] ^= 16;
        }
        let body = futures::stream::once(async move { Ok(body.into()) }).boxed();
        Ok(GetResult { payload: GetResultPayload::Stream(body), meta, range, attributes })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.script.chance(10) {
            self.script.with(|state| state.fired.list_failed += 1);
            return futures::stream::once(async { Err(failed("listing cut")) }).boxed();
        }
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The topic as one lander sees it.
pub(crate) struct FaultyReader {
    pub(crate) inner: Arc<dyn TopicReader>,
    pub(crate) script: Arc<Script>,
}

impl FaultyReader {
    async fn point(&self) -> std::result::Result<(), Error> {
        self.script.point().await;
        if self.script.chance(5) {
            let source = failed("broker gone");
            return Err(Error::LandingStore { doing: "asking", key: "topic".to_owned(), source });
        }
        Ok(())
    }
}

#[async_trait]
impl TopicReader for FaultyReader {
    async fn partitions(&self, topic: &str) -> std::result::Result<u32, Error> {
        self.point().await?;
        self.inner.partitions(topic).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from_offset: u64,
        bytes_max: u64,
    ) -> std::result::Result<Fetched, Error> {
        self.point().await?;
        // A small read splits what a lander gathers over several calls.
        let bytes_max = bytes_max.min(500);
        self.inner.read(topic, partition, from_offset, bytes_max).await
    }

    async fn end_offset(&self, topic: &str, partition: u32) -> std::result::Result<u64, Error> {
        self.point().await?;
        self.inner.end_offset(topic, partition).await
    }

    async fn wait(
        &self,
        topic: &str,
        positions: &[u64],
        timeout: Duration,
    ) -> std::result::Result<(), Error> {
        self.inner.wait(topic, positions, timeout).await
    }
}
