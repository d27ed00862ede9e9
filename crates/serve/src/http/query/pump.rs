//! From a running statement to the body of an answer, under the limits of a statement.

use std::{io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    form::{Ending, Form, Format},
    running::Place,
};
use crate::{
    http::{login::Visitor, noted::Notes, reply::Refusal},
    postgres::{Queries, Refused},
};

/// Chunks that wait for the client, beside the one that is made: a slow client slows the engine.
const CHUNKS_MAX: usize = 1;

/// How long a client that does not take its answer is waited for after the statement has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(60);

/// A statement and what it holds while it runs.
pub(super) struct Pump {
    pub(super) queries: Arc<Queries>,
    pub(super) visitor: Visitor,
    pub(super) notes: Notes,
    pub(super) sql: String,
    pub(super) format: Format,
    pub(super) limit: Option<u64>,
    /// The server's end.
    pub(super) stop: CancellationToken,
    pub(super) place: Place,
    /// The right to run, by the role's bound and by that of all; given back when the last row is out.
    pub(super) slots: [OwnedSemaphorePermit; 2],
}

/// What the engine's side tells the answer's side.
enum Event {
    Chunk(Bytes),
    Failed(Refused),
    /// Without it the answer was cut, whatever the reason.
    End,
}

impl Pump {
    /// Starts the statement and waits for its first rows, or its failure.
    pub(super) async fn start(
        self,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, Refusal> {
        let (events, mut received) = mpsc::channel(CHUNKS_MAX);
        let queries = Arc::clone(&self.queries);
        queries.spawn(Box::pin(self.run(events)));
        let first = match received.recv().await {
            Some(Event::Failed(refused)) => return Err(refused.into()),
            None => return Err(Refused::canceled().into()),
            first => first,
        };
        let rest = stream::unfold(received, |mut received| async move {
            let event = received.recv().await;
            Some((event, received))
        });
        let body = stream::iter([first]).chain(rest);
        Ok(body.scan((), |_, event| {
            std::future::ready(match event {
                Some(Event::Chunk(chunk)) => Some(Ok(chunk)),
                Some(Event::End) => None,
                Some(Event::Failed(_)) | None => Some(Err(io::ErrorKind::BrokenPipe.into())),
            })
        }))
    }

    /// Runs until the result, the client, the statement's time or the server ends.
    async fn run(self, events: mpsc::Sender<Event>) {
        let Self { queries, visitor, notes, sql, format, limit, stop, place, slots } = self;
        let begun = notes.begin(&visitor, &sql);
        let began = queries.clock.monotonic();
        let timeout = visitor.role.statement_timeout;
        let mut form = format.form();
        let (mut has_begun, mut rows) = (false, 0);
        let work = async {
            let mut result = queries.open(&visitor.role, sql, limit).await?;
            let mut out = BytesMut::new();
            form.begin(&result, &mut out)?;
            let mut is_complete = true;
            while let Some(mut batch) = result.next().await? {
                let more = batch.records().num_rows();
                let room = limit.map_or(more, |limit| {
                    usize::try_from(limit - rows).unwrap_or(usize::MAX).min(more)
                });
                batch.cut(room);
                rows += room as u64;
                form.rows(&batch, &mut out)?;
                if !out.is_empty() {
                    has_begun = true;
                    send(&events, &mut out).await?;
                }
                if room < more {
                    is_complete = false;
                    break;
                }
            }
            let took = queries.clock.monotonic().saturating_sub(began);
            form.end(Ending { rows, is_complete, took_ms: took.as_millis() }, &mut out)?;
            has_begun = true;
            send(&events, &mut out).await
        };
        let ended = tokio::select! {
            biased;
            () = events.closed() => None,
            () = place.canceled.cancelled() => Some(Err(Refused::canceled())),
            () = stop.cancelled() => Some(Err(Refused::canceled())),
            () = queries.clock.sleep(timeout) => Some(Err(Refused::timed_out())),
            // The engine hands on the panic of a thread of its own.
            ended = AssertUnwindSafe(work).catch_unwind() => {
                Some(ended.unwrap_or_else(|_| Err(Refused::panicked())))
            }
        };
        // The name is free, and another may run, before the client hears of the end.
        drop((place, slots));
        notes.end(begun, rows, ended.as_ref());
        let Some(ended) = ended else { return };
        let last_words = finish(ended, has_begun, form.as_mut(), &events);
        tokio::select! {
            () = last_words => (),
            () = queries.clock.sleep(LAST_WORDS_TIMEOUT) => (),
        }
    }
}

/// Sends what was written; ends the work when the client is gone.
async fn send(events: &mpsc::Sender<Event>, out: &mut BytesMut) -> Result<(), Refused> {
    let chunk = out.split().freeze();
    if chunk.is_empty() {
        return Ok(());
    }
    events.send(Event::Chunk(chunk)).await.map_err(|_| Refused::canceled())
}

/// Tells the end, or why there is none.
async fn finish(
    ended: Result<(), Refused>,
    has_begun: bool,
    form: &mut dyn Form,
    events: &mpsc::Sender<Event>,
) {
    let mut out = BytesMut::new();
    let last = match ended {
        Ok(()) => vec![Event::End],
        Err(refused) if has_begun && form.fail(&refused, &mut out) => {
            vec![Event::Chunk(out.freeze()), Event::End]
        }
        Err(refused) => vec![Event::Failed(refused)],
    };
    for event in last {
        // Gone: there is nobody to tell.
        if events.send(event).await.is_err() {
            return;
        }
    }
}
