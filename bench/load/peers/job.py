"""What every peer is told, and how it answers: a job in, the seconds after its start out."""

import json
import os
import sys
import time
from pathlib import Path

# As marketlake writes, and at the level that costs least.
ZSTD_LEVEL = 1


class Job:
    """Read the files of `source` that are not in the ledger; append their rows to `table`."""

    def __init__(self, told):
        self.source = told["source"]
        self.table = told["table"]
        # `delta`, or `parquet`: files in a folder, without a log.
        self.writes = told["writes"]
        # `none`, `gzip` or `zstd`.
        self.packing = told["packing"]
        self.cores = told["cores"]
        self.ledger = Path(told["ledger"]) if told["ledger"] else None

    @property
    def pattern(self):
        return f"{self.source}/*"

    def files(self):
        """The files to load, or None for all there are.

        The ledger is the least that a careful script does about files it knows: a list beside the
        table, written after the commit. Other than marketlake's it does not survive a crash between
        the two.
        """
        if self.ledger is None:
            return None
        known = set(self.ledger.read_text().split()) if self.ledger.exists() else set()
        return sorted(entry.path for entry in os.scandir(self.source) if entry.name not in known)

    def finish(self, files):
        if self.ledger is not None:
            with open(self.ledger, "a") as ledger:
                ledger.write("".join(f"{Path(file).name}\n" for file in files))


def run(work):
    """Does the job that the command line names, with `work(job, files)`.

    Whatever has to be imported or started is by now: the clocks show what a process that lives on
    would need.
    """
    job = Job(json.loads(sys.argv[1]))
    begun, spent = time.monotonic(), time.process_time()
    files = job.files()
    Path(job.table).mkdir(parents=True, exist_ok=True)
    work(job, files)
    job.finish(files or [])
    told = {"seconds_job": time.monotonic() - begun, "seconds_job_cpu": time.process_time() - spent}
    print(json.dumps(told), flush=True)
