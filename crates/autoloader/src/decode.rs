//! Lines become columns: every line is one row, whatever it holds.
//!
//! A line is first scanned as a whole: where each value is, and that all of it is JSON. Only then
//! is anything appended, so a row is never half there. Two ways lead to a scanned row:
//!
//! | line | way |
//! |---|---|
//! | as landing writes it | a fixed sequence of comparisons, no allocation |
//! | any other JSON envelope | `serde_json` reads the envelope, the same scanner its `data` |
//! | no envelope, or `data` is no object | a corrupt row: the line verbatim and the reason |
//!
//! The quick way gives up at the first surprise and decides nothing, so what is an envelope is
//! always `serde_json`'s answer.

use std::sync::Arc;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use chrono::{DateTime, Utc};
use model::{envelope::EnvelopeLine, landing::LandingKey};

use crate::{
    error::Error,
    object::ObjectRows,
    schema::{RowSchema, output_schema},
    target::BatchId,
};

pub(crate) mod columns;
mod envelope;
mod number;
#[cfg(test)]
mod reference;
pub(crate) mod scan;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use columns::{ColumnBuilder, Fit, Provenance, Shared};
use envelope::Head;
use scan::{FieldIndex, RowScan, Shape, Span};

pub use scan::{DEPTH_MAX, FIELDS_MAX};

/// Longest line that is decoded, unless the loader is told otherwise: 16 MiB. A longer one is kept
/// as corrupt; a vendor's row is below a kilobyte.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Most rows in one `RecordBatch`: enough to keep column buffers busy, few enough that a writer
/// can start on the first batch early.
const CHUNK_ROWS_MAX: usize = 1 << 16;

/// Line bytes after which a `RecordBatch` is closed. Together with an object's own limit this
/// keeps text columns below the 2 GiB that their 32-bit offsets can address.
const CHUNK_BYTES_MAX: usize = 64 << 20;

/// An object's rows as columns.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The rows, in the object's order.
    pub batches: Vec<RecordBatch>,
    /// Rows in all: as many as the object has lines.
    pub rows: u64,
    /// Rows of lines that are no envelope.
    pub rows_corrupt: u64,
    /// Rows with rescued data.
    pub rows_rescued: u64,
    /// When the newest row was fetched.
    pub ts_fetched_newest: Option<DateTime<Utc>>,
}

/// Turns objects into columns of one schema. Reuses its memory from row to row.
#[derive(Debug)]
pub struct Decoder {
    output: SchemaRef,
    fields: FieldIndex,
    scan: RowScan,
    columns: Vec<ColumnBuilder>,
    provenance: Provenance,
    date_key: Option<usize>,
    line_bytes_max: usize,
    scratch: String,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    corrupt: u64,
    rescued: u64,
    ts_fetched_newest: Option<i64>,
}

impl Decoder {
    /// Creates a decoder; a line longer than `line_bytes_max` is corrupt.
    #[must_use]
    pub fn new(schema: &RowSchema, line_bytes_max: usize) -> Self {
        let fields = FieldIndex::new(schema.columns.iter().map(|column| column.field.as_str()));
        let date_key = schema.date_key.as_ref();
        Self {
            output: output_schema(schema),
            scan: RowScan::new(&fields),
            fields,
            columns: schema.columns.iter().map(|column| ColumnBuilder::new(column.kind)).collect(),
            provenance: Provenance::new(),
            date_key: date_key
                .and_then(|name| schema.columns.iter().position(|column| column.name == *name)),
            line_bytes_max,
            scratch: String::new(),
            counts: Counts::default(),
        }
    }

