//! Whether hints arrive, and how fast: probes are written, and their events awaited.

use std::{collections::BTreeMap, time::Duration};

use model::{
    Clock,
    hint::{Hint, Place, Ticket},
};
use object_store::{ObjectStoreExt, PutPayload, path::Path};

use super::{Discoverer, Messages, pass};
use crate::Error;

/// What became of the probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// Probes written.
    pub sent: u64,
    /// From the end of the writing to the event, of each that arrived, the fastest first.
    pub latencies: Vec<Duration>,
}

impl SelfTest {
    /// Returns how many probes no event told of in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(u64::try_from(self.latencies.len()).unwrap_or(u64::MAX))
    }
}

impl Discoverer {
    /// Writes probes below the source, waits for their events, and deletes them.
    ///
    /// `names` have to be unused, and to begin with `_`, which hides them from every look; an event
    /// that is only sent for certain endings wants them to end so. Messages about other files are
    /// kept for the next look.
    ///
    /// # Errors
    /// A probe cannot be written, or a queue fails in a way that trying again will not mend.
    pub async fn self_test(
        &mut self,
        names: &[String],
        clock: &dyn Clock,
        patience: Duration,
    ) -> Result<SelfTest, Error> {
        let result = self.probe(names, clock, patience).await;
        for name in names {
            // A probe that stays is hidden and small; the result is worth more than its deletion.
            if let Err(error) = self.source.store.delete(&self.place(name)).await {
                tracing::warn!(probe = name, %error, "a probe could not be deleted");
            }
        }
        result
    }

    async fn probe(
        &mut self,
        names: &[String],
        clock: &dyn Clock,
        patience: Duration,
    ) -> Result<SelfTest, Error> {
        let mut open = BTreeMap::new();
        let mut report = SelfTest::default();
        for name in names {
            let place = self.place(name);
            let payload = PutPayload::from_static(b"{}");
            if let Err(source) = self.source.store.put(&place, payload).await {
                return Err(Error::Store { action: "writing", key: place.to_string(), source });
            }
            report.sent += 1;
            open.insert(place.to_string(), clock.monotonic());
        }
        let start = clock.monotonic();
        // Each turn waits, or brings a message; a queue that does neither ends the test.
        while !open.is_empty() {
            let elapsed = clock.monotonic().saturating_sub(start);
            let Some(left) = patience.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                break;
            };
            let mut is_idle = true;
            for inbox in &mut self.inboxes {
                let hints = match inbox.receive(left).await {
                    Ok(hints) => hints,
                    Err(error) => {
                        pass("receiving", error)?;
                        continue;
                    }
                };
                let arrived = clock.monotonic();
                let (probes, others): (Vec<Hint>, Vec<Hint>) =
                    hints.into_iter().partition(|hint| names_one(hint, &open));
                is_idle &= probes.is_empty() && others.is_empty();
                inbox.hold(others, &mut Messages::default());
                for place in probes.iter().flat_map(|hint| &hint.places) {
                    let Place::Object(path) = place else { continue };
                    if let Some(written) = open.remove(path) {
                        report.latencies.push(arrived.saturating_sub(written));
                    }
                }
                let done: Vec<Ticket> = probes.into_iter().map(|hint| hint.ticket).collect();
                if let Err(error) = inbox.delete(&done).await {
                    pass("deleting", error)?;
                }
            }
            if is_idle {
                clock.sleep(IDLE_WAIT.min(left)).await;
            }
        }
        report.latencies.sort();
        Ok(report)
    }

    /// Returns the key of a probe.
    fn place(&self, name: &str) -> Path {
        self.source.prefix.clone().unwrap_or_default().join(name)
    }
}

/// The wait after a queue had nothing to say: one that does not wait itself is not asked in a loop.
const IDLE_WAIT: Duration = Duration::from_millis(100);

/// Whether a message is about probes and nothing else.
fn names_one(hint: &Hint, open: &BTreeMap<String, Duration>) -> bool {
    let is_probe = |place: &Place| matches!(place, Place::Object(path) if open.contains_key(path));
    !hint.places.is_empty() && hint.places.iter().all(is_probe)
}
