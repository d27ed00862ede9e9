//! What can go wrong with tables, and what each failure asks of the caller.

use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use model::ErrorKind;

/// A failure of the lake.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be a lake.
    #[error("`{url}` is no place for a lake; give an absolute folder or a bucket address")]
    Location {
        /// What was given.
        url: String,
    },
    /// The table could not be created, opened or refreshed.
    #[error("opening table `{table}`")]
    Open {
        /// Layer and name.
        table: String,
        /// The cause.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A commit failed or lost a race; whether it took effect shows only after a reload.
    #[error("committing to table `{table}`")]
    Commit {
        /// Layer and name.
        table: String,
        /// The cause.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Every attempt to commit lost against another writer.
    #[error(
        "table `{table}` stayed contended through {attempts} attempts; is another pipeline writing it?"
    )]
    Contended {
        /// Layer and name.
        table: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// Rows could not be written as a data file.
    #[error("writing rows of table `{table}`")]
    Write {
        /// Layer and name.
        table: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A version's log entry is gone or unreadable.
    #[error(
        "reading version {version} of table `{table}`; its log may have been cleaned before it was refined: replay is needed"
    )]
    Log {
        /// Layer and name.
        table: String,
        /// The version.
        version: u64,
        /// The cause, when the entry is there but unreadable.
        #[source]
        source: Option<Box<DeltaTableError>>,
    },
    /// The landing zone could not be read.
    #[error("reading the landing zone at `{key}`")]
    Landing {
        /// The key or prefix.
        key: String,
        /// The cause.
        #[source]
        source: Box<object_store::Error>,
    },
    /// A data file is gone or unreadable.
    #[error("reading data file `{path}` of table `{table}`")]
    File {
        /// Layer and name.
        table: String,
        /// The file, relative to the table.
        path: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A table's content contradicts what this program writes.
    #[error("table `{table}`: {problem}")]
    Content {
        /// Layer and name.
        table: String,
        /// What was found, and what to do about it.
        problem: String,
    },
    /// A query is wrong or failed.
    #[error("running the query")]
    Query {
        /// The cause.
        #[source]
        source: Box<DataFusionError>,
    },
    /// There is no room for what queries put on disk.
    #[error("making room for large queries in `{folder}`")]
    Spill {
        /// The folder.
        folder: String,
        /// The cause.
        #[source]
        source: Box<DataFusionError>,
    },
    /// No such table.
    #[error("there is no table `{table}`")]
    UnknownTable {
        /// Layer and name, as asked for.
        table: String,
    },
}

impl Error {
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Location { .. } | Self::UnknownTable { .. } | Self::Spill { .. } => {
                ErrorKind::Config
            }
            // A log entry that is gone will not come back; one that did not read may.
            Self::Log { source: None, .. } | Self::Content { .. } => ErrorKind::Data,
            Self::Commit { source, .. } if is_lost_race(source) => ErrorKind::Conflict,
            Self::Contended { .. } => ErrorKind::Conflict,
            Self::Query { source } => query_kind(source),
            // A file that a version refers to does not come back once it is gone.
            Self::File { source, .. } if is_missing(source.as_ref()) => ErrorKind::Data,
            Self::Open { .. }
            | Self::Commit { .. }
            | Self::Write { .. }
            | Self::Log { .. }
            | Self::File { .. }
            | Self::Landing { .. } => ErrorKind::Transient,
        }
    }

    pub(crate) fn query(source: DataFusionError) -> Self {
        Self::Query { source: Box::new(source) }
    }
}

/// Whether a query failed by itself or because its tables could not be read.
fn query_kind(source: &DataFusionError) -> ErrorKind {
    match source.find_root() {
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => ErrorKind::Transient,
        DataFusionError::External(cause) => {
            cause.downcast_ref::<Error>().map_or(ErrorKind::Config, Error::kind)
        }
        _ => ErrorKind::Config,
    }
}

fn is_missing(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(source.downcast_ref(), Some(object_store::Error::NotFound { .. }))
}

/// Whether another writer came first.
fn is_lost_race(error: &DeltaTableError) -> bool {
    use deltalake_core::kernel::transaction::TransactionError;
    match error {
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::CommitConflict(_)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::VersionAlreadyExists(_)
        ),
        DeltaTableError::VersionAlreadyExists(_) => true,
        _ => false,
    }
}