    /// Decodes the lines of the object `key`, which is part of `batch`.
    ///
    /// # Errors
    /// [`Error::Columns`]: the schema has problems, see [`RowSchema::problems`].
    pub fn decode(
        &mut self,
        key: &LandingKey,
        object: &ObjectRows,
        batch: BatchId,
    ) -> Result<Decoded, Error> {
        let shared = Shared {
            topic: key.topic.clone(),
            // A topic's partition numbers and a pipeline's batches are far below these bounds.
            partition: i32::try_from(key.partition).unwrap_or(i32::MAX),
            file: key.to_string(),
            batch: i64::try_from(batch.0).unwrap_or(i64::MAX),
        };
        self.counts = Counts::default();
        let mut decoded = Decoded::default();
        let (mut rows, mut bytes) = (0, 0);
        let mut line_number: i64 = 0;
        // Whether all is text is asked once, not per line.
        let whole = std::str::from_utf8(object.bytes());
        let mut next = Lines { text: whole.ok(), bytes: object.bytes() };
        while let Some(line) = next.line() {
            line_number += 1;
            self.line(line, line_number, &shared.file);
            rows += 1;
            bytes += line.len();
            if CHUNK_ROWS_MAX <= rows || CHUNK_BYTES_MAX <= bytes {
                decoded.batches.push(self.finish(&shared)?);
                (rows, bytes) = (0, 0);
            }
        }
        if rows != 0 {
            decoded.batches.push(self.finish(&shared)?);
        }
        decoded.rows = line_number.unsigned_abs();
        decoded.rows_corrupt = self.counts.corrupt;
        decoded.rows_rescued = self.counts.rescued;
        decoded.ts_fetched_newest = self.counts.ts_fetched_newest.and_then(value::moment);
        Ok(decoded)
    }

    fn finish(&mut self, shared: &Shared) -> Result<RecordBatch, Error> {
        let mut arrays: Vec<_> = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        arrays.extend(self.provenance.finish(shared));
        RecordBatch::try_new(Arc::clone(&self.output), arrays)
            .map_err(|source| Error::Columns { key: shared.file.clone(), source })
    }

