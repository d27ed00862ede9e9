//! One client's place in the stream: no event twice, none lost, also after a pause.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use axum::response::sse::Event;
use model::{Clock, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;

use super::{
    feed::{BarEvent, EventId, TABLE, read_events},
    hub::{BURST_BARS_MAX, Hub, Step},
};
use crate::Error;

/// Silence after which a comment shows both ends that the other is there. Proxies give up after
/// 30 s and more.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// How long a browser waits before it connects again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Most versions read again for one client: the bars of half an hour at one version a second.
const CATCH_UP_VERSIONS_MAX: u64 = 2_000;

/// Attempts to read missed versions. When all fail, their files are gone, not just out of reach.
const CATCH_UPS_MAX: u32 = 3;
/// Pause after a failed attempt.
const CATCH_UP_PAUSE: Duration = Duration::from_secs(1);

/// What is sent next.
#[derive(Debug)]
enum Item {
    Bar(Arc<BarEvent>),
    /// Bars were skipped; the client loads them from `/api/v1/bars`.
    Reset(EventId),
}

/// The state behind one event stream.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    /// Gives the connection's slot back when the client leaves.
    pub(super) _slot: OwnedSemaphorePermit,
    pub(super) steps: broadcast::Receiver<Arc<Step>>,
    /// `None` lets every symbol through.
    pub(super) symbols: Option<BTreeSet<String>>,
    pub(super) place: Place,
}

/// How far a client has got, and what is queued for it.
#[derive(Debug)]
pub(super) struct Place {
    position: EventId,
    queue: VecDeque<Item>,
    is_behind: bool,
    is_greeted: bool,
    /// Catch-ups that failed since the last one that did not.
    failures: u32,
    /// On the clock's monotonic scale.
    heartbeat_at: Duration,
}

impl Place {
    /// Starts behind `position`, which is read from the table first when `is_behind`.
    pub(super) const fn new(position: EventId, is_behind: bool) -> Self {
        Self {
            position,
            queue: VecDeque::new(),
            is_behind,
            is_greeted: false,
            failures: 0,
            heartbeat_at: Duration::ZERO,
        }
    }

    fn reset(&mut self, version: u64) {
        self.position = EventId::after_version(version);
        self.queue.push_back(Item::Reset(self.position));
    }

    /// Queues what `step` adds to this place, or notes that versions are missing in between.
    fn take(&mut self, step: &Step) {
        match step {
            Step::Bars { after, upto, events } => {
                if self.position.version_behind() < *after {
                    self.is_behind = true;
                } else if self.position <= (EventId { version: *upto, index: u64::MAX }) {
                    self.push(events.iter().map(Arc::clone));
                    self.position = EventId::after_version(*upto);
                }
            }
            Step::Burst { upto } => {
                if self.position.version_behind() < *upto {
                    self.reset(*upto);
                }
            }
            Step::Replaced { at } => self.reset(*at),
        }
    }

    fn push(&mut self, events: impl Iterator<Item = Arc<BarEvent>>) {
        let position = self.position;
        self.queue.extend(events.filter(|event| position < event.id).map(Item::Bar));
    }
}

impl Connection {
    /// Returns the next event; `None` ends the stream, and the client comes back with its
    /// `Last-Event-ID`.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if !self.place.is_greeted {
                self.place.is_greeted = true;
                return Some(self.heartbeat("connected").retry(RETRY_AFTER));
            }
            if let Some(item) = self.place.queue.pop_front() {
                if let Some(event) = self.event(&item) {
                    return Some(event);
                }
                continue;
            }
            if self.place.is_behind {
                let stop = self.stop.clone();
                tokio::select! {
                    () = stop.cancelled() => return None,
                    caught_up = self.catch_up() => caught_up?,
                }
                continue;
            }
            let silence = self.place.heartbeat_at.saturating_sub(self.clock.monotonic());
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                step = self.steps.recv() => match step {
                    Ok(step) => self.place.take(&step),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.place.is_behind = true,
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                () = self.clock.sleep(silence) => return Some(self.heartbeat("heartbeat")),
            }
        }
    }

    /// Reads from the table what lies between this client and the newest version.
    ///
    /// Returns `None` when the server stops.
    async fn catch_up(&mut self) -> Option<()> {
        let hub = Arc::clone(&self.hub);
        let _turn = hub.catch_ups.acquire().await.ok()?;
        let Err(error) = self.read_missed().await else {
            self.place.is_behind = false;
            self.place.failures = 0;
            return Some(());
        };
        self.place.failures = self.place.failures.saturating_add(1);
        let is_lost = error.kind() != ErrorKind::Transient || CATCH_UPS_MAX <= self.place.failures;
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            position = %self.place.position,
            is_lost,
            "reading the bars a client has missed"
        );
        if is_lost && let Ok(version) = self.hub.feed.version().await {
            self.place.reset(version);
            self.place.is_behind = false;
            self.place.failures = 0;
        }
        self.clock.sleep(CATCH_UP_PAUSE).await;
        Some(())
    }

    async fn read_missed(&mut self) -> Result<(), Error> {
        let place = &mut self.place;
        let feed = &self.hub.feed;
        let newest = feed.version().await.map_err(Error::lake(format!("version of {TABLE}")))?;
        let behind = place.position.version_behind();
        if newest < behind || CATCH_UP_VERSIONS_MAX < newest - behind {
            place.reset(newest);
            return Ok(());
        }
        let changes =
            feed.changes(behind).await.map_err(Error::lake(format!("changes of {TABLE}")))?;
        let upto = changes.iter().map(|change| change.version).fold(newest, u64::max);
        let bars: usize =
            changes.iter().flat_map(|change| &change.rows).map(|rows| rows.num_rows()).sum();
        if BURST_BARS_MAX < bars {
            place.reset(upto);
            return Ok(());
        }
        let mut events = Vec::with_capacity(bars);
        for change in &changes {
            events.extend(read_events(change)?.into_iter().map(Arc::new));
        }
        place.push(events.into_iter());
        place.position = EventId::after_version(upto);
        Ok(())
    }

    /// Returns the event of `item`, unless the client did not ask for its symbol.
    fn event(&mut self, item: &Item) -> Option<Event> {
        let event = match item {
            Item::Bar(bar) => {
                let is_wanted =
                    self.symbols.as_ref().is_none_or(|symbols| symbols.contains(&bar.symbol));
                is_wanted
                    .then(|| Event::default().event("bar").id(bar.id.to_string()).data(&bar.json))?
            }
            Item::Reset(id) => {
                let data = r#"{"reason":"bars were skipped; load them from /api/v1/bars"}"#;
                Event::default().event("reset").id(id.to_string()).data(data)
            }
        };
        self.place.heartbeat_at = self.clock.monotonic() + HEARTBEAT_EVERY;
        Some(event)
    }

    /// A comment that also moves the client's `Last-Event-ID`: one that waits for a quiet symbol
    /// would otherwise come back with an id from long ago.
    fn heartbeat(&mut self, comment: &str) -> Event {
        self.place.heartbeat_at = self.clock.monotonic() + HEARTBEAT_EVERY;
        Event::default().comment(comment).id(self.place.position.to_string())
    }
}

#[cfg(test)]
mod tests;
