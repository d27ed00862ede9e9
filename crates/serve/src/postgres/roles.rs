//! Who may connect: what each role may read, and how much of the server it may take.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lake::Grants;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{PostgresConfig, failure::Failure, verifier::Verifier};

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

/// Who may connect: role by name.
#[derive(Clone, Debug, Default)]
pub struct Users {
    roles: BTreeMap<String, Role>,
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
        self.roles.insert(name.into(), role);
    }

    /// Returns those who may read everything within the limits of the server, for a door that knows
    /// no other roles.
    #[must_use]
    pub fn unbounded(&self) -> Self {
        let is_unbounded = |role: &Role| role.grants.is_none() && role.limits == Limits::default();
        let roles = self.roles.iter().filter(|(_, role)| is_unbounded(role));
        Self { roles: roles.map(|(name, role)| (name.clone(), role.clone())).collect() }
    }

    /// Returns the verifier of `user`.
    #[must_use]
    pub fn get(&self, user: &str) -> Option<&Verifier> {
        self.roles.get(user).map(|role| &role.verifier)
    }
}

/// A role at work: what all of its connections share.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) name: String,
    /// Shows what the role may read, and no more.
    pub(super) reader: lake::Reader,
    pub(super) statement_timeout: Duration,
    pub(super) rows_max: u64,
    slots: Arc<Semaphore>,
}

/// Gives every role its part of the server.
pub(super) fn standings(
    users: &Users,
    config: &PostgresConfig,
    reader: &lake::Reader,
) -> BTreeMap<String, Arc<Standing>> {
    let standing = |(name, role): (&String, &Role)| {
        let Limits { connections_max, statement_timeout, rows_max, memory_max } = role.limits;
        let mut reader = reader.clone();
        if let Some(grants) = &role.grants {
            reader = reader.only(grants.clone());
        }
        if let Some(bytes) = memory_max {
            reader = reader.with_memory(bytes);
        }
        let within = |wanted: Option<Duration>, max: Duration| wanted.map_or(max, |it| it.min(max));
        let slots =
            connections_max.map_or(config.connections_max, |it| it.min(config.connections_max));
        let standing = Standing {
            name: name.clone(),
            reader,
            statement_timeout: within(statement_timeout, config.statement_timeout),
            rows_max: rows_max.map_or(config.rows_max, |it| it.min(config.rows_max)),
            slots: Arc::new(Semaphore::new(slots)),
        };
        (name.clone(), Arc::new(standing))
    };
    users.roles.iter().map(standing).collect()
}

impl Standing {
    /// Takes a place among the connections of the role.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            Failure::fatal("53300", format!("too many connections for role \"{}\"", self.name))
                .with_hint("Close one, or raise its `connections_max`.")
        })
    }
}
