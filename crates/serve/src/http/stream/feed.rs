//! What the live stream reads: the rows each version of `silver.bar` added, as events with ids
//! that mean the same after a restart.

use std::{fmt, num::ParseIntError, str::FromStr};

use async_trait::async_trait;
use lake::Change;

use crate::{
    Error,
    http::{
        rows::{Columns, text_at},
        wire::BarChange,
    },
};

pub(super) const TABLE: &str = "silver.bar";

/// Where changed bars come from. The lake's reader is one; tests bring their own.
#[async_trait]
pub trait BarFeed: fmt::Debug + Send + Sync {
    /// Returns the newest version of `silver.bar`.
    ///
    /// # Errors
    /// The table cannot be read.
    async fn version(&self) -> Result<u64, lake::Error>;

    /// Returns what versions after `after` added, oldest first and in the same order every time.
    ///
    /// # Errors
    /// The table cannot be read, or those versions are no longer known.
    async fn changes(&self, after: u64) -> Result<Vec<Change>, lake::Error>;
}

#[async_trait]
impl BarFeed for lake::Reader {
    async fn version(&self) -> Result<u64, lake::Error> {
        Self::version(self, TABLE).await
    }

    async fn changes(&self, after: u64) -> Result<Vec<Change>, lake::Error> {
        Self::changes(self, TABLE, after).await
    }
}

/// A place in the stream: `index` rows of `version` and everything before it are behind it.
///
/// Rows are counted from 1, so `7-0` is the place before the first row of version 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventId {
    pub(super) version: u64,
    pub(super) index: u64,
}

impl EventId {
    /// The place behind all of `version`.
    pub(super) const fn after_version(version: u64) -> Self {
        Self { version: version.saturating_add(1), index: 0 }
    }

    /// The newest version that is wholly behind this place.
    pub(super) const fn version_behind(self) -> u64 {
        self.version.saturating_sub(1)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.index)
    }
}

impl FromStr for EventId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (version, index) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { version: version.parse()?, index: index.parse()? })
    }
}

/// One changed bar, ready to send to any number of clients.
#[derive(Debug)]
pub(super) struct BarEvent {
    pub(super) id: EventId,
    pub(super) symbol: String,
    /// The event's data, a JSON object.
    pub(super) json: String,
}

/// Turns the rows of one version into events. The ids follow the order of the rows.
pub(super) fn read_events(change: &Change) -> Result<Vec<BarEvent>, Error> {
    let mut events = Vec::new();
    let mut index = 0_u64;
    for rows in &change.rows {
        let columns = Columns::new(TABLE, rows);
        let (symbol, mic) = (columns.text("symbol")?, columns.text("mic")?);
        let interval = columns.text("interval")?;
        let (ts_start, ts_end) = (columns.moments("ts_start")?, columns.moments("ts_end")?);
        let (open, high) = (columns.prices("open")?, columns.prices("high")?);
        let (low, close) = (columns.prices("low")?, columns.prices("close")?);
        let (volume, revision) = (columns.volumes("volume")?, columns.integers("revision")?);
        for row in 0..rows.num_rows() {
            index += 1;
            let bar = BarChange {
                symbol: text_at(&symbol, row).ok_or_else(|| columns.shape("symbol"))?,
                mic: text_at(&mic, row).unwrap_or_default(),
                interval: text_at(&interval, row).ok_or_else(|| columns.shape("interval"))?,
                ts_start: ts_start.get(row).ok_or_else(|| columns.shape("ts_start"))?,
                ts_end: ts_end.get(row).ok_or_else(|| columns.shape("ts_end"))?,
                open: open.get(row).ok_or_else(|| columns.shape("open"))?,
                high: high.get(row).ok_or_else(|| columns.shape("high"))?,
                low: low.get(row).ok_or_else(|| columns.shape("low"))?,
                close: close.get(row).ok_or_else(|| columns.shape("close"))?,
                volume: volume.get(row),
                revision: revision.value(row),
            };
            let json = serde_json::to_string(&bar).map_err(|_| columns.shape("symbol"))?;
            let id = EventId { version: change.version, index };
            events.push(BarEvent { id, symbol: bar.symbol, json });
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_survives_the_way_to_a_client_and_back() {
        for text in ["0-0", "7-3", "18446744073709551615-18446744073709551615"] {
            assert_eq!(text.parse::<EventId>().unwrap().to_string(), text);
        }
        for text in ["", "7", "7-", "-3", "a-1", "1-a", "1-2-3", "18446744073709551616-0"] {
            assert!(text.parse::<EventId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_place_behind_a_version_comes_before_the_next_ones_first_row() {
        let behind = EventId::after_version(7);
        assert_eq!(behind.version_behind(), 7);
        assert!(EventId { version: 7, index: u64::MAX } < behind);
        assert!(behind < EventId { version: 8, index: 1 });
    }
}
