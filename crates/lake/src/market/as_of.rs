//! `as_of(table, time)`: the query for a table as it was known at a moment.
//!
//! Silver keeps every revision with the moment from which it was known, so what was known is a
//! question to silver: of each key, the highest revision among those known by then. It reaches back
//! to the first row, unlike the versions of Delta tables, and finds the same whatever was compacted
//! or derived again since. Bars of gold are made of those of silver as `refine` makes them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Value, visit_expressions};
use model::BarInterval;

use super::{
    MarketError,
    expand::{Template, derived, parts, table_name},
    functions::AS_OF,
    resample::{Shape, folded},
};
use crate::{schema::table_def, silver::revision_key};

const USAGE: MarketError = MarketError::Usage {
    function: AS_OF,
    usage: "as_of('silver.bar', TIMESTAMP '2024-03-08 17:00:00+00'): a table, and the moment",
};

/// The tables of silver that have revisions.
const SILVER: [&str; 5] = ["bar", "eod", "corporate_action", "instrument", "exchange"];

/// Returns the query that stands for the function.
pub(super) fn query(arguments: &[Expr]) -> Result<Query, MarketError> {
    let [of, time] = arguments else { return Err(USAGE) };
    // A column would be read as one of the table's own.
    if names_column(time) {
        return Err(USAGE);
    }
    let name = table_name(of).ok_or(USAGE)?;
    let no_past = || MarketError::NoPast { table: name.to_string(), known: known() };
    let parts = parts(&name);
    let query = match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["silver", table] if SILVER.contains(table) => latest(("silver", table), table, time),
        ["gold", "eod"] => latest(("gold", "eod"), "eod", time),
        ["gold", table] => match interval(table) {
            Some(interval) => bars(interval, time),
            None => return Err(no_past()),
        },
        _ => return Err(no_past()),
    };
    query.ok_or(USAGE)
}

/// Whether a moment is told by a column, other than one of a query of its own.
fn names_column(time: &Expr) -> bool {
    let found = visit_expressions(time, |expr| match expr {
        Expr::Subquery(_) => ControlFlow::Break(false),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(true),
        _ => ControlFlow::Continue(()),
    });
    matches!(found, ControlFlow::Break(true))
}

/// The tables that can be asked for.
fn known() -> String {
    let silver = SILVER.map(|table| format!("silver.{table}")).join(", ");
    let gold = BarInterval::GOLD.map(|interval| format!("gold.bar_{interval}")).join(", ");
    format!("{silver}, gold.eod, {gold}")
}

fn interval(table: &str) -> Option<BarInterval> {
    let name = table.strip_prefix("bar_")?;
    BarInterval::GOLD.into_iter().find(|interval| interval.as_str() == name)
}

/// The columns of a table of what was the latest revision of each row of silver.
fn latest((layer, table): (&str, &str), silver: &str, time: &Expr) -> Option<Query> {
    let columns: Vec<String> = table_def(layer, table)
        .schema
        .fields()
        .iter()
        .map(|field| format!("\"{}\"", field.name()))
        .collect();
    let mut key: Vec<String> =
        revision_key(silver).iter().map(|column| format!("\"{column}\"")).collect();
    // It follows from the start of a bar, and spares the engine the files of other dates.
    if silver == "bar" {
        key.push("session_date".to_owned());
    }
    let sql = format!(
        "SELECT {} FROM (
           SELECT *, row_number() OVER (PARTITION BY {} ORDER BY revision DESC) AS place
           FROM silver.{silver} WHERE knowledge_from <= __time) AS known
         WHERE place = 1",
        columns.join(", "),
        key.join(", "),
    );
    Template { bars: None, values: &[("__time", time)] }.fill(&sql)
}

/// The bars of a table of gold, made of the shortest bars that an instrument has on a date, where
/// these can be put together.
fn bars(interval: BarInterval, time: &Expr) -> Option<Query> {
    let known = derived(latest(("silver", "bar"), "bar", time)?);
    let is_multiple = match interval {
        BarInterval::Day1 => "TRUE".to_owned(),
        _ => format!("{} % length = 0", interval.length().num_microseconds()?),
    };
    let sql = format!(
        "SELECT * FROM (
           SELECT *, min(length) OVER (PARTITION BY source, symbol, mic, session_date) AS shortest
           FROM (
             SELECT *, CAST(ts_end AS BIGINT) - CAST(ts_start AS BIGINT) AS length
             FROM __bars) AS measured) AS compared
         WHERE length = shortest AND {is_multiple}
           AND CAST(bar_start('1d', ts_start) AS BIGINT) % length = 0"
    );
    let base = Template { bars: Some(&known), values: &[] }.fill(&sql)?;
    let length = Expr::value(Value::SingleQuotedString(interval.as_str().to_owned()));
    let shape = Shape { n_source: "count(*)", last: "max(revision) AS revision" };
    folded(&derived(base), &length, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Expr {
        Expr::value(Value::SingleQuotedString(text.to_owned()))
    }

    #[test]
    fn every_table_with_a_past_has_a_query() {
        for table in known().split(", ") {
            let query = query(&[text(table), text("2024-03-08")]).unwrap();
            let sql = query.to_string();
            assert!(sql.contains("knowledge_from <= '2024-03-08'"), "{table}: {sql}");
        }
    }

    #[test]
    fn other_tables_are_refused_by_name() {
        for table in ["gold.quote_latest", "gold.bar_10m", "bronze.eod", "bar", "silver.x; select"]
        {
            let error = query(&[text(table), text("2024-03-08")]).unwrap_err();
            assert!(error.to_string().contains("silver.bar"), "{table}: {error}");
        }
        assert_eq!(query(&[text("silver.bar")]), Err(USAGE));
    }
}
