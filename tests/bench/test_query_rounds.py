"""Who counts: an answer has to be another engine's as well, each later one the first's, and in time."""

import os
from decimal import Decimal

import pytest

from query.answers import Answer, Wrong, difference, judge
from query.client import Library, TooLong, press, timed
from query.engines import Failed
from query.questions import question
from query.rounds import Plan, run_question

ANSWER = Answer(["symbol", "price"], [("A", Decimal("1.50")), ("B", None)])
PLAN = Plan(rounds=3, clients=2, seconds=1, seconds_max=1)


def other(value):
    return Answer(ANSWER.columns, [("A", value), ("B", None)])


@pytest.mark.parametrize(
    ("answer", "rounded", "expected"),
    [
        (other(Decimal("1.500000")), (), None),
        (other(Decimal("1.500001")), (), "row 1: `price` is 1.500001 instead of 1.50"),
        (other(Decimal("1.5000001")), ("price",), None),
        (other(1.5000001), ("price",), None),
        (other(1.5), (), None),
        (other(1.5000000000000002), (), "row 1: `price` is 1.5000000000000002 instead of 1.50"),
        (other(1.51), ("price",), "row 1: `price` is 1.51 instead of 1.50"),
        (other(None), ("price",), "row 1: `price` is None instead of 1.50"),
        (other(float("nan")), ("price",), "row 1: `price` is nan instead of 1.50"),
        (Answer(ANSWER.columns, ANSWER.rows[:1]), (), "1 rows instead of 2"),
        (Answer(ANSWER.columns, ANSWER.rows[::-1]), (), "row 1: `symbol` is B instead of A"),
        (Answer(["symbol", "cost"], ANSWER.rows), (), "columns symbol, cost instead of symbol, price"),
    ],
)
def test_differences(answer, rounded, expected):
    assert difference(ANSWER, answer, rounded) == expected


def test_an_answer_counts_once_another_engine_has_given_it():
    judged = judge({"one": ANSWER, "two": other(Decimal(2)), "three": ANSWER})
    assert (judged["one"], judged["three"]) == (None, None)
    assert "one has another answer: row 1: `price` is 2" in judged["two"]


def test_where_two_differ_neither_counts():
    judged = judge({"one": ANSWER, "two": other(Decimal(2))})
    assert all("has another answer" in told for told in judged.values())


def test_an_answer_alone_does_not_count():
    assert "no other engine" in judge({"one": ANSWER})["one"]


class Engine:
    """Stands for an engine whose client gives these answers, one after the other."""

    is_ours = False

    def __init__(self, name, answers, in_a_crowd=None, missing=None):
        self.name, self.answers, self.in_a_crowd = name, iter(answers), in_a_crowd
        self.why_missing, self.client, self.running = missing, self, 0

    def missing(self):
        return self.why_missing

    def start(self):
        self.running += 1
        return os.getpid()

    def stop(self):
        self.running -= 1

    def ask(self, sql, seconds_max):
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return 0.5, answer

    def press(self, sql, clients, seconds, seconds_max, answer, rounded):
        if self.in_a_crowd:
            raise self.in_a_crowd
        return 2.0, [0.5] * 8


def run(*engines, witnesses=()):
    asked = question("prices", "what costs what", "SELECT", one="SELECT 1")._replace(
        sql=dict.fromkeys([engine.name for engine in [*engines, *witnesses]], "SELECT"),
    )
    found = run_question(asked, engines, witnesses, PLAN, lambda text: None)
    assert all(engine.running == 0 for engine in [*engines, *witnesses])
    return {result["engine"]: result for result in found["engines"]}


def test_who_is_right_has_times():
    found = run(Engine("one", [ANSWER] * 4), Engine("two", [ANSWER] * 4))
    for result in found.values():
        assert (result["problem"], result["seconds_cold"], result["seconds_hot"]) == (None, 0.5, [0.5] * 3)
        assert result["pressed"] == {"clients": 2, "seconds": 2.0, "each": [0.5] * 8}
        assert 0 < result["bytes_peak"]


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (Engine("bad", [other(Decimal(2))] * 4), "has another answer"),
        (Engine("bad", [ANSWER, ANSWER, other(Decimal(2))]), "another answer than before: row 1"),
        (Engine("bad", [ANSWER] * 4, in_a_crowd=Wrong("another answer than before")), "another answer than before"),
        (Engine("bad", [Failed("no answer within 1 seconds")]), "no answer within 1 seconds"),
        (Engine("bad", [], missing="not installed"), "not installed"),
    ],
    ids=["at first", "later", "in a crowd", "too late", "not there"],
)
def test_who_is_wrong_once_has_no_time(engine, expected):
    found = run(engine, Engine("one", [ANSWER] * 4), Engine("two", [ANSWER] * 4))
    bad = found["bad"]
    assert expected in bad["problem"]
    assert (bad["seconds_cold"], bad["seconds_hot"], bad["pressed"], bad["bytes_peak"]) == (None, [], None, None)
    assert found["one"]["problem"] is None


def test_who_fails_in_a_crowd_keeps_the_times_of_one():
    found = run(Engine("weak", [ANSWER] * 4, in_a_crowd=Failed("out of memory")), Engine("one", [ANSWER] * 4))
    weak = found["weak"]
    assert (weak["problem"], weak["crowd_problem"], weak["pressed"]) == (None, "out of memory", None)
    assert weak["seconds_hot"] == [0.5] * 3


def test_a_witness_is_asked_once_and_not_measured():
    found = run(Engine("one", [ANSWER] * 4), witnesses=[Engine("two", [ANSWER])])
    assert list(found) == ["one"] and found["one"]["problem"] is None


@pytest.fixture
def library(tmp_path):
    return Library({}, 1, str(tmp_path))


def test_who_takes_too_long_is_called_off(library):
    endless = "SELECT count(*) FROM range(1000000000) AS a, range(1000000000) AS b WHERE a.range % 7 = b.range % 5"
    with pytest.raises(TooLong, match="no answer within 0.2 seconds"):
        timed(library, library.first, endless, 0.2)
    _, result = timed(library, library.first, "SELECT 1 AS one", 60)
    assert library.read(result) == Answer(["one"], [(1,)])


def test_a_crowd_asks_until_time_is_over(library):
    _, took = press(library, "SELECT 1 AS one", 3, 0.2, 60, Answer(["one"], [(1,)]), ())
    assert 3 <= len(took) and all(0 < seconds for seconds in took)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [("SELECT 2 AS one", "`one` is 2 instead of 1"), ("SELECT 1 AS one FROM range(2)", "2 rows instead of 1")],
)
def test_a_wrong_answer_in_a_crowd_is_told(library, sql, expected):
    with pytest.raises(Wrong, match=expected):
        press(library, sql, 2, 0.1, 60, Answer(["one"], [(1,)]), ())
