//! Numbers, times and arrays: what a literal or an operator means must be what PostgreSQL means.

use super::Server;

/// Asks one by one and compares with psql's unaligned output.
async fn check(cases: &[(&str, &str)]) {
    let server = Server::start().await;
    for (sql, expected) in cases {
        let psql = server.psql_with(&["-At", "-P", "null=∅"], &[sql]).await;
        assert_eq!(psql.out.trim_end(), *expected, "{sql}\n{}", psql.err);
    }
}

/// Asks one by one for refusals: SQLSTATE and a part of the message.
async fn refused(cases: &[(&str, &str, &str)]) {
    let server = Server::start().await;
    for (sql, code, text) in cases {
        let psql = server.psql(&[sql]).await;
        assert!(!psql.is_success, "{sql}\n{}", psql.out);
        psql.fails_with(code).fails_with(text);
    }
    // Nothing of it was a panic that took the server along.
    server.psql_with(&["-At"], &["select count(*) from bar_1m"]).await.succeeds().shows("390");
}

#[tokio::test]
async fn a_literal_with_a_point_is_a_decimal() {
    check(&[
        // The close of minute n is 189.44 + n cents.
        ("select close from bar_1m where close = 190.03", "190.030000"),
        ("select count(*) from bar_1m where close > 193.32", "1"),
        ("select min(close) from bar_1m where close > 190.11", "190.120000"),
        ("select close * 1.1 from bar_1m order by ts_start limit 1", "208.3840000"),
        (
            "select 0.1 + 0.2 = 0.3, 1.10, -0.50, .5, 1e3, 2.5e-3, 7. / 2",
            "t|1.10|-0.50|0.5|1000|0.0025|3.5000",
        ),
        ("select count(*) from bar_1m where volume < 1e6 and volume > 1.5e0", "388"),
        ("select c_float8 = 0.1, c_float8 > 0.05 from bronze.every_type limit 1", "t|t"),
        (
            "select 18446744073709551616, 99999999999999999999999999999999999999",
            "18446744073709551616|99999999999999999999999999999999999999",
        ),
        ("select 1e300::float8 > 1e37, cast(-2.5 as float8), 0.1::real", "t|-2.5|0.1"),
        (
            "select 1e300::float8 * 1.5, 2.5 + 0.5::float8, 0.1::float8 = 0.1, 0.5 < 1e300::float8",
            "1.5e+300|3|t|t",
        ),
        ("select stddev(close) > 1.5, stddev(close) / avg(close) < 0.01 from bar_1m", "f|t"),
        // Functions that count in floats take decimals as well.
        ("select sqrt(6.25), power(2.0, 0.5) > 1.41, exp(0.0), round(2.567, 1)", "2.5|t|1|2.6"),
        ("select approx_percentile_cont(close, 0.5) > 191 from bar_1m", "t"),
        (
            "select percentile_cont(0.5) within group (order by c_float8) from bronze.every_type",
            "0.1",
        ),
        ("select round(avg(close) * 1.5, 2), sum(close) / 2.0 > 0 from bar_1m", "287.08|t"),
    ])
    .await;
}

#[tokio::test]
async fn a_number_that_is_no_decimal_of_38_digits_is_refused() {
    let small = format!("select 0.{}1", "0".repeat(44));
    let large = format!("select {}", "9".repeat(60));
    refused(&[
        ("select 1e400", "22003", "has more than 38 digits"),
        ("select 1e400", "22003", "'1e400'::double precision"),
        ("select 1e-400", "22003", "38 digits"),
        ("select 1e40", "22003", "38 digits"),
        ("select close from bar_1m where close > 1e99999999999", "22003", "38 digits"),
        (&small, "22003", "38 digits"),
        (&large, "22003", "38 digits"),
        ("select 1e400::float8", "22003", "out of range for type double precision"),
        ("select 1e-400::float8", "22003", "out of range for type double precision"),
    ])
    .await;
}

#[tokio::test]
async fn a_price_times_a_decimal_leaves_as_numeric() {
    let server = Server::start().await;
    let client = server.connect().await;
    let statement = client.prepare("select close * 1.1, 8.03, 1e3 from bar_1m").await.unwrap();
    let types: Vec<&str> = statement.columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(types, ["numeric", "numeric", "numeric"]);
}

