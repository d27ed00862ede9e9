"""The SQL port beside a real PostgreSQL with the same rows: names, types and values of results.

Every statement runs on both, in text and in binary. Where they differ, the statement stands under
the reason, and still has to differ in nothing else.
"""

import psycopg
import pyarrow
import pytest

from common.postgresql import Cluster
from served import DAYS, MINUTES, Served, bars

pytestmark = pytest.mark.xdist_group("bi postgresql")

TABLE = """CREATE SCHEMA gold; CREATE TABLE gold.bar_1m (
  source text, symbol text, mic text, ts_start timestamptz, ts_end timestamptz, session_date date,
  open numeric(18,6), high numeric(18,6), low numeric(18,6), close numeric(18,6), volume numeric(20,4),
  n_source int, revision int)"""
BARS = "gold.bar_1m"
NUMERIC = 1700
TWO = "ORDER BY symbol, ts_start LIMIT 2"

# What a statement is about; the statements.
STATEMENTS = {
    "columns": [
        f"SELECT * FROM {BARS} ORDER BY symbol, ts_start LIMIT 5",
        f"SELECT symbol AS \"Symbol\", close AS c FROM {BARS} AS b ORDER BY b.symbol, b.ts_start LIMIT 3",
        f"SELECT b.* FROM {BARS} b WHERE b.volume IS NULL ORDER BY symbol",
        f"SELECT DISTINCT symbol FROM {BARS} ORDER BY 1",
        f"SELECT DISTINCT ON (symbol) symbol, ts_start, close FROM {BARS} ORDER BY symbol, ts_start DESC",
        f"SELECT symbol, close FROM {BARS} WHERE symbol IN ('S000', 'S001') AND n_source = 1 "
        "ORDER BY ts_start DESC, symbol LIMIT 4 OFFSET 2",
        f"TABLE {BARS} ORDER BY symbol, ts_start LIMIT 1",
        f"SELECT * FROM (SELECT symbol, close FROM {BARS}) AS s ORDER BY close, symbol LIMIT 2",
    ],
    "literals": [
        "SELECT 1 AS one, -7 AS seven, 2147483647 AS most, 2147483648 AS more",
        "SELECT 1.5 AS d, 'x' AS t, true AS b, NULL AS n",
        "SELECT 1, 'x', 1.5",
        "SELECT date '2026-03-02' AS d, timestamp '2026-03-02 14:30:00' AS t, timestamptz '2026-03-02 14:30:00+02' AS z",
        "SELECT 'a' || 'b' AS joined, 'O''Hara' AS quoted",
        "SELECT CAST('12' AS int) AS i, '3.25'::numeric(10,2) AS n, 5::bigint AS l, '1'::smallint AS s",
        "SELECT 1::real AS r, 0.1::float8 AS f, 'yes'::boolean AS b",
    ],
    "numbers": [
        f"SELECT open + close AS sum, high - low AS span FROM {BARS} ORDER BY symbol, ts_start LIMIT 3",
        f"SELECT round(close, 2) AS r, trunc(close) AS t, abs(low - high) AS a "
        f"FROM {BARS} ORDER BY symbol, ts_start LIMIT 3",
        f"SELECT floor(close) AS f, ceil(close) AS c FROM {BARS} ORDER BY symbol, ts_start LIMIT 3",
        f"SELECT close::float8 AS f, close::int AS i, close::text AS t FROM {BARS} {TWO}",
        "SELECT sqrt(2::float8) AS s, power(2::float8, 10) AS p, exp(0::float8) AS e, ln(1::float8) AS l",
        f"SELECT greatest(open, close) AS g, least(open, low) AS l, coalesce(volume, 0) AS v, nullif(open, close) AS n "
        f"FROM {BARS} ORDER BY symbol, ts_start LIMIT 3",
        "SELECT 'NaN'::float8 AS nan, 'Infinity'::float8 AS inf, 1e300::float8 AS large, 1e-7::float8 AS small",
    ],
    "aggregates": [
        f"SELECT count(*) AS rows, count(volume) AS volumes, count(DISTINCT symbol) AS symbols FROM {BARS}",
        f"SELECT symbol, min(low) AS low, max(high) AS high FROM {BARS} GROUP BY symbol ORDER BY symbol",
        f"SELECT sum(volume) AS volume, sum(n_source) AS n FROM {BARS}",
        f"SELECT symbol, avg(close) AS mean FROM {BARS} GROUP BY symbol ORDER BY symbol",
        f"SELECT min(ts_start) AS first, max(session_date) AS last, bool_and(close > 0) AS positive FROM {BARS}",
        f"SELECT symbol, count(*) FROM {BARS} GROUP BY symbol HAVING count(*) > 1 ORDER BY symbol",
        f"SELECT count(*) FILTER (WHERE close > 101) AS above FROM {BARS}",
        f"SELECT string_agg(DISTINCT symbol, ',' ORDER BY symbol) AS symbols FROM {BARS}",
        f"SELECT array_agg(DISTINCT symbol ORDER BY symbol) AS symbols FROM {BARS}",
        f"SELECT stddev(close::float8)::numeric(20,8) AS s, corr(open::float8, close::float8)::numeric(20,8) AS c FROM {BARS}",
        f"SELECT sum(close) FROM {BARS} WHERE symbol = 'none'",
    ],
    "windows": [
        f"SELECT symbol, row_number() OVER (PARTITION BY symbol ORDER BY ts_start) AS n FROM {BARS} ORDER BY 1, 2 LIMIT 4",
        f"SELECT symbol, ts_start, lag(close) OVER (PARTITION BY symbol ORDER BY ts_start) AS before, "
        f"lead(close, 2) OVER (PARTITION BY symbol ORDER BY ts_start) AS after FROM {BARS} ORDER BY 1, 2 LIMIT 4",
        f"SELECT symbol, ts_start, sum(volume) OVER (PARTITION BY symbol ORDER BY ts_start "
        f"ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS v FROM {BARS} ORDER BY 1, 2 LIMIT 5",
        f"SELECT symbol, ts_start, first_value(open) OVER w AS o, max(high) OVER w AS h FROM {BARS} "
        "WINDOW w AS (PARTITION BY symbol ORDER BY ts_start) ORDER BY 1, 2 LIMIT 3",
        f"SELECT symbol, rank() OVER (ORDER BY symbol) AS r, dense_rank() OVER (ORDER BY symbol) AS d FROM {BARS} ORDER BY 1 LIMIT 3",
    ],
    "times": [
        f"SELECT date_trunc('hour', ts_start) AS hour, count(*) FROM {BARS} GROUP BY 1 ORDER BY 1 LIMIT 3",
        f"SELECT ts_start AT TIME ZONE 'America/New_York' AS local, ts_start::date AS d FROM {BARS} {TWO}",
        f"SELECT ts_start + interval '1 hour' AS later, session_date + 1 AS tomorrow, session_date - 7 AS week "
        f"FROM {BARS} {TWO}",
        f"SELECT to_char(ts_start, 'YYYY-MM-DD HH24:MI') AS text, to_char(session_date, 'FMDay, FMDD Mon IYYY-IW') AS day "
        f"FROM {BARS} {TWO}",
        f"SELECT date_bin('5 minutes', ts_start, timestamptz '2000-01-01 00:00:00+00') AS bin FROM {BARS} {TWO}",
        f"SELECT count(*) AS n FROM {BARS} WHERE ts_start BETWEEN '2026-03-02 14:30:00+00' AND '2026-03-02 14:40:00+00'",
        "SELECT date '2026-03-02' + time '14:30' AS t, date '2026-03-02'::timestamp AS midnight",
        "SELECT interval '1 day' * 2 * 3 + date '2026-03-02' AS d",
    ],
    "texts": [
        f"SELECT upper(symbol) AS u, lower(mic) AS l, length(symbol) AS n, symbol || '.' || mic AS s FROM {BARS} {TWO}",
        f"SELECT left(symbol, 2) AS l, right(symbol, 2) AS r, substring(symbol FROM 2 FOR 2) AS s, position('0' IN symbol) AS p "
        f"FROM {BARS} {TWO}",
        f"SELECT replace(symbol, 'S', 'T') AS r, trim('  x ') AS t, lpad('7', 3, '0') AS p, split_part('a.b', '.', 2) AS b "
        f"FROM {BARS} LIMIT 1",
        f"SELECT symbol LIKE 'S00_' AS is_like, symbol ~ '^S' AS matches, symbol ILIKE 's%' AS is_ilike FROM {BARS} LIMIT 1",
        f"SELECT DISTINCT symbol FROM {BARS} WHERE symbol LIKE 'S~_%' ESCAPE '~' OR symbol = 'S001' ORDER BY 1",
        "SELECT concat('a', 1, NULL, 'b') AS c, concat_ws('-', 'a', 'b') AS w, initcap('market lake') AS i, reverse('abc') AS r",
        "SELECT md5('a') AS m, ascii('a') AS a, chr(65) AS c, strpos('abc', 'c') AS p",
    ],
    "conditions": [
        f"SELECT CASE WHEN close > open THEN 'up' ELSE 'down' END AS trend, close > 100.5 AS above FROM {BARS} ORDER BY symbol, ts_start LIMIT 3",
        f"SELECT volume IS NULL AS missing, volume IS NOT NULL AS known, NOT (close > 0) AS no FROM {BARS} {TWO}",
        "SELECT NULL IS DISTINCT FROM 1 AS d, 1 IN (1, 2) AS i, 3 BETWEEN 1 AND 2 AS b, EXISTS (SELECT 1) AS e",
        f"SELECT symbol FROM {BARS} a WHERE close = (SELECT max(close) FROM {BARS} b WHERE b.symbol = a.symbol) ORDER BY 1",
    ],
    "sets": [
        f"SELECT 'a' AS k, min(close) AS v FROM {BARS} UNION ALL SELECT 'b', max(close) FROM {BARS} ORDER BY 1",
        f"SELECT symbol FROM {BARS} EXCEPT SELECT 'S000' ORDER BY 1",
        f"WITH top AS (SELECT symbol, max(high) AS high FROM {BARS} GROUP BY symbol) SELECT * FROM top ORDER BY symbol",
        f"SELECT a.symbol, a.close, b.close AS next FROM {BARS} a JOIN {BARS} b ON b.symbol = a.symbol AND b.ts_start = a.ts_end "
        "ORDER BY 1, 2 LIMIT 3",
        f"SELECT symbol, session_date, count(*) FROM {BARS} GROUP BY GROUPING SETS ((symbol), (session_date)) ORDER BY 1, 2",
    ],
    "catalog": [
        "SELECT format_type(1700, 1179658) AS f, pg_catalog.format_type(25, -1) AS t",
        "SELECT a.attname, a.atttypid, a.atttypmod FROM pg_attribute a WHERE a.attrelid = 'gold.bar_1m'::regclass "
        "AND a.attnum > 0 ORDER BY a.attnum",
        "SELECT 'r' = ANY ('{r,v}'::text[]) AS any, 'x' <> ALL ('{r,v}'::text[]) AS all",
    ],
}

