//! The views one by one: columns, keys and the query of each.

use super::{
    ForeignKey,
    Kind::{self, BigInt, Date, Double, Integer, Price, Text, Timestamp, Volume},
    View, ViewColumn,
};

const TO_SYMBOL: ForeignKey =
    ForeignKey { column: "symbol", parent: "dim_symbol", parent_column: "symbol" };
const TO_DATE: ForeignKey =
    ForeignKey { column: "date", parent: "dim_date", parent_column: "date" };

const fn column(name: &'static str, kind: Kind, comment: &'static str) -> ViewColumn {
    ViewColumn { name, kind, comment }
}

pub(super) fn all() -> Vec<View> {
    vec![dim_symbol(), dim_date(), bars_daily(), bars_1m(), quotes_latest(), coverage(), quality()]
}

/// Which feed and market a symbol's minutes are taken from on a date: those with the most bars.
/// `gold.bar_1d` has one row for each, so this costs little.
const LISTING: &str = "\
listing AS (
  SELECT source, symbol, mic, session_date FROM (
    SELECT source, symbol, mic, session_date, row_number() OVER (
      PARTITION BY symbol, session_date ORDER BY n_source DESC, source DESC, mic) AS place
    FROM gold.bar_1d)
  WHERE place = 1)";

fn dim_symbol() -> View {
    View {
        name: "dim_symbol",
        comment: "One row per symbol",
        columns: const {
            &[
                column("symbol", Text, "ticker in the vendor's spelling"),
                column("mic", Text, "code of the market (ISO 10383) on its last date"),
                column("name", Text, "where the vendor's tickers are polled"),
                column("first_date", Date, ""),
                column("last_date", Date, ""),
            ]
        },
        primary_key: &["symbol"],
        foreign_keys: &[],
        sql: "\
WITH seen AS (
  SELECT symbol, mic, source, session_date FROM gold.bar_1d
  UNION ALL SELECT symbol, mic, source, session_date FROM gold.eod
  UNION ALL SELECT symbol, mic, source, session_date FROM gold.quote_latest),
symbols AS (
  SELECT symbol, first_value(mic ORDER BY session_date DESC, source DESC, mic) AS mic,
    min(session_date) AS first_date, max(session_date) AS last_date
  FROM seen GROUP BY symbol),
names AS (
  SELECT symbol, first_value(name ORDER BY knowledge_from DESC, revision DESC, source) AS name
  FROM silver.instrument WHERE name IS NOT NULL GROUP BY symbol)
SELECT symbols.symbol, mic, name, first_date, last_date
FROM symbols LEFT JOIN names ON names.symbol = symbols.symbol"
            .to_owned(),
    }
}

fn dim_date() -> View {
    View {
        name: "dim_date",
        comment: "Every day from the first to the last date of the lake, without gaps",
        columns: const {
            &[
                column("date", Date, ""),
                column("year", Integer, ""),
                column("quarter", Integer, ""),
                column("month", Integer, ""),
                column("month_name", Text, ""),
                column("year_month", Integer, "yyyymm"),
                column("week", Integer, "ISO week"),
                column("day", Integer, "day of the month"),
                column("weekday", Integer, "1 is Monday"),
                column("weekday_name", Text, ""),
            ]
        },
        primary_key: &["date"],
        foreign_keys: &[],
        // Bars are partitioned by date: their dates are known without opening a file.
        sql: "\
WITH dates AS (
  SELECT session_date FROM gold.bar_1d
  UNION ALL SELECT session_date FROM silver.bar
  UNION ALL SELECT session_date FROM gold.eod
  UNION ALL SELECT session_date FROM silver.eod
  UNION ALL SELECT session_date FROM gold.quote_latest),
span AS (SELECT min(session_date) AS first_date, max(session_date) AS last_date FROM dates),
days AS (
  SELECT unnest(generate_series(first_date, last_date, INTERVAL '1 day')) AS date
  FROM span WHERE first_date IS NOT NULL)
SELECT date, date_part('year', date) AS year, date_part('quarter', date) AS quarter,
  date_part('month', date) AS month, to_char(date, '%B') AS month_name,
  date_part('year', date) * 100 + date_part('month', date) AS year_month,
  date_part('week', date) AS week, date_part('day', date) AS day,
  date_part('isodow', date) AS weekday, to_char(date, '%A') AS weekday_name
FROM days"
            .to_owned(),
    }
}

