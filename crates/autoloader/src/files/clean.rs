//! `cleanSource`: what becomes of files that were loaded, once nobody needs them any more.
//!
//! A file goes only when its rows are in the table and the retention has passed since, and only the
//! version that was loaded. Its row in the ledger stays, so the path still counts as seen. Every step
//! may be done twice, and a crash between any two of them loses neither the file nor its trace. What
//! is written between the last look at a file and its deletion, a request later, is lost all the same:
//! stores cannot be told to delete one version only.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::{CopyMode, CopyOptions, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};

use super::{
    options::{CleanSource, DELETE_AFTER},
    seen::{Known, Seen, Status},
    source_file::SourceFile,
};

/// Where files are cleaned, and how.
#[derive(Debug)]
pub struct Cleaner {
    /// The store of the source, from its root.
    store: Arc<dyn ObjectStore>,
    /// The folder of the source in that store, without a slash at the end; empty for all of it.
    source: String,
    /// The address of the store's root, for people who look for a file that was moved.
    address: String,
    clean: CleanSource,
}

/// What became of a file that was to be cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is gone from the source, and lies there now, if it was moved.
    Gone {
        /// The key it was moved to.
        moved_to: Option<String>,
    },
    /// It holds other bytes than were loaded, and stays.
    Kept,
}

