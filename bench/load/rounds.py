"""Runs the engines in turn, A B C A B C, and checks every table before its time counts."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from common import machine, measure

from .check import Wrong, check
from .engines import Job, environment
from .workload import arrive, make_source

PACKAGE = Path(__file__).resolve().parents[1]
MEASURE = Path(measure.__file__)
REASON_LETTERS = 300


class Failed(Exception):
    """The engine did not do the job; the text says why, in one line."""


class Plan(NamedTuple):
    """How everything is run."""

    folder: Path
    seed: int
    cores: int
    rounds: int
    warmups: int
    timeout: float


class Lane:
    """One engine in one workload: its folder, its runs, and why it is out if it is."""

    def __init__(self, engine, workload, source, plan):
        self.engine, self.workload, self.source, self.plan = engine, workload, source, plan
        self.writes = workload.writes if engine.writes_parquet else "delta"
        self.home = plan.folder / engine.name
        self.data = self.home / "data"
        # The state before the clock starts, of which every round gets a copy.
        self.before = self.home / "before"
        self.home.mkdir(parents=True)
        self.runs = []
        self.written = None
        self.problem = engine.missing()

    @property
    def job(self):
        is_incremental = 0 < self.workload.files_before
        return Job(
            str(self.source.folder), str(self.data), self.writes, self.workload.packing, self.plan.cores,
            is_incremental,
        )

    def attempt(self, step):
        """Does `step`; an engine that fails at it is out."""
        try:
            return step()
        except (Failed, Wrong) as problem:
            self.problem = str(problem)
            return None

    def prepare(self):
        """Loads the files that are to be there already, and keeps the result."""
        self.data.mkdir()
        self.spend()
        self.data.rename(self.before)

    def run(self):
        """One run, measured, from the same beginning as every other; the table must be right."""
        if self.before.exists():
            shutil.copytree(self.before, self.data)
        else:
            self.data.mkdir()
        cost = self.spend()
        # pyarrow writes Parquet itself, but not Delta.
        by_pyarrow = self.engine.is_pyarrow and self.writes == "parquet"
        self.written = check(self.engine.table(self.job), self.writes, self.source.truth, by_pyarrow)
        shutil.rmtree(self.data)
        return cost

    def spend(self):
        """Runs the engine's process; returns what it cost."""
        out, log = self.home / "cost.json", self.home / "log"
        job, plan = self.job, self.plan
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:plan.cores]))
        command = [
            sys.executable, "-I", "-S", MEASURE, out, cpus, str(plan.timeout), *self.engine.command(job),
        ]
        busy_before = machine.busy_seconds()
        with open(log, "wb") as output:
            subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=True,
                cwd=self.home, env=environment(job, str(self.home), os.environ["PATH"], str(PACKAGE)),
            )
        busy = machine.busy_seconds() - busy_before
        cost = json.loads(out.read_text())
        told = log.read_text(errors="replace")
        if cost["timed_out"]:
            raise Failed(f"not done within {plan.timeout:.0f} seconds")
        if cost["exit"] != 0:
            raise Failed(f"exit {cost['exit']}: {last_line(told)}")
        cost["seconds_cpu"] = cost["seconds_user"] + cost["seconds_system"]
        # Ours tells no start apart: it is on its account.
        cost["seconds_job"], cost["seconds_job_cpu"] = job_seconds(told) or (
            cost["seconds_wall"], cost["seconds_cpu"],
        )
        cost["cores_others"] = max(0.0, busy - cost["seconds_cpu"]) / cost["seconds_wall"]
        # What the engine has left to the system to write is not on the next one's account.
        begun = time.monotonic()
        subprocess.run(["sync", "--file-system", self.home], check=True)
        cost["seconds_sync"] = time.monotonic() - begun
        return cost

    def result(self):
        return {
            "engine": self.engine.name,
            "is_ours": self.engine.is_ours,
            "writes": self.writes,
            "command": [str(part) for part in self.engine.command(self.job)],
            "problem": self.problem,
            "written": None if self.problem else self.written._asdict(),
            # A wrong result has no time.
            "runs": [] if self.problem else self.runs,
        }


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # An error that is told first and helped with after is worth more than its last word.
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1][:REASON_LETTERS]


def job_seconds(text):
    """Wall clock and processor time after its start, of an engine that tells."""
    for line in reversed(text.splitlines()):
        if line.startswith('{"seconds_job"'):
            told = json.loads(line)
            return told["seconds_job"], told["seconds_job_cpu"]
    return None


def run_workload(workload, engines, plan, tell):
    """All rounds of one workload; returns what the report needs of it."""
    plan = plan._replace(folder=plan.folder / workload.name)
    tell(f"{workload.name}: {workload.title}")
    source = make_source(workload, plan.seed, plan.folder)
    lanes = [Lane(engine, workload, source, plan) for engine in engines]
    if workload.files_before:
        for lane in lanes:
            if not lane.problem:
                lane.attempt(lane.prepare)
        arrive(source)
    for number in range(-plan.warmups, plan.rounds):
        for lane in lanes:
            if lane.problem:
                continue
            cost = lane.attempt(lane.run)
            if cost and 0 <= number:
                lane.runs.append(cost)
            told = f"{cost['seconds_wall']:8.3f} s" if cost else lane.problem
            tell(f"  {'warm-up' if number < 0 else f'round {number + 1}':8} {lane.engine.name:20} {told}")
    results = [lane.result() for lane in lanes]
    shutil.rmtree(plan.folder)
    return {
        "name": workload.name, "title": workload.title, "rows": source.rows, "files": workload.files,
        "files_before": workload.files_before, "json_bytes": source.json_bytes,
        "stored_bytes": source.stored_bytes, "engines": results,
    }
