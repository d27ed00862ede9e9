//! A queue in memory that delivers at least once, as services do.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use model::{
    ErrorKind,
    hint::{Hint, HintError, Hints, Oddity, Pending, Place, Ticket},
};

/// A queue as services have them: what is received comes again until it is deleted.
#[derive(Clone, Debug, Default)]
pub(in crate::files) struct Queue(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(in crate::files) struct Inner {
    pub(in crate::files) waiting: VecDeque<Hint>,
    pub(in crate::files) received: BTreeMap<String, Hint>,
    pub(in crate::files) deleted: Vec<String>,
    pub(in crate::files) sent: u64,
    pub(in crate::files) is_lossy: bool,
    pub(in crate::files) failure: Option<ErrorKind>,
}

impl Queue {
    pub(in crate::files) fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::files) fn send(&self, places: &[Place], oddity: Option<Oddity>) {
        let mut inner = self.inner();
        inner.sent += 1;
        let id = inner.sent.to_string();
        let ticket = Ticket { id, receipt: "1".to_owned() };
        inner.waiting.push_back(Hint { ticket, ts_sent: None, places: places.to_vec(), oddity });
    }

    pub(in crate::files) fn tell(&self, path: &str) {
        self.send(&[Place::Object(path.to_owned())], None);
    }

    /// Lets what was received and not deleted come again.
    pub(in crate::files) fn time_out(&self) {
        let mut inner = self.inner();
        for (_, mut hint) in std::mem::take(&mut inner.received) {
            hint.ticket.receipt.push('+');
            inner.waiting.push_back(hint);
        }
    }

    pub(in crate::files) fn left(&self) -> usize {
        let inner = self.inner();
        inner.waiting.len() + inner.received.len()
    }
}

impl Hints for Queue {
    fn is_durable(&self) -> bool {
        !self.inner().is_lossy
    }

    fn receive(&mut self, _: Duration) -> Pending<'_, Vec<Hint>> {
        Box::pin(async {
            let mut inner = self.inner();
            if let Some(kind) = inner.failure {
                return Err(HintError { kind, source: "out of order".into() });
            }
            let count = inner.waiting.len().min(10);
            let hints: Vec<Hint> = inner.waiting.drain(..count).collect();
            for hint in &hints {
                inner.received.insert(hint.ticket.id.clone(), hint.clone());
            }
            Ok(hints)
        })
    }

    fn done<'a>(&'a mut self, tickets: &'a [Ticket]) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut inner = self.inner();
            for ticket in tickets {
                if inner.received.remove(&ticket.id).is_some() {
                    inner.deleted.push(ticket.id.clone());
                }
            }
            Ok(())
        })
    }
}
