"""Who takes part, and the command that makes each do a job in a process of its own."""

import json
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from .rows import DDL


class Job(NamedTuple):
    """What one run has to do; all paths are the engine's own but the source."""

    source: str
    folder: str
    writes: str
    packing: str
    cores: int
    # Whether the folder may hold files that are in the table already.
    is_incremental: bool


class Marketlake(NamedTuple):
    """Ours. It writes Delta only, so W1 costs it a log that its peers need not write."""

    name: str
    program: str
    options: tuple
    how: str

    is_ours = True
    writes_parquet = False
    is_pyarrow = False

    def command(self, job):
        options = {"schema": DDL, **dict(self.options)}
        return [
            self.program, "load", job.source, self.table(job), "--format", "json",
            *(part for name, value in options.items() for part in ("--option", f"{name}={value}")),
            "--available-now",
        ]

    def table(self, job):
        return f"{job.folder}/table"

    def missing(self):
        return None if self.program else "no program was given: MARKETLAKE_BIN names one"


class Peer(NamedTuple):
    """A script of `peers`."""

    name: str
    module: str
    packages: tuple
    how: str

    is_ours = False
    writes_parquet = True

    @property
    def is_pyarrow(self):
        return self.module == "pyarrow_peer"

    def command(self, job):
        told = {
            "source": job.source, "table": self.table(job), "writes": job.writes, "packing": job.packing,
            "cores": job.cores, "ledger": f"{job.folder}/ledger" if job.is_incremental else None,
        }
        return [sys.executable, "-W", "ignore", "-m", f"load.peers.{self.module}", json.dumps(told)]

    def table(self, job):
        return f"{job.folder}/table"

    def missing(self):
        """Why it cannot take part: packages that are not there, and what their installer said."""
        absent = [f"{name}{why_missing(name)}" for name in self.packages if not is_installed(name)]
        return f"not installed: {', '.join(absent)}" if absent else None


def is_installed(package):
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def why_missing(package):
    """What `scripts/bench` has noted when it could not install it."""
    noted = Path(os.environ.get("MARKETLAKE_BENCH_MISSING", "")) / package
    return f" ({noted.read_text().strip()})" if noted.is_file() else ""


def engines(program):
    return [
        # With the same columns as the peers, and as users have it, with the struct that tells a
        # row's file.
        Marketlake("marketlake", program, (("metadataColumn", ""),), "load, without `_metadata`"),
        Marketlake("marketlake+metadata", program, (), "load, as it is without options"),
        Peer("polars", "polars_peer", ("polars", "deltalake"), "scan_ndjson, sink_delta; decimals by way of doubles"),
        Peer("pyarrow", "pyarrow_peer", ("pyarrow", "deltalake"), "pyarrow.json, write_deltalake"),
        Peer("duckdb", "duckdb_peer", ("duckdb", "deltalake"), "read_json, write_deltalake"),
        Peer("pysail", "pysail_peer", ("pysail", "pyspark-client"), "Spark's read.json, write.format(\"delta\")"),
        Peer("chdb", "chdb_peer", ("chdb", "deltalake", "pyarrow"), "JSONEachRow, deltaLakeLocal"),
    ]


def environment(job, home, path, package):
    """Nothing from outside, and every engine held to the same cores."""
    cores = str(job.cores)
    return {
        "PATH": path, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONPATH": package,
        "PYTHONDONTWRITEBYTECODE": "1", "RUST_LOG": "error", "TOKIO_WORKER_THREADS": cores,
        "RAYON_NUM_THREADS": cores, "POLARS_MAX_THREADS": cores, "OMP_NUM_THREADS": cores,
    }
