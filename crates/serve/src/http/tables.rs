//! The questions the API asks of gold and silver, built from expressions, never from text.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};
use lake::{
    arrow::array::RecordBatch,
    datafusion::{
        common::{JoinType, ScalarValue, TableReference},
        prelude::{DataFrame, Expr, SessionContext, col, lit},
    },
};
use model::{BarInterval, session::trading_date};

use super::{
    params::TimeRange,
    rows::{Columns, text_at},
    wire::{Bar, Percent, Quote, SymbolRow},
};
use crate::Error;

const CATALOG: &str = "marketlake";
const QUOTES: &str = "gold.quote_latest";
const INSTRUMENTS: &str = "silver.instrument";

/// Most listings in one answer: all of XNYS and XNAS are about 8,000.
const LISTINGS_MAX: usize = 20_000;

/// Days that a look back covers beyond what a full week of sessions would need: holidays, and
/// symbols that do not trade in every minute. A miss costs one more query, never a bar.
const LOOK_BACK_SPARE_DAYS: u64 = 10;

/// One symbol of one exchange, as one source serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    source: String,
    symbol: String,
    mic: Option<String>,
    /// The newest session with data.
    session_date: NaiveDate,
}

/// Returns the newest reading of each listing, by symbol.
pub(super) async fn quotes(
    ctx: &SessionContext,
    symbols: Option<&BTreeSet<String>>,
) -> Result<Vec<Quote>, Error> {
    let Some(frame) = table(ctx, QUOTES).await? else {
        return Ok(Vec::new());
    };
    let frame = match symbols {
        Some(symbols) => {
            let list = symbols.iter().map(|symbol| lit(symbol.as_str())).collect();
            frame.filter(col("symbol").in_list(list, false)).map_err(Error::query(QUOTES))?
        }
        None => frame,
    };
    let frame = frame.limit(0, Some(LISTINGS_MAX)).map_err(Error::query(QUOTES))?;
    let mut newest: BTreeMap<(String, String), Quote> = BTreeMap::new();
    for rows in collect(frame, QUOTES).await? {
        for quote in read_quotes(&rows)? {
            // Two sources may serve the same listing; people want the newer reading.
            let key = (quote.symbol.clone(), quote.mic.clone());
            let is_newer = newest.get(&key).is_none_or(|known| known.ts_quote < quote.ts_quote);
            if is_newer {
                newest.insert(key, quote);
            }
        }
    }
    Ok(newest.into_values().collect())
}

/// Returns the watchlist: the newest reading of each listing, its change and its name.
pub(super) async fn symbols(ctx: &SessionContext) -> Result<Vec<SymbolRow>, Error> {
    let quotes = quotes(ctx, None).await?;
    let names = names(ctx).await?;
    let rows = quotes.into_iter().map(|quote| {
        let change = quote
            .previous_close
            .and_then(|base| quote.price.0.checked_sub(base.0))
            .map(super::wire::Price);
        let change_percent =
            quote.previous_close.and_then(|base| Percent::change(quote.price, base));
        SymbolRow {
            name: names.get(&quote.symbol).cloned(),
            symbol: quote.symbol,
            mic: quote.mic,
            price: Some(quote.price),
            change,
            change_percent,
            volume: quote.volume,
            ts_quote: Some(quote.ts_quote),
        }
    });
    Ok(rows.collect())
}

/// Returns where `symbol` is listed: the listing with the newest reading, or else any that has
/// bars of `interval`. `None` when there is none.
pub(super) async fn listing(
    ctx: &SessionContext,
    symbol: &str,
    interval: BarInterval,
) -> Result<Option<Listing>, Error> {
    let bars = bar_table(interval);
    for (name, ts) in [(QUOTES, "ts_quote"), (bars.as_str(), "ts_start")] {
        let Some(frame) = table(ctx, name).await? else {
            continue;
        };
        let newest = frame
            .filter(col("symbol").eq(lit(symbol)))
            .and_then(|frame| frame.sort(vec![col(ts).sort(false, false)]))
            .and_then(|frame| frame.limit(0, Some(1)))
            .and_then(|frame| {
                let names = ["source", "symbol", "mic", "session_date"];
                frame.select(names.into_iter().map(col).collect::<Vec<Expr>>())
            })
            .map_err(Error::query(name))?;
        for rows in collect(newest, name).await? {
            if rows.num_rows() != 0 {
                return read_listing(name, &rows).map(Some);
            }
        }
    }
    Ok(None)
}

