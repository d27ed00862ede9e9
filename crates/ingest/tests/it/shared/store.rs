//! The store that the pollers of a simulation share: slow, faulty, and watched.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::DateTime;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use serde_json::Value;

use super::clock::World;
use crate::landing::faulty::Dice;

/// The longest that a request is on its way: less than the day for which links stay, even by the
/// clock of the fastest store.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// The number of each fault that fired, to notice a class that never does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fired {
    pub(crate) cut_before: u64,
    pub(crate) conflict_without_object: u64,
    pub(crate) delayed: u64,
    pub(crate) reply_lost: u64,
    pub(crate) conflict_with_own: u64,
    pub(crate) read_failed: u64,
    pub(crate) hung: u64,
    /// No fault: links that were deleted.
    pub(crate) pruned: u64,
}

/// A link of a shard's chain, noted when it came to be.
#[derive(Clone, Debug)]
pub(crate) struct WrittenLink {
    pub(crate) at: Duration,
    pub(crate) shard: u32,
    pub(crate) number: u64,
    pub(crate) writer: String,
    pub(crate) change: Value,
}

impl WrittenLink {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.change["kind"] == kind
    }
}

#[derive(Debug)]
struct State {
    dice: Dice,
    fired: Fired,
    links: Vec<WrittenLink>,
    delayed: Vec<(Duration, Path, PutPayload, PutOptions)>,
    /// When objects came to be, by the world's clock.
    created: BTreeMap<Path, Duration>,
}

/// What the store does, for whom it is; every machine works through the same one.
#[derive(Debug)]
pub(crate) struct WatchedStore {
    inner: InMemory,
    world: Arc<World>,
    state: Mutex<State>,
    is_faulty: AtomicBool,
    /// Whether a listing takes a second.
    is_slow: AtomicBool,
    /// How long a request hangs that does.
    hang: Duration,
    /// How much faster than the world the store's own clock runs.
    clock_speed: u32,
}

fn failed(text: &'static str) -> object_store::Error {
    object_store::Error::Generic { store: "watched", source: text.into() }
}

fn conflict(at: &Path) -> object_store::Error {
    object_store::Error::AlreadyExists { path: at.to_string(), source: "409".into() }
}

