//! The read side: one pinned snapshot of every table per context, and what changed since.

mod bounds;
mod catalog;
mod dates;
mod floats;
mod grants;
mod memory;
mod shared;
mod spill;
mod views;
mod within;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use arrow::record_batch::RecordBatch;
use datafusion::{
    catalog::CatalogProvider,
    execution::{
        FunctionRegistry as _, cache::cache_manager::FileMetadataCache, context::SQLOptions,
        memory_pool::MemoryPool,
    },
    prelude::{SessionConfig, SessionContext},
    sql::parser::Statement,
};
use model::status::TableStatus;
use object_store::ObjectStore;
use tokio::sync::Mutex;
use url::Url;

pub use self::{
    bounds::ResultTooLarge,
    grants::{Grants, InvalidGrants},
    memory::Memory,
    shared::{AsOf, TableFile, TableVersion},
};
use self::{
    catalog::{LakeCatalog, Layers, footers, runtime},
    dates::DatesWithHours,
    floats::FloatsPrevail,
    grants::GrantedCatalog,
    spill::Spill,
};
use crate::{Error, Location, flow::Cursor, market, schema::TABLES, table::Table};

/// What a sort sets aside on each processor, before its first row, to merge what it spills. Of the
/// library's 10 MiB the memory of all queries holds fifty, so that a crowd's smallest sorts fail, and
/// a role with less than that cannot sort at all.
const SORT_RESERVATION_BYTES: usize = 1 << 20;

/// The lake as queries see it. Cheap to clone; every context sees the newest committed versions.
#[derive(Clone, Debug)]
pub struct Reader {
    tables: Arc<Tables>,
    spill: Spill,
    memory: Arc<dyn MemoryPool>,
    footers: Arc<FileMetadataCache>,
    /// `None`: everything.
    grants: Option<Arc<Grants>>,
}

/// The rows one version added.
#[derive(Clone, Debug)]
pub struct Change {
    /// The table's version.
    pub version: u64,
    /// The rows it added.
    pub rows: Vec<RecordBatch>,
}

/// The tables by layer and name.
#[derive(Debug)]
pub(crate) enum Tables {
    /// Delta tables, each opened once and refreshed on use.
    Delta(BTreeMap<(&'static str, &'static str), Mutex<Table>>),
    /// Rows in memory, for tests of what stands on top.
    Memory(BTreeMap<(&'static str, &'static str), RwLock<RecordBatch>>),
}

impl Reader {
    /// Opens the lake below `root` and creates nothing: a table that does not exist yet is empty.
    ///
    /// # Errors
    /// A table cannot be opened.
    pub async fn open(store: Arc<dyn ObjectStore>, root: Url) -> Result<Self, Error> {
        let location = Location { store, url: root };
        let mut tables = BTreeMap::new();
        for def in TABLES.iter() {
            let table = Table::open_to_read(&location, def).await?;
            tables.insert((def.layer, def.name), Mutex::new(table));
        }
        Self::over(Tables::Delta(tables))
    }

    /// Returns a reader over rows in memory, for tests; every version is 0.
    ///
    /// # Errors
    /// Never today; the signature leaves room for schema checks.
    pub fn in_memory(
        tables: Vec<(&'static str, &'static str, RecordBatch)>,
    ) -> Result<Self, Error> {
        let tables = tables
            .into_iter()
            .map(|(layer, name, rows)| ((layer, name), RwLock::new(rows)))
            .collect();
        Self::over(Tables::Memory(tables))
    }

    fn over(tables: Tables) -> Result<Self, Error> {
        let spill = Spill::nowhere().map_err(Error::query)?;
        let footers = footers().map_err(Error::query)?;
        Ok(Self { tables: Arc::new(tables), spill, memory: memory::whole(), footers, grants: None })
    }

    /// Replaces the rows of a table of a reader in memory, as a commit to it would.
    ///
    /// # Errors
    /// There is no such table in memory.
    pub fn replace_in_memory(&self, table: &str, rows: RecordBatch) -> Result<(), Error> {
        let Found::Memory(place) = self.tables.find(table)? else {
            return Err(Error::UnknownTable { table: table.to_owned() });
        };
        *place.write().unwrap_or_else(PoisonError::into_inner) = rows;
        Ok(())
    }

