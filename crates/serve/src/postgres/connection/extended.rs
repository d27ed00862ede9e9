//! The extended protocol: Parse, Bind, Describe, Execute, Close.
//!
//! A prepared statement is planned again for every Bind, so each execution sees the tables as its
//! transaction does, and all rows of one portal come from one snapshot.

use std::sync::Arc;

use bytes::Bytes;
use lake::datafusion::{arrow::array::RecordBatch, common::ScalarValue};
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
    data::{NoData, ParameterDescription},
    extendedquery::{
        Bind, BindComplete, CloseComplete, Parse, ParseComplete, TARGET_TYPE_BYTE_STATEMENT,
    },
};

use super::{Connection, Reply, RowStream, limited};
use crate::postgres::{
    Stop,
    engine::{Planned, text_rows},
    failure::Failure,
    parameters,
    statement::{self, Command},
    types::{Column, PgType},
};

/// Drivers keep some hundreds at most.
const STATEMENTS_MAX: usize = 1_000;

/// Bytes of all prepared statements of one connection, with the names of their columns: a thousand
/// statements of four kilobytes.
const STATEMENTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Open portals hold a snapshot and a running query each.
const PORTALS_MAX: usize = 64;

/// Longest name of a statement or portal. PostgreSQL cuts names to 63 bytes, drivers make them of
/// a word and a number.
const NAME_BYTES_MAX: usize = 256;

/// A statement as Parse left it: as text, because its tree takes a hundred times the memory, and
/// making it is quick beside the planning that Bind does anyway.
pub(super) struct Prepared {
    text: String,
    parameters: Vec<PgType>,
    columns: Vec<Column>,
    /// What it adds to the bytes that are bounded.
    bytes: usize,
}

impl Prepared {
    fn new(name: &str, text: String, parameters: Vec<PgType>, columns: Vec<Column>) -> Self {
        let columns_bytes: usize =
            columns.iter().map(|column| size_of::<Column>() + column.name.len()).sum();
        let parameters_bytes = size_of_val(parameters.as_slice());
        let bytes = name.len() + text.len() + parameters_bytes + columns_bytes;
        Self { text, parameters, columns, bytes }
    }
}

/// A statement with its parameters, ready to run, or running.
pub(super) struct Portal {
    pub(super) work: Work,
    pub(super) columns: Vec<Column>,
}

pub(super) enum Work {
    /// The statement is empty.
    Nothing,
    /// Concerns only the connection; without rows.
    Command(Command),
    /// `tag` is what the client is told at the end.
    Rows { rows: RowStream, tag: &'static str },
}

impl Portal {
    fn of_rows(rows: RowStream, tag: &'static str, columns: Vec<Column>) -> Self {
        Self { work: Work::Rows { rows, tag }, columns }
    }

    /// True while a query of it is running or suspended.
    pub(super) fn holds_rows(&self) -> bool {
        matches!(&self.work, Work::Rows { rows, .. } if rows.is_open())
    }
}

impl Connection {
    pub(super) async fn extended(&mut self, message: PgWireFrontendMessage) -> Result<(), Stop> {
        match message {
            PgWireFrontendMessage::Parse(parse) => self.parse(parse).await?,
            PgWireFrontendMessage::Bind(bind) => self.bind(bind).await?,
            PgWireFrontendMessage::Describe(describe) => {
                let name = describe.name.unwrap_or_default();
                if describe.target_type == TARGET_TYPE_BYTE_STATEMENT {
                    self.describe_statement(&name)?;
                } else {
                    self.describe_portal(&name)?;
                }
            }
            PgWireFrontendMessage::Execute(execute) => {
                let limit = u64::try_from(execute.max_rows).ok().filter(|limit| *limit > 0);
                self.execute_named(execute.name.unwrap_or_default(), limit).await?;
            }
            PgWireFrontendMessage::Close(close) => {
                let name = close.name.unwrap_or_default();
                if close.target_type == TARGET_TYPE_BYTE_STATEMENT {
                    self.statements.remove(&name);
                } else {
                    self.portals.remove(&name);
                }
                self.push(PgWireBackendMessage::CloseComplete(CloseComplete::new()));
            }
            PgWireFrontendMessage::CopyData(_)
            | PgWireFrontendMessage::CopyDone(_)
            | PgWireFrontendMessage::CopyFail(_) => (),
            _ => return Err(Failure::protocol("unexpected message").into()),
        }
        Ok(())
    }

