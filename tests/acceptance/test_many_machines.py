"""Three machines, each with every stage, on one Kafka, one landing zone and one lake.

Pollers divide the symbols, landers the partitions; a machine that dies is replaced by the others.
"""

import time
from collections import Counter

import pytest

import crash
import recorded
from harness import STAGES, Market, Vendor, chance, settle
from services import BUCKET, Place
from tables import Lake

pytestmark = pytest.mark.xdist_group("real services")

MACHINES = 3


def test_three_machines_share_the_work(folder):
    random = chance("many machines")
    vendor = Vendor(
        folder, Market(crash.START, speed=30),
        ["--symbols", 12, "--days", crash.DAYS, "--seed", random.randrange(1_000_000)],
    )
    place = Place()
    pipeline = place.pipeline(
        folder, vendor, recorded.FIRST_DATE,
        source={"requests_per_second": 20, "quota_month": 1_000_000},
        poll={"state_url": f"s3://{BUCKET}/{place.id}/poll", "shards": 6, "lease": "5s"},
        topic={"partitions": 6},
    )

    def start(machine):
        data = folder / f"machine-{machine}"
        return {stage: pipeline.start("--data-dir", data, stage) for stage in STAGES}

    machines = [start(number) for number in range(MACHINES)]
    time.sleep(30)
    # One machine goes without a word, and comes back empty some time later.
    for process in machines[0].values():
        assert process.is_running(), process.errors()[-3000:]
        process.kill()
    time.sleep(20)
    machines.append(start(MACHINES))
    time.sleep(20)
    for machine in machines[1:]:
        for stage, process in machine.items():
            assert process.is_running(), f"{stage} ended:\n{process.errors()[-3000:]}"
            code, _ = process.terminate(patience=60)
            assert code == 0, process.errors()[-3000:]
    settle(vendor, pipeline, crash.FINAL)
    pipeline.verify()
    lake = Lake(pipeline.lake, vendor.truth(), pipeline.lake_options)
    lake.assert_once()
    lake.assert_truth()
    assert_divided(lake)


def assert_divided(lake):
    """No window was fetched by two pollers: a page's rows stand in bronze once, but for the pages
    that a dead machine had not finished."""
    view = lake.table("bronze.intraday")
    fetches = Counter(dict(lake.rows(
        f"SELECT symbol, count(DISTINCT _fetch_id) FROM {view} GROUP BY symbol"
    )))
    rows = lake.one(f"SELECT count(*) FROM {view}")
    distinct = lake.one(f"SELECT count(DISTINCT (symbol, date, last)) FROM {view}")
    print(f"{rows} rows of {distinct} different ones in {sum(fetches.values())} fetches of a symbol")
    assert len(fetches) == 12, fetches
