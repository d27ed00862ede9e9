//! A store of a service, made honest: a lost reply is looked up, a refusal names its remedy.
//!
//! A client that repeats a request whose reply was lost meets its own object and reports that
//! somebody else was first; and S3 answers 409 when nobody was. So every conditional write carries
//! a mark of its own, and when the store does not simply confirm it, the mark decides.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use model::Clock;
use object_store::{
    Attribute, CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, RenameTargetMode, Result, UploadPart, path::Path,
};
use uuid::Uuid;

use crate::{Trouble, redact::Secrets, trouble::mend};

#[cfg(test)]
mod tests;

/// The metadata name of the mark. Letters only: Azure takes no dash, and proxies drop underscores.
const MARK: &str = "marketlakeput";

/// Tries to create an object that the store says exists and that is not there. S3 answers so while
/// another write of the key is under way, which takes as long as that write: with the waits below
/// about 3 s.
const CREATES_MAX: u32 = 8;
const WAIT_FIRST: Duration = Duration::from_millis(25);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// How long a bucket that was there is taken to be there still. Loaders and readers ask with HEAD for
/// what comes next, several times a second; each may be wrong about a bucket that was deleted for as
/// long as this, and pays one request more after it.
const BUCKET_SEEN: Duration = Duration::from_secs(60);

/// A store of a service.
pub(crate) struct Remote {
    inner: Arc<dyn ObjectStore>,
    name: String,
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    /// When the bucket was last asked for, and was there.
    bucket_seen: Mutex<Option<Duration>>,
}

impl Remote {
    pub(crate) fn new(
        inner: Arc<dyn ObjectStore>,
        name: String,
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { inner, name, secrets, clock, bucket_seen: Mutex::default() }
    }

    /// Finds out whether what HEAD did not find is one object or the whole bucket: the answer has no
    /// body that would say so. Of a GET it has.
    async fn missing(&self, at: &Path, missing: Error) -> Error {
        let now = self.clock.monotonic();
        let is_seen = |seen: Duration| now.saturating_sub(seen) < BUCKET_SEEN;
        if self.bucket_seen().is_some_and(is_seen) {
            return missing;
        }
        match self.inner.get_opts(at, GetOptions::new().with_range(Some(0..1))).await {
            Err(error) if is_missing_object(&error) => (),
            Err(error) => return error,
            // Somebody has created it meanwhile.
            Ok(_) => (),
        }
        *self.bucket_seen() = Some(now);
        missing
    }

    fn bucket_seen(&self) -> MutexGuard<'_, Option<Duration>> {
        self.bucket_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes on a condition, and finds out what became of it.
    async fn put_marked(
        &self,
        at: &Path,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> Result<PutResult> {
        let mark = Uuid::new_v4();
        let shown = mark.simple().to_string();
        opts.attributes.insert(Attribute::Metadata(MARK.into()), shown.clone().into());
        let is_create = matches!(opts.mode, PutMode::Create);
        let mut tries = 1;
        loop {
            let refused = match self.inner.put_opts(at, payload.clone(), opts.clone()).await {
                Ok(written) => return Ok(written),
                Err(refused) => refused,
            };
            let answer = Answer::of(&refused);
            let found = match answer {
                Answer::Refused => Found::Unknown,
                Answer::Exists | Answer::Lost => self.find(at, &shown).await,
            };
            match decide(is_create, answer, &found) {
                Verdict::Written => {
                    if let Found::Ours(written) = found {
                        tracing::info!(object = %at, "a write whose reply was lost was found");
                        return Ok(written);
                    }
                }
                Verdict::Again if tries < CREATES_MAX => {
                    tries += 1;
                    self.clock.sleep(wait(tries, mark)).await;
                    continue;
                }
                Verdict::Again | Verdict::Open => return Err(self.open(refused)),
                Verdict::Lost => {
                    return Err(Error::AlreadyExists {
                        path: at.to_string(),
                        source: Box::new(mend(refused, &self.secrets)),
                    });
                }
                Verdict::Refused => (),
            }
            return Err(mend(refused, &self.secrets));
        }
    }

    /// Looks whose object lies at a path.
    async fn find(&self, at: &Path, mark: &str) -> Found {
        match self.inner.get_opts(at, GetOptions::new().with_head(true)).await {
            Ok(found) => match found.attributes.get(&Attribute::Metadata(MARK.into())) {
                Some(value) if value.as_ref() == mark => {
                    Found::Ours(PutResult { e_tag: found.meta.e_tag, version: found.meta.version })
                }
                _ => Found::Others,
            },
            Err(Error::NotFound { .. }) => Found::Nothing,
            Err(_) => Found::Unknown,
        }
    }

    /// Says that an outcome is not known: never that the object exists, or does not.
    fn open(&self, refused: Error) -> Error {
        match mend(refused, &self.secrets) {
            Error::AlreadyExists { source, .. } | Error::Precondition { source, .. } => {
                Error::Generic { store: "conflict without an object", source }
            }
            other => other,
        }
    }

    fn mend<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| mend(error, &self.secrets))
    }

    fn mend_stream<T: 'static>(
        &self,
        stream: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let secrets = Arc::clone(&self.secrets);
        stream.map(move |item| item.map_err(|error| mend(error, &secrets))).boxed()
    }
}

/// Refuses what would create an object that carries no mark: after a lost reply nobody could tell
/// whose it is.
fn unmarked(doing: &str) -> Error {
    let text =
        format!("{doing} only if there is no object; write the object with `PutMode::Create`");
    Error::NotSupported { source: text.into() }
}