    async fn parse(&mut self, parse: Parse) -> Result<(), Stop> {
        let name = parse.name.unwrap_or_default();
        check_name(&name)?;
        if !name.is_empty() && self.statements.contains_key(&name) {
            let text = format!("prepared statement \"{name}\" already exists");
            return Err(Failure::new("42P05", text).into());
        }
        if self.statements.len() >= STATEMENTS_MAX {
            return Err(Failure::new("53000", "too many prepared statements").into());
        }
        let (parameters, columns) = match judge_one(&parse.query)? {
            None => (Vec::new(), Vec::new()),
            Some((command, touches_catalog)) => {
                self.check_transaction(Some(&command))?;
                let declared = declared_types(&parse.type_oids)?;
                self.prepare(&command, touches_catalog, &declared).await?
            }
        };
        let prepared = Prepared::new(&name, parse.query, parameters, columns);
        let others = self.statements.iter().filter(|(other, _)| **other != name);
        let others_bytes: usize = others.map(|(_, prepared)| prepared.bytes).sum();
        if others_bytes + prepared.bytes > STATEMENTS_BYTES_MAX {
            let text = "the prepared statements of this connection take more than 4 MiB";
            return Err(Failure::new("53000", text)
                .with_hint("Close those that are not needed any more.")
                .into());
        }
        self.statements.insert(name, Arc::new(prepared));
        self.push(PgWireBackendMessage::ParseComplete(ParseComplete::new()));
        Ok(())
    }

    /// Finds out parameters and columns of a command.
    async fn prepare(
        &mut self,
        command: &Command,
        touches_catalog: bool,
        declared: &[Option<PgType>],
    ) -> Result<(Vec<PgType>, Vec<Column>), Stop> {
        Ok(match command {
            Command::Query(query) => {
                let planned = self.plan(query, touches_catalog, declared).await?;
                (planned.parameters, planned.columns)
            }
            Command::Explain(query) => {
                let planned = self.plan(query, touches_catalog, declared).await?;
                (planned.parameters, vec![text_column("QUERY PLAN")])
            }
            Command::Show { name } => (Vec::new(), show_columns(&self.show(name)?)),
            _ => (Vec::new(), Vec::new()),
        })
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let name = bind.portal_name.unwrap_or_default();
        check_name(&name)?;
        let prepared = self.find(&bind.statement_name.unwrap_or_default())?;
        let judged = judge_one(&prepared.text)?;
        self.check_transaction(judged.as_ref().map(|(command, _)| command))?;
        if !name.is_empty() && self.portals.contains_key(&name) {
            return Err(Failure::new("42P03", format!("cursor \"{name}\" already exists")).into());
        }
        if self.portals.len() >= PORTALS_MAX {
            return Err(Failure::new("53000", "too many open portals").into());
        }
        let values =
            bound_values(&prepared.parameters, &bind.parameters, &bind.parameter_format_codes)?;
        let portal = match judged {
            None => Portal { work: Work::Nothing, columns: Vec::new() },
            Some((command, touches_catalog)) => {
                let formats = bind.result_column_format_codes;
                self.open_bound(command, touches_catalog, &prepared, values, &formats).await?
            }
        };
        self.portals.insert(name, portal);
        self.push(PgWireBackendMessage::BindComplete(BindComplete::new()));
        Ok(())
    }

