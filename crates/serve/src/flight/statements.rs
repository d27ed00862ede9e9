//! Statements that clients come back for: prepared ones, those whose ticket was given out, and
//! those that are being read.

use std::{sync::Arc, time::Duration};

use arrow_flight::sql::ActionCreatePreparedStatementResult;
use lake::datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    Shared, caller::Caller, handles, listing::schema_bytes, parameters::Row, refused, types,
};
use crate::{
    audit::Outcome,
    kept::{Bounds, Kept, Key},
    postgres::{
        Fingerprint, Standing,
        arrow::{Asking, Query},
    },
};

/// How long a prepared statement waits to be used. As long as the token it was prepared with.
pub(super) const PREPARED_IDLE_MAX: Duration = Duration::from_secs(12 * 3600);

/// Tools keep some hundreds, of some kilobytes each.
const PREPARED: Bounds =
    Bounds { entries_max: 1_000, weight_max: 8 << 20, idle_max: PREPARED_IDLE_MAX };

/// Clients fetch as soon as they know where. A ticket holds a plan and a snapshot, so few wait.
const OPENED: Bounds =
    Bounds { entries_max: 64, weight_max: usize::MAX, idle_max: Duration::from_secs(300) };

/// As many as can be read at a time; each ends within the server's timeout.
const RUNNING: Bounds =
    Bounds { entries_max: 1_024, weight_max: usize::MAX, idle_max: Duration::from_secs(3600) };

/// A statement's right to be planned or read, of its role and of the server.
pub(super) type Slot = [OwnedSemaphorePermit; 2];

/// The statements of all users.
#[derive(Debug)]
pub(super) struct Statements {
    prepared: Kept<Arc<Prepared>>,
    opened: Kept<Arc<Opened>>,
    pub(super) running: Kept<CancellationToken>,
}

/// A statement as text: it is planned again for each run, which sees the tables as they are then.
#[derive(Debug)]
struct Prepared {
    text: String,
    parameters: Arc<[Field]>,
    /// What was bound last; `None` when nothing was.
    rows: Option<Arc<[Row]>>,
}

