//! Everything that can stop a stream, with what was being done and how to mend it.

use model::ErrorKind;

use super::ports::{PortError, ReadError};
use crate::target::{BatchId, TargetError};

/// Why a stream stopped. `E` is the target's own error.
#[derive(Debug, thiserror::Error)]
pub enum Error<E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    /// The stream's state could not be read or written.
    #[error("the state of stream `{stream}`")]
    State {
        /// The stream.
        stream: String,
        /// What failed.
        #[source]
        source: Box<crate::Error>,
    },
    /// The stream is told other things than when it began, or things that make no sense.
    #[error("stream `{stream}`: {problem}")]
    Settings {
        /// The stream.
        stream: String,
        /// Which, and what to do.
        problem: String,
    },
    /// The stream's state and its table do not belong together.
    #[error("stream `{stream}`: {problem}")]
    Disagreement {
        /// The stream.
        stream: String,
        /// How they differ, and what to do.
        problem: String,
    },
    /// A part that the stream asks failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A file that was loaded was overwritten, and the options say that this must not happen.
    #[error(
        "file `{path}` was overwritten after it was loaded; `overwrites` says what to do then: `ignore`, `append` or `replace`"
    )]
    Overwritten {
        /// The file.
        path: String,
    },
    /// A record is none, in mode `FAILFAST`.
    #[error("file `{path}`, line {line}, byte {offset}: {reason}; `mode` is FAILFAST")]
    BadRecord {
        /// The file.
        path: String,
        /// The line or record, from 1.
        line: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read, and keeps its place in its batch.
    #[error("reading file `{path}`")]
    File {
        /// The file.
        path: String,
        /// What happened.
        #[source]
        source: Box<ReadError>,
    },
    /// Fields came that the columns do not have, and the mode wants the stream to stop.
    #[error("{problem}")]
    Schema {
        /// Which, and what to do.
        problem: String,
    },
    /// Rows could not be put together.
    #[error("building the rows of file `{path}`")]
    Rows {
        /// The file.
        path: String,
        /// What Arrow said.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// Reading ended because the process does.
    #[error("reading file `{path}` was ended")]
    Ended {
        /// The file.
        path: String,
    },
    /// The columns grew again and again.
    #[error(
        "stream `{stream}` read batch {batch} {attempts} times, and each time its columns had grown; give a `schema`, or name the columns in `schemaHints`"
    )]
    Growing {
        /// The stream.
        stream: String,
        /// The batch.
        batch: BatchId,
        /// How often.
        attempts: u32,
    },
    /// The target failed.
    #[error(transparent)]
    Target(TargetError<E>),
}

impl<E> Error<E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::State { source, .. } => source.kind(),
            Self::Port(error) => error.kind,
            Self::File { source, .. } => source.kind(),
            Self::Settings { .. } => ErrorKind::Config,
            Self::Disagreement { .. }
            | Self::Overwritten { .. }
            | Self::BadRecord { .. }
            | Self::Schema { .. }
            | Self::Growing { .. } => ErrorKind::Data,
            Self::Rows { .. } => ErrorKind::Internal,
            Self::Ended { .. } => ErrorKind::Transient,
            Self::Target(error) => error.kind,
        }
    }
}
