//! What a stream asks of others: files that are there, their rows, and the columns of the table.

use std::{fmt, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::ErrorKind;
use tokio::sync::mpsc;

use super::{
    choice::Candidate,
    decoded::{Decoded, ReadSchema},
    format::FileProblem,
    plan::FilePlan,
    schema::Observed,
    seen::Seen,
    source_file::SourceFile,
};

/// Finds files.
#[async_trait]
pub trait Discover: Send + fmt::Debug {
    /// Looks for files that are news to `seen`. What it returns is offered until it was planned.
    ///
    /// # Errors
    /// The source could not be listed.
    async fn look(&mut self, seen: &Seen, now: DateTime<Utc>) -> Result<Vec<Candidate>, PortError>;

    /// Hears that plans are durable, and part of `seen`: what hinted at their files may be
    /// forgotten. `plan` is the only one since the last time; `None`: there may be any number.
    ///
    /// Returns the time up to which every file is planned, where a later start can use that.
    ///
    /// # Errors
    /// What hinted could not be deleted, and trying again will not mend that.
    async fn planned(
        &mut self,
        seen: &Seen,
        plan: Option<&FilePlan>,
    ) -> Result<Option<DateTime<Utc>>, PortError>;

    /// Asks the source as little as shows that it answers.
    ///
    /// # Errors
    /// It does not.
    async fn answers(&mut self) -> Result<(), PortError>;
}

/// Reads the rows of files.
#[async_trait]
pub trait ReadRows: Send + Sync + fmt::Debug {
    /// Reads exactly this version of a file and hands on its rows, stretch by stretch.
    ///
    /// Ends early, and well, when nobody takes stretches any more.
    ///
    /// # Errors
    /// What is wrong with the file, or with the way to it.
    async fn read(
        &self,
        file: &SourceFile,
        schema: Arc<ReadSchema>,
        stretches: &mpsc::Sender<Decoded>,
    ) -> Result<(), ReadError>;
}

/// One version of the table's columns.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The version.
    pub version: u64,
    /// What readers fill.
    pub read: Arc<ReadSchema>,
    /// Columns that the path spells, with the type of each.
    pub partitions: SchemaRef,
    /// The column of rescued data, if the table has one.
    pub rescued_column: Option<String>,
    /// The column of metadata, if the table has one.
    pub metadata_column: Option<String>,
}

impl Shape {
    /// Returns what files are read by as long as there are no columns: it tells which files can be
    /// read, and which hold fields.
    #[must_use]
    pub fn without_columns() -> Self {
        Self {
            version: 0,
            read: Arc::new(ReadSchema::without_columns(true)),
            partitions: Arc::new(Schema::empty()),
            rescued_column: None,
            metadata_column: None,
        }
    }
}

/// What a schema makes of fields that it did not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grown {
    /// Nothing: they were rescued or dropped, as the mode says.
    No,
    /// There is a newer version; the batch is to be read again under it.
    Yes,
    /// There is a newer version, or will be when somebody makes one, and the stream has to stop.
    Stop {
        /// What happened and what to do, for people.
        problem: String,
    },
}

/// Keeps the versions of a stream's columns.
#[async_trait]
pub trait Schemas: Send + fmt::Debug {
    /// Returns the newest version, made from `files` if there is none yet; `None`: they have no
    /// columns.
    ///
    /// A file that is gone, changed or broken is no error here: others will do. Reading it is where
    /// its fate is decided, or broken files would stop a stream at its first batch.
    ///
    /// # Errors
    /// None can be made, or read.
    async fn newest(&mut self, files: &[SourceFile]) -> Result<Option<Shape>, PortError>;

    /// Returns what [`Self::newest`] will make of `files`, and keeps nothing: whoever begins a stream
    /// learns here that its options do not fit its files. `None`: there is nothing to be made.
    ///
    /// # Errors
    /// None can be made.
    async fn prepare(&mut self, files: &[SourceFile]) -> Result<Option<Shape>, PortError>;

    /// Returns a version.
    ///
    /// # Errors
    /// It is gone, or cannot be read.
    async fn version(&mut self, version: u64) -> Result<Shape, PortError>;

    /// Decides about fields that version `of` does not have, and that were found in `files`.
    ///
    /// # Errors
    /// A new version cannot be written.
    async fn grow(
        &mut self,
        of: u64,
        unknown: &Observed,
        files: &[SourceFile],
    ) -> Result<Grown, PortError>;
}

/// A failure behind a port: what it asks of the caller, and its cause.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct PortError {
    /// What was being done.
    pub doing: String,
    /// What the failure asks of the caller.
    pub kind: ErrorKind,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Why a file's rows could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is gone.
    #[error("it is gone")]
    Missing,
    /// It holds other bytes than those that were planned.
    #[error("it was overwritten since it was planned")]
    Changed,
    /// It is no file of its format, or damaged.
    #[error("it cannot be read: {reason}")]
    Broken {
        /// Uncompressed bytes in front of the place.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// No file is read so, whatever it holds: the options and the columns do not go together, or
    /// the reader has a defect.
    #[error("no file can be read with these columns and options")]
    Refused(#[source] FileProblem),
    /// The store refused or did not answer.
    #[error("the store did not give it")]
    Store {
        /// What the failure asks of the caller.
        kind: ErrorKind,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
}

impl ReadError {
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Store { kind, .. } => *kind,
            Self::Refused(problem) => problem.kind(),
            Self::Missing | Self::Changed | Self::Broken { .. } => ErrorKind::Data,
        }
    }
}
