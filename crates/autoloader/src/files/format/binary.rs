//! Binary files: one row with the path, the time, the length and the bytes as stored.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array,
    },
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};

use super::{FileProblem, TextReader, stretches::Stretches};
use crate::files::{
    decoded::{ReadSchema, own_fields},
    options::Format,
    schema::fixed_columns,
    source_file::SourceFile,
};

/// Largest file that becomes a value: what 32-bit offsets address.
const BYTES_MAX: usize = i32::MAX as usize;

/// Reads a binary file.
#[derive(Debug)]
pub(super) struct BinaryFile {
    columns: SchemaRef,
    file: SourceFile,
    content: Vec<u8>,
}

impl BinaryFile {
    pub(super) fn new(file: &SourceFile, schema: &ReadSchema) -> Result<Self, FileProblem> {
        let columns = Arc::clone(&schema.columns);
        let own = fixed_columns(&Format::Binary).unwrap_or_default();
        for field in columns.fields() {
            let own = own.find(field.name());
            let fits = own.is_none_or(|(_, own)| own.data_type() == field.data_type());
            if !fits {
                return Err(FileProblem::Column {
                    column: field.name().clone(),
                    data_type: field.data_type().clone(),
                });
            }
        }
        Ok(Self { columns, file: file.clone(), content: Vec::new() })
    }

    fn array(&self, field: &Field) -> ArrayRef {
        match field.name().as_str() {
            "path" => Arc::new(StringArray::from(vec![self.file.path.as_str()])),
            "modificationTime" => {
                let micros = self.file.modified.timestamp_micros();
                Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"))
            }
            "length" => {
                // At most `BYTES_MAX`.
                let length = i64::try_from(self.content.len()).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from(vec![length]))
            }
            "content" => Arc::new(BinaryArray::from_vec(vec![&self.content])),
            _ => new_null_array(field.data_type(), 1),
        }
    }
}

impl TextReader for BinaryFile {
    fn push(&mut self, bytes: &[u8], _: &mut Stretches<'_>) -> Result<(), FileProblem> {
        if BYTES_MAX < self.content.len() + bytes.len() {
            return Err(FileProblem::TooLarge { what: "a binary file", max: BYTES_MAX });
        }
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let own = self.columns.fields().iter().map(|field| field.as_ref().clone());
        let schema = Schema::new(own.chain(own_fields()).collect::<Vec<_>>());
        let mut arrays: Vec<_> =
            self.columns.fields().iter().map(|field| self.array(field)).collect();
        arrays.push(new_null_array(&DataType::Utf8, 1));
        arrays.push(Arc::new(Int64Array::from(vec![1])));
        let batch = RecordBatch::try_new(Arc::new(schema), arrays).map_err(FileProblem::Rows)?;
        out.batch(batch);
        Ok(())
    }
}
