//! The connections to the topic's database, and how their failures are told.
//!
//! SQLite blocks, so every operation runs on a blocking thread. One connection writes; a few read
//! beside it, as WAL mode allows. A caller that goes away leaves the operation to finish.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use model::Clock;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Durability, EmbeddedTopicConfig};
use crate::error::Error;

/// Marks the file as ours (`mltp` in ASCII), so that no other database is taken for a topic.
const APPLICATION_ID: i64 = 0x6d6c_7470;
/// The schema below.
const SCHEMA_VERSION: i64 = 1;

/// `first_offset` and `next_offset` live with the partition, not in the batches: they outlive
/// retention, so no offset is ever given twice.
const SCHEMA: &str = "
CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL
) STRICT;
CREATE TABLE partition (
    topic_id INTEGER NOT NULL REFERENCES topic (id),
    partition INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic_id, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE batch (
    topic_id INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    count INTEGER NOT NULL,
    ts_us INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    frame BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX batch_place ON batch (topic_id, partition, first_offset);
CREATE TABLE lease (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    owner TEXT NOT NULL,
    expires_us INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
";

/// Connections that read: one per core of a small machine and one to spare for `wait`.
const READERS: usize = 3;

/// Several processes that open a new file at once exclude each other for milliseconds; SQLite does
/// not wait for the switch to WAL by itself. Two hundred looks 20 ms apart are 4 s.
const OPEN_ATTEMPTS_MAX: u32 = 200;
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// What an operation came to, before it is known which operation it was.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Broken(String),
}

/// Private to this folder; [`Database`] adds the file and what was being done.
impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    writer: Arc<Mutex<Connection>>,
    readers: [Arc<Mutex<Connection>>; READERS],
    next_reader: AtomicUsize,
    /// Sees every other connection's commits as a new `data_version`; used for nothing else.
    watcher: Arc<Mutex<Connection>>,
}

impl Database {
    pub(super) async fn open(
        path: &Path,
        config: &EmbeddedTopicConfig,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let doing = "opening";
        let mut attempts = 1;
        loop {
            let (path_open, config) = (path.to_owned(), config.clone());
            let opened = run(doing, path, move || connect_all(&path_open, &config)).await;
            let contended = matches!(&opened, Err(Error::Topic { source, .. }) if is_busy(source));
            if !contended || attempts == OPEN_ATTEMPTS_MAX {
                let (writer, readers, watcher) = opened?;
                let readers = readers.map(|reader| Arc::new(Mutex::new(reader)));
                return Ok(Self {
                    path: path.to_owned(),
                    writer: Arc::new(Mutex::new(writer)),
                    readers,
                    next_reader: AtomicUsize::new(0),
                    watcher: Arc::new(Mutex::new(watcher)),
                });
            }
            attempts += 1;
            clock.sleep(OPEN_PAUSE).await;
        }
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        operation: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let mut connection = Arc::clone(&self.writer).lock_owned().await;
        run(doing, &self.path, move || operation(&mut connection)).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        operation: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let mut connection = self.reader().await;
        run(doing, &self.path, move || operation(&mut connection)).await
    }

    /// Returns a number that differs whenever anybody committed since the last call.
    pub(super) async fn version(&self) -> Result<i64, Error> {
        let connection = Arc::clone(&self.watcher).lock_owned().await;
        let look = move || Ok(connection.query_row("PRAGMA data_version", (), |row| row.get(0))?);
        run("looking for changes", &self.path, look).await
    }

    async fn reader(&self) -> OwnedMutexGuard<Connection> {
        let free = self.readers.iter().find_map(|reader| Arc::clone(reader).try_lock_owned().ok());
        if let Some(reader) = free {
            return reader;
        }
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        Arc::clone(&self.readers[turn]).lock_owned().await
    }
}

async fn run<T: Send + 'static>(
    doing: &'static str,
    path: &Path,
    operation: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Error> {
    let result = tokio::task::spawn_blocking(operation).await;
    let path = path.to_owned();
    match result.map_err(|source| Error::TaskLost { doing, source })? {
        Ok(value) => Ok(value),
        Err(Failure::Broken(problem)) => Err(Error::TopicBroken { doing, path, problem }),
        Err(Failure::Sqlite(source)) => {
            Err(Error::Topic { doing, path, remedy: remedy(&source), source })
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it; end the process that hangs"
        }
        Some(ErrorCode::DiskFull) => "the disk is full; make room, work then resumes by itself",
        Some(ErrorCode::SystemIoFailure) => {
            "the disk did not answer properly; check it and the room left on it"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the file is damaged; keep it, restore a copy or start with an empty folder and a new \
             `landing.generation`"
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "it cannot be opened for writing; check the folder, its owner and its permissions"
        }
        _ => "this is unexpected; please report it",
    }
}

type Connections = (Connection, [Connection; READERS], Connection);

fn connect_all(path: &Path, config: &EmbeddedTopicConfig) -> Result<Connections, Failure> {
    let mut writer = connect(path, config)?;
    create_schema(&mut writer)?;
    let readers = [connect(path, config)?, connect(path, config)?, connect(path, config)?];
    Ok((writer, readers, connect(path, config)?))
}

fn connect(path: &Path, config: &EmbeddedTopicConfig) -> Result<Connection, Failure> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(config.busy_timeout)?;
    // Batches are tens of kilobytes: large pages keep their overflow chains short. Freed pages go
    // back to the file system after retention. Both count only for a file that is still empty.
    connection.pragma_update(None, "page_size", 16_384)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(Failure::Broken(format!(
            "its file system cannot do WAL (journal mode `{mode}`); use a local disk"
        )));
    }
    let synchronous = match config.durability {
        Durability::KillSafe => "NORMAL",
        Durability::PowerSafe => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // A burst may grow the log of the database; 64 MiB of it are kept for the next one.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(connection)
}

fn create_schema(connection: &mut Connection) -> Result<(), Failure> {
    // Checked first without a lock: an existing database opens while somebody writes to it.
    if schema_version(connection)? == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if schema_version(&transaction)? != SCHEMA_VERSION {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Returns the schema version of our database, 0 for an empty one; refuses all others.
fn schema_version(connection: &Connection) -> Result<i64, Failure> {
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get::<_, i64>(0))
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(version),
        (APPLICATION_ID, _) => Err(Failure::Broken(format!(
            "it has schema version {version}, this release knows {SCHEMA_VERSION}; use the \
             release that wrote it, or a newer one"
        ))),
        _ => Err(Failure::Broken("it is a database of something else".to_owned())),
    }
}
