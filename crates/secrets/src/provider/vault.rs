//! Secrets in one encrypted file of this machine, in the format of `age`: whoever copies the disk
//! has nothing without the passphrase or key file.
//!
//! The file is replaced as a whole, so a reader sees the old or the new one, and a lock file lets
//! two writers follow each other. What it held is kept in memory while the file is the same.

use std::{
    ffi::OsString,
    fmt, fs,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Mutex;

mod sealed;

pub use sealed::VaultError;
use sealed::{Entries, Opener, WORK_FACTOR};

use super::{
    VALUE_BYTES_MAX,
    owned_file::{self, Problem},
};
use crate::{Clock, Credential, Error, Secret, SecretName, SecretProvider, VaultConfig, VaultKey};

/// Largest vault: a hundred values of the largest size.
const FILE_BYTES_MAX: usize = 100 * VALUE_BYTES_MAX;

/// Largest key file; a key is one line.
const KEY_FILE_BYTES_MAX: usize = 64 * 1024;

/// A writer holds the lock for the time of one encryption; one that holds it longer hangs.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(20);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Reads and writes one encrypted file.
pub(crate) struct VaultProvider {
    scope: SecretName,
    path: PathBuf,
    key: Key,
    work_factor: u8,
    clock: Arc<dyn Clock>,
    /// What the file held. The lock is held while it is opened, so that many callers at a start
    /// open it once: each opening costs memory and time on purpose.
    opened: Mutex<Option<Opened>>,
}

#[derive(Clone)]
enum Key {
    Passphrase(Option<Credential>),
    File(PathBuf),
}

/// What a vault held, and the file it was read from.
struct Opened {
    stamp: Stamp,
    entries: Arc<Entries>,
}

/// Tells one state of a file from another. Every write makes a new file, so the inode alone would
/// nearly do.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl VaultProvider {
    /// Creates a provider over the file of `config`; `credentials` holds the passphrase.
    #[must_use]
    pub(crate) fn new(
        scope: SecretName,
        config: &VaultConfig,
        credentials: Vec<Credential>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let key = match &config.key {
            VaultKey::Passphrase(_) => Key::Passphrase(credentials.into_iter().next()),
            VaultKey::File(path) => Key::File(path.clone()),
        };
        let path = config.path.clone();
        Self { scope, path, key, work_factor: WORK_FACTOR, clock, opened: Mutex::new(None) }
    }

    /// Sets how much work opening a newly written file by passphrase takes, as a power of two.
    #[cfg(test)]
    pub(crate) fn with_work_factor(mut self, work_factor: u8) -> Self {
        self.work_factor = work_factor;
        self
    }

    async fn entries(&self) -> Result<Arc<Entries>, Error> {
        let mut opened = self.opened.lock().await;
        // A change of mode leaves the content as it was, and is refused all the same.
        let stamp = fs::metadata(&self.path)
            .ok()
            .filter(|metadata| metadata.mode() & owned_file::MODE_OTHERS == 0)
            .map(|metadata| Stamp::of(&metadata));
        if let Some(opened) = &*opened
            && Some(opened.stamp) == stamp
        {
            return Ok(Arc::clone(&opened.entries));
        }
        let opener = self.opener().await?;
        let path = self.path.clone();
        *opened = self.blocking(move || read(&path, &opener)).await?;
        Ok(opened.as_ref().map(|opened| Arc::clone(&opened.entries)).unwrap_or_default())
    }

    async fn opener(&self) -> Result<Opener, Error> {
        match &self.key {
            Key::Passphrase(Some(credential)) => Ok(Opener::Passphrase {
                passphrase: credential.get().await?,
                cost: self.work_factor,
            }),
            Key::Passphrase(None) => Err(self.failed(VaultError::NoPassphrase)),
            Key::File(path) => {
                let key_file = |problem| VaultError::KeyFile { path: path.clone(), problem };
                let read = owned_file::read(path, KEY_FILE_BYTES_MAX).map_err(|problem| {
                    self.failed(key_file(match problem {
                        Problem::OpenToOthers { .. } => {
                            "is open to other users; run `chmod 600` on it"
                        }
                        Problem::NotAFile => "is not a regular file",
                        Problem::TooLarge | Problem::Io(_) => "cannot be read",
                    }))
                })?;
                let (bytes, _) = read.ok_or_else(|| {
                    self.failed(key_file("does not exist; make one with `age-keygen -o FILE`"))
                })?;
                Opener::from_key_file(&bytes)
                    .ok_or_else(|| self.failed(key_file("holds no line AGE-SECRET-KEY-1…")))
            }
        }
    }

    /// Changes the content, as the only writer.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Entries) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let opener = self.opener().await?;
        let lock = self.lock().await?;
        let path = self.path.clone();
        // Whoever drops this future leaves the write to its end, and the lock with it.
        self.blocking(move || {
            let opened = read(&path, &opener)?;
            let before = opened.map(|opened| opened.entries).unwrap_or_default();
            let mut entries = Entries::clone(&before);
            let result = change(&mut entries);
            if *before != entries {
                write(&path, &opener.seal(&entries)?)?;
            }
            drop(lock);
            Ok(result)
        })
        .await
    }

    /// Waits for the lock. The file beside the vault stays there for ever: removing it would let
    /// two writers hold locks on two files.
    async fn lock(&self) -> Result<fs::File, Error> {
        let path = beside(&self.path, ".lock");
        let failed = |source| self.failed(VaultError::io("opening the lock file", source));
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        let start = self.clock.elapsed();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
                Err(fs::TryLockError::WouldBlock) => {}
            }
            if LOCK_WAIT_MAX <= self.clock.elapsed().saturating_sub(start) {
                return Err(self.failed(VaultError::Locked { path }));
            }
            self.clock.sleep(LOCK_PAUSE).await;
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Error> {
        let result = tokio::task::spawn_blocking(work).await;
        let result = result.unwrap_or(Err(VaultError::Interrupted));
        if let (Err(VaultError::WrongKey { .. }), Key::Passphrase(Some(credential))) =
            (&result, &self.key)
        {
            // A passphrase that was changed is read again for the next attempt.
            credential.invalidate().await;
        }
        result.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: VaultError) -> Error {
        Error::Vault { scope: self.scope.to_string(), path: self.path.clone(), source }
    }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn read(path: &Path, opener: &Opener) -> Result<Option<Opened>, VaultError> {
    let read = owned_file::read(path, FILE_BYTES_MAX).map_err(|problem| match problem {
        Problem::NotAFile => VaultError::NotAFile,
        Problem::OpenToOthers { mode } => VaultError::OpenToOthers { mode },
        Problem::TooLarge => VaultError::TooLarge { bytes_max: FILE_BYTES_MAX },
        Problem::Io(source) => VaultError::io("reading it", source),
    })?;
    let Some((bytes, metadata)) = read else { return Ok(None) };
    let entries = Arc::new(opener.open(&bytes)?);
    Ok(Some(Opened { stamp: Stamp::of(&metadata), entries }))
}

