//! Cursors of SQL: `DECLARE`, `FETCH`, `MOVE`, `CLOSE`.
//!
//! A cursor is a portal whose query runs as far as it is read. `WITH HOLD` needs no copy of the
//! rows: the query goes on over the versions of the tables it began with.

use pgwire::messages::response::TransactionStatus;

use super::{Connection, limited};
use crate::postgres::{
    Stop,
    encode::Layout,
    failure::Failure,
    statement::{Declare, Fetch},
    types::Column,
};

/// A FETCH or MOVE, also between two Executes of the extended protocol.
pub(super) struct Fetching {
    fetch: Fetch,
    /// Known once it has begun: the position of the cursor decides.
    progress: Option<Progress>,
}

struct Progress {
    left: u64,
    counted: u64,
}

impl Fetching {
    pub(super) const fn new(fetch: Fetch) -> Self {
        Self { fetch, progress: None }
    }
}

impl Connection {
    /// Refuses a cursor that would be gone before it can be read.
    pub(super) fn check_declare(&self, declare: &Declare) -> Result<(), Failure> {
        let is_alone = self.transaction == TransactionStatus::Idle && !self.is_block;
        if is_alone && !declare.is_held {
            let text = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(
                Failure::new("25P01", text).with_hint("Send BEGIN first, or declare it WITH HOLD.")
            );
        }
        self.portals.check_free(&declare.name)
    }

    /// The columns that a FETCH returns, as the cursor was declared.
    pub(super) fn fetch_columns(&self, fetch: &Fetch) -> Result<Vec<Column>, Failure> {
        let cursor = self.portals.get(&fetch.cursor).ok_or_else(|| no_cursor(&fetch.cursor))?;
        Ok(if fetch.is_move { Vec::new() } else { cursor.columns.clone() })
    }

    /// Hands out up to `limit` rows. Returns the tag when nothing is left of them.
    pub(super) async fn fetch(
        &mut self,
        fetching: &mut Fetching,
        columns: &[Column],
        limit: u64,
    ) -> Result<Option<String>, Stop> {
        let Fetch { cursor, motion, is_move } = &fetching.fetch;
        let rows = self.portals.rows(cursor).ok_or_else(|| no_cursor(cursor))?;
        if !is_move && !rows.fits(columns) {
            // Another cursor of that name was declared since the client was told of the columns.
            return Err(Failure::unsupported("cached plan must not change result type").into());
        }
        let output = &mut self.output;
        let work = async {
            let progress = match &mut fetching.progress {
                Some(progress) => progress,
                none => {
                    let step = motion.step(rows.position(), *is_move)?;
                    rows.send(output, step.skip, Layout::Skip).await?;
                    none.insert(Progress { left: step.take, counted: step.counted })
                }
            };
            let layout = if *is_move { Layout::Skip } else { Layout::Rows(columns) };
            let sent = rows.send(output, limit.min(progress.left), layout).await?;
            progress.counted += sent.rows;
            progress.left = if sent.is_complete { 0 } else { progress.left - sent.rows };
            let sent = if *is_move { 0 } else { sent.rows };
            Ok::<_, Stop>(((progress.left == 0).then_some(progress.counted), sent))
        };
        match limited(&self.shared, &self.who, &mut self.input, Box::pin(work)).await {
            Ok((counted, sent)) => {
                self.rows_sent += sent;
                let command = if *is_move { "MOVE" } else { "FETCH" };
                Ok(counted.map(|counted| format!("{command} {counted}")))
            }
            Err(stop) => {
                // The client has missed rows, so nobody is to read on behind them.
                self.portals.take(cursor);
                Err(stop)
            }
        }
    }

    pub(super) fn close_cursor(&mut self, name: &str) -> Result<(), Failure> {
        self.portals.take(name).map(drop).ok_or_else(|| no_cursor(name))
    }
}

fn no_cursor(name: &str) -> Failure {
    Failure::new("34000", format!("cursor \"{name}\" does not exist"))
}
