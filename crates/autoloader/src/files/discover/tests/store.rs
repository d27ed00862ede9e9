//! A store that hands out names by pages, and counts what it is asked.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Bound, Range},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    Attribute, Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, path::Path,
};

use super::meta;

const PAGE: usize = 1_000;

/// The tag of an object that Azure keeps for a folder, under the folder's own name.
pub(super) const FOLDER: &str = "folder";

/// The tag of an object that the store never tells of, though it answers.
pub(super) const SILENT: &str = "silent";

/// The tag of an object that a listing names and that nobody may look at.
pub(super) const LOCKED: &str = "locked";

/// Objects by key as the service has it: one that ends in a slash stands for a folder.
#[derive(Debug, Default)]
pub(super) struct Pages {
    objects: Arc<Mutex<BTreeMap<String, ObjectMeta>>>,
    pub(super) lists: AtomicU64,
    pub(super) heads: AtomicU64,
    /// Lists everything wherever it is told to begin, as some services do.
    pub(super) ignores_offset: AtomicBool,
    /// Refuses to answer.
    pub(super) is_down: AtomicBool,
}

impl Pages {
    pub(super) fn with(paths: &[&str]) -> Self {
        let pages = Self::default();
        for path in paths {
            pages.write(path, 10);
        }
        pages
    }

    pub(super) fn write(&self, key: &str, size: u64) {
        self.put_meta(key, meta(key, size));
    }

    pub(super) fn put_meta(&self, key: &str, meta: ObjectMeta) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), meta);
    }

    pub(super) fn remove(&self, key: &str) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub(super) fn set(&self, flag: &AtomicBool, value: bool) {
        flag.store(value, Ordering::Relaxed);
    }

    pub(super) fn asked(&self) -> (u64, u64) {
        (self.lists.swap(0, Ordering::Relaxed), self.heads.swap(0, Ordering::Relaxed))
    }

    fn up(&self) -> Result<()> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Error::Generic { store: "pages", source: "it is down".into() });
        }
        Ok(())
    }

    /// Returns a page of what is below a prefix and after a key.
    fn page(&self, prefix: &str, after: &str) -> Vec<(String, ObjectMeta)> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let first = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
        objects
            .range(first)
            .filter(|(key, _)| key.starts_with(prefix))
            .take(PAGE)
            .map(|(key, meta)| (key.clone(), meta.clone()))
            .collect()
    }

    fn pages(&self, prefix: Option<&Path>, after: &str) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let mut listed = Vec::new();
        let mut after = after.to_owned();
        loop {
            if let Err(error) = self.up() {
                listed.push(Err(error));
                break;
            }
            self.lists.fetch_add(1, Ordering::Relaxed);
            let page = self.page(&prefix, &after);
            let is_last = page.len() < PAGE;
            if let Some((key, _)) = page.last() {
                after.clone_from(key);
            }
            listed.extend(page.into_iter().map(|(_, meta)| Ok(meta)));
            if is_last {
                break;
            }
        }
        stream::iter(listed).boxed()
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pages")
    }
}

#[async_trait]
impl ObjectStore for Pages {
    async fn put_opts(&self, at: &Path, data: PutPayload, _: PutOptions) -> Result<PutResult> {
        self.write(at.as_ref(), u64::try_from(data.content_length()).unwrap_or_default());
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "put".to_owned(), implementer: "pages".to_owned() })
    }

    async fn get_opts(&self, at: &Path, _: GetOptions) -> Result<GetResult> {
        self.up()?;
        self.heads.fetch_add(1, Ordering::Relaxed);
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(meta) = objects.get(at.as_ref()).cloned() else {
            return Err(Error::NotFound { path: at.to_string(), source: "no such key".into() });
        };
        if meta.e_tag.as_deref() == Some(LOCKED) {
            let source = "not yours".into();
            return Err(Error::PermissionDenied { path: at.to_string(), source });
        }
        if meta.e_tag.as_deref() == Some(SILENT) {
            return Err(Error::Generic { store: "pages", source: "try again".into() });
        }
        let mut attributes = Attributes::new();
        if meta.e_tag.as_deref() == Some(FOLDER) {
            attributes.insert(Attribute::Metadata("hdi_isfolder".into()), "true".into());
        }
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::empty().boxed()),
            range: 0..meta.size,
            meta,
            attributes,
        })
    }

    async fn get_ranges(&self, _: &Path, _: &[Range<u64>]) -> Result<Vec<Bytes>> {
        Ok(Vec::new())
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let objects = Arc::clone(&self.objects);
        let delete = move |at: Result<Path>| {
            let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
            at.inspect(|at| drop(objects.remove(at.as_ref())))
        };
        locations.map(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.pages(prefix, "")
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let ignores = self.ignores_offset.load(Ordering::Relaxed);
        self.pages(prefix, if ignores { "" } else { offset.as_ref() })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.up()?;
        self.lists.fetch_add(1, Ordering::Relaxed);
        let prefix = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let here = objects
            .iter()
            .filter(|(key, _)| key.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/')));
        let objects = here.map(|(_, meta)| meta.clone()).collect();
        Ok(ListResult { common_prefixes: Vec::new(), objects })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Ok(())
    }
}