    /// Opens a statement of the simple protocol: planned once, without parameters.
    pub(super) async fn open(
        &mut self,
        command: Command,
        touches_catalog: bool,
    ) -> Result<Portal, Stop> {
        let no_parameters = |planned: &Planned| {
            if planned.parameters.is_empty() {
                Ok(())
            } else {
                Err(Failure::new("42P02", "there is no parameter $1"))
            }
        };
        Ok(match command {
            Command::Query(query) => {
                let planned = self.plan(&query, touches_catalog, &[]).await?;
                no_parameters(&planned)?;
                let columns = planned.columns.clone();
                let rows = self.start(planned, columns.clone()).await?;
                Portal::of_rows(rows, "SELECT", columns)
            }
            Command::Explain(query) => {
                let planned = self.plan(&query, touches_catalog, &[]).await?;
                no_parameters(&planned)?;
                let columns = vec![text_column("QUERY PLAN")];
                let rows = RowStream::of_one(planned.explain()?, columns.clone());
                Portal::of_rows(rows, "EXPLAIN", columns)
            }
            Command::Show { name } => {
                let reply = self.show(&name)?;
                let columns = show_columns(&reply);
                let rows = RowStream::of_one(show_rows(&reply)?, columns.clone());
                Portal::of_rows(rows, "SHOW", columns)
            }
            command => Portal { work: Work::Command(command), columns: Vec::new() },
        })
    }

    async fn start(&mut self, planned: Planned, columns: Vec<Column>) -> Result<RowStream, Stop> {
        let threads = self.shared.engine.clone();
        let work = Box::pin(async move { planned.run(&threads).await.map_err(Stop::Failed) });
        let records = limited(&self.shared, &self.who, &mut self.input, work).await?;
        Ok(RowStream::new(records, columns, self.shared.config.rows_max))
    }

    /// Pins the snapshot and starts the query; until Execute it works out one batch.
    async fn open_bound(
        &mut self,
        command: Command,
        touches_catalog: bool,
        prepared: &Prepared,
        values: Vec<ScalarValue>,
        formats: &[i16],
    ) -> Result<Portal, Stop> {
        let (records, tag) = match command {
            Command::Query(query) => {
                let planned = self.plan_bound(&query, touches_catalog, prepared, values).await?;
                let columns = with_formats(planned.columns.clone(), formats)?;
                let rows = self.start(planned, columns.clone()).await?;
                return Ok(Portal::of_rows(rows, "SELECT", columns));
            }
            Command::Explain(query) => {
                let planned = self.plan_bound(&query, touches_catalog, prepared, values).await?;
                (planned.explain()?, "EXPLAIN")
            }
            Command::Show { name } => (show_rows(&self.show(&name)?)?, "SHOW"),
            command => {
                with_formats(Vec::new(), formats)?;
                return Ok(Portal { work: Work::Command(command), columns: Vec::new() });
            }
        };
        let columns = with_formats(prepared.columns.clone(), formats)?;
        Ok(Portal::of_rows(RowStream::of_one(records, columns.clone()), tag, columns))
    }

    async fn plan_bound(
        &mut self,
        query: &lake::datafusion::sql::sqlparser::ast::Query,
        touches_catalog: bool,
        prepared: &Prepared,
        values: Vec<ScalarValue>,
    ) -> Result<Planned, Stop> {
        let declared: Vec<_> = prepared.parameters.iter().copied().map(Some).collect();
        let planned = self.plan(query, touches_catalog, &declared).await?;
        if values.is_empty() { Ok(planned) } else { Ok(planned.bind(values)?) }
    }

