//! One client's connection after login: the loop over its messages.
//!
//! The simple protocol is here; the extended one is in [`extended`]. Both open portals ([`open`])
//! and run them ([`commands`]). A statement runs under [`limited`], the one place that ends it
//! early: cancel request, timeout, shutdown, or a client that is gone.

use std::{
    collections::HashMap, io, net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration,
};

use futures::FutureExt;
use lake::datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
    data::RowDescription,
    response::{EmptyQueryResponse, ReadyForQuery, TransactionStatus},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Shared, Stop, WRITE_TIMEOUT,
    cancel::Registration,
    engine::{self, Caller, Planned, Snapshot},
    failure::Failure,
    roles::Standing,
    rows::RowStream,
    settings::Settings,
    statement::{self, COLUMNS_MAX, Command, Fingerprint},
    types::{Column, PgType},
    wire::{Input, Output},
};

mod commands;
mod cursors;
mod extended;
mod noted;
mod open;
mod portals;

use extended::Prepared;
use open::Binding;
use portals::Portals;

/// How long a client may think between two parts of a result. Until then the query keeps its
/// memory and its snapshot; a person who reads a page needs no longer.
const PORTAL_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Who is connected, and with what.
pub(super) struct Who {
    pub(super) role: Arc<Standing>,
    pub(super) address: IpAddr,
    pub(super) settings: Settings,
    pub(super) registration: Registration,
    /// Frees the connection's slots, of the role and of the server, when dropped.
    pub(super) _slots: [OwnedSemaphorePermit; 2],
}

pub(super) struct Connection {
    input: Input,
    output: Output,
    shared: Arc<Shared>,
    who: Who,
    transaction: TransactionStatus,
    /// What the statements up to the end of the transaction see; of a transaction without BEGIN,
    /// up to the next ReadyForQuery.
    snapshot: Option<Snapshot>,
    statements: HashMap<String, Arc<Prepared>>,
    portals: Portals,
    /// Several statements in one simple query are one transaction, as in PostgreSQL.
    is_block: bool,
    /// After an error in the extended protocol, messages are ignored up to the next Sync.
    skips_to_sync: bool,
    /// Of the statement that runs, for the audit.
    rows_sent: u64,
}

/// What `SHOW` answers with: one setting, or all.
enum Reply {
    Value { column: String, value: String },
    Values(Vec<(String, String)>),
}

impl Connection {
    pub(super) fn new(input: Input, output: Output, shared: Arc<Shared>, who: Who) -> Self {
        Self {
            input,
            output,
            shared,
            who,
            transaction: TransactionStatus::Idle,
            snapshot: None,
            statements: HashMap::new(),
            portals: Portals::default(),
            is_block: false,
            skips_to_sync: false,
            rows_sent: 0,
        }
    }

