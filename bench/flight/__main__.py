"""The command line of `scripts/bench flight`.

Writes a table, serves it, reads all of it by each way, and checks what came before its time counts:
rows, and the sums of two columns. Exits with 1 when something differs or memory is not flat.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
import psycopg
import pyarrow
import pyarrow.compute as pc

from common.memory import Watch
from common.server import Server

from .lake import SUMS, write

# What reading may add to the server, whatever the number of rows: a few batches, their messages, the
# buffers of the store and of two sockets.
GROWTH_MAX = 300 << 20


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench flight", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the table, in whole millions")
    parser.add_argument("--rounds", type=int, default=3, help="of each way")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report, as JSON")
    told = parser.parse_args()
    if told.rows % 1_000_000 or not 1_000_000 <= told.rows <= 10_000_000:
        parser.error("--rows must be 1000000 to 10000000, in whole millions: a result has no more")
    return told


def by_flight(server):
    """Reads every batch and lets it go."""
    login = {"username": server.user, "password": server.password}
    rows, sums, read = 0, {name: 0 for name in SUMS}, 0
    with flightsql.connect(server.flight, db_kwargs=login, autocommit=True) as client:
        with client.cursor() as cursor:
            cursor.execute("SELECT * FROM gold.bar_1m")
            for batch in cursor.fetch_record_batch():
                rows += batch.num_rows
                read += batch.nbytes
                for name in SUMS:
                    # A sum of many decimals needs more digits than each of them has.
                    wide = batch.column(name).cast(pyarrow.decimal128(38, 6))
                    sums[name] += pc.sum(wide).as_py()
    return rows, sums, read


def by_copy(server):
    """Counts rows by the sums that the server makes of them, and reads their bytes."""
    read = 0
    with psycopg.connect(server.url) as client:
        with client.cursor().copy("COPY gold.bar_1m TO STDOUT (FORMAT binary)") as copy:
            for part in copy:
                read += len(part)
        named = ", ".join(f"sum({name})" for name in SUMS)
        rows, *sums = client.execute(f"SELECT count(*), {named} FROM gold.bar_1m").fetchone()
    return rows, dict(zip(SUMS, sums)), read


def main():
    told = arguments()
    rounds, problems = [], []
    with tempfile.TemporaryDirectory(prefix="bench-flight-") as folder:
        truth = write(Path(folder) / "data", told.rows)
        with Server(Path(folder), os.environ["MARKETLAKE_BIN"]) as server:
            for number in range(told.rounds):
                for way, read in [("flight", by_flight), ("copy", by_copy)]:
                    with Watch(server.child.pid) as watch:
                        begun = time.monotonic()
                        rows, sums, size = read(server)
                        seconds = time.monotonic() - begun
                    if (rows, sums) != truth:
                        problems.append(f"{way}: {rows} rows, {sums}, not {truth}")
                    growth = watch.peak - watch.before
                    if GROWTH_MAX < growth:
                        problems.append(f"{way}: {growth >> 20} MiB more while it was read")
                    found = {
                        "way": way, "round": number + 1, "rows": rows, "seconds": round(seconds, 3),
                        "rows_per_second": round(rows / seconds), "bytes_read": size,
                        "resident_before": watch.before, "resident_peak": watch.peak,
                    }
                    rounds.append(found)
                    print(
                        f"{way:7} {rows:>10} rows {seconds:7.2f} s {rows / seconds:>12,.0f} rows/s "
                        f"{size / seconds / 1e6:7.0f} MB/s   server {watch.before >> 20} MiB before, "
                        f"{watch.peak >> 20} MiB at most", flush=True,
                    )
    told.out.mkdir(parents=True, exist_ok=True)
    moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    report = told.out / f"flight-{moment}.json"
    report.write_text(json.dumps({"rows": told.rows, "rounds": rounds, "problems": problems}, indent=1))
    print(report)
    sys.exit("\n".join(problems) or None)


main()
