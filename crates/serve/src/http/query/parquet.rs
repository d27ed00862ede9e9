//! Parquet: the engine's own types, a row group at a time, the footer last.
//!
//! A file that was cut has no footer, and no reader takes it for whole.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use lake::{
    arrow::{
        array::RecordBatch,
        datatypes::{Field, Schema, SchemaRef},
    },
    datafusion::parquet::{
        arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
        basic::{Compression, ZstdLevel},
        errors::ParquetError,
        file::properties::WriterProperties,
    },
};

use super::form::{Ending, Form};
use crate::postgres::{Batch, Opened, Refused};

/// A row group is written when it has grown so far: large enough to be read fast, small enough for
/// every statement that may run at once to hold one.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Parquet {
    open: Option<(ArrowWriter<Vec<u8>>, SchemaRef)>,
}

impl Form for Parquet {
    fn begin(&mut self, result: &Opened, out: &mut BytesMut) -> Result<(), Refused> {
        let schema = renamed(result)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("marketlake ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        // Without the engine's notes every reader sees Parquet's plain types, not its string views.
        let options =
            ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options);
        let mut writer = writer.map_err(|error| refused(&error))?;
        take(&mut writer, out);
        self.open = Some((writer, schema));
        Ok(())
    }

    fn rows(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Refused> {
        let Some((writer, schema)) = &mut self.open else { return Ok(()) };
        let records = RecordBatch::try_new(Arc::clone(schema), batch.records().columns().to_vec());
        let records = records.map_err(|error| refused(&error.into()))?;
        writer.write(&records).map_err(|error| refused(&error))?;
        if GROUP_BYTES <= writer.in_progress_size() {
            writer.flush().map_err(|error| refused(&error))?;
        }
        take(writer, out);
        Ok(())
    }

    fn end(&mut self, _ending: Ending, out: &mut BytesMut) -> Result<(), Refused> {
        let Some((writer, _)) = self.open.take() else { return Ok(()) };
        let rest = writer.into_inner().map_err(|error| refused(&error))?;
        out.put_slice(&rest);
        Ok(())
    }
}

/// Moves on what is written; the writer counts for itself how much it was.
fn take(writer: &mut ArrowWriter<Vec<u8>>, out: &mut BytesMut) {
    out.put_slice(&std::mem::take(writer.inner_mut()));
}

/// The engine's schema with the names that the statement gives, each of which has to be its own.
fn renamed(result: &Opened) -> Result<SchemaRef, Refused> {
    let schema = result.schema();
    let mut fields: Vec<Field> = Vec::with_capacity(schema.fields().len());
    for (field, (name, _)) in schema.fields().iter().zip(result.columns()) {
        if fields.iter().any(|known| known.name() == name) {
            return Err(Refused::duplicate_column(name));
        }
        // Notes of the engine's in the metadata concern nobody else, and its guess that a column has
        // no null would be a promise.
        fields.push(Field::new(name, field.data_type().clone(), true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn refused(error: &ParquetError) -> Refused {
    tracing::debug!(%error, "a result does not fit Parquet");
    Refused::unsupported("a column's type is not kept in Parquet; cast it to text")
}
