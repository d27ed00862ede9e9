//! Who polls: every poller creates a new beat now and then, and watches those of the others.
//!
//! No two machines' clocks are compared. A poller counts as gone when its newest beat has not changed
//! for the length of a lease on the watcher's own clock, and stops acting sooner than that on its
//! own: the beat was on its way before anybody could see it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use model::Clock;
use serde::{Deserialize, Serialize};

use super::objects::{Objects, number};
use crate::Error;

/// Beats in the length of a lease: three may get lost.
const BEATS_PER_LEASE: u32 = 4;
/// A beat that failed is tried again soon.
const RETRIES_PER_LEASE: u32 = 16;
/// An eighth of the lease is left to two clocks that do not run alike, far more than they differ.
const MARGIN: u32 = 8;
/// After as many leases the beats of a poller that is gone are litter.
const LITTER_LEASES: u32 = 20;

/// What a beat says of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Glance {
    /// Links of its chain, as far as the poller knows.
    pub(super) links: u64,
    pub(super) windows_behind: u64,
    pub(super) rows_total: u64,
    pub(super) ts_newest: Option<DateTime<Utc>>,
}

/// A sign of life, with the shards that the poller holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) shards: BTreeMap<u32, Glance>,
}

/// How long this poller may act without another beat. A new term begins whenever it lapsed: what
/// was held before may belong to others since.
///
/// It lapses by either clock. The monotonic one stands still while the machine is suspended, the
/// wall clock may be set; a wrong one only lets it lapse too early.
#[derive(Debug)]
pub(super) struct Lease {
    clock: Arc<dyn Clock>,
    ttl: Duration,
    held: Mutex<Held>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    until: Duration,
    until_wall: DateTime<Utc>,
    term: u64,
}

impl Held {
    fn has_lapsed(&self, now: Moment) -> bool {
        self.until <= now.monotonic || self.until_wall <= now.wall
    }
}

/// What this machine's two clocks show.
#[derive(Clone, Copy, Debug)]
struct Moment {
    monotonic: Duration,
    wall: DateTime<Utc>,
}

impl Moment {
    fn of(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.now() }
    }
}

impl Lease {
    pub(super) fn new(clock: Arc<dyn Clock>, ttl: Duration) -> Self {
        Self { clock, ttl, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease by a beat whose creation began at `begun`.
    fn renew(&self, begun: Moment) {
        let now = Moment::of(self.clock.as_ref());
        let mut held = self.lock();
        held.term += u64::from(held.has_lapsed(now));
        let holds_for = self.ttl - self.ttl / MARGIN;
        held.until = begun.monotonic.saturating_add(holds_for);
        held.until_wall = begun.wall + holds_for;
    }

    /// Returns the present term.
    pub(super) fn term(&self) -> u64 {
        self.lock().term
    }

    /// Returns whether the lease holds, and has held since `term` began.
    pub(super) fn is_in(&self, term: u64) -> bool {
        let held = *self.lock();
        held.term == term && !held.has_lapsed(Moment::of(self.clock.as_ref()))
    }

    pub(super) fn holds(&self) -> bool {
        self.is_in(self.term())
    }
}

/// What was last seen of a poller.
#[derive(Clone, Debug)]
struct Seen {
    number: u64,
    /// When the newest beat was first seen, on our own clock.
    at: Duration,
    beat: Beat,
}

/// The other pollers, as their beats show them.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    seen: BTreeMap<String, Seen>,
}

impl Watch {
    /// Notes a beat; an older one than was seen before is no news.
    fn note(&mut self, member: &str, number: u64, beat: Beat, now: Duration) {
        let is_news = self.seen.get(member).is_none_or(|seen| seen.number < number);
        if is_news {
            self.seen.insert(member.to_owned(), Seen { number, at: now, beat });
        }
    }

