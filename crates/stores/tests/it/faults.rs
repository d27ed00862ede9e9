//! Replies that lie, come late or not at all: nobody may build on what is not there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{TryStreamExt, future::join_all};
use model::{Clock, ErrorKind};
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, Result, path::Path};
use stores::{
    fault_proxy::{Fault, FaultProxy, Plan},
    gcs_double::GcsDouble,
    store_kind,
};
use uuid::Uuid;

use crate::services::{SystemClock, minio, open, s3_endpoint};

/// Calls of one caller until it is sure. At a rate of 0.3 one in three fails; this many in a row
/// fail once in 10^20 runs.
const CALLS_MAX: u32 = 40;

/// Between two calls of one caller.
const CALLER_WAIT: Duration = Duration::from_millis(200);

/// A store, once through a proxy and once as it is, both below a prefix of their own.
struct Bench {
    proxy: FaultProxy,
    broken: Arc<dyn ObjectStore>,
    direct: Arc<dyn ObjectStore>,
    _double: Option<GcsDouble>,
}

impl Bench {
    /// The double of GCS, which needs no service.
    async fn on_double(plan: Plan) -> Self {
        let clock = Arc::new(SystemClock);
        let double = GcsDouble::start("127.0.0.1:0", "b", clock).await.expect("a port");
        let proxy = FaultProxy::start("127.0.0.1:0", double.url(), plan, Arc::new(SystemClock))
            .await
            .expect("a port");
        let gcs = async |url| {
            open("gs://b/faults", &[("base_url", url), ("skip_signature", "true")]).await.store
        };
        let (broken, direct) = (gcs(proxy.url()).await, gcs(double.url()).await);
        Self { proxy, broken, direct, _double: Some(double) }
    }

    /// MinIO.
    async fn new(plan: Plan) -> Self {
        let endpoint = s3_endpoint();
        let prefix = format!("faults-{}", Uuid::new_v4().simple());
        let proxy = FaultProxy::start("127.0.0.1:0", &endpoint, plan, Arc::new(SystemClock))
            .await
            .expect("a port");
        let broken = minio(proxy.url(), &prefix).await;
        let direct = minio(&endpoint, &prefix).await;
        Self { proxy, broken, direct, _double: None }
    }

    /// Returns what really lies there.
    async fn truth(&self, at: &Path) -> Option<Bytes> {
        match self.direct.get(at).await {
            Ok(found) => Some(found.bytes().await.expect("a body")),
            Err(Error::NotFound { .. }) => None,
            Err(error) => panic!("reading `{at}` past the proxy: {error}"),
        }
    }

    fn fired(&self, fault: Fault) -> u64 {
        self.proxy.fired().get(&fault).copied().unwrap_or_default()
    }
}

fn plan(fault: Fault, fires_max: u64) -> Plan {
    Plan { delay: Duration::from_millis(300), ..Plan::always(fault, fires_max) }
}

async fn create(store: &Arc<dyn ObjectStore>, at: &Path, content: &Bytes) -> Result<()> {
    store.put_opts(at, content.clone().into(), PutMode::Create.into()).await.map(drop)
}

async fn read(store: &Arc<dyn ObjectStore>, at: &Path) -> Result<Bytes> {
    store.get(at).await?.bytes().await
}

/// Calls until the answer is firm, as a caller does that outlasts what passes.
async fn outlast<T>(mut call: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 1..CALLS_MAX {
        match call().await {
            Err(error) if is_open(&error) => SystemClock.sleep(CALLER_WAIT).await,
            firm => return firm,
        }
    }
    call().await
}

/// Returns whether an answer leaves open what happened. Then it must be a passing trouble.
fn is_open(error: &Error) -> bool {
    match error {
        Error::AlreadyExists { .. } | Error::NotFound { .. } => false,
        other => {
            assert_eq!(store_kind(other), ErrorKind::Transient, "{other:?}");
            true
        }
    }
}

/// Creates an object and returns whether it is ours, as the landing chain decides it: a create that
/// comes too late reads what is there.
async fn claim(store: &Arc<dyn ObjectStore>, at: &Path, content: &Bytes) -> bool {
    match outlast(async || create(store, at, content).await).await {
        Ok(()) => true,
        Err(Error::AlreadyExists { .. }) => {
            let found = outlast(async || read(store, at).await).await;
            found.expect("what exists can be read") == content
        }
        Err(error) => panic!("creating `{at}`: {error:?}"),
    }
}

