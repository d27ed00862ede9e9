//! The catalog clients see: the lake's schemas, `pg_catalog` and `information_schema`.
//!
//! It is made anew for every statement from the statement's own snapshot, so a client never sees
//! a column in the catalog that the table next to it does not have.

use std::{collections::HashSet, fmt, sync::Arc};

use async_trait::async_trait;
use lake::{
    bi::{self, View, ViewColumn},
    datafusion::{
        arrow::datatypes::Field,
        catalog::{CatalogProvider, SchemaProvider, TableProvider},
        error::DataFusionError,
    },
};

use super::types::PgType;

mod functions;
mod information_schema;
mod keys;
mod pg_catalog;
mod pg_proc;
mod pg_types;
mod sheet;

pub(super) use functions::{is_function, register};
pub(super) use pg_catalog::version_text;
pub(super) use pg_types::type_oid;

/// The default schema of every statement: looks a name up along the search path.
pub(super) const SEARCH_PATH_SCHEMA: &str = "search_path";

const PG_CATALOG: &str = "pg_catalog";
const INFORMATION_SCHEMA: &str = "information_schema";

/// PostgreSQL gives OIDs from here on to what users create.
const FIRST_USER_OID: i32 = 16_384;

/// One table as the catalog describes it.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) oid: i32,
    columns: Vec<RelationColumn>,
    /// Where it is a view: what it is about.
    view: Option<&'static View>,
}

#[derive(Debug)]
struct RelationColumn {
    name: String,
    pg_type: PgType,
    nullable: bool,
    comment: &'static str,
}

/// Every table of the snapshot, and how the connection looks at them.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) relations: Vec<Relation>,
    /// The schemas that the connection may read from, with tables or without.
    schemas: Vec<String>,
    keys: Vec<keys::Key>,
    path: Vec<String>,
    user: String,
    settings: Vec<(String, String)>,
}

impl Inventory {
    /// Reads names and columns of every table of `catalog`.
    pub(super) async fn load(
        catalog: &dyn CatalogProvider,
        path: Vec<String>,
        user: String,
        settings: Vec<(String, String)>,
    ) -> Result<Self, DataFusionError> {
        let mut relations: Vec<Relation> = Vec::new();
        let mut oids = Oids::default();
        let mut schemas = catalog.schema_names();
        schemas.sort();
        for schema_name in &schemas {
            let Some(schema) = catalog.schema(schema_name) else { continue };
            let mut names = schema.table_names();
            names.sort();
            for name in names {
                // What a view looks like is known without planning it.
                let view = Some(&name).filter(|_| *schema_name == bi::SCHEMA);
                let view = view.and_then(|name| bi::view(name));
                let columns = match (view, schema.table(&name)) {
                    (Some(view), _) => columns_of_view(view),
                    (None, table) => match table.await? {
                        Some(table) => columns_of_table(table.as_ref()),
                        None => continue,
                    },
                };
                let oid = oids.take(schema_name, &name);
                relations.push(Relation { schema: schema_name.clone(), name, oid, columns, view });
            }
        }
        let keys = keys::of(&relations, oids);
        for key in keys.iter().filter(|key| key.index().is_some()) {
            let columns = relations[key.relation].columns.iter_mut();
            for (_, column) in (1_i16..).zip(columns).filter(|(at, _)| key.columns.contains(at)) {
                column.nullable = false;
            }
        }
        Ok(Self { relations, schemas, keys, path, user, settings })
    }

    /// Finds an OID by the text of a `regclass`; the catalog's own tables have one, too.
    pub(super) fn oid_of(&self, text: &str) -> Option<i32> {
        let found = self.find(text).map(|relation| relation.oid);
        found
            .or_else(|| self.index_named(text))
            .or_else(|| pg_catalog::system_oid(&text.replace('"', "")))
    }

