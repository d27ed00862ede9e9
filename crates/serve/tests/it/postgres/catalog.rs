//! What drivers ask the catalog for before they hand over a connection.

use futures::future::join_all;
use tokio_postgres::{Row, types::Type};

use super::Server;

/// The statements Npgsql 4.0 sends at its first connection, the driver inside Power BI Desktop:
/// types, fields of composite types, labels of enums.
const NPGSQL_4: [&str; 3] = [
    "SELECT ns.nspname, a.typname, a.oid, a.typrelid, a.typbasetype, \
     CASE WHEN pg_proc.proname='array_recv' THEN 'a' ELSE a.typtype END AS type, \
     CASE WHEN pg_proc.proname='array_recv' THEN a.typelem WHEN a.typtype='r' THEN rngsubtype \
     ELSE 0 END AS elemoid, \
     CASE WHEN pg_proc.proname IN ('array_recv','oidvectorrecv') THEN 3 /* Arrays last */ \
     WHEN a.typtype='r' THEN 2 WHEN a.typtype='d' THEN 1 ELSE 0 END AS ord \
     FROM pg_type AS a \
     JOIN pg_namespace AS ns ON (ns.oid = a.typnamespace) \
     JOIN pg_proc ON pg_proc.oid = a.typreceive \
     LEFT OUTER JOIN pg_class AS cls ON (cls.oid = a.typrelid) \
     LEFT OUTER JOIN pg_type AS b ON (b.oid = a.typelem) \
     LEFT OUTER JOIN pg_class AS elemcls ON (elemcls.oid = b.typrelid) \
     LEFT OUTER JOIN pg_range ON (pg_range.rngtypid = a.oid) \
     WHERE a.typtype IN ('b', 'r', 'e', 'd') OR (a.typtype = 'c' AND cls.relkind='c') OR \
     (pg_proc.proname='array_recv' AND (b.typtype IN ('b', 'r', 'e', 'd') OR \
     (b.typtype = 'p' AND b.typname IN ('record', 'void')) OR \
     (b.typtype = 'c' AND elemcls.relkind='c'))) OR \
     (a.typtype = 'p' AND a.typname IN ('record', 'void')) ORDER BY ord",
    "SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ \
     JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace) \
     JOIN pg_class AS cls ON (cls.oid = typ.typrelid) \
     JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid) \
     WHERE (typ.typtype = 'c' AND cls.relkind='c') AND attnum > 0 AND NOT attisdropped \
     ORDER BY typ.oid, att.attnum",
    "SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid=enumtypid \
     ORDER BY oid, enumsortorder",
];

/// What a column of BI tables can be: name, OID, OID of the array.
const TYPES: [(&str, u32, u32); 9] = [
    ("bool", 16, 1000),
    ("int8", 20, 1016),
    ("int4", 23, 1007),
    ("text", 25, 1009),
    ("float8", 701, 1022),
    ("date", 1082, 1182),
    ("timestamp", 1114, 1115),
    ("timestamptz", 1184, 1185),
    ("numeric", 1700, 1231),
];

/// One value of the answer in text form, which is how Npgsql asks for all three.
fn text(row: &tokio_postgres::SimpleQueryRow, column: &str) -> String {
    row.get(column).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn npgsql_finds_its_types() {
    let server = Server::start().await;
    let client = server.connect().await;
    let answers = client.simple_query(&NPGSQL_4.join(";\n")).await.unwrap();
    let rows: Vec<_> = answers
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect();
    for (name, oid, array) in TYPES {
        let base = rows.iter().find(|row| text(row, "oid") == oid.to_string()).unwrap();
        assert_eq!(text(base, "typname"), name);
        assert_eq!((text(base, "nspname"), text(base, "type")), ("pg_catalog".into(), "b".into()));
        assert_eq!(text(base, "elemoid"), "0", "{name}");
        let array = rows.iter().find(|row| text(row, "oid") == array.to_string()).unwrap();
        assert_eq!(text(array, "typname"), format!("_{name}"));
        assert_eq!((text(array, "type"), text(array, "elemoid")), ("a".into(), oid.to_string()));
    }
    // Arrays come after their elements.
    let order: Vec<String> = rows.iter().map(|row| text(row, "ord")).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn the_statements_can_be_pipelined() {
    let server = Server::start().await;
    let client = server.connect().await;
    let answers = join_all(NPGSQL_4.map(|sql| client.query_typed(sql, &[]))).await;
    let [types, fields, labels]: [Vec<Row>; 3] =
        answers.into_iter().map(Result::unwrap).collect::<Vec<_>>().try_into().unwrap();
    assert!(TYPES.len() * 2 < types.len(), "{}", types.len());
    assert_eq!(types[0].columns()[2].type_(), &Type::OID);
    assert!(fields.is_empty() && labels.is_empty());
}

/// As of Npgsql 5 the statement has a subquery for each level.
#[tokio::test]
async fn newer_npgsql_finds_its_types_too() {
    const NPGSQL_8: &str = "SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, \
    t.elemtypoid \
        FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, \
        typ.typnotnull, typ.relkind, elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, \
        elemcls.relkind AS elemrelkind, \
        CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype \
        FROM (SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, \
        typelem AS elemoid, \
        CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype, \
        CASE WHEN proc.proname='array_recv' THEN typ.typelem WHEN typ.typtype='r' THEN rngsubtype \
        WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) \
        WHEN typ.typtype='d' THEN typ.typbasetype END AS elemtypoid \
        FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) \
        LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive \
        LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS typ \
        LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid \
        LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid) \
        LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive) AS t \
        JOIN pg_namespace AS ns ON (ns.oid = typnamespace) \
        WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind='c') OR \
        (typtype = 'p' AND typname IN ('record', 'void')) OR \
        (typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR \
        (elemtyptype = 'p' AND elemtypname IN ('record', 'void')) OR \
        (elemtyptype = 'c' AND elemrelkind='c'))) \
        ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'r' THEN 1 \
        WHEN typtype = 'm' THEN 2 WHEN typtype = 'c' THEN 3 \
        WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4 WHEN typtype = 'a' THEN 5 \
        WHEN typtype = 'd' AND elemtyptype = 'a' THEN 6 END";
    let server = Server::start().await;
    let client = server.connect().await;
    let rows = client.query(NPGSQL_8, &[]).await.unwrap();
    for (name, oid, array) in TYPES {
        let find = |oid: u32| rows.iter().find(|row| row.get::<_, u32>("oid") == oid).unwrap();
        assert_eq!(find(oid).get::<_, &str>("typname"), name);
        assert_eq!(find(array).get::<_, u32>("elemtypoid"), oid);
    }
}

#[tokio::test]
async fn an_aggregate_makes_a_row_of_an_empty_catalog_table() {
    let server = Server::start().await;
    for (sql, expected) in [
        ("select coalesce(max(oid), 0) from pg_extension", "0"),
        ("select count(*), case when count(*) = 0 then 'none' end from pg_trigger", "0|none"),
        ("select (select coalesce(max(oid), 7) from pg_trigger)", "7"),
        ("select 1 from pg_extension having count(*) = 0", "1"),
        ("select string_agg(extname, ',') is null from pg_extension", "t"),
        // And what is none makes none.
        ("select count(*) over () from pg_extension", ""),
        ("select count(*) from pg_extension group by extname", ""),
        ("select extname, (select count(*) from pg_class) from pg_extension", ""),
    ] {
        let psql = server.psql_with(&["-At"], &[sql]).await;
        assert_eq!(psql.out.trim_end(), expected, "{sql}\n{}", psql.err);
        assert!(psql.is_success, "{sql}\n{}", psql.err);
    }
}
