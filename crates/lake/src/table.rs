//! One Delta table: a snapshot that is kept between commits, and the transaction numbers in it.

mod commit;
mod read;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::{
    DeltaTable, DeltaTableError, StructField,
    kernel::Action,
    logstore::{LogStoreRef, StorageConfig, default_logstore, get_actions},
    operations::create::CreateBuilder,
    protocol::SaveMode,
    table::state::DeltaTableState,
};
use object_store::{ObjectStoreExt, memory::InMemory};
use tracing::debug;
use url::Url;

use crate::{Error, location::Location, schema::TableDef};

pub(crate) use self::{
    commit::{Change, Txn, commit_properties},
    read::{DataFile, Files, concat},
};

/// A table as of its snapshot.
///
/// `state` and `txns` always belong to the same version: that pair is what makes
/// "check, then commit" safe.
#[derive(Debug)]
pub(crate) struct Table {
    pub def: &'static TableDef,
    log_store: LogStoreRef,
    /// A handle that writers and scans are made from; its own state is never used.
    handle: DeltaTable,
    state: DeltaTableState,
    txns: BTreeMap<String, Option<i64>>,
    /// Where a table will be that nobody has created yet; until then an empty one in memory stands
    /// for it.
    awaited: Option<LogStoreRef>,
}

impl Table {
    /// Opens the table at its newest version; creates it empty first if it does not exist.
    ///
    /// Empty, because a table that is created together with data skips the conflict check that
    /// the first batch needs.
    pub(crate) async fn open(location: &Location, def: &'static TableDef) -> Result<Self, Error> {
        let log_store = place(location, def)?;
        let is_there = log_store.is_delta_table_location().await;
        if !is_there.map_err(|source| open_error(def, source))? {
            let created = create(def, LogStoreRef::clone(&log_store)).await;
            created.map_err(|source| open_error(def, source))?;
        }
        Self::load(def, log_store).await
    }

    /// Opens the table at its newest version to look at it, and creates nothing: one that does not
    /// exist is empty until [`Table::refresh`] finds it.
    pub(crate) async fn open_to_read(
        location: &Location,
        def: &'static TableDef,
    ) -> Result<Self, Error> {
        let log_store = place(location, def)?;
        let is_there = log_store.is_delta_table_location().await;
        if is_there.map_err(|source| open_error(def, source))? {
            return Self::load(def, log_store).await;
        }
        let url = Url::parse(NOWHERE).map_err(|_| Error::Location { url: NOWHERE.to_owned() })?;
        let nowhere = Location { store: Arc::new(InMemory::new()), url };
        Ok(Self { awaited: Some(log_store), ..Self::open(&nowhere, def).await? })
    }

    async fn load(def: &'static TableDef, log_store: LogStoreRef) -> Result<Self, Error> {
        let mut handle = DeltaTable::new(LogStoreRef::clone(&log_store));
        handle.load().await.map_err(|source| open_error(def, source))?;
        let state = handle.snapshot().map_err(|source| open_error(def, source))?.clone();
        Ok(Self { def, log_store, handle, state, txns: BTreeMap::new(), awaited: None })
    }

    /// Opens the table as it was at `version`.
    pub(crate) async fn at(&self, version: u64) -> Result<Self, Error> {
        let mut handle = DeltaTable::new(self.log_store());
        handle.load_version(version).await.map_err(|source| self.open_error(source))?;
        let state = handle.snapshot().map_err(|source| self.open_error(source))?.clone();
        let log_store = self.log_store();
        Ok(Self { def: self.def, log_store, handle, state, txns: BTreeMap::new(), awaited: None })
    }

    /// Returns the snapshot's version.
    pub(crate) fn version(&self) -> u64 {
        self.state.version()
    }

    pub(crate) fn state(&self) -> &DeltaTableState {
        &self.state
    }

    pub(crate) fn handle(&self) -> &DeltaTable {
        &self.handle
    }

    pub(crate) fn log_store(&self) -> LogStoreRef {
        LogStoreRef::clone(&self.log_store)
    }

