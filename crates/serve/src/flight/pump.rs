//! A statement at work, in a task of its own: a few rows ahead of the client, which it does not wait
//! for without end.
//!
//! Nobody asks for the next message of a client that stands still, so a statement that lived in its
//! answer would not even notice that its time is over. Here it ends by itself, and its turn and its
//! memory are free before the client hears of it.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_flight::FlightData;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use lake::datafusion::{arrow::array::RecordBatch, execution::SendableRecordBatchStream};
use model::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    Shared,
    caller::Caller,
    refused,
    statements::{Opened, Slot},
    stream::{Messages, encoded, fit, told},
};
use crate::{
    audit,
    kept::Key,
    metrics::FlightCall,
    postgres::{Failure, WRITE_TIMEOUT},
};

/// Messages that wait for the client, beside the one that is made: a slow client slows the engine.
const MESSAGES_MAX: usize = 1;

/// A statement whose ticket came back, and what it holds while it runs.
pub(super) struct Pump {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
    pub(super) handle: Key,
    pub(super) opened: Arc<Opened>,
    /// The right to run; given back when the statement ends.
    pub(super) slot: Slot,
}

type Outcome = Result<(), Status>;

impl Pump {
    /// Starts the statement. It ends early when what is returned is dropped.
    pub(super) fn start(self) -> Messages {
        let (messages, received) = mpsc::channel(MESSAGES_MAX);
        let (ended, end) = oneshot::channel();
        let cancelled = CancellationToken::new();
        let now = self.shared.clock.monotonic();
        let (running, owner) = (&self.shared.statements.running, &self.caller.role.name);
        running.keep(self.handle, owner, 0, cancelled.clone(), now);
        drop(tokio::spawn(Box::pin(self.run(cancelled, messages, ended))));
        let answer = stream::unfold(Some((received, end)), |open| async move {
            let (mut received, end) = open?;
            if let Some(message) = received.recv().await {
                return Some((Ok(message), Some((received, end))));
            }
            // Without a word about its end the result was cut, whatever the reason.
            match end.await.unwrap_or_else(|_| Err(refused::panicked())) {
                Ok(()) => None,
                Err(status) => Some((Err(status), None)),
            }
        });
        answer.boxed()
    }

    /// Runs until the result, the client, its patience or ours, or the server ends.
    async fn run(
        self,
        cancelled: CancellationToken,
        messages: mpsc::Sender<FlightData>,
        ended: oneshot::Sender<Outcome>,
    ) {
        let Self { shared, caller, handle, opened, slot } = self;
        let role = &caller.role;
        let started = shared.clock.monotonic();
        let passed = Arc::new(AtomicU64::new(0));
        let rows = Rows::new(
            Arc::clone(&shared),
            Arc::clone(&opened),
            (Arc::clone(&passed), role.rows_max),
        );
        let outcome = tokio::select! {
            biased;
            () = messages.closed() => Err(refused::gone()),
            () = cancelled.cancelled() => Err(refused::cancelled()),
            () = shared.aborting.cancelled() => Err(refused::shutdown()),
            () = shared.clock.sleep(role.statement_timeout) => Err(refused::timed_out()),
            // A panic within the engine is an error of the statement; what it had is dropped.
            outcome = AssertUnwindSafe(rows.send(&messages)).catch_unwind() => {
                outcome.unwrap_or_else(|_| Err(refused::panicked()))
            }
        };
        let now = shared.clock.monotonic();
        drop(shared.statements.running.take(&handle, &role.name, now));
        let code = outcome.as_ref().map_or_else(Status::code, |()| Code::Ok);
        let took = now.saturating_sub(started);
        shared.meter.record(FlightCall::DoGet, code, took);
        let told = match &outcome {
            Ok(()) => audit::Outcome::Ok,
            Err(_) if messages.is_closed() => audit::Outcome::Gone,
            Err(status) => audit::Outcome::Refused { code: refused::sqlstate(status) },
        };
        let rows = passed.load(Ordering::Relaxed);
        shared.notes.statement(&caller, opened.about.as_ref(), (rows, took), told);
        drop((slot, messages));
        // Gone: there is nobody to tell.
        drop(ended.send(outcome));
    }
}

/// The rows of a statement, once for each row of its parameters.
struct Rows {
    shared: Arc<Shared>,
    opened: Arc<Opened>,
    /// Which row of parameters is the next to run with.
    next_row: usize,
    current: Option<SendableRecordBatchStream>,
    /// How many the client has been given, or waits for; the audit asks.
    passed: Arc<AtomicU64>,
    rows_max: u64,
}

impl Rows {
    fn new(
        shared: Arc<Shared>,
        opened: Arc<Opened>,
        (passed, rows_max): (Arc<AtomicU64>, u64),
    ) -> Self {
        Self { shared, opened, next_row: 0, current: None, passed, rows_max }
    }

    /// Sends all of them, as fast as they are taken.
    async fn send(self, messages: &mpsc::Sender<FlightData>) -> Outcome {
        let (clock, schema) = (Arc::clone(&self.shared.clock), Arc::clone(&self.opened.schema));
        let mut encoded = encoded(schema, self.into_batches());
        while let Some(message) = encoded.try_next().await? {
            hand_over(messages, message, clock.as_ref()).await?;
        }
        Ok(())
    }

    fn into_batches(self) -> impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static {
        stream::try_unfold(self, |mut rows| async move {
            let batch = rows.next().await?;
            Ok(batch.map(|batch| (batch, rows)))
        })
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, Status> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(row) = self.opened.rows.get(self.next_row) else { return Ok(None) };
                self.next_row += 1;
                let bound = self.opened.query.clone().bind(row.clone());
                let bound = bound.map_err(|failure| refused::status(&failure))?;
                let started = bound.run(&self.shared.engine).await;
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
        let passed = self.passed.load(Ordering::Relaxed).saturating_add(rows);
        if self.rows_max < passed {
            return Err(refused::status(&Failure::too_many_rows(self.rows_max)));
        }
        self.passed.store(passed, Ordering::Relaxed);
        self.shared.meter.count_rows(rows);
        fit(batch, &self.opened.schema).map_err(|error| told(error.into()))
    }
}

/// Waits until the client has room for the message, and no longer than for a client of the SQL port.
async fn hand_over(
    messages: &mpsc::Sender<FlightData>,
    message: FlightData,
    clock: &dyn Clock,
) -> Outcome {
    tokio::select! {
        biased;
        sent = messages.send(message) => sent.map_err(|_| refused::gone()),
        () = clock.sleep(WRITE_TIMEOUT) => Err(refused::unread(WRITE_TIMEOUT)),
    }
}
