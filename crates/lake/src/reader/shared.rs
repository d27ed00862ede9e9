//! A version of a table as a list of files, for whoever reads the files without us.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use deltalake_core::kernel::LogicalFileView;
use futures::TryStreamExt as _;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore as _, path::Path};
use serde_json::Value;

use super::{Found, Reader};
use crate::{Error, table::Table};

/// Which version of a table is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// The newest.
    Newest,
    /// This one.
    Version(u64),
    /// The newest that was there at this moment.
    Time(DateTime<Utc>),
}

/// What a version of a table consists of.
#[derive(Clone, Debug)]
pub struct TableVersion {
    /// The version.
    pub version: u64,
    /// When it was committed, if it is not the newest that was asked for.
    pub ts_committed: Option<DateTime<Utc>>,
    /// The log's `protocol` action, as JSON.
    pub protocol: Value,
    /// The log's `metaData` action, as JSON.
    pub metadata: Value,
    /// Its data files, in the order of the log.
    pub files: Vec<TableFile>,
}

/// One data file of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    /// Where it lies, below the table's folder.
    pub path: String,
    /// Where it lies in the bucket, or in the file system.
    pub object: Path,
    /// Its size in bytes.
    pub size: u64,
    /// When it was made, in milliseconds since 1970.
    pub modification_time: i64,
    /// The values of the partition columns, as the log writes them.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// The log's statistics of its columns, as JSON.
    pub stats: Option<String>,
}

impl Reader {
    /// Returns layer and name of every table, such as `gold.bar_1m`.
    #[must_use]
    pub fn table_names(&self) -> Vec<String> {
        let names = self.tables.names().into_iter();
        names.map(|(layer, name)| format!("{layer}.{name}")).collect()
    }

    /// Returns what a version of a table consists of; `None` if there is no such version, or not any
    /// more. A table in memory has no files and is unknown here.
    ///
    /// # Errors
    /// There is no such table, it cannot be read, or its log names files outside of it.
    pub async fn table_version(
        &self,
        table: &str,
        as_of: AsOf,
    ) -> Result<Option<TableVersion>, Error> {
        let Found::Delta(found) = self.tables.find(table)? else {
            return Err(Error::UnknownTable { table: table.to_owned() });
        };
        let mut found = found.lock().await;
        found.refresh().await?;
        if as_of == AsOf::Newest {
            return shared(&found, None).map(Some);
        }
        let commits = found.commits().await?;
        let wanted = match as_of {
            AsOf::Newest => Some(found.version()),
            AsOf::Version(version) => Some(version),
            AsOf::Time(ts) => newest_at(&commits, ts),
        };
        let Some((version, ts)) = wanted.and_then(|version| commits.get_key_value(&version)) else {
            return Ok(None);
        };
        if *version == found.version() {
            return shared(&found, Some(*ts)).map(Some);
        }
        shared(&found.at(*version).await?, Some(*ts)).map(Some)
    }

    /// Returns the first version of a table that was committed at `ts` or later, if there is one.
    ///
    /// # Errors
    /// There is no such table, or it cannot be read.
    pub async fn version_since(
        &self,
        table: &str,
        ts: DateTime<Utc>,
    ) -> Result<Option<u64>, Error> {
        let Found::Delta(table) = self.tables.find(table)? else { return Ok(None) };
        let mut table = table.lock().await;
        table.refresh().await?;
        let commits = table.commits().await?;
        Ok(commits.iter().find(|(_, committed)| ts <= **committed).map(|(version, _)| *version))
    }

