//! Running a portal: its rows, or what it does to the connection.

use pgwire::messages::{
    PgWireBackendMessage,
    copy::{CopyDone, CopyOutResponse},
    extendedquery::PortalSuspended,
    response::{CommandComplete, EmptyQueryResponse, TransactionStatus},
    startup::ParameterStatus,
};

use super::{
    Connection, Reply, RowStream, limited,
    portals::{Portal, Work},
};
use crate::postgres::{
    Stop,
    encode::{CopyWriter, Layout},
    failure::Failure,
    statement::Command,
};

impl Connection {
    /// Runs `portal` up to `limit` rows and says how it ended. Returns whether the portal is of
    /// use to anybody after that.
    pub(super) async fn execute(&mut self, portal: &mut Portal, limit: u64) -> Result<bool, Stop> {
        let (rows, tag) = match &mut portal.work {
            Work::Nothing => {
                self.push(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
                return Ok(false);
            }
            Work::Command(command) => {
                let tag = self.run_command(command)?;
                self.complete(tag);
                return Ok(false);
            }
            Work::Declare { name, cursor } => {
                let cursor = std::mem::replace(cursor.as_mut(), Portal::new(Work::Nothing));
                self.portals.add(name.clone(), cursor)?;
                self.complete("DECLARE CURSOR");
                return Ok(false);
            }
            Work::Fetch(fetching) => {
                let tag = self.fetch(fetching, &portal.columns, limit).await?;
                return Ok(self.complete_or_suspend(tag));
            }
            Work::Copy { rows, writer } => {
                self.copy_out(rows, writer).await?;
                return Ok(false);
            }
            Work::Rows { rows, tag } => (rows, *tag),
        };
        let layout = Layout::Rows(&portal.columns);
        let before = rows.position().passed;
        let work = Box::pin(rows.send(&mut self.output, limit, layout));
        let sent = limited(&self.shared, &self.who, &mut self.input, work).await;
        self.rows_sent += rows.position().passed - before;
        let sent = sent?;
        let tag = if tag == "SELECT" { format!("SELECT {}", sent.rows) } else { tag.to_owned() };
        self.complete_or_suspend(sent.is_complete.then_some(tag));
        Ok(true)
    }

    /// Tells the client the tag, or that there is more; `true` in that case.
    fn complete_or_suspend(&mut self, tag: Option<String>) -> bool {
        let is_suspended = tag.is_none();
        match tag {
            Some(tag) => self.complete(tag),
            None => self.push(PgWireBackendMessage::PortalSuspended(PortalSuspended::new())),
        }
        is_suspended
    }

    fn complete(&mut self, tag: impl Into<String>) {
        let tag = CommandComplete::new(tag.into());
        self.push(PgWireBackendMessage::CommandComplete(tag));
    }

    /// Sends all rows of a COPY.
    async fn copy_out(
        &mut self,
        rows: &mut RowStream,
        writer: &mut CopyWriter,
    ) -> Result<(), Stop> {
        let (format, formats) = writer.formats();
        // At most `COLUMNS_MAX`.
        let columns = i16::try_from(formats.len()).unwrap_or(i16::MAX);
        let response = CopyOutResponse::new(format, columns, formats);
        self.push(PgWireBackendMessage::CopyOutResponse(response));
        self.output.append(|buffer| writer.write_head(buffer));
        let layout = Layout::Copy(writer);
        let work = Box::pin(rows.send(&mut self.output, u64::MAX, layout));
        let sent = limited(&self.shared, &self.who, &mut self.input, work).await;
        self.rows_sent += rows.position().passed;
        let sent = sent?;
        self.output.append(|buffer| writer.write_tail(buffer));
        self.push(PgWireBackendMessage::CopyDone(CopyDone::new()));
        self.complete(format!("COPY {}", sent.rows));
        Ok(())
    }

    /// What `SHOW` shows.
    pub(super) fn show(&self, name: &str) -> Result<Reply, Failure> {
        if name == "all" {
            let all = self.who.settings.all();
            return Ok(Reply::Values(
                all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ));
        }
        let value = self.who.settings.show(name)?;
        Ok(Reply::Value { column: name.to_owned(), value })
    }

    /// Carries out a command that concerns only the connection. Returns its tag.
    fn run_command(&mut self, command: &Command) -> Result<&'static str, Failure> {
        Ok(match command {
            Command::Begin => {
                if self.transaction == TransactionStatus::Idle {
                    self.snapshot = None;
                }
                self.transaction = TransactionStatus::Transaction;
                "BEGIN"
            }
            Command::Commit | Command::Rollback => {
                let failed = self.transaction == TransactionStatus::Error;
                let commits = matches!(command, Command::Commit) && !failed;
                self.transaction = TransactionStatus::Idle;
                self.snapshot = None;
                self.portals.end_transaction(commits);
                if commits { "COMMIT" } else { "ROLLBACK" }
            }
            Command::Savepoint { tag } => {
                if *tag == "ROLLBACK" && self.transaction == TransactionStatus::Error {
                    self.transaction = TransactionStatus::Transaction;
                }
                tag
            }
            Command::Set { name, value } => {
                let changed = self.who.settings.set(name, value.as_deref())?;
                self.report_settings(changed);
                "SET"
            }
            Command::SetNothing => "SET",
            Command::Reset { name: Some(name) } => {
                let changed = self.who.settings.set(name, None)?;
                self.report_settings(changed);
                "RESET"
            }
            Command::Reset { name: None } => {
                let changed = self.who.settings.reset_all();
                self.report_settings(changed);
                "RESET"
            }
            Command::Discard { tag } => {
                if *tag == "DISCARD ALL" {
                    self.discard_all()?;
                }
                tag
            }
            Command::Close { name: Some(name) } => {
                self.close_cursor(name)?;
                "CLOSE CURSOR"
            }
            Command::Close { name: None } => {
                self.portals.clear();
                "CLOSE CURSOR ALL"
            }
            Command::Deallocate { name } => self.deallocate(name.as_deref())?,
            Command::Unlisten => "UNLISTEN",
            Command::Query(_)
            | Command::Explain(_)
            | Command::Show { .. }
            | Command::Declare(_)
            | Command::Fetch(_)
            | Command::Copy(_) => {
                return Err(Failure::new("XX000", "a query was run as a command"));
            }
        })
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<&'static str, Failure> {
        match name {
            None => {
                self.statements.clear();
                Ok("DEALLOCATE ALL")
            }
            Some(name) if self.statements.remove(name).is_some() => Ok("DEALLOCATE"),
            Some(name) => {
                let text = format!("prepared statement \"{name}\" does not exist");
                Err(Failure::new("26000", text))
            }
        }
    }

    fn discard_all(&mut self) -> Result<(), Failure> {
        if self.transaction != TransactionStatus::Idle {
            let text = "DISCARD ALL cannot run inside a transaction block";
            return Err(Failure::new("25001", text));
        }
        self.statements.clear();
        self.portals.clear();
        let changed = self.who.settings.reset_all();
        self.report_settings(changed);
        Ok(())
    }

    fn report_settings(&mut self, changed: impl IntoIterator<Item = (&'static str, String)>) {
        for (name, value) in changed {
            let status = ParameterStatus::new(name.to_owned(), value);
            self.push(PgWireBackendMessage::ParameterStatus(status));
        }
    }
}
