//! Writing a file so that a power loss leaves it whole or absent.
//!
//! The content goes under a staging name and to the disk; only then does the file get its own
//! name, and only when that name is on the disk is the write confirmed. A staging name ends in `#`
//! and a number, which no listing shows and no key may have.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart, path::Path};

use super::{blocking, flush::Folders};

/// Staging names of one file that killed writers may have left behind; more than these, and
/// something else is wrong with the folder.
const STAGED_MAX: u32 = 10_000;

/// Writes a whole file. Confirmed means: on the disk.
///
/// A create that comes too late brings the earlier file to the disk before it says so: the caller
/// builds on that file, and its writer may not have come that far.
pub(super) fn put(
    folders: &Folders,
    path: &FilePath,
    payload: &PutPayload,
    is_create: bool,
) -> io::Result<()> {
    let (mut file, staged) = stage(folders, path)?;
    let written = payload
        .iter()
        .try_for_each(|part| file.write_all(part))
        .and_then(|()| folders.content(&file, &staged))
        .and_then(
            |()| if is_create { link(&staged, path) } else { std::fs::rename(&staged, path) },
        );
    if is_create || written.is_err() {
        // Left behind, it would be in nobody's way.
        drop(std::fs::remove_file(&staged));
    }
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            folders.existing(path)?;
            Err(error)
        }
        Err(error) => Err(error),
        Ok(()) => folders.name(path),
    }
}

/// Gives a file its name, if nobody has it. A link fails where a rename would replace.
fn link(staged: &FilePath, path: &FilePath) -> io::Result<()> {
    std::fs::hard_link(staged, path)
}

/// Opens a staging file in a folder that is on the disk.
fn stage(folders: &Folders, path: &FilePath) -> io::Result<(File, PathBuf)> {
    let Some(folder) = path.parent() else { return Err(io::ErrorKind::InvalidFilename.into()) };
    folders.prepare(folder)?;
    match open_staged(path) {
        // Somebody has removed the folder since it was prepared.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folders.forget();
            folders.prepare(folder)?;
            open_staged(path)
        }
        opened => opened,
    }
}

fn open_staged(path: &FilePath) -> io::Result<(File, PathBuf)> {
    for number in 1..=STAGED_MAX {
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!("#{number}"));
        match OpenOptions::new().write(true).create_new(true).open(&staged) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            opened => return Ok((opened?, staged.into())),
        }
    }
    Err(io::Error::other(format!("{STAGED_MAX} unfinished files lie beside `{}`", path.display())))
}

/// A file that is written in parts.
#[derive(Debug)]
pub(super) struct Upload {
    folders: Arc<Folders>,
    file: Arc<File>,
    path: PathBuf,
    staged: Option<PathBuf>,
    bytes: u64,
    at: Path,
}

impl Upload {
    pub(super) fn begin(folders: Arc<Folders>, path: PathBuf) -> io::Result<Self> {
        let (file, staged) = stage(&folders, &path)?;
        let at = Path::default();
        Ok(Self { folders, file: Arc::new(file), path, staged: Some(staged), bytes: 0, at })
    }

    /// Says which object it is, for errors.
    pub(super) fn at(mut self, at: Path) -> Self {
        self.at = at;
        self
    }

    fn take(&mut self) -> Result<PathBuf> {
        self.staged.take().ok_or_else(|| object_store::Error::Generic {
            store: "local",
            source: format!("the upload of `{}` is over", self.at).into(),
        })
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (file, at, mut from) = (Arc::clone(&self.file), self.at.clone(), self.bytes);
        self.bytes += u64::try_from(data.content_length()).unwrap_or(u64::MAX);
        let write = move || {
            for part in &data {
                file.write_all_at(part, from)?;
                from += u64::try_from(part.len()).unwrap_or(u64::MAX);
            }
            Ok(())
        };
        Box::pin(async move { blocking(&at, write).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.take()?;
        let (folders, file, path) =
            (Arc::clone(&self.folders), Arc::clone(&self.file), self.path.clone());
        let finish = move || {
            folders.content(&file, &staged)?;
            std::fs::rename(&staged, &path)?;
            folders.name(&path)
        };
        blocking(&self.at, finish).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.take()?;
        blocking(&self.at, move || std::fs::remove_file(staged)).await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            // Left behind, it would be in nobody's way.
            drop(std::fs::remove_file(staged));
        }
    }
}