#[tokio::test]
async fn at_time_zone_shows_wall_time() {
    check(&[
        (
            "select ts_start at time zone 'America/New_York' from bar_1m order by 1 limit 1",
            "2026-03-04 09:30:00",
        ),
        (
            "select (ts_start at time zone 'Asia/Tokyo')::date, extract(hour from ts_start at \
         time zone \
          'America/New_York') from bar_1m order by ts_start limit 1",
            "2026-03-04|9",
        ),
        (
            "select count(*) from bar_1m where ts_start at time zone 'America/New_York' < \
          timestamp '2026-03-04 10:00:00'",
            "30",
        ),
        // The clock goes forward on 8 March, and back on 1 November.
        (
            "select timestamptz '2026-03-08 06:59:00Z' at time zone 'America/New_York', \
                 timestamptz '2026-03-08 07:00:00Z' at time zone 'America/New_York'",
            "2026-03-08 01:59:00|2026-03-08 03:00:00",
        ),
        (
            "select timestamp '2026-03-08 02:30:00' at time zone 'America/New_York', \
                 timestamp '2026-11-01 01:30:00' at time zone 'America/New_York', \
                 timestamp '2026-07-01 09:30:00' at time zone 'America/New_York'",
            "2026-03-08 07:30:00+00|2026-11-01 06:30:00+00|2026-07-01 13:30:00+00",
        ),
        // What has a zone of its own: UTC.
        ("select extract(hour from now()) = extract(hour from now() at time zone 'UTC')", "t"),
        (
            "select '2026-07-01 12:00:00+02'::timestamptz, '2026-07-01 12:00:00' at time zone \
         'Asia/Tokyo', \
          date '2026-07-01' at time zone 'Asia/Tokyo'",
            "2026-07-01 10:00:00+00|2026-07-01 21:00:00|2026-07-01 09:00:00",
        ),
        (
            "select date_trunc('hour', ts_start at time zone 'America/New_York'), count(*) \
             from bar_1m group by date_trunc('hour', ts_start at time zone 'America/New_York') \
             order by 1 limit 2",
            "2026-03-04 09:00:00|30\n2026-03-04 10:00:00|60",
        ),
        // There and back.
        (
            "select count(*) from bar_1m where ts_start = \
          ts_start at time zone 'America/New_York' at time zone 'America/New_York'",
            "390",
        ),
        (
            "select timezone('utc', ts_start), null at time zone 'UTC', \
          ts_start at time zone (select 'Europe/Berlin') from bar_1m order by ts_start limit 1",
            "2026-03-04 14:30:00|∅|2026-03-04 15:30:00",
        ),
        (
            "select a.ts_start at time zone z.name from (select 'Asia/Tokyo' as name union all \
          select 'UTC') z cross join (select ts_start from bar_1m order by ts_start limit 1) a \
          order by 1",
            "2026-03-04 14:30:00\n2026-03-04 23:30:00",
        ),
    ])
    .await;
    let server = Server::start().await;
    let psql =
        server.psql(&["select ts_start at time zone 'UTC' from bar_1m order by 1 limit 1"]).await;
    psql.succeeds().shows("      timezone       ");
    let client = server.connect().await;
    let sql = "select ts_start at time zone 'UTC', timestamp '2026-01-01' at time zone 'UTC', \
               ts_start at time zone $1 from bar_1m";
    let statement = client.prepare(sql).await.unwrap();
    let types: Vec<&str> = statement.columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(types, ["timestamp", "timestamptz", "timestamp"]);
    let row = &client.query(&statement, &[&"America/New_York"]).await.unwrap()[0];
    assert_eq!(row.get::<_, chrono::NaiveDateTime>(2).to_string(), "2026-03-04 09:30:00");
}

