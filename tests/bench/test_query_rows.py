"""The bars of the query benchmark: from a seed, as bars are, and the same whoever is given them."""

from itertools import groupby

import duckdb
import pyarrow
import pytest
from deltalake import DeltaTable

from query.lake import write
from query.questions import NAMES, questions
from query.rows import DAYS_BEFORE, MINUTES, parts

SYMBOLS, ROWS = 10, 9_000
# A session has fewer bars than its minutes, for some symbols are not traded in each.
SESSION = MINUTES * SYMBOLS


def tables(seed=1, rows=ROWS):
    made = sorted(parts(seed, SYMBOLS, rows), key=lambda part: part.table)
    by_table = groupby(made, key=lambda part: part.table)
    return {name: pyarrow.concat_tables(part.rows for part in found) for name, found in by_table}


def ask(sql, **found):
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    for name, rows in found.items():
        database.register(name, rows)
    return database.execute(sql).fetchall()


def test_there_are_as_many_minutes_as_were_asked_for():
    found = tables()
    assert found["bar_1m"].num_rows == ROWS
    sessions = len(found["bar_1m"]["session_date"].unique())
    assert 2 * SESSION < ROWS and sessions == 3
    assert found["bar_1d"].num_rows == (DAYS_BEFORE + sessions) * SYMBOLS


def test_rows_repeat_with_their_seed_and_only_with_it():
    assert tables() == tables()
    assert tables(seed=2)["bar_1m"]["close"] != tables()["bar_1m"]["close"]


def test_more_rows_begin_with_the_same():
    fewer = tables(rows=SESSION // 2)["bar_1m"]
    assert tables()["bar_1m"].slice(0, fewer.num_rows) == fewer


@pytest.mark.parametrize("table", ["bar_1m", "bar_1d"])
def test_bars_are_bars(table):
    [wrong] = ask("""SELECT count(*) FROM rows WHERE NOT (
        low <= open AND low <= close AND open <= high AND close <= high AND 0 < low AND 0 < volume
        AND ts_start < ts_end AND session_date = CAST(ts_start AS DATE) AND n_source BETWEEN 1 AND 390
        ) IS TRUE OR (open * 100) % 1 <> 0 OR volume % 1 <> 0""", rows=tables()[table])
    [doubled] = ask("SELECT count(*) - count(DISTINCT (symbol, ts_start)) FROM rows", rows=tables()[table])
    assert (*wrong, *doubled) == (0, 0)


def test_days_are_made_of_their_minutes():
    found = tables()
    different = ask("""SELECT * FROM (
        SELECT symbol, session_date, arg_min(open, ts_start), max(high), min(low), arg_max(close, ts_start),
          CAST(sum(volume) AS DECIMAL(20, 4)), count(*)
        FROM minutes GROUP BY ALL
        EXCEPT SELECT symbol, session_date, open, high, low, close, volume, n_source FROM days)""",
        minutes=found["bar_1m"], days=found["bar_1d"])
    assert different == []


def test_sessions_begin_at_half_past_nine_in_new_york():
    hours = ask("""SELECT DISTINCT strftime(ts_start AT TIME ZONE 'America/New_York', '%H:%M') FROM rows""",
                rows=tables()["bar_1d"])
    assert hours == [("09:30",)]


def test_the_lake_holds_what_was_made(tmp_path):
    given = []
    market = write(tmp_path, parts(1, SYMBOLS, ROWS), given.append)
    made = tables()
    assert market.rows == {name: rows.num_rows for name, rows in made.items()}
    assert (market.symbols, len(market.sessions)) == (SYMBOLS, 3)
    for name, rows in made.items():
        files = market.files[name]
        assert len(files) == len(DeltaTable(str(tmp_path / name)).file_uris()), "a file for each day"
        listed = ", ".join(f"'{path}'" for path in files)
        [count] = ask(f"SELECT count(*), sum(close) FROM read_parquet([{listed}])")
        assert count == ask("SELECT count(*), sum(close) FROM rows", rows=rows)[0]
    assert sum(part.rows.num_rows for part in given) == sum(market.rows.values())


def test_there_are_twelve_questions(tmp_path):
    market = write(tmp_path, parts(1, SYMBOLS, ROWS))
    asked = questions(market, 1)
    assert tuple(one.name for one in asked) == NAMES and len(set(NAMES)) == 12
    assert asked == questions(market, 1) != questions(market, 2)
    for one in asked:
        assert "ORDER BY" in one.sql["marketlake"] and set(one.sql) == {"marketlake", "duckdb", "postgresql"}
