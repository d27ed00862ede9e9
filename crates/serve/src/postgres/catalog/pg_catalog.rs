//! `pg_catalog`: what psql and drivers ask before they show anything.

use lake::datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use super::{Inventory, Table, keys, pg_proc, pg_types, schema_oid, sheet::Row};
use crate::postgres::settings::{DATABASE, SERVER_VERSION};

/// The only role that owns anything.
pub(super) const OWNER_OID: i32 = 10;
pub(super) const OWNER: &str = "marketlake";
const HEAP_OID: i32 = 2;
pub(super) const BTREE_OID: i32 = 403;
const DATABASE_OID: i32 = 5;
const UTF8: i32 = 6;
const PG_CLASS_OID: i32 = 1259;

/// The tables of the catalog that clients name in `'pg_class'::regclass`, with PostgreSQL's OIDs.
const SYSTEM_OIDS: [(&str, i32); 22] = [
    ("pg_attrdef", 2604),
    ("pg_attribute", 1249),
    ("pg_authid", 1260),
    ("pg_cast", 2605),
    ("pg_class", PG_CLASS_OID),
    ("pg_collation", 3456),
    ("pg_constraint", 2606),
    ("pg_database", 1262),
    ("pg_description", 2609),
    ("pg_enum", 3501),
    ("pg_event_trigger", 3466),
    ("pg_extension", 3079),
    ("pg_index", 2610),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_operator", 2617),
    ("pg_policy", 3256),
    ("pg_proc", 1255),
    ("pg_rewrite", 2618),
    ("pg_tablespace", 1213),
    ("pg_trigger", 2620),
    ("pg_type", 1247),
];

/// Finds the OID of a table of the catalog by the text of a `regclass`.
pub(super) fn system_oid(text: &str) -> Option<i32> {
    let name = text.strip_prefix("pg_catalog.").unwrap_or(text);
    SYSTEM_OIDS.iter().find(|(table, _)| *table == name).map(|(_, oid)| *oid)
}

/// The name of a table of the catalog.
pub(super) fn system_name(oid: i64) -> Option<&'static str> {
    SYSTEM_OIDS.iter().find(|(_, table)| i64::from(*table) == oid).map(|(name, _)| *name)
}

const fn empty(name: &'static str, columns: &'static str) -> Table {
    Table { name, columns, rows: None }
}

const fn filled(
    name: &'static str,
    columns: &'static str,
    rows: fn(&Inventory) -> Vec<Row>,
) -> Table {
    Table { name, columns, rows: Some(rows) }
}

