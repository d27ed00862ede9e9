//! Where queries put what does not fit into their memory: bounded, and swept after a kill.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::Arc,
};

use datafusion::{
    common::DataFusionError,
    execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode},
};
use uuid::Uuid;

/// Room of all queries of a reader together: eight times their memory. What sorts or joins more
/// than that is no report any more, and the disk belongs to the pipeline.
const BYTES_MAX: u64 = 4 << 30;

/// How a lock file's name ends; the folder it speaks for is called the same without it.
const LOCK: &str = "lock";

/// The place where queries spill. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Spill {
    pub(super) disk: Arc<DiskManager>,
    /// Tells other processes that the folder is in use. The system lets go of it with the process,
    /// however that ends.
    _lock: Option<Arc<File>>,
}

impl Spill {
    /// No place: a query that needs more than its memory fails.
    pub(super) fn nowhere() -> Result<Self, DataFusionError> {
        Ok(Self { disk: disk(DiskManagerMode::Disabled)?, _lock: None })
    }

    /// A new folder below `parent`, after those of processes that are gone were removed.
    pub(super) fn below(parent: &Path) -> Result<Self, DataFusionError> {
        fs::create_dir_all(parent)?;
        sweep(parent)?;
        let folder = parent.join(Uuid::new_v4().simple().to_string());
        // Locked before it has the name that others look for, and before there is a folder.
        let draft = folder.with_extension("draft");
        let lock = File::create_new(&draft)?;
        lock.lock()?;
        fs::rename(&draft, folder.with_extension(LOCK))?;
        fs::create_dir(&folder)?;
        let disk = disk(DiskManagerMode::Directories(vec![folder]))?;
        Ok(Self { disk, _lock: Some(Arc::new(lock)) })
    }
}

fn disk(mode: DiskManagerMode) -> Result<Arc<DiskManager>, DataFusionError> {
    let builder = DiskManagerBuilder::default().with_mode(mode);
    builder.with_max_temp_directory_size(BYTES_MAX).build().map(Arc::new)
}

/// Removes what processes left behind that were killed: their locks can be had.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != LOCK) {
            continue;
        }
        let lock = match File::open(&path) {
            Ok(lock) => lock,
            // Another process sweeps, too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The folder first: were the lock gone before it, nothing would lead to it any more.
        for removed in [fs::remove_dir_all(path.with_extension("")), fs::remove_file(&path)] {
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn folders_of_the_dead_are_swept_and_those_of_the_living_are_not() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("dead")).unwrap();
        fs::write(parent.path().join("dead/spilled"), "rows").unwrap();
        fs::write(parent.path().join("dead.lock"), "").unwrap();
        let first = Spill::below(parent.path()).unwrap();
        let of_first = names(parent.path());
        assert_eq!(of_first.len(), 2, "{of_first:?}");
        let second = Spill::below(parent.path()).unwrap();
        assert_eq!(names(parent.path()).len(), 4);
        drop((first, second));
        Spill::below(parent.path()).unwrap();
        assert_eq!(names(parent.path()).len(), 2);
    }

    #[test]
    fn there_is_a_bound() {
        let parent = tempfile::tempdir().unwrap();
        let spill = Spill::below(parent.path()).unwrap();
        assert_eq!(spill.disk.max_temp_directory_size(), BYTES_MAX);
        assert!(spill.disk.tmp_files_enabled());
        assert!(!Spill::nowhere().unwrap().disk.tmp_files_enabled());
    }
}
