"""Asks every engine the same question: afresh, in turns, and by many clients at once.

Each answer is compared with another engine's before its time counts, and each later one with the
first: whoever is wrong once has no time. Who is right, and fails when many ask, keeps the times of one
client.
"""

from typing import NamedTuple

from common.memory import Watch

from .answers import Wrong, difference, judge
from .engines import Failed


class Plan(NamedTuple):
    """How often, by how many, and for how long."""

    rounds: int
    clients: int
    seconds: float
    seconds_max: float


class Lane:
    """One engine and one question: its server, its times, and why it has none if so."""

    def __init__(self, engine, question, plan, is_measured=True):
        self.engine, self.question, self.plan, self.is_measured = engine, question, plan, is_measured
        self.sql = question.sql[engine.name]
        self.problem = engine.missing()
        self.pid = self.answer = self.cold = self.pressed = self.crowd_problem = None
        self.hot, self.peak = [], 0

    def attempt(self, step):
        """Does `step`, and looks at the memory meanwhile; an engine that fails at it is out."""
        if self.problem:
            return
        try:
            self.pid = self.pid or self.engine.start()
            with Watch(self.pid) as watch:
                step()
            self.peak = max(self.peak, watch.peak)
        except (Failed, Wrong, RuntimeError, OSError) as problem:
            self.problem = " ".join(str(problem).split())

    def first(self):
        """The first question that a fresh process is asked."""
        self.cold, self.answer = self.engine.client.ask(self.sql, self.plan.seconds_max)

    def again(self):
        seconds, answer = self.engine.client.ask(self.sql, self.plan.seconds_max)
        differs = difference(self.answer, answer, self.question.rounded)
        if differs:
            raise Wrong(f"another answer than before: {differs}")
        self.hot.append(seconds)

    def press(self):
        plan = self.plan
        try:
            whole, took = self.engine.client.press(
                self.sql, plan.clients, plan.seconds, plan.seconds_max, self.answer, self.question.rounded,
            )
            self.pressed = {"clients": plan.clients, "seconds": whole, "each": took}
        except Failed as problem:
            self.crowd_problem = str(problem)

    def stop(self):
        if self.pid:
            self.engine.stop()
            self.pid = None

    def result(self):
        is_right = not self.problem
        return {
            "engine": self.engine.name, "is_ours": self.engine.is_ours, "sql": self.sql,
            "problem": self.problem, "crowd_problem": self.crowd_problem,
            "rows": len(self.answer.rows) if self.answer else None,
            # A wrong answer has no time.
            "seconds_cold": self.cold if is_right else None,
            "seconds_hot": self.hot if is_right else [],
            "pressed": self.pressed if is_right else None,
            "bytes_peak": self.peak if is_right else None,
        }


def compare(lanes, rounded):
    """Puts out whoever gave an answer that no other engine gave."""
    answered = {lane.engine.name: lane for lane in lanes if not lane.problem}
    judged = judge({name: lane.answer for name, lane in answered.items()}, rounded)
    for name, problem in judged.items():
        answered[name].problem = problem


def run_question(question, engines, witnesses, plan, tell):
    """Everything about one question; returns what the report needs of it.

    A witness answers once, so that those who are measured can be compared with it.
    """
    tell(f"{question.name}: {question.title}")
    lanes = [Lane(engine, question, plan) for engine in engines]
    lanes += [Lane(engine, question, plan, is_measured=False) for engine in witnesses]
    measured = [lane for lane in lanes if lane.is_measured]
    try:
        for lane in lanes:
            lane.attempt(lane.first)
        compare(lanes, question.rounded)
        for _ in range(plan.rounds):
            for lane in measured:
                lane.attempt(lane.again)
        for lane in measured:
            lane.attempt(lane.press)
    finally:
        for lane in lanes:
            lane.stop()
    for lane in lanes:
        tell(f"  {lane.engine.name:12} {told(lane)}")
    return {
        "name": question.name, "title": question.title, "rounded": list(question.rounded),
        "engines": [lane.result() for lane in measured],
        "witnesses": {lane.engine.name: lane.problem for lane in lanes if not lane.is_measured},
    }


def told(lane):
    if lane.problem:
        return lane.problem
    if not lane.is_measured:
        return "has the same answer"
    if lane.crowd_problem:
        return f"of {lane.plan.clients} at once: {lane.crowd_problem}"
    return f"cold {lane.cold:8.3f} s, hot {' '.join(f'{seconds:.3f}' for seconds in lane.hot)}"