pub(super) static TABLES: [Table; 58] = [
    filled(
        "pg_namespace",
        "oid:oid nspname:name nspowner:oid nspacl:text[] tableoid:oid xmin:int8",
        namespaces,
    ),
    filled(
        "pg_class",
        "oid:oid relname:name relnamespace:oid reltype:oid reloftype:oid relowner:oid relam:oid \
         relfilenode:oid reltablespace:oid relpages:int4 reltuples:float4 relallvisible:int4 \
         reltoastrelid:oid relhasindex:bool relisshared:bool relpersistence:char relkind:char \
         relnatts:int2 relchecks:int2 relhasrules:bool relhastriggers:bool relhassubclass:bool \
         relrowsecurity:bool relforcerowsecurity:bool relispopulated:bool relreplident:char \
         relispartition:bool relrewrite:oid relfrozenxid:int8 relminmxid:int8 relacl:text[] \
         reloptions:text[] relpartbound:text tableoid:oid xmin:int8",
        classes,
    ),
    filled(
        "pg_attribute",
        "attrelid:oid attname:name atttypid:oid attstattarget:int4 attlen:int2 attnum:int2 \
         attndims:int4 attcacheoff:int4 atttypmod:int4 attbyval:bool attalign:char \
         attstorage:char attcompression:char attnotnull:bool atthasdef:bool atthasmissing:bool \
         attidentity:char attgenerated:char attisdropped:bool attislocal:bool attinhcount:int4 \
         attcollation:oid attacl:text[] attoptions:text[] attfdwoptions:text[] tableoid:oid",
        attributes,
    ),
    filled(
        "pg_type",
        "oid:oid typname:name typnamespace:oid typowner:oid typlen:int2 typbyval:bool \
         typtype:char typcategory:char typispreferred:bool typisdefined:bool typdelim:char \
         typrelid:oid typsubscript:text typelem:oid typarray:oid typinput:text typoutput:text \
         typreceive:oid typsend:text typmodin:text typmodout:text typanalyze:text \
         typalign:char typstorage:char typnotnull:bool typbasetype:oid typtypmod:int4 \
         typndims:int4 typcollation:oid typdefaultbin:text typdefault:text typacl:text[]",
        pg_types::types,
    ),
    filled(
        "pg_proc",
        "oid:oid proname:name pronamespace:oid proowner:oid prolang:oid procost:float4 \
         prorows:float4 provariadic:oid prosupport:text prokind:char prosecdef:bool \
         proleakproof:bool proisstrict:bool proretset:bool provolatile:char proparallel:char \
         pronargs:int2 pronargdefaults:int2 prorettype:oid proargtypes:text[] \
         proallargtypes:text[] proargmodes:text[] proargnames:text[] proargdefaults:text \
         protrftypes:text[] prosrc:text probin:text prosqlbody:text proconfig:text[] \
         proacl:text[] tableoid:oid xmin:int8",
        pg_proc::functions,
    ),
    filled(
        "pg_database",
        "oid:oid datname:name datdba:oid encoding:int4 datlocprovider:char datistemplate:bool \
         datallowconn:bool datconnlimit:int4 datfrozenxid:int8 datminmxid:int8 \
         dattablespace:oid datcollate:text datctype:text daticulocale:text \
         datcollversion:text datacl:text[]",
        databases,
    ),
    filled(
        "pg_roles",
        "oid:oid rolname:name rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool \
         rolcanlogin:bool rolreplication:bool rolconnlimit:int4 rolpassword:text \
         rolvaliduntil:text rolbypassrls:bool rolconfig:text[]",
        roles,
    ),
    filled(
        "pg_user",
        "usename:name usesysid:oid usecreatedb:bool usesuper:bool userepl:bool usebypassrls:bool \
         passwd:text valuntil:text useconfig:text[]",
        users,
    ),
    filled("pg_am", "oid:oid amname:name amhandler:text amtype:char", access_methods),
    filled(
        "pg_tablespace",
        "oid:oid spcname:name spcowner:oid spcacl:text[] spcoptions:text[]",
        tablespaces,
    ),
    filled(
        "pg_tables",
        "schemaname:name tablename:name tableowner:name tablespace:name hasindexes:bool \
         hasrules:bool hastriggers:bool rowsecurity:bool",
        tables,
    ),
    filled(
        "pg_settings",
        "name:text setting:text unit:text category:text short_desc:text extra_desc:text \
         context:text vartype:text source:text min_val:text max_val:text enumvals:text[] \
         boot_val:text reset_val:text sourcefile:text sourceline:int4? pending_restart:bool",
        settings,
    ),
    empty("pg_aggregate", "aggfnoid:oid aggkind:char"),
    empty("pg_attrdef", "oid:oid adrelid:oid adnum:int2 adbin:text"),
    empty("pg_auth_members", "roleid:oid member:oid grantor:oid admin_option:bool"),
    empty(
        "pg_cast",
        "oid:oid castsource:oid casttarget:oid castfunc:oid castcontext:char castmethod:char",
    ),
    empty(
        "pg_collation",
        "oid:oid collname:name collnamespace:oid collowner:oid collprovider:char \
         collisdeterministic:bool collencoding:int4 collcollate:text collctype:text \
         colliculocale:text",
    ),
    filled("pg_constraint", keys::CONSTRAINT_COLUMNS, keys::constraints),
    empty("pg_conversion", "oid:oid conname:name connamespace:oid"),
    // Those of the connection itself are not listed: drivers close what they have opened.
    empty(
        "pg_cursors",
        "name:text statement:text is_holdable:bool is_binary:bool is_scrollable:bool \
         creation_time:text",
    ),
    empty("pg_db_role_setting", "setdatabase:oid setrole:oid setconfig:text[]"),
    empty(
        "pg_default_acl",
        "oid:oid defaclrole:oid defaclnamespace:oid defaclobjtype:char defaclacl:text[]",
    ),
    empty(
        "pg_depend",
        "classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid refobjsubid:int4 \
         deptype:char",
    ),
    filled(
        "pg_description",
        "objoid:oid classoid:oid objsubid:int4 description:text",
        descriptions,
    ),
    empty("pg_enum", "oid:oid enumtypid:oid enumsortorder:float4 enumlabel:name"),
    empty(
        "pg_event_trigger",
        "oid:oid evtname:name evtevent:name evtowner:oid evtfoid:oid evtenabled:char \
         evttags:text[]",
    ),
    empty(
        "pg_extension",
        "oid:oid extname:name extowner:oid extnamespace:oid extrelocatable:bool extversion:text \
         extconfig:text[]",
    ),
    empty(
        "pg_foreign_data_wrapper",
        "oid:oid fdwname:name fdwowner:oid fdwhandler:oid fdwvalidator:oid fdwacl:text[] \
         fdwoptions:text[]",
    ),
    empty(
        "pg_foreign_server",
        "oid:oid srvname:name srvowner:oid srvfdw:oid srvtype:text srvversion:text \
         srvacl:text[] srvoptions:text[]",
    ),
    empty("pg_foreign_table", "ftrelid:oid ftserver:oid ftoptions:text[]"),
    filled("pg_index", keys::INDEX_COLUMNS, keys::indexes),
    filled(
        "pg_indexes",
        "schemaname:name tablename:name indexname:name tablespace:name indexdef:text",
        keys::described_indexes,
    ),
    empty("pg_inherits", "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool"),
    // A function in PostgreSQL; it is asked like a table.
    filled("pg_get_keywords", "word:text catcode:char catdesc:text", keywords),
    empty("pg_language", "oid:oid lanname:name lanowner:oid lanispl:bool lanpltrusted:bool"),
    empty("pg_locks", "locktype:text database:oid relation:oid pid:int4 mode:text granted:bool"),
    empty(
        "pg_matviews",
        "schemaname:name matviewname:name matviewowner:name tablespace:name hasindexes:bool \
         ispopulated:bool definition:text",
    ),
    empty("pg_opclass", "oid:oid opcmethod:oid opcname:name opcnamespace:oid"),
    empty("pg_opfamily", "oid:oid opfmethod:oid opfname:name opfnamespace:oid opfowner:oid"),
    empty(
        "pg_operator",
        "oid:oid oprname:name oprnamespace:oid oprleft:oid oprright:oid oprresult:oid",
    ),
    empty("pg_partitioned_table", "partrelid:oid partstrat:char partnatts:int2 partdefid:oid"),
    empty(
        "pg_policy",
        "oid:oid polname:name polrelid:oid polcmd:char polpermissive:bool polroles:text[] \
         polqual:text polwithcheck:text",
    ),
    empty(
        "pg_publication",
        "oid:oid pubname:name pubowner:oid puballtables:bool pubinsert:bool pubupdate:bool \
         pubdelete:bool pubtruncate:bool pubviaroot:bool",
    ),
    empty("pg_publication_namespace", "oid:oid pnpubid:oid pnnspid:oid"),
    empty("pg_publication_rel", "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:text[]"),
    empty("pg_range", "rngtypid:oid rngsubtype:oid rngmultitypid:oid"),
    empty(
        "pg_rewrite",
        "oid:oid rulename:name ev_class:oid ev_type:char ev_enabled:char is_instead:bool",
    ),
    empty(
        "pg_sequence",
        "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 \
         seqcache:int8 seqcycle:bool",
    ),
    empty("pg_shdescription", "objoid:oid classoid:oid description:text"),
    empty(
        "pg_stat_activity",
        "datid:oid datname:name pid:int4 usename:name application_name:text state:text \
         query:text",
    ),
    empty(
        "pg_stat_user_tables",
        "relid:oid schemaname:name relname:name seq_scan:int8 n_live_tup:int8 n_dead_tup:int8",
    ),
    empty(
        "pg_statistic_ext",
        "oid:oid stxrelid:oid stxname:name stxnamespace:oid stxowner:oid stxstattarget:int4 \
         stxkeys:text[] stxkind:text[] stxexprs:text",
    ),
    empty("pg_subscription", "oid:oid subdbid:oid subname:name subowner:oid subenabled:bool"),
    empty(
        "pg_trigger",
        "oid:oid tgrelid:oid tgparentid:oid tgname:name tgfoid:oid tgtype:int2 tgenabled:char \
         tgisinternal:bool tgconstrrelid:oid tgconstrindid:oid tgconstraint:oid \
         tgdeferrable:bool tginitdeferred:bool",
    ),
    empty("pg_ts_config", "oid:oid cfgname:name cfgnamespace:oid"),
    empty("pg_user_mapping", "oid:oid umuser:oid umserver:oid umoptions:text[]"),
    filled("pg_views", "schemaname:name viewname:name viewowner:name definition:text", views),
    empty("pg_prepared_statements", "name:text statement:text prepare_time:text from_sql:bool"),
];