/// A statement that is planned and whose ticket is given out. Its rows come from the snapshot that
/// it was planned over.
pub(super) struct Opened {
    pub(super) query: Query,
    /// The statement runs once for each of them.
    pub(super) rows: Arc<[Row]>,
    pub(super) schema: SchemaRef,
    /// What the audit says of it.
    pub(super) about: Option<Fingerprint>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Default for Statements {
    fn default() -> Self {
        Self {
            prepared: Kept::new(PREPARED),
            opened: Kept::new(OPENED),
            running: Kept::new(RUNNING),
        }
    }
}

/// The parameters of a statement that has none: it runs once.
pub(super) fn once() -> Arc<[Row]> {
    Arc::from([Row::new()])
}

impl Shared {
    /// Takes a slot of the server and one of the role, which are free again when they are dropped.
    pub(super) fn slot(&self, role: &Standing) -> Result<Slot, Status> {
        let of_all = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            let max = self.config.connections_max;
            refused::busy(&format!("{max} statements are running already"))
        })?;
        let of_role = role.enter().ok_or_else(|| {
            let name = &role.name;
            refused::busy(&format!("role \"{name}\" is running as many statements as it may"))
        })?;
        Ok([of_role, of_all])
    }

    /// Judges and plans a statement.
    pub(super) async fn plan(&self, caller: &Caller, text: &str) -> Result<Query, Status> {
        self.noted(caller, text, async {
            let role = &caller.role;
            let _slot = self.slot(role)?;
            let asking = Asking { user: &role.name, statement_timeout: role.statement_timeout };
            let planned = Query::plan(&role.reader, text, asking).await;
            planned.map_err(|failure| refused::status(&failure))
        })
        .await
    }

    /// Plans a statement and returns what its result looks like.
    pub(super) async fn describe(
        &self,
        caller: &Caller,
        text: &str,
        rows: Arc<[Row]>,
    ) -> Result<Opened, Status> {
        let query = self.plan(caller, text).await?;
        let first = rows.first().cloned().unwrap_or_default();
        let bind = async { query.clone().bind(first).map_err(|failure| refused::status(&failure)) };
        let bound = self.noted(caller, text, bind).await?;
        let schema = Arc::new(types::described(&bound.columns()));
        Ok(Opened { query, rows, schema, about: self.notes.about(text) })
    }

    /// Tells the audit of what comes before a run when it fails, as of a statement that was refused.
    async fn noted<T>(
        &self,
        caller: &Caller,
        text: &str,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let started = self.clock.monotonic();
        let outcome = work.await;
        if let Err(status) = &outcome {
            let took = self.clock.monotonic().saturating_sub(started);
            let refused = Outcome::Refused { code: refused::sqlstate(status) };
            self.notes.statement(caller, self.notes.about(text).as_ref(), (0, took), refused);
        }
        outcome
    }

    /// Plans a statement and keeps it until its ticket comes back.
    pub(super) async fn open(
        &self,
        caller: &Caller,
        text: &str,
        rows: Arc<[Row]>,
    ) -> Result<(Key, SchemaRef), Status> {
        let opened = self.describe(caller, text, rows).await?;
        let (handle, schema) = (handles::random(), Arc::clone(&opened.schema));
        let now = self.clock.monotonic();
        self.statements.opened.keep(handle, &caller.role.name, 0, Arc::new(opened), now);
        Ok((handle, schema))
    }

    /// Takes the statement of a ticket; each is good for one stream.
    pub(super) fn redeem(&self, user: &str, handle: &Key) -> Result<Arc<Opened>, Status> {
        let taken = self.statements.opened.take(handle, user, self.clock.monotonic());
        taken.ok_or_else(|| {
            Status::not_found("the ticket was used or has expired; ask for the statement again")
        })
    }

    pub(super) async fn prepare(
        &self,
        caller: &Caller,
        text: String,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let query = self.plan(caller, &text).await?;
        let parameters = query.parameters().map_err(|failure| refused::status(&failure))?;
        let handle = handles::random();
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.to_vec().into(),
            dataset_schema: schema_bytes(&types::described(&query.columns()))?,
            parameter_schema: schema_bytes(&Schema::new(parameters.clone()))?,
        };
        let (weight, now) = (text.len(), self.clock.monotonic());
        let prepared = Arc::new(Prepared { text, parameters: parameters.into(), rows: None });
        self.statements.prepared.keep(handle, &caller.role.name, weight, prepared, now);
        Ok(result)
    }

    /// Returns the text of a prepared statement, and what is bound to it: once nothing if it has
    /// no parameters.
    pub(super) fn prepared(
        &self,
        user: &str,
        handle: &Key,
    ) -> Result<(String, Arc<[Row]>), Status> {
        let found = self.find_prepared(user, handle)?;
        let rows = found.rows.clone().unwrap_or_else(once);
        Ok((found.text.clone(), rows))
    }

    /// Returns the parameters of a prepared statement.
    pub(super) fn parameters(&self, user: &str, handle: &Key) -> Result<Arc<[Field]>, Status> {
        Ok(Arc::clone(&self.find_prepared(user, handle)?.parameters))
    }

    /// Binds rows of parameters to a prepared statement, in the place of what was bound before.
    pub(super) fn bind(
        &self,
        user: &Arc<str>,
        handle: Key,
        (rows, bytes): (Vec<Row>, usize),
    ) -> Result<(), Status> {
        let found = self.find_prepared(user, &handle)?;
        let (text, parameters) = (found.text.clone(), Arc::clone(&found.parameters));
        let (weight, now) = (text.len() + bytes, self.clock.monotonic());
        let prepared = Arc::new(Prepared { text, parameters, rows: Some(rows.into()) });
        self.statements.prepared.keep(handle, user, weight, prepared, now);
        Ok(())
    }

    /// Forgets a prepared statement. One that is gone already is closed as well.
    pub(super) fn close(&self, user: &str, handle: &Key) {
        drop(self.statements.prepared.take(handle, user, self.clock.monotonic()));
    }

    /// Ends a statement whose ticket was given out, whether it is being read or not.
    pub(super) fn cancel(&self, user: &str, handle: &Key) -> Result<(), Status> {
        let now = self.clock.monotonic();
        if self.statements.opened.take(handle, user, now).is_some() {
            return Ok(());
        }
        match self.statements.running.get(handle, user, now) {
            Some(running) => {
                running.cancel();
                Ok(())
            }
            None => Err(Status::not_found("no such statement is open or being read")),
        }
    }

    fn find_prepared(&self, user: &str, handle: &Key) -> Result<Arc<Prepared>, Status> {
        let found = self.statements.prepared.get(handle, user, self.clock.monotonic());
        found.ok_or_else(|| {
            Status::not_found("the prepared statement is closed or was not used for long")
        })
    }
}
