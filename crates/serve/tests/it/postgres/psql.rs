//! psql, the client everybody has: its own catalog queries must work as they are.

use super::{PATIENCE, Server, USER};

#[tokio::test]
async fn a_query_returns_what_the_table_holds() {
    let server = Server::start().await;
    let psql = server
        .psql(&["select symbol, ts_start, open, close, volume, session_date from bar_1m \
             order by ts_start limit 2"])
        .await;
    psql.succeeds()
        .shows("AAPL   | 2026-03-04 14:30:00+00 | 189.430000 | 189.440000 | 0.0000 | 2026-03-04")
        .shows("AAPL   | 2026-03-04 14:31:00+00 | 189.440000 | 189.450000 |        | 2026-03-04")
        .shows("(2 rows)");
    server.stop().await;
}

#[tokio::test]
async fn the_meta_commands_describe_the_lake() {
    let server = Server::start().await;
    server
        .psql(&["\\dt"])
        .await
        .succeeds()
        .shows("gold   | bar_1m       | table | marketlake")
        .shows("silver | bar          | table | marketlake");
    let gold = server.psql(&["\\dt gold.*"]).await;
    gold.succeeds().shows("bar_1m").shows("quote_latest");
    assert!(!gold.out.contains("silver"), "{}", gold.out);
    server.psql(&["\\dt *.*"]).await.succeeds().shows("bronze").shows("every_type");
    server
        .psql(&["\\dn"])
        .await
        .succeeds()
        .shows("gold   | marketlake")
        .shows("silver | marketlake")
        .shows("bronze | marketlake");
    server.psql(&["\\l"]).await.succeeds().shows("marketlake | marketlake | UTF8");
    server.psql(&["\\conninfo"]).await.succeeds().shows("database \"marketlake\" as user");
    // What there is none of here is said to be missing, which is no error.
    for command in [
        "\\du", "\\dv", "\\di", "\\df", "\\dx", "\\dT", "\\dp", "\\d", "\\d+", "\\dt+", "\\dn+",
        "\\l+", "\\db", "\\dm", "\\ds", "\\dD", "\\dF", "\\dy", "\\dRp", "\\det", "\\dew", "\\des",
        "\\dc", "\\dC", "\\dd", "\\do", "\\dO", "\\dL", "\\drds", "\\ddp", "\\dP", "\\dA", "\\dX",
    ] {
        let psql = server.psql(&[command]).await;
        assert!(psql.is_success && !psql.err.contains("ERROR"), "{command}: {}", psql.err);
    }
}

#[tokio::test]
async fn a_table_is_described_with_postgresql_types() {
    let server = Server::start().await;
    for command in ["\\d gold.bar_1m", "\\d bar_1m", "\\d+ gold.bar_1m"] {
        server
            .psql(&[command])
            .await
            .succeeds()
            .shows("Table \"gold.bar_1m\"")
            .shows(" symbol       | text                     |           | not null |")
            .shows(" ts_start     | timestamp with time zone |           | not null |")
            .shows(" close        | numeric(18,6)            |           | not null |")
            .shows(" volume       | numeric(20,4)            |           |          |")
            .shows(" revision     | integer                  |           | not null |");
    }
    let missing = server.psql(&["\\d gold.nothing"]).await;
    assert!(missing.err.contains("Did not find any relation named \"gold.nothing\""));
}

#[tokio::test]
async fn a_view_is_described_with_its_keys() {
    let server = Server::start().await;
    server
        .psql(&["\\dv bi.*"])
        .await
        .succeeds()
        .shows("bi     | dim_symbol    | view | marketlake")
        .shows("(7 rows)");
    server.psql(&["\\dn"]).await.succeeds().shows("bi     | marketlake");
    server
        .psql(&["\\d bi.bars_1m"])
        .await
        .succeeds()
        .shows("View \"bi.bars_1m\"")
        .shows(" ts     | timestamp without time zone |           | not null |")
        .shows(" close  | numeric(18,6)               |           |          |");
    server
        .psql(&["\\d+ bi.dim_symbol"])
        .await
        .succeeds()
        .shows("ticker in the vendor's spelling")
        .shows("View definition:");
    let psql = server
        .psql_with(
            &["-At"],
            &[
                "select conname, pg_get_constraintdef(oid) from pg_constraint \
                 where conrelid = 'bi.coverage'::regclass order by 1",
                "select indexrelid::regclass, indkey, pg_get_indexdef(indexrelid), \
                 pg_get_indexdef(indexrelid, 2, true) from pg_index \
                 where indrelid = 'bi.coverage'::regclass",
                "select viewname from pg_views where schemaname = 'bi' order by 1 limit 1",
                "select table_name from information_schema.views order by 1 limit 1",
                "select obj_description('bi.dim_symbol'::regclass, 'pg_class')",
                "select count(*) from pg_tables where schemaname = 'bi'",
                "select conkey, confkey from pg_constraint where conname = 'coverage_date_fkey'",
            ],
        )
        .await;
    psql.succeeds();
    assert_eq!(
        psql.out,
        "coverage_date_fkey|FOREIGN KEY (date) REFERENCES bi.dim_date(date)\n\
         coverage_pkey|PRIMARY KEY (symbol, date)\n\
         coverage_symbol_fkey|FOREIGN KEY (symbol) REFERENCES bi.dim_symbol(symbol)\n\
         bi.coverage_pkey|1 2|CREATE UNIQUE INDEX coverage_pkey ON bi.coverage USING btree \
         (symbol, date)|date\n\
         bars_1m\nbars_1m\nOne row per symbol\n0\n{2}|{1}\n"
    );
}

