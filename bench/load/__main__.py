"""The command line of `scripts/bench load`."""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from common import machine
from common.arguments import chosen, insist_on_quiet, tell, version_of

from .engines import engines
from .report import markdown, summarize
from .rounds import Plan, run_workload
from .workload import SIZES, workloads

ROOT = Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench load", description=__doc__)
    parser.add_argument(
        "--sizes", choices=SIZES, default="medium", help="small takes a minute, medium half an hour, large hours",
    )
    parser.add_argument("--workloads", metavar="NAMES", help="of w1, w2, w2-gzip, w2-zstd, w3-small, w3-tiny, w3-new")
    parser.add_argument("--engines", metavar="NAMES", help="by commas; without it, all")
    parser.add_argument("--peers-only", action="store_true", help="without marketlake, which is not built then")
    parser.add_argument("--cores", type=int, default=1, help="for each engine; 1 unless told")
    parser.add_argument("--rounds", type=int, help="that count; 7, of small 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=600, help="seconds a run may take")
    parser.add_argument("--busy", action="store_true", help="begin although others use the machine")
    parser.add_argument("--work", type=Path, help="where files and tables lie meanwhile")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report, as Markdown and JSON")
    told = parser.parse_args()
    available = len(os.sched_getaffinity(0))
    if not 1 <= told.cores <= available:
        parser.error(f"--cores {told.cores}: this machine has {available}")
    return told


def main():
    told = arguments()
    program = None if told.peers_only else os.environ.get("MARKETLAKE_BIN")
    known = {engine.name: engine for engine in engines(program) if not (told.peers_only and engine.is_ours)}
    participants = chosen("engine", known, told.engines)
    size = SIZES[told.sizes]
    wanted = chosen("workload", {workload.name: workload for workload in workloads(size)}, told.workloads)
    if not told.busy and told.sizes != "small":
        insist_on_quiet()
    rounds = told.rounds or size.rounds
    begun = datetime.now(timezone.utc).replace(microsecond=0)
    report = {
        "begun": begun.isoformat(), "command": shlex.join(["scripts/bench", "load", *sys.argv[1:]]),
        "size": told.sizes, "seed": told.seed, "cores": told.cores, "rounds": rounds, "warmups": size.warmups,
        "program": version_of(program), "machine": machine.describe(ROOT),
        "how": {engine.name: engine.how for engine in participants},
    }
    work = Path(tempfile.mkdtemp(prefix="bench-load-", dir=told.work)).resolve()
    started = time.monotonic()
    try:
        plan = Plan(work, told.seed, told.cores, rounds, size.warmups, told.timeout)
        report["workloads"] = summarize([run_workload(one, participants, plan, tell) for one in wanted])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report["seconds"] = time.monotonic() - started
    told.out.mkdir(parents=True, exist_ok=True)
    path = told.out / f"load-{begun:%Y%m%dT%H%M%SZ}"
    page = markdown(report)
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(page)
    print(page)
    print(f"written: {path}.md and {path}.json")


main()
