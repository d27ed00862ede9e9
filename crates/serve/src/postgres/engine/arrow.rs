//! The SQL of this port for doors without its connections: the same gate, rewriting, engine and
//! bounds, and results in Arrow's own types.

use std::{sync::Arc, time::Duration};

use lake::{
    bi,
    datafusion::{
        arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
        common::ScalarValue,
        error::DataFusionError,
        execution::SendableRecordBatchStream,
        physical_plan::stream::RecordBatchStreamAdapter,
        sql::sqlparser::{
            ast::Query as Syntax,
            tokenizer::{Token, TokenWithSpan},
        },
    },
};
use tokio::runtime::Handle;

use super::{Caller, Planned, Snapshot};
use crate::postgres::{
    failure::Failure,
    parameters,
    settings::Settings,
    statement::{self, Command},
    types::{Column, PgType},
};

pub(crate) use crate::postgres::statement::{COLUMNS_MAX, TEXT_BYTES_MAX};

/// Who asks, and for how long a statement may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) user: &'a str,
    pub(crate) statement_timeout: Duration,
}

/// A query, planned over a snapshot of its own.
#[derive(Clone)]
pub(crate) struct Query {
    planned: Planned,
    /// Its plan is asked for, not its rows.
    is_explained: bool,
}

impl Query {
    /// Judges and plans `text`, which must be one query, or EXPLAIN of one. Parameters are written
    /// `$1`, or `?` as in JDBC.
    pub(crate) async fn plan(
        reader: &lake::Reader,
        text: &str,
        asking: Asking<'_>,
    ) -> Result<Self, Failure> {
        let judged = judge(text)?;
        let snapshot = Snapshot::of_statement(reader).await?;
        let settings = Settings::new(asking.user, asking.statement_timeout);
        let caller = Caller { user: asking.user, pid: 0, settings: &settings };
        let planned =
            super::plan(&snapshot, &judged.syntax, judged.touches_catalog, &[], &caller).await?;
        if COLUMNS_MAX < planned.fields.len() {
            let text = format!("a result can have at most {COLUMNS_MAX} columns");
            return Err(Failure::new("54011", text));
        }
        Ok(Self { planned, is_explained: judged.is_explained })
    }

    /// The parameters that are not bound yet: `$1`, `$2`, … One of which nothing is known has the
    /// type of NULL.
    pub(crate) fn parameters(&self) -> Result<Vec<Field>, Failure> {
        let needed = self.planned.plan.get_parameter_fields();
        let needed = needed.map_err(|error| Failure::from_datafusion(&error))?;
        let field = |number: usize| {
            let name = format!("${number}");
            let known = needed.get(&name).and_then(Option::as_ref);
            let data_type = known.map_or(DataType::Null, |field| plain(field.data_type()));
            Field::new(name, data_type, true)
        };
        Ok((1..=self.planned.parameters.len()).map(field).collect())
    }

    /// Fills in every parameter.
    pub(crate) fn bind(self, values: Vec<ScalarValue>) -> Result<Self, Failure> {
        let (wanted, given) = (self.planned.parameters.len(), values.len());
        if wanted != given {
            let text = format!("the statement needs {wanted} parameters, and {given} are bound");
            return Err(Failure::new("08P01", text));
        }
        if values.is_empty() {
            return Ok(self);
        }
        Ok(Self { planned: self.planned.bind(values)?, ..self })
    }

    /// The columns of the result. Any of them may be empty: what the engine knows of that is about
    /// its plan, and a client needs to rely on it.
    pub(crate) fn columns(&self) -> Vec<FieldRef> {
        if self.is_explained {
            return vec![Arc::new(Field::new("QUERY PLAN", DataType::Utf8, true))];
        }
        let field = |field: &Field| Field::new(field.name(), plain(field.data_type()), true);
        self.planned.fields.iter().map(|found| Arc::new(field(found))).collect()
    }

    /// The same columns as the port's own clients are told of them.
    pub(in crate::postgres) fn wire_columns(&self) -> Vec<Column> {
        if self.is_explained {
            let name = "QUERY PLAN".to_owned();
            return vec![Column { name, pg_type: PgType::Text, binary: false }];
        }
        self.planned.columns.clone()
    }

    /// Leaves out all but the first `rows`, and the work for the others.
    pub(in crate::postgres) fn at_most(self, rows: u64) -> Result<Self, Failure> {
        if self.is_explained {
            return Ok(self);
        }
        Ok(Self { planned: self.planned.at_most(rows)?, ..self })
    }

    /// Starts the query on `threads`; it stops, when it next gives way, once its rows are dropped.
    /// Columns come in the order of [`Self::columns`], not always in those types.
    pub(crate) async fn run(self, threads: &Handle) -> Result<SendableRecordBatchStream, Failure> {
        if !self.planned.parameters.is_empty() {
            return Err(Failure::new("42P02", "there is no parameter $1"));
        }
        if !self.is_explained {
            return self.planned.run(threads).await;
        }
        let lines = self.planned.explain()?;
        let schema = lines.schema();
        let lines = futures::stream::iter([Ok::<_, DataFusionError>(lines)]);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, lines)))
    }
}

/// A table or view as clients are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) is_view: bool,
    pub(crate) columns: SchemaRef,
}

