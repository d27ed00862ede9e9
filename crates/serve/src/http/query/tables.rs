//! A download of one table: the filters of the JSON endpoints become a statement.

use chrono::{DateTime, SecondsFormat, Utc};
use lake::bi;

use crate::http::{
    params::{Params, TimeRange},
    reply::{Refusal, echo},
};

/// The columns that can say when a row is of, the most telling first.
const TIMES: [&str; 7] =
    ["ts_start", "ts_quote", "ts", "session_date", "date", "ts_fetched", "_ts_fetched"];

/// What is wanted of a table. Its parts are of types that hold no quote: names that are known, symbols
/// that were checked, times that are written here.
#[derive(Debug)]
pub(super) struct Wanted {
    schema: String,
    table: String,
    symbols: Vec<String>,
    range: TimeRange,
}

impl Wanted {
    pub(super) fn new(name: &str, params: &Params) -> Result<Self, Refusal> {
        let known = name.split_once('.').filter(|(schema, table)| is_known(schema, table));
        let (schema, table) = known.ok_or_else(|| unknown(name))?;
        Ok(Self {
            schema: schema.to_owned(),
            table: table.to_owned(),
            symbols: params.symbols()?.into_iter().flatten().collect(),
            range: params.range()?,
        })
    }

    /// Schema and table, joined by a dot.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// A statement that has the columns, and no rows.
    pub(super) fn look(&self) -> String {
        format!("{} limit 0", self.all())
    }

    /// The statement, given the columns' names and types.
    pub(super) fn sql<'a>(
        &self,
        columns: impl Iterator<Item = (&'a str, &'static str)>,
    ) -> Result<String, Refusal> {
        let columns: Vec<_> = columns.collect();
        let mut conditions = Vec::new();
        if !self.symbols.is_empty() {
            if !columns.iter().any(|(name, _)| *name == "symbol") {
                return Err(self.no_filter("symbols", "symbol"));
            }
            let list: Vec<_> = self.symbols.iter().map(|symbol| format!("'{symbol}'")).collect();
            conditions.push(format!("symbol in ({})", list.join(", ")));
        }
        let bounds = [("from", ">=", self.range.from), ("to", "<", self.range.to)];
        for (parameter, sign, ts) in bounds {
            let Some(ts) = ts else { continue };
            let time = TIMES.iter().find_map(|time| columns.iter().find(|(name, _)| name == time));
            let (column, kind) = time.ok_or_else(|| self.no_filter(parameter, "time"))?;
            conditions.push(format!("\"{column}\" {sign} {}", literal(ts, kind)));
        }
        if conditions.is_empty() {
            return Ok(self.all());
        }
        Ok(format!("{} where {}", self.all(), conditions.join(" and ")))
    }

    fn all(&self) -> String {
        format!("select * from \"{}\".\"{}\"", self.schema, self.table)
    }

    fn no_filter(&self, parameter: &str, column: &str) -> Refusal {
        let message =
            format!("`{}` has no column for `{parameter}`, such as a {column}", self.name());
        Refusal::new(axum::http::StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }
}

/// What is said of a table that is not there, or not for whoever asks.
pub(super) fn unknown(name: &str) -> Refusal {
    let message = format!(
        "there is no table `{}`; `select table_schema, table_name from information_schema.tables` \
         lists what there is",
        echo(name)
    );
    Refusal::new(axum::http::StatusCode::NOT_FOUND, "not_found", message)
}

fn is_known(schema: &str, table: &str) -> bool {
    if schema == bi::SCHEMA {
        return bi::view(table).is_some();
    }
    lake::table_names().any(|name| name.split_once('.') == Some((schema, table)))
}

/// A moment as the column's type has it; a date is that of the moment in UTC.
fn literal(ts: DateTime<Utc>, kind: &str) -> String {
    match kind {
        "date" => format!("date '{}'", ts.date_naive()),
        "timestamp without time zone" => {
            format!("timestamp '{}'", ts.naive_utc().format("%Y-%m-%d %H:%M:%S%.f"))
        }
        _ => format!("timestamptz '{}'", ts.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARS: [(&str, &str); 3] =
        [("symbol", "text"), ("ts_start", "timestamp with time zone"), ("session_date", "date")];

    fn sql(
        table: &str,
        query: &str,
        columns: &[(&'static str, &'static str)],
    ) -> Result<String, Refusal> {
        let wanted = Wanted::new(table, &Params::parse(query))?;
        wanted.sql(columns.iter().copied())
    }

    #[test]
    fn filters_become_conditions_on_the_columns_there_are() {
        let all = "select * from \"gold\".\"bar_1m\"";
        assert_eq!(sql("gold.bar_1m", "", &BARS).unwrap(), all);
        let query = "symbols=BRK.B,AAPL&from=2026-01-05&to=2026-01-06T14:30:00%2B01:00";
        let where_ = "symbol in ('AAPL', 'BRK.B') and \"ts_start\" >= timestamptz \
                      '2026-01-05T00:00:00Z' and \"ts_start\" < timestamptz '2026-01-06T13:30:00Z'";
        assert_eq!(sql("gold.bar_1m", query, &BARS).unwrap(), format!("{all} where {where_}"));
        let dated = sql("bi.bars_daily", "from=2026-01-05", &[("date", "date")]).unwrap();
        assert!(dated.ends_with("where \"date\" >= date '2026-01-05'"), "{dated}");
        let naive = [("ts", "timestamp without time zone")];
        let naive = sql("bi.bars_1m", "to=2026-01-05T14:30:00.25Z", &naive).unwrap();
        assert!(naive.ends_with("< timestamp '2026-01-05 14:30:00.250'"), "{naive}");
    }

    #[test]
    fn a_filter_that_a_table_cannot_have_is_refused() {
        for query in ["symbols=AAPL", "from=2026-01-05", "to=2026-01-05"] {
            assert!(sql("silver.instrument", query, &[("name", "text")]).is_err(), "{query}");
        }
    }

    #[test]
    fn only_tables_that_are_known_are_asked_for() {
        for name in ["gold.nothing", "bar_1m", "bi.", "pg_catalog.pg_class", "a\"; select '.b", ""]
        {
            assert!(sql(name, "", &BARS).is_err(), "{name:?}");
        }
    }
}
