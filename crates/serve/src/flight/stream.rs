//! A result on its way to the client: batch by batch, as fast as the client takes them.
//!
//! At no time is more than a few batches of a result in memory: HTTP/2 asks for the next message
//! when there is room for it, and the engine works one batch ahead. When the client goes away, the
//! stream is dropped, and the query with it.

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use arrow_flight::{FlightData, encode::FlightDataEncoderBuilder, error::FlightError};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use lake::datafusion::{
    arrow::{
        array::{RecordBatch, RecordBatchOptions},
        compute::cast,
        datatypes::SchemaRef,
        error::ArrowError,
    },
    execution::SendableRecordBatchStream,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{Shared, kept::Key, refused, statements::Opened};
use crate::{metrics::FlightCall, postgres::Failure};

pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// Sends rows that are there already.
pub(super) fn of_batch(batch: RecordBatch) -> Messages {
    let schema = batch.schema();
    encoded(schema, futures::stream::iter([Ok(batch)]))
}

/// Starts a statement and sends its rows.
pub(super) fn of_statement(
    shared: &Arc<Shared>,
    (user, handle): (&Arc<str>, Key),
    opened: Arc<Opened>,
    slot: OwnedSemaphorePermit,
) -> Messages {
    let schema = Arc::clone(&opened.schema);
    let (deadline, cancelled) = (deadline(shared), CancellationToken::new());
    let now = shared.clock.monotonic();
    shared.statements.running.keep(handle, user, 0, cancelled.clone(), now);
    let (shared, user) = (Arc::clone(shared), Arc::clone(user));
    let run = Run { shared, user, handle, started: now, outcome: None, _slot: slot };
    let reading = Reading { run, opened, deadline, cancelled, next_row: 0, current: None, sent: 0 };
    let batches = futures::stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        // A panic within the engine is an error of the statement; what it had is dropped.
        let next = AssertUnwindSafe(reading.next());
        let next = futures::FutureExt::catch_unwind(next).await;
        match next.unwrap_or_else(|_| Err(refused::panicked())) {
            Ok(Some(batch)) => Some((Ok(batch), Some(reading))),
            Ok(None) => {
                reading.run.outcome = Some(Code::Ok);
                None
            }
            Err(status) => {
                reading.run.outcome = Some(status.code());
                Some((Err(status), None))
            }
        }
    });
    encoded(schema, batches)
}

fn encoded(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Messages {
    let batches = batches.map_err(FlightError::from);
    FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(told).boxed()
}

/// What a client is told of a batch that could not be written. The library's texts are about its
/// own inner life.
fn told(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => {
            let cause: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(cause, "writing rows for a Flight SQL client");
            Status::internal("writing the rows failed; the server's log says why")
        }
    }
}

type Deadline = Pin<Box<dyn Future<Output = ()> + Send>>;

fn deadline(shared: &Shared) -> Deadline {
    let (clock, timeout) = (Arc::clone(&shared.clock), shared.config.statement_timeout);
    Box::pin(async move { clock.sleep(timeout).await })
}

/// A result that is being read.
struct Reading {
    run: Run,
    opened: Arc<Opened>,
    deadline: Deadline,
    cancelled: CancellationToken,
    /// Which row of parameters is the next to run with.
    next_row: usize,
    current: Option<SendableRecordBatchStream>,
    sent: u64,
}

impl Reading {
    /// Returns the next batch, or why there is none. What ends a statement comes first: rows that
    /// are always ready would keep it waiting.
    async fn next(&mut self) -> Result<Option<RecordBatch>, Status> {
        let aborting = self.run.shared.aborting.clone();
        let cancelled = self.cancelled.clone();
        let mut deadline = std::mem::replace(&mut self.deadline, Box::pin(std::future::pending()));
        let next = tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(refused::cancelled()),
            () = aborting.cancelled() => Err(refused::shutdown()),
            () = &mut deadline => Err(refused::timed_out()),
            next = self.work() => next,
        };
        self.deadline = deadline;
        next
    }

    async fn work(&mut self) -> Result<Option<RecordBatch>, Status> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(row) = self.opened.rows.get(self.next_row) else { return Ok(None) };
                self.next_row += 1;
                let bound = self.opened.query.clone().bind(row.clone());
                let bound = bound.map_err(|failure| refused::status(&failure))?;
                let started = bound.run(&self.run.shared.engine).await;
                self.current = Some(started.map_err(|failure| refused::status(&failure))?);
                continue;
            };
            match current.next().await {
                None => self.current = None,
                Some(Err(error)) => {
                    return Err(refused::status(&Failure::from_datafusion(&error)));
                }
                Some(Ok(batch)) => return self.pass(&batch).map(Some),
            }
        }
    }

    /// Counts a batch and gives it exactly the columns that were announced.
    fn pass(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Status> {
        let rows = batch.num_rows() as u64;
        self.sent = self.sent.saturating_add(rows);
        let rows_max = self.run.shared.config.rows_max;
        if rows_max < self.sent {
            return Err(Status::resource_exhausted(format!(
                "the result has more than {rows_max} rows; add a LIMIT, or aggregate in the query \
                 [SQLSTATE 54000]"
            )));
        }
        self.run.shared.meter.count_rows(rows);
        fit(batch, &self.opened.schema).map_err(|error| told(error.into()))
    }
}

/// What has to be put back when a stream ends, however it does.
struct Run {
    shared: Arc<Shared>,
    user: Arc<str>,
    handle: Key,
    started: std::time::Duration,
    /// `None` while the client is still reading.
    outcome: Option<Code>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Run {
    fn drop(&mut self) {
        let now = self.shared.clock.monotonic();
        drop(self.shared.statements.running.take(&self.handle, &self.user, now));
        let outcome = self.outcome.unwrap_or(Code::Cancelled);
        let took = now.saturating_sub(self.started);
        self.shared.meter.record(FlightCall::DoGet, outcome, took);
    }
}

/// Casts what the engine lays out differently. Clients compare what they were told of a result with
/// what comes, and take no other.
fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
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
