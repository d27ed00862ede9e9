//! What a queue tells of new objects: hints. The object's own store is the truth about it.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use chrono::{DateTime, Utc};

use crate::ErrorKind;

/// An answer that takes a while.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, HintError>> + Send + 'a>>;

/// Where hints come from: a queue of events, or the watching of a folder.
///
/// Hints may be late, lost, doubled and out of order, and the object may be gone by the time one is
/// read. Whoever makes an implementation has subscribed: what is written from then on is told.
pub trait Hints: fmt::Debug + Send {
    /// Whether hints are kept while nobody is there to receive them. If not, everything has to be
    /// listed once after each start.
    fn is_durable(&self) -> bool;

    /// Returns hints that are there, and waits for the first for about `wait` when none is.
    ///
    /// A hint comes again after a while, under a new receipt, until it is [`done`](Self::done).
    fn receive(&mut self, wait: Duration) -> Pending<'_, Vec<Hint>>;

    /// Deletes messages. One that is gone, or whose receipt has run out, is no failure.
    fn done<'a>(&'a mut self, tickets: &'a [Ticket]) -> Pending<'a, ()>;
}

/// One message, received and not yet deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What deletes it.
    pub ticket: Ticket,
    /// When it was sent, where the queue says so.
    pub ts_sent: Option<DateTime<Utc>>,
    /// Where to look. None: the message is about nothing of ours.
    pub places: Vec<Place>,
    /// What was strange about it, or about a part of it.
    pub oddity: Option<Oddity>,
}

/// What deletes a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The message; the same each time it comes.
    pub id: String,
    /// The proof that it was received; another one each time.
    pub receipt: String,
}

/// Where to look. Keys begin below the root of the source, without a slash, decoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At one object.
    Object(String),
    /// At everything below a folder, named without a slash at the end.
    Folder(String),
    /// Everywhere: hints were lost.
    Everywhere,
}

/// Why a message names no place, or not only places. The graver is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// The service tries out whether its events arrive.
    Test,
    /// About something else than a new object, such as a deletion.
    Other,
    /// About an object outside the source.
    Foreign,
    /// It cannot be read.
    Broken,
}

/// Why there are no hints.
#[derive(Debug, thiserror::Error)]
#[error("asking for hints of new objects")]
pub struct HintError {
    /// What it asks of the caller.
    pub kind: ErrorKind,
    /// What the queue said.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
