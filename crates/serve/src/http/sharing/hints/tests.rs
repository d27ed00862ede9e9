//! Hints against files: what is left out, and what must not be.

use serde_json::json;

use super::*;

/// A table with a column of each kind, in one file a day.
pub(super) fn columns() -> Columns {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "metadata": {}});
    let fields = [
        field("day", "date"),
        field("symbol", "string"),
        field("ts_start", "timestamp"),
        field("n", "integer"),
        field("close", "decimal(18,6)"),
    ];
    let schema = json!({"type": "struct", "fields": fields}).to_string();
    Columns::of(&json!({"schemaString": schema, "partitionColumns": ["day"]}))
}

fn file(day: Option<&str>, symbols: (&str, &str), rows: u64, nulls: u64) -> TableFile {
    let ts = |hour: u8| format!("{}T{hour:02}:00:00.000Z", day.unwrap_or("2026-01-01"));
    let stats = json!({
        "numRecords": rows,
        "minValues": {"symbol": symbols.0, "ts_start": ts(14), "n": 3},
        "maxValues": {"symbol": symbols.1, "ts_start": ts(21), "n": 7},
        "nullCount": {"symbol": nulls, "ts_start": 0, "n": 0, "close": 0},
    });
    TableFile {
        path: format!("{}/{}", day.unwrap_or("none"), symbols.0),
        object: "x".into(),
        size: 1,
        modification_time: 0,
        partition_values: [("day".to_owned(), day.map(str::to_owned))].into(),
        stats: Some(stats.to_string()),
    }
}

fn files() -> Vec<TableFile> {
    vec![
        file(Some("2026-01-05"), ("AAPL", "MSFT"), 10, 0),
        file(Some("2026-01-06"), ("AAPL", "AAPL"), 20, 0),
        file(Some("2026-01-07"), ("NVDA", "NVDA"), 30, 5),
        file(None, ("ZM", "ZM"), 40, 40),
    ]
}

#[track_caller]
fn check(predicate: &Predicate, limit: Option<u64>, expected: &[usize]) {
    let (files, columns) = (files(), columns());
    let chosen = choose(&files, &columns, predicate, limit);
    let found: Vec<usize> = chosen
        .iter()
        .map(|file| files.iter().position(|known| known.path == file.path).unwrap())
        .collect();
    assert_eq!(found, expected, "{predicate:?}, limit {limit:?}");
}

#[test]
fn sql_hints_leave_out_what_cannot_match() {
    let all = &[0, 1, 2, 3][..];
    for (text, expected) in [
        ("day = '2026-01-06'", &[1][..]),
        ("day = DATE '2026-01-06'", &[1]),
        ("`day` >= '2026-01-06'", &[1, 2]),
        ("'2026-01-06' > day", &[0]),
        ("day <> '2026-01-06'", &[0, 2]),
        ("DAY <= '2026-01-05'", &[0]),
        ("day IS NULL", &[3]),
        ("day is not null", &[0, 1, 2]),
        ("symbol = 'MSFT'", &[0]),
        ("symbol = 'AAPL'", &[0, 1]),
        ("symbol != 'AAPL'", &[0, 2]),
        ("symbol > 'N'", &[2]),
        ("symbol IS NULL", &[2, 3]),
        ("n < 3", &[]),
        ("n <= 3", all),
        ("7 < n", &[]),
        ("ts_start >= '2026-01-07T00:00:00Z'", &[2]),
        ("ts_start < TIMESTAMP '2026-01-05T00:00:00Z'", &[3]),
        // Not understood, or not without a doubt: nothing is left out.
        ("ts_start >= '2026-01-07 00:00:00'", all),
        ("close > 1000000", all),
        ("n = '99'", all),
        ("n > 99.5", all),
        ("symbol = 7", all),
        ("symbol LIKE 'Z%'", all),
        ("day = '2026-1-6'", all),
        ("day = 2026-01-06", all),
        ("nothing = 1", all),
        ("symbol = 'it\\'s'", all),
        ("symbol = 'it''s'", all),
        ("symbol = x'41'", all),
        ("n", all),
        ("", all),
        ("'", all),
        ("n = 1 AND n = 2", all),
        ("(n = 99)", all),
    ] {
        check(&Predicate::of_hints(&[text.to_owned()], None), None, expected);
    }
}

fn column(name: &str, kind: &str) -> Json {
    json!({"op": "column", "name": name, "valueType": kind})
}

fn literal(value: &str, kind: &str) -> Json {
    json!({"op": "literal", "value": value, "valueType": kind})
}

fn op(op: &str, children: Vec<Json>) -> Json {
    json!({"op": op, "children": children})
}

fn day(name: &str, value: &str) -> Json {
    op(name, vec![column("day", "date"), literal(value, "date")])
}

fn is_null(name: &str, kind: &str) -> Json {
    op("isNull", vec![column(name, kind)])
}

