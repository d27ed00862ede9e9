//! Reading batches back, each checked before it is believed.

use chrono::DateTime;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    batch::{Place, unpack},
    database::Failure,
};
use crate::topic::{Fetched, Record};

/// A topic's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topic {
    pub(super) id: i64,
    pub(super) partitions: u32,
}

/// SQLite counts in `i64`; an offset beyond is no offset.
pub(super) fn to_db(offset: u64) -> Result<i64, Failure> {
    i64::try_from(offset).map_err(|_| Failure::Broken(format!("offset {offset} is out of range")))
}

pub(super) fn from_db(offset: i64) -> Result<u64, Failure> {
    u64::try_from(offset).map_err(|_| Failure::Broken(format!("offset {offset} is negative")))
}

pub(super) fn find_topic(connection: &Connection, name: &str) -> Result<Option<Topic>, Failure> {
    let found = connection
        .prepare_cached("SELECT id, partitions FROM topic WHERE name = ?1")?
        .query_row([name], |row| Ok(Topic { id: row.get(0)?, partitions: row.get(1)? }))
        .optional()?;
    Ok(found)
}

/// Returns the end offset of every partition in order; nothing for a topic that does not exist.
pub(super) fn ends(connection: &Connection, topic: &str) -> Result<Vec<u64>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT next_offset FROM partition
         WHERE topic_id = (SELECT id FROM topic WHERE name = ?1) ORDER BY partition",
    )?;
    let offsets = statement.query_map([topic], |row| row.get::<_, i64>(0))?;
    offsets.map(|offset| from_db(offset?)).collect()
}

pub(super) fn read(
    connection: &mut Connection,
    topic: &str,
    partition: u32,
    (from_offset, bytes_max): (u64, u64),
) -> Result<Fetched, Failure> {
    // One transaction: retention must not fall between the bounds and the batches.
    let transaction = connection.transaction()?;
    let bounds = match find_topic(&transaction, topic)? {
        Some(found) => bounds(&transaction, &found, partition)?.map(|bounds| (found, bounds)),
        None => None,
    };
    // Nobody has written to it yet: a partition without records, from 0 to 0.
    let Some((found, (first_offset, next_offset))) = bounds else {
        return Ok(if from_offset == 0 {
            Fetched::Records(Vec::new())
        } else {
            Fetched::OutOfRange { first_offset: 0, next_offset: 0 }
        });
    };
    if from_offset < first_offset || next_offset < from_offset {
        return Ok(Fetched::OutOfRange { first_offset, next_offset });
    }
    if from_offset == next_offset {
        return Ok(Fetched::Records(Vec::new()));
    }
    let mut selection = Selection { from_offset, bytes_max, bytes: 0, records: Vec::new() };
    select(&transaction, &found, (topic, partition), &mut selection)?;
    Ok(Fetched::Records(selection.records))
}

fn bounds(
    connection: &Connection,
    topic: &Topic,
    partition: u32,
) -> Result<Option<(u64, u64)>, Failure> {
    let found: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT first_offset, next_offset FROM partition
             WHERE topic_id = ?1 AND partition = ?2",
        )?
        .query_row((topic.id, partition), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(first, next)| Ok((from_db(first)?, from_db(next)?))).transpose()
}

/// What was asked for, and what has been found so far.
struct Selection {
    from_offset: u64,
    bytes_max: u64,
    bytes: u64,
    records: Vec<Record>,
}

impl Selection {
    /// Takes a batch's records; returns whether there is room for more.
    fn take(&mut self, batch: Vec<Record>) -> bool {
        for record in batch {
            if record.offset < self.from_offset {
                continue;
            }
            self.bytes = self.bytes.saturating_add(record.content_bytes());
            if self.bytes_max < self.bytes && !self.records.is_empty() {
                return false;
            }
            self.records.push(record);
        }
        self.bytes < self.bytes_max
    }
}

fn select(
    connection: &Connection,
    topic: &Topic,
    (name, partition): (&str, u32),
    selection: &mut Selection,
) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT first_offset, count, ts_us, checksum, frame FROM batch
         WHERE topic_id = ?1 AND partition = ?2 AND first_offset >= coalesce(
             (SELECT max(first_offset) FROM batch
              WHERE topic_id = ?1 AND partition = ?2 AND first_offset <= ?3), ?3)
         ORDER BY first_offset",
    )?;
    let from = to_db(selection.from_offset)?;
    let mut rows = statement.query((topic.id, partition, from))?;
    let mut expected = None;
    while let Some(row) = rows.next()? {
        let place = place(row, name, partition)?;
        let is_next = match expected {
            None => place.first_offset <= selection.from_offset,
            Some(expected) => place.first_offset == expected,
        };
        if !is_next {
            break;
        }
        expected = Some(place.first_offset.saturating_add(u64::from(place.count)));
        if !selection.take(records(row, &place)?) {
            break;
        }
    }
    // The bounds promised at least one record; a hole behind it is met by the next read.
    if selection.records.is_empty() {
        return Err(Failure::Broken(format!(
            "offset {} of topic `{name}`, partition {partition}, is missing; keep the file, \
             restore a copy or continue with a new `landing.generation`",
            selection.from_offset
        )));
    }
    Ok(())
}

fn place<'a>(row: &Row<'_>, topic: &'a str, partition: u32) -> Result<Place<'a>, Failure> {
    Ok(Place { topic, partition, first_offset: from_db(row.get(0)?)?, count: row.get(1)? })
}

fn records(row: &Row<'_>, place: &Place<'_>) -> Result<Vec<Record>, Failure> {
    let broken = |problem: &str| {
        Failure::Broken(format!(
            "the batch at offset {} of topic `{}`, partition {}, is damaged: {problem}; keep the \
             file, restore a copy or continue with a new `landing.generation`",
            place.first_offset, place.topic, place.partition
        ))
    };
    let ts = DateTime::from_timestamp_micros(row.get(2)?)
        .ok_or_else(|| broken("its time is out of range"))?;
    let checksum = row.get(3)?;
    let frame = row.get_ref(4)?.as_blob().map_err(|_| broken("it is no blob"))?;
    unpack(place, checksum, ts, frame).map_err(broken)
}