    /// Appends one row for `line`.
    fn line(&mut self, line: Line<'_>, number: i64, file: &str) {
        self.provenance.line.append_value(number);
        if self.line_bytes_max < line.len() {
            let limit = self.line_bytes_max;
            return self.corrupt(line, format_args!("longer than {limit} bytes"));
        }
        let text = match line {
            Line::Text(text) => text,
            Line::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => {
                    let at = error.valid_up_to();
                    return self.corrupt(line, format_args!("not UTF-8 at byte {at}"));
                }
            },
        };
        if let Some((head, start)) = Head::quick(text)
            && i64::try_from(head.offset).is_ok()
            && let Ok(end) = self.scan.scan(&self.fields, text, start)
            && text.as_bytes().get(end..) == Some(b"}")
        {
            return self.row(&head, text, Span { start, end }, file);
        }
        self.unusual_line(text, file);
    }

    /// Appends a row for a line that is not as landing writes it.
    fn unusual_line(&mut self, text: &str, file: &str) {
        let line = Line::Text(text);
        let envelope = match EnvelopeLine::parse(text.as_bytes()) {
            Ok(envelope) => envelope,
            Err(error) => return self.corrupt(line, format_args!("no envelope: {error}")),
        };
        if i64::try_from(envelope.offset).is_err() {
            return self.corrupt(line, format_args!("offset {} is out of range", envelope.offset));
        }
        let data = envelope.data.get();
        if !data.starts_with('{') {
            return self.corrupt(line, format_args!("`data` is no object"));
        }
        match self.scan.scan(&self.fields, data, 0) {
            Ok(end) => self.row(&Head::of(&envelope), data, Span { start: 0, end }, file),
            Err(error) => self.corrupt(line, format_args!("`data` is {error}")),
        }
    }

    fn corrupt(&mut self, line: Line<'_>, reason: std::fmt::Arguments<'_>) {
        for column in &mut self.columns {
            column.append_null();
        }
        let bytes = line.bytes();
        let provenance = &mut self.provenance;
        provenance.append_headless();
        provenance.row_crc.append_value(i64::from(crc32fast::hash(bytes)));
        provenance.rescued.append_null();
        // Bytes that are no text become the replacement character; the object keeps them.
        provenance.corrupt_record.append_value(String::from_utf8_lossy(bytes));
        provenance.corrupt_reason.append_value(reason.to_string());
        provenance.date_key.append_value(0);
        self.counts.corrupt += 1;
    }

    /// Appends the scanned row at `data` of `text`.
    fn row(&mut self, head: &Head<'_>, text: &str, data: Span, file: &str) {
        let mut date_key = 0;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let member = self.scan.slots.get(index).copied().flatten();
            let Some(member) = member.filter(|member| member.value.shape != Shape::Null) else {
                column.append_null();
                continue;
            };
            match column.append(member.value, text, &mut self.scratch) {
                Fit::Kept(day) if self.date_key == Some(index) => {
                    date_key = day.map_or(0, value::yyyymmdd);
                }
                Fit::Kept(_) | Fit::Partly => (),
                Fit::Misfit => {
                    column.append_null();
                    self.scan.extra.push(member);
                }
            }
        }
        let provenance = &mut self.provenance;
        let crc = crc32fast::hash(data.of(text).as_bytes());
        provenance.row_crc.append_value(i64::from(crc));
        provenance.corrupt_record.append_null();
        provenance.corrupt_reason.append_null();
        provenance.date_key.append_value(date_key);
        self.head(head, text, file);
    }

    /// Appends provenance and what did not fit: first the row's members, then the headers.
    fn head(&mut self, head: &Head<'_>, text: &str, file: &str) {
        let provenance = &mut self.provenance;
        // Checked before: larger offsets make a line corrupt.
        provenance.offset.append_option(i64::try_from(head.offset).ok());
        provenance.key.append_value(head.key);
        provenance.source.append_value(head.source());
        provenance.interval.append_value(head.interval());
        let fetch_id = head.fetch_id().parse::<i64>().ok();
        let page = head.page().parse::<i32>().ok();
        let row = head.row().parse::<i32>().ok();
        let ts_fetched = value::timestamp(head.ts_fetched().as_bytes());
        provenance.fetch_id.append_option(fetch_id);
        provenance.page.append_option(page);
        provenance.row.append_option(row);
        provenance.ts_fetched.append_option(ts_fetched);
        self.counts.ts_fetched_newest = self.counts.ts_fetched_newest.max(ts_fetched);

        let mut first = true;
        self.scan.extra.sort_unstable_by_key(|member| member.key.start);
        for member in &self.scan.extra {
            provenance.rescue(first, member.key.of(text), member.value.span.of(text));
            first = false;
        }
        for (fits, name, value) in [
            (fetch_id.is_some(), "\"_fetch_id\"", head.fetch_id()),
            (page.is_some(), "\"_page\"", head.page()),
            (row.is_some(), "\"_row\"", head.row()),
            (ts_fetched.is_some(), "\"_ts_fetched\"", head.ts_fetched()),
        ] {
            // A header that is not there is empty; there is nothing to keep then.
            if !fits && !value.is_empty() {
                let value = serde_json::Value::from(value).to_string();
                provenance.rescue(first, name, &value);
                first = false;
            }
        }
        if first {
            provenance.rescued.append_null();
        } else {
            provenance.close_rescued(file);
            self.counts.rescued += 1;
        }
    }
}

/// A line, known to be text or not.
#[derive(Clone, Copy)]
enum Line<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Line<'a> {
    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    const fn len(self) -> usize {
        self.bytes().len()
    }
}

/// The lines not taken yet. All of them end with a newline.
struct Lines<'a> {
    text: Option<&'a str>,
    bytes: &'a [u8],
}

impl<'a> Lines<'a> {
    fn line(&mut self) -> Option<Line<'a>> {
        if let Some(text) = self.text {
            let (line, rest) = text.split_once('\n')?;
            self.text = Some(rest);
            return Some(Line::Text(line));
        }
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&self.bytes[..end], &self.bytes[end + 1..]);
        self.bytes = rest;
        Some(Line::Bytes(line))
    }
}