    /// Lets queries that need more than their memory go on in files below `folder`, 4 GiB
    /// together. Without a folder they fail. What a killed process left in it is removed.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn with_spill_folder(self, folder: &Path) -> Result<Self, Error> {
        let spill = Spill::below(folder).map_err(|error| Error::Spill {
            folder: folder.display().to_string(),
            source: Box::new(error),
        })?;
        Ok(Self { spill, ..self })
    }

    /// Shows `grants` to SQL and nothing else: what was not granted is in no catalog, and cannot be
    /// read under any name. What is not SQL, such as [`Reader::changes`], asks nobody.
    #[must_use]
    pub fn only(self, grants: Grants) -> Self {
        Self { grants: Some(Arc::new(grants)), ..self }
    }

    /// Returns whether [`Reader::only`] leaves a table such as `silver.bar` to be seen.
    #[must_use]
    pub fn shows(&self, table: &str) -> bool {
        let Some(grants) = &self.grants else { return true };
        table.split_once('.').is_some_and(|(schema, table)| grants.allow(schema, table))
    }

    /// Bounds all queries of this reader and its clones to `memory`, which other readers may share.
    #[must_use]
    pub fn with_memory(self, memory: &Memory) -> Self {
        Self { memory: Arc::clone(&memory.0), ..self }
    }

    /// Returns a new context in which every table is pinned to one version at first use.
    ///
    /// Catalog `marketlake`, default schema `gold`. No file or network is reachable from SQL: the
    /// only object stores in it are those of the tables.
    ///
    /// # Errors
    /// The runtime cannot be set up.
    pub async fn context(&self) -> Result<SessionContext, Error> {
        Ok(self.open_context()?.0)
    }

    /// Returns a new context in which every table is pinned now, those under the views among them:
    /// two of them, looked at minutes apart, still belong together.
    ///
    /// # Errors
    /// The runtime cannot be set up. A table that cannot be read fails those who ask for it.
    pub async fn pinned_context(&self) -> Result<SessionContext, Error> {
        let (context, layers) = self.open_context()?;
        layers.pin().await;
        Ok(context)
    }

    fn open_context(&self) -> Result<(SessionContext, Layers), Error> {
        let config = SessionConfig::new()
            .with_default_catalog_and_schema("marketlake", "gold")
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true)
            .set_bool("datafusion.execution.parquet.pushdown_filters", true)
            // `close = 8.03` compares decimals. As a float, the literal would turn the column into
            // floats, too, and miss the row.
            .set_bool("datafusion.sql_parser.parse_float_as_decimal", true)
            .set_usize("datafusion.execution.sort_spill_reservation_bytes", SORT_RESERVATION_BYTES)
            // Without it `now()` and `timestamptz '…'` would have no zone, unlike the columns.
            .set_str("datafusion.execution.time_zone", "UTC");
        let runtime =
            runtime(&self.spill.disk, &self.memory, &self.footers).map_err(Error::query)?;
        let mut context = SessionContext::new_with_config_rt(config.clone(), Arc::clone(&runtime));
        let catalog = LakeCatalog::new(Arc::clone(&self.tables), runtime, config);
        let layers = catalog.layers();
        let catalog: Arc<dyn CatalogProvider> = match &self.grants {
            Some(grants) => Arc::new(GrantedCatalog::new(catalog, Arc::clone(grants))),
            None => Arc::new(catalog),
        };
        let _replaced = context.register_catalog("marketlake", catalog);
        bounds::register(&context);
        market::udf::register(&context);
        context.register_expr_planner(Arc::new(FloatsPrevail)).map_err(Error::query)?;
        context.register_expr_planner(Arc::new(DatesWithHours)).map_err(Error::query)?;
        Ok((context, layers))
    }

    /// Runs a read-only query.
    ///
    /// # Errors
    /// The SQL is wrong, is no query, or fails.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, Error> {
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let context = self.context().await?;
        let state = context.state();
        let dialect = state.config().options().sql_parser.dialect;
        let mut statement = state.sql_to_statement(sql, &dialect).map_err(Error::query)?;
        if let Statement::Statement(statement) = &mut statement {
            market::expand(statement.as_mut()).map_err(|error| Error::query(error.into()))?;
        }
        let plan = state.statement_to_plan(statement).await.map_err(Error::query)?;
        read_only.verify_plan(&plan).map_err(Error::query)?;
        let frame = context.execute_logical_plan(plan).await.map_err(Error::query)?;
        frame.collect().await.map_err(Error::query)
    }

    /// Returns the newest version of a table such as `silver.bar`.
    ///
    /// # Errors
    /// There is no such table, or it cannot be read.
    pub async fn version(&self, table: &str) -> Result<u64, Error> {
        match self.tables.find(table)? {
            Found::Delta(table) => {
                let mut table = table.lock().await;
                table.refresh().await?;
                Ok(table.version())
            }
            Found::Memory(_) => Ok(0),
        }
    }

    /// Returns the rows that versions after `after` added, oldest first. Versions that only
    /// rearranged rows are left out.
    ///
    /// # Errors
    /// There is no such table, or a version's log entry is gone.
    pub async fn changes(&self, table: &str, after: u64) -> Result<Vec<Change>, Error> {
        let Found::Delta(table) = self.tables.find(table)? else {
            return Ok(Vec::new());
        };
        let mut table = table.lock().await;
        table.refresh().await?;
        let mut changes = Vec::new();
        for files in table.files_added(after, table.version()).await? {
            if !files.files.is_empty() {
                changes.push(Change {
                    version: files.version,
                    rows: table.read_files(&files.files).await?,
                });
            }
        }
        Ok(changes)
    }

    /// Returns how many versions the refine step that is furthest behind still has to read.
    ///
    /// # Errors
    /// A table cannot be read.
    pub async fn refine_lag(&self, generation: u32) -> Result<u64, Error> {
        let mut lag = 0;
        for (source, target, app) in crate::refine::steps(generation) {
            let Found::Delta(target) = self.tables.find(&target)? else {
                return Ok(0);
            };
            let done = done(&mut *target.lock().await, app).await?;
            lag = lag.max(self.version(&source).await?.saturating_sub(done));
        }
        Ok(lag)
    }

    /// Returns how many rows the refine stage still has to look at, by the files that are left of
    /// the versions it has not read: for people who wait, not for a proof.
    ///
    /// # Errors
    /// A table cannot be read.
    pub async fn rows_unrefined(&self, generation: u32) -> Result<u64, Error> {
        let mut rows = 0;
        for (source, target, app) in crate::refine::steps(generation) {
            if !source.starts_with("bronze.") || target == "silver.quarantine" {
                continue;
            }
            let (Found::Delta(source), Found::Delta(target)) =
                (self.tables.find(&source)?, self.tables.find(&target)?)
            else {
                continue;
            };
            let done = done(&mut *target.lock().await, app).await?;
            let mut source = source.lock().await;
            source.refresh().await?;
            let sizes: HashMap<String, usize> = source
                .active_files()
                .iter()
                .map(|file| (file.path().into_owned(), file.num_records().unwrap_or(0)))
                .collect();
            let versions = source.files_since(done, source.version()).await?;
            let files = versions.iter().flat_map(|version| &version.files);
            rows += files.filter_map(|file| sizes.get(&file.path)).sum::<usize>() as u64;
        }
        Ok(rows)
    }

    /// Returns the size and version of every table.
    ///
    /// # Errors
    /// A table cannot be read.
    pub async fn tables(&self) -> Result<Vec<TableStatus>, Error> {
        let mut statuses = Vec::new();
        match self.tables.as_ref() {
            Tables::Delta(tables) => {
                for table in tables.values() {
                    let mut table = table.lock().await;
                    table.refresh().await?;
                    statuses.push(status(&table));
                }
            }
            Tables::Memory(tables) => {
                statuses.extend(tables.iter().map(|((layer, name), rows)| {
                    let rows = in_memory(rows);
                    TableStatus {
                        name: format!("{layer}.{name}"),
                        version: 0,
                        rows: rows.num_rows() as u64,
                        files: 1,
                        bytes: rows.get_array_memory_size() as u64,
                    }
                }));
            }
        }
        Ok(statuses)
    }
}