#[tokio::test]
async fn an_unknown_zone_is_named() {
    refused(&[
        (
            "select ts_start at time zone 'Mars/Olympus' from bar_1m",
            "22023",
            "time zone \"Mars/Olympus\" not recognized",
        ),
        (
            "select ts_start at time zone 'Mars/Olympus' from bar_1m",
            "22023",
            "HINT:  Use a name such as 'America/New_York'",
        ),
        ("select ts_start at time zone '+02' from bar_1m", "22023", "not recognized"),
        // Known only while it runs.
        ("select ts_start at time zone symbol from bar_1m", "22023", "\"AAPL\" not recognized"),
        ("select timezone(lower('Mars/Olympus'), ts_start) from bar_1m", "22023", "not recognized"),
        ("select 5 at time zone 'UTC'", "42883", "timezone"),
        ("select ts_start at time zone interval '1 hour' from bar_1m", "42883", "timezone"),
    ])
    .await;
}

#[tokio::test]
async fn an_array_of_a_subquery_keeps_order_limit_and_distinct() {
    check(&[
        ("select array(select symbol from quote_latest order by symbol desc)", "{MSFT,AAPL}"),
        ("select array(select symbol from quote_latest order by 1)", "{AAPL,MSFT}"),
        (
            "select array(select price from quote_latest order by symbol \
         desc)",
            "{402.000001,193.330000}",
        ),
        (
            "select array(select close from bar_1m order by ts_start desc limit 3)",
            "{193.330000,193.320000,193.310000}",
        ),
        (
            "select array(select close from bar_1m order by ts_start limit 2 offset 1)",
            "{189.450000,189.460000}",
        ),
        ("select array(select distinct symbol from bar_1m)", "{AAPL}"),
        (
            "select array(select distinct upper(symbol) from quote_latest order by upper(symbol) \
         desc)",
            "{MSFT,AAPL}",
        ),
        (
            "select array(select distinct symbol as s from quote_latest order by s desc limit \
         1)",
            "{MSFT}",
        ),
        (
            "select array(select symbol from quote_latest union select 'ZZZ' order by 1 desc)",
            "{ZZZ,MSFT,AAPL}",
        ),
        ("select array(select count(*) from quote_latest)", "{2}"),
        ("select array(select symbol from bar_1m group by symbol)", "{AAPL}"),
        (
            "select array(select max(price) from quote_latest group by symbol order by max(price) \
         desc)",
            "{402.000001,193.330000}",
        ),
        (
            "select array(select row_number() over (order by symbol) from quote_latest order by \
         1)",
            "{1,2}",
        ),
        (
            "select array(select symbol from (values ('b', 2), ('a', null), ('c', 1)) v(symbol, \
         n) order by n)",
            "{c,b,a}",
        ),
        (
            "select array(select n from (values (2), (null), (1)) v(n) order by n desc nulls last)",
            "{2,1,NULL}",
        ),
        // Once per row of what is around it.
        (
            "select symbol, array(select b.close from bar_1m b where b.symbol = q.symbol and \
         b.close < 189.46) \
          from quote_latest q where symbol = 'AAPL'",
            "AAPL|{189.440000,189.450000}",
        ),
        ("select array(select array_length(array(select symbol from quote_latest)))", "{2}"),
    ])
    .await;
}

/// As SQLAlchemy writes its patterns; the values are PostgreSQL 15's.
#[tokio::test]
async fn every_character_can_escape_in_a_pattern() {
    let server = Server::start().await;
    for (sql, expected) in [
        ("select 'a_b' like 'a/_b' escape '/', 'axb' like 'a/_b' escape '/'", "t|f"),
        ("select 'a/b' like 'a//b' escape '/', 'a/xb' like 'a///_b' escape '/'", "t|f"),
        ("select 'a\\b' like 'a\\b' escape '/', 'A%' ilike 'a~%' escape '~'", "t|t"),
        ("select 'a\\b' like 'a\\b' escape '', 'a%' not like 'a\\%' escape '\\'", "t|f"),
        ("select 'pg_x' like 'pg/_' || '%' escape '/', null like 'a' escape '/'", "t|"),
    ] {
        server.psql_with(&["-At"], &[sql]).await.succeeds().shows(&format!("{expected}\n"));
    }
    server.psql(&["select 'a' like 'b' escape 'xy'"]).await.fails_with("22025");
}