/// Replaces the file: written beside it and durable before it takes the name.
fn write(path: &Path, sealed: &[u8]) -> Result<(), VaultError> {
    if FILE_BYTES_MAX < sealed.len() {
        return Err(VaultError::TooLarge { bytes_max: FILE_BYTES_MAX });
    }
    let written = || {
        let temporary = beside(path, ".new");
        // Left over from a writer that died; the lock says that nobody is writing it now.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        std::io::Write::write_all(&mut file, sealed)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|source| VaultError::io("writing it", source))
}

impl fmt::Debug for VaultProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultProvider")
            .field("scope", &self.scope)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretProvider for VaultProvider {
    fn scope(&self) -> &SecretName {
        &self.scope
    }

    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error> {
        Ok(self.entries().await?.get(key.as_str()).cloned())
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        Ok(self.entries().await?.names())
    }

    async fn put(&self, key: &SecretName, value: &Secret) -> Result<(), Error> {
        let (key, value) = (key.to_string(), value.clone());
        self.change(move |entries| entries.insert(key, value)).await
    }

    async fn delete(&self, key: &SecretName) -> Result<bool, Error> {
        let key = key.to_string();
        self.change(move |entries| entries.remove(&key)).await
    }

    fn remedy(&self, key: &SecretName) -> String {
        format!(
            "put it into the vault `{}` with `marketlake secrets put {}/{key}`",
            self.path.display(),
            self.scope
        )
    }
}

#[cfg(test)]
mod tests;
