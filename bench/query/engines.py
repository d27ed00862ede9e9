"""Who is asked: how each is given the rows, started afresh, and stopped."""

import io
import json
import os
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path

import psycopg
import pyarrow.csv

from common.machine import line_of
from common.postgresql import Cluster, programs
from common.server import Server

from .answers import Answer, Wrong

PACKAGE = Path(__file__).resolve().parents[1]
# What a client may need beyond the time of a question, before it is given up.
PATIENCE = 30
EXPLAIN_SECONDS = 600
KIB, MIB = 1024, 1 << 20
COLUMNS = """source text, symbol text, mic text, ts_start timestamptz, ts_end timestamptz, session_date date,
  open numeric(18,6), high numeric(18,6), low numeric(18,6), close numeric(18,6), volume numeric(20,4),
  n_source int, revision int"""


class Failed(Exception):
    """The engine did not answer; the text says why."""


class Client:
    """The process that asks, which for DuckDB is also the one that answers."""

    def __init__(self):
        self.pipe, theirs = Pipe()
        self.is_lost = False
        self.child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "query.client", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC"},
        )
        theirs.close()

    def open(self, **where):
        self.tell(PATIENCE, "open", where)

    def tell(self, seconds_max, *words):
        """Returns what it answers."""
        try:
            self.pipe.send(words)
            if not self.pipe.poll(seconds_max + PATIENCE):
                self.is_lost = True
                raise Failed(f"no answer within {seconds_max:g} seconds, and it could not be called off")
            outcome, *reply = self.pipe.recv()
        except (EOFError, OSError) as problem:
            self.is_lost = True
            raise Failed("the client ended, and said nothing") from problem
        if outcome != "done":
            raise Wrong(*reply) if outcome == "wrong" else Failed(*reply)
        return reply

    def ask(self, sql, seconds_max):
        seconds, columns, rows = self.tell(seconds_max, "ask", sql, seconds_max)
        return seconds, Answer(columns, rows)

    def press(self, sql, clients, seconds, seconds_max, answer, rounded):
        return self.tell(seconds + seconds_max, "press", sql, clients, seconds, seconds_max, answer, rounded)

    def stop(self):
        self.pipe.close()
        try:
            self.child.wait(1)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Served:
    """An engine behind PostgreSQL's protocol, whose client outlives it: only what answers is fresh."""

    client = None

    def connect(self, url):
        if self.client and self.client.is_lost:
            self.client.stop()
            self.client = None
        self.client = self.client or Client()
        self.client.open(url=url)

    def disconnect(self):
        if self.client:
            self.client.stop()
            self.client = None


class Marketlake(Served):
    name, is_ours = "marketlake", True

    def __init__(self, folder, program):
        self.folder, self.program, self.server = folder, program, None
        self.how = (
            "`marketlake serve` with its default settings, over the PostgreSQL wire: all its queries share 512 MiB and "
            "then go on on disk, and a statement has two minutes"
        )

    def missing(self):
        return None if self.program else "no program was given: MARKETLAKE_BIN names one"

    def take(self, part):
        """Its rows are in the lake."""

    def prepare(self, market):
        """Nothing has to be built."""

    def start(self):
        self.server = Server(self.folder, self.program)
        try:
            self.connect(self.server.url)
        except BaseException:
            self.server.stop()
            raise
        return self.server.child.pid

    def stop(self):
        self.server.stop()

    def explain(self, sql):
        """How it went about it. The port has no EXPLAIN ANALYZE; the command has."""
        told = subprocess.run(
            [self.program, "--data-dir", self.folder / "data", "query", "--output", "json", f"EXPLAIN ANALYZE {sql}"],
            capture_output=True, text=True, env={"HOME": str(self.folder)},
        )
        if told.returncode != 0:
            return told.stderr
        return "\n".join(row["plan"] for row in json.loads(told.stdout))

    def close(self):
        self.disconnect()


