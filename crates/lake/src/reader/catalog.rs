//! The tables as a SQL catalog whose tables are pinned at first use.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use datafusion::{
    catalog::{CatalogProvider, SchemaProvider, TableProvider},
    common::DataFusionError,
    datasource::MemTable,
    execution::{
        cache::cache_manager::{CacheManager, CacheManagerConfig, FileMetadataCache},
        disk_manager::DiskManager,
        memory_pool::MemoryPool,
        object_store::ObjectStoreRegistry,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    prelude::SessionConfig,
};
use object_store::ObjectStore;
use tokio::sync::Mutex;
use url::Url;

use super::{Found, Tables, views::ViewSchema, within::WithinTables};
use crate::bi;

/// The catalog of one context.
#[derive(Debug)]
pub(super) struct LakeCatalog {
    layers: Layers,
    views: Arc<ViewSchema>,
}

/// The layers alone, without the views over them.
#[derive(Clone, Debug)]
pub(super) struct Layers(Arc<BTreeMap<&'static str, Arc<LayerSchema>>>);

impl LakeCatalog {
    pub(super) fn new(
        tables: Arc<Tables>,
        runtime: Arc<RuntimeEnv>,
        config: SessionConfig,
    ) -> Self {
        let layers: BTreeSet<&'static str> =
            tables.names().into_iter().map(|(layer, _)| layer).collect();
        let schemas = layers
            .into_iter()
            .map(|layer| {
                let schema = LayerSchema {
                    layer,
                    tables: Arc::clone(&tables),
                    runtime: Arc::clone(&runtime),
                    pinned: Mutex::new(BTreeMap::new()),
                };
                (layer, Arc::new(schema))
            })
            .collect();
        let layers = Layers(Arc::new(schemas));
        let views = Arc::new(ViewSchema::new(layers.clone(), config, runtime));
        Self { layers, views }
    }
}

impl LakeCatalog {
    /// Returns the layers, those under the views among them.
    pub(super) fn layers(&self) -> Layers {
        self.layers.clone()
    }
}

impl Layers {
    /// Pins every table now, so that two of them, looked at minutes apart, still belong together.
    pub(super) async fn pin(&self) {
        for schema in self.0.values() {
            for name in schema.table_names() {
                // One that cannot be read fails those who ask for it, and nobody else.
                if let Err(error) = schema.table(&name).await {
                    tracing::debug!(%error, name, "a table was not pinned");
                }
            }
        }
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.layers.schema_names();
        names.push(bi::SCHEMA.to_owned());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == bi::SCHEMA {
            return Some(Arc::clone(&self.views) as Arc<dyn SchemaProvider>);
        }
        self.layers.schema(name)
    }
}

impl CatalogProvider for Layers {
    fn schema_names(&self) -> Vec<String> {
        self.0.keys().map(|&name| name.to_owned()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.0.get(name).map(|schema| Arc::clone(schema) as Arc<dyn SchemaProvider>)
    }
}

/// One layer as a SQL schema.
#[derive(Debug)]
struct LayerSchema {
    layer: &'static str,
    tables: Arc<Tables>,
    runtime: Arc<RuntimeEnv>,
    /// Tables already looked at in this context: one query sees one version.
    pinned: Mutex<BTreeMap<String, Arc<dyn TableProvider>>>,
}

#[async_trait]
impl SchemaProvider for LayerSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables
            .names()
            .into_iter()
            .filter(|(layer, _)| *layer == self.layer)
            .map(|(_, name)| name.to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let mut pinned = self.pinned.lock().await;
        if let Some(provider) = pinned.get(name) {
            return Ok(Some(Arc::clone(provider)));
        }
        let provider: Arc<dyn TableProvider> = match self.tables.get(self.layer, name) {
            None => return Ok(None),
            Some(Found::Memory(rows)) => {
                let rows = super::in_memory(rows);
                Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?)
            }
            Some(Found::Delta(table)) => {
                let mut table = table.lock().await;
                table
                    .refresh()
                    .await
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                let log_store = table.log_store();
                let store =
                    WithinTables::new(log_store.root_object_store(None), log_store.root_url());
                let _replaced =
                    self.runtime.register_object_store(log_store.root_url(), Arc::new(store));
                let snapshot = Arc::new(table.state().snapshot().clone());
                table.handle().table_provider().with_eager_snapshot(snapshot).await?
            }
        };
        pinned.insert(name.to_owned(), Arc::clone(&provider));
        Ok(Some(provider))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.get(self.layer, name).is_some()
    }
}

/// Footers of data files that are kept, 50 MB of them: some thousands of files. A data file never
/// changes, so what one statement has read of it serves all that follow.
pub(super) fn footers() -> Result<Arc<FileMetadataCache>, DataFusionError> {
    let config = CacheManagerConfig::default().with_metadata_cache_limit(50 << 20);
    Ok(CacheManager::try_new(&config)?.get_file_metadata_cache())
}

/// Returns a runtime whose only object stores are those that tables bring along, and which spills
/// to `disk` what does not fit into `memory`.
pub(super) fn runtime(
    disk: &Arc<DiskManager>,
    memory: &Arc<dyn MemoryPool>,
    footers: &Arc<FileMetadataCache>,
) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let registry = TableStores::default();
    let mut builder = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::clone(memory))
        .with_cache_manager(
            CacheManagerConfig::default()
                .with_file_metadata_cache(Some(Arc::clone(footers)))
                .with_metadata_cache_limit(footers.cache_limit()),
        )
        .with_object_store_registry(Arc::new(registry));
    builder.disk_manager = Some(Arc::clone(disk));
    builder.build_arc()
}

/// Knows no `file://`, so that no query can reach one.
#[derive(Debug, Default)]
struct TableStores {
    stores: RwLock<BTreeMap<String, Arc<dyn ObjectStore>>>,
}

impl ObjectStoreRegistry for TableStores {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).insert(root(url), store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        stores.get(&root(url)).cloned().ok_or_else(|| {
            DataFusionError::Plan(format!(
                "`{}://` cannot be read from SQL; query the tables instead",
                url.scheme()
            ))
        })
    }
}

fn root(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}