    fn describe_statement(&mut self, name: &str) -> Result<(), Failure> {
        let prepared = self.find(name)?;
        let types = prepared.parameters.iter().map(|pg_type| pg_type.oid()).collect();
        let parameters = ParameterDescription::new(types);
        self.push(PgWireBackendMessage::ParameterDescription(parameters));
        self.describe_columns(&prepared.columns);
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> Result<(), Failure> {
        let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
        let columns = portal.columns.clone();
        self.describe_columns(&columns);
        Ok(())
    }

    fn describe_columns(&mut self, columns: &[Column]) {
        if columns.is_empty() {
            self.push(PgWireBackendMessage::NoData(NoData::new()));
        } else {
            self.describe(columns);
        }
    }

    async fn execute_named(&mut self, name: String, limit: Option<u64>) -> Result<(), Stop> {
        // Taken out while it runs: a command such as COMMIT closes all portals.
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        if !matches!(portal.work, Work::Nothing) {
            self.check_transaction(match &portal.work {
                Work::Command(command) => Some(command),
                _ => None,
            })?;
        }
        self.execute(&mut portal, limit.unwrap_or(u64::MAX)).await?;
        if matches!(portal.work, Work::Rows { .. }) {
            self.portals.insert(name, portal);
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Arc<Prepared>, Failure> {
        self.statements.get(name).map(Arc::clone).ok_or_else(|| {
            Failure::new("26000", format!("prepared statement \"{name}\" does not exist"))
        })
    }
}

/// Judges a text of one statement, or none. Also says whether it asks about the catalog.
fn judge_one(text: &str) -> Result<Option<(Command, bool)>, Failure> {
    let mut statements = statement::split(text)?;
    if statements.len() > 1 {
        return Err(Failure::syntax("cannot insert multiple commands into a prepared statement"));
    }
    let Some(tokens) = statements.pop() else { return Ok(None) };
    let touches_catalog = statement::touches_catalog(&tokens);
    Ok(Some((statement::judge(tokens)?, touches_catalog)))
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Failure::new("42622", "the name of a statement or portal is too long"));
    }
    Ok(())
}

fn no_portal(name: &str) -> Failure {
    Failure::new("34000", format!("portal \"{name}\" does not exist"))
}

fn declared_types(oids: &[u32]) -> Result<Vec<Option<PgType>>, Failure> {
    oids.iter()
        .map(|oid| match oid {
            // Zero and `unknown` leave the choice to the server.
            0 | 705 => Ok(None),
            oid => PgType::from_oid(*oid).map(Some).ok_or_else(|| {
                Failure::unsupported(format!(
                    "parameters of the type with OID {oid} are not supported"
                ))
            }),
        })
        .collect()
}

fn bound_values(
    types: &[PgType],
    values: &[Option<Bytes>],
    formats: &[i16],
) -> Result<Vec<ScalarValue>, Failure> {
    if values.len() != types.len() {
        let text = format!(
            "bind message supplies {} parameters, but prepared statement requires {}",
            values.len(),
            types.len()
        );
        return Err(Failure::new("08P01", text));
    }
    types
        .iter()
        .zip(values)
        .enumerate()
        .map(|(index, (pg_type, value))| {
            let binary = format_of(formats, index)?;
            parameters::decode(index + 1, *pg_type, binary, value.as_ref())
        })
        .collect()
}

/// Sets in which format each column is sent.
fn with_formats(mut columns: Vec<Column>, formats: &[i16]) -> Result<Vec<Column>, Failure> {
    if formats.len() > 1 && formats.len() != columns.len() {
        let text = format!(
            "bind message has {} result formats but query has {} columns",
            formats.len(),
            columns.len()
        );
        return Err(Failure::new("08P01", text));
    }
    for (index, column) in columns.iter_mut().enumerate() {
        column.binary = format_of(formats, index)?;
    }
    Ok(columns)
}

/// No format means text, one holds for all, else there is one for each.
fn format_of(formats: &[i16], index: usize) -> Result<bool, Failure> {
    let code = match formats {
        [] => 0,
        [one] => *one,
        many => many.get(index).copied().unwrap_or(-1),
    };
    match code {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::new("08P01", "unsupported format code")),
    }
}

fn text_column(name: &str) -> Column {
    Column { name: name.to_owned(), pg_type: PgType::Text, binary: false }
}

fn show_columns(reply: &Reply) -> Vec<Column> {
    match reply {
        Reply::Value { column, .. } => vec![text_column(column)],
        Reply::Values(_) => vec![text_column("setting")],
    }
}

fn show_rows(reply: &Reply) -> Result<RecordBatch, Failure> {
    match reply {
        Reply::Value { column, value } => text_rows(column, vec![value.clone()]),
        Reply::Values(all) => text_rows(
            "setting",
            all.iter().map(|(name, value)| format!("{name} = {value}")).collect(),
        ),
    }
}
