"""Medians, ratios, and the page: whoever was wrong has no time, and is named."""

import pytest

from common.figures import short, spread
from load.report import markdown, summarize


def run(wall, cpu, job_cpu=None):
    return {
        "seconds_wall": wall, "seconds_user": cpu, "seconds_system": 0.0, "seconds_cpu": cpu, "seconds_job": wall,
        "seconds_job_cpu": cpu if job_cpu is None else job_cpu, "seconds_sync": 0.1,
        "bytes_peak": 100_000_000, "cores_others": 0.0,
    }


def result(name, runs, is_ours=False, problem=None, extra=(), codecs=("ZSTD",)):
    written = {"rows": 10, "files": 1, "bytes": 1_000_000, "codecs": list(codecs), "extra_columns": list(extra)}
    return {
        "engine": name, "is_ours": is_ours, "writes": "delta", "command": [name], "problem": problem,
        "written": None if problem else written, "runs": runs,
    }


def summarized(*results):
    [workload] = summarize([{
        "name": "w2", "title": "files", "rows": 10, "files": 1, "files_before": 0, "json_bytes": 60_000_000,
        "stored_bytes": 60_000_000, "engines": list(results),
    }])
    return workload


def page(workload):
    machine = {
        "processor": "a processor", "flags": [], "cores": 2, "memory": "1 kB", "kernel": "1", "governor": "not told",
        "python": "3", "packages": {"polars": "2"}, "commit": "abc", "load_average": 0.0,
    }
    return markdown({
        "begun": "2026-01-01", "command": "scripts/bench load", "size": "small", "seed": 1, "cores": 1, "rounds": 1,
        "warmups": 0, "program": None, "machine": machine, "how": {"polars": "so"}, "workloads": [workload],
    })


@pytest.mark.parametrize(
    ("values", "low", "median", "high"),
    [
        ([3.0], 3.0, 3.0, 3.0),
        ([4.0, 1.0], 1.75, 2.5, 3.25),
        ([5.0, 1.0, 3.0], 2.0, 3.0, 4.0),
        ([1.0, 2.0, 3.0, 100.0], 1.75, 2.5, 27.25),
    ],
    ids=["one", "two", "three", "an outlier"],
)
def test_spread(values, low, median, high):
    found = spread(values)
    assert (found["low"], found["median"], found["high"]) == (low, median, high)
    assert (found["min"], found["max"]) == (min(values), max(values))


def test_throughput_is_json_by_the_median():
    figures = summarized(result("polars", [run(9.0, 4.0), run(1.0, 3.0), run(2.0, 1.0)]))["engines"][0]["summary"]
    assert figures["bytes_per_second"] == {"wall": 30_000_000, "cpu": 20_000_000, "job_cpu": 20_000_000}


def test_ratios_are_to_the_best_peer_and_never_to_ours():
    ours, other, slow, fast = summarized(
        result("ours", [run(1.0, 0.5)], is_ours=True),
        result("ours too", [run(0.1, 0.1)], is_ours=True),
        result("slow by the clock", [run(4.0, 1.0, job_cpu=0.8)]),
        result("fast by the clock", [run(2.0, 2.0, job_cpu=0.4)]),
    )["engines"]
    assert ours["ratio"] == pytest.approx({"wall": 2.0, "cpu": 2.0, "job_cpu": 0.8})
    assert other["ratio"]["wall"] == pytest.approx(20.0)
    assert slow["ratio"] == pytest.approx({"wall": 0.5, "cpu": 1.0, "job_cpu": 0.5})
    assert fast["ratio"] == pytest.approx({"wall": 1.0, "cpu": 0.5, "job_cpu": 1.0})


def test_without_a_peer_there_is_no_ratio():
    ours, peer = summarized(
        result("ours", [run(1.0, 1.0)], is_ours=True), result("peer", [], problem="299 rows instead of 300"),
    )["engines"]
    assert ours["ratio"] == {"wall": None, "cpu": None, "job_cpu": None} == peer["ratio"]


def test_a_wrong_result_has_a_reason_and_no_time():
    text = page(summarized(result("polars", [run(1.0, 1.0)]), result("duckdb", [], problem="299 rows instead of 300")))
    assert "- **duckdb** has no time: 299 rows instead of 300" in text
    assert "| duckdb |" not in text and "| polars |" in text


def test_a_page_without_any_result_is_a_page():
    assert "has no time: not installed" in page(summarized(result("polars", [], problem="not installed")))


def test_other_compression_and_further_columns_are_told():
    text = page(summarized(result("pysail", [run(1.0, 1.0)], codecs=["SNAPPY"], extra=["_metadata"])))
    assert "- pysail compressed with SNAPPY" in text and "- pysail also wrote _metadata" in text


def test_a_busy_machine_is_told():
    assert "Others were at work" not in page(summarized(result("polars", [run(1.0, 1.0)])))
    assert "1.5 cores" in page(summarized(result("polars", [{**run(1.0, 1.0), "cores_others": 1.5}])))


def test_a_bar_does_not_break_a_row():
    [row] = [line for line in page(summarized(result("a|b", [run(1.0, 1.0)]))).splitlines() if line.startswith("| a")]
    assert row.startswith("| a\\|b |")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1234.5, "1234"), (105.0, "105"), (45.67, "45.7"), (1.234, "1.23"), (0.0123, "0.0123"),
        (0.000012, "0.0000120"), (0, "0"),
    ],
)
def test_three_digits_count(number, expected):
    assert short(number) == expected
