//! A store that queries may read tables from, and nothing else.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    path::Path,
};
use url::Url;

/// Reads below the folder of the lake; refuses every other path, and every write.
///
/// Table scans name files by absolute path, so the store has to be the root one. Without this
/// wrapper SQL that smuggled in another path could read any file of the machine.
#[derive(Debug)]
pub(super) struct WithinTables {
    inner: Arc<dyn ObjectStore>,
    root: Path,
}

impl WithinTables {
    /// Opens the folder that holds the layers, given one of its tables: two levels up.
    pub(super) fn new(inner: Arc<dyn ObjectStore>, table: &Url) -> Self {
        let path = Path::from_url_path(table.path()).unwrap_or_default();
        let parts: Vec<_> = path.parts().collect();
        let root =
            Path::from_iter(parts.into_iter().rev().skip(2).collect::<Vec<_>>().into_iter().rev());
        Self { inner, root }
    }

    fn check(&self, location: &Path) -> Result<()> {
        if location.prefix_matches(&self.root) {
            return Ok(());
        }
        Err(Error::NotFound { path: location.to_string(), source: "outside the lake".into() })
    }
}

impl fmt::Display for WithinTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tables of {}", self.inner)
    }
}

fn read_only<T>() -> Result<T> {
    Err(Error::NotSupported { source: "queries only read".into() })
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for WithinTables {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        read_only()
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        read_only()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(location)?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        futures::stream::once(async { read_only() }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map(|prefix| self.check(prefix)) {
            Some(Ok(())) => self.inner.list(prefix),
            _ => futures::stream::once(async { read_only() }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map(|prefix| self.check(prefix)) {
            Some(Ok(())) => self.inner.list_with_offset(prefix, offset),
            _ => futures::stream::once(async { read_only() }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match prefix.map(|prefix| self.check(prefix)) {
            Some(Ok(())) => self.inner.list_with_delimiter(prefix).await,
            _ => read_only(),
        }
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        read_only()
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        read_only()
    }
}
