//! What a client binds: rows of Arrow columns → values for the plan.
//!
//! The bytes come from a client, and a few of them can stand for gigabytes: a compressed buffer, a
//! dictionary, one long text that is named a thousand times. So nothing compressed is read, and
//! what is taken out is counted.

use arrow_flight::{FlightData, decode::FlightRecordBatchStream, error::FlightError};
use arrow_ipc::MessageHeader;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use lake::datafusion::{
    arrow::{
        array::{Array, RecordBatch},
        datatypes::{DataType, Field},
    },
    common::ScalarValue,
};
use tonic::Status;

use crate::postgres::arrow::decimal;

/// Most rows that are bound at once. The statement runs for each of them.
const ROWS_MAX: usize = 1_000;

/// Most bytes that are bound at once, as they came and as they are kept.
const BYTES_MAX: usize = 1 << 20;

/// One row of parameters.
pub(super) type Row = Vec<ScalarValue>;

/// Reads every row that a client binds to the parameters `wanted`. Returns them with their size.
pub(super) async fn read(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    wanted: &[Field],
) -> Result<(Vec<Row>, usize), Status> {
    let mut left = BYTES_MAX;
    let checked = messages.map(move |message| {
        let message = message?;
        left = left.checked_sub(message.data_body.len()).ok_or_else(too_large)?;
        check(&message)?;
        Ok::<_, FlightError>(message)
    });
    let mut batches = FlightRecordBatchStream::new_from_flight_data(checked);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = batches.try_next().await.map_err(malformed)? {
        if ROWS_MAX - rows.len() < batch.num_rows() {
            let text = format!("more than {ROWS_MAX} rows of parameters are bound");
            return Err(Status::resource_exhausted(text));
        }
        for at in 0..batch.num_rows() {
            rows.push(row(&batch, at, wanted, &mut bytes)?);
        }
    }
    Ok((rows, bytes))
}

fn too_large() -> Status {
    Status::resource_exhausted("the parameters are larger than 1 MiB")
}

fn malformed(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => Status::invalid_argument(format!("the parameters cannot be read: {error}")),
    }
}

/// Refuses a message that would have to be decompressed.
fn check(message: &FlightData) -> Result<(), Status> {
    if message.data_header.is_empty() {
        return Ok(());
    }
    let header = arrow_ipc::root_as_message(&message.data_header)
        .map_err(|_| Status::invalid_argument("the parameters are not Arrow's messages"))?;
    let batch = match header.header_type() {
        MessageHeader::RecordBatch => header.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            header.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
        }
        _ => None,
    };
    if batch.is_some_and(|batch| batch.compression().is_some()) {
        return Err(Status::invalid_argument(
            "compressed parameters are not read; send them without compression",
        ));
    }
    Ok(())
}

fn row(batch: &RecordBatch, at: usize, wanted: &[Field], bytes: &mut usize) -> Result<Row, Status> {
    if batch.num_columns() != wanted.len() {
        return Err(Status::invalid_argument(format!(
            "the statement needs {} parameters, and {} are bound",
            wanted.len(),
            batch.num_columns()
        )));
    }
    let columns = batch.columns().iter().zip(wanted);
    columns
        .map(|(column, wanted)| {
            let value = value(column.as_ref(), at, wanted)?;
            *bytes += value.size();
            if BYTES_MAX < *bytes { Err(too_large()) } else { Ok(value) }
        })
        .collect()
}

fn value(column: &dyn Array, at: usize, wanted: &Field) -> Result<ScalarValue, Status> {
    let unfit = || {
        Status::invalid_argument(format!(
            "the value of parameter {} is a {}, which is no {}",
            wanted.name(),
            column.data_type(),
            wanted.data_type()
        ))
    };
    if column.data_type().is_nested() && !matches!(column.data_type(), DataType::Dictionary(..)) {
        return Err(unfit());
    }
    let mut given = ScalarValue::try_from_array(column, at).map_err(|_| unfit())?;
    if let ScalarValue::Dictionary(_, value) = given {
        given = *value;
    }
    fit(given, wanted.data_type()).ok_or_else(unfit)
}

