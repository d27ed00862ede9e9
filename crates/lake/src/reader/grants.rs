//! What a reader shows: some schemas and tables; whatever is not granted is not there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use datafusion::{
    catalog::{CatalogProvider, SchemaProvider, TableProvider},
    common::DataFusionError,
};

use super::catalog::LakeCatalog;
use crate::{bi, schema::table_names};

/// The schemas and tables that somebody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    schemas: BTreeMap<String, Granted>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Granted {
    Whole,
    Tables(BTreeSet<String>),
}

/// Why a text grants nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrants {
    /// There is nothing in it.
    #[error("must name schemas or tables, such as \"bi, gold.bar_1d\"")]
    Empty,
    /// It names what is neither.
    #[error("`{0}` is no table and no schema; write for example \"bi, gold.bar_1d\"")]
    Unknown(String),
}

impl Grants {
    /// Reads a list of schemas and tables such as `bi, gold.bar_1d`.
    ///
    /// # Errors
    /// The list is empty, or names what the lake does not have.
    pub fn parse(text: &str) -> Result<Self, InvalidGrants> {
        let views = bi::views().iter().map(|view| format!("{}.{}", bi::SCHEMA, view.name));
        let known: Vec<String> = table_names().chain(views).collect();
        let is_schema =
            |name: &str| known.iter().any(|known| known.split('.').next() == Some(name));
        let mut schemas: BTreeMap<String, Granted> = BTreeMap::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.split_once('.') {
                None if is_schema(name) => {
                    schemas.insert(name.to_owned(), Granted::Whole);
                }
                Some((schema, table)) if known.iter().any(|known| known == name) => {
                    let none = || Granted::Tables(BTreeSet::new());
                    if let Granted::Tables(tables) =
                        schemas.entry(schema.to_owned()).or_insert_with(none)
                    {
                        tables.insert(table.to_owned());
                    }
                }
                _ => return Err(InvalidGrants::Unknown(name.to_owned())),
            }
        }
        if schemas.is_empty() { Err(InvalidGrants::Empty) } else { Ok(Self { schemas }) }
    }

    pub(super) fn allow(&self, schema: &str, table: &str) -> bool {
        match self.schemas.get(schema) {
            None => false,
            Some(Granted::Whole) => true,
            Some(Granted::Tables(tables)) => tables.contains(table),
        }
    }
}

/// The catalog of one context, less what was not granted. A view is planned over tables that this
/// does not stand before: whoever may read a view need not be able to read what it is made of.
#[derive(Debug)]
pub(super) struct GrantedCatalog {
    lake: LakeCatalog,
    grants: Arc<Grants>,
}

impl GrantedCatalog {
    pub(super) fn new(lake: LakeCatalog, grants: Arc<Grants>) -> Self {
        Self { lake, grants }
    }
}

impl CatalogProvider for GrantedCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.lake.schema_names();
        names.retain(|name| self.grants.schemas.contains_key(name));
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.grants.schemas.get(name)?;
        let (schema, grants) = (self.lake.schema(name)?, Arc::clone(&self.grants));
        Some(Arc::new(GrantedSchema { name: name.to_owned(), schema, grants }))
    }
}

#[derive(Debug)]
struct GrantedSchema {
    name: String,
    schema: Arc<dyn SchemaProvider>,
    grants: Arc<Grants>,
}

#[async_trait]
impl SchemaProvider for GrantedSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.schema.table_names();
        names.retain(|table| self.grants.allow(&self.name, table));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if self.grants.allow(&self.name, name) { self.schema.table(name).await } else { Ok(None) }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.grants.allow(&self.name, name) && self.schema.table_exist(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_grants_what_it_names_and_nothing_else() {
        let grants = Grants::parse("bi, gold.bar_1d,silver.bar, silver").unwrap();
        for (schema, table, is_granted) in [
            ("bi", "bars_daily", true),
            ("gold", "bar_1d", true),
            ("gold", "bar_1m", false),
            // The whole schema, whichever was written first.
            ("silver", "eod", true),
            ("bronze", "intraday", false),
            ("", "bar_1d", false),
            ("gold", "", false),
        ] {
            assert_eq!(grants.allow(schema, table), is_granted, "{schema}.{table}");
        }
        let whole_first = Grants::parse("silver, silver.bar").unwrap();
        assert!(whole_first.allow("silver", "eod"));
    }

    #[test]
    fn what_the_lake_does_not_have_cannot_be_granted() {
        assert_eq!(Grants::parse(" , "), Err(InvalidGrants::Empty));
        for text in ["gold.bar_2m", "goldd", "*", "gold.*", "pg_catalog", "gold.bar_1d.x", "."] {
            assert_eq!(Grants::parse(text), Err(InvalidGrants::Unknown(text.to_owned())));
        }
    }
}
