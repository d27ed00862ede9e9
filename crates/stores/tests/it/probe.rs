//! The probe finds out a store that only says that it creates once.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use model::ErrorKind;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, memory::InMemory, path::Path,
};
use stores::{Error, probe_create_only};

/// What a store does with a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Lets it be done again.
    CreatesTwice,
    /// Says no, and replaces the object.
    RefusesAndReplaces,
    /// Cannot.
    Cannot,
    /// Says of the first one that it was too late: a reply was lost, and its client tried again.
    RepeatsTheFirst,
    /// Refuses the second one as S3 does.
    SaysPrecondition,
    /// Never lets anything be deleted.
    KeepsEverything,
    /// Says that it has created and has not.
    Forgets,
}

#[derive(Debug)]
struct Odd {
    inner: InMemory,
    habit: Habit,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd://store/")
    }
}

#[async_trait]
impl ObjectStore for Odd {
    async fn put_opts(&self, at: &Path, put: PutPayload, opts: PutOptions) -> Result<PutResult> {
        assert_eq!(opts.mode, PutMode::Create, "the probe only creates");
        let replace = PutOptions { mode: PutMode::Overwrite, ..opts.clone() };
        let is_first = self.inner.head(at).await.is_err();
        let exists = || StoreError::AlreadyExists { path: at.to_string(), source: "it is".into() };
        match self.habit {
            Habit::CreatesTwice => self.inner.put_opts(at, put, replace).await,
            Habit::RefusesAndReplaces => {
                let replaced = self.inner.put_opts(at, put, replace).await?;
                if is_first { Ok(replaced) } else { Err(exists()) }
            }
            Habit::Cannot => Err(StoreError::NotImplemented {
                operation: "creating".to_owned(),
                implementer: self.to_string(),
            }),
            Habit::RepeatsTheFirst => {
                self.inner.put_opts(at, put, opts).await?;
                Err(exists())
            }
            Habit::SaysPrecondition => {
                let path = at.to_string();
                self.inner
                    .put_opts(at, put, opts)
                    .await
                    .map_err(|error| StoreError::Precondition { path, source: Box::new(error) })
            }
            Habit::KeepsEverything => self.inner.put_opts(at, put, opts).await,
            Habit::Forgets => Ok(PutResult { e_tag: None, version: None }),
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

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(at, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        if self.habit != Habit::KeepsEverything {
            return self.inner.delete_stream(locations);
        }
        let denied = |at: Path| StoreError::PermissionDenied {
            path: at.to_string(),
            source: "nothing is deleted here".into(),
        };
        Box::pin(futures::StreamExt::map(locations, move |at| Err(denied(at?))))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

async fn probed(habit: Habit) -> std::result::Result<(), Error> {
    let store: Arc<dyn ObjectStore> = Arc::new(Odd { inner: InMemory::new(), habit });
    probe_create_only(&store).await
}

#[tokio::test]
async fn a_store_that_cannot_arbitrate_is_refused_by_name_and_with_a_remedy() {
    for (habit, needle) in [
        (Habit::CreatesTwice, "created twice"),
        (Habit::RefusesAndReplaces, "replaced it"),
        (Habit::Cannot, "cannot create"),
        (Habit::Forgets, "created twice"),
    ] {
        let error = probed(habit).await.expect_err(needle);
        assert!(matches!(error, Error::NotCreateOnly { .. }), "{habit:?}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Config, "{habit:?}");
        let shown = error.to_string();
        for part in ["odd://store/", needle, "use a store with conditional create"] {
            assert!(shown.contains(part), "{habit:?}: `{part}` in {shown}");
        }
    }
}

#[tokio::test]
async fn an_honest_store_passes_whatever_its_manners() {
    for habit in [Habit::RepeatsTheFirst, Habit::SaysPrecondition, Habit::KeepsEverything] {
        probed(habit).await.unwrap_or_else(|error| panic!("{habit:?}: {error:?}"));
    }
}