    /// Finds a table by the text of a `regclass`: `gold.bar_1m`, or a name along the path.
    fn find(&self, text: &str) -> Option<&Relation> {
        let text = text.replace('"', "");
        match text.rsplit_once('.') {
            Some((schema, name)) => {
                let schema = schema.trim_start_matches("marketlake.");
                self.relations.iter().find(|table| table.schema == schema && table.name == name)
            }
            None => self.path.iter().find_map(|schema| {
                self.relations.iter().find(|table| table.schema == *schema && table.name == text)
            }),
        }
    }

    /// Finds the OID of an index, whose schema is that of its table.
    fn index_named(&self, text: &str) -> Option<i32> {
        let text = text.replace('"', "");
        let (schema, name) = match text.rsplit_once('.') {
            Some((schema, name)) => (Some(schema.trim_start_matches("marketlake.")), name),
            None => (None, text.as_str()),
        };
        let is_meant = |key: &keys::Key| {
            let of = &self.relations[key.relation].schema;
            let is_in_schema = match schema {
                Some(schema) => schema == of,
                None => self.path.contains(of),
            };
            is_in_schema && key.name == name
        };
        self.indexes().find(|(key, _)| is_meant(key)).map(|(_, index)| index)
    }

    /// True when the bare name of the table finds it.
    fn is_visible(&self, oid: i64) -> bool {
        let Some(relation) = self.by_oid(oid) else { return false };
        self.find(&relation.name).is_some_and(|found| found.oid == relation.oid)
    }

    fn by_oid(&self, oid: i64) -> Option<&Relation> {
        self.relations.iter().find(|relation| i64::from(relation.oid) == oid)
    }

    /// The keys that have an index, and its OID.
    fn indexes(&self) -> impl Iterator<Item = (&keys::Key, i32)> {
        self.keys.iter().filter_map(|key| Some((key, key.index()?)))
    }

    /// The key behind which there is this index.
    fn index(&self, oid: i64) -> Option<&keys::Key> {
        self.indexes().find(|(_, index)| i64::from(*index) == oid).map(|(key, _)| key)
    }

    fn has_index(&self, oid: i32) -> bool {
        self.indexes().any(|(key, _)| self.relations[key.relation].oid == oid)
    }

    /// The tables, without the views.
    fn tables(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|relation| relation.view.is_none())
    }

    /// The views, with what they are about.
    fn views(&self) -> impl Iterator<Item = (&Relation, &'static View)> {
        self.relations.iter().filter_map(|relation| Some((relation, relation.view?)))
    }

    fn schemas(&self) -> Vec<(i32, &str)> {
        let names = self.schemas.iter().map(String::as_str);
        let mut schemas: Vec<(i32, &str)> = names.map(|name| (schema_oid(name), name)).collect();
        schemas.push((schema_oid(PG_CATALOG), PG_CATALOG));
        schemas.push((schema_oid(INFORMATION_SCHEMA), INFORMATION_SCHEMA));
        schemas
    }
}

fn columns_of_table(table: &dyn TableProvider) -> Vec<RelationColumn> {
    let column = |field: &Arc<Field>| RelationColumn {
        name: field.name().clone(),
        pg_type: PgType::of(field),
        nullable: field.is_nullable(),
        comment: "",
    };
    table.schema().fields().iter().map(column).collect()
}

fn columns_of_view(view: &'static View) -> Vec<RelationColumn> {
    let column = |column: &'static ViewColumn| RelationColumn {
        name: column.name.to_owned(),
        pg_type: PgType::of_data_type(&column.data_type()),
        nullable: view.is_nullable(column),
        comment: column.comment,
    };
    view.columns.iter().map(column).collect()
}

/// The OID of a schema; `pg_catalog` has the one drivers expect.
pub(super) fn schema_oid(name: &str) -> i32 {
    if name == PG_CATALOG { 11 } else { stable_oid("", name) }
}

