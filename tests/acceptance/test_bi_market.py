"""The market functions of SQL against the same formulas written down slowly, and against DuckDB.

Random prices and volumes with gaps, in a lake of delta-rs; the driver is psycopg, with parameters.
"""

import os
import random
import re
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path

import duckdb
import psycopg
import pyarrow
import pytest

from psql import run
from served import Served

pytestmark = pytest.mark.xdist_group("bi market")

# Two sessions, one on each side of the change of clocks: they open at 14:30 and at 13:30 UTC.
DAYS = {date(2024, 3, 8): 14, date(2024, 3, 11): 13}
SYMBOLS = ["AAA", "BBB", "CCC"]
MICROS = Decimal("0.000001")
BAR = pyarrow.schema([
    *((name, pyarrow.string()) for name in ("source", "symbol", "mic")),
    ("ts_start", pyarrow.timestamp("us", tz="UTC")), ("ts_end", pyarrow.timestamp("us", tz="UTC")),
    ("session_date", pyarrow.date32()),
    *((name, pyarrow.decimal128(18, 6)) for name in ("open", "high", "low", "close")),
    ("volume", pyarrow.decimal128(20, 4)), ("n_source", pyarrow.int32()), ("revision", pyarrow.int32()),
])


def minutes(seed):
    """Bars of one minute; some are missing, and some do not know their volume."""
    chance, rows = random.Random(seed), []
    for symbol in SYMBOLS:
        for day, hour in DAYS.items():
            begin = datetime(day.year, day.month, day.day, hour, 30, tzinfo=timezone.utc)
            for minute in range(390):
                if chance.random() < 0.1:
                    continue
                prices = [Decimal(chance.randrange(1, 10**9)) * MICROS for _ in range(4)]
                start = begin + timedelta(minutes=minute)
                rows.append({
                    "source": "test", "symbol": symbol, "mic": "XNAS", "ts_start": start,
                    "ts_end": start + timedelta(minutes=1), "session_date": day,
                    "open": prices[0], "high": max(prices), "low": min(prices), "close": prices[3],
                    "volume": None if chance.random() < 0.05 else Decimal(chance.randrange(10**9)) / 10**4,
                    "n_source": 1, "revision": 1,
                })
    return rows


@pytest.fixture(scope="module")
def rows():
    return minutes(int(os.environ["MARKETLAKE_SEED"]))


@pytest.fixture(scope="module")
def served(tmp_path_factory, rows):
    shuffled = random.Random(1).sample(rows, len(rows))
    served = Served(tmp_path_factory.mktemp("bi"), pyarrow.Table.from_pylist(shuffled, BAR))
    yield served
    served.stop()


@pytest.fixture(scope="module")
def client(served):
    with psycopg.connect(served.url, autocommit=True) as client:
        yield client


@pytest.fixture(scope="module")
def duck(rows):
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    duck.register("bars", pyarrow.Table.from_pylist(rows, BAR))
    return duck


def rounded(value):
    """As PostgreSQL rounds, with the ten digits that an average of prices has."""
    return value.quantize(Decimal(1).scaleb(-10), rounding=ROUND_HALF_UP)


def slow_vwap(bars):
    known = [bar for bar in bars if bar["volume"] is not None]
    volume = sum(bar["volume"] for bar in known)
    return rounded(sum(bar["close"] * bar["volume"] for bar in known) / volume) if volume else None


def slow_twap(bars):
    bars = sorted(bars, key=lambda bar: bar["ts_start"])
    if len(bars) < 2:
        return rounded(bars[0]["close"]) if bars else None
    seconds = lambda one, other: Decimal((other["ts_start"] - one["ts_start"]).total_seconds())
    area = sum(one["close"] * seconds(one, other) for one, other in zip(bars, bars[1:]))
    return rounded(area / seconds(bars[0], bars[-1]))


def series(rows, symbol):
    return sorted((bar for bar in rows if bar["symbol"] == symbol), key=lambda bar: bar["ts_start"])


@pytest.fixture(autouse=True)
def exact():
    with localcontext(prec=80):
        yield


