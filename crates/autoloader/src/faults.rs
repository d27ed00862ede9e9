//! Bad days from a seed: what goes wrong between a process and its stores, and when it dies.

use std::{
    fmt,
    future::Future,
    ops::Range,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, path::Path,
};

/// A generator of numbers that a seed repeats: splitmix64.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// What happens to a step of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Nothing happens, and an error is seen.
    Refused,
    /// It happens, and an error is seen.
    ReplyLost,
    /// An error is seen, and it happens some time later, where that can be; else as `Refused`.
    Delayed,
}

/// The faults of one process: random ones, and death after some steps.
#[derive(Debug)]
pub(crate) struct Faults {
    state: Mutex<(Random, u64)>,
    /// One step in so many goes wrong; 0 for none.
    rate: u64,
}

impl Faults {
    /// Dies at step `lifetime`; from then on nothing happens any more.
    pub(crate) fn new(seed: u64, rate: u64, lifetime: u64) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new((Random::new(seed), lifetime)), rate })
    }

    pub(crate) fn none() -> Arc<Self> {
        Self::new(0, 0, u64::MAX)
    }

    pub(crate) async fn step(&self) -> Fate {
        let (pauses, fate) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (random, lifetime) = &mut *state;
            let is_dead = *lifetime == 0;
            *lifetime = lifetime.saturating_sub(1);
            let pauses = random.below(3);
            let is_last = !is_dead && *lifetime == 0;
            let is_bad = is_last || self.rate != 0 && random.one_in(self.rate);
            let fate = match is_bad.then(|| random.below(4)) {
                _ if is_dead => Fate::Refused,
                None => Fate::Done,
                Some(0) => Fate::Refused,
                // What was sent may still arrive, even from the dead.
                Some(1) => Fate::Delayed,
                Some(_) => Fate::ReplyLost,
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
pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) faults: Arc<Faults>,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

pub(crate) fn fault() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "injected".into() }
}

impl FaultyStore {
    async fn through<R>(
        &self,
        work: impl Future<Output = object_store::Result<R>> + Send,
    ) -> object_store::Result<R> {
        match self.faults.step().await {
            Fate::Done => work.await,
            Fate::Refused | Fate::Delayed => Err(fault()),
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
        match self.faults.step().await {
            Fate::Done => self.inner.put_opts(location, payload, opts).await,
            Fate::Refused => Err(fault()),
            Fate::ReplyLost => {
                drop(self.inner.put_opts(location, payload, opts).await);
                Err(fault())
            }
            Fate::Delayed => {
                let (inner, location) = (Arc::clone(&self.inner), location.clone());
                later(async move { drop(inner.put_opts(&location, payload, opts).await) });
                Err(fault())
            }
        }
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
        ranges: &[Range<u64>],
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

/// Lets `work` happen when others had some turns.
pub(crate) fn later(work: impl Future<Output = ()> + Send + 'static) {
    /// Long enough for another process to do several steps.
    const TURNS: u32 = 40;
    tokio::spawn(async move {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        work.await;
    });
}

/// Polls `work` at most `polls` times and then drops it, as a killed process does.
pub(crate) async fn killed_after<F: Future>(work: F, polls: u64) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Returns the seeds of a simulation: `count` of them, as many as `MARKETLAKE_SEEDS` says, or the
/// one that `MARKETLAKE_SEED` tells again.
#[expect(clippy::disallowed_methods, reason = "a failing seed is replayed from the environment")]
pub(crate) fn seeds(count: u64) -> Range<u64> {
    let told = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a seed is a number"))
    };
    match told("MARKETLAKE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..told("MARKETLAKE_SEEDS").unwrap_or(count),
    }
}
