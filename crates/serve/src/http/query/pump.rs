//! From a running statement to the body of an answer, under the limits of a statement.

use std::{io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    form::{Ending, Form, Format},
    running::Place,
};
use crate::{
    http::reply::Refusal,
    postgres::{Queries, Refused},
};

/// Chunks that wait for the client, beside the one that is made: a slow client slows the engine.
const CHUNKS_MAX: usize = 1;

/// How long a client that does not take its answer is waited for after the statement has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(60);

/// A statement and what it holds while it runs.
pub(super) struct Pump {
    pub(super) queries: Arc<Queries>,
    pub(super) sql: String,
    pub(super) format: Format,
    pub(super) limit: Option<u64>,
    /// The server's end.
    pub(super) stop: CancellationToken,
    pub(super) place: Place,
    /// The right to run; given back when the last row is out.
    pub(super) slot: OwnedSemaphorePermit,
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
        let Self { queries, sql, format, limit, stop, place, slot } = self;
        let began = queries.clock.monotonic();
        let timeout = queries.limits.timeout;
        let mut form = format.form();
        let mut has_begun = false;
        let work = async {
            let mut result = queries.open(sql).await?;
            let mut out = BytesMut::new();
            form.begin(&result, &mut out)?;
            let mut rows = 0;
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
            () = events.closed() => return,
            () = place.canceled.cancelled() => Err(Refused::canceled()),
            () = stop.cancelled() => Err(Refused::canceled()),
            () = queries.clock.sleep(timeout) => Err(Refused::timed_out()),
            ended = work => ended,
        };
        // The name is free, and another may run, before the client hears of the end.
        drop((place, slot));
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
