//! What clients come back for, in a bounded table: each entry is somebody's, and goes when nobody
//! asks for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What an entry is found by: random, or the hash of something random. Nobody hits upon one, so
/// it does not matter that a look-up takes longer for some.
pub(crate) type Key = [u8; 32];

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most entries of one owner. The one that was asked for longest ago makes room.
    pub(crate) entries_max: usize,
    /// Most weight of one owner's entries together.
    pub(crate) weight_max: usize,
    /// An entry that nobody asked for so long is gone.
    pub(crate) idle_max: Duration,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    bounds: Bounds,
    entries: Mutex<HashMap<Key, Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    owner: Arc<str>,
    weight: usize,
    /// When it was last asked for, and how many entries had been before: several may be asked for
    /// at one moment.
    used: (Duration, u64),
    value: T,
}

impl<T: Clone> Kept<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: Mutex::default() }
    }

    /// Keeps `value` for `owner` under `key`, or puts it in the place of what was there.
    pub(crate) fn keep(&self, key: Key, owner: &Arc<str>, weight: usize, value: T, now: Duration) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&key);
        entries.retain(|_, entry| now.saturating_sub(entry.used.0) <= self.bounds.idle_max);
        make_room(&mut entries, self.bounds, owner, weight);
        let place = entries.values().map(|entry| entry.used.1).max().map_or(0, |last| last + 1);
        let owner = Arc::clone(owner);
        entries.insert(key, Entry { owner, weight, used: (now, place), value });
    }

    /// Returns what is kept under `key`, and whose it is.
    pub(crate) fn find(&self, key: &Key, now: Duration) -> Option<(Arc<str>, T)> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get_mut(key)?;
        if self.bounds.idle_max < now.saturating_sub(entry.used.0) {
            entries.remove(key);
            return None;
        }
        entry.used.0 = now;
        Some((Arc::clone(&entry.owner), entry.value.clone()))
    }

    /// Returns what `owner` keeps under `key`.
    pub(crate) fn get(&self, key: &Key, owner: &str, now: Duration) -> Option<T> {
        self.find(key, now).filter(|(found, _)| **found == *owner).map(|(_, value)| value)
    }

    /// Removes what `owner` keeps under `key`, and returns it.
    pub(crate) fn take(&self, key: &Key, owner: &str, now: Duration) -> Option<T> {
        let value = self.get(key, owner, now)?;
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Some(value)
    }
}

/// Removes the entries of `owner` that were asked for longest ago, until one more fits.
fn make_room<T>(entries: &mut HashMap<Key, Entry<T>>, bounds: Bounds, owner: &str, weight: usize) {
    loop {
        let own = || entries.iter().filter(|(_, entry)| *entry.owner == *owner);
        let count = own().count();
        let total: usize = own().map(|(_, entry)| entry.weight).sum();
        if count < bounds.entries_max && total.saturating_add(weight) <= bounds.weight_max {
            return;
        }
        let oldest = own().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
        let Some(oldest) = oldest else { return };
        entries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { entries_max: 2, weight_max: 10, idle_max: Duration::from_secs(60) };

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn owner(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn an_entry_is_its_owners_alone() {
        let kept = Kept::new(BOUNDS);
        kept.keep([1; 32], &owner("ann"), 1, "a", at(0));
        assert_eq!(kept.get(&[1; 32], "bob", at(1)), None);
        assert_eq!(kept.take(&[1; 32], "bob", at(1)), None);
        assert_eq!(kept.take(&[1; 32], "ann", at(1)), Some("a"));
        assert_eq!(kept.get(&[1; 32], "ann", at(1)), None);
    }

    #[test]
    fn what_is_not_asked_for_goes() {
        let kept = Kept::new(BOUNDS);
        kept.keep([1; 32], &owner("ann"), 1, "a", at(0));
        assert_eq!(kept.get(&[1; 32], "ann", at(60)), Some("a"));
        assert_eq!(kept.get(&[1; 32], "ann", at(120)), Some("a"), "the time begins anew");
        assert_eq!(kept.get(&[1; 32], "ann", at(181)), None);
        assert_eq!(kept.get(&[1; 32], "ann", at(120)), None, "gone is gone");
    }

    #[test]
    fn the_one_that_was_asked_for_longest_ago_makes_room() {
        let kept = Kept::new(BOUNDS);
        for key in [1, 2] {
            kept.keep([key; 32], &owner("ann"), 1, key, at(0));
        }
        kept.keep([9; 32], &owner("bob"), 10, 9, at(0));
        assert_eq!(kept.get(&[1; 32], "ann", at(1)), Some(1));
        kept.keep([3; 32], &owner("ann"), 1, 3, at(2));
        let left = |key: u8| kept.find(&[key; 32], at(2)).is_some();
        assert_eq!([1, 2, 3, 9].map(left), [true, false, true, true]);
        // Weight counts as well; what is put in its own place makes no room for itself.
        kept.keep([3; 32], &owner("ann"), 10, 3, at(3));
        assert_eq!([1, 2, 3, 9].map(left), [false, false, true, true]);
    }
}