    /// Serves the client until it leaves, the server stops, or the socket breaks.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.ready().await?;
        loop {
            let shared = Arc::clone(&self.shared);
            let idle_timeout = self.idle_timeout();
            let idle_for_too_long = async {
                match idle_timeout {
                    Some(timeout) => shared.clock.sleep(timeout).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                biased;
                () = shared.stopping.cancelled() => {
                    return self.terminate(Failure::shutdown()).await;
                }
                message = self.input.next() => message,
                () = idle_for_too_long => {
                    return self.terminate(Failure::idle_in_transaction()).await;
                }
            };
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return self.terminate(Failure::protocol(error.to_string())).await;
                }
                Err(error) => return Err(error),
            };
            match self.handle(message).await {
                Ok(true) => (),
                Ok(false) => return Ok(()),
                Err(Stop::Gone(error)) => return Err(error),
                Err(Stop::Failed(failure)) => return self.terminate(failure).await,
            }
        }
    }

    /// Handles one message; `false` when the client says goodbye.
    async fn handle(&mut self, message: PgWireFrontendMessage) -> Result<bool, Stop> {
        match message {
            PgWireFrontendMessage::Terminate(_) => return Ok(false),
            PgWireFrontendMessage::Query(query) => {
                self.skips_to_sync = false;
                let outcome = self.simple(&query.query).await;
                let has_failed = self.report(outcome)?;
                self.portals.take("");
                self.end_statement(!has_failed);
                self.ready().await.map_err(Stop::Gone)?;
            }
            PgWireFrontendMessage::Sync(_) => {
                let has_failed = std::mem::take(&mut self.skips_to_sync);
                self.end_statement(!has_failed);
                self.ready().await.map_err(Stop::Gone)?;
            }
            PgWireFrontendMessage::Flush(_) => {
                self.flush().await.map_err(Stop::Gone)?;
            }
            _ if self.skips_to_sync => (),
            message => {
                let begun = self.begin_message(&message);
                let outcome = self.extended(message).await;
                self.end(begun, &outcome);
                if self.report(outcome)? {
                    self.skips_to_sync = true;
                    self.flush().await.map_err(Stop::Gone)?;
                } else {
                    self.flush_if_full().await.map_err(Stop::Gone)?;
                }
            }
        }
        Ok(true)
    }

    /// Tells the client of a failure; `true` when there was one. A fatal one ends the connection.
    fn report(&mut self, outcome: Result<(), Stop>) -> Result<bool, Stop> {
        match outcome {
            Ok(()) => Ok(false),
            Err(Stop::Failed(failure)) if !failure.fatal => {
                if self.transaction == TransactionStatus::Transaction {
                    self.transaction = TransactionStatus::Error;
                }
                self.push(PgWireBackendMessage::ErrorResponse(failure.into_response()));
                Ok(true)
            }
            Err(stop) => Err(stop),
        }
    }

    /// Without BEGIN, statements up to here were a transaction of their own.
    fn end_statement(&mut self, is_committed: bool) {
        self.is_block = false;
        if self.transaction == TransactionStatus::Idle {
            self.portals.end_transaction(is_committed);
        }
    }

    async fn terminate(mut self, failure: Failure) -> io::Result<()> {
        self.push(PgWireBackendMessage::ErrorResponse(failure.into_response()));
        tokio::select! {
            biased;
            closed = self.output.close() => closed,
            () = self.shared.clock.sleep(WRITE_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn ready(&mut self) -> io::Result<()> {
        if self.transaction == TransactionStatus::Idle {
            self.snapshot = None;
        }
        let status = ReadyForQuery::new(self.transaction);
        self.push(PgWireBackendMessage::ReadyForQuery(status));
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        tokio::select! {
            biased;
            flushed = self.output.flush() => flushed,
            () = self.shared.clock.sleep(WRITE_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Not every message is followed by a flush, and a client may send without end.
    async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.output.is_full() { self.flush().await } else { Ok(()) }
    }

    /// How long the client may be silent now; `None` for as long as it likes.
    fn idle_timeout(&self) -> Option<Duration> {
        let is_in_transaction = self.transaction != TransactionStatus::Idle;
        let wanted = self.who.settings.idle_in_transaction_timeout().filter(|_| is_in_transaction);
        let holds_rows = self.portals.hold_rows();
        wanted.into_iter().chain(holds_rows.then_some(PORTAL_IDLE_TIMEOUT)).min()
    }

    #[expect(clippy::needless_pass_by_value, reason = "messages are made to be sent")]
    fn push(&mut self, message: PgWireBackendMessage) {
        self.output.push(&message);
    }

    async fn simple(&mut self, text: &str) -> Result<(), Stop> {
        let statements = match statement::split(text) {
            Ok(statements) => statements,
            Err(failure) => {
                let begun = self.begin(true, |_| None);
                let outcome = Err(failure.into());
                self.end(begun, &outcome);
                return outcome;
            }
        };
        if statements.is_empty() {
            self.push(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
            return Ok(());
        }
        self.is_block = statements.len() > 1;
        for tokens in statements {
            let begun = self.begin(true, |_| Some(Arc::new(Fingerprint::of(&tokens))));
            let outcome = self.run_simple(tokens).await;
            self.end(begun, &outcome);
            outcome?;
            self.flush_if_full().await.map_err(Stop::Gone)?;
        }
        Ok(())
    }

    async fn run_simple(&mut self, tokens: Vec<TokenWithSpan>) -> Result<(), Stop> {
        let touches_catalog = statement::touches_catalog(&tokens);
        let command = statement::judge(tokens)?;
        self.check_transaction(Some(&command))?;
        let mut portal = self.open(command, touches_catalog, Binding::default()).await?;
        if !portal.columns.is_empty() {
            self.describe(&portal.columns);
        }
        self.execute(&mut portal, u64::MAX).await?;
        Ok(())
    }

    /// After an error in a transaction only its end is possible.
    fn check_transaction(&self, command: Option<&Command>) -> Result<(), Failure> {
        let ends = matches!(
            command,
            Some(Command::Commit | Command::Rollback | Command::Savepoint { tag: "ROLLBACK" })
        );
        if self.transaction == TransactionStatus::Error && !ends {
            return Err(Failure::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    fn describe(&mut self, columns: &[Column]) {
        let fields = columns.iter().map(Column::describe).collect();
        self.push(PgWireBackendMessage::RowDescription(RowDescription::new(fields)));
    }

    /// Plans a query of this connection under the limits of a statement.
    async fn plan(
        &mut self,
        query: &lake::datafusion::sql::sqlparser::ast::Query,
        touches_catalog: bool,
        declared: &[Option<PgType>],
    ) -> Result<Planned, Stop> {
        let caller = Caller {
            user: &self.who.role.name,
            pid: self.who.registration.pid,
            settings: &self.who.settings,
        };
        let kept = self.snapshot.clone();
        let is_in_transaction = self.transaction != TransactionStatus::Idle;
        let work = async {
            let reader = &self.who.role.reader;
            let snapshot = match kept {
                Some(snapshot) => snapshot,
                None if is_in_transaction => Snapshot::of_transaction(reader).await?,
                None => Snapshot::of_statement(reader).await?,
            };
            let planned =
                engine::plan(&snapshot, query, touches_catalog, declared, &caller).await?;
            Ok::<_, Stop>((snapshot, planned))
        };
        let (snapshot, planned) =
            limited(&self.shared, &self.who, &mut self.input, Box::pin(work)).await?;
        self.snapshot = Some(snapshot);
        if planned.columns.len() > COLUMNS_MAX {
            let text = format!("a result can have at most {COLUMNS_MAX} columns");
            return Err(Failure::new("54011", text).into());
        }
        Ok(planned)
    }
}

/// Runs `work` until it ends or something ends it. Whatever it had put into the outbox stays in
/// order: what follows is the error message.
async fn limited<T>(
    shared: &Shared,
    who: &Who,
    input: &mut Input,
    work: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    // Made before the work starts, so no cancel request is missed.
    let canceled = who.registration.canceled.notified();
    let timeout = who.settings.statement_timeout();
    tokio::select! {
        biased;
        outcome = caught(work) => outcome,
        () = canceled => Err(Failure::canceled().into()),
        () = shared.clock.sleep(timeout) => Err(Failure::timed_out().into()),
        () = shared.aborting.cancelled() => Err(Failure::shutdown().into()),
        () = input.closed() => Err(Stop::Gone(io::ErrorKind::ConnectionAborted.into())),
    }
}

/// Turns a panic within the engine into an error of the statement; what it had is dropped.
async fn caught<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(Failure::panicked().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_statement() {
        let work = futures::future::lazy(|_| -> Result<(), Stop> { panic!("in the engine") });
        let Err(Stop::Failed(failure)) = caught(work).await else {
            panic!("the client is to be told");
        };
        let fields = failure.into_response().fields;
        assert!(fields.contains(&(b'C', "XX000".to_owned())), "{fields:?}");
    }
}
