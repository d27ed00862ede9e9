//! Everything that can stop a loader, with what was being done and to what.

use std::convert::Infallible;

use model::{ErrorKind, HintError};

use crate::{
    object::ObjectProblem,
    target::{BatchId, TargetError},
};

/// Why a loader stopped. `E` is the target's own error; without a target there is none.
///
/// A line that is no envelope is no error: it becomes a row that says so.
#[derive(Debug, thiserror::Error)]
pub enum Error<E = Infallible>
where
    E: std::error::Error + Send + Sync + 'static,
{
    /// The object store refused or did not answer.
    #[error("{action} `{key}`")]
    Store {
        /// What was being done, such as `reading`.
        action: &'static str,
        /// The object, or the prefix listed.
        key: String,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
    /// A queue of hints refused or did not answer.
    #[error("{action} hints of new files")]
    Hints {
        /// What was being done: `receiving`, or `deleting`.
        action: &'static str,
        /// What the queue said.
        #[source]
        source: HintError,
    },
    /// More partitions landed than one loader looks at.
    #[error(
        "topic `{topic}` has {found} partitions in the landing zone, and a loader looks at {max} at most; each costs a request per poll"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many there are.
        found: usize,
        /// How many are read.
        max: usize,
    },
    /// A landing object is not what its footer says.
    #[error("checking landing object `{key}`")]
    Object {
        /// The object.
        key: String,
        /// What does not match.
        #[source]
        source: ObjectProblem,
    },
    /// An object of a plan is gone, or holds other rows than when it was planned.
    #[error(
        "landing object `{key}` of batch {batch} is gone or not the one that was planned; put the planned object back, nothing else can repeat this batch"
    )]
    Changed {
        /// The object.
        key: String,
        /// The batch whose plan names it.
        batch: BatchId,
    },
    /// A file of the loader's state cannot be used.
    #[error("loader state `{key}` cannot be used: {problem}")]
    State {
        /// The file.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The target and the loader's state do not belong together.
    #[error("pipeline `{pipeline}`: {problem}; {remedy}")]
    Disagreement {
        /// The pipeline.
        pipeline: String,
        /// How the two differ.
        problem: String,
        /// What an operator can do.
        remedy: &'static str,
    },
    /// Settings or schema make no sense, or differ from those the pipeline began with.
    #[error("loader settings of pipeline `{pipeline}`: {problem}")]
    Settings {
        /// The pipeline.
        pipeline: String,
        /// All problems.
        problem: String,
    },
    /// Other loaders of the same pipeline were faster every time.
    #[error("other loaders of the pipeline came first {attempts} times in a row")]
    Contended {
        /// How often this loader tried.
        attempts: u32,
    },
    /// Columns could not be built from decoded rows.
    #[error("building columns of landing object `{key}`")]
    Columns {
        /// The object.
        key: String,
        /// What Arrow said.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A worker thread died.
    #[error("worker for landing object `{key}` died")]
    Worker {
        /// The object it worked on.
        key: String,
        /// How it died.
        #[source]
        source: tokio::task::JoinError,
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
            Self::Store { source, .. } => store_kind(source),
            Self::Hints { source, .. } => source.kind,
            Self::Object { .. }
            | Self::Changed { .. }
            | Self::State { .. }
            | Self::Disagreement { .. } => ErrorKind::Data,
            Self::Settings { .. } | Self::Partitions { .. } => ErrorKind::Config,
            Self::Contended { .. } => ErrorKind::Conflict,
            Self::Columns { .. } | Self::Worker { .. } => ErrorKind::Internal,
            Self::Target(error) => error.kind,
        }
    }
}

impl Error {
    /// Returns the same error where a target could have failed too.
    #[must_use]
    pub fn widen<E>(self) -> Error<E>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        match self {
            Self::Store { action, key, source } => Error::Store { action, key, source },
            Self::Hints { action, source } => Error::Hints { action, source },
            Self::Partitions { topic, found, max } => Error::Partitions { topic, found, max },
            Self::Object { key, source } => Error::Object { key, source },
            Self::Changed { key, batch } => Error::Changed { key, batch },
            Self::State { key, problem } => Error::State { key, problem },
            Self::Disagreement { pipeline, problem, remedy } => {
                Error::Disagreement { pipeline, problem, remedy }
            }
            Self::Settings { pipeline, problem } => Error::Settings { pipeline, problem },
            Self::Contended { attempts } => Error::Contended { attempts },
            Self::Columns { key, source } => Error::Columns { key, source },
            Self::Worker { key, source } => Error::Worker { key, source },
            Self::Target(error) => match error.source {},
        }
    }
}

fn store_kind(error: &object_store::Error) -> ErrorKind {
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. }
        | object_store::Error::NotSupported { .. }
        | object_store::Error::NotImplemented { .. }
        | object_store::Error::InvalidPath { .. }
        | object_store::Error::UnknownConfigurationKey { .. } => ErrorKind::Config,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
            ErrorKind::Conflict
        }
        _ => ErrorKind::Transient,
    }
}