/// What a create is told, and what then lies there, while one fault strikes without end.
async fn struck(fault: Fault) -> (Result<()>, Option<Bytes>) {
    let bench = Bench::new(plan(fault, u64::MAX)).await;
    let (at, content) = (Path::from("object"), Bytes::from_static(b"mine"));
    let told = create(&bench.broken, &at, &content).await;
    bench.proxy.settle().await;
    assert!(0 < bench.fired(fault), "{} struck", fault.name());
    (told, bench.truth(&at).await)
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_write_that_was_applied_is_found_whatever_the_reply() {
    for fault in [Fault::AppliedThenError, Fault::AppliedThenCut] {
        let (told, truth) = struck(fault).await;
        told.unwrap_or_else(|error| panic!("{}: {error:?}", fault.name()));
        assert_eq!(truth.expect("the object"), "mine", "{}", fault.name());
    }
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_write_that_was_not_applied_is_neither_done_nor_lost_to_another() {
    for fault in [Fault::CutBefore, Fault::SlowDown, Fault::ConflictWithoutWriting] {
        let (told, truth) = struck(fault).await;
        let error = told.expect_err(fault.name());
        assert!(is_open(&error), "{}: {error:?}", fault.name());
        assert_eq!(truth, None, "{}", fault.name());
    }
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_write_that_arrives_late_was_left_open() {
    let bench = Bench::new(plan(Fault::DelayedPut, u64::MAX)).await;
    let (at, content) = (Path::from("object"), Bytes::from_static(b"mine"));
    let told = create(&bench.broken, &at, &content).await;
    // The client's own tries may take longer than the delay, and then it finds the object.
    if let Err(error) = told {
        assert!(is_open(&error), "{error:?}");
    }
    bench.proxy.settle().await;
    assert_eq!(bench.truth(&at).await.expect("it arrived"), content);
    let other = Bytes::from_static(b"another's");
    assert!(claim(&bench.broken, &at, &content).await, "the caller finds its own");
    assert!(!claim(&bench.broken, &at, &other).await, "and nobody else does");
    bench.proxy.settle().await;
    assert_eq!(bench.truth(&at).await.expect("the object"), content);
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_fault_that_strikes_once_is_outlasted() {
    for fault in Fault::SINGLE {
        strikes_once(fault, Bench::new(plan(fault, 1)).await).await;
    }
}

#[tokio::test]
async fn a_fault_that_strikes_a_double_once_is_outlasted() {
    for fault in Fault::SINGLE {
        strikes_once(fault, Bench::on_double(plan(fault, 1)).await).await;
    }
}

async fn strikes_once(fault: Fault, bench: Bench) {
    let (at, content) = (Path::from("object"), Bytes::from(vec![b'x'; 100_000]));
    assert!(claim(&bench.broken, &at, &content).await, "{}", fault.name());
    let found = outlast(async || read(&bench.broken, &at).await).await.expect("reading");
    assert!(found == content, "{}: {} bytes", fault.name(), found.len());
    assert_eq!(bench.fired(fault), 1, "{} struck", fault.name());
    bench.proxy.settle().await;
    assert!(bench.truth(&at).await.expect("the object") == content, "{}", fault.name());
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn half_an_object_is_never_taken_for_a_whole_one() {
    let bench = Bench::new(plan(Fault::TruncatedGet, u64::MAX)).await;
    let content = Bytes::from(vec![b'x'; 1_000_000]);
    for name in ["a", "b", "c"] {
        create(&bench.direct, &Path::from(name), &content).await.expect("creating");
    }
    let at = Path::from("a");
    let whole = read(&bench.broken, &at).await.expect_err("half an object");
    assert!(is_open(&whole), "{whole:?}");
    let range = bench.broken.get_range(&at, 10..20).await.expect_err("half a range");
    assert!(is_open(&range), "{range:?}");
    let listed: Result<Vec<_>> = bench.broken.list(None).try_collect().await;
    let listed = listed.expect_err("half a listing");
    assert!(is_open(&listed), "{listed:?}");
    assert!(3 <= bench.fired(Fault::TruncatedGet));
}

/// Writers that want the same keys, and the keys; together 300 creates.
const WRITERS: usize = 4;
const KEYS: usize = 75;

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn of_many_writers_one_wins_whatever_the_replies() {
    let seed = 20_261_123;
    let mixed = Plan { delay: Duration::from_millis(300), ..Plan::new(seed, 0.3) };
    let bench = Bench::new(mixed).await;
    let key = |number: usize| Path::from(format!("{number:05}"));
    let writers = (0..WRITERS).map(|writer| {
        let bench = &bench;
        async move {
            let mut won = Vec::new();
            for number in 0..KEYS {
                // Not all in the same order, or one writer would win everything.
                let number = (number + writer * KEYS / WRITERS) % KEYS;
                let content = Bytes::from(format!("{number} is written by {writer}"));
                if claim(&bench.broken, &key(number), &content).await {
                    won.push((number, content));
                }
            }
            won
        }
    });
    let won: Vec<_> = join_all(writers).await.into_iter().flatten().collect();
    bench.proxy.settle().await;
    let by_key: BTreeMap<_, _> = won.iter().cloned().collect();
    assert_eq!((won.len(), by_key.len()), (KEYS, KEYS), "seed {seed}: one winner for each key");
    for (number, content) in by_key {
        let truth = bench.truth(&key(number)).await.expect("what was won is there");
        assert_eq!(truth, content, "seed {seed}: key {number}");
        let seen = outlast(async || read(&bench.broken, &key(number)).await).await;
        assert_eq!(seen.expect("reading"), content, "seed {seed}: key {number}");
    }
    for fault in Fault::SINGLE {
        assert!(0 < bench.fired(fault), "seed {seed}: {} never struck", fault.name());
    }
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn an_outage_is_outlasted_by_whoever_tries_again() {
    let bench = Bench::new(Plan::new(0, 0.0)).await;
    let (at, content) = (Path::from("object"), Bytes::from_static(b"mine"));
    // Longer than the client's own tries: the caller must see it.
    bench.proxy.outage(Duration::from_secs(5));
    let first = create(&bench.broken, &at, &content).await.expect_err("nobody answers");
    assert!(is_open(&first), "{first:?}");
    let read_now = read(&bench.broken, &at).await.expect_err("nobody answers");
    assert!(is_open(&read_now), "never that it is not there: {read_now:?}");
    assert!(claim(&bench.broken, &at, &content).await, "the caller outlasts it");
    assert_eq!(bench.truth(&at).await.expect("the object"), content);
}
