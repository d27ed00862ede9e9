//! The portals of one connection: statements with their parameters, and cursors.
//!
//! As in PostgreSQL the two share their names: a driver may FETCH from a portal that it has bound,
//! and execute a cursor that it has declared.

use std::{collections::HashMap, sync::Arc};

use super::{RowStream, cursors::Fetching};
use crate::postgres::{
    encode::CopyWriter,
    failure::Failure,
    statement::{Command, Fingerprint},
    types::Column,
};

/// Open portals hold a snapshot and a running query each.
const PORTALS_MAX: usize = 64;

/// Longest name of a statement or portal. PostgreSQL cuts names to 63 bytes, drivers make them of
/// a word and a number.
const NAME_BYTES_MAX: usize = 256;

/// A statement with its parameters, ready to run, or running.
pub(super) struct Portal {
    pub(super) work: Work,
    /// What the client is told of its rows.
    pub(super) columns: Vec<Column>,
    /// What the audit says of it.
    pub(super) about: Option<Arc<Fingerprint>>,
    life: Life,
}

pub(super) enum Work {
    /// The statement is empty.
    Nothing,
    /// Concerns only the connection; without rows.
    Command(Command),
    /// `tag` is what the client is told at the end.
    Rows {
        rows: RowStream,
        tag: &'static str,
    },
    /// Becomes a portal of this name.
    Declare {
        name: String,
        cursor: Box<Portal>,
    },
    Fetch(Fetching),
    Copy {
        rows: RowStream,
        writer: CopyWriter,
    },
}

/// Until when a portal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Until its transaction ends.
    Transaction,
    /// `WITH HOLD`, within the transaction that declared it: until that one fails.
    Commit,
    /// `WITH HOLD`, after that: until it is closed.
    Connection,
}

impl Portal {
    pub(super) const fn new(work: Work) -> Self {
        Self { work, columns: Vec::new(), about: None, life: Life::Transaction }
    }

    pub(super) fn of_rows(rows: RowStream, tag: &'static str, columns: Vec<Column>) -> Self {
        Self::new(Work::Rows { rows, tag }).with_columns(columns)
    }

    pub(super) fn with_columns(mut self, columns: Vec<Column>) -> Self {
        self.columns = columns;
        self
    }

    /// Keeps it beyond the end of its transaction.
    pub(super) const fn held(mut self) -> Self {
        self.life = Life::Commit;
        self
    }

    /// True while a query of it is running or suspended.
    fn holds_rows(&self) -> bool {
        match &self.work {
            Work::Rows { rows, .. } | Work::Copy { rows, .. } => rows.is_open(),
            Work::Declare { cursor, .. } => cursor.holds_rows(),
            Work::Nothing | Work::Command(_) | Work::Fetch(_) => false,
        }
    }
}

#[derive(Default)]
pub(super) struct Portals {
    open: HashMap<String, Portal>,
}

impl Portals {
    pub(super) fn get(&self, name: &str) -> Option<&Portal> {
        self.open.get(name)
    }

    /// The rows of a cursor.
    pub(super) fn rows(&mut self, name: &str) -> Option<&mut RowStream> {
        match &mut self.open.get_mut(name)?.work {
            Work::Rows { rows, .. } => Some(rows),
            _ => None,
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Portal> {
        self.open.remove(name)
    }

    /// Puts back what was taken.
    pub(super) fn put_back(&mut self, name: String, portal: Portal) {
        self.open.insert(name, portal);
    }

    /// Fails unless a portal of this name can be added. Only the nameless one is replaced.
    pub(super) fn check_free(&self, name: &str) -> Result<(), Failure> {
        check_name(name)?;
        if !name.is_empty() && self.open.contains_key(name) {
            return Err(Failure::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        if self.open.len() >= PORTALS_MAX {
            return Err(Failure::new("53000", "too many open portals"));
        }
        Ok(())
    }

    pub(super) fn add(&mut self, name: String, portal: Portal) -> Result<(), Failure> {
        self.check_free(&name)?;
        self.open.insert(name, portal);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Closes what does not outlive the transaction.
    pub(super) fn end_transaction(&mut self, is_committed: bool) {
        self.open.retain(|_, portal| match portal.life {
            Life::Transaction => false,
            Life::Commit => is_committed,
            Life::Connection => true,
        });
        for portal in self.open.values_mut() {
            portal.life = Life::Connection;
        }
    }

    /// True while a query is running or suspended in one of them.
    pub(super) fn hold_rows(&self) -> bool {
        self.open.values().any(Portal::holds_rows)
    }
}

/// Bounds the name of a statement or portal.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Failure::new("42622", "the name of a statement or portal is too long"));
    }
    Ok(())
}

pub(super) fn no_portal(name: &str) -> Failure {
    Failure::new("34000", format!("portal \"{name}\" does not exist"))
}
