//! Secrets from files: one file per key in one folder, readable by its owner alone.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::{Error, Secret, SecretName, SecretProvider, provider::VALUE_BYTES_MAX};

/// Every permission of group and others.
const MODE_OTHERS: u32 = 0o077;

/// Reads one file per key. One trailing line break is not part of the value.
#[derive(Clone, Debug)]
pub struct FileProvider {
    scope: SecretName,
    dir: PathBuf,
}

impl FileProvider {
    /// Creates a provider over the files of `dir`.
    #[must_use]
    pub fn new(scope: SecretName, dir: PathBuf) -> Self {
        Self { scope, dir }
    }

    fn read(&self, key: &SecretName, path: &Path) -> Result<Option<Secret>, Error> {
        let failed = |source| Error::Read {
            scope: self.scope.to_string(),
            key: key.to_string(),
            path: path.to_owned(),
            source,
        };
        let unusable = |reason: String| Error::Unusable {
            scope: self.scope.to_string(),
            key: key.to_string(),
            reason: format!("file `{}` {reason}", path.display()),
        };
        // Type and mode are read before opening, for a FIFO would block the open, and the mode
        // again from the open file, so that nobody can swap the file between check and read.
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !metadata.is_file() {
            return Err(unusable("is not a regular file".to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & MODE_OTHERS != 0 {
            return Err(unusable(format!(
                "is open to other users (mode {:o}); run `chmod 600` on it",
                mode & 0o777
            )));
        }
        let mut value = Zeroizing::new(String::with_capacity(VALUE_BYTES_MAX + 2));
        // One byte more than allowed tells a value at the limit from one above it.
        let limit = u64::try_from(VALUE_BYTES_MAX + 2).unwrap_or(u64::MAX);
        file.take(limit).read_to_string(&mut value).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => unusable("is not UTF-8 text".to_owned()),
            _ => failed(error),
        })?;
        let text = value.strip_suffix('\n').unwrap_or(&value);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if VALUE_BYTES_MAX < text.len() {
            return Err(unusable("is larger than 128 KiB".to_owned()));
        }
        Ok(Some(Secret::new(text.to_owned())))
    }
}

#[async_trait]
impl SecretProvider for FileProvider {
    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error> {
        // A local file of at most 128 KiB: shorter than handing it to another thread.
        self.read(key, &self.dir.join(key.as_str()))
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let failed =
            |source| Error::List { scope: self.scope.to_string(), path: self.dir.clone(), source };
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.parse::<SecretName>().is_ok()) {
                keys.push(name.to_owned());
            }
        }
        keys.sort();
        Ok(keys)
    }

    fn remedy(&self, key: &SecretName) -> String {
        format!(
            "write it to the file `{}`, readable by its owner alone",
            self.dir.join(key.as_str()).display()
        )
    }
}
