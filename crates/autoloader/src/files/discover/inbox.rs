//! Messages of one queue, from when they are received until the files they name are planned.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::hint::{Hint, HintError, Hints, Oddity, Place, Ticket};

use super::waiting::Waitlist;

/// Most messages that are held before no more are received: what is not planned yet comes again
/// from the queue, and each costs memory here.
pub(super) const HELD_MAX: usize = 10_000;

/// Most questions in one look. With the ten messages that SQS hands out at a time, a thousand files,
/// which is what a batch takes.
const RECEIVES_MAX: usize = 100;

/// What messages were about, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Received, all together.
    pub received: u64,
    /// Of a service that tries out its events.
    pub test: u64,
    /// About something else than new objects.
    pub other: u64,
    /// About objects outside the source.
    pub foreign: u64,
    /// Not to be read.
    pub broken: u64,
    /// About objects that were gone when they were looked at.
    pub gone: u64,
}

impl Messages {
    /// Adds those of another receiving.
    pub fn add(&mut self, more: Self) {
        // Named one by one, so that none that comes is forgotten here.
        let Self { received, test, other, foreign, broken, gone } = more;
        self.received += received;
        self.test += test;
        self.other += other;
        self.foreign += foreign;
        self.broken += broken;
        self.gone += gone;
    }
}

/// One queue and its messages under way.
#[derive(Debug)]
pub(super) struct Inbox {
    hints: Box<dyn Hints>,
    held: BTreeMap<String, Held>,
}

#[derive(Debug)]
struct Held {
    ticket: Ticket,
    places: Vec<Place>,
    /// A look has been at all its places.
    is_looked_at: bool,
}

impl Inbox {
    pub(super) fn new(hints: Box<dyn Hints>) -> Self {
        Self { hints, held: BTreeMap::new() }
    }

    pub(super) fn is_durable(&self) -> bool {
        self.hints.is_durable()
    }

    /// Receives what is there.
    ///
    /// # Errors
    /// The queue's. What was received before stays.
    pub(super) async fn fill(&mut self, messages: &mut Messages) -> Result<(), HintError> {
        for _ in 0..RECEIVES_MAX {
            if HELD_MAX <= self.held.len() {
                break;
            }
            let hints = self.hints.receive(Duration::ZERO).await?;
            if hints.is_empty() {
                break;
            }
            self.hold(hints, messages);
        }
        Ok(())
    }

    /// Receives once, for those who look into messages themselves.
    ///
    /// # Errors
    /// The queue's.
    pub(super) async fn receive(&mut self, wait: Duration) -> Result<Vec<Hint>, HintError> {
        self.hints.receive(wait).await
    }

    /// Keeps messages until they are done with; one that comes again takes its own place.
    pub(super) fn hold(&mut self, hints: Vec<Hint>, messages: &mut Messages) {
        for Hint { ticket, places, oddity, .. } in hints {
            messages.received += 1;
            match oddity {
                Some(Oddity::Test) => messages.test += 1,
                Some(Oddity::Other) => messages.other += 1,
                Some(Oddity::Foreign) => messages.foreign += 1,
                Some(Oddity::Broken) => messages.broken += 1,
                None => (),
            }
            let held = Held { ticket: ticket.clone(), places, is_looked_at: false };
            self.held.insert(ticket.id, held);
        }
    }

    /// Returns the places that no look has been at.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.held.values().filter(|held| !held.is_looked_at).flat_map(|held| &held.places)
    }

    /// Notes that a look has been at all places.
    pub(super) fn looked(&mut self) {
        for held in self.held.values_mut() {
            held.is_looked_at = true;
        }
    }

    /// Deletes the messages that nothing waits for: a look has been at their places, and none of
    /// the files there waits to be planned.
    ///
    /// # Errors
    /// The queue's. Messages that are left come again, which does no harm.
    pub(super) async fn clear(&mut self, waiting: &Waitlist) -> Result<u64, HintError> {
        let is_done = |held: &Held| {
            held.is_looked_at && !held.places.iter().any(|place| waiting.has_open(place))
        };
        let done: Vec<Ticket> = self
            .held
            .values()
            .filter(|held| is_done(held))
            .map(|held| held.ticket.clone())
            .collect();
        self.delete(&done).await
    }

    /// Deletes messages.
    ///
    /// # Errors
    /// The queue's.
    pub(super) async fn delete(&mut self, tickets: &[Ticket]) -> Result<u64, HintError> {
        if tickets.is_empty() {
            return Ok(0);
        }
        self.hints.done(tickets).await?;
        let ids: BTreeSet<&str> = tickets.iter().map(|ticket| ticket.id.as_str()).collect();
        self.held.retain(|id, _| !ids.contains(id.as_str()));
        Ok(u64::try_from(tickets.len()).unwrap_or(u64::MAX))
    }
}
