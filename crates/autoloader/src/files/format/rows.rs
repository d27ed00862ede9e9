//! Rows in the making: one buffer per column, and what did not fit beside them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{BooleanArray, Int64Builder, StringBuilder},
    compute::filter_record_batch,
    datatypes::{DataType, Field, Fields, Schema, SchemaRef},
    record_batch::RecordBatch,
};

use super::{
    FileProblem,
    stretches::{STRETCH_BYTES_MAX, STRETCH_ROWS_MAX, Stretches},
};
use crate::{
    decode::columns::{ColumnBuilder, Rules, VALUE_BYTES, leaves},
    files::{
        decoded::{BAD_BYTES_MAX, BadRecord, RESCUED_FIELDS_MAX, ReadSchema, own_fields},
        schema::Observed,
    },
};

/// Rows of a schema that are being appended.
#[derive(Debug)]
pub(super) struct Rows {
    pub schema: Arc<ReadSchema>,
    pub columns: Vec<ColumnBuilder>,
    pub rules: Rules,
    output: SchemaRef,
    rescued: StringBuilder,
    line: Int64Builder,
    /// The rescued object of the row that is open; empty when there is none.
    open: String,
    /// Rows to be left out again: the record turned out bad when some columns had it already.
    left_out: Vec<usize>,
    rows: usize,
    bytes: usize,
    /// What a row costs at least: a record of few bytes has a value in every column all the same.
    row_bytes: usize,
    /// Columns with columns inside: the elements of their lists cost something too.
    nested: Vec<usize>,
    rows_rescued: u64,
    /// Names of rescued fields, as JSON text.
    rescued_fields: BTreeSet<String>,
    unknown: BTreeMap<String, Observed>,
}

impl Rows {
    pub(super) fn new(schema: Arc<ReadSchema>, rules: Rules) -> Result<Self, FileProblem> {
        let fields: Vec<_> = schema.columns.fields().iter().map(|field| nullable(field)).collect();
        let column = |field: &Field| {
            ColumnBuilder::of(field.data_type(), schema.is_case_sensitive).ok_or_else(|| {
                FileProblem::Column {
                    column: field.name().clone(),
                    data_type: field.data_type().clone(),
                }
            })
        };
        let columns = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let output: Vec<_> = fields.into_iter().chain(own_fields()).collect();
        let values = output.iter().map(|field| leaves(field.data_type())).sum::<usize>();
        Ok(Self {
            row_bytes: values * VALUE_BYTES,
            nested: (0..columns.len())
                .filter(|at| output.get(*at).is_some_and(|field| field.data_type().is_nested()))
                .collect(),
            schema,
            columns,
            rules,
            output: Arc::new(Schema::new(output)),
            rescued: StringBuilder::new(),
            line: Int64Builder::new(),
            open: String::new(),
            left_out: Vec::new(),
            rows: 0,
            bytes: 0,
            rows_rescued: 0,
            rescued_fields: BTreeSet::new(),
            unknown: BTreeMap::new(),
        })
    }

    /// Notes a field that did not fit, or is no column: `name` and `value` are JSON text.
    pub(super) fn rescue(&mut self, name: &str, value: &str) {
        if self.rescued_fields.len() < RESCUED_FIELDS_MAX && !self.rescued_fields.contains(name) {
            self.rescued_fields.insert(name.to_owned());
        }
        self.open.push(if self.open.is_empty() { '{' } else { ',' });
        self.open.push_str(name);
        self.open.push(':');
        self.open.push_str(value);
    }

    /// Notes a field as [`Self::rescue`] does, from plain texts.
    pub(super) fn rescue_text(&mut self, name: &str, value: &str) {
        let text = |text| serde_json::Value::from(text).to_string();
        self.rescue(&text(name), &text(value));
    }

    /// Notes what a field held that is no column, or not of its column's type.
    pub(super) fn observe(&mut self, name: &str, seen: Observed) {
        match self.unknown.get_mut(name) {
            Some(known) => known.merge(seen),
            None => {
                self.unknown.insert(name.to_owned(), seen);
            }
        }
    }

    /// Ends a row of so many bytes, which began at `line`; every column has one value more.
    pub(super) fn end_row(&mut self, line: u64, bytes: usize, out: &mut Stretches<'_>) {
        // A name may be longer than the record: a header says it once for all of them.
        let rescued = self.open.len();
        if self.open.is_empty() {
            self.rescued.append_null();
        } else {
            self.open.push('}');
            self.rescued.append_value(&self.open);
            self.open.clear();
            self.rows_rescued += 1;
        }
        self.close_row(line, bytes + rescued, out);
    }

