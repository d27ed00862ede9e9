//! What drivers ask the catalog for before they hand over a connection.

use super::Server;

#[tokio::test]
async fn an_aggregate_makes_a_row_of_an_empty_catalog_table() {
    let server = Server::start().await;
    for (sql, expected) in [
        ("select coalesce(max(oid), 0) from pg_extension", "0"),
        ("select count(*), case when count(*) = 0 then 'none' end from pg_index", "0|none"),
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
