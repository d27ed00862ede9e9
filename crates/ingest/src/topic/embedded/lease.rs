//! Partition leases: who reads what, for as long as it says so.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::database::Failure;

/// The answer to a wish for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The lease is ours until then, unless renewed.
    Ours {
        /// Its end by the clock of whoever took it.
        ts_expires: DateTime<Utc>,
    },
    /// Somebody else has it.
    Others {
        /// Who.
        owner: String,
        /// Its end by the clock of whoever took it.
        ts_expires: DateTime<Utc>,
    },
}

pub(super) fn try_lease(
    connection: &mut Connection,
    topic: &str,
    partition: u32,
    owner: &str,
    (now, ttl): (DateTime<Utc>, Duration),
) -> Result<Lease, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let held: Option<(String, i64)> = transaction
        .query_row(
            "SELECT owner, expires_us FROM lease WHERE topic = ?1 AND partition = ?2",
            (topic, partition),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((other, expires_us)) = held
        && other != owner
        && now.timestamp_micros() < expires_us
    {
        let ts_expires = DateTime::from_timestamp_micros(expires_us).unwrap_or(now);
        return Ok(Lease::Others { owner: other, ts_expires });
    }
    let ttl = chrono::TimeDelta::from_std(ttl).unwrap_or(chrono::TimeDelta::MAX);
    let ts_expires = now.checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC);
    transaction.execute(
        "INSERT INTO lease (topic, partition, owner, expires_us) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (topic, partition) DO UPDATE SET owner = ?3, expires_us = ?4",
        (topic, partition, owner, ts_expires.timestamp_micros()),
    )?;
    transaction.commit()?;
    Ok(Lease::Ours { ts_expires })
}

pub(super) fn release(
    connection: &Connection,
    topic: &str,
    partition: u32,
    owner: &str,
) -> Result<(), Failure> {
    connection.execute(
        "DELETE FROM lease WHERE topic = ?1 AND partition = ?2 AND owner = ?3",
        (topic, partition, owner),
    )?;
    Ok(())
}
