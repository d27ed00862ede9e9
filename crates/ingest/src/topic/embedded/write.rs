//! Appending: records are grouped and packed first, placed in one transaction afterwards.

use std::{collections::BTreeMap, num::NonZeroU32};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::{
    batch::{PackedBatch, Place, pack},
    database::Failure,
    read::{Topic, find_topic, from_db, to_db},
};
use crate::topic::{NewRecord, partitioner::partition_of};

/// An append without its offsets.
#[derive(Debug)]
pub(super) struct Prepared {
    topic: String,
    partitions: u32,
    /// Kept until the transaction has confirmed the number of partitions.
    records: Vec<NewRecord>,
    batches: Vec<(u32, Vec<PackedBatch>)>,
}

/// Groups the records by partition and packs them, all outside the write transaction.
pub(super) fn prepare(
    connection: &Connection,
    topic: String,
    partitions_new: NonZeroU32,
    records: Vec<NewRecord>,
) -> Result<Prepared, Failure> {
    let found = find_topic(connection, &topic)?;
    let partitions = found.map_or(partitions_new.get(), |topic| topic.partitions);
    let batches = pack_by_partition(partitions, &records)?;
    Ok(Prepared { topic, partitions, records, batches })
}

fn pack_by_partition(
    partitions: u32,
    records: &[NewRecord],
) -> Result<Vec<(u32, Vec<PackedBatch>)>, Failure> {
    let mut groups = BTreeMap::<u32, Vec<&NewRecord>>::new();
    for record in records {
        let partition = partition_of(record.key.as_bytes(), partitions);
        groups.entry(partition).or_default().push(record);
    }
    let packed = |group: Vec<&NewRecord>| {
        pack(&group).map_err(|error| Failure::Broken(format!("records do not compress: {error}")))
    };
    groups.into_iter().map(|(partition, group)| Ok((partition, packed(group)?))).collect()
}

/// Places a prepared append. All of it becomes readable with the commit, or nothing.
pub(super) fn append(
    connection: &mut Connection,
    mut prepared: Prepared,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let topic = find_or_create(&transaction, &prepared)?;
    if topic.partitions != prepared.partitions {
        // Another process created the topic meanwhile, with another number of partitions.
        prepared.batches = pack_by_partition(topic.partitions, &prepared.records)?;
    }
    for (partition, batches) in &prepared.batches {
        place_batches(&transaction, &topic, (&prepared.topic, *partition), (batches, now))?;
    }
    transaction.commit()?;
    Ok(())
}

fn find_or_create(transaction: &Transaction<'_>, prepared: &Prepared) -> Result<Topic, Failure> {
    if let Some(found) = find_topic(transaction, &prepared.topic)? {
        return Ok(found);
    }
    transaction.execute(
        "INSERT INTO topic (name, partitions) VALUES (?1, ?2)",
        (&prepared.topic, prepared.partitions),
    )?;
    let id = transaction.last_insert_rowid();
    for partition in 0..prepared.partitions {
        transaction.execute(
            "INSERT INTO partition (topic_id, partition, first_offset, next_offset)
             VALUES (?1, ?2, 0, 0)",
            (id, partition),
        )?;
    }
    Ok(Topic { id, partitions: prepared.partitions })
}

fn place_batches(
    transaction: &Transaction<'_>,
    topic: &Topic,
    (name, partition): (&str, u32),
    (batches, now): (&[PackedBatch], DateTime<Utc>),
) -> Result<(), Failure> {
    let next: Option<i64> = transaction
        .prepare_cached("SELECT next_offset FROM partition WHERE topic_id = ?1 AND partition = ?2")?
        .query_row((topic.id, partition), |row| row.get(0))
        .optional()?;
    let next = next.ok_or_else(|| {
        Failure::Broken(format!("topic `{name}` lacks its partition {partition}"))
    })?;
    let mut next_offset = from_db(next)?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO batch (topic_id, partition, first_offset, count, ts_us, checksum, frame)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for batch in batches {
        let place = Place { topic: name, partition, first_offset: next_offset, count: batch.count };
        insert.execute((
            topic.id,
            partition,
            to_db(next_offset)?,
            batch.count,
            now.timestamp_micros(),
            batch.checksum(&place),
            &batch.frame,
        ))?;
        next_offset = next_offset.saturating_add(u64::from(batch.count));
    }
    transaction
        .prepare_cached(
            "UPDATE partition SET next_offset = ?3 WHERE topic_id = ?1 AND partition = ?2",
        )?
        .execute((topic.id, partition, to_db(next_offset)?))?;
    Ok(())
}