/// Returns the source version up to which the newest version of `target` holds everything.
async fn done(target: &mut Table, app: String) -> Result<u64, Error> {
    target.refresh().await?;
    Cursor::new(app).committed(target).await
}

fn status(table: &Table) -> TableStatus {
    let files = table.active_files();
    TableStatus {
        name: table.def.full_name(),
        version: table.version(),
        rows: files.iter().map(|file| file.num_records().unwrap_or(0) as u64).sum(),
        files: files.len() as u64,
        bytes: files.iter().map(|file| u64::try_from(file.size()).unwrap_or(0)).sum(),
    }
}

/// Returns the present rows of a table in memory.
fn in_memory(rows: &RwLock<RecordBatch>) -> RecordBatch {
    rows.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A table that was asked for by name.
pub(crate) enum Found<'a> {
    Delta(&'a Mutex<Table>),
    Memory(&'a RwLock<RecordBatch>),
}

impl Tables {
    pub(crate) fn names(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Delta(tables) => tables.keys().copied().collect(),
            Self::Memory(tables) => tables.keys().copied().collect(),
        }
    }

    pub(crate) fn get(&self, layer: &str, name: &str) -> Option<Found<'_>> {
        match self {
            Self::Delta(tables) => tables
                .iter()
                .find(|(key, _)| **key == (layer, name))
                .map(|(_, table)| Found::Delta(table)),
            Self::Memory(tables) => tables
                .iter()
                .find(|(key, _)| **key == (layer, name))
                .map(|(_, rows)| Found::Memory(rows)),
        }
    }

    fn find(&self, table: &str) -> Result<Found<'_>, Error> {
        table
            .split_once('.')
            .and_then(|(layer, name)| self.get(layer, name))
            .ok_or_else(|| Error::UnknownTable { table: table.to_owned() })
    }
}
