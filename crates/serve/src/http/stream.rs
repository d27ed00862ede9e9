//! `GET /api/v1/stream`: every change of a bar as a server-sent event, resumable by its id.
//!
//! | the client's `Last-Event-ID` | what it gets |
//! |---|---|
//! | none | changes from now on |
//! | an id of this stream | everything after it, then changes as they come |
//! | an id too long ago, or of a table since replaced | `event: reset`, then changes from now on |

mod connection;
pub(super) mod feed;
mod hub;

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures::{Stream, stream};
use model::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::{
    connection::{Connection, Place},
    feed::{BarFeed, EventId, TABLE},
    hub::Hub,
};
use super::{App, login::Visitor, params::Params, reply::Refusal};
use crate::Error;

/// Most open streams. A browser opens at most six to one server, so this is ten busy desks.
pub(crate) const STREAMS_MAX: usize = 64;

const ID_ALLOWED: &str = "an id this stream has sent, such as `12-3`";

/// All streams of a server.
#[derive(Debug)]
pub(super) struct Streams {
    hub: Arc<Hub>,
    slots: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(
        feed: Arc<dyn BarFeed>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self { hub: Hub::new(feed, clock, stop), slots: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }

    /// Returns how many streams are open.
    pub(super) fn open(&self) -> usize {
        STREAMS_MAX.saturating_sub(self.slots.available_permits())
    }
}

/// Answers `GET /api/v1/stream`.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if !visitor.role.reader.shows(TABLE) {
        let message = format!("the stream is of `{TABLE}`, which your role was not granted");
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_granted", message));
    }
    let symbols = params.only(&["symbols"])?.symbols()?;
    let last_id = last_event_id(&headers)?;
    let slot = Arc::clone(&app.streams.slots).try_acquire_owned().map_err(|_| {
        Refusal::busy(format!("{STREAMS_MAX} streams are open already; close one and try again"))
    })?;
    let hub = Arc::clone(&app.streams.hub);
    // Listen first, read the version second: the hub's first step then tells of anything between.
    let steps = hub.subscribe();
    let place = match last_id {
        Some(id) => Place::new(id, true),
        None => {
            let version = hub.feed.version().await;
            let version = version.map_err(Error::lake(format!("version of {TABLE}")))?;
            Place::new(EventId::after_version(version), false)
        }
    };
    let (clock, stop) = (Arc::clone(&app.clock), app.stop.clone());
    let connection = Connection { hub, clock, stop, _slot: slot, steps, symbols, place };
    let mut response = Sse::new(events(connection)).into_response();
    // A buffering proxy would hold events back until its buffer is full.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

fn events(connection: Connection) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(connection, |mut connection| async move {
        let event = connection.next().await?;
        Some((Ok(event), connection))
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Refusal> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let given = String::from_utf8_lossy(value.as_bytes());
    if given.is_empty() {
        return Ok(None);
    }
    let id = given.parse().map_err(|_| Refusal::parameter("Last-Event-ID", &given, ID_ALLOWED))?;
    Ok(Some(id))
}
