//! Market functions over tables that the pipeline made.

use lake::{Error, Reader};
use model::{Dataset, ErrorKind};

use crate::landing::{Row, World, reading};

/// The columns of a bar that tell and hold it.
const BAR: &str = "symbol, ts_start, ts_end, open, high, low, close, volume";

/// Forty minutes of two symbols, five of them not traded.
async fn world() -> World {
    let mut world = World::new();
    let mut rows: Vec<Row> = Vec::new();
    for (symbol, base) in [("AAA", 10_000), ("BBB", 20_000)] {
        let minutes = (0..40).filter(|minute| !(20..25).contains(minute));
        rows.extend(minutes.map(|minute| {
            let price = base + (minute * 7) % 13;
            reading(
                symbol,
                minute,
                1,
                [base, base + 20, base - 20, price],
                100 * u64::from(minute + 1),
            )
        }));
    }
    world.land(&rows).await;
    world.load(Dataset::Intraday).await;
    world.refine().await;
    world
}

async fn error(reader: &Reader, sql: &str) -> Error {
    reader.query(sql).await.expect_err(sql)
}

/// The error with all of its causes.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn resampled_bars_are_those_of_gold() {
    let world = world().await;
    for (source, length) in
        [("1m", "5m"), ("1m", "15m"), ("1m", "1h"), ("1m", "1d"), ("5m", "15m"), ("15m", "1h")]
    {
        let columns = format!("{BAR}, n_source");
        let made = format!(
            "SELECT {columns} FROM resample('gold.bar_{source}', '{length}') ORDER BY symbol, ts_start"
        );
        let kept = format!("SELECT {columns} FROM gold.bar_{length} ORDER BY symbol, ts_start");
        let (made, kept) = (world.query(&made).await, world.query(&kept).await);
        assert!(!kept.is_empty());
        assert_eq!(made, kept, "{length} of {source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_is_partial_where_minutes_are_missing() {
    let world = world().await;
    assert_eq!(
        world
            .query(
                "SELECT ts_start, n_source, is_complete FROM resample('gold.bar_1m', '10m') \
                 WHERE symbol = 'AAA' ORDER BY 1"
            )
            .await,
        [
            "2019-02-11T14:30:00Z|10|true",
            "2019-02-11T14:40:00Z|10|true",
            "2019-02-11T14:50:00Z|5|false",
            "2019-02-11T15:00:00Z|10|true",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_seen_as_it_was_known() {
    let mut world = world().await;
    let before = world.query(&format!("SELECT {BAR} FROM gold.bar_5m ORDER BY 1, 2")).await;
    // Restated an hour later, at a price that moves the bar and its successor.
    let restated = reading("AAA", 7, 2, [10_000, 10_090, 9_900, 10_077], 800);
    world.land_at(&[restated], "2019-02-11T16:00:00.000000Z").await;
    world.load(Dataset::Intraday).await;
    world.refine().await;
    let after = world.query(&format!("SELECT {BAR} FROM gold.bar_5m ORDER BY 1, 2")).await;
    assert_ne!(before, after);
    let as_of = |time: &str| {
        format!("SELECT {BAR} FROM as_of('gold.bar_5m', TIMESTAMP '{time}+00') ORDER BY 1, 2")
    };
    assert_eq!(world.query(&as_of("2019-02-11 15:59:59")).await, before);
    assert_eq!(world.query(&as_of("2019-02-11 16:00:00")).await, after);
    assert!(world.query(&as_of("2019-02-11 14:00:00")).await.is_empty());
    // Whole rows, of every table of bars.
    for table in ["bar_1m", "bar_5m", "bar_15m", "bar_1h", "bar_1d"] {
        let now = format!(
            "SELECT * FROM as_of('gold.{table}', TIMESTAMP '2030-01-01') ORDER BY symbol, ts_start"
        );
        let kept = format!("SELECT * FROM gold.{table} ORDER BY symbol, ts_start");
        assert_eq!(world.query(&now).await, world.query(&kept).await, "{table}");
    }
    let revisions = |time: &str| {
        format!(
            "SELECT max(revision), count(*) FROM as_of('silver.bar', TIMESTAMP '{time}+00') \
             WHERE symbol = 'AAA'"
        )
    };
    assert_eq!(world.query(&revisions("2019-02-11 15:30:00")).await, ["1|35"]);
    assert_eq!(world.query(&revisions("2019-02-11 16:30:00")).await, ["2|35"]);
    // And what was known can be put together anew.
    let made = "SELECT count(*) FROM resample(as_of('gold.bar_1m', \
                TIMESTAMP '2019-02-11 15:30:00+00'), '20m')";
    assert_eq!(world.query(made).await, ["4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn averages_pass_over_what_is_not_known() {
    let world = World::new();
    let rows = "(VALUES (1, 10.0, 1), (2, 20.0, 3), (3, NULL, 5), (4, 30.0, NULL), (5, 40.0, 0)) \
                AS t (n, price, volume)";
    for (sql, expected) in [
        (format!("SELECT vwap(price, volume) FROM {rows}"), "17.50000"),
        (format!("SELECT vwap(price, volume) FROM {rows} WHERE n = 5"), "null"),
        (format!("SELECT vwap(price, volume) FROM {rows} WHERE n > 5"), "null"),
        (
            format!(
                "SELECT twap(price, TIMESTAMP '2024-03-08 15:00:00' + n * INTERVAL '1 second') \
                 FROM {rows}"
            ),
            // 10 for a second, 20 for two, 30 for one.
            "20.00000",
        ),
        (format!("SELECT twap(price, DATE '2024-03-08') FROM {rows} WHERE n < 3"), "15.00000"),
    ] {
        let sql = sql.replace("n * INTERVAL '1 second'", "CAST(n || ' seconds' AS INTERVAL)");
        assert_eq!(world.query(&sql).await, [expected], "{sql}");
    }
    let sql = format!(
        "SELECT n, sma(price, 2) OVER w, wma(price, 2) OVER w, ema(price, 2) OVER w FROM {rows} \
         WINDOW w AS (ORDER BY n) ORDER BY n"
    );
    assert_eq!(
        world.query(&sql).await,
        [
            "1|null|null|null",
            "2|15.00000|16.66667|15.0",
            "3|null|null|null",
            "4|25.00000|26.66667|25.0",
            "5|35.00000|36.66667|35.0",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moving_window_is_as_if_worked_out_anew() {
    let world = world().await;
    let window = "(PARTITION BY symbol ORDER BY ts_start ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING)";
    let moving = format!(
        "SELECT symbol, ts_start, vwap(close, volume) OVER {window}, twap(close, ts_start) OVER {window} \
         FROM gold.bar_1m ORDER BY 1, 2"
    );
    let anew = "WITH n AS (SELECT *, row_number() OVER (PARTITION BY symbol ORDER BY ts_start) AS n \
                FROM gold.bar_1m) \
                SELECT a.symbol, a.ts_start, vwap(b.close, b.volume), twap(b.close, b.ts_start) \
                FROM n a JOIN n b ON b.symbol = a.symbol AND CAST(b.n AS BIGINT) - CAST(a.n AS BIGINT) \
                BETWEEN -3 AND 1 GROUP BY a.symbol, a.ts_start ORDER BY 1, 2";
    let rows = world.query(&moving).await;
    assert_eq!(rows.len(), 70);
    assert_eq!(rows, world.query(anew).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_answer_is_told() {
    let world = world().await;
    let reader = world.reader().await;
    for (sql, expected) in [
        ("SELECT sma(close, 2) FROM bar_1m", "is a window function"),
        ("SELECT sma(close, 2) OVER (PARTITION BY symbol) FROM bar_1m", "of rows in an order"),
        (
            "SELECT sma(close, 2) FILTER (WHERE volume > 0) OVER (ORDER BY ts_start) FROM bar_1m",
            "leave out rows by WHERE",
        ),
        (
            "SELECT sma(close, 0) OVER (ORDER BY ts_start) FROM bar_1m",
            "must be 1 to 10000, and not 0",
        ),
        (
            "SELECT sma(close, n) OVER (ORDER BY ts_start) FROM (SELECT close, ts_start, \
             CAST(row_number() OVER (ORDER BY ts_start) AS INT) AS n FROM bar_1m) AS rows",
            "must be the same for all rows",
        ),
        ("SELECT vwap(close) FROM bar_1m", "it is called as vwap(price, volume)"),
        ("SELECT vwap(CAST(close AS DOUBLE), volume) FROM bar_1m", "cast Float64 to numeric(18,6)"),
        ("SELECT twap(close, volume) FROM bar_1m", "ts is a moment"),
        ("SELECT * FROM resample('bar_1m', 'soon')", "`soon` is no length of bars"),
        ("SELECT * FROM resample('bar_5m', '7m')", "lies across two bars of 7m"),
        ("SELECT bar_start('7x', ts_start) FROM bar_1m", "`7x` is no length of bars"),
        ("SELECT * FROM resample('silver.bar', '1h')", "not of `silver.bar`"),
        ("SELECT * FROM as_of('gold.quote_latest', now())", "not of `gold.quote_latest`"),
        (
            "SELECT * FROM bar_1m, as_of('silver.bar', ts_start)",
            "is called as as_of('silver.bar', TIMESTAMP",
        ),
        ("SELECT * FROM as_of('silver.bar')", "is called as as_of('silver.bar', TIMESTAMP"),
    ] {
        let error = error(&reader, sql).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{sql}: {error:?}");
        assert!(told(&error).contains(expected), "{sql}: {}", told(&error));
    }
    // Nothing but queries comes out of a function that stands for one.
    let error = error(&reader, "INSERT INTO gold.eod SELECT * FROM gold.eod").await;
    assert_eq!(error.kind(), ErrorKind::Config);
}