/// Returns every table and view of a snapshot, by schema and name.
pub(crate) async fn tables(reader: &lake::Reader) -> Result<Vec<Listed>, Failure> {
    let lake = Snapshot::of_statement(reader).await?.lake()?;
    let mut listed = Vec::new();
    for schema_name in lake.schema_names() {
        let Some(schema) = lake.schema(&schema_name) else { continue };
        for name in schema.table_names() {
            // What a view looks like is known without planning it.
            let view = Some(&name).filter(|_| schema_name == bi::SCHEMA);
            let view = view.and_then(|name| bi::view(name));
            let columns = match view {
                Some(view) => columns_of_view(view),
                None => match schema.table(&name).await {
                    Ok(Some(table)) => plain_schema(&table.schema()),
                    Ok(None) => continue,
                    Err(error) => return Err(Failure::from_datafusion(&error)),
                },
            };
            let (schema, is_view) = (schema_name.clone(), view.is_some());
            listed.push(Listed { schema, name, is_view, columns: Arc::new(columns) });
        }
    }
    listed.sort_by(|left, right| (&left.schema, &left.name).cmp(&(&right.schema, &right.name)));
    Ok(listed)
}

fn columns_of_view(view: &bi::View) -> Schema {
    let field = |column: &bi::ViewColumn| {
        Field::new(column.name, column.data_type(), view.is_nullable(column))
    };
    Schema::new(view.columns.iter().map(field).collect::<Vec<_>>())
}

fn plain_schema(schema: &Schema) -> Schema {
    let field =
        |field: &FieldRef| Field::new(field.name(), plain(field.data_type()), field.is_nullable());
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

/// Reads a decimal and keeps its scale as written, so that no digit is added or lost.
pub(crate) fn decimal(text: &str) -> Option<ScalarValue> {
    parameters::from_text_numeric(text)
}

/// The name of a column's type in SQL.
pub(crate) fn type_name(field: &Field) -> &'static str {
    PgType::of(field).sql_name()
}

/// The type in the layout that every client knows: views and dictionaries are the engine's own
/// business.
fn plain(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| {
        let data_type = plain(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(inner(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(inner(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, is_sorted) => DataType::Map(inner(entries), *is_sorted),
        other => other.clone(),
    }
}

struct Judged {
    syntax: Box<Syntax>,
    touches_catalog: bool,
    is_explained: bool,
}

fn judge(text: &str) -> Result<Judged, Failure> {
    let mut statements = statement::split(text)?;
    if 1 < statements.len() {
        return Err(Failure::syntax("there is more than one statement; send one at a time"));
    }
    let Some(tokens) = statements.pop() else {
        return Err(Failure::syntax("the statement is empty"));
    };
    let tokens = number_parameters(tokens)?;
    let touches_catalog = statement::touches_catalog(&tokens);
    let (syntax, is_explained) = match statement::judge(tokens)? {
        Command::Query(query) => (query, false),
        Command::Explain(query) => (query, true),
        _ => {
            return Err(Failure::unsupported(
                "only queries are answered here: there are no transactions, settings or cursors",
            ));
        }
    };
    Ok(Judged { syntax, touches_catalog, is_explained })
}

/// Gives every `?` its number. PostgreSQL's operators that begin like that do not exist here, so
/// what follows a `?` is an operator of its own.
fn number_parameters(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, Failure> {
    let is_numbered = |token: &TokenWithSpan| matches!(token.token, Token::Placeholder(_));
    let has_numbers = tokens.iter().any(is_numbered);
    let mut numbered = Vec::with_capacity(tokens.len());
    let mut count = 0;
    for TokenWithSpan { token, span } in tokens {
        let operator = match token {
            Token::Question => None,
            Token::QuestionMarkDash => Some(Token::Minus),
            Token::QuestionMarkDoubleVerticalBar => Some(Token::StringConcat),
            other => {
                numbered.push(TokenWithSpan { token: other, span });
                continue;
            }
        };
        if has_numbers {
            return Err(Failure::syntax("parameters are either all `?` or all numbered"));
        }
        count += 1;
        numbered.push(TokenWithSpan { token: Token::Placeholder(format!("${count}")), span });
        numbered.extend(operator.map(|token| TokenWithSpan { token, span }));
    }
    Ok(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let judged = judge(text);
        let shown = judged.map(|judged| judged.syntax.to_string()).map_err(|failure| failure.code);
        assert_eq!(shown, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn question_marks_are_parameters() {
        check("select ? + ?, '?'", Ok("SELECT $1 + $2, '?'"));
        check("select ?||'x', ?-1", Ok("SELECT $1 || 'x', $2 - 1"));
        check("select $2, $1", Ok("SELECT $2, $1"));
        check("select $1, ?", Err("42601"));
    }

    #[test]
    fn only_one_query_passes() {
        check("", Err("42601"));
        check("select 1; select 2", Err("42601"));
        check("select 1;", Ok("SELECT 1"));
        check("begin", Err("0A000"));
        check("set timezone = 'UTC'", Err("0A000"));
        check("insert into t values (1)", Err("25006"));
        check("create table t (a int)", Err("25006"));
        check("with w as (delete from t returning *) select * from w", Err("25006"));
    }

    #[test]
    fn types_lose_their_layout_and_keep_their_meaning() {
        let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
        assert_eq!(plain(&dictionary), DataType::Utf8);
        assert_eq!(plain(&list(DataType::Utf8View)), list(DataType::Utf8));
        assert_eq!(plain(&DataType::Decimal128(18, 6)), DataType::Decimal128(18, 6));
    }
}
