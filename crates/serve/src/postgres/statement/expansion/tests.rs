//! Which queries would become too large, and which only look like it.

use crate::postgres::statement::{judge, split};

#[track_caller]
fn check(text: &str, expected: Result<(), &str>) {
    let shown: String = text.chars().take(100).collect();
    let judged = split(text).and_then(|mut all| judge(all.remove(0)));
    assert_eq!(judged.map(|_| ()).map_err(|failure| failure.code), expected, "{shown}");
}

/// A name for each number, as in `t1, t2, t3`.
fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(", ")
}

#[test]
fn tables_are_counted() {
    let tables = |count| numbered(count, |n| format!("gold.bar_1m t{n}"));
    check(&format!("select 1 from {}", tables(100)), Ok(()));
    check(&format!("select 1 from {}", tables(120)), Err("54001"));
    check(&format!("select 1 from (select 1 from {}) x", tables(120)), Err("54001"));
    let unions = |count| vec!["select symbol from t"; count].join(" union all ");
    check(&unions(200), Ok(()));
    check(&unions(201), Err("54001"));
    let exists = vec!["exists (select 1)"; 201].join(" or ");
    check(&format!("select 1 where {exists}"), Err("54001"));
    let halves = format!("select 1 from {} union all select 1 from {}", tables(100), tables(101));
    check(&halves, Err("54001"));
    let arrays = numbered(201, |n| format!("unnest(array[1]) u{n}"));
    check(&format!("select 1 from {arrays}"), Err("54001"));
    let ctes = numbered(201, |n| format!("c{n} as (select 1)"));
    check(&format!("with {ctes} select 1"), Err("54001"));
}

#[test]
fn a_cte_counts_each_time_it_is_used() {
    let doubling = |links: usize| {
        let rest = numbered(links, |n| format!("a{} as (select p.x from a{n} p, a{n} q)", n + 1));
        format!("with a0 as (select 1 as x), {rest} select * from a{links}")
    };
    check(&doubling(5), Ok(()));
    check(&doubling(8), Err("54001"));
    check(&doubling(1_000), Err("54001"));

    let chain = numbered(150, |n| format!("a{} as (select * from a{n})", n + 1));
    check(&format!("with a0 as (select 1 as x), {chain} select * from a150"), Ok(()));
    // The name is another one inside and outside.
    let many = vec!["select 1 from t"; 150].join(" union all ");
    let inner = format!("(with a as ({many}) select 1 from a) b");
    check(&format!("select 1 from {inner}"), Err("54001"));
    check(&format!("with a as ({many}) select 1 from b.a, c.a"), Ok(()));
    for name in ["a", "A", "\"a\""] {
        let cte = format!("with {name} as ({many})");
        check(&format!("{cte} select 1 from {name}"), Err("54001"));
    }
    // What is hidden behind a name that comes back is still counted.
    let hidden = format!("with a as ({many}), \"A\" as (select 1)");
    check(&format!("{hidden} select 1 from a"), Err("54001"));
}

#[test]
fn columns_are_counted_as_often_as_they_are_handed_on() {
    let wide = format!("with w as (select {})", numbered(1_600, |n| format!("1 as c{n}")));
    let read = |count| numbered(count, |n| format!("w w{n}"));
    check(&format!("{wide} select 1 from {}", read(15)), Ok(()));
    check(&format!("{wide} select 1 from {}", read(16)), Err("54001"));
    let values = format!("w as (values ({}))", vec!["1"; 1_600].join(", "));
    check(&format!("with {values} select 1 from {}", read(15)), Ok(()));
    check(&format!("with {values} select 1 from {}", read(16)), Err("54001"));
    // Wildcards hand on what they find, each time.
    let all = |count| vec!["*"; count].join(", ");
    let doubling = format!("select {} from (select {} from t) x", all(100), all(100));
    check(&format!("select 1 from ({doubling}) y"), Err("54001"));

    // A chain that adds a column with every link is none the wider for its length.
    let chain = numbered(60, |n| format!("a{} as (select p.*, 1 as c{n} from a{n} p)", n + 1));
    check(&format!("with a0 as (select * from t), {chain} select * from a60"), Ok(()));
    let joins = numbered(20, |n| {
        format!("a{} as (select p.*, q.close from a{n} p join t q using (symbol))", n + 1)
    });
    check(&format!("with a0 as (select * from t), {joins} select * from a20"), Ok(()));
}

#[test]
fn an_expression_counts_what_is_below_its_columns() {
    let chain = |links: usize, item: &str| {
        let links = numbered(links, |n| format!("a{} as (select {item} from a{n})", n + 1));
        format!("with a0 as (select revision as x, close from t), {links}")
    };
    for (item, expected) in [
        ("x + x as x, close", Err("54001")),
        ("x + 1 as x, close", Ok(())),
        // Without an alias the column has the name that PostgreSQL gives it.
        ("x, close, lower(x || x)", Ok(())),
        ("abs(x * x) as x", Err("54001")),
        ("(select x + x) as x", Err("54001")),
        ("case when x > 1 then x else 0 end as x", Err("54001")),
        ("\"X\" * x as X", Err("54001")),
    ] {
        let text = format!("{} select x from a40 where x > 1", chain(40, item));
        check(&text, expected);
    }
    let either = chain(20, "a.x + b.x as x from t a, t b union all select x");
    check(&format!("{either} select x from a20 where x > 1"), Ok(()));
    let renamed = numbered(40, |n| format!("a{} (x) as (select x + x from a{n})", n + 1));
    check(&format!("with a0 as (select 1 as x), {renamed} select x from a40"), Err("54001"));
    let renamed = numbered(40, |n| format!("a{} as (select y + y from a{n} p (y))", n + 1));
    check(&format!("with a0 as (select 1 as x), {renamed} select 1 from a40"), Err("54001"));
    let union = "select x + x as x from t union all select x + x from";
    let links = numbered(40, |n| format!("a{} as ({union} a{n})", n + 1));
    check(&format!("with a0 as (select 1 as x), {links} select x from a40"), Err("54001"));
    let nested =
        (0..20).fold("t".to_owned(), |inner, _| format!("(select x + x as x from {inner}) q"));
    check(&format!("select x from {nested} where x > 1"), Err("54001"));
    // Conditions count, too.
    let many = vec!["x > 1"; 100].join(" or ");
    let wide = chain(8, "x + x as x");
    check(&format!("{wide} select 1 from a8 where x > 1"), Ok(()));
    check(&format!("{wide} select 1 from a8 where {many}"), Err("54001"));
    check(&format!("{wide} select 1 from a8 join t on {many}"), Err("54001"));
}

#[test]
fn queries_as_tools_write_them_pass() {
    let date = "date_trunc('month', ts_start)";
    check(
        &format!(
            "with bars as (select *, {date} as month, close - open as gain from gold.bar_1m), \
             ranked as (select b.*, row_number() over (partition by symbol order by gain) as rank \
               from bars b), \
             totals as (select symbol, month, sum(gain * volume) / nullif(sum(volume), 0) as vwap, \
               max(high) - min(low) as span from bars group by 1, 2) \
             select r.*, t.vwap, t.span, (t.vwap - p.vwap) / p.vwap as change from ranked r \
             join totals t using (symbol, month) left join totals p on p.symbol = r.symbol \
             where r.rank <= 10 and t.span > 0 and exists (select 1 from silver.bar s \
               where s.symbol = r.symbol) order by change desc limit 100"
        ),
        Ok(()),
    );
}