# Where types differ, and why; names and values are the same.
OTHER_TYPES = {
    "whole numbers that are reckoned with are bigint, so that no sum of them overflows": [
        "VALUES (1, 'a'), (2, 'b')",
        f"SELECT n_source + revision AS n, n_source * 2 AS twice FROM {BARS} LIMIT 1",
        "SELECT 7 / 2 AS quotient, -7 / 2 AS negative, 7 % 3 AS rest, mod(-7, 3) AS m",
        f"SELECT session_date - date '2026-03-01' AS days FROM {BARS} {TWO}",
        "SELECT n FROM generate_series(1, 3) AS n",
    ],
    "parts of a time are whole numbers, and the epoch is a float": [
        f"SELECT extract(epoch FROM ts_start) AS e, extract(hour FROM ts_start) AS h, date_part('minute', ts_start) AS m "
        f"FROM {BARS} {TWO}",
    ],
    "texts of information_schema are texts, and no domains of it": [
        "SELECT table_name, column_name, data_type, numeric_precision, numeric_scale FROM information_schema.columns "
        "WHERE table_schema = 'gold' AND table_name = 'bar_1m' AND column_name IN ('close', 'symbol') ORDER BY 2",
    ],
    "the sign of a number is a float": [
        f"SELECT sign(close) AS s, sign(low - high) AS t FROM {BARS} {TWO}",
    ],
}
EVERY = [(about, statement) for about, all in STATEMENTS.items() for statement in all]


