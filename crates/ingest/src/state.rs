//! The poller's durable memory: fetch ids, the fetch log, progress, the quota ledger, the lock.
//!
//! One SQLite file in WAL mode. Every method is one short transaction that is whole or absent
//! after a crash. Calls block the thread for the length of a disk write, a few milliseconds, and
//! the poller makes a few of them for each page; that is not worth a thread of its own.

use std::{
    fmt,
    fs::{DirBuilder, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use model::Dataset;
use rusqlite::{Connection, OptionalExtension, params};

use crate::Error;

mod log;

pub use log::{FetchStatus, FetchedPage, FetchedPages, PollStatus, fetched_pages};

/// What survives what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives `kill -9` and the loss of power: every transaction is synced.
    Power,
    /// Survives `kill -9`; the loss of power may take back the last transactions, which repeats
    /// fetches but could hand out a fetch id twice.
    Process,
}

/// The open state database. Any number of processes may read it; the lock's holder writes.
pub struct State {
    connection: Mutex<Connection>,
    folder: PathBuf,
    path: PathBuf,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Proof that this process is the only active poller of its folder; dropping it lets the next
/// one in. The system gives the lock back when the process dies, however it dies.
#[derive(Debug)]
pub struct PollerLock {
    _file: Option<File>,
}

impl PollerLock {
    /// The lock of a poller whose lease is proof enough: its memory refuses what it may not do.
    pub(crate) const fn leased() -> Self {
        Self { _file: None }
    }
}

/// A set of symbols that is always fetched together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The chunk's number, for good.
    pub id: u32,
    /// The kind of rows.
    pub dataset: Dataset,
    /// What tells chunks of one dataset apart: the interval and whether it has after hours.
    pub interval: String,
    /// The symbols in their order of arrival in the settings.
    pub symbols: Vec<String>,
}

/// Counts up when a table changes its meaning; a newer number is a newer release's file.
const LAYOUT: i64 = 1;

/// Two processes touch the file for milliseconds at a time; five seconds mean a hung disk.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

// AUTOINCREMENT, unlike a plain rowid, never hands out a number again after a deletion.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS fetch (
  fetch_id INTEGER PRIMARY KEY AUTOINCREMENT,
  dataset TEXT NOT NULL, chunk INTEGER NOT NULL, plan TEXT NOT NULL,
  status TEXT NOT NULL, rows_total INTEGER, set_hash TEXT, problem TEXT,
  ts_started TEXT NOT NULL, ts_ended TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS fetch_started ON fetch (status) WHERE status = 'started';
CREATE TABLE IF NOT EXISTS page (
  fetch_id INTEGER NOT NULL, page INTEGER NOT NULL, row_count INTEGER NOT NULL,
  set_hash TEXT NOT NULL, ts_fetched TEXT NOT NULL,
  PRIMARY KEY (fetch_id, page)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunk (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  dataset TEXT NOT NULL, interval TEXT NOT NULL, symbols TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS progress (
  chunk INTEGER NOT NULL, part TEXT NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (chunk, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quota (
  month TEXT PRIMARY KEY, used INTEGER NOT NULL, refused_at_limit INTEGER, refused_until TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL)
STRICT, WITHOUT ROWID;
";

impl State {
    /// Opens the state in `folder`, which is created for this user alone when it is absent.
    ///
    /// # Errors
    /// The folder or file cannot be used, is damaged, or belongs to a newer release.
    pub fn open(folder: &Path, durability: Durability) -> Result<Self, Error> {
        create_private_folder(folder).map_err(|source| Error::File {
            doing: "creating the folder",
            path: folder.to_owned(),
            source,
        })?;
        let path = folder.join("state.db");
        let failed = |doing| {
            let path = path.clone();
            move |source| Error::State { doing, path, source }
        };
        let mut connection = Connection::open(&path).map_err(failed("opening"))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("setting the timeout"))?;
        let synchronous = match durability {
            Durability::Power => "FULL",
            Durability::Process => "NORMAL",
        };
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .and_then(|()| connection.pragma_update(None, "synchronous", synchronous))
            .map_err(failed("setting the journal"))?;
        let layout: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed("reading the layout"))?;
        if LAYOUT < layout {
            return Err(Error::StateBroken {
                doing: "reading the layout",
                path,
                problem: format!("it is layout {layout}; this release knows {LAYOUT}"),
            });
        }
        create_tables(&mut connection).map_err(failed("creating tables"))?;
        Ok(Self { connection: Mutex::new(connection), folder: folder.to_owned(), path })
    }

    /// Takes the poller lock of the folder, or returns `None` while another poller holds it.
    ///
    /// # Errors
    /// The lock file cannot be opened or the file system knows no locks.
    pub fn try_lock(&self) -> Result<Option<PollerLock>, Error> {
        let path = self.folder.join("poller.lock");
        let failed = |doing, source| Error::File { doing, path: path.clone(), source };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| failed("opening the lock file", source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(PollerLock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed("locking", source)),
        }
    }

    /// Runs `body` in one write transaction.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let value = body(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|source| self.failed(doing, source))
    }

    /// Runs `body` in one read.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        body(&connection).map_err(|source| self.failed(doing, source))
    }

    fn failed(&self, doing: &'static str, source: rusqlite::Error) -> Error {
        Error::State { doing, path: self.path.clone(), source }
    }

    pub(crate) fn broken(&self, doing: &'static str, problem: String) -> Error {
        Error::StateBroken { doing, path: self.path.clone(), problem }
    }

    /// Returns the chunks of a dataset and interval, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn chunks(&self, dataset: Dataset, interval: &str) -> Result<Vec<Chunk>, Error> {
        let rows: Vec<(i64, String)> = self.read("reading chunks", |connection| {
            connection
                .prepare_cached(
                    "SELECT id, symbols FROM chunk WHERE dataset = ?1 AND interval = ?2 ORDER BY id",
                )?
                .query_map(params![dataset.as_str(), interval], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        })?;
        rows.into_iter()
            .map(|(id, symbols)| {
                let broken = |problem| self.broken("reading chunks", problem);
                Ok(Chunk {
                    id: u32::try_from(id).map_err(|_| broken(format!("id `{id}`")))?,
                    dataset,
                    interval: interval.to_owned(),
                    symbols: serde_json::from_str(&symbols)
                        .map_err(|error| broken(format!("chunk {id}: {error}")))?,
                })
            })
            .collect()
    }

    /// Adds a chunk and returns it with its number.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn add_chunk(
        &self,
        dataset: Dataset,
        interval: &str,
        symbols: Vec<String>,
    ) -> Result<Chunk, Error> {
        let text = serde_json::Value::from(symbols.clone()).to_string();
        let id = self.write("adding a chunk", |connection| {
            connection.execute(
                "INSERT INTO chunk (dataset, interval, symbols) VALUES (?1, ?2, ?3)",
                params![dataset.as_str(), interval, text],
            )?;
            Ok(connection.last_insert_rowid())
        })?;
        let id = u32::try_from(id)
            .map_err(|_| self.broken("adding a chunk", format!("id `{id}` is too large")))?;
        Ok(Chunk { id, dataset, interval: interval.to_owned(), symbols })
    }

    /// Saves that a chunk has fewer symbols than before.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn shrink_chunk(&self, chunk: &Chunk) -> Result<(), Error> {
        let text = serde_json::Value::from(chunk.symbols.clone()).to_string();
        self.write("shrinking a chunk", |connection| {
            connection
                .execute("UPDATE chunk SET symbols = ?2 WHERE id = ?1", params![chunk.id, text])
        })?;
        Ok(())
    }

    /// Returns the saved progress as `(chunk, part, state)`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn progress(&self) -> Result<Vec<(u32, String, String)>, Error> {
        self.read("reading progress", |connection| {
            connection
                .prepare_cached("SELECT chunk, part, state FROM progress")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })
    }

    /// Saves progress as `(chunk, part, state)` outside a fetch, in one transaction.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn save_progress(&self, progress: &[(u32, String, String)]) -> Result<(), Error> {
        self.write("saving progress", |connection| {
            progress.iter().try_for_each(|(chunk, part, state)| {
                upsert_progress(connection, *chunk, &[(part.clone(), state.clone())])
            })
        })
    }

    /// Sets a number that outlives the process.
    pub(crate) fn set_counter(&self, name: &str, value: u64) -> Result<(), Error> {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.write("setting a counter", |connection| {
            connection.execute(
                "INSERT INTO counter (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                params![name, value],
            )
        })?;
        Ok(())
    }

    /// Returns a number set before, or 0.
    pub(crate) fn counter(&self, name: &str) -> Result<u64, Error> {
        let value: Option<i64> = self.read("reading a counter", |connection| {
            connection
                .query_row("SELECT value FROM counter WHERE name = ?1", [name], |row| row.get(0))
                .optional()
        })?;
        Ok(u64::try_from(value.unwrap_or(0)).unwrap_or(0))
    }
}

fn create_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    // Files of the first releases have no such column. It may be empty and older releases do not
    // read it, so the layout stays the same.
    let has_refused_until: bool = transaction.query_row(
        "SELECT count(*) FROM pragma_table_info('quota') WHERE name = 'refused_until'",
        [],
        |row| row.get(0),
    )?;
    if !has_refused_until {
        transaction.execute_batch("ALTER TABLE quota ADD COLUMN refused_until TEXT")?;
    }
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()
}

fn upsert_progress(
    connection: &Connection,
    chunk: u32,
    parts: &[(String, String)],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO progress (chunk, part, state) VALUES (?1, ?2, ?3)
         ON CONFLICT (chunk, part) DO UPDATE SET state = excluded.state",
    )?;
    for (part, state) in parts {
        statement.execute(params![chunk, part, state])?;
    }
    Ok(())
}

/// Writes a time as text that sorts and reads back unchanged.
pub(crate) fn time_text(ts: DateTime<Utc>) -> String {
    ts.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn create_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests;