/// Makes a value what the statement needs. Numbers keep what they are, so that none is rounded
/// before it is compared; a float beside a decimal is taken as it is written.
fn fit(given: ScalarValue, wanted: &DataType) -> Option<ScalarValue> {
    let has = given.data_type();
    let text = match &given {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_deref()
        }
        _ => None,
    };
    match wanted {
        DataType::Null if text.is_some() => Some(ScalarValue::from(text)),
        DataType::Null => Some(given),
        _ if given.is_null() => ScalarValue::try_from(wanted).ok(),
        _ if wanted.is_decimal() => match (&given, text) {
            (_, Some(text)) => decimal(text.trim()),
            (ScalarValue::Float64(Some(value)), _) => decimal(&value.to_string()),
            (ScalarValue::Float32(Some(value)), _) => decimal(&value.to_string()),
            _ if has.is_numeric() => Some(given),
            _ => None,
        },
        _ if wanted.is_integer() && has.is_integer() => {
            Some(given.cast_to(wanted).unwrap_or(given))
        }
        _ if wanted.is_numeric() && has.is_numeric() => Some(given),
        _ => given.cast_to(wanted).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_flight::encode::FlightDataEncoderBuilder;
    use arrow_ipc::{CompressionType, writer::IpcWriteOptions};
    use lake::datafusion::arrow::{
        array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, NullArray, StringArray},
        datatypes::{Int32Type, TimeUnit},
    };

    use super::*;

    fn wanted(data_type: DataType) -> Vec<Field> {
        vec![Field::new("$1", data_type, true)]
    }

    async fn sent(
        column: ArrayRef,
        wanted: &[Field],
        options: IpcWriteOptions,
    ) -> Result<(Vec<Row>, usize), Status> {
        let batch = RecordBatch::try_from_iter_with_nullable([("a", column, true)]).unwrap();
        let messages = FlightDataEncoderBuilder::new()
            .with_options(options)
            .build(futures::stream::iter([Ok(batch)]))
            .map_err(Status::from);
        read(messages, wanted).await
    }

    #[track_caller]
    fn check_fit(given: ScalarValue, wanted: DataType, expected: Option<ScalarValue>) {
        assert_eq!(fit(given.clone(), &wanted), expected, "{given:?} for {wanted}");
    }

    #[test]
    fn values_become_what_the_statement_needs() {
        let price = DataType::Decimal128(18, 6);
        let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let exact = |unscaled, scale| Some(ScalarValue::Decimal128(Some(unscaled), 38, scale));
        check_fit(ScalarValue::from("189.43"), price.clone(), exact(18_943, 2));
        check_fit(ScalarValue::from(0.1_f64), price.clone(), exact(1, 1));
        check_fit(ScalarValue::from("x"), price.clone(), None);
        check_fit(ScalarValue::from(f64::NAN), price.clone(), None);
        let fine = ScalarValue::Decimal128(Some(5), 20, 10);
        check_fit(fine.clone(), price.clone(), Some(fine));
        check_fit(ScalarValue::from(true), price, None);
        check_fit(ScalarValue::from(7_i64), DataType::Int32, Some(ScalarValue::from(7_i32)));
        let large = ScalarValue::from(i64::MAX);
        check_fit(large.clone(), DataType::Int32, Some(large));
        let half = ScalarValue::from(0.5_f64);
        check_fit(half.clone(), DataType::Int32, Some(half));
        check_fit(
            ScalarValue::from("2026-03-04"),
            DataType::Date32,
            Some(ScalarValue::Date32(Some(20_516))),
        );
        check_fit(
            ScalarValue::TimestampSecond(Some(1), None),
            moment.clone(),
            Some(ScalarValue::TimestampMicrosecond(Some(1_000_000), Some("UTC".into()))),
        );
        check_fit(ScalarValue::from("soon"), moment, None);
        check_fit(ScalarValue::Utf8View(Some("a".into())), DataType::Null, Some("a".into()));
        check_fit(ScalarValue::Null, DataType::Int32, Some(ScalarValue::Int32(None)));
    }

    #[tokio::test]
    async fn rows_come_in_their_order() {
        let column = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let (rows, _) =
            sent(column, &wanted(DataType::Int32), IpcWriteOptions::default()).await.unwrap();
        let expected = [Some(1), None, Some(3)].map(|value| vec![ScalarValue::Int32(value)]);
        assert_eq!(rows, expected);
    }

    #[tokio::test]
    async fn nothing_is_decompressed() {
        let zstd = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
        let column = Arc::new(Float64Array::from(vec![0.0; 900]));
        let sent = sent(column, &wanted(DataType::Float64), zstd.unwrap()).await;
        assert!(sent.unwrap_err().message().contains("compress"));
    }

    #[tokio::test]
    async fn few_bytes_that_stand_for_many_are_counted() {
        let long = "x".repeat(500_000);
        let column = Arc::new(DictionaryArray::<Int32Type>::new(
            Int32Array::from(vec![0; 900]),
            Arc::new(StringArray::from(vec![long.as_str()])),
        ));
        let batch = RecordBatch::try_from_iter([("a", column as ArrayRef)]).unwrap();
        let messages = FlightDataEncoderBuilder::new()
            .with_dictionary_handling(arrow_flight::encode::DictionaryHandling::Resend)
            .build(futures::stream::iter([Ok(batch)]))
            .map_err(Status::from);
        let refused = read(messages, &wanted(DataType::Utf8)).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
        for rows in [1_001, 1 << 40] {
            let nulls = Arc::new(NullArray::new(rows));
            let refused = sent(nulls, &wanted(DataType::Utf8), IpcWriteOptions::default()).await;
            assert_eq!(refused.unwrap_err().code(), tonic::Code::ResourceExhausted, "{rows}");
        }
    }

    #[tokio::test]
    async fn garbage_is_refused_without_a_panic() {
        for header in [&b"x"[..], &[0xff; 64], &[0; 64]] {
            let message = FlightData::new().with_data_header(header.to_vec());
            let messages = futures::stream::iter([Ok(message)]);
            let read = read(messages, &wanted(DataType::Utf8)).await;
            assert!(read.is_err() || read.unwrap().0.is_empty(), "{header:?}");
        }
    }
}
