//! Bringing files and names to the disk, in the order in which a power loss may strike.

use std::{
    collections::HashSet,
    fmt::Debug,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::create_private;

/// How files and folders reach the disk. An argument, so that tests can lose the power.
pub(super) trait Flush: Debug + Send + Sync {
    /// Returns when the file's content is on the disk. After an error it may be there or not.
    fn file(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Returns when the names in a folder are on the disk. After an error any may be there or not.
    fn folder(&self, path: &Path) -> io::Result<()>;
}

/// The system's own way: `fsync`.
#[derive(Debug)]
pub(super) struct Disk;

impl Flush for Disk {
    fn file(&self, file: &File, _: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Folders whose own names are remembered to be on the disk; a store has one for each partition
/// and table, and forgetting one costs a few flushes.
const KNOWN_MAX: usize = 10_000;

/// The folders of one store, and which of them are on the disk.
#[derive(Debug)]
pub(super) struct Folders {
    top: PathBuf,
    flush: Arc<dyn Flush>,
    known: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    pub(super) fn new(top: PathBuf, flush: Arc<dyn Flush>) -> Self {
        Self { top, flush, known: Mutex::default() }
    }

    /// Creates a folder, and brings its name and all above it to the disk.
    ///
    /// Also when it is already there: whoever created it may not have come that far.
    pub(super) fn prepare(&self, folder: &Path) -> io::Result<()> {
        if self.known().contains(folder) {
            return Ok(());
        }
        create_private(&self.top)?;
        std::fs::create_dir_all(folder)?;
        for above in folder.ancestors().skip(1) {
            match self.flush.folder(above) {
                // What we may not even read is the system's, and was there before us.
                Err(error) if is_refused(&error) && !above.starts_with(&self.top) => (),
                flushed => flushed?,
            }
            if self.known().contains(above) {
                break;
            }
        }
        let mut known = self.known();
        if KNOWN_MAX <= known.len() {
            known.clear();
        }
        known.insert(folder.to_owned());
        Ok(())
    }

    /// Takes no folder for known any more: one of them is gone, and those above it may be, too.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a file's content to the disk.
    pub(super) fn content(&self, file: &File, path: &Path) -> io::Result<()> {
        self.flush.file(file, path)
    }

    /// Brings a file's name to the disk.
    pub(super) fn name(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |folder| self.flush.folder(folder))
    }

    /// Brings a file that is there to the disk, whoever wrote it.
    pub(super) fn existing(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            self.prepare(folder)?;
        }
        self.content(&File::open(path)?, path)?;
        self.name(path)
    }
}

/// Returns whether a folder could not be flushed because it is not ours to write in.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
