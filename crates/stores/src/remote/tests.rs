//! Whose write it was, whatever the store says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::TryStreamExt;
use model::ManualClock;
use object_store::{ObjectStoreExt, memory::InMemory};

use super::*;

/// What a store does to the next conditional writes.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Writes, then says that somebody else did.
    AppliedThenExists,
    /// Writes, then breaks.
    AppliedThenLost,
    /// Writes nothing and says that there is an object (409).
    ExistsWithoutObject,
    /// Writes nothing and breaks.
    Lost,
}

#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    script: Mutex<Vec<Fault>>,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, at: &Path, put: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let fault = self.script.lock().unwrap().pop();
        let exists = || Error::AlreadyExists { path: at.to_string(), source: "409".into() };
        let lost = || Error::Generic { store: "faulty", source: "cut".into() };
        match fault {
            None => self.inner.put_opts(at, put, opts).await,
            Some(Fault::AppliedThenExists) => {
                self.inner.put_opts(at, put, opts).await.and_then(|_| Err(exists()))
            }
            Some(Fault::AppliedThenLost) => {
                self.inner.put_opts(at, put, opts).await.and_then(|_| Err(lost()))
            }
            Some(Fault::ExistsWithoutObject) => Err(exists()),
            Some(Fault::Lost) => Err(lost()),
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    /// Ignores the offset, as Azurite does.
    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        _: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn remote(script: &[Fault]) -> Remote {
    let script = Mutex::new(script.iter().rev().copied().collect());
    let inner = Arc::new(Faulty { inner: InMemory::new(), script });
    let clock = Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH));
    Remote::new(inner, "s3://b/".to_owned(), Arc::default(), clock)
}

async fn create(store: &Remote) -> Result<PutResult> {
    store.put_opts(&Path::from("a"), "mine".into(), PutMode::Create.into()).await
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_is_ours() {
    for fault in [Fault::AppliedThenExists, Fault::AppliedThenLost] {
        let written = create(&remote(&[fault])).await;
        assert!(written.is_ok(), "{fault:?}: {written:?}");
    }
}

#[tokio::test]
async fn another_ones_object_is_never_ours() {
    let store = remote(&[]);
    create(&store).await.expect("the first");
    for _ in 0..2 {
        let second = create(&store).await;
        assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
    }
}

#[tokio::test]
async fn a_conflict_that_nobody_won_is_tried_again_and_never_called_existing() {
    let few = remote(&[Fault::ExistsWithoutObject; 3]);
    create(&few).await.expect("created in the end");
    let endless = remote(&[Fault::ExistsWithoutObject; 100]);
    let open = create(&endless).await;
    assert!(matches!(open, Err(Error::Generic { .. })), "{open:?}");
}

#[tokio::test]
async fn a_write_that_may_still_arrive_is_an_error() {
    let open = create(&remote(&[Fault::Lost])).await;
    assert!(matches!(open, Err(Error::Generic { .. })), "{open:?}");
}

#[tokio::test]
async fn nothing_is_created_without_a_mark() {
    let store = remote(&[]);
    create(&store).await.expect("writing");
    let (from, to) = (Path::from("a"), Path::from("b"));
    for refused in
        [store.copy_if_not_exists(&from, &to).await, store.rename_if_not_exists(&from, &to).await]
    {
        let refused = refused.expect_err("it carries no mark");
        assert!(matches!(refused, Error::NotSupported { .. }), "{refused:?}");
        assert_eq!(Trouble::of(&refused), Some(Trouble::NotSupported));
    }
    store.copy(&from, &to).await.expect("replacing needs no mark");
    store.rename(&to, &from).await.expect("replacing needs no mark");
}

#[tokio::test]
async fn an_offset_holds_where_the_service_ignores_it() {
    let store = remote(&[]);
    for key in ["1", "2", "3"] {
        store.put(&Path::from(key), key.into()).await.expect("writing");
    }
    let after = store.list_with_offset(None, &Path::from("2")).map_ok(|found| found.location);
    assert_eq!(after.try_collect::<Vec<_>>().await.expect("listing"), [Path::from("3")]);
}

/// A service whose bucket is deleted. HEAD has no body to say so in.
#[derive(Debug, Default)]
struct Deleted {
    is_deleted: AtomicBool,
    gets: AtomicUsize,
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deleted")
    }
}

#[async_trait]
impl ObjectStore for Deleted {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(Error::NotSupported { source: "not asked for".into() })
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported { source: "not asked for".into() })
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let code = match (options.head, self.is_deleted.load(Ordering::Relaxed)) {
            (true, _) => "",
            (false, true) => "NoSuchBucket",
            (false, false) => "NoSuchKey",
        };
        if !options.head {
            self.gets.fetch_add(1, Ordering::Relaxed);
        }
        let source = format!("status code: 404 Not Found: <Code>{code}</Code>").into();
        Err(Error::NotFound { path: at.to_string(), source })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::empty().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotSupported { source: "not asked for".into() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotSupported { source: "not asked for".into() })
    }
}

#[tokio::test]
async fn a_missing_bucket_is_found_out_by_head_within_a_minute() {
    let service = Arc::new(Deleted::default());
    let clock = Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH));
    let name = "s3://b/".to_owned();
    let store =
        Remote::new(Arc::clone(&service) as _, name, Arc::default(), Arc::clone(&clock) as _);
    let at = Path::from("a");
    for _ in 0..3 {
        let missing = store.head(&at).await;
        assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    }
    assert_eq!(service.gets.load(Ordering::Relaxed), 1, "asked once for many");
    service.is_deleted.store(true, Ordering::Relaxed);
    clock.advance(BUCKET_SEEN);
    for _ in 0..2 {
        let missing = store.head(&at).await.expect_err("the bucket is deleted");
        assert!(matches!(missing, Error::Generic { .. }), "{missing:?}");
        assert_eq!(Trouble::of(&missing), Some(Trouble::NoSuchBucket));
    }
}

#[test]
fn only_what_was_seen_decides() {
    let ours = Found::Ours(PutResult { e_tag: None, version: None });
    for (answer, found, create, replacement) in [
        (Answer::Exists, &ours, Verdict::Written, Verdict::Written),
        (Answer::Exists, &Found::Others, Verdict::Lost, Verdict::Refused),
        (Answer::Exists, &Found::Nothing, Verdict::Again, Verdict::Refused),
        (Answer::Exists, &Found::Unknown, Verdict::Open, Verdict::Open),
        (Answer::Refused, &Found::Unknown, Verdict::Refused, Verdict::Refused),
        (Answer::Lost, &ours, Verdict::Written, Verdict::Written),
        (Answer::Lost, &Found::Others, Verdict::Lost, Verdict::Open),
        (Answer::Lost, &Found::Nothing, Verdict::Open, Verdict::Open),
        (Answer::Lost, &Found::Unknown, Verdict::Open, Verdict::Open),
    ] {
        let told = (decide(true, answer, found), decide(false, answer, found));
        assert_eq!(told, (create, replacement), "{answer:?}, {found:?}");
    }
}
