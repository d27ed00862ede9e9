//! Statements without a connection: what `engine::arrow` answers, as PostgreSQL's texts, for doors
//! that carry rows in another form.
//!
//! Who asks gives one text and takes batch after batch. What the port does by a message, a cancel
//! request or a lost socket, such a door does by dropping what it was given.

use std::{fmt, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures::StreamExt as _;
use lake::datafusion::{arrow::array::RecordBatch, execution::SendableRecordBatchStream};
use model::Clock;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Threads,
    encode::Rows,
    engine::arrow::{self, Asking},
    failure::Failure,
    roles::Standing,
    types::{Column, PgType},
};
use crate::Error;

mod place;

pub(crate) use place::Place;

/// How far a statement may go: the same as on the port.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// Longest run of one statement, from its text to its last row.
    pub timeout: Duration,
    /// Most rows of one result.
    pub rows_max: u64,
}

/// Answers statements over the lake.
pub(crate) struct Queries {
    pub(crate) clock: Arc<dyn Clock>,
    /// Threads of its own, so that no page in a browser holds up the port; and, as there, apart from
    /// the engine's, which may be busy with all of them while a statement's time ends.
    threads: Threads,
    engine: Threads,
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queries").finish_non_exhaustive()
    }
}

/// What is said of a statement that was refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The SQLSTATE.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Where in the text, if that is known.
    pub(crate) place: Option<Place>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, hint, .. } = failure;
        Self { code, message, hint, place: None }
    }
}

impl Refused {
    fn of(failure: Failure, text: &str) -> Self {
        let mut refused = Self::from(failure);
        (refused.message, refused.place) = place::find(refused.message, text);
        refused
    }

    pub(crate) fn canceled() -> Self {
        Failure::canceled().into()
    }

    pub(crate) fn timed_out() -> Self {
        Failure::timed_out().into()
    }

    /// The engine died of a statement.
    pub(crate) fn panicked() -> Self {
        Failure::panicked().into()
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Failure::unsupported(message).into()
    }

    /// A result with two columns of one name, which a form cannot hold.
    pub(crate) fn duplicate_column(name: &str) -> Self {
        let text = format!("two columns of the result are called \"{name}\"");
        Failure::new("42701", text).with_hint("Name one of them with AS.").into()
    }
}

/// A running statement.
pub(crate) struct Opened {
    columns: Vec<Column>,
    types: Arc<[PgType]>,
    records: SendableRecordBatchStream,
    passed: u64,
    rows_max: u64,
}

/// Some rows of a result.
pub(crate) struct Batch {
    records: RecordBatch,
    types: Arc<[PgType]>,
}

/// The same rows as texts.
pub(crate) struct Texts(Rows);

impl Queries {
    pub(crate) fn start(clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let threads = Threads::start("marketlake-http-sql", "HTTP")?;
        let engine = Threads::start("marketlake-http-engine", "HTTP")?;
        Ok(Self { clock, threads, engine })
    }

    /// Judges, plans and starts the one statement of `text` for `role`. It ends, when the engine next
    /// gives way, once what is returned is dropped. Of a result with more rows than `limit` it works
    /// out one row more, so that whoever wanted no more can say that there are.
    pub(crate) async fn open(
        &self,
        role: &Arc<Standing>,
        text: String,
        limit: Option<u64>,
    ) -> Result<Opened, Refused> {
        let (role, engine) = (Arc::clone(role), self.engine.handle.clone());
        let work = async move {
            let opened = Box::pin(open(&role, &engine, &text, limit)).await;
            opened.map_err(|failure| Refused::of(failure, &text))
        };
        let opened = AbortOnDropHandle::new(self.threads.handle.spawn(work)).await;
        opened.unwrap_or_else(|_| Err(Failure::panicked().into()))
    }

    /// Starts `work` beside the engine: rows are turned into texts there.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.threads.handle.spawn(work));
    }
}

async fn open(
    role: &Standing,
    threads: &tokio::runtime::Handle,
    text: &str,
    limit: Option<u64>,
) -> Result<Opened, Failure> {
    let asking = Asking { user: &role.name, statement_timeout: role.statement_timeout };
    let query = arrow::Query::plan(&role.reader, text, asking).await?;
    let columns = query.wire_columns();
    let (query, rows_max) = match limit.map(|limit| limit.saturating_add(1)) {
        // Whoever wants no more rows than they may have is not told that there are too many.
        Some(rows) if rows - 1 <= role.rows_max => (query.at_most(rows)?, role.rows_max.max(rows)),
        _ => (query, role.rows_max),
    };
    Ok(Opened::new(columns, query.run(threads).await?, rows_max))
}

impl Opened {
    fn new(columns: Vec<Column>, records: SendableRecordBatchStream, rows_max: u64) -> Self {
        let types = columns.iter().map(|column| column.pg_type).collect();
        Self { columns, types, records, passed: 0, rows_max }
    }

    /// The columns: name and PostgreSQL's name of the type.
    pub(crate) fn columns(&self) -> impl ExactSizeIterator<Item = (&str, &'static str)> {
        self.columns.iter().map(|column| (column.name.as_str(), column.pg_type.sql_name()))
    }

    /// What the engine calls the columns' types; names may be others than of [`Self::columns`].
    pub(crate) fn schema(&self) -> lake::arrow::datatypes::SchemaRef {
        self.records.schema()
    }

    /// Returns the next rows; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>, Refused> {
        let Some(records) = self.records.next().await else { return Ok(None) };
        let records = records.map_err(|error| Failure::from_datafusion(&error))?;
        self.passed = self.passed.saturating_add(records.num_rows() as u64);
        if self.rows_max < self.passed {
            return Err(Failure::too_many_rows(self.rows_max).into());
        }
        Ok(Some(Batch { records, types: Arc::clone(&self.types) }))
    }
}

impl Batch {
    pub(crate) const fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// Leaves out all but the first `rows`.
    pub(crate) fn cut(&mut self, rows: usize) {
        self.records = self.records.slice(0, rows.min(self.records.num_rows()));
    }

    pub(crate) fn texts(&self) -> Result<Texts, Refused> {
        let rows = Rows::new(&self.records, &self.types)
            .map_err(|error| Failure::from_datafusion(&error.into()))?;
        Ok(Texts(rows))
    }
}

impl Texts {
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends the value as PostgreSQL's text; `false`, and nothing, for a null.
    pub(crate) fn write(&self, row: usize, column: usize, out: &mut BytesMut) -> bool {
        self.0.write_text_at(row, column, out)
    }
}
