"""A client in a process of its own, which asks and takes the time: `client.py DESCRIPTOR`.

What it asks is at an address of PostgreSQL's protocol, or it is DuckDB itself, over Parquet files. It
is told what to do through a pipe, and answers there:

    ("open", {"url": …} or {"files": …, "threads": …, "folder": …})   -> ("done",)
    ("ask", sql, seconds_max)                   -> ("done", seconds, columns, rows)
    ("press", sql, clients, seconds, seconds_max, answer, rounded)   -> ("done", seconds, [seconds…])
    an answer that is not the one expected      -> ("wrong", how)
    anything that fails                         -> ("failed", why)
"""

import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from .answers import Answer, Wrong, difference

REASON_LETTERS = 500


class TooLong(Exception):
    """The question was called off."""


class Wire:
    """Connections as BI tools have them: unnamed statements, results in binary."""

    def __init__(self, url):
        import psycopg

        self.connect = lambda: psycopg.connect(url, autocommit=True, prepare_threshold=None)
        self.first = self.connect()

    def another(self):
        return self.connect()

    def ask(self, connection, sql):
        """Returns when all rows have come, as bytes."""
        return connection.cursor(binary=True).execute(sql)

    def count(self, result):
        return result.rowcount

    def read(self, result):
        return Answer([column.name for column in result.description], result.fetchall())

    def call_off(self, connection):
        connection.cancel()


class Library:
    """DuckDB in this process, whose views are the files."""

    def __init__(self, files, threads, folder):
        import duckdb
        # Which it would do at the first question.
        import pyarrow  # noqa: F401

        self.first = duckdb.connect(config={"threads": threads, "temp_directory": folder})
        self.first.execute("SET TimeZone = 'UTC'")
        self.first.execute("CREATE SCHEMA gold")
        for table, paths in files.items():
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
            self.first.execute(
                f"CREATE VIEW gold.{table} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = true, "
                "hive_types = {'session_date': DATE})"
            )

    def another(self):
        return self.first.cursor()

    def ask(self, connection, sql):
        """Returns when all rows are there, as Arrow."""
        return connection.sql(sql).to_arrow_table()

    def count(self, result):
        return result.num_rows

    def read(self, result):
        columns = [column.to_pylist() for column in result.columns]
        return Answer(result.column_names, list(zip(*columns)))

    def call_off(self, connection):
        connection.interrupt()


def open_engine(told):
    return Wire(told["url"]) if "url" in told else Library(**told)


def timed(engine, connection, sql, seconds_max):
    """Asks and waits for all rows; returns the seconds and the result, which is still to be read."""
    late = threading.Event()

    def call_off():
        late.set()
        engine.call_off(connection)

    alarm = threading.Timer(seconds_max, call_off)
    alarm.daemon = True
    alarm.start()
    begun = time.perf_counter()
    try:
        result = engine.ask(connection, sql)
        return time.perf_counter() - begun, result
    except Exception as problem:
        if late.is_set():
            raise TooLong(f"no answer within {seconds_max:g} seconds") from problem
        raise
    finally:
        alarm.cancel()


def press(engine, sql, clients, seconds, seconds_max, answer, rounded):
    """Some clients at once, each asking again as soon as it has its answer, until time is over.

    Returns the seconds until the last of them was done, and those of each question. Reading all they
    get would keep the processors from the engine: they count rows, and read what came last.
    """
    connections = [engine.another() for _ in range(clients)]
    took, last, problems = [], [], []
    begin = threading.Barrier(clients + 1)

    def ask(connection):
        begin.wait()
        result = None
        while time.perf_counter() < end and not problems:
            try:
                spent, result = timed(engine, connection, sql, seconds_max)
            except Exception as problem:
                problems.append(problem)
                return
            took.append(spent)
            if engine.count(result) != len(answer.rows):
                problems.append(Wrong(f"{engine.count(result):,} rows instead of {len(answer.rows):,}"))
        last.append(result)

    threads = [threading.Thread(target=ask, args=[connection]) for connection in connections]
    for thread in threads:
        thread.start()
    begun = time.perf_counter()
    end = begun + seconds
    begin.wait()
    for thread in threads:
        thread.join()
    whole = time.perf_counter() - begun
    differences = [difference(answer, engine.read(result), rounded) for result in last if result is not None]
    problems += [Wrong(f"another answer than before: {found}") for found in differences if found]
    for connection in connections:
        connection.close()
    if problems:
        raise problems[0]
    return whole, took


def reason(problem):
    """What went wrong, in one line."""
    return " ".join(str(problem).split())[:REASON_LETTERS] or type(problem).__name__


def main(pipe):
    engine = None
    while True:
        try:
            word, *told = pipe.recv()
        except EOFError:
            return
        try:
            if word == "open":
                # The one before may have ended together with its connections.
                engine = open_engine(*told)
                reply = ()
            elif word == "ask":
                spent, result = timed(engine, engine.first, *told)
                reply = (spent, *engine.read(result))
            else:
                reply = press(engine, *told)
        except Exception as problem:
            pipe.send(("wrong" if isinstance(problem, Wrong) else "failed", reason(problem)))
        else:
            pipe.send(("done", *reply))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
    # What is left is the system's to tidy up: DuckDB reports at length what it finds at an orderly end.
    os._exit(0)
