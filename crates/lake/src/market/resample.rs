//! `resample(bars, length)`: the query for bars of another length.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, TableFactor, TableFunctionArgs,
    Value,
};

use super::{
    MarketError,
    expand::{Template, derived, parts, table, table_name},
    functions::{AS_OF, RESAMPLE},
    length::Length,
};

const USAGE: MarketError = MarketError::Usage {
    function: RESAMPLE,
    usage: "resample('gold.bar_1m', '15m'): bars, and the length of those that are wanted",
};

/// Tables whose bars have one length and are counted from the open, and can be put together.
const TABLES: [&str; 5] = ["bar_1m", "bar_5m", "bar_15m", "bar_1h", "bar_1d"];

/// What a row of the result holds beside the values of the bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// How many bars it is made of.
    pub n_source: &'static str,
    /// The column at the end, with what follows it.
    pub last: &'static str,
}

/// How much of the bar the bars that it is made of cover: all of it, or it is partial.
const IS_COMPLETE: &str = "sum(CAST(ts_end AS BIGINT) - CAST(ts_start AS BIGINT)) \
    = CAST(bar_end AS BIGINT) - CAST(bar_start AS BIGINT) AS is_complete";

/// Returns the query that stands for the function.
pub(super) fn query(arguments: &[Expr]) -> Result<Query, MarketError> {
    let [bars, length] = arguments else { return Err(USAGE) };
    // It is put in twice: a query in it, nested, would double and double again.
    if !is_constant(length) {
        return Err(USAGE);
    }
    if let Expr::Value(value) = length
        && let Value::SingleQuotedString(text) = &value.value
    {
        text.parse::<Length>()?;
    }
    let (bars, counts) = source(bars)?;
    let n_source = if counts { "sum(n_source)" } else { "count(*)" };
    folded(&bars, length, Shape { n_source, last: IS_COMPLETE }).ok_or(USAGE)
}

/// True for a literal or a parameter, cast or not.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::Interval(interval) => is_constant(&interval.value),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_constant(expr),
        _ => false,
    }
}

/// What the bars are read from, and whether it counts the bars that its own are made of.
fn source(bars: &Expr) -> Result<(TableFactor, bool), MarketError> {
    if let Expr::Subquery(query) = bars {
        return Ok((derived(Query::clone(query)), false));
    }
    if let Expr::Function(function) = bars
        && function.name.to_string().eq_ignore_ascii_case(AS_OF)
        && let FunctionArguments::List(list) = &function.args
    {
        if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(of)), ..] = list.args.as_slice() {
            check(of)?;
        }
        let mut factor = table(function.name.clone()).ok_or(USAGE)?;
        if let TableFactor::Table { args, .. } = &mut factor {
            *args = Some(TableFunctionArgs { args: list.args.clone(), settings: None });
        }
        return Ok((factor, true));
    }
    let is_of_gold = check(bars)?;
    let name = table_name(bars).ok_or(USAGE)?;
    Ok((table(name).ok_or(USAGE)?, is_of_gold))
}

/// Refuses tables of the lake that hold something else than bars of one length; returns whether
/// it is one of those that do, and not a query's name.
fn check(bars: &Expr) -> Result<bool, MarketError> {
    let name = table_name(bars).ok_or(USAGE)?;
    let parts = parts(&name);
    match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["gold", table] | [table] if TABLES.contains(table) => Ok(true),
        // A name of WITH.
        [table] if !crate::schema::TABLES.iter().any(|known| known.name == *table) => Ok(false),
        _ => Err(MarketError::NoBars { table: name.to_string() }),
    }
}

/// The bars of `length` from shorter ones: open is the first, high the highest, low the lowest,
/// close the last, volume the sum of what is known.
pub(super) fn folded(bars: &TableFactor, length: &Expr, shape: Shape) -> Option<Query> {
    let Shape { n_source, last } = shape;
    let sql = format!(
        "SELECT source, symbol, mic, bar_start AS ts_start, bar_end AS ts_end, session_date,
           first_value(open ORDER BY ts_start) AS open, max(high) AS high, min(low) AS low,
           last_value(close ORDER BY ts_start) AS close,
           CAST(sum(volume) AS DECIMAL(20, 4)) AS volume,
           CAST({n_source} AS INTEGER) AS n_source, {last}
         FROM (
           SELECT *, bar_start(__length, ts_start, ts_end) AS bar_start,
             bar_end(__length, ts_start, ts_end) AS bar_end
           FROM __bars) AS placed
         WHERE bar_start IS NOT NULL
         GROUP BY source, symbol, mic, session_date, bar_start, bar_end"
    );
    Template { bars: Some(bars), values: &[("__length", length)] }.fill(&sql)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    #[track_caller]
    fn check(arguments: &str, expected: Result<&str, &str>) {
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(arguments).unwrap();
        let arguments = parser.parse_comma_separated(Parser::parse_expr).unwrap();
        let query = query(&arguments).map(|query| query.to_string());
        match (query, expected) {
            (Ok(sql), Ok(part)) => assert!(sql.contains(part), "no `{part}` in {sql}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "no `{part}` in {error}");
            }
            (query, _) => panic!("{query:?}"),
        }
    }

    #[test]
    fn bars_come_from_tables_functions_and_queries() {
        check("'gold.bar_1m', '15m'", Ok("FROM gold.bar_1m) AS placed"));
        check("gold.bar_1m, '15m'", Ok("bar_start('15m', ts_start, ts_end)"));
        check("'BAR_5m', '1d'", Ok("sum(n_source)"));
        check("as_of('gold.bar_1m', $1), $2", Ok("FROM as_of('gold.bar_1m', $1)) AS placed"));
        check("(select * from mine where symbol = 'A'), '1h'", Ok("(SELECT * FROM mine WHERE"));
        check("mine, '1h'", Ok("count(*)"));
        check(
            "gold.bar_1m, interval '2 hours'",
            Ok("bar_end(INTERVAL '2 hours', ts_start, ts_end)"),
        );
        check("gold.bar_1m, $2::text", Ok("bar_end($2::TEXT, ts_start, ts_end)"));
    }

    #[test]
    fn what_cannot_be_put_together_is_told() {
        check("'silver.bar', '15m'", Err("not of `silver.bar`"));
        check("eod, '15m'", Err("not of `eod`"));
        check("as_of('silver.bar', now()), '15m'", Err("not of `silver.bar`"));
        check("'gold.bar_1m', '15x'", Err("`15x` is no length"));
        check("'gold.bar_1m'", Err("is called as resample('gold.bar_1m', '15m')"));
        check("'gold.bar_1m; drop', '15m'", Err("is called as"));
        check("$1, '15m'", Err("is called as"));
        check("'gold.bar_1m', (select '15m')", Err("is called as"));
        check("'gold.bar_1m', lower('15M')", Err("is called as"));
    }
}
