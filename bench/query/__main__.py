"""The command line of `scripts/bench query`.

Makes the bars of a seed, gives them to every engine, asks each the same twelve questions, and checks
the answers before their time counts. Exits with 1 when an engine gave a wrong answer or none.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from common import machine
from common.arguments import chosen, insist_on_quiet, tell, version_of

from .engines import Duckdb, Marketlake, Postgresql
from .lake import write
from .questions import NAMES, questions
from .report import markdown, overall, summarize
from .rounds import Plan, run_question
from .rows import parts

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS_MAX = 10_000


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench query", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="minute bars; 5000000 unless told")
    parser.add_argument("--symbols", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=7, help="of one client, after the cold one")
    parser.add_argument("--clients", type=int, default=8, help="at once")
    parser.add_argument("--seconds", type=float, default=5, help="for which so many clients ask each question")
    parser.add_argument("--engines", metavar="NAMES", help="of marketlake, duckdb, postgresql; without it, all")
    parser.add_argument("--queries", metavar="NAMES", help=f"of {', '.join(NAMES)}; without it, all")
    parser.add_argument("--explain", action="store_true", help="write down each engine's plan as well, with its times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120, help="seconds an answer may take")
    parser.add_argument("--busy", action="store_true", help="begin although others use the machine")
    parser.add_argument("--work", type=Path, help="where tables lie meanwhile")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report, as Markdown and JSON")
    told = parser.parse_args()
    for name in ("rows", "rounds", "clients", "seconds", "timeout"):
        if getattr(told, name) <= 0:
            parser.error(f"--{name} must be above 0")
    if not 2 <= told.symbols <= SYMBOLS_MAX:
        parser.error(f"--symbols must be 2 to {SYMBOLS_MAX}")
    return told


def cpu_seconds():
    """Of this process and of those it started that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(told, names, participants, witnesses, work):
    """Rows for everybody, and then question after question."""
    everybody = [engine for engine in [*participants, *witnesses] if not engine.missing()]

    def give(part):
        for engine in everybody:
            engine.take(part)

    tell(f"making {told.rows:,} bars of {told.symbols:,} symbols")
    market = write(work / "data" / "lake" / "gold", parts(told.seed, told.symbols, told.rows), give)
    for engine in everybody:
        engine.prepare(market)
    asked = {one.name: one for one in questions(market, told.seed)}
    wanted = [asked[name] for name in names]
    plan = Plan(told.rounds, told.clients, told.seconds, told.timeout)
    begun, busy, ours = time.monotonic(), machine.busy_seconds(), cpu_seconds()
    found = [run_question(one, participants, witnesses, plan, tell) for one in wanted]
    # Who has ended has told what it used.
    for engine in everybody:
        engine.disconnect()
    others = machine.busy_seconds() - busy - (cpu_seconds() - ours)
    plans = explain(wanted, participants) if told.explain else []
    return {
        "market": {
            "rows": market.rows, "symbols": market.symbols, "sessions": len(market.sessions), "bytes": market.bytes,
            "files": {table: len(files) for table, files in market.files.items()},
        },
        "questions": found, "plans": plans, "cores_others": max(0.0, others) / (time.monotonic() - begun),
    }


def explain(wanted, participants):
    return [
        {"question": one.name, "engine": engine.name, "plan": engine.explain(one.sql[engine.name])}
        for one in wanted for engine in participants if not engine.missing()
    ]


def witnesses_of(participants, peers):
    """Where one engine alone is measured, another has to give the same answers."""
    if 1 < sum(not engine.missing() for engine in participants):
        return []
    return [engine for engine in peers if engine not in participants and not engine.missing()][:1]


def main():
    told = arguments()
    work = Path(tempfile.mkdtemp(prefix="bench-query-", dir=told.work)).resolve()
    program, cores = os.environ.get("MARKETLAKE_BIN"), len(os.sched_getaffinity(0))
    engines = [Marketlake(work, program), Duckdb(work, cores), Postgresql(told.work, told.clients, cores)]
    try:
        participants = chosen("engine", {engine.name: engine for engine in engines}, told.engines)
        names = chosen("question", {name: name for name in NAMES}, told.queries)
        witnesses = witnesses_of(participants, engines[1:])
        if not told.busy:
            insist_on_quiet()
        begun = datetime.now(timezone.utc).replace(microsecond=0)
        report = {
            "begun": begun.isoformat(), "command": shlex.join(["scripts/bench", "query", *sys.argv[1:]]),
            "seed": told.seed, "rounds": told.rounds, "clients": told.clients, "seconds": told.seconds,
            "timeout": told.timeout, "program": version_of(program), "machine": machine.describe(ROOT),
        }
        report.update(measure(told, names, participants, witnesses, work))
        report["how"] = {engine.name: engine.how for engine in participants}
    finally:
        for engine in engines:
            engine.close()
        shutil.rmtree(work, ignore_errors=True)
    publish(report, told.out / f"query-{begun:%Y%m%dT%H%M%SZ}")
    results = [result for one in report["questions"] for result in one["engines"]]
    sys.exit(any(result["problem"] or result["crowd_problem"] for result in results))


def publish(report, path):
    summarize(report["questions"])
    report["overall"] = overall(report["questions"])
    path.parent.mkdir(parents=True, exist_ok=True)
    page = markdown(report)
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(page)
    print(page)
    print(f"written: {path}.md and {path}.json")
    if report["plans"]:
        plans = [f"{one['question']}, {one['engine']}\n\n{one['plan']}\n" for one in report["plans"]]
        path.with_suffix(".plans.txt").write_text("\n".join(plans))


if __name__ == "__main__":
    main()
