"""Ingestion that follows a running market, and how it goes: rows that come, and how old the newest are.

Delta's own logs tell that. Nothing is asked of the program, which has enough to do while it is measured.
"""

import json
import shlex
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median, quantiles

import crash
import recorded
from harness import Market, Pipeline, Vendor, until

SILVER, GOLD = "silver/bar", "gold/bar_1m"
# Of market time: from shortly after the open to shortly before the close.
SESSION_SECONDS = 380 * 60
# At most as fast as this: a minute of the market in a second.
SPEED_MAX = 60
# Between two rounds of upkeep, in market time.
UPKEEP_SECONDS = 600
# What it takes to catch up with two days, on a slow machine; elsewhere it takes ten.
CATCH_UP_SECONDS = 180


class Busy:
    """`marketlake up` in a market that runs for at least so many seconds, after two closed days."""

    def __init__(self, folder, random, seconds, symbols):
        speed = max(1, min(SPEED_MAX, int(SESSION_SECONDS / (seconds + CATCH_UP_SECONDS))))
        arguments = ["--symbols", symbols, "--days", crash.DAYS, "--seed", random.randrange(1_000_000)]
        self.vendor = Vendor(folder, Market(crash.START, speed), arguments)
        # Upkeep is as often as the default has it, for a market that is so much faster.
        upkeep = {"every": f"{max(1, round(UPKEEP_SECONDS / speed))}s"}
        self.pipeline = Pipeline(folder, self.vendor, recorded.FIRST_DATE, maintenance=upkeep)
        self.up = self.pipeline.start("up")
        words = shlex.split(self.up.line("SQL"))
        option = lambda name: words[words.index(name) + 1]
        password = next(word for word in words if word.startswith("PGPASSWORD=")).split("=", 1)[1]
        self.url = f"postgresql://{option('-U')}:{password}@{option('-h')}:{option('-p')}/{words[-1]}"
        until("end of the past", self.is_polled, patience=CATCH_UP_SECONDS)
        # In wall seconds since 1970: what was fetched before it is in silver and gold.
        self.settled = time.time()
        # The stages keep the order of each partition, and partitions are never minutes apart.
        later = self.market.at() + timedelta(minutes=3)
        until("minutes after it", lambda: later < self.newest(), patience=CATCH_UP_SECONDS)

    @property
    def market(self):
        return self.vendor.market

    def is_polled(self):
        assert self.up.is_running(), f"`up` ended early:\n{self.up.errors()[-3000:]}"
        return crash.made(self.pipeline, "refine") and self.pipeline.lag()["poll"] == 0

    def newest(self):
        return max(bar.ended for bar in commits(self.pipeline.lake, GOLD) if bar.ended)

    def pace(self, begin, end):
        return Pace.between(self.pipeline.lake, self.market, begin, end)



@dataclass
class Commit:
    """A version that brought rows forward."""

    # Wall time, in seconds since 1970.
    at: float
    # How many rows the table has more than before.
    rows: int
    # Wall time at which the oldest of its rows was fetched, where the table keeps that.
    fetched: float = None
    # Market time at which the newest of its bars ended.
    ended: datetime = None


def commits(lake, table):
    """The commits of rows, oldest first. Upkeep, which brings nothing forward, changes no data."""
    sizes = {}
    for path in sorted((lake / table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        added = [action["add"] for action in actions if "add" in action]
        stats = [json.loads(add["stats"]) for add in added]
        rows = sum(stat["numRecords"] for stat in stats)
        rows -= sum(sizes.pop(action["remove"]["path"], 0) for action in actions if "remove" in action)
        sizes.update((add["path"], stat["numRecords"]) for add, stat in zip(added, stats))
        if not any(add["dataChange"] for add in added):
            continue
        info = next(action["commitInfo"] for action in actions if "commitInfo" in action)
        bound = lambda side, name: [
            datetime.fromisoformat(stat[side][name]) for stat in stats if name in stat[side]
        ]
        fetched, ended = bound("minValues", "knowledge_from"), bound("maxValues", "ts_end")
        yield Commit(
            info["timestamp"] / 1000, rows, min(fetched).timestamp() if fetched else None,
            max(ended, default=None),
        )


def ages(lake, market, seconds):
    """At each of these moments of wall time, the age of gold's newest minute, in wall seconds."""
    bars = [commit for commit in commits(lake, GOLD) if commit.ended]
    for at in seconds:
        seen = [bar.ended for bar in bars if bar.at <= at]
        passed = (market.start - max(seen)).total_seconds() if seen else float("inf")
        yield (at - market.epoch.timestamp()) + passed / market.speed


@dataclass
class Pace:
    """How ingestion went for a while."""

    # Per second.
    silver_rows: float
    gold_rows: float
    # From a vendor's answer to its rows in silver, for each commit; in seconds.
    delays: list
    # Of gold's newest minute, at every second.
    ages: list

    @classmethod
    def between(cls, lake, market, begin, end):
        within = lambda table: [one for one in commits(lake, table) if begin <= one.at < end]
        silver, gold = within(SILVER), within(GOLD)
        seconds = [begin + second for second in range(1, int(end - begin) + 1)]
        return cls(
            sum(one.rows for one in silver) / (end - begin), sum(one.rows for one in gold) / (end - begin),
            [one.at - one.fetched for one in silver if one.fetched], list(ages(lake, market, seconds)),
        )


def spread(values):
    """Median, 95th and 99th percentile."""
    if len(values) < 2:
        return (values * 3)[:3] or [float("nan")] * 3
    cuts = quantiles(values, n=100, method="inclusive")
    return [median(values), cuts[94], cuts[98]]
