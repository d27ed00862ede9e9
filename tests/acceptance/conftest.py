"""Settles the seed, gives every test a folder, stops its processes, shows their logs on failure."""

import os
import random
import sys
from pathlib import Path

import pytest

# Beside these tests the benchmark starts servers as well, and has what both need.
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / "bench"))

from harness import Process

LOG_BYTES = 4000


def pytest_configure(config):
    # In the process that starts the workers, so that all of them have the same seed.
    os.environ.setdefault("MARKETLAKE_SEED", str(random.randrange(1_000_000)))


def pytest_report_header(config):
    return f"seed: {os.environ['MARKETLAKE_SEED']} (repeat with MARKETLAKE_SEED={os.environ['MARKETLAKE_SEED']})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    # A fixture starts processes as well, and ends them: whatever failed, their logs say why.
    if report.failed:
        report.sections.append(("seed", f"MARKETLAKE_SEED={os.environ['MARKETLAKE_SEED']}"))
        for process in Process.started[-12:]:
            for path in (process.log, process.out):
                text = path.read_text(errors="replace")[-LOG_BYTES:] if path.exists() else ""
                if text.strip():
                    report.sections.append((f"{path.name} (exit {process.child.poll()})", text))
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    # A fixture that fails before its `yield` leaves behind what it had started.
    for process in Process.started:
        process.kill()


@pytest.fixture
def folder(tmp_path):
    """The test's own folder; whatever it started has ended when it is left."""
    first = len(Process.started)
    yield tmp_path
    for process in Process.started[first:]:
        process.kill()
