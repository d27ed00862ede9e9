//! What people ask of the lake, and what they must not be able to ask.

use std::sync::Arc;

use lake::{Reader, datafusion::prelude::SessionContext};
use model::Dataset;

use crate::landing::{Row, World, reading, show};

async fn world() -> World {
    let mut world = World::new();
    let rows: Vec<Row> = (0..7)
        .map(|minute| {
            reading(
                "AAA",
                minute,
                1,
                [10_000, 10_000 + minute, 9_990, 10_000 + minute],
                100 * u64::from(minute + 1),
            )
        })
        .collect();
    world.land(&rows).await;
    world.load(Dataset::Intraday).await;
    world.refine().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn gold_is_resampled_from_the_open() {
    let world = world().await;
    assert_eq!(
        world.query("SELECT ts_start, ts_end, open, high, low, close, volume, n_source FROM bar_5m ORDER BY 1").await,
        [
            "2019-02-11T14:30:00Z|2019-02-11T14:35:00Z|100.000000|100.040000|99.900000|100.040000|500.0000|5",
            "2019-02-11T14:35:00Z|2019-02-11T14:40:00Z|100.040000|100.060000|100.040000|100.060000|200.0000|2",
        ]
    );
    assert_eq!(
        world
            .query("SELECT price, open, high, low, previous_close, volume FROM quote_latest")
            .await,
        ["100.060000|100.000000|100.060000|99.900000|99.500000|700.0000"]
    );
    assert_eq!(world.query("SELECT ts_end - ts_start FROM bar_1d").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_day_rows_get_revisions() {
    let mut world = World::new();
    let eod = |adjusted: &str, fetch_id| Row {
        dataset: Dataset::Eod,
        fetch_id,
        json: format!(
            "{{\"open\":171.73,\"high\":175.35,\"low\":171.43,\"close\":174.83,\"volume\":73516656.0,\
             \"adj_high\":{adjusted},\"adj_close\":174.83,\"split_factor\":1.0,\"dividend\":0.0,\
             \"symbol\":\"AAPL\",\"exchange\":\"XNAS\",\"date\":\"2022-02-08T00:00:00+0000\"}}"
        ),
    };
    world.land(&[eod("null", 1)]).await;
    world.load(Dataset::Eod).await;
    world.refine().await;
    world.land(&[eod("175.3512345678", 2), eod("175.3512345678", 3)]).await;
    world.load(Dataset::Eod).await;
    world.refine().await;
    assert_eq!(
        world
            .query(
                "SELECT session_date, revision, adj_high, close FROM silver.eod ORDER BY revision"
            )
            .await,
        ["2022-02-08|1|null|174.830000", "2022-02-08|2|175.3512345678|174.830000"]
    );
    assert_eq!(world.query("SELECT revision, adj_high FROM gold.eod").await, ["2|175.3512345678"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_tell_what_each_version_added() {
    let world = world().await;
    let reader: Reader = world.reader().await;
    let changes = reader.changes("silver.bar", 0).await.expect("reads");
    let rows: usize = changes.iter().map(|change| show(&change.rows).len()).sum();
    assert_eq!(rows, 7);
    let last = changes.last().expect("a change").version;
    assert_eq!(reader.version("silver.bar").await.expect("reads"), last);
    assert!(reader.changes("silver.bar", last).await.expect("reads").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_literal_with_a_point_is_a_decimal() {
    let world = world().await;
    for (sql, expected) in [
        ("SELECT close FROM bar_5m WHERE close = 100.04", "100.040000"),
        ("SELECT count(*) FROM bar_5m WHERE close > 100.05", "1"),
        ("SELECT close * 1.1 FROM bar_5m ORDER BY 1 LIMIT 1", "110.0440000"),
        ("SELECT count(*) FROM bar_5m WHERE close < 1e6 AND close > 1e-2", "2"),
        ("SELECT CAST(1e3 AS INT), arrow_typeof(now())", "1000|Timestamp(ns, \"UTC\")"),
        ("SELECT CAST(0.5 AS DOUBLE) = 0.5, 1e15 < CAST('1e300' AS DOUBLE)", "true|true"),
    ] {
        assert_eq!(world.query(sql).await, [expected], "{sql}");
    }
    let reader = world.reader().await;
    for sql in ["SELECT 1e400", "SELECT 1e-400", "SELECT close + 1e99999999999 FROM bar_5m"] {
        assert!(reader.query(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_keeps_its_hours() {
    let world = world().await;
    for (sql, expected) in [
        ("SELECT DATE '2024-01-01' + INTERVAL '12 hours'", "2024-01-01T12:00:00"),
        ("SELECT INTERVAL '90 minutes' + DATE '2024-01-01'", "2024-01-01T01:30:00"),
        ("SELECT DATE '2024-03-01' - INTERVAL '1 day 1 hour'", "2024-02-28T23:00:00"),
        ("SELECT DATE '2024-01-31' + INTERVAL '1 month'", "2024-02-29"),
        (
            "SELECT count(*) FROM bar_1m WHERE session_date >= DATE '2019-02-12' - INTERVAL '1 day'",
            "7",
        ),
    ] {
        assert_eq!(world.query(sql).await, [expected], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_share_one_bounded_place_to_spill() {
    let world = world().await;
    let reader = world.reader().await;
    let disk = |context: &SessionContext| Arc::clone(&context.runtime_env().disk_manager);
    let nowhere = disk(&reader.context().await.expect("a context"));
    assert!(!nowhere.tmp_files_enabled());

    let folder = tempfile::tempdir().expect("a folder");
    let reader = reader.with_spill_folder(folder.path()).expect("a place");
    let first = disk(&reader.context().await.expect("a context"));
    let second = disk(&reader.clone().context().await.expect("a context"));
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.max_temp_directory_size(), 4 << 30);
    let places = first.temp_dir_paths();
    assert!(places.iter().all(|place| place.starts_with(folder.path())), "{places:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_function_takes_the_memory_of_the_process() {
    let world = world().await;
    let reader = world.reader().await;
    for sql in [
        "SELECT repeat('x', 2147483647)",
        "SELECT rpad('x', 2147483647)",
        "SELECT array_repeat(1, 2147483647)",
        "SELECT generate_series(1, 1000000000)",
    ] {
        let error = reader.query(sql).await.expect_err(sql);
        let cause = format!("{error:?}");
        assert!(cause.contains("ResultTooLarge"), "{sql}: {cause}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_only_read_and_only_tables() {
    let world = world().await;
    let reader = world.reader().await;
    for sql in [
        "CREATE TABLE gold.x AS SELECT 1",
        "INSERT INTO gold.bar_1m SELECT * FROM gold.bar_1m",
        "DROP TABLE gold.bar_1m",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "COPY gold.bar_1m TO '/tmp/x.csv'",
        "CREATE EXTERNAL TABLE x (a text) STORED AS CSV LOCATION 'file:///etc/passwd'",
        "SET datafusion.runtime.memory_limit = '1T'",
    ] {
        let refused = reader.query(sql).await;
        assert!(refused.is_err(), "{sql}");
    }
    assert_eq!(world.query("SELECT count(*) FROM gold.bar_1m").await, ["7"]);
}