    /// Ends a row that is to be left out: its record is bad.
    pub(super) fn leave_out(&mut self, bytes: usize, out: &mut Stretches<'_>) {
        self.open.clear();
        self.rescued.append_null();
        self.left_out.push(self.rows);
        self.close_row(0, bytes, out);
    }

    /// Whether no column has others inside.
    pub(super) const fn are_flat(&self) -> bool {
        self.nested.is_empty()
    }

    /// Leaves out a row that some columns have a value of, and returns whether there was one.
    pub(super) fn abandon(&mut self, bytes: usize, out: &mut Stretches<'_>) -> bool {
        if self.columns.iter().all(|column| column.len() == self.rows) {
            return false;
        }
        for column in self.columns.iter_mut().filter(|column| column.len() == self.rows) {
            column.append_null();
        }
        self.leave_out(bytes, out);
        true
    }

    fn close_row(&mut self, line: u64, bytes: usize, out: &mut Stretches<'_>) {
        self.line.append_value(i64::try_from(line).unwrap_or(i64::MAX));
        self.rows += 1;
        self.bytes += self.row_bytes + bytes;
        let columns = self.nested.iter().filter_map(|at| self.columns.get(*at));
        let elements: usize = columns.map(ColumnBuilder::elements_bytes).sum();
        if STRETCH_ROWS_MAX <= self.rows || STRETCH_BYTES_MAX <= self.bytes + elements {
            self.flush(out);
        }
    }

    /// Hands on the rows there are.
    pub(super) fn flush(&mut self, out: &mut Stretches<'_>) {
        if !self.unknown.is_empty() {
            out.unknown(Observed::Object(std::mem::take(&mut self.unknown)));
        }
        self.bytes = 0;
        if std::mem::take(&mut self.rows) == 0 {
            return;
        }
        let names = std::mem::take(&mut self.rescued_fields);
        let names = names.iter().filter_map(|name| serde_json::from_str(name).ok());
        out.rescued(std::mem::take(&mut self.rows_rescued), names.collect());
        match self.finish() {
            Ok(batch) => out.batch(batch),
            Err(problem) => out.fail(problem),
        }
    }

    fn finish(&mut self) -> Result<RecordBatch, FileProblem> {
        let mut arrays: Vec<_> = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        arrays.push(Arc::new(self.rescued.finish()));
        arrays.push(Arc::new(self.line.finish()));
        let batch =
            RecordBatch::try_new(Arc::clone(&self.output), arrays).map_err(FileProblem::Rows)?;
        self.without_left_out(batch)
    }

    fn without_left_out(&mut self, batch: RecordBatch) -> Result<RecordBatch, FileProblem> {
        if self.left_out.is_empty() {
            return Ok(batch);
        }
        let mut keeps = vec![true; batch.num_rows()];
        for row in self.left_out.drain(..) {
            if let Some(keep) = keeps.get_mut(row) {
                *keep = false;
            }
        }
        filter_record_batch(&batch, &BooleanArray::from(keeps)).map_err(FileProblem::Rows)
    }
}

/// Makes a bad record of the bytes of one.
pub(super) fn bad(line: u64, offset: u64, reason: String, record: &[u8]) -> BadRecord {
    let kept = record.get(..BAD_BYTES_MAX).unwrap_or(record);
    BadRecord { line, offset, reason, record: String::from_utf8_lossy(kept).into_owned() }
}

/// Returns the field with every field inside nullable, as Spark's readers have it: no file
/// promises that a value is there.
pub(super) fn nullable(field: &Field) -> Field {
    let all = |fields: &Fields| fields.iter().map(|field| nullable(field)).collect::<Fields>();
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(all(fields)),
        DataType::List(element) => DataType::List(Arc::new(nullable(element))),
        DataType::Map(entries, is_sorted) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let value = nullable(&fields[1]);
                let inside = DataType::Struct(Fields::from(vec![
                    fields[0].as_ref().clone().with_nullable(false),
                    value,
                ]));
                let entries = entries.as_ref().clone().with_data_type(inside).with_nullable(false);
                DataType::Map(Arc::new(entries), *is_sorted)
            }
            _ => field.data_type().clone(),
        },
        other => other.clone(),
    };
    field.clone().with_data_type(data_type).with_nullable(true)
}
