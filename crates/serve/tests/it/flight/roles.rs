//! Roles: what each may read, and how much of the server it may take.

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetImportedKeys, CommandGetPrimaryKeys,
    CommandGetTables,
};
use lake::arrow::array::AsArray as _;
use serve::postgres::{Grants, Limits, Role};

use super::*;

const DESK: &str = "desk";

/// A server with the usual user, and with `desk`.
async fn start(tables: Option<&str>, limits: Limits) -> Server {
    let grants = tables.map(|tables| Grants::parse(tables).unwrap());
    let mut users = Users::new();
    users.insert(USER, verifier());
    users.insert_role(DESK, Role { verifier: verifier(), grants, limits });
    Server::start_for(users, 1, |_| ()).await
}

/// The texts of a column of a listing.
async fn texts(client: &mut Client, info: &FlightInfo, column: &str) -> Vec<String> {
    let batches = rows(client, info).await.unwrap();
    let of_batch = |batch: &RecordBatch| -> Vec<String> {
        let texts = batch.column_by_name(column).unwrap().as_string::<i32>();
        texts.iter().flatten().map(str::to_owned).collect()
    };
    batches.iter().flat_map(of_batch).collect()
}

#[tokio::test]
async fn a_role_reads_what_was_granted_and_nothing_else() {
    let server = start(Some("bi, gold.quote_latest"), Limits::default()).await;
    let (mut desk, mut all) = (server.connect_as(DESK).await, server.connect().await);
    // A view is read by whoever may read the view, whatever it is made of.
    let views = "select * from bi.quality_daily";
    let expected = count(&query(&mut all, views).await.unwrap());
    assert!(expected > 0, "it is made of silver.bar");
    assert_eq!(count(&query(&mut desk, views).await.unwrap()), expected);
    query(&mut desk, "select * from quote_latest").await.unwrap();
    for hidden in [
        "select * from gold.bar_1m",
        "select * from bar_1m",
        "select * from marketlake.silver.bar",
        "select * from search_path.bar_1m",
        "with b as (select * from silver.bar) select * from b",
        "select 1 where exists (select 1 from silver.bar)",
        "explain select * from silver.bar",
    ] {
        let words = "does not exist";
        refused(query(&mut desk, hidden).await, Code::NotFound, words);
        assert!(desk.prepare(hidden.to_owned(), None).await.is_err(), "{hidden}");
        query(&mut all, hidden).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_not_granted_is_in_no_listing() {
    let server = start(Some("bi.bars_daily, gold.quote_latest"), Limits::default()).await;
    let mut desk = server.connect_as(DESK).await;
    let info = desk.get_tables(CommandGetTables::default()).await.unwrap();
    assert_eq!(texts(&mut desk, &info, "table_name").await, ["bars_daily", "quote_latest"]);
    let info = desk.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(texts(&mut desk, &info, "db_schema_name").await, ["bi", "gold"]);
    let named = "select table_name from information_schema.tables where table_schema = 'silver'";
    assert_eq!(count(&query(&mut desk, named).await.unwrap()), 0);

    let (catalog, db_schema) = (None, None);
    let table = |name: &str| name.to_owned();
    let hidden = CommandGetPrimaryKeys { catalog, db_schema, table: table("dim_symbol") };
    let info = desk.get_primary_keys(hidden).await.unwrap();
    assert_eq!(texts(&mut desk, &info, "column_name").await, [""; 0]);
    let (catalog, db_schema) = (None, None);
    let parents = CommandGetImportedKeys { catalog, db_schema, table: table("bars_daily") };
    let info = desk.get_imported_keys(parents.clone()).await.unwrap();
    assert_eq!(texts(&mut desk, &info, "pk_table_name").await, [""; 0]);
    let between = CommandGetCrossReference {
        pk_table: table("dim_symbol"),
        fk_table: table("bars_daily"),
        ..CommandGetCrossReference::default()
    };
    let info = desk.get_cross_reference(between).await.unwrap();
    assert_eq!(texts(&mut desk, &info, "pk_table_name").await, [""; 0]);

    let mut all = server.connect().await;
    let info = all.get_imported_keys(parents).await.unwrap();
    assert_eq!(texts(&mut all, &info, "pk_table_name").await, ["dim_symbol", "dim_date"]);
}

#[tokio::test]
async fn a_role_runs_as_many_statements_as_it_may_have_connections() {
    let limits = Limits { connections_max: Some(1), ..Limits::default() };
    let server = start(None, limits).await;
    let mut desk = server.connect_as(DESK).await;
    let (one, two) = (
        desk.execute("select 1".to_owned(), None).await.unwrap(),
        desk.execute("select * from generate_series(1, 1000000)".to_owned(), None).await.unwrap(),
    );
    let reading = open(&mut desk, &two).await.unwrap();
    refused(open(&mut desk, &one).await, Code::ResourceExhausted, "role \"desk\" is running");
    let more = desk.execute("select 1".to_owned(), None).await;
    refused(more, Code::ResourceExhausted, "53300");
    query(&mut server.connect().await, "select 1").await.unwrap();
    // Its ticket was not used up, and its place is free with the last row.
    let read: Vec<RecordBatch> = reading.try_collect().await.unwrap();
    assert_eq!(count(&read), 1_000_000);
    assert_eq!(count(&rows(&mut desk, &one).await.unwrap()), 1);
}

#[tokio::test]
async fn the_bounds_of_a_role_hold_for_it_alone() {
    let statement_timeout = Some(Duration::from_millis(300));
    let server = start(None, Limits { statement_timeout, ..Limits::default() }).await;
    let mut desk = server.connect_as(DESK).await;
    refused(query(&mut desk, SILENT).await, Code::DeadlineExceeded, "timeout");

    let server = start(None, Limits { rows_max: Some(10), ..Limits::default() }).await;
    let (mut desk, mut other) = (server.connect_as(DESK).await, server.connect().await);
    let eleven = "select * from generate_series(1, 11)";
    refused(query(&mut desk, eleven).await, Code::ResourceExhausted, "more than 10 rows");
    assert_eq!(count(&query(&mut other, eleven).await.unwrap()), 11);
}

#[tokio::test]
async fn a_role_has_a_share_of_the_memory() {
    let limits = Limits { memory_max: Some(1 << 20), ..Limits::default() };
    let server = start(None, limits).await;
    let (mut desk, mut other) = (server.connect_as(DESK).await, server.connect().await);
    // Some ten megabytes of groups, and nowhere to spill to.
    let many = "select count(*) from (select x, count(*) from generate_series(1, 300000) a(x) \
                group by x) groups";
    refused(query(&mut desk, many).await, Code::ResourceExhausted, "53200");
    assert_eq!(count(&query(&mut other, many).await.unwrap()), 1);
    query(&mut desk, "select 1").await.unwrap();
}
