//! silver.bar → gold.quote_latest: the newest price of every instrument.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray},
    error::ArrowError,
    record_batch::RecordBatch,
};
use chrono::NaiveDate;
use model::decimal::{PRICE, VOLUME};

use super::resample::{Instrument, base_series};
use crate::{
    Error,
    rows::{Columns, date_of_days, days_since_epoch, decimal_at, text_or_empty},
    schema::table_def,
    silver::{
        bar::Day,
        series::{Micros, Series},
    },
};

/// The newest price of an instrument and its day so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub price: i128,
    pub open: i128,
    pub high: i128,
    pub low: i128,
    pub previous_close: Option<i128>,
    pub volume: Option<i128>,
    pub ts_quote: Micros,
    pub session_date: NaiveDate,
}

/// Quotes by instrument.
pub(crate) type Quotes = BTreeMap<Instrument, Quote>;

/// Brings `quotes` up to `days`, which are walked from the oldest on. Returns whether any changed.
pub(crate) fn update(quotes: &mut Quotes, days: &BTreeMap<NaiveDate, &Day>) -> bool {
    let mut is_changed = false;
    for (&date, day) in days {
        for (instrument, (_, series)) in base_series(day) {
            let known = quotes.get(&instrument).copied();
            if known.is_some_and(|known| date < known.session_date) {
                continue;
            }
            let Some(quote) = latest(date, series, known.as_ref()) else {
                continue;
            };
            if known != Some(quote) {
                quotes.insert(instrument, quote);
                is_changed = true;
            }
        }
    }
    is_changed
}

/// Returns the quote at the end of a day's series.
///
/// A reading carries the day's values itself. Bars are summed up; their previous close is the
/// price at which the instrument stood before this date.
fn latest(date: NaiveDate, series: &Series, known: Option<&Quote>) -> Option<Quote> {
    let (ts, entry) = series.entries().iter().next_back()?;
    let served = &entry.served;
    if !entry.is_bar {
        return Some(Quote {
            price: entry.bar.close,
            open: served.open,
            high: served.high,
            low: served.low,
            previous_close: served.close,
            volume: served.volume,
            ts_quote: *ts,
            session_date: date,
        });
    }
    let mut bars = series.entries().values().map(|entry| entry.bar);
    let mut day = bars.next()?;
    for bar in bars {
        day.high = day.high.max(bar.high);
        day.low = day.low.min(bar.low);
        day.close = bar.close;
        day.volume = match (day.volume, bar.volume) {
            (Some(sum), Some(volume)) => Some(sum + volume),
            (one, other) => one.or(other),
        };
    }
    let previous_close = known.and_then(|known| {
        if known.session_date == date { known.previous_close } else { Some(known.price) }
    });
    Some(Quote {
        price: day.close,
        open: day.open,
        high: day.high,
        low: day.low,
        previous_close,
        volume: day.volume,
        ts_quote: *ts,
        session_date: date,
    })
}

/// Reads the quotes back from their table.
pub(crate) fn from_rows(rows: &[RecordBatch]) -> Result<Quotes, Error> {
    let mut quotes = Quotes::new();
    for rows in rows {
        let columns = Columns::new("gold.quote_latest", rows);
        let (source, symbol, mic) =
            (columns.text("source")?, columns.text("symbol")?, columns.text("mic")?);
        let price = |name: &str| columns.decimal(name);
        let (now, open, high, low) =
            (price("price")?, price("open")?, price("high")?, price("low")?);
        let (previous_close, volume) = (price("previous_close")?, price("volume")?);
        let (ts_quote, session_date) = (columns.moment("ts_quote")?, columns.date("session_date")?);
        for row in 0..rows.num_rows() {
            let Some(session_date) = date_of_days(session_date.value(row)) else {
                continue;
            };
            let quote = Quote {
                price: now.value(row),
                open: open.value(row),
                high: high.value(row),
                low: low.value(row),
                previous_close: decimal_at(previous_close, row),
                volume: decimal_at(volume, row),
                ts_quote: ts_quote.value(row),
                session_date,
            };
            let instrument = Instrument {
                source: text_or_empty(source, row).to_owned(),
                symbol: text_or_empty(symbol, row).to_owned(),
                mic: text_or_empty(mic, row).to_owned(),
            };
            quotes.insert(instrument, quote);
        }
    }
    Ok(quotes)
}

/// Returns the quotes as rows of their table.
pub(crate) fn to_rows(quotes: &Quotes) -> Result<RecordBatch, Error> {
    let text = |field: fn(&Instrument) -> &str| -> ArrayRef {
        Arc::new(quotes.keys().map(|instrument| Some(field(instrument))).collect::<StringArray>())
    };
    let decimal = |field: fn(&Quote) -> Option<i128>,
                   kind: model::decimal::DecimalType|
     -> Result<ArrayRef, ArrowError> {
        let column: Decimal128Array = quotes.values().map(field).collect();
        Ok(Arc::new(column.with_precision_and_scale(kind.precision, kind.scale)?))
    };
    let times: Vec<Micros> = quotes.values().map(|quote| quote.ts_quote).collect();
    let dates: Vec<i32> =
        quotes.values().map(|quote| days_since_epoch(quote.session_date)).collect();
    let build = || -> Result<RecordBatch, ArrowError> {
        let columns = vec![
            text(|instrument| &instrument.source),
            text(|instrument| &instrument.symbol),
            text(|instrument| &instrument.mic),
            decimal(|quote| Some(quote.price), PRICE)?,
            decimal(|quote| Some(quote.open), PRICE)?,
            decimal(|quote| Some(quote.high), PRICE)?,
            decimal(|quote| Some(quote.low), PRICE)?,
            decimal(|quote| quote.previous_close, PRICE)?,
            decimal(|quote| quote.volume, VOLUME)?,
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef,
            Arc::new(Date32Array::from(dates)),
        ];
        RecordBatch::try_new(Arc::clone(&table_def("gold", "quote_latest").schema), columns)
    };
    build().map_err(|error| Error::Content {
        table: "gold.quote_latest".to_owned(),
        problem: error.to_string(),
    })
}
