"""Ingestion that is killed again and again: what several tests and the soak share."""

import urllib.request
from datetime import datetime, timezone

import recorded
from harness import STAGES, Market, Pipeline, Vendor, settle
from tables import Lake

# Two days to catch up with and the third to follow, in a market fast enough to keep everybody
# busy, and slow enough that it does not close before the last kill.
START = datetime(2019, 2, 13, 14, 35, tzinfo=timezone.utc)
FINAL = datetime(2019, 2, 14, 12, tzinfo=timezone.utc)
SYMBOLS, DAYS, SPEED = 12, 3, 60
# Seconds of a life: long enough to get to work, short enough that starting is hit as well.
ALIVE_MIN, ALIVE_MAX = 0.1, 3.5
# Where starting takes longer than that, lives grow, up to this: all of them end within the session.
ALIVE_LIMIT = 15
# Of every 24 kills so many hit somebody at work at least; starting is worth hitting, too.
AT_WORK = 10 / 24


def begin(folder, random, faults=None):
    """A vendor whose market has just opened, and a pipeline on it."""
    vendor_seed = random.randrange(1_000_000)
    arguments = ["--symbols", SYMBOLS, "--days", DAYS, "--seed", vendor_seed]
    if faults is not None:
        arguments += ["--faults", faults, "--quirk", "all"]
    vendor = Vendor(folder, Market(START, SPEED), arguments)
    return vendor, Pipeline(
        folder, vendor, recorded.FIRST_DATE,
        # A slow client makes the catch-up last through many kills.
        source={"requests_per_second": 10},
        # Upkeep is always at work, so that kills hit it and its commits race everybody's.
        maintenance={"every": "1s", "checkpoint_versions": 5, "compact_files": 3},
    )


class Lives:
    """How many lives there are, how long each is, and how many of them got to work."""

    def __init__(self, random, kills):
        self.random, self.kills = random, kills
        self.longest = ALIVE_MAX
        self.ended = self.at_work = 0

    def go_on(self):
        # A slow beginning is made up for, not for ever.
        return self.ended < self.kills or (not self.is_enough() and self.ended < 2 * self.kills)

    def is_enough(self):
        return AT_WORK * self.kills <= self.at_work

    def length(self):
        return self.random.uniform(ALIVE_MIN, self.longest)

    def end(self, is_at_work):
        """Notes a kill. Lives follow the machine until about every other kill hits work."""
        self.ended += 1
        self.at_work += is_at_work
        longer = self.longest / 1.3 if is_at_work else self.longest * 1.3
        self.longest = min(max(longer, ALIVE_MAX), ALIVE_LIMIT)

    def assert_sharp(self):
        print(f"{self.at_work} of {self.ended} kills hit somebody at work", flush=True)
        assert self.is_enough(), f"only {self.at_work} of {self.ended} kills hit somebody at work"


def commits(pipeline, table):
    """Commits of rows to a table. Upkeep commits as well, without a number of its own."""
    logs = (pipeline.data / "lake" / table / "_delta_log").glob("*.json")
    return sum('"txn"' in log.read_text() for log in logs)


def made(pipeline, stage):
    """How much a stage has made so far, as far as others can see it."""
    if stage == "poll":
        return pipeline.vendor.state()["requests"].get("status_200", 0)
    if stage == "land":
        return sum(1 for _ in (pipeline.data / "landing").rglob("*.zst"))
    return commits(pipeline, {"load": "bronze/intraday", "refine": "silver/bar"}[stage])


def kill_up(pipeline, random, kills, pause):
    """Kills the whole pipeline `kills` times, each at a random moment of its life."""
    lives = Lives(random, kills)
    while lives.go_on():
        before = made(pipeline, "land")
        up = pipeline.start("up")
        pause(lives.length())
        assert up.is_running(), f"`up` ended by itself:\n{up.errors()[-3000:]}"
        up.kill()
        lives.end(before < made(pipeline, "land"))
    lives.assert_sharp()


def kill_stages(pipeline, random, kills, pause):
    """Runs every stage and the servers as processes; kills one of them at a time, while the others
    go on."""
    names = [*STAGES, "serve"]
    lives = Lives(random, kills)
    running, before = {}, {}

    def start(name):
        before[name] = made(pipeline, name) if name in STAGES else None
        running[name] = pipeline.start(name)

    def is_at_work(name):
        if name in STAGES:
            return before[name] < made(pipeline, name)
        return "console" in running[name].output()

    for name in names:
        start(name)
    while lives.go_on():
        pause(lives.length())
        for name, process in running.items():
            assert process.is_running(), f"{name} ended by itself:\n{process.errors()[-3000:]}"
        # Each has its turn in every five, in random order.
        if lives.ended % len(names) == 0:
            order = random.sample(names, len(names))
        name = order[lives.ended % len(names)]
        running[name].kill()
        lives.end(is_at_work(name))
        start(name)
    lives.assert_sharp()
    with urllib.request.urlopen(f"{running['serve'].line('console')}api/v1/status", timeout=30) as answer:
        assert answer.status == 200
    for process in running.values():
        process.kill()


def assert_unharmed(vendor, pipeline, has_faults=False):
    """After a restart everything is there, once, and equals the truth."""
    settle(vendor, pipeline, FINAL)
    pipeline.verify()
    lake = Lake(pipeline.lake, vendor.truth())
    lake.assert_once()
    lake.assert_truth()
    if not has_faults:
        lake.assert_one_version()
