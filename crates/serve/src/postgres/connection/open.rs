//! From a judged statement to a portal: planned, started, and described.

use lake::datafusion::{
    arrow::array::RecordBatch, common::ScalarValue, sql::sqlparser::ast::Query,
};

use super::{
    Connection, Reply, RowStream,
    cursors::Fetching,
    limited,
    portals::{Portal, Work},
};
use crate::postgres::{
    Stop,
    encode::CopyWriter,
    engine::{Planned, text_rows},
    failure::Failure,
    statement::Command,
    types::{Column, PgType},
};

/// What Bind adds to a statement. The simple protocol has nothing to add.
#[derive(Default)]
pub(super) struct Binding {
    /// Of the parameters.
    pub(super) types: Vec<PgType>,
    pub(super) values: Vec<ScalarValue>,
    /// In which formats the columns are wanted; without a wish they come as the statement says.
    pub(super) formats: Option<Vec<i16>>,
}

impl Connection {
    /// Opens a statement: pins the snapshot and starts the query. Until the portal is executed,
    /// one batch is worked out.
    pub(super) async fn open(
        &mut self,
        command: Command,
        touches_catalog: bool,
        mut binding: Binding,
    ) -> Result<Portal, Stop> {
        let formats = binding.formats.take();
        let with_formats = |columns| with_formats(columns, formats.as_deref());
        Ok(match command {
            Command::Query(query) => {
                let planned = self.plan_bound(&query, touches_catalog, binding).await?;
                let columns = with_formats(planned.columns.clone())?;
                let rows = self.start(planned).await?;
                Portal::of_rows(rows, "SELECT", columns)
            }
            Command::Explain(query) => {
                let planned = self.plan_bound(&query, touches_catalog, binding).await?;
                let columns = with_formats(explain_columns())?;
                Portal::of_rows(RowStream::of_one(planned.explain()?, &columns), "EXPLAIN", columns)
            }
            Command::Show { name } => {
                let reply = self.show(&name)?;
                let columns = with_formats(show_columns(&reply))?;
                Portal::of_rows(RowStream::of_one(show_rows(&reply)?, &columns), "SHOW", columns)
            }
            Command::Declare(declare) => {
                self.check_declare(&declare)?;
                with_formats(Vec::new())?;
                let planned = self.plan_bound(&declare.query, touches_catalog, binding).await?;
                let mut columns = planned.columns.clone();
                for column in &mut columns {
                    column.binary = declare.is_binary;
                }
                let rows = self.start(planned).await?;
                let cursor = Portal::of_rows(rows, "SELECT", columns);
                let cursor = Box::new(if declare.is_held { cursor.held() } else { cursor });
                Portal::new(Work::Declare { name: declare.name, cursor })
            }
            Command::Fetch(fetch) => {
                let columns = with_formats(self.fetch_columns(&fetch)?)?;
                Portal::new(Work::Fetch(Fetching::new(fetch))).with_columns(columns)
            }
            Command::Copy(copy) => {
                with_formats(Vec::new())?;
                let planned = self.plan_bound(&copy.query, touches_catalog, binding).await?;
                let writer = CopyWriter::new(copy.form, &planned.columns)?;
                Portal::new(Work::Copy { rows: self.start(planned).await?, writer })
            }
            command => {
                with_formats(Vec::new())?;
                Portal::new(Work::Command(command))
            }
        })
    }

    async fn plan_bound(
        &mut self,
        query: &Query,
        touches_catalog: bool,
        binding: Binding,
    ) -> Result<Planned, Stop> {
        let declared: Vec<_> = binding.types.into_iter().map(Some).collect();
        let planned = self.plan(query, touches_catalog, &declared).await?;
        let (wanted, given) = (planned.parameters.len(), binding.values.len());
        if wanted > given {
            let text = format!("there is no parameter ${}", given + 1);
            return Err(Failure::new("42P02", text).into());
        }
        if given == 0 { Ok(planned) } else { Ok(planned.bind(binding.values)?) }
    }

    async fn start(&mut self, planned: Planned) -> Result<RowStream, Stop> {
        let threads = self.shared.engine.clone();
        let columns = planned.columns.clone();
        let work = Box::pin(async move { planned.run(&threads).await.map_err(Stop::Failed) });
        let records = limited(&self.shared, &self.who, &mut self.input, work).await?;
        Ok(RowStream::new(records, &columns, self.who.role.rows_max))
    }
}

/// Sets in which format each column is sent.
fn with_formats(mut columns: Vec<Column>, formats: Option<&[i16]>) -> Result<Vec<Column>, Failure> {
    let Some(formats) = formats else { return Ok(columns) };
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
pub(super) fn format_of(formats: &[i16], index: usize) -> Result<bool, Failure> {
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

pub(super) fn explain_columns() -> Vec<Column> {
    vec![text_column("QUERY PLAN")]
}

fn text_column(name: &str) -> Column {
    Column { name: name.to_owned(), pg_type: PgType::Text, binary: false }
}

pub(super) fn show_columns(reply: &Reply) -> Vec<Column> {
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
