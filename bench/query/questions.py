"""The twelve questions: what a dashboard and an analyst ask of bars, in each engine's own SQL.

A text serves all engines that understand it; another stands beside it only where dialects differ, and
is then what that engine's manual would have one write. Every answer has an order without ties.
"""

import random
from datetime import timedelta
from typing import NamedTuple

ENGINES = ("marketlake", "duckdb", "postgresql")
# Known before there are rows, so that a wrong one is told at once.
NAMES = (
    "latest", "chart", "candles", "candles-all", "vwap", "turnover", "profile", "rolling", "movers", "drawdown",
    "correlation", "as-of",
)
FILLS = 200


class Question(NamedTuple):
    name: str
    title: str
    # By engine.
    sql: dict
    # Columns in which engines may round: quotients, and what is reckoned in floats.
    rounded: tuple = ()


def question(name, title, sql, rounded=(), **others):
    return Question(name, title, {**dict.fromkeys(ENGINES, sql), **others}, rounded)


def fills(market, seed):
    """Symbol and moment of trades that somebody made, any second of the sessions."""
    chance = random.Random(f"{seed} fills")
    begin = market.ts_last - timedelta(days=(market.sessions[-1] - market.sessions[0]).days)
    seconds = int((market.ts_last - begin).total_seconds()) + 60
    found = set()
    while len(found) < min(FILLS, seconds):
        found.add((f"S{chance.randrange(market.symbols):04}", begin + timedelta(seconds=chance.randrange(seconds))))
    return sorted(found)


def values(rows):
    return ", ".join(f"('{symbol}', TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S}+00')" for symbol, moment in rows)


def questions(market, seed):
    # The last day whose minutes are all there.
    session = market.sessions[-2] if 1 < len(market.sessions) else market.sessions[-1]
    day, symbol = f"DATE '{session}'", f"S{market.symbols // 2:04}"
    return [*of_minutes(day, symbol), *of_days(day), *of_time(symbol, values(fills(market, seed)))]


def of_minutes(day, symbol):
    hours = """SELECT date_trunc('hour', ts_start) AS hour, {open} AS open, max(high) AS high,
  min(low) AS low, {close} AS close, sum(volume) AS volume
FROM gold.bar_1m WHERE symbol = '{symbol}' GROUP BY 1 ORDER BY 1"""
    quarters = """SELECT symbol, {start} AS start, {open} AS open, max(high) AS high,
  min(low) AS low, {close} AS close, sum(volume) AS volume
FROM gold.bar_1m WHERE session_date = {day} GROUP BY 1, 2 ORDER BY 1, 2"""
    ends = {
        "marketlake": {"open": "first_value(open ORDER BY ts_start)", "close": "last_value(close ORDER BY ts_start)"},
        "duckdb": {"open": "arg_min(open, ts_start)", "close": "arg_max(close, ts_start)"},
        "postgresql": {
            "open": "(array_agg(open ORDER BY ts_start))[1]", "close": "(array_agg(close ORDER BY ts_start DESC))[1]",
        },
    }
    binned = "date_bin(INTERVAL '15 minutes', ts_start, TIMESTAMPTZ '2000-01-01 00:00:00+00')"
    start = {**dict.fromkeys(ENGINES, binned), "duckdb": "time_bucket(INTERVAL '15 minutes', ts_start)"}
    vwap = f"""SELECT symbol, {{vwap}} AS vwap, sum(volume) AS volume
FROM gold.bar_1m WHERE session_date = {day} GROUP BY symbol ORDER BY symbol"""
    return [
        question("latest", "the last bar of every symbol", """SELECT DISTINCT ON (symbol)
  symbol, ts_start, close, volume
FROM gold.bar_1m ORDER BY symbol, ts_start DESC"""),
        question("chart", "one symbol, one session, by the minute", f"""SELECT ts_start, open, high, low, close, volume
FROM gold.bar_1m WHERE symbol = '{symbol}' AND session_date = {day} ORDER BY ts_start"""),
        Question("candles", "one symbol, all sessions, by the hour", {
            engine: hours.format(symbol=symbol, **ends[engine]) for engine in ENGINES
        }),
        Question("candles-all", "every symbol, one session, by the quarter of an hour", {
            engine: quarters.format(day=day, start=start[engine], **ends[engine]) for engine in ENGINES
        }),
        question(
            "vwap", "volume-weighted average price of every symbol, one session",
            vwap.format(vwap="sum(close * volume) / sum(volume)"), ("vwap",),
            marketlake=vwap.format(vwap="vwap(close, volume)"),
        ),
        question("turnover", "bars, shares and money of each session", """SELECT session_date, count(*) AS bars,
  sum(volume) AS volume, sum(close * volume) AS turnover
FROM gold.bar_1m GROUP BY session_date ORDER BY session_date"""),
        question("profile", "how much is traded when, by the minute of the day", """SELECT
  extract(hour FROM ts_start) AS hour, extract(minute FROM ts_start) AS minute,
  count(*) AS bars, sum(volume) AS volume, max(high - low) AS reach
FROM gold.bar_1m GROUP BY 1, 2 ORDER BY 1, 2"""),
    ]