def some():
    """The first minutes of three symbols."""
    rows = bars()
    return pyarrow.concat_tables(rows.slice(n * DAYS * MINUTES, 300) for n in range(3))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    cluster = Cluster()
    try:
        served = Served(tmp_path_factory.mktemp("bi"), some())
        connect = lambda url: psycopg.connect(url, autocommit=True)
        with connect(served.url) as ours, connect(cluster.url) as theirs:
            theirs.execute(TABLE)
            # What one writes the other reads.
            copy = lambda client, end: client.cursor().copy(f"COPY {BARS} {end}")
            with copy(ours, "TO STDOUT") as out, copy(theirs, "FROM STDIN") as into:
                for part in out:
                    into.write(part)
            yield ours, theirs
        served.stop()
    finally:
        cluster.stop()


def answer(client, statement, binary):
    """Columns as RowDescription tells them, and the values as psycopg reads them."""
    cursor = client.execute(statement, binary=binary, prepare=False)
    result = cursor.pgresult
    columns = [
        {"name": result.fname(at).decode(), "type": result.ftype(at), "size": result.fsize(at), "modifier": result.fmod(at)}
        for at in range(result.nfields)
    ]
    # No NaN is equal to another.
    return columns, [[repr(value) if isinstance(value, float) else value for value in row] for row in cursor]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(("about", "statement"), EVERY)
def test_results_are_those_of_postgresql(both, about, statement, binary):
    (our_columns, our_rows), (their_columns, their_rows) = (answer(client, statement, binary) for client in both)
    for ours, theirs in zip(our_columns, their_columns):
        # PostgreSQL forgets how many digits a number has that was worked out; here they are known.
        if theirs["type"] == NUMERIC and theirs["modifier"] == -1:
            theirs["modifier"] = ours["modifier"]
    assert our_columns == their_columns
    assert our_rows == their_rows


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(
    ("reason", "statement"), [(reason, statement) for reason, all in OTHER_TYPES.items() for statement in all],
)
def test_values_are_those_of_postgresql(both, reason, statement, binary):
    (our_columns, _), (their_columns, _) = (answer(client, statement, binary) for client in both)
    assert [column["name"] for column in our_columns] == [column["name"] for column in their_columns]
    assert our_columns != their_columns, f"no longer so: {reason}"
    ours, theirs = (client.execute(statement, binary=binary).fetchall() for client in both)
    assert ours == theirs