    /// Reads a data file of a table, or what `options` want of it.
    ///
    /// # Errors
    /// There is no such table or file, or it cannot be read.
    pub async fn data_file(
        &self,
        table: &str,
        path: &str,
        options: GetOptions,
    ) -> Result<GetResult, Error> {
        let Found::Delta(found) = self.tables.find(table)? else {
            return Err(Error::UnknownTable { table: table.to_owned() });
        };
        let store = found.lock().await.log_store().object_store(None);
        let read = store.get_opts(&crate::data_file::location(path), options).await;
        read.map_err(|source| Error::File {
            table: table.to_owned(),
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

fn shared(table: &Table, ts_committed: Option<DateTime<Utc>>) -> Result<TableVersion, Error> {
    let content = |problem| Error::Content { table: table.def.full_name(), problem };
    let json = |value: Result<Value, serde_json::Error>| {
        value.map_err(|error| content(format!("its log cannot be told as JSON: {error}")))
    };
    let url = table.log_store().root_url().clone();
    let root = Path::from_url_path(url.path())
        .map_err(|error| content(format!("its address `{url}` is no path: {error}")))?;
    let files = table.active_files();
    let files = files.iter().map(|view| file(&root, view).map_err(content));
    Ok(TableVersion {
        version: table.version(),
        ts_committed,
        protocol: json(serde_json::to_value(table.state().protocol()))?,
        metadata: json(serde_json::to_value(table.state().metadata()))?,
        files: files.collect::<Result<_, _>>()?,
    })
}

fn file(root: &Path, view: &LogicalFileView) -> Result<TableFile, String> {
    let path = view.path().into_owned();
    if !is_below(&path) {
        return Err(format!("its log names the file `{path}`, which lies outside of it"));
    }
    let below = crate::data_file::location(&path);
    Ok(TableFile {
        object: root.parts().chain(below.parts()).collect(),
        path,
        size: u64::try_from(view.size()).unwrap_or(0),
        modification_time: view.modification_time(),
        partition_values: view.partition_values_map().into_iter().collect(),
        stats: view.stats(),
    })
}

/// Whether a path of the log stays in the table's folder. The protocol allows addresses of other
/// places as well: whoever can write a log could have any file handed out.
fn is_below(path: &str) -> bool {
    let has_scheme = path.split('/').next().is_some_and(|part| part.contains(':'));
    let steps_out = path.split('/').any(|part| part == "..");
    !path.starts_with('/') && !has_scheme && !steps_out
}

impl Table {
    /// Returns when each version was committed that the log still has, as the store's clock tells;
    /// a version is never taken for older than the one before it.
    async fn commits(&self) -> Result<BTreeMap<u64, DateTime<Utc>>, Error> {
        let store = self.log_store().object_store(None);
        let listed = store.list(Some(&Path::from("_delta_log"))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|source| Error::Open {
            table: self.def.full_name(),
            source: Box::new(deltalake_core::DeltaTableError::ObjectStore { source }),
        })?;
        Ok(in_order(listed.iter().filter_map(commit)))
    }
}

fn commit(found: &ObjectMeta) -> Option<(u64, DateTime<Utc>)> {
    let version = found.location.filename()?.strip_suffix(".json")?;
    // Checkpoints, sidecars and drafts have other names.
    let is_commit = version.len() == 20 && version.bytes().all(|byte| byte.is_ascii_digit());
    is_commit.then(|| Some((version.parse().ok()?, found.last_modified)))?
}

fn in_order(
    commits: impl IntoIterator<Item = (u64, DateTime<Utc>)>,
) -> BTreeMap<u64, DateTime<Utc>> {
    let mut commits: BTreeMap<_, _> = commits.into_iter().collect();
    let mut latest = None;
    for ts in commits.values_mut() {
        *ts = latest.map_or(*ts, |latest: DateTime<Utc>| latest.max(*ts));
        latest = Some(*ts);
    }
    commits
}

fn newest_at(commits: &BTreeMap<u64, DateTime<Utc>>, ts: DateTime<Utc>) -> Option<u64> {
    commits.iter().rev().find(|(_, committed)| **committed <= ts).map(|(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(second: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::from(second), 0).expect("a moment")
    }

    #[test]
    fn a_moment_finds_the_version_that_was_the_newest_then() {
        // The clock was set back between versions 4 and 5.
        let commits = in_order([(5, ts(25)), (3, ts(10)), (4, ts(30)), (6, ts(40))]);
        for (second, expected) in
            [(9, None), (10, Some(3)), (29, Some(3)), (30, Some(5)), (39, Some(5)), (99, Some(6))]
        {
            assert_eq!(newest_at(&commits, ts(second)), expected, "{second}");
        }
    }

    #[test]
    fn files_outside_of_the_table_are_not_its_own() {
        for path in ["part.parquet", "session_date=2019-02-11/part.parquet", "a/b:c"] {
            assert!(is_below(path), "{path}");
        }
        for path in ["/etc/passwd", "../silver/x.parquet", "a/../../x", "file:///etc/passwd"] {
            assert!(!is_below(path), "{path}");
        }
    }
}
