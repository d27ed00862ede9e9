//! Roles: what each may read, and how much of the server it may take.

use std::time::Duration;

use serve::postgres::{Grants, Limits, Role, Users, Verifier};
use tokio_postgres::error::SqlState;

use super::{PASSWORD, Server, USER, tables};

/// A server with the usual user, and with `desk`.
async fn start(tables: Option<&str>, limits: Limits) -> Server {
    let verifier = Verifier::from_password(PASSWORD, b"0123456789abcdef");
    let grants = tables.map(|tables| Grants::parse(tables).unwrap());
    let mut users = Users::new();
    users.insert(USER, verifier.clone());
    users.insert_role("desk", Role { verifier, grants, limits });
    Server::start_for(users, tables::reader(), |_| ()).await
}

async fn texts(client: &tokio_postgres::Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_role_reads_what_was_granted_and_sees_nothing_else() {
    let server = start(Some("bi, gold.quote_latest"), Limits::default()).await;
    let desk = server.connect_role("desk", PASSWORD).await.unwrap();
    // A view is read by whoever may read the view, whatever it is made of.
    let sql = "select count(*) from bi.quality_daily";
    let everything = server.connect().await;
    let expected: i64 = everything.query_one(sql, &[]).await.unwrap().get(0);
    assert!(expected > 0, "it is made of silver.bar");
    assert_eq!(desk.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), expected);
    desk.query_one("select count(*) from quote_latest", &[]).await.unwrap();
    for hidden in [
        "select * from gold.bar_1m",
        "select * from bar_1m",
        "select * from silver.bar",
        "select * from marketlake.silver.bar",
        "select * from \"silver\".\"bar\"",
        "select * from search_path.bar_1m",
        "select * from marketlake.search_path.bar_1m",
        "table bronze.intraday",
        "with b as (select * from silver.bar) select * from b",
        "select (select count(*) from silver.bar)",
        "select 1 where exists (select 1 from silver.bar)",
        "explain select * from silver.bar",
        "declare c cursor with hold for select * from silver.bar",
        "copy silver.bar to stdout",
        "copy (select * from silver.bar) to stdout",
        "set search_path = silver; select * from bar",
        "begin; select * from silver.bar",
    ] {
        let error = desk.simple_query(hidden).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNDEFINED_TABLE), "{hidden}: {error:?}");
        desk.simple_query("rollback; reset all").await.unwrap();
        let again = desk.query(hidden, &[]).await.unwrap_err();
        assert!(again.code().is_some(), "{hidden}: {again:?}");
        desk.simple_query("rollback; reset all").await.unwrap();
    }
    everything.query_one("select count(*) from silver.bar", &[]).await.unwrap();
}

#[tokio::test]
async fn what_was_not_granted_is_in_no_catalog() {
    let server = start(Some("bi, gold.quote_latest"), Limits::default()).await;
    let desk = server.connect_role("desk", PASSWORD).await.unwrap();
    for sql in [
        "select distinct table_schema::text || '.' || table_name from information_schema.tables \
         where table_schema not in ('pg_catalog', 'information_schema')",
        "select distinct table_schema::text || '.' || table_name from information_schema.columns \
         where table_schema not in ('pg_catalog', 'information_schema')",
        "select n.nspname::text || '.' || c.relname from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname not in ('pg_catalog', 'information_schema') and c.relkind <> 'i'",
    ] {
        let names = texts(&desk, sql).await;
        assert!(names.iter().any(|name| name == "gold.quote_latest"), "{sql}: {names:?}");
        assert!(names.iter().any(|name| name.starts_with("bi.")), "{sql}: {names:?}");
        let others = names.iter().filter(|name| !name.starts_with("bi."));
        assert_eq!(others.collect::<Vec<_>>(), ["gold.quote_latest"], "{sql}");
    }
    for sql in [
        "select nspname::text from pg_namespace",
        "select schema_name::text from information_schema.schemata",
    ] {
        let mut names = texts(&desk, sql).await;
        names.sort();
        assert_eq!(names, ["bi", "gold", "information_schema", "pg_catalog"], "{sql}");
    }
    let error = desk.query("select 'silver.bar'::regclass", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_TABLE), "{error:?}");
    let attributes = "select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid \
                      where c.relname = 'bar_1m'";
    assert_eq!(desk.query_one(attributes, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn one_connection_too_many_of_a_role_is_told_so_and_others_come_in() {
    let limits = Limits { connections_max: Some(1), ..Limits::default() };
    let server = start(None, limits).await;
    let first = server.connect_role("desk", PASSWORD).await.unwrap();
    let error = server.connect_role("desk", PASSWORD).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error:?}");
    assert!(format!("{error:?}").contains("too many connections for role"), "{error:?}");
    server.connect().await.simple_query("select 1").await.unwrap();
    first.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn the_bounds_of_a_role_hold_for_it_alone() {
    let limits = Limits {
        statement_timeout: Some(Duration::from_millis(300)),
        rows_max: Some(10),
        memory_max: Some(1 << 20),
        ..Limits::default()
    };
    let server = start(None, limits).await;
    let (desk, other) =
        (server.connect_role("desk", PASSWORD).await.unwrap(), server.connect().await);
    let shown = desk.query_one("show statement_timeout", &[]).await.unwrap();
    assert_eq!(shown.get::<_, String>(0), "300ms");
    let error = desk.simple_query("set statement_timeout = '1s'").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE), "{error:?}");
    let endless = "select count(*) from generate_series(1, 1000000000000) a";
    let error = desk.simple_query(endless).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");

    let eleven = "select * from bar_1m limit 11";
    let error = desk.query(eleven, &[]).await.unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("54000"), "{error:?}");
    assert_eq!(other.query(eleven, &[]).await.unwrap().len(), 11);
}

#[tokio::test]
async fn a_role_has_a_share_of_the_memory() {
    let limits = Limits { memory_max: Some(1 << 20), ..Limits::default() };
    let server = start(None, limits).await;
    let (desk, other) =
        (server.connect_role("desk", PASSWORD).await.unwrap(), server.connect().await);
    // Some ten megabytes of groups, and nowhere to spill to.
    let many = "select count(*) from (select x, count(*) from generate_series(1, 300000) a(x) \
                group by x) groups";
    let error = desk.query(many, &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::OUT_OF_MEMORY), "{error:?}");
    assert_eq!(other.query_one(many, &[]).await.unwrap().get::<_, i64>(0), 300_000);
    desk.simple_query("select 1").await.unwrap();
}
