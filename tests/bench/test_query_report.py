"""Medians, ratios and the page of the query benchmark: whoever was wrong has no time, and is named."""

import pytest

from query.report import FIGURES, markdown, overall, summarize


def result(name, hot, cold=1.0, each=4, peak=100_000_000, problem=None, crowd_problem=None):
    is_right = not problem
    return {
        "engine": name, "is_ours": name == "marketlake", "sql": f"SELECT '{name}'", "rows": 7,
        "problem": problem, "crowd_problem": crowd_problem,
        "seconds_cold": cold if is_right else None, "seconds_hot": hot if is_right else [],
        "pressed": {"clients": 8, "seconds": 2.0, "each": [0.5] * each} if is_right and not crowd_problem else None,
        "bytes_peak": peak if is_right else None,
    }


def asked(name, *results):
    return {"name": name, "title": "what is asked", "rounded": ["mean"], "engines": list(results)}


def page(questions, cores_others=0.0):
    machine = {
        "processor": "a processor", "flags": [], "cores": 2, "memory": "1 kB", "kernel": "1", "governor": "not told",
        "python": "3", "packages": {"duckdb": "2"}, "commit": "abc", "load_average": 0.0,
    }
    tables = {"bar_1m": 1_000, "bar_1d": 10}
    return markdown({
        "begun": "2026-01-01", "command": "scripts/bench query", "seed": 1, "rounds": 3, "clients": 8, "seconds": 5,
        "timeout": 120, "program": "marketlake 0.1.0", "machine": machine, "cores_others": cores_others,
        "market": {"rows": tables, "symbols": 10, "sessions": 2, "files": tables, "bytes": tables},
        "questions": questions, "how": {"duckdb": "in its client's process"},
    })


def test_ratios_say_how_many_times_better_ours_is():
    [one] = summarize([asked(
        "latest", result("marketlake", [3.0, 1.0, 2.0], cold=4.0, each=4, peak=200),
        result("duckdb", [1.0], cold=2.0, each=8, peak=100), result("postgresql", [8.0], cold=4.0, each=1, peak=400),
    )])
    assert one["engines"][0]["summary"]["hot"] == 2.0
    assert one["engines"][0]["summary"]["throughput"] == 2.0
    assert one["advantages"]["duckdb"] == {"hot": 0.5, "cold": 0.5, "throughput": 0.5, "peak": 0.5}
    assert one["advantages"]["postgresql"] == {"hot": 4.0, "cold": 1.0, "throughput": 4.0, "peak": 2.0}


def test_the_mean_is_geometric_and_of_those_that_can_be_compared():
    questions = summarize([
        asked("a", result("marketlake", [1.0]), result("duckdb", [8.0])),
        asked("b", result("marketlake", [4.0]), result("duckdb", [2.0])),
        asked("c", result("marketlake", [4.0]), result("duckdb", [], problem="it failed")),
        asked("d", result("marketlake", [], problem="it failed"), result("duckdb", [2.0])),
    ])
    assert overall(questions)["duckdb"]["hot"] == {"mean": pytest.approx(2.0), "of": 2}
    assert "**2.00** of 2" in page(questions)


def test_a_wrong_answer_has_a_reason_and_no_time():
    text = page(summarize([asked("latest", result("marketlake", [], problem="2 rows"), result("duckdb", [1.0]))]))
    assert "- **marketlake** has no time for `latest`: 2 rows" in text
    assert "| latest | none | 1000 | – |" in text


def test_who_fails_in_a_crowd_is_named_and_keeps_the_times_of_one():
    questions = summarize([asked(
        "latest", result("marketlake", [1.0], crowd_problem="out of memory"), result("duckdb", [2.0]),
    )])
    assert set(questions[0]["advantages"]["duckdb"]) == {"hot", "cold", "peak"}
    text = page(questions)
    assert "- **marketlake** does not answer `latest` to many at once: out of memory" in text
    assert "| latest | 1000 | 2000 | 2.00 |" in text and "| latest | none | 2.00 | – |" in text


def test_a_page_of_one_engine_is_a_page():
    text = page(summarize([asked("latest", result("duckdb", [1.0]))]))
    assert "| latest | 1000 |" in text and "geometric mean" not in text


def test_a_page_tells_what_was_asked_and_how():
    text = page(summarize([asked("latest", result("marketlake", [1.0]), result("duckdb", [1.0]))]))
    for title, *_ in FIGURES.values():
        assert f"## {title.format(clients=8)}" in text
    for part in ["seed 1", "SELECT 'duckdb'", "compared within a millionth: mean", "in its client's process", "7 rows"]:
        assert part in text


def test_a_busy_machine_is_told():
    questions = summarize([asked("latest", result("duckdb", [1.0]))])
    assert "Others were at work" not in page(questions)
    assert "1.5 cores busy" in page(questions, cores_others=1.5)
