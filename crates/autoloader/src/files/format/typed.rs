//! Files that say the types of their columns (Parquet, Avro): their batches become the table's.
//!
//! ```text
//! plan     type in the file, type of the column ──▶ how one becomes the other, if it may
//! fit      array of the file ──▶ array of the column, and which rows did not fit
//! json     array of the file ──▶ the texts of `_rescued_data`
//! pieces   batch of any size ──▶ batches that are small
//! ```
//!
//! A value is taken over as it is, or as a wider type holds it, and never turned into text or back
//! again: types that differ are news of the file, and its values are rescued.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, BooleanArray, Int64Array, StringBuilder, StructArray, new_null_array,
    },
    buffer::BooleanBuffer,
    compute::{filter_record_batch, nullif},
    datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef},
    record_batch::RecordBatch,
};

use self::{
    fit::{either, valid},
    json::JsonTexts,
    plan::{Plan, Widening},
};
use super::{FileProblem, rows::nullable, stretches::Stretches};
use crate::{
    decode::columns::{VALUE_BYTES, leaves},
    files::{
        decoded::{RESCUED_FIELDS_MAX, ReadSchema, own_fields},
        schema::Observed,
    },
};

mod fit;
mod json;
pub(super) mod pieces;
mod plan;

#[cfg(test)]
pub(super) mod tests;

/// Turns batches of one file into batches of the table.
#[derive(Debug)]
pub(super) struct TypedRows {
    schema: Arc<ReadSchema>,
    /// The fields of the file.
    file: Fields,
    output: SchemaRef,
    /// Per column of the table: the field of the file that it comes from, and how.
    columns: Vec<Option<(usize, Plan)>>,
    /// Fields of the file that are no column.
    unknown: Vec<usize>,
    /// What the file has that the table has not; handed on once.
    news: Option<Observed>,
    rescued_fields: BTreeSet<String>,
    rows: u64,
}

impl TypedRows {
    /// Prepares for a file of these fields.
    pub(super) fn new(file: &Fields, schema: Arc<ReadSchema>, is_parquet: bool) -> Self {
        let widening = Widening { is_parquet, is_case_sensitive: schema.is_case_sensitive };
        let fields: Fields =
            schema.columns.fields().iter().map(|field| nullable(field)).collect::<Fields>();
        let (sources, unknown) = plan::matches(file, &fields, schema.is_case_sensitive);
        let columns = sources.into_iter().zip(&fields).map(|(source, column)| {
            source.map(|at| (at, widening.plan(file[at].data_type(), column.data_type())))
        });
        let columns: Vec<_> = columns.collect();
        let unknown = unknown.into_iter().filter(|at| !schema.is_ignored(file[*at].name()));
        let own = own_fields().into_iter().map(Arc::new);
        let mut rows = Self {
            output: Arc::new(Schema::new(fields.iter().cloned().chain(own).collect::<Vec<_>>())),
            file: file.clone(),
            columns,
            unknown: unknown.collect(),
            schema,
            news: None,
            rescued_fields: BTreeSet::new(),
            rows: 0,
        };
        if rows.schema.is_observing {
            rows.news = rows.news();
        }
        rows
    }

    /// What fields are no column, or hold what their column does not, if there are any. The file
    /// says its types, so no row has to be looked at.
    fn news(&self) -> Option<Observed> {
        let partly = self.columns.iter().flatten().filter(|(_, plan)| !plan.is_whole());
        let news = partly.map(|(at, _)| at).chain(&self.unknown);
        let news = observed(news.map(|at| &self.file[*at]));
        (!news.is_empty()).then_some(Observed::Object(news))
    }

