//! The views for BI tools: what they hold, what they promise, and what they read.

use std::collections::BTreeMap;

use lake::{
    bi::{self, View},
    datafusion::logical_expr::LogicalPlan,
};
use model::Dataset;

use crate::landing::{Row, World, reading, show};

/// Two trading dates, two symbols, one of them on two markets; an end-of-day bar; a rejected row;
/// a correction.
async fn world() -> World {
    let mut world = World::new();
    let minute = |symbol: &str, minute: u32, fetch: u64, cents: u32| {
        reading(symbol, minute, fetch, [10_000, 10_100, 9_990, cents], 100 * u64::from(minute + 1))
    };
    let on = |row: Row, date: &str, market: &str| Row {
        json: row.json.replace("2019-02-11", date).replace("IEXG", market),
        ..row
    };
    let mut rows: Vec<Row> = (0..7).map(|at| minute("AAA", at, 1, 10_000 + at)).collect();
    rows.extend((0..3).map(|at| on(minute("AAA", at, 1, 9_000), "2019-02-11", "XNYS")));
    rows.extend((0..5).map(|at| on(minute("BBB", at, 1, 5_000), "2019-02-13", "IEXG")));
    // The close of the third minute is corrected, and one row has no symbol.
    rows.push(minute("AAA", 2, 2, 10_050));
    rows.push(Row {
        json: minute("AAA", 9, 2, 1).json.replace("\"AAA\"", "null"),
        ..minute("AAA", 9, 2, 1)
    });
    world.land(&rows).await;
    world.load(Dataset::Intraday).await;
    let eod = |symbol: &str, date: &str, close: &str| Row {
        dataset: Dataset::Eod,
        fetch_id: 3,
        json: format!(
            "{{\"open\":98.5,\"high\":103.0,\"low\":97.0,\"close\":{close},\"volume\":5000.0,\
             \"symbol\":\"{symbol}\",\"exchange\":\"XNAS\",\"date\":\"{date}T00:00:00+0000\"}}"
        ),
    };
    world.land(&[eod("AAA", "2019-02-08", "99.5"), eod("AAA", "2019-02-11", "102.25")]).await;
    world.load(Dataset::Eod).await;
    let ticker = Row {
        dataset: Dataset::Tickers,
        fetch_id: 4,
        json: "{\"symbol\":\"AAA\",\"name\":\"Triple A\"}".to_owned(),
    };
    world.land(&[ticker]).await;
    world.load(Dataset::Tickers).await;
    world.refine().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn each_view_holds_what_it_says() {
    let world = world().await;
    for (sql, expected) in [
        (
            "SELECT * FROM bi.dim_symbol ORDER BY symbol",
            &["AAA|IEXG|Triple A|2019-02-08|2019-02-11", "BBB|IEXG|null|2019-02-13|2019-02-13"][..],
        ),
        (
            "SELECT * FROM bi.dim_date ORDER BY date",
            &[
                "2019-02-08|2019|1|2|February|201902|6|8|5|Friday",
                "2019-02-09|2019|1|2|February|201902|6|9|6|Saturday",
                "2019-02-10|2019|1|2|February|201902|6|10|7|Sunday",
                "2019-02-11|2019|1|2|February|201902|7|11|1|Monday",
                "2019-02-12|2019|1|2|February|201902|7|12|2|Tuesday",
                "2019-02-13|2019|1|2|February|201902|7|13|3|Wednesday",
            ],
        ),
        (
            "SELECT symbol, date, open, close, volume, previous_close, change, \
             round(change_percent, 3) FROM bi.bars_daily ORDER BY symbol, date",
            &[
                "AAA|2019-02-08|98.500000|99.500000|5000.0000|null|null|null",
                "AAA|2019-02-11|98.500000|102.250000|5000.0000|99.500000|2.750000|2.764",
                "BBB|2019-02-13|100.000000|50.000000|500.0000|null|null|null",
            ],
        ),
        (
            "SELECT symbol, ts, date, hour, minute, close, volume FROM bi.bars_1m \
             WHERE symbol = 'AAA' AND minute BETWEEN 31 AND 33 ORDER BY ts",
            &[
                "AAA|2019-02-11T14:31:00|2019-02-11|14|31|100.010000|100.0000",
                "AAA|2019-02-11T14:32:00|2019-02-11|14|32|100.500000|100.0000",
                "AAA|2019-02-11T14:33:00|2019-02-11|14|33|100.030000|100.0000",
            ],
        ),
        (
            "SELECT symbol, ts, price, previous_close, change, round(change_percent, 3), volume \
             FROM bi.quotes_latest ORDER BY symbol",
            &[
                "AAA|2019-02-11T14:36:00|100.060000|99.500000|0.560000|0.563|700.0000",
                "BBB|2019-02-13T14:34:00|50.000000|99.500000|-49.500000|-49.749|500.0000",
            ],
        ),
        (
            // The session of the 13th has come as far as its newest quote.
            "SELECT * FROM bi.coverage ORDER BY symbol",
            &[
                "AAA|2019-02-11|7|2019-02-11T14:30:00|2019-02-11T14:36:00|383",
                "BBB|2019-02-13|5|2019-02-13T14:30:00|2019-02-13T14:34:00|0",
            ],
        ),
        (
            "SELECT * FROM bi.quality_daily ORDER BY date",
            &["2019-02-08|1|0|0", "2019-02-11|13|1|2", "2019-02-13|5|0|0"],
        ),
    ] {
        assert_eq!(world.query(sql).await, expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_the_types_they_are_declared_with() {
    for world in [world().await, World::new()] {
        let context = world.reader().await.context().await.expect("a context");
        for view in bi::views() {
            let sql = format!("SELECT * FROM bi.{}", view.name);
            let frame = context.sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let rows = frame.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            for rows in &rows {
                for (column, field) in view.columns.iter().zip(rows.schema().fields()) {
                    assert_eq!(*field.name(), column.name, "{}", view.name);
                    assert_eq!(*field.data_type(), column.data_type(), "{} {field}", view.name);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_a_lake_without_tables_are_empty() {
    let world = World::new();
    for view in bi::views() {
        let sql = format!("SELECT count(*) FROM bi.{}", view.name);
        assert_eq!(world.query(&sql).await, ["0"], "{sql}");
    }
}

/// Returns how many rows break a promise of `view`.
async fn breaches(world: &World, view: &View) -> BTreeMap<String, String> {
    let key = view.primary_key.join(", ");
    let empty: Vec<String> = view
        .columns
        .iter()
        .filter(|column| !view.is_nullable(column))
        .map(|column| format!("{} IS NULL", column.name))
        .collect();
    let name = view.name;
    let mut questions = vec![
        format!(
            "SELECT count(*) FROM (SELECT {key} FROM bi.{name} GROUP BY {key} HAVING count(*) > 1)"
        ),
        format!("SELECT count(*) FROM bi.{name} WHERE {}", empty.join(" OR ")),
    ];
    questions.extend(view.foreign_keys.iter().map(|key| {
        let (column, parent, of_parent) = (key.column, key.parent, key.parent_column);
        format!(
            "SELECT count(*) FROM bi.{name} AS child LEFT ANTI JOIN bi.{parent} AS parent \
             ON parent.{of_parent} = child.{column}"
        )
    }));
    let mut answers = BTreeMap::new();
    for question in questions {
        let answer = world.query(&question).await.join("");
        answers.insert(question, answer);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_declared_key_holds() {
    let world = world().await;
    for view in bi::views() {
        assert_ne!(world.query(&format!("SELECT count(*) FROM bi.{}", view.name)).await, ["0"]);
        for (question, answer) in breaches(&world, view).await {
            assert_eq!(answer, "0", "{question}");
        }
        for key in view.foreign_keys {
            let parent = bi::view(key.parent).expect("a view");
            assert_eq!(parent.primary_key, [key.parent_column], "{}", view.name);
        }
    }
    for (layer, table) in
        [("silver", "bar"), ("gold", "bar_1m"), ("gold", "bar_1d"), ("gold", "quote_latest")]
    {
        let key = lake::primary_key(layer, table);
        assert!(!key.is_empty(), "{layer}.{table}");
        let quoted: Vec<String> = key.iter().map(|name| format!("\"{name}\"")).collect();
        let (listed, empty) = (quoted.join(", "), quoted.join(" IS NULL OR "));
        for question in [
            format!("SELECT {listed} FROM {layer}.{table} GROUP BY {listed} HAVING count(*) > 1"),
            format!("SELECT 1 FROM {layer}.{table} WHERE {empty} IS NULL"),
        ] {
            assert!(world.query(&question).await.is_empty(), "{question}");
        }
    }
}

/// Returns the filters that reach the scans of `table` in the optimized plan of `sql`.
async fn filters_at(world: &World, sql: &str, table: &str) -> Vec<String> {
    let context = world.reader().await.context().await.expect("a context");
    let frame = context.sql(sql).await.expect("plans");
    let plan = frame.into_optimized_plan().expect("optimizes");
    let mut found = Vec::new();
    let mut inputs = vec![&plan];
    while let Some(plan) = inputs.pop() {
        if let LogicalPlan::TableScan(scan) = plan
            && scan.table_name.table() == table
        {
            found.push(scan.filters.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        }
        inputs.extend(plan.inputs());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_a_date_reads_the_files_of_that_date() {
    let world = world().await;
    for (view, columns, table) in [
        ("bars_1m", "*", "bar_1m"),
        ("bars_1m", "*", "bar_1d"),
        ("coverage", "*", "bar"),
        // Without the close of the bar before, which may be any earlier date.
        ("bars_daily", "symbol, close", "bar_1d"),
        ("bars_daily", "symbol, close", "eod"),
    ] {
        let sql = format!("SELECT {columns} FROM bi.{view} WHERE date = DATE '2019-02-11'");
        let filters = filters_at(&world, &sql, table).await;
        assert!(!filters.is_empty(), "{sql}: no scan of {table}");
        assert!(
            filters.iter().all(|filter| filter.contains("session_date =")),
            "{sql}: {filters:?}"
        );
    }
    let sql = "SELECT * FROM bi.bars_daily WHERE symbol = 'AAA'";
    let filters = filters_at(&world, sql, "bar_1d").await;
    assert!(filters.iter().all(|filter| filter.contains("symbol =")), "{filters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_sees_one_version_through_views_and_tables() {
    let mut world = world().await;
    let context = world.reader().await.context().await.expect("a context");
    let count = |sql: &'static str| {
        let context = context.clone();
        async move {
            let frame = context.sql(sql).await.expect("plans");
            show(&frame.collect().await.expect("runs"))
        }
    };
    assert_eq!(count("SELECT count(*) FROM gold.bar_1m WHERE symbol = 'BBB'").await, ["5"]);
    let late = reading("BBB", 6, 9, [10_000, 10_100, 9_990, 5_000], 900);
    let late = Row { json: late.json.replace("2019-02-11", "2019-02-13"), ..late };
    world.land(&[late]).await;
    world.load(Dataset::Intraday).await;
    world.refine().await;
    assert_eq!(count("SELECT count(*) FROM bi.bars_1m WHERE symbol = 'BBB'").await, ["5"]);
    assert_eq!(world.query("SELECT count(*) FROM bi.bars_1m WHERE symbol = 'BBB'").await, ["6"]);
}
