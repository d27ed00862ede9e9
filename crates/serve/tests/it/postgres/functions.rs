//! Functions that could take all memory, and those that answer without a table.

use tokio_postgres::error::SqlState;

use super::Server;

#[tokio::test]
async fn no_function_takes_the_memory_of_the_process() {
    let server = Server::start().await;
    let client = server.connect().await;
    for sql in [
        "select repeat('x', 2147483647)",
        "select repeat(symbol, 2147483647) from bar_1m",
        "select length(repeat('x', 1048577))",
        "select length(repeat(repeat('x', 1000000), 1000000))",
        "select repeat('x', 1000000) from bar_1m",
        "select repeat(symbol, 200000) from bar_1m",
        "select lpad('x', 2147483647)",
        "select rpad('x', 2147483647, 'ab')",
        "select lpad('x', 300000, 'ä')",
        "select lpad(symbol, 1000000) from bar_1m",
        "select array_repeat(1, 2147483647)",
        "select list_repeat(1, 1000001)",
        "select array_repeat(repeat('x', 1000000), 1000000)",
        "select array_repeat(array_repeat(1, 1000000), 1000000)",
        "select array_repeat(revision, 1000000) from bar_1m",
        "select array_resize(array[1], 2147483647)",
        "select list_resize(array[1], 1000001, 2)",
        "select range(1000000000)",
        "select range(0, 1000000000)",
        "select generate_series(1, 1000000000)",
        "select generate_series(1000000000, 1, -1)",
        "select generate_series(date '0001-01-01', date '9999-12-31', interval '1 day')",
        "select generate_series(timestamp '2000-01-01', timestamp '2026-01-01', interval '1 \
         second')",
        "select generate_series(revision, 1000000) from bar_1m",
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::PROGRAM_LIMIT_EXCEEDED), "{sql}: {error:?}");
        assert!(format!("{error:?}").contains("would be larger than"), "{sql}: {error:?}");
    }
    // Would go back and forth for ever.
    let sql =
        "select generate_series(date '2026-04-01', date '2026-05-01', interval '1 month -30 days')";
    assert!(client.simple_query(sql).await.is_err());
}

#[tokio::test]
async fn what_is_not_too_large_works_as_before() {
    let server = Server::start().await;
    for (sql, expected) in [
        (
            "select repeat('ab', 3), lpad('7', 3, '0'), rpad('x', 2), lpad('abc', 2), \
             repeat('x', -1)",
            "ababab|007|x |ab|",
        ),
        ("select length(repeat('x', 1048576))", "1048576"),
        (
            "select lpad(symbol, 6, '*'), count(*) from bar_1m group by lpad(symbol, 6, '*') \
             order by 1",
            "**AAPL|390",
        ),
        (
            "select count(*) from bar_1m a join quote_latest b on lpad(a.symbol, 6) = \
             lpad(b.symbol, 6)",
            "390",
        ),
        (
            "select count(*) from bar_1m where repeat(symbol, 2) = 'AAPLAAPL' and symbol = 'AAPL'",
            "390",
        ),
        (
            "select array_repeat(1, 3), array_resize(array[1], 3, 0), range(3), \
             generate_series(1, 3)",
            "{1,1,1}|{1,0,0}|{0,1,2}|{1,2,3}",
        ),
        (
            "select count(*) from (select unnest(generate_series(date '2000-01-01', date \
             '2026-12-31', interval '1 day'))) d",
            "9862",
        ),
        ("select count(*), max(value) from generate_series(1, 3000000)", "3000000|3000000"),
        ("select repeat(null, 3) is null, array_length(array_repeat(null, 2))", "t|2"),
        ("select array_length(generate_series(1, 1000000))", "1000000"),
    ] {
        let psql = server.psql_with(&["-At"], &[sql]).await;
        assert_eq!(psql.out, format!("{expected}\n"), "{sql}\n{}", psql.err);
    }
}

#[tokio::test]
async fn catalog_functions_answer_without_a_catalog_table() {
    let server = Server::start().await;
    for (sql, expected) in [
        ("select has_table_privilege('gold.bar_1m', 'select')", "t"),
        ("select has_schema_privilege('gold', 'create')", "f"),
        ("select to_regclass('gold.bar_1m') is null, to_regclass('x') is null", "f|t"),
        ("select quote_ident('Bar 1m'), quote_ident('bar')", "\"Bar 1m\"|bar"),
        ("select format_type(23, -1), format_type(1700, 1179658)", "integer|numeric(18,6)"),
        ("select col_description(1, 1) is null, obj_description(1, 'pg_class') is null", "t|t"),
    ] {
        let psql = server.psql_with(&["-At"], &[sql]).await;
        assert_eq!(psql.out, format!("{expected}\n"), "{sql}\n{}", psql.err);
    }
}

#[tokio::test]
async fn functions_of_postgresql_answer_as_there() {
    let server = Server::start().await;
    for (sql, expected) in [
        (
            "select to_char(timestamp '2026-03-04 14:05:06', 'YYYY-MM-DD HH24:MI:SS')",
            "2026-03-04 14:05:06",
        ),
        ("select to_char(date '2026-03-04', 'FMDay, FMDD Mon')", "Wednesday, 4 Mar"),
        ("select to_char(date '2026-03-04', '%Y/%m')", "2026/03"),
        ("select n from (select 1 as n) t where 'a' = any ('{a,\"b c\"}'::text[])", "1"),
        ("select 'b' <> all ('{a,b}'::text[]), 'c' <> all ('{}'::text[])", "f|t"),
        (
            "select exists (select 1 from bar_1m), not exists (select 1 from bar_1m where close < 0)",
            "t|t",
        ),
        (
            "select interval '1 hour' * 2 * 3 + timestamp '2026-03-04 00:00:00'",
            "2026-03-04 06:00:00",
        ),
        ("select n from generate_series(1, 2) as n order by 1 desc limit 1", "2"),
        ("select sign(-2.5)", "-1"),
        ("select set_config('timezone', current_setting('timezone'), false) is not null", "t"),
        (
            "select count(*) > 100 from pg_get_keywords() where word <> all ('{select}'::text[])",
            "t",
        ),
        ("select 'bi.bars_daily_pkey'::regclass::oid > 0", "t"),
        ("select vwap(close, volume) > 0, twap(close, ts_start) > 0 from bar_1m", "t|t"),
    ] {
        let psql = server.psql_with(&["-At"], &[sql]).await;
        assert_eq!(psql.out, format!("{expected}\n"), "{sql}\n{}", psql.err);
    }
    for (sql, code) in [
        ("select to_char(date '2026-03-04', 'Q')", "0A000"),
        ("select sma(close, 2) from bar_1m", "42809"),
        ("select * from resample('gold.bar_1m', 'x')", "22023"),
        ("select * from as_of('gold.bar_2m', now())", "0A000"),
        ("select * from as_of('pg_class; select 1', now())", "42883"),
    ] {
        server.psql(&[sql]).await.fails_with(code);
    }
}

#[tokio::test]
async fn a_column_that_is_a_whole_number_is_an_integer() {
    let server = Server::start().await;
    let client = server.connect().await;
    for (sql, expected) in [
        ("select 1, -7, 2147483648", ["int4", "int4", "int8"]),
        ("select 1 + 1, row_number() over (), rank() over ()", ["int8", "int8", "int8"]),
    ] {
        let statement = client.prepare(sql).await.unwrap();
        let types: Vec<&str> =
            statement.columns().iter().map(|column| column.type_().name()).collect();
        assert_eq!(types, expected, "{sql}");
    }
}
