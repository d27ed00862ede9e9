//! What is refused before it is planned, and what is not.

use crate::postgres::statement::{judge, split};

#[track_caller]
fn check(text: &str, expected: Result<(), &str>) {
    let shown: String = text.chars().take(100).collect();
    let judged = split(text).and_then(|mut all| judge(all.remove(0)));
    assert_eq!(judged.map(|_| ()).map_err(|failure| failure.code), expected, "{shown}");
}

fn repeated(start: &str, part: &str, join: &str, count: usize) -> String {
    format!("{start}{}", vec![part; count].join(join))
}

/// A name for each number, as in `t1, t2, t3`.
fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(", ")
}

#[test]
fn everything_the_parser_chains_in_a_loop_is_counted() {
    for (start, part, join) in [
        ("select ", "1", "+"),
        ("select ", "true", " and "),
        ("select ", "true", " xor "),
        ("select ", "a", " overlaps "),
        ("select ", "a", " is distinct from "),
        ("select ", "a", " operator(pg_catalog.+) "),
        ("select a ", "notnull", " "),
        ("select a ", "is null", " "),
        ("select a ", "not null", " "),
        ("select a ", "collate \"C\"", " "),
        ("select a ", "at time zone 'UTC'", " "),
        ("select a ", "between 1 and 2", " "),
        ("select a ", "in (1)", " "),
        ("select a ", "similar to 'x'", " "),
        ("select a ", "rlike 'x'", " "),
        ("select a", "::int", ""),
        ("select a", "[1]", ""),
        ("select a ", "!", " "),
        ("select ", "not", " "),
        ("select ", "-", " "),
        ("select * from a ", "join b using (c)", " "),
        ("select * from a ", "pivot (sum(b) for c in ('d'))", " "),
    ] {
        check(&repeated(start, part, join, 5_000), Err("54001"));
    }
    check(&repeated("", "select 1", " union all ", 300), Err("54001"));
    check(&(repeated("", "explain", " ", 30_000) + " select 1"), Err("54001"));
    check("explain explain select 1", Err("0A000"));
}

#[test]
fn long_lists_are_not_chains() {
    let cases = numbered(300, |n| format!("case open when {n} then 'a' else 'b' end"));
    check(&format!("select {}", cases.replace(", ", "::text, ")), Ok(()));
    let sevens = repeated("select count(*) from t where a in (", "7", ",", 50_000);
    check(&(sevens + ")"), Ok(()));
    let dates = repeated("select 1 from t where d in (", "date '2026-01-02'", ", ", 5_000);
    check(&(dates + ")"), Ok(()));
    let whens: String = (0..5_000).map(|n| format!(" when {n} then {n}")).collect();
    check(&format!("select case volume{whens} end from t"), Ok(()));
    check(&repeated("values ", "(1, 'a', null, true)", ", ", 10_000), Ok(()));
    let columns = numbered(1_600, |n| format!("sum(t.close) as c{n}"));
    check(&format!("select {columns} from t"), Ok(()));
}

#[test]
fn nesting_is_bounded_by_the_parser() {
    for count in [100, 5_000] {
        let (open, close) = ("(".repeat(count), ")".repeat(count));
        check(&format!("select {open}1{close}"), Err("54001"));
        check(&format!("select * from {open}select 1{close}"), Err("54001"));
        let calls = "lower(".repeat(count);
        check(&format!("select {calls}'x'{close}"), Err("54001"));
    }
    check(&format!("select {}1{}", "(".repeat(30), ")".repeat(30)), Ok(()));
}

#[test]
fn lists_of_columns_are_bounded_as_in_postgresql() {
    let ones = |count: usize| vec!["1"; count].join(", ");
    check(&format!("select {}", ones(1_664)), Ok(()));
    check(&format!("select {}", ones(1_665)), Err("54011"));
    check(&format!("select * from (select {}) x", ones(1_665)), Err("54011"));
    check(&format!("select 1 union all values ({})", ones(1_665)), Err("54011"));
    check(&format!("select 1 from t group by {}", ones(1_665)), Err("54011"));
    check(&format!("select 1 from t order by {}", ones(1_665)), Err("54011"));
    check(&format!("select 1 from t group by cube ({})", ones(12)), Ok(()));
    check(&format!("select 1 from t group by cube ({})", ones(13)), Err("54011"));
}
