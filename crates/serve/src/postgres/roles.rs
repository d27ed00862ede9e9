//! Who may connect: what each role may read, and how much of the server it may take.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lake::{Grants, Memory, Reader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::verifier::Verifier;

/// What somebody may do.
#[derive(Clone, Debug)]
pub struct Role {
    /// Proves that it is them.
    pub verifier: Verifier,
    /// What they may read; without it everything.
    pub grants: Option<Grants>,
    /// How much they may take.
    pub limits: Limits,
}

/// The bounds of a role, each within that of the server. `None` is the server's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most connections of the role at a time.
    pub connections_max: Option<usize>,
    /// Longest run of one statement.
    pub statement_timeout: Option<Duration>,
    /// Most rows of one result.
    pub rows_max: Option<u64>,
    /// Memory of all its queries together, in bytes.
    pub memory_max: Option<usize>,
}

/// Who may connect: role by name. At several doors, with clones of one list, a role has its memory
/// once and the other bounds at each.
#[derive(Clone, Debug, Default)]
pub struct Users {
    roles: BTreeMap<String, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    role: Role,
    /// Its share, if it has one of its own.
    memory: Option<Memory>,
}

impl Users {
    /// Creates the list without anybody in it: nobody can connect.
    #[must_use]
    pub const fn new() -> Self {
        Self { roles: BTreeMap::new() }
    }

    /// Adds `user`, who may read everything within the limits of the server.
    pub fn insert(&mut self, user: impl Into<String>, verifier: Verifier) {
        self.insert_role(user, Role { verifier, grants: None, limits: Limits::default() });
    }

    /// Adds a role, or replaces the one of that name.
    pub fn insert_role(&mut self, name: impl Into<String>, role: Role) {
        let memory = role.limits.memory_max.map(Memory::share);
        self.roles.insert(name.into(), Known { role, memory });
    }

    /// Returns the verifier of `user`.
    #[must_use]
    pub fn get(&self, user: &str) -> Option<&Verifier> {
        self.roles.get(user).map(|known| &known.role.verifier)
    }

    /// Gives every role its part of a door with the bounds `door`.
    pub(crate) fn standings(&self, door: Bounds, reader: &Reader) -> Standings {
        let standing = |(name, known): (&String, &Known)| {
            let mut reader = reader.clone();
            if let Some(grants) = &known.role.grants {
                reader = reader.only(grants.clone());
            }
            if let Some(memory) = &known.memory {
                reader = reader.with_memory(memory);
            }
            (name.clone(), Arc::new(Standing::new(name, known.role.limits, door, reader)))
        };
        self.roles.iter().map(standing).collect()
    }
}

/// The bounds of a door, which no role goes beyond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most connections of one role, or what counts as one where they have none.
    pub(crate) connections_max: usize,
    pub(crate) statement_timeout: Duration,
    pub(crate) rows_max: u64,
}

/// The roles of a door by name.
pub(crate) type Standings = BTreeMap<String, Arc<Standing>>;

/// A role at work: what all of its connections at a door share.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) name: Arc<str>,
    /// Shows what the role may read, and no more.
    pub(crate) reader: Reader,
    pub(crate) statement_timeout: Duration,
    pub(crate) rows_max: u64,
    slots: Arc<Semaphore>,
}

impl Standing {
    /// A role that reads what `reader` shows.
    pub(crate) fn new(name: &str, limits: Limits, door: Bounds, reader: Reader) -> Self {
        let Limits { connections_max, statement_timeout, rows_max, memory_max: _ } = limits;
        let slots = connections_max.map_or(door.connections_max, |it| it.min(door.connections_max));
        let timeout = door.statement_timeout;
        Self {
            name: Arc::from(name),
            reader,
            statement_timeout: statement_timeout.map_or(timeout, |it| it.min(timeout)),
            rows_max: rows_max.map_or(door.rows_max, |it| it.min(door.rows_max)),
            slots: Arc::new(Semaphore::new(slots)),
        }
    }

    /// Takes a place among the connections of the role; `None` when all are taken.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use lake::datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    const DOOR: Bounds =
        Bounds { connections_max: 4, statement_timeout: Duration::from_secs(9), rows_max: 100 };

    fn users(limits: Limits) -> Users {
        let verifier = Verifier::from_password("x", b"0123456789abcdef");
        let mut users = Users::new();
        users.insert_role("desk", Role { verifier, grants: None, limits });
        users
    }

    fn at_a_door(users: &Users) -> Arc<Standing> {
        let reader = Reader::in_memory(Vec::new()).unwrap();
        Arc::clone(&users.standings(DOOR, &reader)["desk"])
    }

    #[test]
    fn a_role_lowers_the_bounds_of_its_door_and_raises_none() {
        let low = Limits {
            connections_max: Some(1),
            statement_timeout: Some(Duration::from_secs(1)),
            rows_max: Some(10),
            memory_max: None,
        };
        let desk = at_a_door(&users(low));
        assert_eq!((desk.statement_timeout, desk.rows_max), (Duration::from_secs(1), 10));
        let first = desk.enter();
        assert!(first.is_some() && desk.enter().is_none());
        let high = Limits { rows_max: Some(1_000), ..Limits::default() };
        let desk = at_a_door(&users(high));
        assert_eq!((desk.statement_timeout, desk.rows_max), (DOOR.statement_timeout, 100));
    }

    #[tokio::test]
    async fn at_two_doors_a_role_has_its_memory_once() {
        let users = users(Limits { memory_max: Some(1_000), ..Limits::default() });
        let (first, second) = (at_a_door(&users), at_a_door(&users.clone()));
        let (first, second) =
            (first.reader.context().await.unwrap(), second.reader.context().await.unwrap());
        let first = MemoryConsumer::new("first").register(&first.runtime_env().memory_pool);
        let second = MemoryConsumer::new("second").register(&second.runtime_env().memory_pool);
        first.try_grow(900).unwrap();
        second.try_grow(200).unwrap_err();
        first.free();
        second.try_grow(200).unwrap();
    }
}
