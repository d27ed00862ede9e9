"""Ingestion that is killed again and again: what several tests and the soak share."""

from datetime import datetime, timezone

import recorded
from harness import STAGES, Market, Pipeline, Vendor, settle
from tables import Lake

# Two days to catch up with and the third to follow, in a market fast enough to keep everybody busy.
START = datetime(2019, 2, 13, 14, 35, tzinfo=timezone.utc)
FINAL = datetime(2019, 2, 14, 12, tzinfo=timezone.utc)
SYMBOLS, DAYS, SPEED = 12, 3, 120
# Long enough to get to work, short enough that starting is hit as well.
ALIVE_MIN, ALIVE_MAX = 0.1, 3.5


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
        # Upkeep looks for work as often as it may; a table has some after 50 versions.
        maintenance={"every": "2s"},
    )


def kill_up(pipeline, random, kills, pause):
    """Kills the whole pipeline `kills` times, each at a random moment of its life."""
    for _ in range(kills):
        up = pipeline.start("up")
        pause(random.uniform(ALIVE_MIN, ALIVE_MAX))
        assert up.is_running(), f"`up` ended by itself:\n{up.errors()[-3000:]}"
        up.kill()


def kill_stages(pipeline, random, kills, pause):
    """Runs every stage as a process; kills one of them at a time, while the others go on."""
    running = {stage: pipeline.start(stage) for stage in STAGES}
    for number in range(kills):
        pause(random.uniform(ALIVE_MIN, ALIVE_MAX))
        for stage, process in running.items():
            assert process.is_running(), f"{stage} ended by itself:\n{process.errors()[-3000:]}"
        # Each stage has its turn in every four, in random order.
        if number % len(STAGES) == 0:
            order = random.sample(STAGES, len(STAGES))
        stage = order[number % len(STAGES)]
        running[stage].kill()
        running[stage] = pipeline.start(stage)
    for process in running.values():
        process.kill()


def assert_unharmed(vendor, pipeline):
    """After a restart everything is there, once, and equals the truth."""
    settle(vendor, pipeline, FINAL)
    pipeline.verify()
    lake = Lake(pipeline.data, vendor.truth())
    lake.assert_once()
    lake.assert_truth()