#[tokio::test]
async fn the_functions_about_the_connection_answer() {
    let server = Server::start().await;
    let psql = server
        .psql_with(
            &["-At"],
            &[
                "select version(), current_database(), current_schema(), current_user",
                "select current_schema, session_user, pg_backend_pid() > 0",
                "select pg_catalog.current_setting('search_path'), current_schemas(true)",
                "show server_version",
                "show search_path",
            ],
        )
        .await;
    psql.succeeds()
        .shows("PostgreSQL 15.0 (marketlake 0.1.0), read-only|marketlake|gold|analyst")
        .shows("gold|analyst|t")
        .shows("gold, silver|{pg_catalog,gold,silver}")
        .shows("15.0 (marketlake 0.1.0)");
}

#[tokio::test]
async fn the_information_schema_speaks_postgresql() {
    let server = Server::start().await;
    let psql = server
        .psql_with(
            &["-At"],
            &[
                "select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE from INFORMATION_SCHEMA.tables \
             where TABLE_SCHEMA not in ('information_schema', 'pg_catalog') \
             order by TABLE_SCHEMA, TABLE_NAME",
                "select column_name, ordinal_position, is_nullable, data_type, numeric_precision, \
             numeric_scale from information_schema.columns \
             where table_schema = 'bronze' and table_name = 'every_type' order by 2",
                "select character_set_name from INFORMATION_SCHEMA.character_sets",
                "select constraint_type, count(*) from information_schema.table_constraints \
                 where table_schema = 'bi' group by 1 order by 1",
            ],
        )
        .await;
    psql.succeeds()
        .shows("bronze|every_type|BASE TABLE\nbronze|intraday|BASE TABLE\ngold|bar_1m|BASE TABLE")
        .shows("c_bool|1|YES|boolean||\nc_int2|2|YES|smallint|16|0\nc_int4|3|YES|integer|32|0")
        .shows("c_uint8|5|YES|numeric|20|0\nc_float8|6|YES|double precision|53|")
        .shows("c_numeric|7|YES|numeric|38|10\nc_text|8|YES|text||\nc_view|9|YES|text||")
        .shows("c_date|10|YES|date||\nc_timestamp|11|YES|timestamp without time zone||")
        .shows("c_timestamptz|12|YES|timestamp with time zone||")
        .shows("\nUTF8\nFOREIGN KEY|8\nPRIMARY KEY|7\n");
}

#[tokio::test]
async fn every_type_has_postgresqls_text_form() {
    let server = Server::start().await;
    let psql =
        server.psql_with(&["-At", "-P", "null=∅"], &["select * from bronze.every_type"]).await;
    psql.succeeds().shows(
        "t|-2|-2147483648|9223372036854775807|18446744073709551615|0.1|\
         -1234567890.1234567890|äöü \\ ' \" ☃|a longer text than twelve bytes|2026-03-04|\
         2026-03-04 14:30:00.123|2026-03-04 14:30:00+00|∅\n∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|∅\n",
    );
}