def of_days(day):
    return [
        question("rolling", "mean and deviation of the last 20 days, every symbol", f"""SELECT * FROM (
  SELECT symbol, session_date, close, avg(close) OVER days AS mean, stddev_samp(close) OVER days AS deviation
  FROM gold.bar_1d
  WINDOW days AS (PARTITION BY symbol ORDER BY session_date ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)
) AS rolling WHERE session_date = {day} ORDER BY symbol""", ("mean", "deviation")),
        question("movers", "the ten greatest gains since the day before", f"""WITH days AS (
  SELECT symbol, session_date, close, lag(close) OVER (PARTITION BY symbol ORDER BY session_date) AS previous
  FROM gold.bar_1d)
SELECT symbol, previous, close, close / previous - 1 AS change
FROM days WHERE session_date = {day} ORDER BY change DESC, symbol LIMIT 10""", ("change",)),
    ]


def of_time(symbol, fills):
    events = f"WITH fills (symbol, ts) AS (VALUES {fills})"
    joined = """SELECT fills.symbol, fills.ts, bars.close AS price
FROM fills {join} ORDER BY fills.symbol, fills.ts"""
    return [
        question("drawdown", "the deepest falls from a high, of all minutes", """SELECT
  symbol, min(close / peak) - 1 AS drawdown
FROM (
  SELECT symbol, close, max(high) OVER (PARTITION BY symbol ORDER BY ts_start ROWS UNBOUNDED PRECEDING) AS peak
  FROM gold.bar_1m) AS falls
GROUP BY symbol ORDER BY drawdown, symbol LIMIT 20""", ("drawdown",)),
        question("correlation", "one symbol's prices against those of every symbol", f"""SELECT
  b.symbol, count(*) AS minutes, corr(a.close, b.close) AS correlation
FROM gold.bar_1m AS a JOIN gold.bar_1m AS b ON b.ts_start = a.ts_start
WHERE a.symbol = '{symbol}' GROUP BY b.symbol ORDER BY b.symbol""", ("correlation",)),
        # A close is known when its minute is over.
        Question("as-of", f"the last price known at each of {FILLS} moments", {
            "marketlake": f"""{events}
SELECT fills.symbol, fills.ts, last_value(bars.close ORDER BY bars.ts_start) AS price
FROM fills LEFT JOIN gold.bar_1m AS bars ON bars.symbol = fills.symbol AND bars.ts_end <= fills.ts
GROUP BY fills.symbol, fills.ts ORDER BY fills.symbol, fills.ts""",
            "duckdb": f"{events} " + joined.format(join="""ASOF LEFT JOIN gold.bar_1m AS bars
  ON bars.symbol = fills.symbol AND bars.ts_end <= fills.ts"""),
            "postgresql": f"{events} " + joined.format(join="""LEFT JOIN LATERAL (
  SELECT close FROM gold.bar_1m
  WHERE symbol = fills.symbol AND ts_start <= fills.ts - INTERVAL '1 minute'
  ORDER BY ts_start DESC LIMIT 1) AS bars ON true"""),
        }),
    ]
