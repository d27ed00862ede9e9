"""The benchmark from end to end, in small: with marketlake, and with one that is wrong."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT

PROGRAM = os.environ["MARKETLAKE_BIN"]
FAKE = ROOT / "tests" / "bench" / "fake_marketlake.py"


def wrong_program(folder, harm):
    program = folder / "marketlake"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" {harm} "$@"\n')
    program.chmod(0o755)
    return program


def bench(folder, program, *arguments):
    """Runs it; returns each workload's results by engine, and the page."""
    told = subprocess.run(
        [sys.executable, "-m", "load", "--sizes", "small", "--out", folder / "out", "--work", folder, *arguments],
        env={**os.environ, "MARKETLAKE_BIN": str(program), "PYTHONPATH": str(ROOT / "bench")},
        capture_output=True, text=True, timeout=300,
    )
    assert told.returncode == 0, told.stderr
    [path] = (folder / "out").glob("*.json")
    report = json.loads(path.read_text())
    page = path.with_suffix(".md").read_text()
    assert page in told.stdout
    assert not list(folder.glob("bench-load-*")), "files are left behind"
    return {
        workload["name"]: {result["engine"]: result for result in workload["engines"]}
        for workload in report["workloads"]
    }, page


def test_who_is_right_has_a_time_in_every_workload(tmp_path):
    found, page = bench(tmp_path, PROGRAM, "--engines", "marketlake+metadata,pyarrow")
    assert list(found) == ["w1", "w2", "w2-gzip", "w2-zstd", "w3-small", "w3-tiny", "w3-new"]
    for workload, results in found.items():
        for engine, result in results.items():
            assert result["problem"] is None, f"{workload}, {engine}: {result['problem']}"
            assert 0 < result["summary"]["seconds_wall"]["median"]
            assert 0 < result["summary"]["seconds_cpu"]["median"]
        assert results["pyarrow"]["ratio"] == {"wall": 1.0, "cpu": 1.0, "job_cpu": 1.0}
        assert results["marketlake+metadata"]["written"]["extra_columns"] == ["_metadata"]
    assert found["w1"]["pyarrow"]["writes"] == "parquet"
    assert found["w3-new"]["pyarrow"]["written"]["rows"] == 65 * 6
    for part in ["seed 1", "**marketlake+metadata**", "scripts/bench load --sizes small", "marketlake 0."]:
        assert part in page


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        ("lose", "1,999 rows instead of 2,000"),
        ("double", "2,001 rows instead of 2,000"),
        ("fail", "exit 2: error: there is no command `load`"),
    ],
)
def test_who_is_wrong_has_no_time(tmp_path, harm, expected):
    program = wrong_program(tmp_path, harm)
    found, page = bench(tmp_path, program, "--engines", "marketlake", "--workloads", "w2")
    ours = found["w2"]["marketlake"]
    assert expected in ours["problem"]
    assert (ours["runs"], ours["summary"], ours["written"]) == ([], None, None)
    assert f"**marketlake** has no time: {expected}" in page


def test_files_of_before_are_not_loaded_again(tmp_path):
    found, _ = bench(tmp_path, PROGRAM, "--engines", "marketlake,pyarrow", "--workloads", "w3-new", "--rounds", "2")
    for engine, result in found["w3-new"].items():
        assert len(result["runs"]) == 2, f"{engine}: {result['problem']}"
        assert result["written"]["extra_columns"] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--engines", "spark"], "there is no engine `spark`"),
        (["--workloads", "w9"], "there is no workload `w9`"),
        (["--cores", "999"], "--cores 999: this machine has"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(tmp_path, arguments, expected):
    told = subprocess.run(
        [sys.executable, "-m", "load", "--sizes", "small", "--out", tmp_path / "out", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "bench")}, capture_output=True, text=True, timeout=60,
    )
    assert told.returncode != 0 and expected in told.stderr
    assert not (tmp_path / "out").exists()
