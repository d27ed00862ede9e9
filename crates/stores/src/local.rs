//! Local folders: nobody else's to read, no way out through a link, and on request as durable as
//! the disk.

mod flush;
mod put;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::DirBuilder,
    io,
    ops::Range,
    os::unix::fs::DirBuilderExt,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, local::LocalFileSystem, path::Path,
};
use url::Url;

use self::{
    flush::{Disk, Flush, Folders},
    put::Upload,
};
use crate::{Error, Opened, Trouble, trouble::Refusal};

/// What a local store survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process at any instruction; a power loss may take the last seconds, and
    /// leave files empty.
    #[default]
    Process,
    /// A power loss too: a write is confirmed when the disk has it, which costs a few milliseconds
    /// each.
    Power,
}

/// Opens a folder, and creates it for its owner alone when it is not there.
pub(crate) fn open(
    folder: &FilePath,
    durability: Durability,
) -> std::result::Result<Opened, Error> {
    match durability {
        Durability::Process => opened(folder, None),
        Durability::Power => power_safe(folder, Arc::new(Disk)),
    }
}

/// Opens a folder whose writes are confirmed when `flush` has brought them to the disk.
fn power_safe(folder: &FilePath, flush: Arc<dyn Flush>) -> std::result::Result<Opened, Error> {
    opened(folder, Some(flush))
}

fn opened(folder: &FilePath, flush: Option<Arc<dyn Flush>>) -> std::result::Result<Opened, Error> {
    let failed = |doing, source| Error::File { doing, path: folder.to_owned(), source };
    create_private(folder).map_err(|source| failed("creating the folder", source))?;
    // Links above the folder are the operator's; only what lies below it is guarded.
    let folder = folder.canonicalize().map_err(|source| failed("resolving the folder", source))?;
    let unnamed = |_| failed("naming the folder", io::ErrorKind::InvalidFilename.into());
    let url = Url::from_directory_path(&folder).map_err(unnamed)?;
    let flush = flush.map(|flush| Arc::new(Folders::new(folder.clone(), flush)));
    if let Some(flush) = &flush {
        flush.prepare(&folder).map_err(|source| failed("flushing the parents of", source))?;
    }
    let local = |files| -> Arc<dyn ObjectStore> {
        let (folder, flush) = (folder.clone(), flush.clone());
        Arc::new(Local { files, folder, name: url.to_string(), flush })
    };
    let below = LocalFileSystem::new_with_prefix(&folder).map_err(|source| Error::Store {
        doing: "opening",
        store: url.to_string(),
        source,
    })?;
    let (store, root) = (local(below), local(LocalFileSystem::new()));
    Ok(Opened { store, root, url, links: None })
}

/// Creates a folder for its owner alone, and what is missing above it. One that is there stays as it
/// is.
fn create_private(folder: &FilePath) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A store in a folder.
#[derive(Debug)]
struct Local {
    /// Maps keys to files; its own root is the folder, or the file system's.
    files: LocalFileSystem,
    /// Nothing outside of it is touched, whatever the keys begin at.
    folder: PathBuf,
    name: String,
    /// Brings writes to the disk, when a power loss is to be survived.
    flush: Option<Arc<Folders>>,
}

impl Local {
    /// Returns the file of a key.
    fn file(&self, at: &Path) -> Result<PathBuf> {
        let file = self.files.path_to_filesystem(at)?;
        guard(&self.folder, &file, at)?;
        Ok(file)
    }

    /// Checks the folder of a prefix.
    fn check_prefix(&self, prefix: Option<&Path>) -> Result<()> {
        let root = Path::default();
        let prefix = prefix.unwrap_or(&root);
        // Any name stands for all that lie in the prefix, and is a file's where a prefix is none.
        let inside = self.files.path_to_filesystem(&prefix.clone().join("any"))?;
        guard(&self.folder, inside.parent().unwrap_or(&inside), prefix)
    }

    fn guard_stream(
        &self,
        listed: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (files, folder) = (self.files.clone(), self.folder.clone());
        listed
            .map(move |found| {
                let found = found?;
                guard(&folder, &files.path_to_filesystem(&found.location)?, &found.location)?;
                Ok(found)
            })
            .boxed()
    }

