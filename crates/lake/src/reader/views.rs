//! The schema `bi` of one context: each view is planned when it is first asked for, over the very
//! tables that the context has pinned.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use datafusion::{
    catalog::{CatalogProvider, SchemaProvider, TableProvider},
    common::DataFusionError,
    datasource::{MemTable, ViewTable},
    execution::runtime_env::RuntimeEnv,
    logical_expr::{Expr, LogicalPlanBuilder, cast},
    prelude::{SessionConfig, SessionContext},
};
use tokio::sync::Mutex;

use super::catalog::Layers;
use crate::{
    bi::{self, View},
    schema::TABLES,
};

/// The views of one context.
pub(super) struct ViewSchema {
    layers: Layers,
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    /// Where the views are planned. It knows the layers and not the views, or it would hold
    /// itself for ever.
    context: OnceLock<SessionContext>,
    planned: Mutex<BTreeMap<&'static str, Arc<dyn TableProvider>>>,
}

impl ViewSchema {
    pub(super) fn new(layers: Layers, config: SessionConfig, runtime: Arc<RuntimeEnv>) -> Self {
        let planned = Mutex::new(BTreeMap::new());
        Self { layers, config, runtime, context: OnceLock::new(), planned }
    }

    fn context(&self) -> &SessionContext {
        self.context.get_or_init(|| {
            let config = self.config.clone().with_information_schema(false);
            let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
            let layers = Arc::new(WithAbsent(self.layers.clone()));
            let _replaced = context.register_catalog("marketlake", layers);
            context.register_udf(bi::session_minutes());
            context
        })
    }

    /// Plans the query of `view` and gives its columns exactly the types that are declared.
    async fn plan(&self, view: &View) -> Result<ViewTable, DataFusionError> {
        let plan = self.context().state().create_logical_plan(&view.sql).await?;
        let columns = view.columns.iter().map(|column| {
            let (qualifier, field) =
                plan.schema().qualified_field_with_unqualified_name(column.name)?;
            let found = Expr::from((qualifier, field));
            let wanted = column.data_type();
            let has_type = *field.data_type() == wanted;
            Ok(if has_type { found } else { cast(found, wanted) }.alias(column.name))
        });
        let columns = columns.collect::<Result<Vec<_>, DataFusionError>>()?;
        let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
        Ok(ViewTable::new(plan, Some(view.sql.clone())))
    }
}

impl fmt::Debug for ViewSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewSchema").field("layers", &self.layers).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for ViewSchema {
    fn table_names(&self) -> Vec<String> {
        bi::views().iter().map(|view| view.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(view) = bi::view(name) else { return Ok(None) };
        let mut planned = self.planned.lock().await;
        if let Some(table) = planned.get(view.name) {
            return Ok(Some(Arc::clone(table)));
        }
        let table: Arc<dyn TableProvider> = Arc::new(self.plan(view).await?);
        planned.insert(view.name, Arc::clone(&table));
        Ok(Some(table))
    }

    fn table_exist(&self, name: &str) -> bool {
        bi::view(name).is_some()
    }
}

/// The layers, with an empty table for each that a lake in memory was not given.
#[derive(Debug)]
struct WithAbsent(Layers);

impl CatalogProvider for WithAbsent {
    fn schema_names(&self) -> Vec<String> {
        self.0.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let layer = TABLES.iter().map(|table| table.layer).find(|layer| *layer == name)?;
        Some(Arc::new(LayerWithAbsent { layer, present: self.0.schema(name) }))
    }
}

#[derive(Debug)]
struct LayerWithAbsent {
    layer: &'static str,
    present: Option<Arc<dyn SchemaProvider>>,
}

#[async_trait]
impl SchemaProvider for LayerWithAbsent {
    fn table_names(&self) -> Vec<String> {
        TABLES
            .iter()
            .filter(|table| table.layer == self.layer)
            .map(|table| table.name.to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(present) = &self.present
            && let Some(table) = present.table(name).await?
        {
            return Ok(Some(table));
        }
        let absent = TABLES.iter().find(|table| (table.layer, table.name) == (self.layer, name));
        let Some(absent) = absent else { return Ok(None) };
        let table = MemTable::try_new(Arc::clone(&absent.schema), vec![vec![]])?;
        Ok(Some(Arc::new(table)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|table| table == name)
    }
}