impl Cleaner {
    /// Creates what cleans the folder `source` of `store`; with `OFF` it finds nothing to do.
    ///
    /// # Errors
    /// The option would lose files, or load them again: says how.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        source: &str,
        clean: CleanSource,
    ) -> Result<Self, String> {
        let source = source.trim_matches('/').to_owned();
        check(&source, &clean)?;
        Ok(Self { store, source, address: String::new(), clean })
    }

    /// Says where moved files are by the address of the store's root, with a slash at the end.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    pub(super) const fn rule(&self) -> &CleanSource {
        &self.clean
    }

    /// Moves or deletes one file that is due.
    pub(super) async fn clean(&self, known: &Known) -> object_store::Result<Fate> {
        let from = self.key(&known.file.path)?;
        let there = self.look(&from).await?;
        let is_other =
            |there: &ObjectMeta| known.file.was_overwritten_by(&version(&known.file.path, there));
        if there.as_ref().is_some_and(is_other) {
            return Ok(Fate::Kept);
        }
        let moved_to = match (&self.clean, &there) {
            (CleanSource::Move { destination, .. }, Some(_)) => {
                Some(self.archive(destination, known, &from).await?)
            }
            // It went before a crash, or by other hands.
            (CleanSource::Move { destination, .. }, None) => {
                self.archived(destination, known).await?
            }
            (CleanSource::Delete { .. } | CleanSource::Off, _) => None,
        };
        if there.is_some() && self.clean != CleanSource::Off {
            // Copying takes a while, and stores delete whatever is there.
            if moved_to.is_some() && self.look(&from).await?.as_ref().is_some_and(is_other) {
                return Ok(Fate::Kept);
            }
            match self.store.delete(&from).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        let moved_to = moved_to.map(|name| format!("{}{name}", self.address));
        Ok(Fate::Gone { moved_to })
    }

    async fn look(&self, at: &Path) -> object_store::Result<Option<ObjectMeta>> {
        match self.store.head(at).await {
            Ok(there) => Ok(Some(there)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies a file to the archive and proves the copy; returns where it is.
    async fn archive(
        &self,
        destination: &str,
        known: &Known,
        from: &Path,
    ) -> object_store::Result<String> {
        for name in archive_names(destination, known) {
            let to = Path::parse(&name)?;
            self.copy(from, &to).await?;
            // What is there may be ours from before a crash, or an older version of the file.
            if self.is_same(from, &to).await? {
                return Ok(name);
            }
        }
        Err(object_store::Error::Generic {
            store: "archive",
            source: format!(
                "other files are at `{destination}` under the names of `{}`",
                known.file.path
            )
            .into(),
        })
    }

    /// Copies a file to where nothing is; what is there stays.
    async fn copy(&self, from: &Path, to: &Path) -> object_store::Result<()> {
        let create = CopyOptions::new().with_mode(CopyMode::Create);
        match self.store.copy_opts(from, to, create).await {
            Ok(()) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            // A bucket cannot be told to copy only if there is nothing. Between the look and the
            // copy another load may archive a file of the same name: see `moveDestination`.
            Err(
                object_store::Error::NotSupported { .. }
                | object_store::Error::NotImplemented { .. },
            ) => match self.look(to).await? {
                Some(_) => Ok(()),
                None => self.store.copy_opts(from, to, CopyOptions::new()).await,
            },
            Err(error) => Err(error),
        }
    }

    /// Returns where the archive has a file that is no longer in the source.
    async fn archived(
        &self,
        destination: &str,
        known: &Known,
    ) -> object_store::Result<Option<String>> {
        let mut newest = None;
        for name in archive_names(destination, known) {
            match self.store.head(&Path::parse(&name)?).await {
                Ok(there) if there.size == known.file.size => newest = Some(name),
                Ok(_) | Err(object_store::Error::NotFound { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }

    /// Whether two objects hold the same bytes, read from both: a tag is another for every copy in
    /// some stores.
    async fn is_same(&self, one: &Path, other: &Path) -> object_store::Result<bool> {
        let (one, other) = (self.store.get(one).await?, self.store.get(other).await?);
        if one.meta.size != other.meta.size {
            return Ok(false);
        }
        let (mut one, mut other) = (one.into_stream(), other.into_stream());
        let (mut ours, mut theirs) = (bytes::Bytes::new(), bytes::Bytes::new());
        loop {
            while ours.is_empty() {
                match one.try_next().await? {
                    Some(next) => ours = next,
                    // The sizes are the same.
                    None => return Ok(true),
                }
            }
            while theirs.is_empty() {
                match other.try_next().await? {
                    Some(next) => theirs = next,
                    None => return Ok(false),
                }
            }
            let count = ours.len().min(theirs.len());
            if ours.split_to(count) != theirs.split_to(count) {
                return Ok(false);
            }
        }
    }

    fn key(&self, path: &str) -> object_store::Result<Path> {
        let key = if self.source.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.source)
        };
        Ok(Path::parse(key)?)
    }
}

/// Where a moved file may lie: under its own path, or, when an older version of it is there, with
/// the batch behind it.
fn archive_names(destination: &str, known: &Known) -> [String; 2] {
    let name = format!("{}/{}", destination.trim_matches('/'), known.file.path);
    let versioned = format!("{name}.batch-{}", known.batch);
    [name, versioned]
}

fn version(path: &str, there: &ObjectMeta) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        size: there.size,
        modified: there.last_modified,
        etag: there.e_tag.clone(),
        version: there.version.clone(),
    }
}

/// Refuses what would lose files, or load them again. Pure.
fn check(source: &str, clean: &CleanSource) -> Result<(), String> {
    match clean {
        CleanSource::Off => Ok(()),
        CleanSource::Delete { retention } => {
            if *retention <= DELETE_AFTER {
                return Err(
                    "`cleanSource.retentionDuration` of DELETE must be more than 7 days: files \
                     that are gone cannot be loaded again"
                        .to_owned(),
                );
            }
            Ok(())
        }
        CleanSource::Move { destination, .. } => {
            let destination = destination.trim_matches('/');
            let inside = |outer: &str, inner: &str| {
                outer.is_empty()
                    || inner == outer
                    || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
            };
            if inside(source, destination) || inside(destination, source) {
                return Err(format!(
                    "`cleanSource.moveDestination` `{destination}` and the source `{source}` lie in \
                     each other: moved files would be found and loaded again; name another folder"
                ));
            }
            Ok(())
        }
    }
}

/// Returns files that may go now, in the order of paths, from behind `after`. Pure.
pub(super) fn due<'a>(
    seen: &'a Seen,
    clean: &CleanSource,
    now: DateTime<Utc>,
    after: Option<&'a str>,
) -> impl Iterator<Item = &'a Known> + use<'a> {
    let retention = match clean {
        CleanSource::Off => None,
        CleanSource::Delete { retention } | CleanSource::Move { retention, .. } => {
            TimeDelta::from_std(*retention).ok()
        }
    };
    let is_due = move |known: &&Known| {
        // Decided right before its commit, and known to be committed.
        let since = known.decided_at.filter(|_| known.status == Status::Loaded);
        known.cleaned.is_none()
            && since.zip(retention).is_some_and(|(since, retention)| {
                since.checked_add_signed(retention).is_some_and(|due| due < now)
            })
    };
    seen.rows_after(after).filter(is_due)
}

#[cfg(test)]
mod tests;
