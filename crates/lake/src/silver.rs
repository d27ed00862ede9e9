//! Silver: every revision of every bar, and the rows that could not become one, with the reason.

pub(crate) mod bar;
pub(crate) mod quarantine;
pub(crate) mod series;
pub(crate) mod source_row;
pub(crate) mod versioned;
mod write;

use std::str::FromStr;

use crate::schema::bar_key;

/// What an intraday row of a feed means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semantics {
    /// Decide for each symbol and session by the rows themselves.
    #[default]
    Auto,
    /// A row is a reading: the day's values so far, cumulative volume.
    Reading,
    /// A row is a bar of its interval.
    Bar,
}

impl FromStr for Semantics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "reading" => Ok(Self::Reading),
            "bar" => Ok(Self::Bar),
            _ => Err(format!("`{text}` is no row semantics; known are auto, reading, bar")),
        }
    }
}

/// Returns the columns that all revisions of a row share; none for a table without revisions.
pub(crate) fn revision_key(table: &str) -> Vec<&'static str> {
    match table {
        "bar" => bar_key().collect(),
        _ => versioned::key(table).to_vec(),
    }
}

/// What became of the bronze rows a step looked at: `rows = new + restated + unchanged +
/// superseded + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub rows: u64,
    /// First row of its key.
    pub new: u64,
    /// Another value than the latest one of its key.
    pub restated: u64,
    /// The value already known.
    pub unchanged: u64,
    /// Fetched before the latest known row of its key; it says nothing new.
    pub superseded: u64,
    /// In quarantine, with the reason.
    pub rejected: u64,
}

/// What a row meant for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    New,
    Restated,
    Unchanged,
    Superseded,
}

impl Counts {
    pub(crate) fn count(&mut self, outcome: Outcome) {
        self.rows += 1;
        match outcome {
            Outcome::New => self.new += 1,
            Outcome::Restated => self.restated += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Superseded => self.superseded += 1,
        }
    }

    pub(crate) fn reject(&mut self) {
        self.rows += 1;
        self.rejected += 1;
    }

    /// Returns the counts as commit metrics, for people who read the table's history.
    pub(crate) fn metrics(&self, source_version: u64) -> Vec<(String, serde_json::Value)> {
        [
            ("marketlake.source_version", source_version),
            ("marketlake.rows", self.rows),
            ("marketlake.new", self.new),
            ("marketlake.restated", self.restated),
            ("marketlake.unchanged", self.unchanged),
            ("marketlake.superseded", self.superseded),
            ("marketlake.rejected", self.rejected),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
    }
}
