//! A bronze row on its way to silver: read, checked, and either usable or rejected with a reason.

use arrow::{array::Array, record_batch::RecordBatch};
use chrono::NaiveDate;
use model::{
    BarInterval,
    session::{self, SessionPart},
};

use super::series::{Micros, PriceSource, Served};
use crate::{
    Error,
    rows::{Columns, decimal_at, long_at, moment_at, non_empty, text_or_empty, utc},
};

/// Where a row came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub fetch_id: i64,
    pub ts_fetched: Option<Micros>,
    pub partition: i32,
    pub offset: i64,
}

/// What a series of bars is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeriesKey {
    pub source: String,
    pub symbol: String,
    pub mic: String,
    pub interval: BarInterval,
}

/// A usable intraday row.
#[derive(Clone, Debug)]
pub(crate) struct IntradayRow {
    pub key: SeriesKey,
    pub ts_start: Micros,
    pub session_date: NaiveDate,
    pub session_part: SessionPart,
    pub served: Served,
    pub origin: Origin,
}

/// Returns the rows of a version in topic order: partition, then offset.
///
/// Data files are split by date, so file order alone would let a row of the evening overtake one
/// of the afternoon.
pub(crate) fn topic_order(table: &str, rows: &RecordBatch) -> Result<Vec<usize>, Error> {
    let columns = Columns::new(table, rows);
    let (partition, offset) = (columns.int("_partition")?, columns.long("_offset")?);
    let mut order: Vec<usize> = (0..rows.num_rows()).collect();
    order.sort_by_key(|&row| (partition.value(row), offset.value(row)));
    Ok(order)
}

/// Returns where every row came from.
pub(crate) fn origins(table: &str, rows: &RecordBatch) -> Result<Vec<Origin>, Error> {
    let columns = Columns::new(table, rows);
    let (partition, offset) = (columns.int("_partition")?, columns.long("_offset")?);
    let (fetch_id, ts_fetched) = (columns.long("_fetch_id")?, columns.moment("_ts_fetched")?);
    Ok((0..rows.num_rows())
        .map(|row| Origin {
            fetch_id: long_at(fetch_id, row).unwrap_or_default(),
            ts_fetched: moment_at(ts_fetched, row),
            partition: if partition.is_null(row) { 0 } else { partition.value(row) },
            offset: long_at(offset, row).unwrap_or_default(),
        })
        .collect())
}

/// Returns the reason why the loader could not read the line at all, for rows where it could not.
pub(crate) fn corrupt_reason<'a>(
    columns: &Columns<'a>,
    row: usize,
) -> Result<Option<&'a str>, Error> {
    Ok(non_empty(columns.text("_corrupt_reason")?, row))
}

/// Reads and checks every intraday row of a batch; rejects come with their reason.
pub(crate) fn intraday_rows(
    table: &str,
    rows: &RecordBatch,
) -> Result<Vec<Result<IntradayRow, String>>, Error> {
    let columns = Columns::new(table, rows);
    let origins = origins(table, rows)?;
    let (source, interval) = (columns.text("_source")?, columns.text("_interval")?);
    let (symbol, exchange, date) =
        (columns.text("symbol")?, columns.text("exchange")?, columns.moment("date")?);
    let price = |name: &str| columns.decimal(name);
    let (open, high, low, close) = (price("open")?, price("high")?, price("low")?, price("close")?);
    let (last, marketstack_last, volume) =
        (price("last")?, price("marketstack_last")?, price("volume")?);
    let mut checked = Vec::with_capacity(rows.num_rows());
    for (row, origin) in origins.into_iter().enumerate() {
        if let Some(reason) = corrupt_reason(&columns, row)? {
            checked.push(Err(reason.to_owned()));
            continue;
        }
        let fields = IntradayFields {
            symbol: text_or_empty(symbol, row),
            interval: text_or_empty(interval, row),
            date: moment_at(date, row),
            open: decimal_at(open, row),
            high: decimal_at(high, row),
            low: decimal_at(low, row),
            close: decimal_at(close, row),
            last: decimal_at(last, row),
            marketstack_last: decimal_at(marketstack_last, row),
            volume: decimal_at(volume, row),
        };
        checked.push(check(&fields).map(
            |(interval, ts_start, session_date, session_part, served)| IntradayRow {
                key: SeriesKey {
                    source: text_or_empty(source, row).to_owned(),
                    symbol: fields.symbol.to_owned(),
                    mic: text_or_empty(exchange, row).to_owned(),
                    interval,
                },
                ts_start,
                session_date,
                session_part,
                served,
                origin,
            },
        ));
    }
    Ok(checked)
}

struct IntradayFields<'a> {
    symbol: &'a str,
    interval: &'a str,
    date: Option<Micros>,
    open: Option<i128>,
    high: Option<i128>,
    low: Option<i128>,
    close: Option<i128>,
    last: Option<i128>,
    marketstack_last: Option<i128>,
    volume: Option<i128>,
}

type Checked = (BarInterval, Micros, NaiveDate, SessionPart, Served);

/// Decides whether a row can become a bar. Depends on the row alone, never on other rows.
fn check(fields: &IntradayFields<'_>) -> Result<Checked, String> {
    if fields.symbol.is_empty() {
        return Err("`symbol` is missing".to_owned());
    }
    let ts_start = fields.date.ok_or("`date` is missing or no time")?;
    let ts = utc(ts_start).ok_or("`date` is out of range")?;
    let interval = BarInterval::from_vendor_name(fields.interval)
        .ok_or_else(|| format!("interval `{}` is unknown", fields.interval))?;
    let (price, price_source) = match (fields.marketstack_last, fields.last) {
        (Some(price), _) => (Some(price), PriceSource::MarketstackLast),
        (None, Some(price)) => (Some(price), PriceSource::Last),
        (None, None) => (None, PriceSource::Close),
    };
    let now = price
        .or(fields.close)
        .ok_or("no price: `marketstack_last`, `last` and `close` are all null")?;
    let (Some(open), Some(high), Some(low)) = (fields.open, fields.high, fields.low) else {
        return Err("`open`, `high` or `low` is missing or no number".to_owned());
    };
    if high < low {
        return Err("`high` is below `low`".to_owned());
    }
    if [now, open, low].into_iter().any(|price| price <= 0) {
        return Err("a price is zero or negative".to_owned());
    }
    if fields.volume.is_some_and(|volume| volume < 0) {
        return Err("`volume` is negative".to_owned());
    }
    let part = session::session_part(ts);
    if part == SessionPart::Closed {
        return Err("outside the exchange's trading hours".to_owned());
    }
    // A row may start in one part and reach into the next; it belongs to where it starts.
    let served =
        Served { open, high, low, close: fields.close, price, volume: fields.volume, price_source };
    Ok((interval, ts_start, session::trading_date(ts), part, served))
}

/// Returns the end of a bar.
pub(crate) fn ts_end(ts_start: Micros, interval: BarInterval) -> Micros {
    ts_start.saturating_add(interval.length().num_microseconds().unwrap_or(i64::MAX))
}