    /// Returns the fields of the file that somebody wants to see: all where rows may be rescued, or
    /// kept as bad ones, but for those that the path says instead.
    pub(super) fn wanted(&self) -> Vec<bool> {
        let is_whole = self.columns.iter().flatten().all(|(_, plan)| plan.is_whole());
        let are_others = self.schema.is_rescuing || !is_whole;
        let others = self.file.iter().map(|field| !self.schema.is_ignored(field.name()));
        let mut wanted: Vec<bool> = others.map(|is_other| are_others && is_other).collect();
        for (at, _) in self.columns.iter().flatten() {
            wanted[*at] = true;
        }
        wanted
    }

    /// Hands on what the file's types alone say, once.
    pub(super) fn tell(&mut self, out: &mut Stretches<'_>) {
        out.unknown(self.news.take().unwrap_or_default());
    }

    /// Appends the rows of `batch`, which has the file's fields, those not wanted maybe as nulls.
    /// `offset` is where in the file it begins, or what it is packed in.
    pub(super) fn append(
        &mut self,
        batch: &StructArray,
        offset: u64,
        out: &mut Stretches<'_>,
    ) -> Result<(), FileProblem> {
        for Range { start, end } in pieces::pieces(batch, self.row_bytes()) {
            if out.is_over() {
                break;
            }
            self.append_piece(&batch.slice(start, end - start), offset, out)?;
        }
        Ok(())
    }

    /// What a row costs beside the values that the file has for it: columns that are missing, and
    /// the names of what is rescued.
    fn row_bytes(&self) -> usize {
        let columns = self.output.fields().iter().enumerate();
        let missing = columns.filter(|(at, _)| !matches!(self.columns.get(*at), Some(Some(_))));
        let missing: usize = missing.map(|(_, field)| leaves(field.data_type())).sum();
        let names = self.columns.iter().flatten().filter(|(_, plan)| !plan.is_whole());
        let names = names.map(|(at, _)| at).chain(&self.unknown);
        let names: usize = names.map(|at| self.file[*at].name().len()).sum();
        let names = if self.schema.is_rescuing { names } else { 0 };
        missing.saturating_mul(VALUE_BYTES).saturating_add(names)
    }

