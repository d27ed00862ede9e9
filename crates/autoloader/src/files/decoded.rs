//! What reading a file brings, whatever its format: rows in columns, and everything that is no row.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use serde::{Deserialize, Serialize};

use super::schema::{Observed, is_same_name};

/// The columns a reader has to fill, and what it does with everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSchema {
    /// The data columns in their order; each is nullable. Nested types are structs, lists and maps.
    pub columns: SchemaRef,
    /// Fields that are neither read nor rescued: what the path says instead.
    pub ignored: BTreeSet<String>,
    /// Whether a field that is no column, or whose value does not fit its column, is rescued; else
    /// the former is dropped and the latter makes the record bad.
    pub is_rescuing: bool,
    /// Whether `Close` is another field than `close`.
    pub is_case_sensitive: bool,
    /// Whether it is wanted what unknown fields held, and values that did not fit, for a schema that
    /// may grow.
    pub is_observing: bool,
}

impl ReadSchema {
    /// Returns the schema of no columns, under which every field is unknown, and observed.
    #[must_use]
    pub fn without_columns(is_case_sensitive: bool) -> Self {
        Self {
            columns: Arc::new(Schema::empty()),
            ignored: BTreeSet::new(),
            is_rescuing: false,
            is_case_sensitive,
            is_observing: true,
        }
    }

    /// Whether a field of this name is neither read nor rescued.
    pub(crate) fn is_ignored(&self, field: &str) -> bool {
        let is_alike = |name: &String| !self.is_case_sensitive && is_same_name(name, field);
        self.ignored.contains(field) || self.ignored.iter().any(is_alike)
    }
}

/// What came of one stretch of a file, in the file's order.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// Rows: the columns of [`ReadSchema::columns`], then [`RESCUED`] and [`LINE`].
    pub batches: Vec<RecordBatch>,
    /// Records that are none.
    pub bad: Vec<BadRecord>,
    /// Fields that are no column and what they held, and columns whose values did not fit and what
    /// those were, as one observation of the whole record; empty unless asked for.
    pub unknown: Observed,
    /// Rows with rescued data.
    pub rows_rescued: u64,
    /// Fields that were rescued, as dotted paths, at most [`RESCUED_FIELDS_MAX`] of them: a column
    /// that comes later asks for the file again.
    pub rescued_fields: BTreeSet<String>,
}

impl Decoded {
    /// Whether the stretch brought nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.bad.is_empty() && self.unknown == Observed::Nothing
    }
}

/// Most names of rescued fields that are kept of a file: a record of more news than that is not
/// told apart by its names.
pub const RESCUED_FIELDS_MAX: usize = 1_000;

/// The column of rescued values, text: a JSON object of the fields that did not fit, values as they
/// stood in the file, **without** the file's path, which whoever knows it adds. Null when all fit.
pub const RESCUED: &str = "_rescued_data";

/// The column of the line, or record, a row began at, from 1; 64-bit, never null.
pub const LINE: &str = "_line";

/// Returns the columns that a stretch has behind those of its schema.
pub(crate) fn own_fields() -> [Field; 2] {
    [Field::new(RESCUED, DataType::Utf8, true), Field::new(LINE, DataType::Int64, false)]
}

/// A piece of a file that is no record: broken JSON, a CSV line of other columns in a strict mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRecord {
    /// The line or record, from 1.
    pub line: u64,
    /// Where it begins, in uncompressed bytes from the file's beginning.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
    /// The record, at most [`BAD_BYTES_MAX`] of it; bytes that are no text are replaced.
    pub record: String,
}

/// Longest text of a bad record that is kept: the file has the rest.
pub const BAD_BYTES_MAX: usize = 64 << 10;