/// Derived from the name, because a client asks for an OID in one statement and uses it in the
/// next, which may see another snapshot or another server process.
fn stable_oid(schema: &str, name: &str) -> i32 {
    // FNV-1a over both names; the top bit is cut, so that the OID is a positive int4 too.
    let mut hash: u32 = 0x811c_9dc5;
    for byte in schema.bytes().chain([b'.']).chain(name.bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let positive = i32::try_from(hash >> 2).unwrap_or(i32::MAX >> 2);
    FIRST_USER_OID + positive
}

/// OIDs that are given away.
#[derive(Default)]
struct Oids(HashSet<i32>);

impl Oids {
    fn take(&mut self, schema: &str, name: &str) -> i32 {
        let mut oid = stable_oid(schema, name);
        while !self.0.insert(oid) {
            oid += 1;
        }
        oid
    }
}

/// The lake's catalog with ours around it.
pub(super) struct WireCatalog {
    lake: Arc<dyn CatalogProvider>,
    path: Vec<String>,
    inventory: Option<Arc<Inventory>>,
}

impl WireCatalog {
    /// `inventory` is absent when the statement does not ask about the catalog.
    pub(super) fn new(
        lake: Arc<dyn CatalogProvider>,
        path: Vec<String>,
        inventory: Option<Arc<Inventory>>,
    ) -> Self {
        Self { lake, path, inventory }
    }

    fn described(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inventory = Arc::clone(self.inventory.as_ref()?);
        match name {
            PG_CATALOG => Some(Arc::new(Described { inventory, tables: &pg_catalog::TABLES })),
            INFORMATION_SCHEMA => {
                Some(Arc::new(Described { inventory, tables: &information_schema::TABLES }))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for WireCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireCatalog").field("path", &self.path).finish_non_exhaustive()
    }
}

impl CatalogProvider for WireCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.lake.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == SEARCH_PATH_SCHEMA {
            let schemas = [PG_CATALOG]
                .into_iter()
                .chain(self.path.iter().map(String::as_str))
                // A path that leads through itself has no end.
                .filter(|name| *name != SEARCH_PATH_SCHEMA)
                .filter_map(|name| self.schema(name))
                .collect();
            return Some(Arc::new(SearchPath { schemas }));
        }
        self.described(name).or_else(|| self.lake.schema(name))
    }
}

/// Looks a bare name up in several schemas; the first that has it wins.
#[derive(Debug)]
struct SearchPath {
    schemas: Vec<Arc<dyn SchemaProvider>>,
}

#[async_trait]
impl SchemaProvider for SearchPath {
    fn table_names(&self) -> Vec<String> {
        self.schemas.iter().flat_map(|schema| schema.table_names()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        for schema in &self.schemas {
            if schema.table_exist(name) {
                return schema.table(name).await;
            }
        }
        Ok(None)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.schemas.iter().any(|schema| schema.table_exist(name))
    }
}

/// A catalog table: its name, its columns, and how its rows follow from the inventory.
struct Table {
    name: &'static str,
    columns: &'static str,
    /// `None`: nothing of this kind ever exists here.
    rows: Option<fn(&Inventory) -> Vec<sheet::Row>>,
}

/// True for a catalog table that never has rows.
pub(super) fn is_always_empty(schema: Option<&str>, name: &str) -> bool {
    let find =
        |tables: &[Table]| tables.iter().any(|table| table.name == name && table.rows.is_none());
    match schema {
        None | Some(PG_CATALOG) => find(&pg_catalog::TABLES),
        Some(INFORMATION_SCHEMA) => find(&information_schema::TABLES),
        _ => false,
    }
}

struct Described {
    inventory: Arc<Inventory>,
    tables: &'static [Table],
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Described").field("tables", &self.tables.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for Described {
    fn table_names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(table) = self.tables.iter().find(|table| table.name == name) else {
            return Ok(None);
        };
        let rows = table.rows.map(|rows| rows(&self.inventory)).unwrap_or_default();
        sheet::provider(table.columns, &rows).map(Some)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.name == name)
    }
}