    fn append_piece(
        &mut self,
        batch: &StructArray,
        offset: u64,
        out: &mut Stretches<'_>,
    ) -> Result<(), FileProblem> {
        self.tell(out);
        let rows = batch.len();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.output.fields().len());
        // What of the file is rescued, and in which rows.
        let mut rescued: Vec<(usize, BooleanBuffer)> = Vec::new();
        let mut misfits: Vec<(usize, BooleanBuffer)> = Vec::new();
        for (column, source) in self.output.fields().iter().zip(&self.columns) {
            let Some((at, plan)) = source else {
                arrays.push(new_null_array(column.data_type(), rows));
                continue;
            };
            let fitted = fit::fit(plan, batch.column(*at)).map_err(FileProblem::Rows)?;
            let mut array = fitted.array;
            if let Some(misfit) = &fitted.misfit {
                array = nullif(&array, &BooleanArray::from(misfit.clone()))
                    .map_err(FileProblem::Rows)?;
                misfits.push((*at, misfit.clone()));
            }
            arrays.push(array);
            rescued.extend(either(fitted.misfit, fitted.partly).map(|rows| (*at, rows)));
        }
        if self.schema.is_rescuing {
            rescued.extend(
                self.unknown.iter().filter_map(|at| Some((*at, valid(batch.column(*at))?))),
            );
            arrays.push(self.rescue(batch, rescued, out));
        } else {
            arrays.push(new_null_array(&DataType::Utf8, rows));
        }
        let first = i64::try_from(self.rows).unwrap_or(i64::MAX);
        let lines = (1..).take(rows).map(|row: i64| first.saturating_add(row));
        arrays.push(Arc::new(Int64Array::from_iter_values(lines)));
        let table = RecordBatch::try_new(Arc::clone(&self.output), arrays);
        let table = self.without_misfits(table.map_err(FileProblem::Rows)?, batch, &misfits);
        let (table, bad) = table.map_err(FileProblem::Rows)?;
        for (row, reason, record) in bad {
            out.bad(super::rows::bad(self.rows + row + 1, offset, reason, record.as_bytes()));
        }
        self.rows += rows as u64;
        out.batch(table);
        Ok(())
    }

    /// Returns the column of rescued values: of each row the fields of which its mask is set.
    fn rescue(
        &mut self,
        batch: &StructArray,
        mut rescued: Vec<(usize, BooleanBuffer)>,
        out: &mut Stretches<'_>,
    ) -> ArrayRef {
        rescued.retain(|(_, rows)| rows.count_set_bits() != 0);
        if rescued.is_empty() {
            return new_null_array(&DataType::Utf8, batch.len());
        }
        rescued.sort_by_key(|(at, _)| *at);
        for (at, _) in &rescued {
            if self.rescued_fields.len() < RESCUED_FIELDS_MAX {
                self.rescued_fields.insert(self.file[*at].name().clone());
            }
        }
        let texts: Vec<_> = rescued
            .iter()
            .map(|(at, rows)| {
                let name = json::text(self.file[*at].name());
                (name, JsonTexts::new(batch.column(*at)), rows)
            })
            .collect();
        let (mut column, mut open, mut count) = (StringBuilder::new(), String::new(), 0);
        for row in 0..batch.len() {
            for (name, texts, rows) in &texts {
                if rows.value(row) {
                    open.push(if open.is_empty() { '{' } else { ',' });
                    open.push_str(name);
                    open.push(':');
                    texts.write(row, &mut open);
                }
            }
            if open.is_empty() {
                column.append_null();
                continue;
            }
            open.push('}');
            column.append_value(&open);
            count += 1;
            open.clear();
        }
        out.rescued(count, self.rescued_fields.clone());
        Arc::new(column.finish())
    }

    /// Takes out rows whose values fit nowhere: without a column of rescued data they are bad.
    fn without_misfits(
        &self,
        table: RecordBatch,
        batch: &StructArray,
        misfits: &[(usize, BooleanBuffer)],
    ) -> Result<(RecordBatch, Vec<BadRow>), arrow::error::ArrowError> {
        let all = misfits.iter().map(|(_, rows)| rows.clone()).reduce(|one, other| &one | &other);
        let Some(all) = all.filter(|_| !self.schema.is_rescuing) else {
            return Ok((table, Vec::new()));
        };
        let record = JsonTexts::of_struct(batch);
        let mut bad = Vec::new();
        for row in all.set_indices() {
            let Some((at, _)) = misfits.iter().find(|(_, rows)| rows.value(row)) else { continue };
            let mut text = String::new();
            record.write(row, &mut text);
            bad.push((row as u64, self.reason(*at), text));
        }
        Ok((filter_record_batch(&table, &BooleanArray::from(!&all))?, bad))
    }

    fn reason(&self, at: usize) -> String {
        let file = &self.file[at];
        let column = self
            .columns
            .iter()
            .position(|source| source.as_ref().is_some_and(|(source, _)| *source == at));
        let column = column.and_then(|column| self.schema.columns.fields().get(column));
        let column = column.map_or_else(String::new, |column| column.data_type().to_string());
        format!(
            "`{}` is {} in the file, which does not fit {column}",
            file.name(),
            file.data_type()
        )
    }
}

/// Returns which elements a row has.
fn range(offsets: &[i32], row: usize) -> Range<usize> {
    let at = |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok());
    at(row).unwrap_or_default()..at(row + 1).unwrap_or_default()
}

/// A row that is none: its number in the batch, why, and the row as JSON.
type BadRow = (u64, String, String);

/// What fields of these types hold.
fn observed<'a>(fields: impl Iterator<Item = &'a FieldRef>) -> BTreeMap<String, Observed> {
    let mut members = BTreeMap::<String, Observed>::new();
    for field in fields {
        members
            .entry(field.name().clone())
            .or_default()
            .merge(Observed::of_type(field.data_type()));
    }
    members
}
