"""The query benchmark from end to end, in small: three engines, twelve questions, the same answers."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import ROOT
from query.engines import Postgresql
from query.rows import parts

PROGRAM = os.environ["MARKETLAKE_BIN"]
SMALL = ["--rows", "9000", "--symbols", "10", "--rounds", "1", "--clients", "2", "--seconds", "0.1", "--busy"]


def bench(folder, *arguments, program=PROGRAM):
    return subprocess.run(
        [sys.executable, "-m", "query", *SMALL, "--out", folder / "out", *arguments],
        env={**os.environ, "MARKETLAKE_BIN": str(program), "PYTHONPATH": str(ROOT / "bench")},
        capture_output=True, text=True, timeout=300,
    )


def report_of(folder, told):
    [path] = (folder / "out").glob("*.json")
    page = path.with_suffix(".md").read_text()
    assert page in told.stdout
    return json.loads(path.read_text()), page


@pytest.fixture
def work():
    """A folder that PostgreSQL's own user may enter, unlike those of tests, and that is left empty."""
    folder = Path(tempfile.mkdtemp(prefix="marketlake-bench-"))
    folder.chmod(0o755)
    yield folder
    folder.rmdir()


def test_all_engines_give_the_same_answers(tmp_path, work):
    told = bench(tmp_path, "--work", work)
    assert told.returncode == 0, told.stdout + told.stderr
    report, page = report_of(tmp_path, told)
    assert len(report["questions"]) == 12
    for question in report["questions"]:
        assert [result["engine"] for result in question["engines"]] == ["marketlake", "duckdb", "postgresql"]
        for result in question["engines"]:
            assert result["problem"] is None and 0 < result["rows"]
            assert 0 < result["summary"]["hot"] and 0 < result["summary"]["throughput"]
    assert {means["hot"]["of"] for means in report["overall"].values()} == {12}
    for part in ["scripts/bench query --rows 9000", "shared_buffers", "marketlake 0.", "in the process of its client"]:
        assert part in page


def test_who_cannot_be_given_the_rows_takes_no_part(tmp_path):
    engine = Postgresql(tmp_path / "nowhere", clients=1, cores=1)
    for part in parts(1, 2, 10):
        engine.take(part)
    engine.prepare(None)
    assert "PostgreSQL did not take the rows" in engine.missing() and "nowhere" in engine.missing()
    engine.close()


def test_who_cannot_answer_has_no_time(tmp_path):
    told = bench(tmp_path, "--engines", "marketlake,duckdb", "--queries", "chart,vwap", program="/bin/false")
    assert told.returncode == 1
    report, page = report_of(tmp_path, told)
    for question in report["questions"]:
        ours, duckdb = question["engines"]
        assert "did not say its line" in ours["problem"] and ours["summary"] is None
        assert "no other engine answered" in duckdb["problem"]
    assert "**marketlake** has no time for `chart`" in page


def test_plans_are_written_down(tmp_path):
    told = bench(tmp_path, "--engines", "marketlake", "--queries", "latest", "--explain")
    assert told.returncode == 0, told.stderr
    report, _ = report_of(tmp_path, told)
    assert report["questions"][0]["witnesses"] == {"duckdb": None}
    [plans] = (tmp_path / "out").glob("*.plans.txt")
    assert "latest, marketlake" in plans.read_text() and "output_rows" in plans.read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--engines", "oracle"], "there is no engine `oracle`"),
        (["--queries", "everything"], "there is no question `everything`"),
        (["--rows", "0"], "--rows must be above 0"),
        (["--symbols", "1"], "--symbols must be 2 to"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(tmp_path, arguments, expected):
    told = bench(tmp_path, *arguments)
    assert told.returncode != 0 and expected in told.stderr
    assert not (tmp_path / "out").exists()