#[tokio::test]
async fn columns_without_a_name_get_postgresqls() {
    let server = Server::start().await;
    let psql = server
        .psql_with(&["-A"], &[
            "select count(*), count(*), max(close), 1, lower('X'), '2'::int, \
             case when true then 1 end, symbol from bar_1m group by symbol",
            "select c.count from (select count(*) from bar_1m) c",
            "select distinct lower(symbol) from bar_1m order by lower(symbol)",
            "select upper(symbol), count(*) from bar_1m group by upper(symbol) order by count(*)",
        ])
        .await;
    psql.succeeds()
        .shows("count|count|max|?column?|lower|int4|case|symbol\n390|390|193.330000|1|x|2|1|AAPL")
        .shows("\ncount\n390\n")
        .shows("\nlower\naapl\n")
        .shows("\nupper|count\nAAPL|390\n");
}

#[tokio::test]
async fn the_search_path_decides_what_a_bare_name_means() {
    let server = Server::start().await;
    let psql = server
        .psql_with(
            &["-At"],
            &[
                "select count(*) from bar_1m",
                "select count(*) from marketlake.silver.bar_1m",
                "select count(*) from bar",
                "set search_path = silver",
                "select count(*) from bar_1m",
                // A path that names itself leads nowhere, and round in no circle.
                "set search_path = search_path, silver",
                "select count(*) from bar_1m",
                "reset search_path",
                "select count(*) from bar_1m",
            ],
        )
        .await;
    psql.succeeds();
    assert_eq!(psql.out, "390\n1\n3\nSET\n1\nSET\n1\nRESET\n390\n");
}

#[tokio::test]
async fn several_statements_in_one_message_are_run_in_order() {
    let server = Server::start().await;
    let psql = server.psql_with(&["-At"], &["begin; select 1; select 'a;b'; commit"]).await;
    psql.succeeds();
    assert_eq!(psql.out, "BEGIN\n1\na;b\nCOMMIT\n");
    // The second is refused, the third is not run.
    let psql = server.psql_with(&["-At"], &["select 1; drop table gold.bar_1m; select 2"]).await;
    psql.fails_with("25006");
    assert!(!psql.out.contains('2'), "{}", psql.out);
    server.psql_with(&["-At"], &["select count(*) from bar_1m"]).await.succeeds().shows("390");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let server = Server::start().await;
    for user in [USER, "nobody"] {
        let url = server.url().replace(USER, user);
        let mut psql = tokio::process::Command::new("psql");
        psql.args(["-X", "-d", &url, "-c", "select 1"]).env("PGPASSWORD", "wrong");
        let output = tokio::time::timeout(PATIENCE, psql.output()).await.unwrap().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let expected = format!("FATAL:  password authentication failed for user \"{user}\"");
        assert!(text.contains(&expected), "{text}");
    }
    let other = tokio::process::Command::new("psql")
        .args(["-X", "-d", &server.url().replace("marketlake", "postgres"), "-c", "select 1"])
        .env("PGPASSWORD", super::PASSWORD)
        .output();
    let text = String::from_utf8(other.await.unwrap().stderr).unwrap();
    assert!(text.contains("database \"postgres\" does not exist"), "{text}");
}

#[tokio::test]
async fn explain_shows_the_plan_without_files() {
    let server = Server::start().await;
    let psql = server.psql(&["explain select max(close) from bar_1m where symbol = 'X'"]).await;
    psql.succeeds().shows("QUERY PLAN").shows("Aggregate");
    assert!(!psql.out.contains("file"), "{}", psql.out);
}

#[tokio::test]
async fn errors_carry_the_codes_clients_act_on() {
    let server = Server::start().await;
    for (sql, code, text) in [
        ("select * from nothing", "42P01", "relation \"nothing\" does not exist"),
        ("select * from gold.nothing", "42P01", "relation \"gold.nothing\" does not exist"),
        ("select nothing from bar_1m", "42703", "column \"nothing\" does not exist"),
        ("select b.nothing from bar_1m b", "42703", "column b.nothing does not exist"),
        ("select symbol from bar_1m a, quote_latest b", "42702", "is ambiguous"),
        ("selec 1", "42601", "syntax error"),
        ("select 1 from", "42601", "syntax error"),
        ("select 1/0", "22012", "division by zero"),
        ("select 'x'::int", "22P02", "x"),
        ("select nothing(1)", "42883", "function nothing does not exist"),
        ("select $1", "42P02", "there is no parameter $1"),
        ("show nothing", "42704", "unrecognized configuration parameter"),
        ("select sum(close) from bar_1m group by", "42601", "syntax error"),
        ("select 'gold.nothing'::regclass", "42P01", "does not exist"),
    ] {
        let psql = server.psql(&[sql]).await;
        psql.fails_with(code).fails_with(text);
        assert!(!psql.err.contains(".rs"), "no places in our code: {}", psql.err);
    }
}
