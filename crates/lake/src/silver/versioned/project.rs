//! Bronze rows in the columns of their silver table, and the reason why a row cannot be there.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Date32Array, Int32Array, StringArray, new_null_array},
    compute::cast,
    record_batch::RecordBatch,
};
use model::Dataset;
use serde::Deserialize;

use crate::{
    Error,
    rows::{Columns, date_of_days, month_key, non_empty},
    schema::{table_def, timestamp},
    silver::source_row::corrupt_reason,
};

/// Returns the rows in the columns of `dataset`'s silver table, all but `revision`.
pub(super) fn project(dataset: Dataset, rows: &RecordBatch) -> Result<RecordBatch, Error> {
    let table = match dataset {
        Dataset::Eod => "eod",
        Dataset::Splits | Dataset::Dividends => "corporate_action",
        Dataset::Exchanges => "exchange",
        Dataset::Tickers | Dataset::Intraday => "instrument",
    };
    let bronze = format!("bronze.{dataset}");
    let columns = Columns::new(&bronze, rows);
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for field in
        table_def("silver", table).schema.fields().iter().filter(|field| field.name() != "revision")
    {
        let array = match derived(dataset, field.name(), &columns, rows)? {
            Some(array) => array,
            None => new_null_array(field.data_type(), rows.num_rows()),
        };
        let array =
            cast(&array, field.data_type()).map_err(|error| wrong(&bronze, &error.to_string()))?;
        fields.push(Arc::clone(field));
        arrays.push(array);
    }
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    RecordBatch::try_new(schema, arrays).map_err(|error| wrong(&bronze, &error.to_string()))
}

/// Returns one silver column made from bronze columns; `None` when this dataset has nothing for it.
fn derived(
    dataset: Dataset,
    name: &str,
    columns: &Columns<'_>,
    rows: &RecordBatch,
) -> Result<Option<ArrayRef>, Error> {
    let take = |name: &str| rows.column_by_name(name).cloned();
    Ok(match (dataset, name) {
        (_, "source") => take("_source"),
        (_, "fetch_id") => take("_fetch_id"),
        (_, "knowledge_from") => {
            take("_ts_fetched").map(|array| cast(&array, &timestamp()).unwrap_or(array))
        }
        (_, "topic_partition") => take("_partition"),
        (_, "topic_offset") => take("_offset"),
        (Dataset::Eod, "mic") => take("exchange"),
        (Dataset::Eod, "session_date") => Some(Arc::new(session_dates(columns)?)),
        (Dataset::Eod, "session_month") => {
            let months: Int32Array = session_dates(columns)?
                .iter()
                .map(|days| days.and_then(date_of_days).map(month_key))
                .collect();
            Some(Arc::new(months))
        }
        (Dataset::Splits, "action") => {
            Some(Arc::new(StringArray::from(vec!["split"; rows.num_rows()])))
        }
        (Dataset::Dividends, "action") => {
            Some(Arc::new(StringArray::from(vec!["dividend"; rows.num_rows()])))
        }
        (Dataset::Splits | Dataset::Dividends, "ex_date") => take("date"),
        (Dataset::Dividends, "frequency") => take("distr_freq"),
        (Dataset::Tickers, "symbol") => Some(Arc::new(ticker_symbols(columns)?)),
        (Dataset::Tickers, "mic") => {
            Some(Arc::new(exchange_field(columns, |exchange| exchange.mic)?))
        }
        (Dataset::Tickers, "exchange") => {
            Some(Arc::new(exchange_field(columns, |exchange| exchange.name)?))
        }
        (_, same) => take(same),
    })
}