    /// Moves the snapshot to the newest version. Returns whether it moved.
    ///
    /// One HEAD of the next log entry tells that nothing is new, which is the common answer; a
    /// listing follows only when something is.
    pub(crate) async fn refresh(&mut self) -> Result<bool, Error> {
        if let Some(log_store) = &self.awaited {
            let is_there = log_store.is_delta_table_location().await;
            if !is_there.map_err(|source| self.open_error(source))? {
                return Ok(false);
            }
            *self = Self::load(self.def, LogStoreRef::clone(log_store)).await?;
            return Ok(true);
        }
        let next = format!("_delta_log/{:020}.json", self.version() + 1);
        let store = self.log_store.object_store(None);
        match store.head(&next.into()).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(source) => {
                return Err(self.open_error(DeltaTableError::ObjectStore { source }));
            }
            Ok(_) => {}
        }
        self.reload().await?;
        Ok(true)
    }

    /// Moves the snapshot to the newest version, whatever a HEAD would say.
    pub(crate) async fn reload(&mut self) -> Result<(), Error> {
        let before = self.version();
        self.state
            .update(self.log_store.as_ref(), None)
            .await
            .map_err(|source| self.open_error(source))?;
        let mut txns = std::mem::take(&mut self.txns);
        for version in before + 1..=self.version() {
            if txns.is_empty() {
                break;
            }
            // Without the entry the numbers are asked of the snapshot again.
            let Ok(actions) = self.actions(version).await else {
                txns.clear();
                break;
            };
            for action in actions {
                if let Action::Txn(txn) = action
                    && let Some(known) = txns.get_mut(&txn.app_id)
                {
                    *known = Some(txn.version);
                }
            }
        }
        self.txns = txns;
        debug!(table = self.def.full_name(), from = before, to = self.version(), "table moved on");
        Ok(())
    }

    /// Returns the last transaction number of `app` in the snapshot.
    pub(crate) async fn last_txn(&mut self, app: &str) -> Result<Option<i64>, Error> {
        if let Some(known) = self.txns.get(app) {
            return Ok(*known);
        }
        let found = self
            .state
            .transaction_version(self.log_store.as_ref(), app)
            .await
            .map_err(|source| self.open_error(source))?;
        self.txns.insert(app.to_owned(), found);
        Ok(found)
    }

    /// Returns whether the log still has the entry of `version`.
    async fn has_log_entry(&self, version: u64) -> Result<bool, Error> {
        let entry = self.log_store.read_commit_entry(version).await;
        Ok(entry.map_err(|source| self.open_error(source))?.is_some())
    }

    /// Returns the actions of one version's log entry.
    async fn actions(&self, version: u64) -> Result<Vec<Action>, Error> {
        let error = |source: Option<DeltaTableError>| Error::Log {
            table: self.def.full_name(),
            version,
            source: source.map(Box::new),
        };
        let entry = self
            .log_store
            .read_commit_entry(version)
            .await
            .map_err(|source| error(Some(source)))?;
        let bytes = entry.ok_or_else(|| error(None))?;
        get_actions(version, &bytes).map_err(|source| error(Some(source)))
    }

    fn open_error(&self, source: DeltaTableError) -> Error {
        open_error(self.def, source)
    }
}

/// Where tables are that do not exist. A store of its own for SQL, whose stores have their names by
/// scheme and host: it must not take the place of the lake's.
const NOWHERE: &str = "memory://nowhere/";

fn open_error(def: &TableDef, source: DeltaTableError) -> Error {
    Error::Open { table: def.full_name(), source: Box::new(source) }
}

/// Returns the log of a table: one that commits by creating an object that must not exist. Not
/// asked of the library's registry of schemes: every store we open can do that.
fn place(location: &Location, def: &TableDef) -> Result<LogStoreRef, Error> {
    let url = location.table(def.layer, def.name)?;
    log_store(location, &url).map_err(|source| open_error(def, source))
}

/// Returns the log of the table at `url`, in the store of `location`.
pub(crate) fn log_store(location: &Location, url: &Url) -> Result<LogStoreRef, DeltaTableError> {
    let config = StorageConfig::default();
    let table = config.decorate_store(Arc::clone(&location.store), url)?;
    Ok(default_logstore(Arc::new(table), Arc::clone(&location.store), url, &config))
}

/// Creates the empty table; a race with another creator is lost without harm.
async fn create(def: &TableDef, log_store: LogStoreRef) -> Result<(), DeltaTableError> {
    let columns = def
        .schema
        .fields()
        .iter()
        .map(|field| field.as_ref().try_into_kernel())
        .collect::<Result<Vec<StructField>, _>>()
        .map_err(|source| DeltaTableError::GenericError { source: Box::new(source) })?;
    let created = CreateBuilder::new()
        .with_log_store(LogStoreRef::clone(&log_store))
        .with_table_name(def.full_name())
        .with_columns(columns)
        .with_partition_columns(def.partition_by.iter().copied())
        .with_save_mode(SaveMode::ErrorIfExists)
        // Statistics on the columns people filter by come first in every schema; see `schema.rs`.
        .with_configuration_property(deltalake_core::TableProperty::CheckpointInterval, Some("100"))
        .await;
    match created {
        Ok(_) => Ok(()),
        // Whatever happened, what counts is whether the table is there now.
        Err(_) if log_store.is_delta_table_location().await? => Ok(()),
        Err(error) => Err(error),
    }
}