fn bars_daily() -> View {
    View {
        name: "bars_daily",
        comment: "One bar per symbol and trading date: the vendor's end-of-day bar where the lake \
                  has it, else made of the day's bars so far",
        columns: const {
            &[
                column("symbol", Text, ""),
                column("date", Date, "trading date"),
                column("open", Price, ""),
                column("high", Price, ""),
                column("low", Price, ""),
                column("close", Price, "not adjusted for splits and dividends"),
                column("volume", Volume, ""),
                column("previous_close", Price, "close of the symbol's bar before"),
                column("change", Price, "close less previous_close"),
                column("change_percent", Double, ""),
            ]
        },
        primary_key: &["symbol", "date"],
        foreign_keys: &[TO_SYMBOL, TO_DATE],
        sql: "\
WITH bars AS (
  SELECT 1 AS preference, 1 AS n_source, source, symbol, mic, session_date,
    open, high, low, close, volume FROM gold.eod
  UNION ALL
  SELECT 2 AS preference, n_source, source, symbol, mic, session_date,
    open, high, low, close, volume FROM gold.bar_1d),
daily AS (
  SELECT symbol, session_date, open, high, low, close, volume FROM (
    SELECT *, row_number() OVER (PARTITION BY symbol, session_date
      ORDER BY preference, n_source DESC, source DESC, mic) AS place
    FROM bars)
  WHERE place = 1),
compared AS (
  SELECT *, lag(close) OVER (PARTITION BY symbol ORDER BY session_date) AS previous_close
  FROM daily)
SELECT symbol, session_date AS date, open, high, low, close, volume, previous_close,
  close - previous_close AS change,
  100 * CAST(close - previous_close AS DOUBLE) / nullif(CAST(previous_close AS DOUBLE), 0)
    AS change_percent
FROM compared"
            .to_owned(),
    }
}

fn bars_1m() -> View {
    View {
        name: "bars_1m",
        comment: "One bar per symbol and minute of the regular session",
        columns: const {
            &[
                column("symbol", Text, ""),
                column("ts", Timestamp, "start of the minute, UTC"),
                column("date", Date, "trading date"),
                column("hour", Integer, "of ts, UTC"),
                column("minute", Integer, "of ts"),
                column("open", Price, ""),
                column("high", Price, ""),
                column("low", Price, ""),
                column("close", Price, ""),
                column("volume", Volume, ""),
            ]
        },
        primary_key: &["symbol", "ts"],
        foreign_keys: &[TO_SYMBOL, TO_DATE],
        sql: format!(
            "\
WITH {LISTING}
SELECT bar.symbol, bar.ts_start AS ts, bar.session_date AS date,
  date_part('hour', bar.ts_start) AS hour, date_part('minute', bar.ts_start) AS minute,
  bar.open, bar.high, bar.low, bar.close, bar.volume
FROM gold.bar_1m AS bar JOIN listing ON listing.symbol = bar.symbol
  AND listing.session_date = bar.session_date
  AND listing.source = bar.source AND listing.mic = bar.mic"
        ),
    }
}

fn quotes_latest() -> View {
    View {
        name: "quotes_latest",
        comment: "The newest price of every symbol, beside the close of the trading date before",
        columns: const {
            &[
                column("symbol", Text, ""),
                column("ts", Timestamp, "market time of the price, UTC"),
                column("price", Price, ""),
                column("previous_close", Price, ""),
                column("change", Price, "price less previous_close"),
                column("change_percent", Double, ""),
                column("volume", Volume, "of the trading date so far"),
            ]
        },
        primary_key: &["symbol"],
        foreign_keys: &[TO_SYMBOL],
        sql: "\
WITH quotes AS (
  SELECT *, row_number() OVER (PARTITION BY symbol
    ORDER BY session_date DESC, ts_quote DESC, source DESC, mic) AS place
  FROM gold.quote_latest)
SELECT symbol, ts_quote AS ts, price, previous_close, price - previous_close AS change,
  100 * CAST(price - previous_close AS DOUBLE) / nullif(CAST(previous_close AS DOUBLE), 0)
    AS change_percent,
  volume
FROM quotes WHERE place = 1"
            .to_owned(),
    }
}