impl WatchedStore {
    pub(crate) fn new(
        world: &Arc<World>,
        seed: u64,
        hang: Duration,
        clock_speed: u32,
    ) -> Arc<Self> {
        let dice = Dice::new(seed);
        let (fired, links, delayed) = (Fired::default(), Vec::new(), Vec::new());
        let created = BTreeMap::new();
        Arc::new(Self {
            inner: InMemory::new(),
            world: Arc::clone(world),
            state: Mutex::new(State { dice, fired, links, delayed, created }),
            is_faulty: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
            hang,
            clock_speed,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faulty(&self, is_faulty: bool) {
        self.is_faulty.store(is_faulty, Ordering::Relaxed);
    }

    pub(crate) fn set_slow(&self, is_slow: bool) {
        self.is_slow.store(is_slow, Ordering::Relaxed);
    }

    pub(crate) fn fired(&self) -> Fired {
        self.lock().fired
    }

    /// Returns every link that was ever created, in the order of their creation.
    pub(crate) fn links(&self) -> Vec<WrittenLink> {
        self.links_from(0)
    }

    /// Returns those without the first ones.
    pub(crate) fn links_from(&self, index: usize) -> Vec<WrittenLink> {
        self.lock().links[index..].to_vec()
    }

    fn chance(&self, per_mille: u64, count: fn(&mut Fired) -> &mut u64) -> bool {
        if !self.is_faulty.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        let has_fired = state.dice.roll(1000) < per_mille;
        *count(&mut state.fired) += u64::from(has_fired);
        has_fired
    }

    /// The way to the store or back.
    async fn travel(&self) {
        let millis = self.lock().dice.roll(15);
        self.world.sleep(Duration::from_millis(millis)).await;
        if self.chance(2, |fired| &mut fired.hung) {
            self.world.sleep(self.hang).await;
        }
    }

    async fn read(&self) -> Result<()> {
        self.travel().await;
        if self.chance(20, |fired| &mut fired.read_failed) { Err(failed("cut")) } else { Ok(()) }
    }

    async fn apply(&self, at: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let body = bytes::Bytes::from(payload.clone());
        let result = self.inner.put_opts(at, payload, opts).await?;
        self.lock().created.insert(at.clone(), self.world.now());
        if let Some(link) = parse_link(self.world.now(), at.as_ref(), &body) {
            self.lock().links.push(link);
        }
        Ok(result)
    }

    /// Writes that were on their way all this time arrive now.
    pub(crate) async fn deliver_delayed(&self) {
        let delayed = std::mem::take(&mut self.lock().delayed);
        let now = self.world.now();
        for (since, at, payload, opts) in delayed {
            if since + DELAY_MAX < now {
                continue;
            }
            // Refused or not: nobody waits for the answer.
            drop(self.apply(&at, payload, opts).await);
        }
    }

    fn at_store_time(&self, mut meta: ObjectMeta) -> ObjectMeta {
        let created = self.lock().created.get(&meta.location).copied().unwrap_or_default();
        meta.last_modified = DateTime::UNIX_EPOCH + created * self.clock_speed;
        meta
    }
}

fn parse_link(now: Duration, at: &str, stored: &[u8]) -> Option<WrittenLink> {
    let (folder, number) = at.rsplit_once('/')?;
    let shard = folder.strip_suffix("/links")?.rsplit_once("shard=")?.1.parse().ok()?;
    let body = stored.split(|byte| *byte == b'\n').nth(1)?;
    let mut link: Value = serde_json::from_slice(body).expect("a link is JSON");
    let writer = link["writer"].as_str().expect("a writer").to_owned();
    let number = number.parse().expect("a number");
    Some(WrittenLink { at: now, shard, number, writer, change: link["change"].take() })
}

impl fmt::Display for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("watched")
    }
}

/// One machine's way to the store.
#[derive(Clone, Debug)]
pub(crate) struct Way(pub(crate) Arc<WatchedStore>);

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Way {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let store = &*self.0;
        store.travel().await;
        let is_next = store.lock().dice.percent(10);
        if is_next {
            store.deliver_delayed().await;
        }
        if store.chance(20, |fired| &mut fired.cut_before) {
            return Err(failed("cut before"));
        }
        if store.chance(20, |fired| &mut fired.conflict_without_object) {
            return Err(conflict(at));
        }
        if store.chance(20, |fired| &mut fired.delayed) {
            let now = store.world.now();
            store.lock().delayed.push((now, at.clone(), payload, opts));
            return Err(failed("timed out"));
        }
        let result = store.apply(at, payload, opts).await;
        store.travel().await;
        if store.chance(20, |fired| &mut fired.reply_lost) {
            return Err(failed("reply lost"));
        }
        // A client that repeats a request whose reply was lost meets its own object.
        if result.is_ok() && store.chance(20, |fired| &mut fired.conflict_with_own) {
            return Err(conflict(at));
        }
        result
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.inner.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.read().await?;
        self.0.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = Arc::clone(&self.0);
        let deleted = self.0.inner.delete_stream(locations);
        let count = move |deleted: &Result<Path>| {
            let is_link = deleted.as_ref().is_ok_and(|at| at.as_ref().contains("/links/"));
            store.lock().fired.pruned += u64::from(is_link);
        };
        deleted.inspect(count).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (Arc::clone(&self.0), prefix.cloned());
        let listed = async move {
            store.read().await?;
            if store.is_slow.load(Ordering::Relaxed) {
                store.world.sleep(Duration::from_secs(1)).await;
            }
            let listed: Vec<_> = store.inner.list(prefix.as_ref()).try_collect().await?;
            let listed = listed.into_iter().map(|meta| Ok(store.at_store_time(meta)));
            Ok::<_, object_store::Error>(futures::stream::iter(listed.collect::<Vec<_>>()))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.read().await?;
        self.0.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.inner.copy_opts(from, to, options).await
    }
}