    /// Returns the pollers whose newest beat is younger than `ttl`.
    fn live(&self, now: Duration, ttl: Duration) -> impl Iterator<Item = (&String, &Beat)> {
        self.seen
            .iter()
            .filter(move |(_, seen)| now < seen.at.saturating_add(ttl))
            .map(|(member, seen)| (member, &seen.beat))
    }
}

/// This poller among the others.
#[derive(Debug)]
pub(super) struct Members {
    objects: Objects,
    folder: String,
    holder: String,
    ttl: Duration,
    lease: Arc<Lease>,
    watch: Watch,
    next_number: u64,
    watched_since: Option<Duration>,
}

/// The pollers as listed: the numbers of their beats.
pub(super) type Listing = BTreeMap<String, BTreeSet<u64>>;

/// Lists all beats under a generation's folder.
pub(super) async fn list_beats(objects: &Objects, folder: &str) -> Result<Listing, Error> {
    let mut members = Listing::new();
    for listed in objects.list(folder, None).await? {
        let member = listed.key.rsplit('/').nth(1).map(str::to_owned);
        if let (Some(member), Some(number)) = (member, listed.number()) {
            members.entry(member).or_default().insert(number);
        }
    }
    Ok(members)
}

/// Reads a beat; `None` when it is gone, because there is a newer one, or damaged.
pub(super) async fn read_beat(objects: &Objects, key: &str) -> Result<Option<Beat>, Error> {
    match objects.read(key).await {
        Ok(found) => Ok(found.and_then(|body| serde_json::from_slice(&body).ok())),
        // The next one replaces it; that it is there is what counts.
        Err(Error::PollObject { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Members {
    pub(super) fn new(
        objects: Objects,
        folder: String,
        holder: String,
        ttl: Duration,
        lease: Arc<Lease>,
    ) -> Self {
        let watch = Watch::default();
        Self { objects, folder, holder, ttl, lease, watch, next_number: 0, watched_since: None }
    }

    fn now(&self) -> Duration {
        self.objects.clock().monotonic()
    }

    fn key(&self, member: &str, number: u64) -> String {
        format!("{}/{member}/{number:020}", self.folder)
    }

    /// Creates the next beat and returns the time until the one after it is due.
    ///
    /// Each try has a number of its own: whatever became of one before, only a beat that is
    /// confirmed renews the lease. One that takes as long as the time between two is tried again.
    pub(super) async fn beat(&mut self, beat: &Beat) -> Result<Duration, Error> {
        let begun = Moment::of(self.objects.clock().as_ref());
        let number = self.next_number;
        self.next_number += 1;
        let body = serde_json::to_vec(beat).expect("dates and numbers always serialise");
        let key = self.key(&self.holder, number);
        let created = tokio::select! {
            biased;
            created = self.objects.create_once(&key, &body) => created,
            () = self.objects.clock().sleep(self.ttl / BEATS_PER_LEASE) => {
                tracing::debug!("a beat takes too long");
                return Ok(Duration::ZERO);
            }
        };
        match created {
            Ok(()) => {
                self.lease.renew(begun);
                Ok(self.ttl / BEATS_PER_LEASE)
            }
            Err(error) if error.kind() == model::ErrorKind::Config => Err(error),
            Err(error) => {
                tracing::debug!(%error, "a beat got lost");
                Ok(self.ttl / RETRIES_PER_LEASE)
            }
        }
    }

    /// Looks at the beats of all pollers and deletes those nobody needs.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        let listing = list_beats(&self.objects, &self.folder).await?;
        let now = self.now();
        self.watched_since.get_or_insert(now);
        // A poller that left took its beats along; there is always one of any other.
        self.watch.seen.retain(|member, _| listing.contains_key(member));
        let mut litter = Vec::new();
        for (member, mut numbers) in listing {
            let Some(newest) = numbers.pop_last() else { continue };
            litter.extend(numbers.iter().map(|number| self.key(&member, *number)));
            if member == self.holder {
                self.next_number = self.next_number.max(newest + 1);
                continue;
            }
            let known = self.watch.seen.get(&member);
            match known.filter(|seen| newest <= seen.number) {
                Some(seen) if seen.at.saturating_add(self.ttl * LITTER_LEASES) < now => {
                    litter.push(self.key(&member, newest));
                }
                Some(_) => (),
                None => {
                    let read = read_beat(&self.objects, &self.key(&member, newest)).await?;
                    let beat = read.or_else(|| known.map(|seen| seen.beat.clone()));
                    let now = self.now();
                    self.watch.note(&member, newest, beat.unwrap_or_default(), now);
                }
            }
        }
        self.objects.delete(litter).await;
        Ok(())
    }

    /// Deletes this poller's beats: it is gone at once.
    pub(super) async fn leave(&self) -> Result<(), Error> {
        let prefix = format!("{}/{}", self.folder, self.holder);
        let beats = self.objects.list(&prefix, None).await?.into_iter().map(|listed| listed.key);
        self.objects.delete(beats.filter(|key| number(key).is_some())).await;
        Ok(())
    }

    /// Returns the other pollers that are alive, as far as it can be known.
    pub(super) fn others(&self) -> BTreeSet<String> {
        self.watch.live(self.now(), self.ttl).map(|(member, _)| member.clone()).collect()
    }

    /// Returns the shards that live pollers show.
    pub(super) fn shown(&self) -> BTreeSet<u32> {
        let live = self.watch.live(self.now(), self.ttl);
        live.flat_map(|(_, beat)| beat.shards.keys().copied()).collect()
    }

    /// Returns whether a poller that shows no life has had the time to.
    pub(super) fn has_watched_long(&self) -> bool {
        self.watched_since.is_some_and(|since| since.saturating_add(self.ttl) <= self.now())
    }

    /// Returns whether a newcomer can act without taking the others by surprise: all that were
    /// there know of it since its first beat.
    pub(super) fn is_known(&self) -> bool {
        let joined = self.watched_since.map(|since| since + self.ttl / BEATS_PER_LEASE);
        self.watch.seen.is_empty() || joined.is_some_and(|joined| joined <= self.now())
    }
}

#[cfg(test)]
mod tests {
    use model::clock::Sleep;

    use super::*;

    /// A machine's clocks, each moved by hand.
    #[derive(Debug, Default)]
    struct TwoClocks(Mutex<(Duration, Duration)>);

    impl TwoClocks {
        fn advance(&self, monotonic: u64, wall: u64) {
            let mut now = self.0.lock().unwrap();
            now.0 += Duration::from_secs(monotonic);
            now.1 += Duration::from_secs(wall);
        }
    }

    impl Clock for TwoClocks {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH + self.0.lock().unwrap().1
        }

        fn monotonic(&self) -> Duration {
            self.0.lock().unwrap().0
        }

        fn sleep(&self, _: Duration) -> Sleep<'_> {
            Box::pin(std::future::ready(()))
        }
    }

    #[test]
    fn a_lease_lapses_by_either_clock_and_begins_a_new_term() {
        let clock = Arc::new(TwoClocks::default());
        let lease = Lease::new(Arc::<TwoClocks>::clone(&clock), Duration::from_secs(8));
        let renew = || lease.renew(Moment::of(clock.as_ref()));
        assert!(!lease.holds(), "before the first beat");
        renew();
        let first = lease.term();
        clock.advance(6, 6);
        assert!(lease.is_in(first));
        renew();
        clock.advance(6, 6);
        assert!(lease.is_in(first), "renewed in time");
        // Suspended: only the wall clock goes on.
        clock.advance(0, 86_400);
        assert!(!lease.is_in(first));
        renew();
        assert!(lease.holds() && !lease.is_in(first), "what was held before may not be any more");
        // A wall clock that stands still.
        let second = lease.term();
        clock.advance(7, 0);
        assert!(!lease.is_in(second));
    }

    #[test]
    fn a_beat_that_was_on_its_way_while_the_machine_was_suspended_renews_nothing() {
        let clock = Arc::new(TwoClocks::default());
        let lease = Lease::new(Arc::<TwoClocks>::clone(&clock), Duration::from_secs(8));
        lease.renew(Moment::of(clock.as_ref()));
        let term = lease.term();
        let begun = Moment::of(clock.as_ref());
        clock.advance(1, 86_400);
        lease.renew(begun);
        assert!(!lease.holds() && !lease.is_in(term));
    }
}