/// Returns for each row why it is rejected, or `None`.
pub(crate) fn reasons(dataset: Dataset, rows: &RecordBatch) -> Result<Vec<Option<String>>, Error> {
    let bronze = format!("bronze.{dataset}");
    let columns = Columns::new(&bronze, rows);
    let mut reasons = Vec::with_capacity(rows.num_rows());
    let symbols = match dataset {
        Dataset::Eod | Dataset::Splits | Dataset::Dividends => {
            Some(columns.text("symbol")?.clone())
        }
        Dataset::Tickers => Some(ticker_symbols(&columns)?),
        _ => None,
    };
    for row in 0..rows.num_rows() {
        let corrupt = corrupt_reason(&columns, row)?.map(str::to_owned);
        let reason = match corrupt {
            Some(reason) => Some(reason),
            None if symbols.as_ref().is_some_and(|symbols| non_empty(symbols, row).is_none()) => {
                Some("`symbol` is missing".to_owned())
            }
            None => reason(dataset, &columns, row)?,
        };
        reasons.push(reason);
    }
    Ok(reasons)
}

fn reason(dataset: Dataset, columns: &Columns<'_>, row: usize) -> Result<Option<String>, Error> {
    let found = match dataset {
        Dataset::Eod => {
            let (high, low, close) =
                (columns.decimal("high")?, columns.decimal("low")?, columns.decimal("close")?);
            let volume = columns.decimal("volume")?;
            if columns.moment("date")?.is_null(row) {
                Some("`date` is missing or no date")
            } else if close.is_null(row) {
                Some("`close` is missing or no number")
            } else if [high, low, close]
                .iter()
                .any(|price| !price.is_null(row) && price.value(row) <= 0)
            {
                Some("a price is zero or negative")
            } else if !high.is_null(row) && !low.is_null(row) && high.value(row) < low.value(row) {
                Some("`high` is below `low`")
            } else if !volume.is_null(row) && volume.value(row) < 0 {
                Some("`volume` is negative")
            } else {
                None
            }
        }
        Dataset::Splits | Dataset::Dividends => {
            let value = if dataset == Dataset::Splits { "split_factor" } else { "dividend" };
            if columns.date("date")?.is_null(row) {
                Some("`date` is missing or no date")
            } else if columns.decimal(value)?.is_null(row) {
                Some("the split factor or dividend is missing or no number")
            } else {
                None
            }
        }
        Dataset::Exchanges if non_empty(columns.text("mic")?, row).is_none() => {
            Some("`mic` is missing")
        }
        Dataset::Intraday | Dataset::Tickers | Dataset::Exchanges => None,
    };
    Ok(found.map(str::to_owned))
}

/// An end-of-day row is stamped midnight UTC of its trading day.
fn session_dates(columns: &Columns<'_>) -> Result<Date32Array, Error> {
    let micros_per_day = 86_400_000_000;
    let dates = columns.moment("date")?;
    Ok(dates
        .iter()
        .map(|ts| ts.and_then(|ts| i32::try_from(ts.div_euclid(micros_per_day)).ok()))
        .collect())
}

/// Version 1 of the vendor's API calls the field `symbol`, version 2 `ticker`.
fn ticker_symbols(columns: &Columns<'_>) -> Result<StringArray, Error> {
    let (symbol, ticker) = (columns.text("symbol")?, columns.text("ticker")?);
    Ok((0..symbol.len())
        .map(|row| non_empty(symbol, row).or_else(|| non_empty(ticker, row)))
        .collect())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StockExchange {
    name: Option<String>,
    mic: Option<String>,
}

/// Reads a field of the nested `stock_exchange`, which bronze keeps as JSON text.
fn exchange_field(
    columns: &Columns<'_>,
    field: impl Fn(StockExchange) -> Option<String>,
) -> Result<StringArray, Error> {
    let nested = columns.text("stock_exchange")?;
    Ok((0..nested.len())
        .map(|row| {
            let exchange = non_empty(nested, row)
                .and_then(|text| serde_json::from_str::<StockExchange>(text).ok());
            exchange.and_then(&field)
        })
        .collect())
}

fn wrong(table: &str, problem: &str) -> Error {
    Error::Content { table: table.to_owned(), problem: problem.to_owned() }
}
