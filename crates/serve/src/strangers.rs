//! Sockets whose owners have not proved who they are, and which of them makes room for the next.
//!
//! Whoever says nothing keeps a place until the login's time is over, and one machine could keep all of
//! a port's. So when the last is taken somebody makes room: the one who has waited longest, of the
//! address with the most. Who comes from elsewhere and logs in as others do is let in.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::postgres::network;

/// Those who are logging in at a port, no more than it has sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strangers {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// In the order in which they came.
    places: Vec<Place>,
    came: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    address: IpAddr,
    known: CancellationToken,
    evicted: CancellationToken,
}

/// A place among those who are logging in; free when dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    number: u64,
    /// Cancelled by whoever has found out who it is, for those who hear of that later.
    pub(crate) known: CancellationToken,
    /// Cancelled when it has to make room.
    pub(crate) evicted: CancellationToken,
    strangers: Strangers,
}

impl Strangers {
    /// Waits for one of a port's places for a socket from `address`; when the last is taken, somebody
    /// has to leave. `None` when there are no more places to come.
    pub(crate) async fn admit(
        &self,
        places: &Arc<Semaphore>,
        address: IpAddr,
    ) -> Option<(OwnedSemaphorePermit, Stranger)> {
        if places.available_permits() == 0 {
            self.make_room();
        }
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        Some((place, self.enter(address)))
    }

    /// Notes a socket from `address`.
    pub(crate) fn enter(&self, address: IpAddr) -> Stranger {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.came += 1;
        let number = waiting.came;
        let (known, evicted) = (CancellationToken::new(), CancellationToken::new());
        waiting.places.push(Place {
            number,
            address: network(address),
            known: known.clone(),
            evicted: evicted.clone(),
        });
        Stranger { number, known, evicted, strangers: self.clone() }
    }

    /// Makes somebody leave, if there is anybody.
    pub(crate) fn make_room(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.places.retain(|place| !place.known.is_cancelled());
        let addresses: Vec<IpAddr> = waiting.places.iter().map(|place| place.address).collect();
        let Some(at) = of_the_most(&addresses) else { return };
        let place = waiting.places.remove(at);
        tracing::debug!(address = %place.address, "a socket that had not logged in made room");
        place.evicted.cancel();
    }
}

impl Stranger {
    /// Ends the waiting of one that has logged in, and returns whether it may stay: it may have been
    /// told to make room at the same moment, and then nobody else is.
    pub(crate) fn may_stay(self) -> bool {
        let _waiting = self.strangers.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.known.cancel();
        !self.evicted.is_cancelled()
    }

    /// Ends when this one has to leave: never, once it is known.
    pub(crate) async fn told_to_leave(self) {
        tokio::select! {
            () = self.known.cancelled() => if self.may_stay() {
                std::future::pending::<()>().await;
            },
            () = self.evicted.cancelled() => (),
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut waiting = self.strangers.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.places.retain(|place| place.number != self.number);
    }
}

/// Returns where the first is of the address that is there most often.
fn of_the_most(addresses: &[IpAddr]) -> Option<usize> {
    let mut counts: HashMap<&IpAddr, usize> = HashMap::new();
    for address in addresses {
        *counts.entry(address).or_default() += 1;
    }
    let most = counts.values().max()?;
    addresses.iter().position(|address| counts.get(address) == Some(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_first_of_the_most_makes_room() {
        for (addresses, expected) in
            [(&[][..], None), (&[1], Some(0)), (&[1, 2, 2, 1, 2], Some(1)), (&[1, 2, 3], Some(0))]
        {
            let addresses: Vec<IpAddr> = addresses.iter().map(|last| address(*last)).collect();
            assert_eq!(of_the_most(&addresses), expected, "{addresses:?}");
        }
    }

    #[test]
    fn who_takes_the_most_places_makes_room_and_others_stay() {
        let strangers = Strangers::default();
        let other = strangers.enter(address(2));
        let silent: Vec<Stranger> = (0..5).map(|_| strangers.enter(address(1))).collect();
        strangers.make_room();
        strangers.make_room();
        let is_evicted = |stranger: &Stranger| stranger.evicted.is_cancelled();
        let evicted: Vec<bool> = silent.iter().map(is_evicted).collect();
        assert_eq!(evicted, [true, true, false, false, false], "those who waited longest");
        assert!(!is_evicted(&other));
        // Who has logged in, or has gone, makes no room.
        drop(silent);
        strangers.make_room();
        assert!(is_evicted(&other));
        strangers.make_room();
    }

    #[test]
    fn who_is_known_stays_and_who_was_told_to_go_does_not() {
        let strangers = Strangers::default();
        let [known, told, last] = [1, 1, 1].map(|last| strangers.enter(address(last)));
        known.known.cancel();
        strangers.make_room();
        assert!(known.may_stay());
        assert!(!told.may_stay());
        assert!(last.may_stay());
    }

    #[test]
    fn a_household_is_one_address() {
        let strangers = Strangers::default();
        let other = strangers.enter(address(1));
        let there = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let silent = [1, 2].map(|last| strangers.enter(there(last)));
        strangers.make_room();
        assert!(silent[0].evicted.is_cancelled() && !other.evicted.is_cancelled());
    }
}
