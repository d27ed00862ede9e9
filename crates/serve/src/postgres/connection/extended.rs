//! The extended protocol: Parse, Bind, Describe, Execute, Close.
//!
//! A prepared statement is planned again for every Bind, so each execution sees the tables as its
//! transaction does, and all rows of one portal come from one snapshot.

use std::sync::Arc;

use bytes::Bytes;
use lake::datafusion::common::ScalarValue;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
    data::{NoData, ParameterDescription},
    extendedquery::{
        Bind, BindComplete, CloseComplete, Parse, ParseComplete, TARGET_TYPE_BYTE_STATEMENT,
    },
};

use super::{
    Connection,
    open::{Binding, explain_columns, format_of, show_columns},
    portals::{self, Portal, Work, check_name},
};
use crate::postgres::{
    Stop,
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

/// A statement as Parse left it: as text, because its tree takes a hundred times the memory, and
/// making it is quick beside the planning that Bind does anyway.
pub(super) struct Prepared {
    text: String,
    parameters: Vec<PgType>,
    /// As the client declared them, else as they are: some drivers break when theirs come back
    /// as others, even `text` for `varchar`.
    parameter_oids: Vec<u32>,
    columns: Vec<Column>,
    /// What it adds to the bytes that are bounded.
    bytes: usize,
}

impl Prepared {
    fn new(name: &str, parse: Parse, parameters: Vec<PgType>, columns: Vec<Column>) -> Self {
        let declared = |index: usize| parse.type_oids.get(index).filter(|oid| is_declared(**oid));
        let parameter_oids: Vec<u32> = parameters
            .iter()
            .enumerate()
            .map(|(index, pg_type)| declared(index).copied().unwrap_or(pg_type.oid()))
            .collect();
        let text = parse.query;
        let columns_bytes: usize =
            columns.iter().map(|column| size_of::<Column>() + column.name.len()).sum();
        let parameters_bytes =
            size_of_val(parameters.as_slice()) + size_of_val(parameter_oids.as_slice());
        let bytes = name.len() + text.len() + parameters_bytes + columns_bytes;
        Self { text, parameters, parameter_oids, columns, bytes }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
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
                    self.portals.take(&name);
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

    async fn parse(&mut self, mut parse: Parse) -> Result<(), Stop> {
        let name = parse.name.take().unwrap_or_default();
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
        let prepared = Prepared::new(&name, parse, parameters, columns);
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
                (planned.parameters, explain_columns())
            }
            Command::Show { name } => (Vec::new(), show_columns(&self.show(name)?)),
            Command::Declare(declare) => {
                let planned = self.plan(&declare.query, touches_catalog, declared).await?;
                (planned.parameters, Vec::new())
            }
            Command::Copy(copy) => {
                let planned = self.plan(&copy.query, touches_catalog, declared).await?;
                (planned.parameters, Vec::new())
            }
            // A cursor that is not there yet may be there when the statement is executed.
            Command::Fetch(fetch) => (Vec::new(), self.fetch_columns(fetch).unwrap_or_default()),
            _ => (Vec::new(), Vec::new()),
        })
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let name = bind.portal_name.unwrap_or_default();
        let prepared = self.find(&bind.statement_name.unwrap_or_default())?;
        let judged = judge_one(&prepared.text)?;
        self.check_transaction(judged.as_ref().map(|(command, _)| command))?;
        self.portals.check_free(&name)?;
        let values =
            bound_values(&prepared.parameters, &bind.parameters, &bind.parameter_format_codes)?;
        let mut portal = match judged {
            None => Portal::new(Work::Nothing),
            Some((command, touches_catalog)) => {
                let types = prepared.parameters.clone();
                let formats = Some(bind.result_column_format_codes);
                let binding = Binding { types, values, formats };
                self.open(command, touches_catalog, binding).await?
            }
        };
        portal.about = self.about_text(&prepared.text);
        self.portals.add(name, portal)?;
        self.push(PgWireBackendMessage::BindComplete(BindComplete::new()));
        Ok(())
    }

    fn describe_statement(&mut self, name: &str) -> Result<(), Failure> {
        let prepared = self.find(name)?;
        let parameters = ParameterDescription::new(prepared.parameter_oids.clone());
        self.push(PgWireBackendMessage::ParameterDescription(parameters));
        self.describe_columns(&prepared.columns);
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> Result<(), Failure> {
        let portal = self.portals.get(name).ok_or_else(|| portals::no_portal(name))?;
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
        let mut portal = self.portals.take(&name).ok_or_else(|| portals::no_portal(&name))?;
        if !matches!(portal.work, Work::Nothing) {
            self.check_transaction(match &portal.work {
                Work::Command(command) => Some(command),
                _ => None,
            })?;
        }
        if self.execute(&mut portal, limit.unwrap_or(u64::MAX)).await? {
            self.portals.put_back(name, portal);
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

/// Zero and `unknown` leave the choice to the server.
const fn is_declared(oid: u32) -> bool {
    !matches!(oid, 0 | 705)
}

fn declared_types(oids: &[u32]) -> Result<Vec<Option<PgType>>, Failure> {
    oids.iter()
        .map(|oid| match oid {
            oid if !is_declared(*oid) => Ok(None),
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