def test_averages_of_groups(client, rows):
    found = client.execute(
        "SELECT symbol, session_date, vwap(close, volume), twap(close, ts_start) FROM gold.bar_1m "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    expected = []
    for symbol in SYMBOLS:
        for day in DAYS:
            bars = [bar for bar in series(rows, symbol) if bar["session_date"] == day]
            expected.append((symbol, day, slow_vwap(bars), slow_twap(bars)))
    assert found == expected


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_averages_of_moving_windows(client, rows, binary):
    found = client.execute(
        "SELECT vwap(close, volume) OVER w, twap(close, ts_start) OVER w FROM gold.bar_1m WHERE symbol = %s "
        "WINDOW w AS (ORDER BY ts_start ROWS BETWEEN 7 PRECEDING AND CURRENT ROW) ORDER BY ts_start",
        ["BBB"], binary=binary,
    ).fetchall()
    bars = series(rows, "BBB")
    windows = [bars[max(0, at - 7):at + 1] for at in range(len(bars))]
    assert found == [(slow_vwap(window), slow_twap(window)) for window in windows]


@pytest.mark.parametrize("n", [1, 2, 20])
def test_moving_averages(client, rows, n):
    # The number of values is a parameter, and so is the symbol.
    found = client.execute(
        "SELECT sma(close, %(n)s) OVER w, wma(close, %(n)s) OVER w, ema(close, %(n)s) OVER w, "
        "sma(float_close, %(n)s) OVER w FROM (SELECT *, close::float8 AS float_close FROM gold.bar_1m) AS bars WHERE symbol = %(symbol)s WINDOW w AS (ORDER BY ts_start) ORDER BY ts_start",
        {"n": n, "symbol": "AAA"},
    ).fetchall()
    closes = [bar["close"] for bar in series(rows, "AAA")]
    assert len(found) == len(closes) and found[: n - 1] == [(None,) * 4] * (n - 1)
    ema, alpha = None, 2 / (n + 1)
    for at in range(n - 1, len(closes)):
        window = closes[at - n + 1:at + 1]
        weighted = sum(weight * close for weight, close in enumerate(window, 1))
        ema = float(sum(window) / n) if ema is None else alpha * float(closes[at]) + (1 - alpha) * ema
        sma, wma, found_ema, of_floats = found[at]
        assert sma == rounded(sum(window) / n)
        assert wma == rounded(weighted / Decimal(n * (n + 1) // 2))
        assert found_ema == pytest.approx(ema, rel=1e-12)
        assert of_floats == pytest.approx(float(sma), rel=1e-9)


@pytest.mark.parametrize("length", ["5m", "15m", "45m", "1h", "2h", "1d"])
def test_resampled_bars(client, duck, length):
    minutes = {"5m": 5, "15m": 15, "45m": 45, "1h": 60, "2h": 120, "1d": 390}[length]
    expected = duck.execute(
        f"""WITH opened AS (SELECT *, session_date + CASE WHEN session_date = DATE '2024-03-08'
              THEN INTERVAL '14 hours 30 minutes' ELSE INTERVAL '13 hours 30 minutes' END AS open_at FROM bars),
            placed AS (SELECT *, date_diff('minute', open_at, ts_start::TIMESTAMP) // {minutes} AS place FROM opened)
            SELECT symbol, (open_at + place * INTERVAL '{minutes} minutes')::TIMESTAMPTZ AS ts,
              least(open_at + (place + 1) * INTERVAL '{minutes} minutes', open_at + INTERVAL '390 minutes')::TIMESTAMPTZ AS te,
              arg_min(open, ts_start), max(high), min(low), arg_max(close, ts_start), sum(volume)::DECIMAL(20, 4), count(*),
              count(*) = least({minutes}, 390 - place * {minutes})
            FROM placed GROUP BY symbol, open_at, place ORDER BY 1, 2"""
    ).fetchall()
    found = client.execute(
        "SELECT symbol, ts_start, ts_end, open, high, low, close, volume, n_source, is_complete "
        "FROM resample('gold.bar_1m', %s) ORDER BY 1, 2", [length],
    ).fetchall()
    assert found == expected


def test_bars_are_made_of_queries_as_well(client):
    of_query = """WITH some AS (SELECT * FROM gold.bar_1m WHERE symbol = 'AAA')
      SELECT ts_start, close FROM resample(some, '1h') ORDER BY 1"""
    of_table = "SELECT ts_start, close FROM resample('gold.bar_1m', '1h') WHERE symbol = %s ORDER BY 1"
    rows = client.execute(of_query).fetchall()
    assert rows == client.execute(of_table, ["AAA"]).fetchall() and len(rows) == 14
    of_moments = client.execute(
        "SELECT bar_start('1h', ts_start) AS hour, last_value(close ORDER BY ts_start) FROM gold.bar_1m "
        "WHERE symbol = 'AAA' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert of_moments == rows


AS_OF_JOINS = {
    "few events": """
        SELECT events.symbol, events.ts, last_value(bars.close ORDER BY bars.ts_start) AS price
        FROM events LEFT JOIN gold.bar_1m AS bars
          ON bars.symbol = events.symbol AND bars.ts_end <= events.ts
        GROUP BY events.symbol, events.ts ORDER BY symbol""",
    "many events": """, line AS (
          SELECT symbol, ts_end AS ts, 0 AS is_event, close FROM gold.bar_1m
          UNION ALL SELECT symbol, ts, 1, NULL FROM events)
        SELECT symbol, ts, price FROM (
          SELECT symbol, ts, is_event, last_value(close) IGNORE NULLS OVER (
            PARTITION BY symbol ORDER BY ts, is_event) AS price FROM line) AS joined
        WHERE is_event = 1 ORDER BY symbol""",
}


@pytest.mark.parametrize("pattern", AS_OF_JOINS)
def test_a_price_is_joined_as_of_a_moment(client, rows, pattern):
    """The patterns of docs/sql.md: the last price known before each event."""
    moment = lambda *parts: datetime(*parts, tzinfo=timezone.utc)
    events = [
        ("AAA", moment(2024, 3, 8, 15, 0, 30)), ("BBB", moment(2024, 3, 11, 21)), ("CCC", moment(2024, 3, 8, 14, 30)),
    ]
    values = ", ".join(f"('{symbol}', timestamptz '{at.isoformat()}')" for symbol, at in events)
    found = client.execute(f"WITH events (symbol, ts) AS (VALUES {values}) {AS_OF_JOINS[pattern]}").fetchall()
    expected = []
    for symbol, at in events:
        known = [bar["close"] for bar in series(rows, symbol) if bar["ts_end"] <= at]
        expected.append((symbol, at, known[-1] if known else None))
    assert found == expected


@pytest.mark.parametrize(
    ("statement", "parameters", "code", "told"),
    [
        ("SELECT vwap(close) FROM gold.bar_1m", None, "42883", "vwap: it is called as vwap(price, volume)"),
        ("SELECT vwap(close::float8, volume) FROM gold.bar_1m", None, "42883", "cast Float64 to numeric(18,6)"),
        ("SELECT sma(close, 20) FROM gold.bar_1m", None, "42809", "sma(close, 20) OVER (PARTITION BY symbol"),
        ("SELECT sma(close, %s) OVER (ORDER BY ts_start) FROM gold.bar_1m", [0], "22023", "must be 1 to 10000, and not 0"),
        ("SELECT * FROM resample('gold.bar_1m', %s)", ["fortnight"], "22023", '"fortnight" is no length of bars'),
        ("SELECT * FROM resample('gold.bar_1m')", None, "42883", "resample('gold.bar_1m', '15m')"),
        ("SELECT * FROM resample('silver.bar', '1h')", None, "42809", "gold.bar_1m, bar_5m"),
        ("SELECT * FROM as_of('gold.quote_latest', now())", None, "0A000", "knows the past of silver.bar"),
        (
            "SELECT * FROM resample((SELECT source, symbol, mic, ts_start, "
            "ts_start + interval '10 minutes' AS ts_end, session_date, "
            "open, high, low, close, volume FROM gold.bar_1m), '15m')", None, "22023", "lies across two bars of 15m",
        ),
    ],
)
def test_what_has_no_answer_is_told(client, statement, parameters, code, told):
    with pytest.raises(psycopg.Error) as failed:
        client.execute(statement, parameters)
    assert (failed.value.sqlstate, told in str(failed.value)) == (code, True), failed.value


DOCUMENT = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
EXAMPLES = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_of_the_documentation_run(client, example):
    assert client.execute(example.replace("'AAPL'", "'AAA'").replace("'MSFT'", "'BBB'")).description


def test_psql_describes_the_functions(served):
    command = f"PGPASSWORD={served.password} psql -h {served.host} -p {served.port} -U {served.user} {served.database}"
    code, out, errors = run(command, "-At", "-c", r"\df sma", "-c", r"\da vwap")
    assert (code, errors) == (0, "")
    assert out.splitlines() == [
        "pg_catalog|sma|numeric|x numeric, n bigint|window",
        "pg_catalog|vwap|numeric|price numeric, volume numeric|volume-weighted average price",
    ]
