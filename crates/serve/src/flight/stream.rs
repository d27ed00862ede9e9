//! Rows as the messages that clients read.

use std::sync::Arc;

use arrow_flight::{FlightData, encode::FlightDataEncoderBuilder, error::FlightError};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use lake::datafusion::arrow::{
    array::{RecordBatch, RecordBatchOptions},
    compute::cast,
    datatypes::SchemaRef,
    error::ArrowError,
};
use tonic::Status;

pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// Sends rows that are there already.
pub(super) fn of_batch(batch: RecordBatch) -> Messages {
    let schema = batch.schema();
    encoded(schema, futures::stream::iter([Ok(batch)]))
}

/// Turns rows into messages, each small enough for every client.
pub(super) fn encoded(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Messages {
    let batches = batches.map_err(FlightError::from);
    FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(told).boxed()
}

/// What a client is told of a batch that could not be written. The library's texts are about its
/// own inner life.
pub(super) fn told(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => {
            let cause: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(cause, "writing rows for a Flight SQL client");
            Status::internal("writing the rows failed; the server's log says why")
        }
    }
}

/// Casts what the engine lays out differently. Clients compare what they were told of a result with
/// what comes, and take no other.
pub(super) fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

#[cfg(test)]
mod tests {
    use lake::datafusion::arrow::{
        array::{ArrayRef, AsArray as _, Int32Array, StringViewArray},
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    #[test]
    fn a_batch_becomes_what_was_announced() {
        let names = Arc::new(StringViewArray::from(vec!["a", "b"])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("x", names)]).unwrap();
        let field = Field::new("y", DataType::Utf8, true);
        let fitted = fit(&batch, &Arc::new(Schema::new(vec![field]))).unwrap();
        assert_eq!(fitted.schema().field(0).name(), "y");
        assert_eq!(fitted.column(0).as_string::<i32>().value(1), "b");
        let none = Schema::empty();
        assert_eq!(fit(&batch, &Arc::new(none)).unwrap().num_rows(), 2, "rows without columns");
    }

    #[tokio::test]
    async fn a_batch_too_large_for_one_message_is_cut() {
        let numbers = Arc::new(Int32Array::from(vec![7; 3_000_000])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("x", numbers)]).unwrap();
        let sizes: Vec<usize> =
            of_batch(batch).map_ok(|message| message.data_body.len()).try_collect().await.unwrap();
        assert!(5 < sizes.len(), "{sizes:?}");
        // gRPC's clients take four megabytes unless they are told otherwise.
        assert!(sizes.iter().all(|size| *size < 4_000_000), "{sizes:?}");
    }
}
