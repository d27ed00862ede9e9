//! The embedded topic: a durable log in one SQLite file, for one machine.
//!
//! One row of the database is one batch of records, never one record. Appends run in one immediate
//! transaction each, so any number of processes may share the file and offsets rise without holes.
//! An acknowledged append survives `kill -9` of every process; with [`Durability::PowerSafe`] it
//! survives the loss of power as well.

mod batch;
mod database;
mod lease;
mod read;
mod retention;
mod write;

use std::{num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use model::{Clock, landing::LandingKey};
use tokio::sync::Notify;

pub use lease::Lease;
pub use retention::{Dropped, Retention};

use self::database::Database;
use crate::{
    error::Error,
    topic::{Fetched, NewRecord, TopicReader, TopicWriter},
};

/// How often a waiting reader looks for appends of other processes, 50 ms: a twentieth of the
/// freshness promised, for 20 look-ups a second of some microseconds each. Appends of this process
/// wake it at once.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What an acknowledged append survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of every process. The operating system must write its cache back by itself.
    #[default]
    KillSafe,
    /// The loss of power as well: every append waits for the disk.
    PowerSafe,
}

/// The settings of an embedded topic.
#[derive(Clone, Debug)]
pub struct EmbeddedTopicConfig {
    /// Partitions of a topic that does not exist yet; existing topics keep theirs.
    pub partitions: NonZeroU32,
    /// What an acknowledged append survives.
    pub durability: Durability,
    /// How long an operation waits for another process to finish its transaction.
    pub busy_timeout: Duration,
}

impl Default for EmbeddedTopicConfig {
    /// One partition, safe against `kill -9`. Ten seconds of waiting are a thousand appends of
    /// another process: longer means that it hangs.
    fn default() -> Self {
        Self {
            partitions: NonZeroU32::MIN,
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(10),
        }
    }
}

/// Topics in one SQLite file. Share one instance within a process, so that readers are woken.
#[derive(Debug)]
pub struct EmbeddedTopic {
    database: Database,
    partitions_new: NonZeroU32,
    clock: Arc<dyn Clock>,
    appended: Notify,
}

impl EmbeddedTopic {
    /// Opens the database at `path`, and creates it if there is none. The folder must exist.
    ///
    /// # Errors
    /// The file cannot be opened or is no topic database of this or an older release.
    pub async fn open(
        path: &Path,
        config: &EmbeddedTopicConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let database = Database::open(path, config, clock.as_ref()).await?;
        let partitions_new = config.partitions;
        Ok(Self { database, partitions_new, clock, appended: Notify::new() })
    }

    /// Takes or renews the lease of `owner` on a partition for `ttl`.
    ///
    /// Leases spread readers over partitions. Nothing depends on them: a reader without one does
    /// only work that somebody else does as well.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn try_lease(
        &self,
        topic: &str,
        partition: u32,
        owner: &str,
        ttl: Duration,
    ) -> Result<Lease, Error> {
        let (topic, owner, now) = (topic.to_owned(), owner.to_owned(), self.clock.now());
        self.database
            .write("leasing a partition", move |connection| {
                lease::try_lease(connection, &topic, partition, &owner, (now, ttl))
            })
            .await
    }

    /// Gives the lease of `owner` back; nothing happens if it has none.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn release_lease(
        &self,
        topic: &str,
        partition: u32,
        owner: &str,
    ) -> Result<(), Error> {
        let (topic, owner) = (topic.to_owned(), owner.to_owned());
        self.database
            .write("releasing a lease", move |connection| {
                lease::release(connection, &topic, partition, &owner)
            })
            .await
    }

    /// Drops old batches of `topic`, whole ones only.
    ///
    /// `landed` holds the next offset to land per partition; batches at or behind it stay, and so
    /// does the batch before it, by which the lander recognises the topic. A partition without an
    /// entry counts as not landed at all. Only `retention.force` drops regardless.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn retain(
        &self,
        topic: &str,
        landed: &[u64],
        retention: Retention,
    ) -> Result<Dropped, Error> {
        let (topic, landed, now) = (topic.to_owned(), landed.to_vec(), self.clock.now());
        self.database
            .write("dropping old batches", move |connection| {
                retention::retain(connection, &topic, &landed, (retention, now))
            })
            .await
    }

    async fn ends(&self, topic: &str) -> Result<Vec<u64>, Error> {
        let topic = topic.to_owned();
        self.database
            .read("reading end offsets", move |connection| read::ends(connection, &topic))
            .await
    }
}

/// Refuses what no implementation of a topic could take.
fn check_append(topic: &str, records: &[NewRecord]) -> Result<(), Error> {
    let refuse = |problem| Err(Error::Append { topic: topic.to_owned(), problem });
    if !LandingKey::is_topic_name(topic) {
        return refuse("a topic has 1 to 64 characters of `A-Z a-z 0-9 . _ -`".to_owned());
    }
    match records.iter().find(|record| batch::RECORD_BYTES_MAX < record.content_bytes()) {
        Some(record) => refuse(format!(
            "the record of `{}` has {} bytes, at most {} are possible",
            record.key,
            record.content_bytes(),
            batch::RECORD_BYTES_MAX
        )),
        None => Ok(()),
    }
}

#[async_trait]
impl TopicWriter for EmbeddedTopic {
    async fn append(&self, topic: &str, records: Vec<NewRecord>) -> Result<(), Error> {
        check_append(topic, &records)?;
        if records.is_empty() {
            return Ok(());
        }
        let (topic, partitions_new) = (topic.to_owned(), self.partitions_new);
        let now = self.clock.now();
        let prepared = self
            .database
            .read("preparing an append", move |connection| {
                write::prepare(connection, topic, partitions_new, records)
            })
            .await?;
        self.database
            .write("appending records", move |connection| write::append(connection, prepared, now))
            .await?;
        self.appended.notify_waiters();
        Ok(())
    }
}

#[async_trait]
impl TopicReader for EmbeddedTopic {
    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        let topic = topic.to_owned();
        self.database
            .read("reading partitions", move |connection| {
                Ok(read::find_topic(connection, &topic)?.map_or(0, |topic| topic.partitions))
            })
            .await
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from_offset: u64,
        bytes_max: u64,
    ) -> Result<Fetched, Error> {
        let topic = topic.to_owned();
        self.database
            .read("reading records", move |connection| {
                read::read(connection, &topic, partition, (from_offset, bytes_max))
            })
            .await
    }

    async fn end_offset(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        let ends = self.ends(topic).await?;
        let end = usize::try_from(partition).ok().and_then(|index| ends.get(index).copied());
        Ok(end.unwrap_or(0))
    }

    async fn wait(&self, topic: &str, positions: &[u64], timeout: Duration) -> Result<(), Error> {
        let began = self.clock.monotonic();
        let mut version_seen = None;
        loop {
            // Registered before looking: an append in between ends the wait.
            let mut appended = std::pin::pin!(self.appended.notified());
            appended.as_mut().enable();
            let version = self.database.version().await?;
            if version_seen.replace(version) != Some(version) {
                let ends = self.ends(topic).await?;
                let position = |index| positions.get(index).copied().unwrap_or(0);
                if ends.iter().enumerate().any(|(index, end)| position(index) < *end) {
                    return Ok(());
                }
            }
            let passed = self.clock.monotonic().saturating_sub(began);
            let Some(left) = timeout.checked_sub(passed).filter(|left| !left.is_zero()) else {
                return Ok(());
            };
            tokio::select! {
                () = appended => (),
                () = self.clock.sleep(left.min(LOOK_EVERY)) => (),
            }
        }
    }
}

#[cfg(test)]
mod tests;
