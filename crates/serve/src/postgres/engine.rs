//! Planning and running read-only SQL over a snapshot of the lake.

use std::sync::Arc;

use futures::StreamExt;
use lake::{
    datafusion::{
        arrow::{
            array::{RecordBatch, StringArray},
            datatypes::{DataType, Field, Schema},
        },
        catalog::{CatalogProvider, MemoryCatalogProviderList},
        common::{ParamValues, ScalarValue},
        dataframe::DataFrame,
        execution::{SendableRecordBatchStream, session_state::SessionStateBuilder},
        logical_expr::{LogicalPlan, LogicalPlanBuilder},
        physical_plan::{execute_stream, stream::RecordBatchReceiverStreamBuilder},
        prelude::{SQLOptions, SessionContext},
        sql::{
            parser::Statement as EngineStatement,
            sqlparser::ast::{Query, Statement},
        },
    },
    market,
};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::{
    catalog::{self, Inventory, SEARCH_PATH_SCHEMA, WireCatalog},
    failure::Failure,
    interval,
    rewrite::{self, Asker, names},
    settings::{DATABASE, Settings},
    types::{Column, PgType},
    zone,
};

pub(crate) mod arrow;
mod joins;

/// More parameters than any tool binds; the protocol itself allows 65,535.
const PARAMETERS_MAX: usize = 1_000;

/// The tables as a statement, or all statements of a transaction, see them: each is pinned to one
/// version when it is first looked at. Cheap to clone.
#[derive(Clone)]
pub(super) struct Snapshot {
    ctx: SessionContext,
}

impl Snapshot {
    /// A snapshot whose tables are pinned when they are used.
    pub(super) async fn of_statement(reader: &lake::Reader) -> Result<Self, Failure> {
        let ctx = reader.context().await.map_err(|error| Failure::from_lake(&error))?;
        Ok(Self { ctx })
    }

    /// A snapshot whose tables are pinned now, so that two of them, looked at minutes apart, still
    /// belong together.
    pub(super) async fn of_transaction(reader: &lake::Reader) -> Result<Self, Failure> {
        let ctx = reader.pinned_context().await.map_err(|error| Failure::from_lake(&error))?;
        Ok(Self { ctx })
    }

    fn lake(&self) -> Result<Arc<dyn CatalogProvider>, Failure> {
        self.ctx
            .catalog(DATABASE)
            .ok_or_else(|| Failure::new("3D000", "the lake has no tables yet"))
    }

    /// A context of one statement, with a catalog list of its own.
    fn context(&self) -> SessionContext {
        let state = SessionStateBuilder::new_from_existing(self.ctx.state())
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .build();
        SessionContext::new_with_state(state)
    }
}

/// A planned query over its snapshot.
#[derive(Clone)]
pub(super) struct Planned {
    ctx: SessionContext,
    plan: LogicalPlan,
    query: Query,
    /// The columns in the engine's own types, under the names that clients see.
    fields: Vec<Field>,
    /// The types of `$1`, `$2`, …
    pub(super) parameters: Vec<PgType>,
    pub(super) columns: Vec<Column>,
}

/// What planning needs to know about the connection.
pub(super) struct Caller<'a> {
    pub(super) user: &'a str,
    pub(super) pid: i32,
    pub(super) settings: &'a Settings,
}

/// Plans `query` over `snapshot`.
pub(super) async fn plan(
    snapshot: &Snapshot,
    query: &Query,
    touches_catalog: bool,
    declared: &[Option<PgType>],
    caller: &Caller<'_>,
) -> Result<Planned, Failure> {
    let ctx = snapshot.context();
    let inventory = attach(&ctx, snapshot.lake()?, touches_catalog, caller).await?;
    let mut rewritten = query.clone();
    let asker = Asker {
        user: caller.user,
        pid: caller.pid,
        settings: caller.settings,
        inventory: inventory.as_deref(),
    };
    rewrite::rewrite(&mut rewritten, &asker)?;
    // Last, so that nothing is taken for the client's words that is not.
    market::expand(&mut rewritten).map_err(|error| Failure::from_market(&error))?;

    let statement = Statement::Query(Box::new(rewritten));
    let plan = ctx
        .state()
        .statement_to_plan(EngineStatement::Statement(Box::new(statement)))
        .await
        .map_err(|error| Failure::from_datafusion(&error))?;
    // The gate let only queries through; this is the engine's own judgment of the same thing.
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(|_| Failure::read_only("this statement"))?;

    let parameters = parameter_types(&plan, declared)?;
    let query = query.clone();
    let (fields, columns) = (Vec::new(), Vec::new());
    let mut planned = Planned { ctx, plan, query, fields, parameters, columns };
    planned.describe()?;
    Ok(planned)
}

/// Puts our catalog around the tables. The inventory is loaded only when it is asked about.
async fn attach(
    ctx: &SessionContext,
    lake: Arc<dyn CatalogProvider>,
    touches_catalog: bool,
    caller: &Caller<'_>,
) -> Result<Option<Arc<Inventory>>, Failure> {
    let path = caller.settings.search_path();
    let inventory = if touches_catalog {
        let settings =
            caller.settings.all().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let loaded = Inventory::load(
            lake.as_ref(),
            path.clone(),
            caller.user.to_owned(),
            settings.collect(),
        );
        Some(Arc::new(loaded.await.map_err(|error| Failure::from_datafusion(&error))?))
    } else {
        None
    };
    ctx.register_catalog(DATABASE, Arc::new(WireCatalog::new(lake, path, inventory.clone())));
    if let Some(inventory) = &inventory {
        catalog::register(ctx, inventory);
    }
    zone::register(ctx);
    interval::register(ctx);
    let state = ctx.state_ref();
    let mut state = state.write();
    let options = state.config_mut().options_mut();
    options.catalog.information_schema = false;
    DATABASE.clone_into(&mut options.catalog.default_catalog);
    SEARCH_PATH_SCHEMA.clone_into(&mut options.catalog.default_schema);
    drop(state);
    Ok(inventory)
}