fn namespaces(inventory: &Inventory) -> Vec<Row> {
    let row = |(oid, name): (i32, &str)| {
        Row::default().with("oid", oid).with("nspname", name).with("nspowner", OWNER_OID)
    };
    inventory.schemas().into_iter().map(row).collect()
}

fn classes(inventory: &Inventory) -> Vec<Row> {
    let row = |relation: &super::Relation| {
        Row::default()
            .with("oid", relation.oid)
            .with("relhasindex", inventory.has_index(relation.oid))
            .with("relname", relation.name.as_str())
            .with("relnamespace", schema_oid(&relation.schema))
            .with("relowner", OWNER_OID)
            .with("relam", if relation.view.is_some() { 0 } else { HEAP_OID })
            .with("relfilenode", relation.oid)
            .with("relpersistence", "p")
            .with("relkind", if relation.view.is_some() { "v" } else { "r" })
            .with("relnatts", i32::try_from(relation.columns.len()).unwrap_or(i32::MAX))
            .with("relispopulated", true)
            .with("relreplident", "d")
    };
    let relations = inventory.relations.iter().map(row);
    relations.chain(keys::index_classes(inventory)).collect()
}

fn attributes(inventory: &Inventory) -> Vec<Row> {
    let mut rows = Vec::new();
    for relation in &inventory.relations {
        let columns = (1..).zip(&relation.columns);
        rows.extend(columns.map(|(number, column)| attribute(relation.oid, number, column)));
    }
    for (key, index) in inventory.indexes() {
        let columns = &inventory.relations[key.relation].columns;
        let of_key = key.columns.iter().filter_map(|at| columns.get(usize::try_from(at - 1).ok()?));
        rows.extend((1..).zip(of_key).map(|(number, column)| attribute(index, number, column)));
    }
    rows
}

