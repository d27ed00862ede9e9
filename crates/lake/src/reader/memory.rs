//! How much memory queries take: all of them together, and the share of some of them.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use datafusion::{
    common::DataFusionError,
    execution::memory_pool::{
        FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
    },
};

/// Memory of all queries together, 512 MiB: a query that needs more spills to disk or fails, and
/// the pipeline in the same process goes on.
static WHOLE: LazyLock<Arc<dyn MemoryPool>> =
    LazyLock::new(|| Arc::new(FairSpillPool::new(512 << 20)));

/// The memory of all queries.
pub(super) fn whole() -> Arc<dyn MemoryPool> {
    Arc::clone(&WHOLE)
}

/// The memory that some queries take together. Clones are the same memory.
#[derive(Clone, Debug)]
pub struct Memory(pub(super) Arc<dyn MemoryPool>);

impl Memory {
    /// A share of `bytes` of the 512 MiB of all queries.
    #[must_use]
    pub fn share(bytes: usize) -> Self {
        Self(Arc::new(Share { own: FairSpillPool::new(bytes), whole: whole() }))
    }
}

/// Bounded by itself, and by what others have left of the whole.
#[derive(Debug)]
struct Share {
    own: FairSpillPool,
    whole: Arc<dyn MemoryPool>,
}

impl MemoryPool for Share {
    fn name(&self) -> &str {
        "share"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
        self.whole.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
        self.whole.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.whole.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.whole.shrink(reservation, shrink);
    }

    fn try_grow(
        &self,
        reservation: &MemoryReservation,
        additional: usize,
    ) -> Result<(), DataFusionError> {
        self.own.try_grow(reservation, additional)?;
        // What could not be had of the whole is given back.
        self.whole
            .try_grow(reservation, additional)
            .inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a share of {}: {}", self.whole, self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_bounded_by_itself_and_by_the_whole() {
        let whole: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1_000));
        let share = |bytes| -> Arc<dyn MemoryPool> {
            Arc::new(Share { own: FairSpillPool::new(bytes), whole: Arc::clone(&whole) })
        };
        let (small, large) = (share(300), share(900));
        let first = MemoryConsumer::new("first").register(&small);
        first.try_grow(300).unwrap();
        assert!(first.try_grow(1).is_err(), "beyond its share");
        let second = MemoryConsumer::new("second").register(&large);
        second.try_grow(700).unwrap();
        assert!(second.try_grow(1).is_err(), "within its share, beyond the whole");
        assert_eq!((small.reserved(), large.reserved(), whole.reserved()), (300, 700, 1_000));
        drop(first);
        assert_eq!((small.reserved(), whole.reserved()), (0, 700));
        second.try_grow(200).unwrap();
        drop(second);
        assert_eq!((large.reserved(), whole.reserved()), (0, 0));
    }
}
