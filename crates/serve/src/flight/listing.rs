//! What there is: catalogs, schemas, tables, keys, types, and what this server can do.
//!
//! A listing has no handle: its ticket is the question itself.

use arrow_flight::{
    IpcMessage, SchemaAsIpc,
    error::FlightError,
    sql::{Command, CommandGetTables},
};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use lake::datafusion::arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use tonic::Status;

use super::{Shared, facts, keys, refused, types};
use crate::postgres::{Standing, arrow};

/// The only catalog.
pub(super) const CATALOG: &str = "marketlake";

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";

/// Returns what the answer looks like; `None` for what is no listing.
pub(super) fn schema(question: &Command) -> Option<Result<SchemaRef, Status>> {
    Some(Ok(match question.clone() {
        Command::CommandGetCatalogs(question) => question.into_builder().schema(),
        Command::CommandGetDbSchemas(question) => question.into_builder().schema(),
        Command::CommandGetTables(question) => question.into_builder().schema(),
        Command::CommandGetTableTypes(question) => question.into_builder().schema(),
        Command::CommandGetSqlInfo(_) => return Some(facts::all().map(|facts| facts.schema())),
        Command::CommandGetXdbcTypeInfo(_) => {
            return Some(types::all().map(|types| types.schema()));
        }
        Command::CommandGetPrimaryKeys(_) => keys::primary_schema(),
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => keys::foreign_schema(),
        _ => return None,
    }))
}

impl Shared {
    /// Answers a listing: of what the role may read.
    pub(super) async fn list(
        &self,
        role: &Standing,
        question: Command,
    ) -> Result<RecordBatch, Status> {
        match question {
            Command::CommandGetCatalogs(question) => {
                let mut catalogs = question.into_builder();
                catalogs.append(CATALOG);
                catalogs.build().map_err(failed)
            }
            Command::CommandGetDbSchemas(question) => {
                let mut schemas = question.into_builder();
                let mut names: Vec<String> =
                    self.tables(role).await?.into_iter().map(|table| table.schema).collect();
                names.dedup();
                names.iter().for_each(|name| schemas.append(CATALOG, name));
                schemas.build().map_err(failed)
            }
            Command::CommandGetTables(question) => list_tables(question, &self.tables(role).await?),
            Command::CommandGetTableTypes(question) => {
                let mut types = question.into_builder();
                types.append(TABLE);
                types.append(VIEW);
                types.build().map_err(failed)
            }
            Command::CommandGetSqlInfo(question) => {
                question.into_builder(&facts::all()?).build().map_err(failed)
            }
            Command::CommandGetXdbcTypeInfo(question) => {
                question.into_builder(&types::all()?).build().map_err(failed)
            }
            Command::CommandGetPrimaryKeys(question) => {
                keys::primary(&question, &self.tables(role).await?)
            }
            Command::CommandGetImportedKeys(question) => {
                keys::imported(&question, &self.tables(role).await?)
            }
            Command::CommandGetExportedKeys(question) => {
                keys::exported(&question, &self.tables(role).await?)
            }
            Command::CommandGetCrossReference(question) => {
                keys::between(&question, &self.tables(role).await?)
            }
            other => Err(refused::unsupported(other.type_url())),
        }
    }

    async fn tables(&self, role: &Standing) -> Result<Vec<arrow::Listed>, Status> {
        let _slot = self.slot(role)?;
        let listed = arrow::tables(&role.reader).await;
        listed.map_err(|failure| refused::status(&failure))
    }
}

fn list_tables(
    question: CommandGetTables,
    tables: &[arrow::Listed],
) -> Result<RecordBatch, Status> {
    let mut listed = question.into_builder();
    for table in tables {
        let kind = if table.is_view { VIEW } else { TABLE };
        let columns = types::described_table(table);
        listed.append(CATALOG, &table.schema, &table.name, kind, &columns).map_err(failed)?;
    }
    listed.build().map_err(failed)
}

/// A schema as the message that clients read it from.
pub(super) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    message.map(|IpcMessage(bytes)| bytes).map_err(|error| failed(FlightError::from(error)))
}

/// A listing that could not be put together: a client's pattern, or a fault of ours.
pub(super) fn failed(error: FlightError) -> Status {
    let cause: &(dyn std::error::Error + 'static) = &error;
    tracing::warn!(cause, "listing for a Flight SQL client");
    Status::internal("the list could not be made; the server's log says why")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lake::datafusion::arrow::{
        array::AsArray as _,
        datatypes::{DataType, Field},
    };

    use super::*;

    fn tables() -> Vec<arrow::Listed> {
        let columns = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
        let table = |schema: &str, name: &str, is_view| arrow::Listed {
            schema: schema.to_owned(),
            name: name.to_owned(),
            is_view,
            columns: Arc::clone(&columns),
        };
        vec![
            table("bi", "dim_date", true),
            table("gold", "bar_1d", false),
            table("gold", "bar_1m", false),
        ]
    }

    #[track_caller]
    fn check(question: CommandGetTables, expected: &[&str]) {
        let listed = list_tables(question, &tables()).unwrap();
        let names: Vec<&str> = listed.column(2).as_string::<i32>().iter().flatten().collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn tables_are_found_by_patterns_and_kinds() {
        let all = CommandGetTables::default();
        check(all.clone(), &["dim_date", "bar_1d", "bar_1m"]);
        let schema = |pattern: &str| Some(pattern.to_owned());
        check(
            CommandGetTables { db_schema_filter_pattern: schema("g%"), ..all.clone() },
            &["bar_1d", "bar_1m"],
        );
        check(
            CommandGetTables { table_name_filter_pattern: schema("bar\\_1_"), ..all.clone() },
            &["bar_1d", "bar_1m"],
        );
        check(
            CommandGetTables { table_types: vec![VIEW.to_owned()], ..all.clone() },
            &["dim_date"],
        );
        check(CommandGetTables { catalog: Some("other".to_owned()), ..all.clone() }, &[]);
        check(CommandGetTables { catalog: Some(String::new()), ..all }, &[]);
    }

    #[test]
    fn what_is_announced_is_what_comes() {
        let question = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
        let announced = schema(&Command::CommandGetTables(question.clone())).unwrap().unwrap();
        assert_eq!(list_tables(question, &tables()).unwrap().schema(), announced);
        assert!(schema(&Command::CommandStatementQuery(Default::default())).is_none());
    }
}
