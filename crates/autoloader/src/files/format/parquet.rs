//! Parquet: read by ranges, one batch of one row group at a time.
//!
//! ```text
//! blocks   ranges of the file, of which a bounded number is kept
//! footer   what is checked before a library follows the file's word
//! pages    the same of the pages of a column
//! thrift   what both are written in
//! types    the file's types, as they are read
//! ```
//!
//! What the writer noted about its own types is left aside, as Spark leaves it: a column is what
//! Parquet says that it is.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use arrow::{
    array::{Array as _, ArrayRef, NullArray, RecordBatch, StructArray},
    datatypes::{Field, Fields},
};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder,
        },
    },
    file::metadata::RowGroupMetaData,
};

use super::{
    FileProblem,
    stretches::{STRETCH_BYTES_MAX, Stretches},
    typed::TypedRows,
};
use crate::{
    decode::columns::VALUE_BYTES,
    files::decoded::{Decoded, ReadSchema},
};

mod blocks;
mod footer;
mod pages;
mod thrift;
mod types;

#[cfg(test)]
mod tests;

pub(in crate::files) use blocks::Blocks;

/// Most rows decoded at once: enough to be fast, and few beside a stretch.
const BATCH_ROWS_MAX: u64 = 8 << 10;

/// Reads the whole file and hands on what comes of it.
///
/// # Errors
/// The file is no Parquet file, is damaged, or could not be fetched, which `file` knows more of; or
/// what `each` returns.
pub(in crate::files) fn read<E: From<FileProblem>>(
    file: &Blocks,
    schema: Arc<ReadSchema>,
    each: &mut dyn FnMut(Decoded) -> Result<(), E>,
) -> Result<(), E> {
    Stretches::each(each, |out| read_into(file, schema, out))
}

fn read_into(
    file: &Blocks,
    schema: Arc<ReadSchema>,
    out: &mut Stretches<'_>,
) -> Result<(), FileProblem> {
    let opened = Opened::new(file.clone())?;
    file.read_from_places(opened.metadata.parquet_schema().num_columns());
    let mut rows = TypedRows::new(opened.metadata.schema().fields(), schema, true);
    let wanted = rows.wanted();
    rows.tell(out);
    for group in 0..opened.metadata.metadata().num_row_groups() {
        let Some(metadata) = opened.metadata.metadata().row_groups().get(group) else { break };
        // Where it does not say where it begins, its number is all there is.
        let offset = metadata.file_offset().and_then(|offset| u64::try_from(offset).ok());
        let mut left = u64::try_from(metadata.num_rows()).map_err(|_| lies("rows"))?;
        let mut batches = opened.batches(group, &wanted)?;
        while let Some(batch) = guarded(|| batches.next().transpose())? {
            left = left.checked_sub(batch.num_rows() as u64).ok_or_else(|| lies("rows"))?;
            let batch = opened.whole(&batch, &wanted)?;
            rows.append(&batch, offset.unwrap_or_default(), out)?;
            if out.is_over() {
                return Ok(());
            }
        }
        if left != 0 {
            return Err(lies("rows"));
        }
    }
    Ok(())
}

/// Returns the columns of the file, which its last bytes say.
///
/// # Errors
/// As [`read`].
pub(in crate::files) fn fields(file: &Blocks) -> Result<Fields, FileProblem> {
    Ok(Opened::new(file.clone())?.metadata.schema().fields().clone())
}

/// A file whose footer was read.
struct Opened {
    file: Blocks,
    metadata: ArrowReaderMetadata,
}

impl Opened {
    fn new(file: Blocks) -> Result<Self, FileProblem> {
        footer::check(&file).map_err(damaged)?;
        let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let found = guarded(|| ArrowReaderMetadata::load(&file, plain))?;
        for group in found.metadata().row_groups() {
            footer::check_places(group, &file).map_err(damaged)?;
        }
        let schema = types::as_read(&found).map_err(damaged)?;
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let metadata = Arc::clone(found.metadata());
        let metadata = guarded(|| ArrowReaderMetadata::try_new(metadata, options))?;
        Ok(Self { file, metadata })
    }

    fn batches(
        &self,
        group: usize,
        wanted: &[bool],
    ) -> Result<ParquetRecordBatchReader, FileProblem> {
        let roots = wanted.iter().enumerate().filter_map(|(at, wanted)| wanted.then_some(at));
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let rows = self
            .metadata
            .metadata()
            .row_groups()
            .get(group)
            .map_or(1, |group| batch_rows(group, &mask));
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.file.clone(),
            self.metadata.clone(),
        );
        let builder = builder.with_row_groups(vec![group]).with_projection(mask);
        guarded(|| builder.with_batch_size(rows).build())
    }

    /// Returns the batch with all fields of the file, those that were not read as nothing.
    fn whole(&self, batch: &RecordBatch, wanted: &[bool]) -> Result<StructArray, FileProblem> {
        let mut read = batch.columns().iter();
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (field, wanted) in self.metadata.schema().fields().iter().zip(wanted) {
            let array = if *wanted { read.next() } else { None };
            let array: ArrayRef = match array {
                Some(array) => Arc::clone(array),
                None => Arc::new(NullArray::new(batch.num_rows())),
            };
            fields.push(Field::new(field.name(), array.data_type().clone(), true));
            arrays.push(array);
        }
        StructArray::try_new_with_length(fields.into(), arrays, None, batch.num_rows())
            .map_err(FileProblem::Rows)
    }
}

/// Returns how many rows are decoded at once: few of many bytes, as far as the file tells.
fn batch_rows(group: &RowGroupMetaData, wanted: &ProjectionMask) -> usize {
    let columns = group.columns().iter().enumerate();
    let columns = columns.filter(|(leaf, _)| wanted.leaf_included(*leaf));
    let columns: Vec<_> = columns.map(|(_, column)| column).collect();
    let rows = u64::try_from(group.num_rows()).unwrap_or_default().max(1);
    let all = columns.iter().map(|column| u64::try_from(column.uncompressed_size()));
    let all = all.map(Result::unwrap_or_default).fold(0, u64::saturating_add);
    // Values of a fixed length are repeated in memory, where a dictionary has them once.
    let fixed = columns.iter().map(|column| column.column_descr().type_length());
    let fixed: u64 = fixed.map(|length| u64::try_from(length).unwrap_or_default()).sum();
    // A column has something for each row, also where the file has nothing.
    let values = columns.len().saturating_mul(VALUE_BYTES) as u64;
    let each = (all / rows).max(fixed).max(values).max(1);
    usize::try_from((STRETCH_BYTES_MAX as u64 / each).clamp(1, BATCH_ROWS_MAX)).unwrap_or(1)
}

fn lies(what: &str) -> FileProblem {
    damaged(format!("it does not have the {what} that it says"))
}

fn damaged(reason: String) -> FileProblem {
    FileProblem::File { format: "Parquet", reason }
}

/// Asks the library, which panics at some damaged files: `parquet` 59.3 asserts that the width of a
/// dictionary's keys, a byte of every page, is no more than 32 bits, among others. What it was at
/// work on is dropped with it.
fn guarded<T, E: std::error::Error>(work: impl FnOnce() -> Result<T, E>) -> Result<T, FileProblem> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| damaged(error.to_string())),
        Err(_) => Err(damaged("it is damaged in a way that the reader does not expect".to_owned())),
    }
}