fn attribute(relation: i32, number: i32, column: &super::RelationColumn) -> Row {
    Row::default()
        .with("attrelid", relation)
        .with("attname", column.name.as_str())
        .with("atttypid", column.pg_type.oid())
        .with("attstattarget", -1)
        .with("attlen", i32::from(column.pg_type.size()))
        .with("attnum", number)
        .with("attcacheoff", -1)
        .with("atttypmod", column.pg_type.modifier())
        .with("attbyval", column.pg_type.size() > 0)
        .with("attalign", "i")
        .with("attstorage", if column.pg_type.size() > 0 { "p" } else { "x" })
        .with("attnotnull", !column.nullable)
        .with("attislocal", true)
}

fn databases(_: &Inventory) -> Vec<Row> {
    vec![
        Row::default()
            .with("oid", DATABASE_OID)
            .with("datname", DATABASE)
            .with("datdba", OWNER_OID)
            .with("encoding", UTF8)
            .with("datlocprovider", "c")
            .with("datallowconn", true)
            .with("datconnlimit", -1)
            .with("datcollate", "C")
            .with("datctype", "C"),
    ]
}

/// The owner of everything, and the one who asks. Other users stay unseen.
fn roles(inventory: &Inventory) -> Vec<Row> {
    let role = |oid: i32, name: &str, can_login: bool| {
        Row::default()
            .with("oid", oid)
            .with("rolname", name)
            .with("rolinherit", true)
            .with("rolcanlogin", can_login)
            .with("rolconnlimit", -1)
            .with("rolpassword", "********")
    };
    let mut roles = vec![role(OWNER_OID, OWNER, inventory.user == OWNER)];
    if inventory.user != OWNER {
        roles.push(role(schema_oid(&inventory.user), &inventory.user, true));
    }
    roles
}

