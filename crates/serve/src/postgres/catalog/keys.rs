//! Primary and foreign keys: what clients look for before they draw lines between tables.

use lake::bi::{self, View};

use super::{Oids, Relation, pg_catalog, schema_oid, sheet::Row};

/// A key of one relation.
#[derive(Debug)]
pub(super) struct Key {
    /// The constraint.
    pub(super) oid: i32,
    pub(super) name: String,
    /// Whose it is; an index into the inventory's relations.
    pub(super) relation: usize,
    /// Numbers of its columns, counted from 1.
    pub(super) columns: Vec<i16>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Clients also look for the index behind a primary key, so there is one to be found.
    Primary {
        index: i32,
    },
    Foreign {
        parent: Parent,
    },
}

/// What a foreign key refers to.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) relation: usize,
    pub(super) columns: Vec<i16>,
    /// The name of its primary key, and the index behind that.
    pub(super) key: String,
    pub(super) index: i32,
}

impl Key {
    pub(super) const fn index(&self) -> Option<i32> {
        match self.kind {
            Kind::Primary { index } => Some(index),
            Kind::Foreign { .. } => None,
        }
    }

    pub(super) const fn parent(&self) -> Option<&Parent> {
        match &self.kind {
            Kind::Primary { .. } => None,
            Kind::Foreign { parent } => Some(parent),
        }
    }
}

/// Returns the keys of `relations`: first the primary ones.
pub(super) fn of(relations: &[Relation], mut oids: Oids) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for (index, relation) in relations.iter().enumerate() {
        let columns = relation.view.map_or_else(
            || lake::primary_key(&relation.schema, &relation.name),
            |view| view.primary_key,
        );
        if let Some(columns) = numbers(relation, columns).filter(|columns| !columns.is_empty()) {
            let name = format!("{}_pkey", relation.name);
            let kind = Kind::Primary { index: oids.take(&relation.schema, &name) };
            let oid = oids.take(&relation.schema, &format!("constraint {name}"));
            keys.push(Key { oid, name, relation: index, columns, kind });
        }
    }
    let foreign: Vec<Key> = relations
        .iter()
        .enumerate()
        .filter_map(|(index, relation)| Some((index, relation, relation.view?)))
        .flat_map(|(index, relation, view)| {
            foreign(index, relation, view, relations, &keys, &mut oids)
        })
        .collect();
    keys.extend(foreign);
    keys
}

fn foreign(
    index: usize,
    relation: &Relation,
    view: &View,
    relations: &[Relation],
    primary: &[Key],
    oids: &mut Oids,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for foreign in view.foreign_keys {
        let is_parent =
            |relation: &Relation| relation.schema == bi::SCHEMA && relation.name == foreign.parent;
        let parent = relations.iter().position(is_parent).and_then(|parent| {
            let key = primary.iter().find(|key| key.relation == parent)?;
            let columns = numbers(&relations[parent], &[foreign.parent_column])?;
            Some(Parent { relation: parent, columns, key: key.name.clone(), index: key.index()? })
        });
        let (Some(parent), Some(columns)) = (parent, numbers(relation, &[foreign.column])) else {
            continue;
        };
        let name = format!("{}_{}_fkey", relation.name, foreign.column);
        let oid = oids.take(&relation.schema, &format!("constraint {name}"));
        keys.push(Key { oid, name, relation: index, columns, kind: Kind::Foreign { parent } });
    }
    keys
}

/// Returns the columns' numbers; `None` unless the relation has all of them.
fn numbers(relation: &Relation, names: &[&str]) -> Option<Vec<i16>> {
    let number = |name: &&str| {
        let index = relation.columns.iter().position(|column| column.name == *name)?;
        i16::try_from(index + 1).ok()
    };
    names.iter().map(number).collect()
}

/// Names of the columns with these numbers.
pub(super) fn names<'a>(relation: &'a Relation, columns: &[i16]) -> Vec<&'a str> {
    columns
        .iter()
        .filter_map(|number| usize::try_from(*number).ok()?.checked_sub(1))
        .filter_map(|index| relation.columns.get(index))
        .map(|column| column.name.as_str())
        .collect()
}

/// A key as `pg_get_constraintdef` writes it.
pub(super) fn constraint_text(key: &Key, relations: &[Relation]) -> Option<String> {
    let columns = names(relations.get(key.relation)?, &key.columns).join(", ");
    Some(match key.parent() {
        None => format!("PRIMARY KEY ({columns})"),
        Some(parent) => {
            let relation = relations.get(parent.relation)?;
            let of_parent = names(relation, &parent.columns).join(", ");
            let (schema, name) = (&relation.schema, &relation.name);
            format!("FOREIGN KEY ({columns}) REFERENCES {schema}.{name}({of_parent})")
        }
    })
}