fn coverage() -> View {
    View {
        name: "coverage",
        comment: "How complete the regular session of a symbol is, per trading date",
        columns: const {
            &[
                column("symbol", Text, ""),
                column("date", Date, "trading date"),
                column("bars", Integer, "bars of the shortest interval there is"),
                column("first_ts", Timestamp, "start of the first bar, UTC"),
                column("last_ts", Timestamp, "start of the last bar, UTC"),
                column("minutes_missing", Integer, "minutes of the session so far without a bar"),
            ]
        },
        primary_key: &["symbol", "date"],
        foreign_keys: &[TO_SYMBOL, TO_DATE],
        // A bar has one first revision. The session has come as far as the newest quote.
        sql: format!(
            "\
WITH {LISTING},
minutes AS (
  SELECT bar.symbol, bar.session_date, bar.interval AS feed, bar.ts_start, bar.ts_end,
    (CAST(bar.ts_end AS BIGINT) - CAST(bar.ts_start AS BIGINT)) / 60000000 AS length
  FROM silver.bar AS bar JOIN listing ON listing.symbol = bar.symbol
    AND listing.session_date = bar.session_date
    AND listing.source = bar.source AND listing.mic = bar.mic
  WHERE bar.revision = 1 AND bar.session_part = 'regular'),
series AS (
  SELECT symbol, session_date, feed, max(length) AS length, count(*) AS bars,
    min(ts_start) AS first_ts, max(ts_start) AS last_ts, max(ts_end) AS last_end,
    sum(length) AS covered
  FROM minutes GROUP BY symbol, session_date, feed),
shortest AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (
      PARTITION BY symbol, session_date ORDER BY length, feed) AS place
    FROM series)
  WHERE place = 1),
newest AS (SELECT max(ts_quote) AS ts FROM gold.quote_latest)
SELECT symbol, session_date AS date, bars, first_ts, last_ts,
  greatest(0, session_minutes(session_date, greatest(newest.ts, last_end)) - covered)
    AS minutes_missing
FROM shortest CROSS JOIN newest"
        ),
    }
}

fn quality() -> View {
    View {
        name: "quality_daily",
        comment: "What became of the rows of a date: kept, rejected, revised",
        columns: const {
            &[
                column("date", Date, "trading date; of a rejected row, the date it bears"),
                column("rows", BigInt, "revisions kept in silver, bars and end-of-day bars"),
                column("rejected", BigInt, "rows in silver.quarantine"),
                column("revised", BigInt, "rows that replaced a known value"),
            ]
        },
        primary_key: &["date"],
        foreign_keys: &[TO_DATE],
        // A rejected row may bear no date, or an absurd one. It counts on the day it was fetched,
        // or on the nearest date the lake has.
        sql: "\
WITH kept AS (
  SELECT session_date, revision FROM silver.bar
  UNION ALL SELECT session_date, revision FROM silver.eod),
kept_daily AS (
  SELECT session_date AS date, count(*) AS rows, 0 AS rejected,
    sum(CASE WHEN revision > 1 THEN 1 ELSE 0 END) AS revised
  FROM kept GROUP BY session_date),
span AS (SELECT min(date) AS first_date, max(date) AS last_date FROM kept_daily),
borne AS (
  SELECT ts_fetched, try_cast(
    (regexp_match(record, '\"date\":\\s*\"([0-9]{4}-[0-9]{2}-[0-9]{2})'))[1] AS DATE) AS borne_date
  FROM silver.quarantine),
rejected_daily AS (
  SELECT CASE WHEN borne_date BETWEEN first_date AND last_date THEN borne_date
      ELSE greatest(first_date, least(last_date, CAST(ts_fetched AS DATE))) END AS date,
    0 AS rows, count(*) AS rejected, 0 AS revised
  FROM borne CROSS JOIN span WHERE first_date IS NOT NULL GROUP BY 1)
SELECT date, sum(rows) AS rows, sum(rejected) AS rejected, sum(revised) AS revised
FROM (SELECT * FROM kept_daily UNION ALL SELECT * FROM rejected_daily)
GROUP BY date"
            .to_owned(),
    }
}
