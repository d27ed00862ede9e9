//! What can go wrong between the vendor and the landing zone, and what it asks of the caller.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use model::{Dataset, ErrorKind};

use crate::{marketstack::FetchFailure, topic::kafka::KafkaFailure};

/// A failure of this crate. No variant ever carries an access key or a URL with its query.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot work.
    #[error("checking the setting `{setting}`: {problem}")]
    Settings {
        /// The setting's path, such as `source.base_url`.
        setting: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The access key could not be resolved.
    #[error("reading the vendor's access key")]
    AccessKey {
        /// Whether the secret scope may answer later.
        kind: ErrorKind,
        /// What the secret scope said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The vendor refuses this account or this request for good.
    #[error(
        "asking the vendor for `{dataset}`: refused with `{code}` (HTTP {status}) `{message}`; {remedy}"
    )]
    Refused {
        /// What was asked for.
        dataset: Dataset,
        /// The HTTP status.
        status: u16,
        /// The vendor's error code.
        code: String,
        /// The vendor's text, shortened.
        message: String,
        /// What the operator can do about it.
        remedy: &'static str,
    },
    /// The vendor's monthly quota is used up.
    #[error("asking the vendor for `{dataset}`: the monthly quota is used up until `{ts_reset}`")]
    QuotaExhausted {
        /// What was asked for.
        dataset: Dataset,
        /// When a new month of quota begins.
        ts_reset: DateTime<Utc>,
    },
    /// A page did not arrive, or did not hold what a page must hold.
    #[error("fetching `{dataset}` from row {offset} on")]
    Fetch {
        /// What was asked for.
        dataset: Dataset,
        /// The page's first row within the window.
        offset: u64,
        /// How long the vendor asked us to wait.
        retry_after: Option<Duration>,
        /// What was wrong.
        source: FetchFailure,
    },
    /// The rows of a window kept moving while its pages were read.
    #[error(
        "fetching `{dataset}`: the window changed under {restarts} scans in a row, last fetch {fetch_id}: {problem}"
    )]
    Unstable {
        /// What was asked for.
        dataset: Dataset,
        /// The last fetch that tried.
        fetch_id: u64,
        /// How many scans were begun.
        restarts: u32,
        /// Why the last one was refused.
        problem: String,
    },
    /// The poller's state database refused an operation.
    #[error("{doing} in the state database `{}`", path.display())]
    State {
        /// What was being done.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// The poller's state database holds something this release did not write.
    #[error("{doing} in the state database `{}`: {problem}", path.display())]
    StateBroken {
        /// What was being done.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A topic may not be named so, or a record may not be that large.
    #[error("appending to topic `{topic}`: {problem}")]
    Append {
        /// The topic as given.
        topic: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The embedded topic's database refused an operation; nothing of it was kept.
    #[error("{doing} in the topic database `{}`: {remedy}", path.display())]
    Topic {
        /// What was being done.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// What an operator can do about it.
        remedy: &'static str,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// The embedded topic's database holds something this release did not write.
    #[error("{doing} in the topic database `{}`: {problem}", path.display())]
    TopicBroken {
        /// What was being done.
        doing: &'static str,
        /// The database file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A Kafka cluster did not do what was asked of it.
    #[error("{doing} topic `{topic}` of the Kafka cluster at `{servers}`")]
    Kafka {
        /// What was being done.
        doing: &'static str,
        /// The topic.
        topic: String,
        /// The cluster's brokers, as configured.
        servers: String,
        /// Why not.
        source: KafkaFailure,
    },
    /// Work on a blocking thread ended without a result.
    #[error("{doing}: the task was lost")]
    TaskLost {
        /// What was being done.
        doing: &'static str,
        /// A panic or the end of the runtime.
        source: tokio::task::JoinError,
    },
    /// The landing store refused an operation, or its outcome could not be found out.
    #[error("{doing} `{key}` in the landing store")]
    LandingStore {
        /// What was being done.
        doing: &'static str,
        /// The object or prefix.
        key: String,
        /// The store's answer.
        source: object_store::Error,
    },
    /// The store that pollers share refused an operation, or its outcome could not be found out.
    #[error("{doing} `{key}` in the store that pollers share")]
    PollStore {
        /// What was being done.
        doing: &'static str,
        /// The object or prefix.
        key: String,
        /// The store's answer.
        source: object_store::Error,
    },
    /// An object that pollers share is not what its writer wrote.
    #[error("reading `{key}` in the store that pollers share: {problem}")]
    PollObject {
        /// The object.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another poller has the shard now, or this one cannot be sure that it still has it.
    #[error("polling shard {shard}: {problem}; it is left to whoever holds its lease")]
    ShardLost {
        /// The shard.
        shard: u32,
        /// How it was noticed.
        problem: &'static str,
    },
    /// A landing object is not what its name and footer say.
    #[error("reading landing object `{key}`: {problem}")]
    LandingObject {
        /// The object.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The topic is not the one that was landed so far.
    #[error(
        "landing topic `{topic}`, partition {partition}, from offset {next} on: DIVERGED, {problem}; new generations were opened for that already, and it happened again: find out what changes the topic, then start again"
    )]
    Diverged {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// The offset after the last landed one.
        next: u64,
        /// How it was noticed.
        problem: String,
    },
    /// The topic answers what no log does.
    #[error(
        "reading topic `{topic}`, partition {partition}, from offset {next} on: it answered offset {offset} out of order; nothing of that answer landed. Check the cluster's health, then start again"
    )]
    TopicDisorder {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// The offset that was asked for.
        next: u64,
        /// The offset that was answered.
        offset: u64,
    },
    /// The topic dropped records before they landed, and the policy is to stop.
    #[error(
        "landing topic `{topic}`, partition {partition}: the topic dropped offsets {next} to {first_offset} (exclusive) before they landed; fetch their windows again, and set `landing.on_gap` to `record` to land on behind the gap"
    )]
    RecordsGone {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// The first offset that is gone.
        next: u64,
        /// The first offset that is left.
        first_offset: u64,
    },
    /// A file of the data folder could not be used.
    #[error("{doing} `{}`", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::AccessKey { kind, .. } => *kind,
            Self::Settings { .. }
            | Self::Refused { .. }
            | Self::QuotaExhausted { .. }
            | Self::File { .. } => ErrorKind::Config,
            Self::Fetch { .. } | Self::Unstable { .. } => ErrorKind::Transient,
            Self::State { source, .. } | Self::Topic { source, .. } => sqlite_kind(source),
            Self::Kafka { source, .. } => source.kind(),
            Self::LandingStore { source, .. } | Self::PollStore { source, .. } => {
                store_kind(source)
            }
            Self::ShardLost { .. } => ErrorKind::Conflict,
            Self::StateBroken { .. }
            | Self::Append { .. }
            | Self::TopicBroken { .. }
            | Self::LandingObject { .. }
            | Self::PollObject { .. }
            | Self::Diverged { .. }
            | Self::TopicDisorder { .. }
            | Self::RecordsGone { .. } => ErrorKind::Data,
            Self::TaskLost { .. } => ErrorKind::Internal,
        }
    }

    /// Returns whether a client with newly read secrets may succeed.
    pub(crate) const fn may_be_old_secrets(&self) -> bool {
        matches!(self, Self::Kafka { source, .. } if source.may_be_old_secrets())
    }

    /// Returns whether the topic holds bytes that cannot be read, behind others that could.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(self, Self::Kafka { source: KafkaFailure::Damaged { .. }, .. })
    }

    /// Returns how long the other side asked us to wait before the next try.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Returns what a failure of SQLite asks of the caller.
pub(crate) fn sqlite_kind(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => {
            ErrorKind::Transient
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Data,
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            ErrorKind::Config
        }
        Some(ErrorCode::SystemIoFailure) => ErrorKind::Transient,
        _ => ErrorKind::Internal,
    }
}

/// Returns what a failure of the landing store asks of the caller.
pub(crate) fn store_kind(error: &object_store::Error) -> ErrorKind {
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. }
        | object_store::Error::NotSupported { .. }
        | object_store::Error::NotImplemented { .. }
        | object_store::Error::UnknownConfigurationKey { .. } => ErrorKind::Config,
        object_store::Error::InvalidPath { .. } => ErrorKind::Internal,
        _ => ErrorKind::Transient,
    }
}