/// Gives the tag of a listed object the quotes that HTTP gives it everywhere else: Azure's listings
/// leave them out, and a tag that is asked for must be the one that is answered.
fn quoted(mut found: ObjectMeta) -> ObjectMeta {
    found.e_tag = found.e_tag.map(|tag| match tag.ends_with('"') {
        true => tag,
        false => format!("\"{tag}\""),
    });
    found
}

/// Returns whether an answer says that one object is not there, and not that the bucket is missing.
fn is_missing_object(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && Trouble::of(error).is_none()
}

/// What the store said to a conditional write that it did not confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The condition does not hold.
    Exists,
    /// No, for a reason that has nothing to do with the object; nothing was written.
    Refused,
    /// Nothing, or that something broke; it may be written.
    Lost,
}

impl Answer {
    fn of(error: &Error) -> Self {
        match error {
            Error::AlreadyExists { .. } | Error::Precondition { .. } => Self::Exists,
            Error::Generic { .. } => match Trouble::of(error) {
                // A name that nobody answers to, a certificate, a missing right: never sent, or
                // never looked at.
                Some(trouble) if trouble.kind() == model::ErrorKind::Config => Self::Refused,
                _ => Self::Lost,
            },
            _ => Self::Refused,
        }
    }
}

/// Whose object lies at the path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Ours(PutResult),
    Others,
    Nothing,
    Unknown,
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It was written by us.
    Written,
    /// Somebody else was first.
    Lost,
    /// Nothing was written, and it may be tried again.
    Again,
    /// Nothing was written, for the reason given.
    Refused,
    /// Nobody knows; it may be written now or later.
    Open,
}

/// Decides what became of a conditional write that was not confirmed.
///
/// | the store said | the object is | a create | a replacement |
/// |---|---|---|---|
/// | it exists | ours | written | written |
/// | it exists | another's | lost | refused |
/// | it exists | not there | again: a conflict (409) need not mean that anybody won | refused |
/// | it exists | not to be seen | open | open |
/// | no | not looked for | refused | refused |
/// | nothing | ours | written | written |
/// | nothing | another's | lost: only one can create | open |
/// | nothing | not there, not to be seen | open: it may still arrive | open |
fn decide(is_create: bool, answer: Answer, found: &Found) -> Verdict {
    match (answer, found) {
        (Answer::Refused, _) => Verdict::Refused,
        (Answer::Exists | Answer::Lost, Found::Ours(_)) => Verdict::Written,
        (Answer::Exists | Answer::Lost, Found::Others) if is_create => Verdict::Lost,
        (Answer::Exists, Found::Nothing) if is_create => Verdict::Again,
        (Answer::Exists, Found::Others | Found::Nothing) => Verdict::Refused,
        (Answer::Exists, Found::Unknown) | (Answer::Lost, _) => Verdict::Open,
    }
}

/// Returns the wait before a try: doubled each time, and half of it drawn from the mark, so that
/// two writers do not meet again.
fn wait(tries: u32, mark: Uuid) -> Duration {
    let longest = (WAIT_FIRST * 2_u32.saturating_pow(tries.saturating_sub(1))).min(WAIT_MAX);
    let drawn = mark.as_bytes()[usize::try_from(tries).unwrap_or_default() % 16];
    longest / 2 + longest * u32::from(drawn) / (2 * u32::from(u8::MAX))
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The clients of object_store show headers and proxies.
        f.debug_tuple("Remote").field(&self.name).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Remote {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        match opts.mode {
            PutMode::Overwrite => self.mend(self.inner.put_opts(at, payload, opts).await),
            PutMode::Create | PutMode::Update(_) => self.put_marked(at, payload, opts).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.mend(self.inner.put_multipart_opts(at, opts).await)?;
        Ok(Box::new(Upload { inner, secrets: Arc::clone(&self.secrets) }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let mut found = match self.inner.get_opts(at, options).await {
            Err(error) if is_head && is_missing_object(&error) => {
                return self.mend(Err(self.missing(at, error).await));
            }
            answer => self.mend(answer)?,
        };
        if let GetResultPayload::Stream(stream) = found.payload {
            found.payload = GetResultPayload::Stream(self.mend_stream(stream));
        }
        Ok(found)
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.mend(self.inner.get_ranges(at, ranges).await)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.mend_stream(self.inner.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.mend_stream(self.inner.list(prefix).map_ok(quoted).boxed())
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        // Some services ignore the offset and list everything.
        let offset = offset.clone();
        let listed = self.inner.list_with_offset(prefix, &offset);
        let is_after = move |found: &Result<ObjectMeta>| {
            let is_after = found.as_ref().map_or(true, |found| offset < found.location);
            std::future::ready(is_after)
        };
        self.mend_stream(listed.filter(is_after).map_ok(quoted).boxed())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.mend(self.inner.list_with_delimiter(prefix).await)?;
        listed.objects = listed.objects.into_iter().map(quoted).collect();
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if options.mode == CopyMode::Create {
            return Err(unmarked("copying"));
        }
        self.mend(self.inner.copy_opts(from, to, options).await)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        if options.target_mode == RenameTargetMode::Create {
            return Err(unmarked("renaming"));
        }
        self.mend(self.inner.rename_opts(from, to, options).await)
    }
}

/// An upload in parts whose errors can be shown.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    secrets: Arc<Secrets>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.inner.put_part(data);
        let secrets = Arc::clone(&self.secrets);
        Box::pin(async move { part.await.map_err(|error| mend(error, &secrets)) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await.map_err(|error| mend(error, &self.secrets))
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await.map_err(|error| mend(error, &self.secrets))
    }
}