class Duckdb:
    name, is_ours = "duckdb", False

    def __init__(self, folder, threads):
        self.folder, self.threads = folder / "duckdb", threads
        self.how = (
            f"in the process of its client, without a wire, {threads} threads, over the same Parquet files as a list; "
            "clients are cursors in threads. Memory counts its client's as well"
        )

    def missing(self):
        return None

    def take(self, part):
        """Its rows are in the lake."""

    def prepare(self, market):
        self.files = market.files

    def start(self):
        self.client = Client()
        try:
            self.client.open(files=self.files, threads=self.threads, folder=str(self.folder))
        except BaseException:
            self.client.stop()
            raise
        return self.client.child.pid

    def stop(self):
        self.client.stop()

    def disconnect(self):
        """Its client ends with it."""

    def explain(self, sql):
        self.start()
        try:
            _, answer = self.client.ask(f"EXPLAIN ANALYZE {sql}", EXPLAIN_SECONDS)
            return "\n".join(row[-1] for row in answer.rows)
        except Failed as problem:
            return str(problem)
        finally:
            self.stop()

    def close(self):
        """Nothing is left."""


class Postgresql(Served):
    name, is_ours = "postgresql", False

    def __init__(self, within, clients, cores):
        self.within, self.cluster, self.problem = within, None, None
        memory = int(line_of("/proc/meminfo", "MemTotal").split()[0]) * KIB // MIB
        self.settings = {
            # What its manual advises a server that has the machine for itself.
            "shared_buffers": f"{memory // 4}MB", "effective_cache_size": f"{memory * 3 // 4}MB",
            "work_mem": "256MB", "maintenance_work_mem": "1GB", "random_page_cost": "1.1",
            "max_parallel_workers_per_gather": cores, "max_parallel_workers": cores,
            "max_connections": clients + 20, "wal_level": "minimal", "max_wal_senders": 0,
        }
        self.how = (
            "rows loaded by COPY, primary key (symbol, ts_start), index on session_date, VACUUM and ANALYZE; "
            + ", ".join(f"{name} = {value}" for name, value in self.settings.items())
        )

    def missing(self):
        if not programs():
            return "PostgreSQL's server is missing: `scripts/setup --tests` installs it"
        return self.problem

    def take(self, part):
        if not self.problem:
            self.attempt(lambda: self.copy(part))

    def attempt(self, step):
        """Does `step`; if it fails PostgreSQL takes no part, and the others go on."""
        try:
            step()
        except (RuntimeError, OSError, psycopg.Error) as problem:
            self.problem = f"PostgreSQL did not take the rows: {' '.join(str(problem).split())}"

    def copy(self, part):
        if not self.cluster:
            self.cluster = Cluster(self.settings, self.within)
            # In one transaction with its rows, a new table is not written twice.
            self.loader = psycopg.connect(self.cluster.url)
            self.loader.execute("CREATE SCHEMA gold")
            for table in ("bar_1m", "bar_1d"):
                self.loader.execute(f"CREATE TABLE gold.{table} ({COLUMNS})")
        written = io.BytesIO()
        pyarrow.csv.write_csv(part.rows, written, pyarrow.csv.WriteOptions(include_header=False))
        with self.loader.cursor().copy(f"COPY gold.{part.table} FROM STDIN (FORMAT csv)") as copy:
            copy.write(written.getbuffer())

    def prepare(self, market):
        if not self.problem:
            self.attempt(self.settle)

    def settle(self):
        """Indexes, and what its planner wants to know."""
        self.loader.commit()
        self.loader.autocommit = True
        for table in ("bar_1m", "bar_1d"):
            self.loader.execute(f"ALTER TABLE gold.{table} ADD PRIMARY KEY (symbol, ts_start)")
            self.loader.execute(f"CREATE INDEX ON gold.{table} (session_date)")
            self.loader.execute(f"VACUUM (ANALYZE) gold.{table}")
        self.loader.execute("CHECKPOINT")
        version = self.loader.execute("SHOW server_version").fetchone()[0]
        self.how = f"PostgreSQL {version}, {self.how}"
        self.loader.close()
        self.cluster.halt()

    def start(self):
        self.cluster.start()
        try:
            self.connect(self.cluster.url)
        except BaseException:
            self.cluster.halt()
            raise
        return self.cluster.server.pid

    def stop(self):
        self.cluster.halt()

    def explain(self, sql):
        self.cluster.start()
        try:
            with psycopg.connect(self.cluster.url) as client:
                return "\n".join(row[0] for row in client.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}"))
        finally:
            self.cluster.halt()

    def close(self):
        self.disconnect()
        if self.cluster:
            self.cluster.stop()
