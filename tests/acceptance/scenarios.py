"""Scenarios of `marketlake load`: steps that happen to a folder, and what holds after each."""

import os
from dataclasses import dataclass, field

import pytest

from loads import Load


@dataclass
class Put:
    """Files appear, or are written anew."""

    files: dict
    modified: str = None


@dataclass
class Gone:
    """A file disappears."""

    name: str


@dataclass
class Runs:
    """A load ends with this exit code, says these words, and prints these counts."""

    code: int = 0
    says: tuple = ()
    counts: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)


@dataclass
class Asks:
    """A command of `files` ends so."""

    command: str
    which: tuple = ("--all",)
    code: int = 0
    says: tuple = ()
    counts: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)


@dataclass
class Holds:
    """What the table, its quarantine and its ledger hold now; `None` is not looked at."""

    select: str = None
    rows: list = None
    columns: dict = None
    rescued: list = None
    quarantine: list = None
    states: dict = None
    batches: int = None


@dataclass
class Scenario:
    name: str
    options: dict
    steps: list
    format: str = "json"


def rows_of(scenarios):
    """The scenarios as parameters of a test."""
    rows = [pytest.param(row, id=row.name) for row in scenarios]
    return pytest.mark.parametrize("scenario", rows)


def play(folder, scenario):
    """Takes the steps one after the other."""
    load = Load(folder, format=scenario.format, **scenario.options)
    for number, step in enumerate(scenario.steps, 1):
        where = f"step {number}, {step}"
        match step:
            case Put():
                load.write(step.files, step.modified)
            case Gone():
                os.remove(load.source / step.name)
            case Runs():
                check_answer(load.run(code=step.code, **step.options), step, where)
            case Asks():
                more = step.which
                answer = load.run("files", step.command, code=step.code, more=more, **step.options)
                check_answer(answer, step, where)
            case Holds():
                check_state(load, step, where)
    return load


def check_answer(answer, step, where):
    if step.code:
        for words in step.says:
            assert words in answer, f"{where}: `{words}` is not in\n{answer[-2000:]}"
    else:
        found = {name: answer[name] for name in step.counts}
        assert found == step.counts, f"{where}: {answer}"


def check_state(load, expected, where):
    checks = [
        ("rows", lambda: load.rows(expected.select)),
        ("columns", load.columns),
        ("rescued", load.rescued),
        ("quarantine", load.quarantine),
        ("states", lambda: {path: row["ingestion_state"] for path, row in load.list().items()}),
        ("batches", load.batches),
    ]
    for name, find in checks:
        wanted = getattr(expected, name)
        if wanted is not None:
            assert find() == wanted, f"{where}: {name}"
