//! A topic in memory that can do what brokers do to us: skip offsets, drop and lose records.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::DateTime;
use ingest::{
    Error,
    topic::{Fetched, NewRecord, Record, TopicReader, TopicWriter, partitioner::partition_of},
};

/// One partition's log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) records: Vec<Record>,
}

/// Topics in memory, each with the same number of partitions.
#[derive(Debug)]
pub(crate) struct MemoryTopic {
    partitions: u32,
    topics: Mutex<BTreeMap<String, Vec<Log>>>,
    /// Pretends to tell of truncation, and does not: a topic of Kafka that was made anew.
    pub(crate) is_silent: bool,
    /// Questions that are answered before the cluster knows its topics no more.
    answers: Mutex<Option<u32>>,
}

impl MemoryTopic {
    pub(crate) fn new(partitions: u32) -> Self {
        Self {
            partitions,
            topics: Mutex::new(BTreeMap::new()),
            is_silent: false,
            answers: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Log>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the logs of a topic as they are now.
    pub(crate) fn logs(&self, topic: &str) -> Vec<Log> {
        self.lock().get(topic).cloned().unwrap_or_default()
    }

    /// Changes a partition's log behind everybody's back.
    pub(crate) fn tamper(&self, topic: &str, partition: u32, change: impl FnOnce(&mut Log)) {
        let mut topics = self.lock();
        change(&mut topics.get_mut(topic).expect("a topic")[partition as usize]);
    }

    /// Deletes a topic with all it holds.
    pub(crate) fn remove(&self, topic: &str) {
        self.lock().remove(topic);
    }

    /// From now on answers so many questions, and then as a cluster that does not know its topics.
    pub(crate) fn set_answers(&self, answers: Option<u32>) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    /// Returns whether the next question is answered.
    fn is_known(&self) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = answers.as_mut() else { return true };
        let is_known = 0 < *left;
        *left = left.saturating_sub(1);
        is_known
    }

    fn with<T>(&self, topic: &str, partition: u32, look: impl FnOnce(&Log) -> T) -> T {
        let (is_known, topics) = (self.is_known(), self.lock());
        let log = topics.get(topic).and_then(|logs| logs.get(partition as usize));
        let log = log.filter(|_| is_known);
        look(log.unwrap_or(&Log::default()))
    }
}

#[async_trait]
impl TopicWriter for MemoryTopic {
    async fn append(&self, topic: &str, records: Vec<NewRecord>) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let mut topics = self.lock();
        let logs = topics
            .entry(topic.to_owned())
            .or_insert_with(|| vec![Log::default(); self.partitions as usize]);
        for NewRecord { key, value, headers } in records {
            let log = &mut logs[partition_of(key.as_bytes(), self.partitions) as usize];
            let (offset, ts) = (log.next, DateTime::UNIX_EPOCH);
            log.records.push(Record { offset, key, ts, headers, value });
            log.next += 1;
        }
        Ok(())
    }
}

#[async_trait]
impl TopicReader for MemoryTopic {
    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        let is_there = self.is_known() && self.lock().contains_key(topic);
        Ok(if is_there { self.partitions } else { 0 })
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from_offset: u64,
        bytes_max: u64,
    ) -> Result<Fetched, Error> {
        Ok(self.with(topic, partition, |log| {
            if !(log.first..=log.next).contains(&from_offset) {
                return Fetched::OutOfRange { first_offset: log.first, next_offset: log.next };
            }
            let start = log.records.partition_point(|record| record.offset < from_offset);
            let mut bytes = 0;
            let fits = |record: &&Record| {
                let is_first = bytes == 0;
                bytes += record.content_bytes();
                bytes <= bytes_max || is_first
            };
            Fetched::Records(log.records[start..].iter().take_while(fits).cloned().collect())
        }))
    }

    async fn end_offset(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        Ok(self.with(topic, partition, |log| log.next))
    }

    fn tells_of_truncation(&self) -> bool {
        self.is_silent
    }

    async fn wait(&self, topic: &str, positions: &[u64], _: Duration) -> Result<(), Error> {
        // Bounded: whatever the caller waits for, its other half runs in the same task.
        for _ in 0..1000 {
            let position = |index| positions.get(index).copied().unwrap_or(0);
            if self.logs(topic).iter().enumerate().any(|(at, log)| position(at) < log.next) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
