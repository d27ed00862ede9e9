//! The rows of a data file to its row groups: columns of decimals without a dictionary are packed by
//! ourselves, all others by the library.

use std::{collections::HashMap, sync::Arc};

use arrow::{array::AsArray, datatypes::SchemaRef, record_batch::RecordBatch};
use deltalake_core::parquet::{
    arrow::{
        ArrowWriter,
        arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    },
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
};

use super::{
    Pieces, ROW_GROUP_BYTES,
    compression::{PageCompressor, Recurrence},
    decimals,
};

/// Rows that are added to a group at a time, so that one large batch makes groups of the usual size.
const STEP_ROWS: usize = 16_384;

/// Rows after which a group ends, as the library has it: columns without values take next to no bytes, and
/// readers share out a file by its groups.
const GROUP_ROWS: usize = 1 << 20;

/// A Parquet file that grows.
pub(super) struct RowGroups {
    schema: SchemaRef,
    /// The columns that are packed here, and whether their values come again.
    packed: HashMap<String, Recurrence>,
    file: SerializedFileWriter<Pieces>,
    factory: ArrowRowGroupWriterFactory,
    /// The columns of the group that is growing; none before its first row.
    columns: Vec<Column>,
    /// Of that group.
    rows: usize,
    compressor: PageCompressor,
}

/// A column of the schema in a row group.
enum Column {
    /// One for each leaf of a nested one.
    Library(Vec<ArrowColumnWriter>),
    Packed(Box<decimals::Column>),
}

impl RowGroups {
    /// Begins a file of which these columns are packed here.
    pub(super) fn new(
        schema: SchemaRef,
        properties: WriterProperties,
        packed: HashMap<String, Recurrence>,
    ) -> Result<Self, ParquetError> {
        let writer =
            ArrowWriter::try_new(Pieces::default(), Arc::clone(&schema), Some(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        let compressor = PageCompressor::new()?;
        Ok(Self { schema, packed, file, factory, columns: Vec::new(), rows: 0, compressor })
    }

    /// Adds rows of the file's schema.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        for start in (0..rows.num_rows()).step_by(STEP_ROWS) {
            self.add(&rows.slice(start, STEP_ROWS.min(rows.num_rows() - start)))?;
            if GROUP_ROWS <= self.rows || ROW_GROUP_BYTES <= self.growing_bytes() {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn add(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        if self.columns.is_empty() {
            self.columns = self.begin_group()?;
        }
        self.rows += rows.num_rows();
        let fields = self.schema.fields().iter().zip(rows.columns());
        for ((field, values), column) in fields.zip(&mut self.columns) {
            match column {
                Column::Packed(column) => {
                    column.push(values.as_primitive(), &mut self.compressor)?;
                }
                Column::Library(leaves) => {
                    for (leaf, values) in leaves.iter_mut().zip(compute_leaves(field, values)?) {
                        leaf.write(&values)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn begin_group(&self) -> Result<Vec<Column>, ParquetError> {
        let leaves = self.file.schema_descr();
        let writers = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        let mut writers = writers.into_iter().enumerate().peekable();
        for (root, field) in self.schema.fields().iter().enumerate() {
            let mut of_field = Vec::new();
            while let Some((leaf, writer)) =
                writers.next_if(|(leaf, _)| leaves.get_column_root_idx(*leaf) == root)
            {
                of_field.push((leaf, writer));
            }
            columns.push(match (&of_field[..], self.packed.get(field.name())) {
                ([(leaf, _)], Some(recurrence)) => {
                    let leaf = leaves.column(*leaf);
                    Column::Packed(Box::new(decimals::Column::new(leaf, *recurrence)))
                }
                _ => Column::Library(of_field.into_iter().map(|(_, writer)| writer).collect()),
            });
        }
        Ok(columns)
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        if self.columns.is_empty() {
            return Ok(());
        }
        self.rows = 0;
        let mut group = self.file.next_row_group()?;
        for column in self.columns.drain(..) {
            match column {
                Column::Packed(column) => column.append(&mut group, &mut self.compressor)?,
                Column::Library(leaves) => {
                    for leaf in leaves {
                        leaf.close()?.append_to_row_group(&mut group)?;
                    }
                }
            }
        }
        group.close()?;
        Ok(())
    }

    /// Returns how large the file would be if it ended here, about.
    pub(super) fn bytes(&self) -> usize {
        self.file.bytes_written() + self.growing_bytes()
    }

    /// Returns what it takes in memory, about.
    pub(super) fn memory(&self) -> usize {
        let of_column = |column: &Column| match column {
            Column::Packed(column) => column.memory(),
            Column::Library(leaves) => leaves.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.file.bytes_written() + self.columns.iter().map(of_column).sum::<usize>()
    }

    fn growing_bytes(&self) -> usize {
        let of_column = |column: &Column| match column {
            Column::Packed(column) => column.bytes(),
            Column::Library(leaves) => {
                leaves.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
            }
        };
        self.columns.iter().map(of_column).sum()
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<Pieces, ParquetError> {
        self.end_group()?;
        self.file.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::new_null_array,
        datatypes::{DataType, Field, Schema},
    };
    use bytes::Bytes;
    use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn rows_that_take_no_room_end_their_group_as_well() {
        let field = Field::new("n", DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field]));
        let nulls = new_null_array(&DataType::Int64, GROUP_ROWS / 4);
        let rows = RecordBatch::try_new(Arc::clone(&schema), vec![nulls]).expect("one column");
        let file = RowGroups::new(schema, WriterProperties::default(), HashMap::new());
        let mut file = file.expect("numbers have a form in Parquet");
        for _ in 0..5 {
            file.write(&rows).expect("memory");
        }
        let Pieces { full, open } = file.finish().expect("memory");
        let bytes = Bytes::from([full.concat(), open].concat());
        let read = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a file");
        let rows = read.metadata().row_groups().iter().map(|group| group.num_rows());
        assert_eq!(rows.collect::<Vec<_>>(), [1 << 20, 1 << 18]);
    }
}
