//! Secrets from files: one file per key in one folder, readable by its owner alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::owned_file::{self, Problem};
use crate::{Error, Secret, SecretName, SecretProvider, provider::VALUE_BYTES_MAX};

/// Reads one file per key. One trailing line break is not part of the value.
#[derive(Clone, Debug)]
pub(crate) struct FileProvider {
    scope: SecretName,
    dir: PathBuf,
}

impl FileProvider {
    /// Creates a provider over the files of `dir`.
    #[must_use]
    pub(crate) fn new(scope: SecretName, dir: PathBuf) -> Self {
        Self { scope, dir }
    }

    fn read(&self, key: &SecretName, path: &Path) -> Result<Option<Secret>, Error> {
        let unusable =
            |reason: &str| self.unusable(key, &format!("file `{}` {reason}", path.display()));
        // A line break of two characters may follow the value.
        let read =
            owned_file::read(path, VALUE_BYTES_MAX + 2).map_err(|problem| match problem {
                Problem::NotAFile => unusable("is not a regular file"),
                Problem::OpenToOthers { mode } => unusable(&format!(
                    "is open to other users (mode {mode:o}); run `chmod 600` on it"
                )),
                Problem::TooLarge => unusable("is larger than 128 KiB"),
                Problem::Io(source) => Error::Read {
                    scope: self.scope.to_string(),
                    key: key.to_string(),
                    path: path.to_owned(),
                    source: Arc::new(source),
                },
            })?;
        let Some((bytes, _)) = read else { return Ok(None) };
        let text = str::from_utf8(&bytes).map_err(|_| unusable("is not UTF-8 text"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Ok(Some(Secret::new(text.to_owned())))
    }
}

#[async_trait]
impl SecretProvider for FileProvider {
    fn scope(&self) -> &SecretName {
        &self.scope
    }

    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error> {
        // A local file of at most 128 KiB: shorter than handing it to another thread.
        self.read(key, &self.dir.join(key.as_str()))
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let failed = |source| Error::List {
            scope: self.scope.to_string(),
            path: self.dir.clone(),
            source: Arc::new(source),
        };
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