/// Returns the newest `limit` bars of `listing` in `range`, oldest first.
///
/// Without `from`, the whole history would be sorted for its newest bars. The sessions that are
/// enough for a symbol that trades all the time are read first, and what lies before them only
/// when they were not enough; both looks read only the files of their session dates.
pub(super) async fn bars(
    ctx: &SessionContext,
    listing: &Listing,
    interval: BarInterval,
    range: TimeRange,
    limit: usize,
) -> Result<Vec<Bar>, Error> {
    let floor = match range.from {
        Some(from) => {
            let first = trading_date(from);
            return read_bars(ctx, listing, interval, range, (Some(first), None), limit).await;
        }
        None => look_back(listing, interval, range.to, limit),
    };
    let mut newest = read_bars(ctx, listing, interval, range, (floor, None), limit).await?;
    if floor.is_none() || limit <= newest.len() {
        return Ok(newest);
    }
    let missing = limit - newest.len();
    let mut older = read_bars(ctx, listing, interval, range, (None, floor), missing).await?;
    older.append(&mut newest);
    Ok(older)
}

/// The session date from which on `limit` bars are likely to lie.
fn look_back(
    listing: &Listing,
    interval: BarInterval,
    to: Option<DateTime<Utc>>,
    limit: usize,
) -> Option<NaiveDate> {
    let last = to.map_or(listing.session_date, |to| trading_date(to).min(listing.session_date));
    let sessions = u64::try_from(limit).ok()?.div_ceil(bars_per_session(interval));
    // A year of 365 days has about 252 sessions, a little more than two in three.
    last.checked_sub_days(Days::new(sessions * 3 / 2 + LOOK_BACK_SPARE_DAYS))
}

/// Bars in a regular session of 390 minutes, the last one cut at the close.
const fn bars_per_session(interval: BarInterval) -> u64 {
    match interval {
        BarInterval::Minute1 => 390,
        BarInterval::Minute5 => 78,
        BarInterval::Minute10 => 39,
        BarInterval::Minute15 => 26,
        BarInterval::Minute30 => 13,
        BarInterval::Hour1 => 7,
        BarInterval::Day1 => 1,
    }
}

/// Reads bars whose session lies in `[sessions.0, sessions.1)` as well as in `range`.
async fn read_bars(
    ctx: &SessionContext,
    listing: &Listing,
    interval: BarInterval,
    range: TimeRange,
    sessions: (Option<NaiveDate>, Option<NaiveDate>),
    limit: usize,
) -> Result<Vec<Bar>, Error> {
    let name = bar_table(interval);
    let Some(frame) = table(ctx, &name).await? else {
        return Ok(Vec::new());
    };
    let is_mic = match &listing.mic {
        Some(mic) => col("mic").eq(lit(mic.as_str())),
        None => col("mic").is_null(),
    };
    let mut wanted = col("symbol")
        .eq(lit(listing.symbol.as_str()))
        .and(is_mic)
        .and(col("source").eq(lit(listing.source.as_str())));
    if let Some(from) = range.from {
        wanted = wanted.and(col("ts_start").gt_eq(moment(from)));
    }
    if let Some(to) = range.to {
        wanted = wanted.and(col("ts_start").lt(moment(to)));
        wanted = wanted.and(col("session_date").lt_eq(date(trading_date(to))));
    }
    if let Some(first) = sessions.0 {
        wanted = wanted.and(col("session_date").gt_eq(date(first)));
    }
    if let Some(end) = sessions.1 {
        wanted = wanted.and(col("session_date").lt(date(end)));
    }
    let frame = frame
        .filter(wanted)
        .and_then(|frame| frame.sort(vec![col("ts_start").sort(false, false)]))
        .and_then(|frame| frame.limit(0, Some(limit)))
        .map_err(Error::query(name.as_str()))?;
    let mut bars = Vec::new();
    for rows in collect(frame, &name).await? {
        bars.extend(read_bar_rows(&name, &rows)?);
    }
    bars.sort_by_key(|bar| bar.ts_start);
    Ok(bars)
}

fn bar_table(interval: BarInterval) -> String {
    format!("gold.bar_{interval}")
}

/// Returns the names the vendor gives to the symbols that have quotes.
async fn names(ctx: &SessionContext) -> Result<BTreeMap<String, String>, Error> {
    let (Some(instruments), Some(quotes)) =
        (table(ctx, INSTRUMENTS).await?, table(ctx, QUOTES).await?)
    else {
        return Ok(BTreeMap::new());
    };
    // The vendor knows many more instruments than anybody polls.
    let frame = instruments
        .filter(col("name").is_not_null())
        .and_then(|frame| frame.select(vec![col("symbol"), col("name"), col("fetch_id")]))
        .and_then(|frame| {
            let quoted = quotes.select(vec![col("symbol").alias("quoted")])?;
            frame.join(quoted, JoinType::LeftSemi, &["symbol"], &["quoted"], None)
        })
        // The order of knowledge: a later name replaces an earlier one below.
        .and_then(|frame| frame.sort(vec![col("fetch_id").sort(true, true)]))
        .and_then(|frame| frame.limit(0, Some(LISTINGS_MAX)))
        .map_err(Error::query(INSTRUMENTS))?;
    let mut names = BTreeMap::new();
    for rows in collect(frame, INSTRUMENTS).await? {
        let columns = Columns::new(INSTRUMENTS, &rows);
        let (symbol, name) = (columns.text("symbol")?, columns.text("name")?);
        for row in 0..rows.num_rows() {
            if let (Some(symbol), Some(name)) = (text_at(&symbol, row), text_at(&name, row)) {
                names.insert(symbol, name);
            }
        }
    }
    Ok(names)
}