fn users(inventory: &Inventory) -> Vec<Row> {
    vec![
        Row::default()
            .with("usename", inventory.user.as_str())
            .with("usesysid", schema_oid(&inventory.user))
            .with("passwd", "********"),
    ]
}

fn access_methods(_: &Inventory) -> Vec<Row> {
    vec![
        Row::default().with("oid", HEAP_OID).with("amname", "delta").with("amtype", "t"),
        Row::default().with("oid", BTREE_OID).with("amname", "btree").with("amtype", "i"),
    ]
}

fn tablespaces(_: &Inventory) -> Vec<Row> {
    vec![Row::default().with("oid", 1663).with("spcname", "pg_default").with("spcowner", OWNER_OID)]
}

fn tables(inventory: &Inventory) -> Vec<Row> {
    let row = |relation: &super::Relation| {
        Row::default()
            .with("schemaname", relation.schema.as_str())
            .with("tablename", relation.name.as_str())
            .with("tableowner", OWNER)
            .with("hasindexes", inventory.has_index(relation.oid))
    };
    inventory.tables().map(row).collect()
}

fn views(inventory: &Inventory) -> Vec<Row> {
    let row = |(relation, view): (&super::Relation, &lake::bi::View)| {
        Row::default()
            .with("schemaname", relation.schema.as_str())
            .with("viewname", relation.name.as_str())
            .with("viewowner", OWNER)
            .with("definition", view.sql.as_str())
    };
    inventory.views().map(row).collect()
}

/// What is said about views and their columns; number 0 is the view itself.
fn descriptions(inventory: &Inventory) -> Vec<Row> {
    let mut rows = Vec::new();
    for (relation, view) in inventory.views() {
        let columns = relation.columns.iter().map(|column| column.comment);
        let texts = std::iter::once(view.comment).chain(columns);
        for (number, text) in (0..).zip(texts).filter(|(_, text)| !text.is_empty()) {
            rows.push(
                Row::default()
                    .with("objoid", relation.oid)
                    .with("classoid", PG_CLASS_OID)
                    .with("objsubid", number)
                    .with("description", text),
            );
        }
    }
    rows
}

/// The words that mean something to the parser.
fn keywords(_: &Inventory) -> Vec<Row> {
    let row = |word: &&str| {
        Row::default()
            .with("word", word.to_ascii_lowercase().as_str())
            .with("catcode", "U")
            .with("catdesc", "unreserved")
    };
    ALL_KEYWORDS.iter().map(row).collect()
}

fn settings(inventory: &Inventory) -> Vec<Row> {
    let row = |(name, value): &(String, String)| {
        Row::default()
            .with("name", name.as_str())
            .with("setting", value.as_str())
            .with("category", "Client Connection Defaults")
            .with("context", "user")
            .with("vartype", "string")
            .with("source", "session")
            .with("boot_val", value.as_str())
            .with("reset_val", value.as_str())
    };
    inventory.settings.iter().map(row).collect()
}

/// What `version()` answers.
pub(in crate::postgres) fn version_text() -> String {
    format!("PostgreSQL {SERVER_VERSION}, read-only")
}
