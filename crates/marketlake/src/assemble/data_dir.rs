//! The data folder: made for its owner alone, and tried before anything depends on it.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use model::ErrorKind;

use crate::failure::Failure;

const FOLDERS: [&str; 7] = ["topic", "ingest", "landing", "checkpoints", "lake", "serve", "spill"];

/// Written once at start: a disk with less room than this would fail within seconds anyway.
const TRIAL_BYTES: usize = 256 * 1024;

/// The data folder of one pipeline.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Creates the folders that are missing, with mode 0700, and writes a file on trial.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let data = Self::open_untried(path)?;
        data.try_writing()?;
        Ok(data)
    }

    /// Creates the folders that are missing, with mode 0700; whether they take data is not tried.
    pub(crate) fn open_untried(path: &Path) -> Result<Self, Failure> {
        let root = std::path::absolute(path).map_err(|error| failed("resolving", path, error))?;
        for folder in std::iter::once(root.clone()).chain(FOLDERS.map(|name| root.join(name))) {
            create_private(&folder)
                .map_err(|error| failed("creating the data folder", &folder, error))?;
        }
        let data = Self { root };
        data.warn_if_open();
        Ok(data)
    }

    /// Returns the data folder of that name without making it, for work that keeps nothing there.
    pub(crate) fn unmade(path: &Path) -> Self {
        Self { root: path.to_owned() }
    }

    /// Returns the folder of the embedded topic's database.
    pub(crate) fn topic_db(&self) -> PathBuf {
        self.root.join("topic/topic.db")
    }

    pub(crate) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }

    pub(crate) fn landing(&self) -> PathBuf {
        self.root.join("landing")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    pub(crate) fn serve(&self) -> PathBuf {
        self.root.join("serve")
    }

    /// Returns where queries put what does not fit into their memory.
    pub(crate) fn spill(&self) -> PathBuf {
        self.root.join("spill")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the first trading day to fetch: the one that an earlier start wrote down, or
    /// `today`, which is written down. Otherwise a restart after a week would skip that week.
    pub(crate) fn remembered_start_date(&self, today: NaiveDate) -> Result<NaiveDate, Failure> {
        let path = self.ingest().join("start-date");
        let text = self.create_or_read(&path, &format!("{today}\n"))?;
        text.trim().parse().map_err(|_| {
            Failure::new(
                ErrorKind::Data,
                anyhow::anyhow!("`{}` holds no date; write one such as {today}", path.display()),
            )
        })
    }

    /// Creates a private file with `content` in one step, or returns what another process, or an
    /// earlier start, has created. The file is never seen half written.
    pub(crate) fn create_or_read(&self, path: &Path, content: &str) -> Result<String, Failure> {
        let failed = |error| {
            Failure::new(ErrorKind::Config, error).context(format!("creating `{}`", path.display()))
        };
        match fs::read_to_string(path) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => return Err(failed(error)),
        }
        let draft = path.with_extension(format!("draft-{:016x}", rand::random::<u64>()));
        let written = write_private(&draft, content.as_bytes());
        // A hard link fails when the name exists: exactly one of two processes wins.
        let linked = written.and_then(|()| fs::hard_link(&draft, path));
        drop(fs::remove_file(&draft));
        match linked {
            Ok(()) => Ok(content.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::read_to_string(path).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes a file on trial, and removes it again.
    pub(crate) fn try_writing(&self) -> Result<(), Failure> {
        let path = self.root.join(format!(".trial-{:016x}", rand::random::<u64>()));
        let written = write_private(&path, &vec![0; TRIAL_BYTES]);
        let removed = fs::remove_file(&path);
        let tried = written.and(removed);
        tried.map_err(|error| failed("writing in the data folder", &self.root, error))
    }

    fn warn_if_open(&self) {
        let mode = fs::metadata(&self.root).map_or(0, |metadata| metadata.mode());
        if mode & 0o077 != 0 {
            tracing::warn!(
                "other users can read the data folder `{}`; `chmod 700` closes it",
                self.root.display()
            );
        }
    }
}

/// Writes a file for its owner alone, down to the disk.
pub(super) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn failed(what: &str, path: &Path, error: io::Error) -> Failure {
    let remedy = remedy(&error);
    Failure::new(ErrorKind::Config, error).context(format!("{what} `{}`; {remedy}", path.display()))
}

fn create_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: make room, or name another folder with `--data-dir`"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a folder you may write with `--data-dir` or `data_dir`"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands in its place: name another folder with `--data-dir`"
        }
        _ => "name another folder with `--data-dir` or `data_dir`",
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use model::ErrorKind;

    use super::DataDir;

    #[test]
    fn the_folder_is_made_for_its_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/b");
        let data = DataDir::open(&root).unwrap();
        for folder in [data.root().to_owned(), data.landing(), data.serve()] {
            assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700, "{folder:?}");
        }
        assert_eq!(fs::read_dir(&root).unwrap().count(), super::FOLDERS.len(), "no trial file");
        DataDir::open(&root).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_one_clear_message() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        fs::write(&path, "").unwrap();
        let failure = DataDir::open(&path).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Config);
        assert!(failure.error.to_string().contains("--data-dir"), "{:?}", failure.error);
    }

    #[test]
    fn the_first_start_decides_the_start_date() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::open(temp.path()).unwrap();
        let first = "2019-02-11".parse().unwrap();
        assert_eq!(data.remembered_start_date(first).unwrap(), first);
        assert_eq!(data.remembered_start_date("2019-02-20".parse().unwrap()).unwrap(), first);
        assert_eq!(fs::read_dir(data.ingest()).unwrap().count(), 1, "no draft is left");
    }
}