/// Returns the table, or `None` before anything was written to it: a lake that is still empty
/// answers with empty lists.
async fn table(ctx: &SessionContext, name: &str) -> Result<Option<DataFrame>, Error> {
    let reference = TableReference::from(name);
    let is_known = reference.schema().is_some_and(|layer| {
        ctx.catalog(CATALOG)
            .and_then(|catalog| catalog.schema(layer))
            .is_some_and(|schema| schema.table_exist(reference.table()))
    });
    if !is_known {
        return Ok(None);
    }
    ctx.table(reference).await.map(Some).map_err(Error::query(name))
}

async fn collect(frame: DataFrame, name: &str) -> Result<Vec<RecordBatch>, Error> {
    frame.collect().await.map_err(Error::query(name))
}

fn moment(ts: DateTime<Utc>) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(ts.timestamp_micros()), Some("UTC".into())))
}

fn date(date: NaiveDate) -> Expr {
    let days = (date - NaiveDate::default()).num_days();
    lit(ScalarValue::Date32(i32::try_from(days).ok()))
}

fn read_quotes(rows: &RecordBatch) -> Result<Vec<Quote>, Error> {
    let columns = Columns::new(QUOTES, rows);
    let (symbol, mic) = (columns.text("symbol")?, columns.text("mic")?);
    let (price, open) = (columns.prices("price")?, columns.prices("open")?);
    let (high, low) = (columns.prices("high")?, columns.prices("low")?);
    let (previous_close, volume) = (columns.prices("previous_close")?, columns.volumes("volume")?);
    let (ts_quote, session_date) = (columns.moments("ts_quote")?, columns.dates("session_date")?);
    let read = |row| {
        Ok(Quote {
            symbol: text_at(&symbol, row).ok_or_else(|| columns.shape("symbol"))?,
            mic: text_at(&mic, row).unwrap_or_default(),
            price: price.get(row).ok_or_else(|| columns.shape("price"))?,
            open: open.get(row),
            high: high.get(row),
            low: low.get(row),
            previous_close: previous_close.get(row),
            volume: volume.get(row),
            ts_quote: ts_quote.get(row).ok_or_else(|| columns.shape("ts_quote"))?,
            session_date: session_date.get(row).ok_or_else(|| columns.shape("session_date"))?,
        })
    };
    (0..rows.num_rows()).map(read).collect()
}

fn read_listing(name: &str, rows: &RecordBatch) -> Result<Listing, Error> {
    let columns = Columns::new(name, rows);
    let first = |column| {
        let values = columns.text(column)?;
        text_at(&values, 0).ok_or_else(|| columns.shape(column))
    };
    Ok(Listing {
        source: first("source")?,
        symbol: first("symbol")?,
        mic: text_at(&columns.text("mic")?, 0),
        session_date: columns
            .dates("session_date")?
            .get(0)
            .ok_or_else(|| columns.shape("session_date"))?,
    })
}

fn read_bar_rows(name: &str, rows: &RecordBatch) -> Result<Vec<Bar>, Error> {
    let columns = Columns::new(name, rows);
    let (ts_start, ts_end) = (columns.moments("ts_start")?, columns.moments("ts_end")?);
    let (open, high) = (columns.prices("open")?, columns.prices("high")?);
    let (low, close) = (columns.prices("low")?, columns.prices("close")?);
    let (volume, revision) = (columns.volumes("volume")?, columns.integers("revision")?);
    let read = |row| {
        Ok(Bar {
            ts_start: ts_start.get(row).ok_or_else(|| columns.shape("ts_start"))?,
            ts_end: ts_end.get(row).ok_or_else(|| columns.shape("ts_end"))?,
            open: open.get(row).ok_or_else(|| columns.shape("open"))?,
            high: high.get(row).ok_or_else(|| columns.shape("high"))?,
            low: low.get(row).ok_or_else(|| columns.shape("low"))?,
            close: close.get(row).ok_or_else(|| columns.shape("close"))?,
            volume: volume.get(row),
            revision: revision.value(row),
        })
    };
    (0..rows.num_rows()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_back_covers_the_sessions_that_the_bars_need() {
        let session_date = NaiveDate::from_ymd_opt(2026, 1, 30).unwrap();
        let listing =
            Listing { source: "s".to_owned(), symbol: "A".to_owned(), mic: None, session_date };
        for interval in BarInterval::GOLD {
            for limit in [1, 390, 1_000, 10_000] {
                let floor = look_back(&listing, interval, None, limit).unwrap();
                let sessions = model::session::Session::between(floor, session_date).count();
                let bars = u64::try_from(sessions).unwrap() * bars_per_session(interval);
                assert!(u64::try_from(limit).unwrap() <= bars, "{interval} {limit}: {bars}");
            }
        }
    }
}