/// What the client declared, else what the plan needs, else text.
fn parameter_types(
    plan: &LogicalPlan,
    declared: &[Option<PgType>],
) -> Result<Vec<PgType>, Failure> {
    let inferred = plan.get_parameter_fields().map_err(|error| Failure::from_datafusion(&error))?;
    let mut highest = declared.len();
    for name in inferred.keys() {
        let number = name.trim_start_matches('$').parse::<usize>().ok();
        let number = number.filter(|number| (1..=PARAMETERS_MAX).contains(number));
        let number =
            number.ok_or_else(|| Failure::new("42P02", format!("there is no parameter {name}")))?;
        highest = highest.max(number);
    }
    let type_of = |number: usize| {
        let wanted = declared.get(number - 1).copied().flatten();
        let needed = inferred.get(&format!("${number}")).and_then(Option::as_ref);
        wanted.or_else(|| needed.map(|field| PgType::of(field))).unwrap_or(PgType::Text)
    };
    Ok((1..=highest).map(type_of).collect())
}

impl Planned {
    /// Finds the result's columns, with types as they are after the engine's coercions.
    fn describe(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::from_datafusion(&error);
        let nulls = self
            .parameters
            .iter()
            .map(|pg_type| ScalarValue::try_from(&pg_type.arrow()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let plan = with_values(&self.plan, nulls)?;
        let state = self.ctx.state();
        let plan = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| ())
            .map_err(failed)?;
        let fields = plan.schema().fields();
        let names = names::of_result(&self.query, fields.len());
        let named = |(field, name): (&Arc<Field>, Option<String>)| {
            let field = field.as_ref().clone();
            if let Some(name) = name { field.with_name(name) } else { field }
        };
        let column = |field: &Field| Column {
            name: field.name().clone(),
            pg_type: PgType::of(field),
            binary: false,
        };
        self.fields = fields.iter().zip(names).map(named).collect();
        self.columns = self.fields.iter().map(column).collect();
        Ok(())
    }

    /// Fills in the parameters.
    pub(super) fn bind(mut self, values: Vec<ScalarValue>) -> Result<Self, Failure> {
        self.plan = with_values(&self.plan, values)?;
        self.parameters.clear();
        self.describe()?;
        Ok(self)
    }

    /// Leaves out all but the first `rows`, and the work for the others.
    pub(super) fn at_most(mut self, rows: u64) -> Result<Self, Failure> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.plan = LogicalPlanBuilder::from(self.plan)
            .limit(0, Some(rows))
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| Failure::from_datafusion(&error))?;
        Ok(self)
    }

    /// Starts the query on `threads`; it stops, when it next gives way, once its rows are dropped.
    pub(super) async fn run(self, threads: &Handle) -> Result<SendableRecordBatchStream, Failure> {
        let frame = DataFrame::new(self.ctx.state(), self.plan);
        let started = threads.spawn(async move {
            let context = Arc::new(frame.task_ctx());
            let plan = joins::give_way(frame.create_physical_plan().await?)?;
            execute_stream(plan, context)
        });
        let started = AbortOnDropHandle::new(started).await.map_err(|_| Failure::panicked())?;
        let records = started.map_err(|error| Failure::from_datafusion(&error))?;
        Ok(work_out_on(threads, records))
    }

    /// The optimized plan as lines of text. The physical plan would name files.
    pub(super) fn explain(&self) -> Result<RecordBatch, Failure> {
        let plan = self
            .ctx
            .state()
            .optimize(&self.plan)
            .map_err(|error| Failure::from_datafusion(&error))?;
        let text = plan.display_indent().to_string();
        text_rows("QUERY PLAN", text.lines().map(str::to_owned).collect())
    }
}

fn with_values(plan: &LogicalPlan, values: Vec<ScalarValue>) -> Result<LogicalPlan, Failure> {
    if values.is_empty() {
        return Ok(plan.clone());
    }
    plan.clone()
        .with_param_values(ParamValues::from(values))
        .map_err(|error| Failure::from_datafusion(&error))
}

/// A result of one text column.
pub(super) fn text_rows(column: &str, lines: Vec<String>) -> Result<RecordBatch, Failure> {
    let schema = Schema::new(vec![Field::new(column, DataType::Utf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(lines))])
        .map_err(|error| Failure::from_datafusion(&error.into()))
}

/// Works a result out on `threads`: some operators think for minutes between two batches, and a
/// connection that waits for them has to hear of a timeout, a cancel request or the end.
fn work_out_on(
    threads: &Handle,
    mut records: SendableRecordBatchStream,
) -> SendableRecordBatchStream {
    // One batch ahead of the client, no more.
    let mut builder = RecordBatchReceiverStreamBuilder::new(records.schema(), 1);
    let rows = builder.tx();
    let work = async move {
        while let Some(batch) = records.next().await {
            if rows.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    builder.spawn_on(work, threads);
    builder.build()
}