    /// Brings what another call wrote to the disk: the file, and its name in its folder.
    async fn flush(&self, at: &Path) -> Result<()> {
        let Some(flush) = &self.flush else { return Ok(()) };
        let (file, flush) = (self.file(at)?, Arc::clone(flush));
        // The call may have made a folder anew that somebody had removed.
        blocking(at, move || {
            flush.forget();
            flush.existing(&file)
        })
        .await
    }
}

/// Refuses a file outside the folder, and one behind a symbolic link: it could lie anywhere.
///
/// The system calls are cheap ones that block as briefly as a lock does.
fn guard(folder: &FilePath, file: &FilePath, at: &Path) -> Result<()> {
    let refused = |trouble, text: String| StoreError::PermissionDenied {
        path: at.to_string(),
        source: Box::new(Refusal { trouble: Some(trouble), text }),
    };
    let Ok(below) = file.strip_prefix(folder) else {
        let text = format!("`{}` lies outside of `{}`", file.display(), folder.display());
        return Err(refused(Trouble::Forbidden, text));
    };
    let mut reached = folder.to_owned();
    for component in below.components() {
        reached.push(component);
        match reached.symlink_metadata() {
            Ok(found) if found.is_symlink() => {
                let text = format!("`{}` is a link", reached.display());
                return Err(refused(Trouble::SymbolicLink, text));
            }
            Ok(_) => (),
            // What cannot be seen cannot lead away; the operation itself says what is wrong.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Runs file work on a thread of its own, and says on which object it failed.
async fn blocking<T: Send + 'static>(
    at: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| StoreError::JoinError { source })?;
    done.map_err(|source| failed(at, source))
}

fn failed(at: &Path, source: io::Error) -> StoreError {
    let path = at.to_string();
    match source.kind() {
        io::ErrorKind::AlreadyExists => StoreError::AlreadyExists { path, source: source.into() },
        io::ErrorKind::NotFound => StoreError::NotFound { path, source: source.into() },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::PermissionDenied { path, source: source.into() }
        }
        _ => StoreError::Generic { store: "local", source: source.into() },
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Local {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let file = self.file(at)?;
        let is_create = match (&opts.mode, &self.flush) {
            (PutMode::Create, Some(_)) => true,
            (PutMode::Overwrite, Some(_)) => false,
            (PutMode::Update(_), _) | (_, None) => {
                return self.files.put_opts(at, payload, opts).await;
            }
        };
        let Some(flush) = self.flush.clone().filter(|_| opts.attributes.is_empty()) else {
            return self.files.put_opts(at, payload, opts).await;
        };
        blocking(at, move || put::put(&flush, &file, &payload, is_create)).await?;
        let e_tag = self.files.head(at).await.ok().and_then(|found| found.e_tag);
        Ok(PutResult { e_tag, version: None })
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let file = self.file(at)?;
        match self.flush.clone().filter(|_| opts.attributes.is_empty()) {
            None => self.files.put_multipart_opts(at, opts).await,
            Some(flush) => {
                let staged = blocking(at, move || Upload::begin(flush, file)).await?;
                Ok(Box::new(staged.at(at.clone())))
            }
        }
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.file(at)?;
        self.files.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.file(at)?;
        self.files.get_ranges(at, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // A deletion that a power loss takes back is harmless: nothing here relies on an absence.
        let (files, folder) = (self.files.clone(), self.folder.clone());
        let guarded = locations.map(move |at| {
            let at = at?;
            guard(&folder, &files.path_to_filesystem(&at)?, &at)?;
            Ok(at)
        });
        self.files.delete_stream(guarded.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(()) => self.guard_stream(self.files.list(prefix)),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(()) => self.guard_stream(self.files.list_with_offset(prefix, offset)),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check_prefix(prefix)?;
        let listed = self.files.list_with_delimiter(prefix).await?;
        for found in &listed.objects {
            self.file(&found.location)?;
        }
        for found in &listed.common_prefixes {
            self.check_prefix(Some(found))?;
        }
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.file(from)?;
        self.file(to)?;
        self.files.copy_opts(from, to, options).await?;
        self.flush(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.file(from)?;
        self.file(to)?;
        self.files.rename_opts(from, to, options).await?;
        self.flush(to).await
    }
}
