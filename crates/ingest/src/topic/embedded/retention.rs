//! Retention: old batches go, whole ones, oldest first, and never before they landed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    database::Failure,
    read::{find_topic, from_db, to_db},
};

/// Batches dropped in one call and partition: bounds the time other writers wait, to about 100 ms.
const BATCHES_MAX: usize = 1000;

/// Pages of the file given back in one call: what [`BATCHES_MAX`] small batches can free.
const PAGES_FREED_MAX: u32 = 4096;

/// How much of a topic is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Batches older than this go.
    pub age_max: Option<Duration>,
    /// The oldest batches of a partition go while it holds more than this, as stored.
    pub bytes_max: Option<u64>,
    /// Drops what has not landed as well. The lander will find a gap.
    pub force: bool,
}

/// What retention dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Batches.
    pub batches: u64,
    /// Their records.
    pub records: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
}

/// A stored batch without its frame.
#[derive(Clone, Copy, Debug)]
struct Stored {
    next_offset: u64,
    count: u64,
    ts_us: i64,
    bytes: u64,
}

/// Returns how many of the oldest batches go; `batches` is oldest first and may be cut off, `held`
/// is all that the partition holds.
fn count_to_drop(
    batches: &[Stored],
    held_bytes: u64,
    landed: u64,
    retention: Retention,
    now: DateTime<Utc>,
) -> usize {
    let oldest_kept_us = retention
        .age_max
        .and_then(|age| chrono::TimeDelta::from_std(age).ok())
        .and_then(|age| now.checked_sub_signed(age))
        .map(|ts| ts.timestamp_micros());
    let mut held_bytes = held_bytes;
    batches
        .iter()
        .take_while(|batch| {
            let is_old = oldest_kept_us.is_some_and(|oldest| batch.ts_us < oldest);
            let is_over = retention.bytes_max.is_some_and(|bytes_max| bytes_max < held_bytes);
            // The record before `landed` stays: by it the lander recognises the topic.
            let is_free = retention.force || batch.next_offset < landed;
            held_bytes = held_bytes.saturating_sub(batch.bytes);
            is_free && (is_old || is_over)
        })
        .count()
}

pub(super) fn retain(
    connection: &mut Connection,
    topic: &str,
    landed: &[u64],
    (retention, now): (Retention, DateTime<Utc>),
) -> Result<Dropped, Failure> {
    let mut dropped = Dropped::default();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(topic) = find_topic(&transaction, topic)? else {
        return Ok(dropped);
    };
    for partition in 0..topic.partitions {
        let place = (topic.id, partition);
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let landed = landed.get(index).copied().unwrap_or(0);
        let held_bytes: i64 = transaction.query_row(
            "SELECT coalesce(sum(length(frame)), 0) FROM batch
             WHERE topic_id = ?1 AND partition = ?2",
            place,
            |row| row.get(0),
        )?;
        let batches = oldest(&transaction, place)?;
        let count = count_to_drop(&batches, from_db(held_bytes)?, landed, retention, now);
        for batch in &batches[..count] {
            dropped.batches += 1;
            dropped.records += batch.count;
            dropped.bytes += batch.bytes;
        }
        if let Some(last) = batches[..count].last() {
            drop_below(&transaction, place, last.next_offset)?;
        }
    }
    transaction.commit()?;
    if dropped.batches != 0 {
        let mut vacuum =
            connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_FREED_MAX})"))?;
        let mut freed = vacuum.query(())?;
        // One row without content per freed page.
        while freed.next()?.is_some() {}
    }
    Ok(dropped)
}

fn oldest(transaction: &Transaction<'_>, place: (i64, u32)) -> Result<Vec<Stored>, Failure> {
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT first_offset, count, ts_us, length(frame) FROM batch
         WHERE topic_id = ?1 AND partition = ?2 ORDER BY first_offset LIMIT {BATCHES_MAX}"
    ))?;
    let rows = statement.query_map(place, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get(2)?, row.get::<_, u32>(3)?))
    })?;
    rows.map(|row| {
        let (first_offset, count, ts_us, bytes) = row?;
        let (count, bytes) = (u64::from(count), u64::from(bytes));
        let next_offset = from_db(first_offset)?.saturating_add(count);
        Ok(Stored { next_offset, count, ts_us, bytes })
    })
    .collect()
}

fn drop_below(
    transaction: &Transaction<'_>,
    (topic_id, partition): (i64, u32),
    offset: u64,
) -> Result<(), Failure> {
    let offset = to_db(offset)?;
    transaction.execute(
        "DELETE FROM batch WHERE topic_id = ?1 AND partition = ?2 AND first_offset < ?3",
        (topic_id, partition, offset),
    )?;
    transaction.execute(
        "UPDATE partition SET first_offset = ?3 WHERE topic_id = ?1 AND partition = ?2",
        (topic_id, partition, offset),
    )?;
    Ok(())
}