#[test]
fn json_hints_leave_out_what_cannot_match() {
    for (tree, expected) in [
        (day("equal", "2026-01-06"), &[1][..]),
        (day("greaterThan", "2026-01-06"), &[2]),
        (day("greaterThanOrEqual", "2026-01-06"), &[1, 2]),
        (day("lessThan", "2026-01-06"), &[0]),
        (day("lessThanOrEqual", "2026-01-06"), &[0, 1]),
        (op("not", vec![day("equal", "2026-01-06")]), &[0, 2]),
        (op("or", vec![day("equal", "2026-01-05"), is_null("day", "date")]), &[0, 3]),
        (
            op(
                "and",
                vec![day("lessThan", "2026-01-07"), op("not", vec![day("lessThan", "2026-01-06")])],
            ),
            &[1],
        ),
        (
            op(
                "in",
                vec![
                    column("day", "date"),
                    literal("2026-01-05", "date"),
                    literal("2026-01-07", "date"),
                ],
            ),
            &[0, 2],
        ),
        (op("equal", vec![literal("MSFT", "string"), column("symbol", "string")]), &[0]),
        (op("lessThan", vec![column("n", "int"), literal("3", "int")]), &[]),
        (op("not", vec![is_null("symbol", "string")]), &[0, 1, 2]),
    ] {
        check(&Predicate::of_hints(&[], Some(&tree.to_string())), None, expected);
    }
}

#[test]
fn json_hints_that_are_not_understood_leave_nothing_out() {
    let all = &[0, 1, 2, 3][..];
    // More comparisons than are looked at: the last is the one that would match nothing.
    let below = |n: u32| {
        let most = if n < 299 { "99" } else { "0" };
        op("lessThan", vec![column("n", "int"), literal(most, "int")])
    };
    for tree in [
        // A column that is cast to another type.
        op("equal", vec![column("day", "int"), literal("9", "int")]),
        op("equal", vec![column("n", "string"), literal("9", "string")]),
        op("equal", vec![column("n", "int"), literal("9", "long")]),
        op("equal", vec![column("n", "double"), literal("99.5", "double")]),
        op("equal", vec![column("n", "long"), literal("99", "long")]),
        op("equal", vec![column("ts_start", "string"), literal("2020", "string")]),
        op("not", vec![is_null("symbol", "int")]),
        // A collation may find a text equal to others.
        json!({
            "op": "equal", "exprCtx": {"collationIdentifier": "icu.UTF8_LCASE.75.1"},
            "children": [column("symbol", "string"), literal("none", "string")],
        }),
        op("and", (0..300).map(below).collect()),
        op("equal", vec![column("n", "int")]),
        op("and", vec![]),
        op("xor", vec![day("equal", "2026-01-06")]),
        json!([1]),
    ] {
        check(&Predicate::of_hints(&[], Some(&tree.to_string())), None, all);
    }
    check(&Predicate::of_hints(&[], Some("{")), None, all);
    check(&Predicate::of_hints(&[], Some(&"[".repeat(100_000))), None, all);
}

#[test]
fn all_hints_hold_together() {
    let sql = ["day >= '2026-01-06'", "day <= '2026-01-06'", "?"].map(str::to_owned);
    check(&Predicate::of_hints(&sql, None), None, &[1]);
}

#[test]
fn a_limit_counts_rows_that_are_wanted_for_sure() {
    let none = Predicate::of_hints(&[], None);
    check(&none, Some(0), &[]);
    check(&none, Some(10), &[0]);
    check(&none, Some(11), &[0, 1]);
    check(&none, Some(1_000), &[0, 1, 2, 3]);
    let hint = |text: &str| Predicate::of_hints(&[text.to_owned()], None);
    check(&hint("day >= '2026-01-06'"), Some(5), &[1]);
    // Of the first file nobody knows how many rows are of AAPL; the second has nothing else.
    check(&hint("symbol = 'AAPL'"), Some(5), &[0, 1]);
    check(&hint("symbol > 'A'"), Some(5), &[0]);
    check(&hint("not understood"), Some(5), &[0, 1, 2, 3]);
}

#[test]
fn a_file_without_statistics_is_never_left_out_for_them() {
    let mut bare = file(Some("2026-01-05"), ("AAPL", "MSFT"), 10, 0);
    for stats in [None, Some("{}"), Some("no JSON"), Some(r#"{"numRecords": 3, "nullCount": {}}"#)]
    {
        bare.stats = stats.map(str::to_owned);
        for text in ["symbol = 'ZZZ'", "n < 0", "symbol IS NULL", "symbol IS NOT NULL"] {
            let predicate = Predicate::of_hints(&[text.to_owned()], None);
            let chosen = choose(std::slice::from_ref(&bare), &columns(), &predicate, None);
            assert_eq!(chosen.len(), 1, "{text} with {stats:?}");
        }
        let day = Predicate::of_hints(&["day = '2026-01-06'".to_owned()], None);
        assert!(choose(std::slice::from_ref(&bare), &columns(), &day, None).is_empty());
    }
}

#[test]
fn a_moment_at_the_edge_of_a_file_is_not_lost_to_rounding() {
    let file = [file(Some("2026-01-05"), ("AAPL", "MSFT"), 10, 0)];
    for (text, expected) in [
        ("ts_start > '2026-01-05T21:00:00.0005Z'", 1),
        ("ts_start > '2026-01-05T21:00:00.001Z'", 0),
        ("ts_start < '2026-01-05T13:59:59.9995Z'", 1),
        ("ts_start < '2026-01-05T13:59:59.999Z'", 0),
    ] {
        let predicate = Predicate::of_hints(&[text.to_owned()], None);
        assert_eq!(choose(&file, &columns(), &predicate, None).len(), expected, "{text}");
    }
}