/// The index behind a primary key as `pg_get_indexdef` writes it.
pub(super) fn index_text(key: &Key, relations: &[Relation]) -> Option<String> {
    let relation = relations.get(key.relation)?;
    let columns = names(relation, &key.columns).join(", ");
    let (name, schema, table) = (&key.name, &relation.schema, &relation.name);
    Some(format!("CREATE UNIQUE INDEX {name} ON {schema}.{table} USING btree ({columns})"))
}

pub(super) const CONSTRAINT_COLUMNS: &str = "oid:oid conname:name connamespace:oid contype:char condeferrable:bool condeferred:bool \
     convalidated:bool conrelid:oid contypid:oid conindid:oid conparentid:oid confrelid:oid \
     confupdtype:char confdeltype:char confmatchtype:char conislocal:bool coninhcount:int4 \
     connoinherit:bool conkey:int2[] confkey:int2[] conpfeqop:text[] conppeqop:text[] \
     conffeqop:text[] confdelsetcols:int2[] conexclop:text[] conbin:text tableoid:oid xmin:int8";

pub(super) const INDEX_COLUMNS: &str = "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool \
     indnullsnotdistinct:bool indisprimary:bool indisexclusion:bool indimmediate:bool \
     indisclustered:bool indisvalid:bool indcheckxmin:bool indisready:bool indislive:bool \
     indisreplident:bool indkey:int2vector indcollation:oidvector indclass:oidvector \
     indoption:int2vector indexprs:text indpred:text tableoid:oid xmin:int8";

pub(super) fn constraints(inventory: &super::Inventory) -> Vec<Row> {
    let row = |key: &Key| {
        let relation = &inventory.relations[key.relation];
        let row = Row::default()
            .with("oid", key.oid)
            .with("conname", key.name.as_str())
            .with("connamespace", schema_oid(&relation.schema))
            .with("convalidated", true)
            .with("conrelid", relation.oid)
            .with("conislocal", true)
            .with("connoinherit", true)
            .with("conkey", key.columns.as_slice());
        match &key.kind {
            Kind::Primary { index } => row
                .with("contype", "p")
                .with("conindid", *index)
                .with("confupdtype", " ")
                .with("confdeltype", " ")
                .with("confmatchtype", " "),
            Kind::Foreign { parent } => row
                .with("contype", "f")
                .with("conindid", parent.index)
                .with("confrelid", inventory.relations[parent.relation].oid)
                .with("confkey", parent.columns.as_slice())
                .with("confupdtype", "a")
                .with("confdeltype", "a")
                .with("confmatchtype", "s"),
        }
    };
    inventory.keys.iter().map(row).collect()
}

pub(super) fn indexes(inventory: &super::Inventory) -> Vec<Row> {
    let row = |(key, index): (&Key, i32)| {
        let width = i32::try_from(key.columns.len()).unwrap_or_default();
        let zeros = vec![0_i16; key.columns.len()];
        Row::default()
            .with("indexrelid", index)
            .with("indrelid", inventory.relations[key.relation].oid)
            .with("indnatts", width)
            .with("indnkeyatts", width)
            .with("indisunique", true)
            .with("indisprimary", true)
            .with("indimmediate", true)
            .with("indisvalid", true)
            .with("indisready", true)
            .with("indislive", true)
            .with("indkey", key.columns.as_slice())
            .with("indcollation", zeros.as_slice())
            .with("indclass", zeros.as_slice())
            .with("indoption", zeros.as_slice())
    };
    inventory.indexes().map(row).collect()
}

/// The rows of `pg_indexes`.
pub(super) fn described_indexes(inventory: &super::Inventory) -> Vec<Row> {
    let row = |(key, _): (&Key, i32)| {
        let relation = &inventory.relations[key.relation];
        let text = index_text(key, &inventory.relations).unwrap_or_default();
        Row::default()
            .with("schemaname", relation.schema.as_str())
            .with("tablename", relation.name.as_str())
            .with("indexname", key.name.as_str())
            .with("indexdef", text.as_str())
    };
    inventory.indexes().map(row).collect()
}

/// The rows of `pg_class` that stand for indexes.
pub(super) fn index_classes(inventory: &super::Inventory) -> Vec<Row> {
    let row = |(key, index): (&Key, i32)| {
        let relation = &inventory.relations[key.relation];
        Row::default()
            .with("oid", index)
            .with("relname", key.name.as_str())
            .with("relnamespace", schema_oid(&relation.schema))
            .with("relowner", pg_catalog::OWNER_OID)
            .with("relam", pg_catalog::BTREE_OID)
            .with("relfilenode", index)
            .with("relpersistence", "p")
            .with("relkind", "i")
            .with("relnatts", i32::try_from(key.columns.len()).unwrap_or_default())
            .with("relispopulated", true)
            .with("relreplident", "n")
    };
    inventory.indexes().map(row).collect()
}
