"""Three machines, each with every stage, on one Kafka, one landing zone and one lake.

Pollers divide the symbols, landers the partitions; a machine that dies is replaced by the others.
"""

import math
from collections import Counter

import pytest

import crash
import recorded
from group import Group
from harness import STAGES, Market, Vendor, chance, settle, until
from services import BUCKET, Place
from shards import Shards
from tables import Lake

pytestmark = pytest.mark.xdist_group("real services")

MACHINES = 3
SYMBOLS, SHARDS, PARTITIONS = 12, 6, 6
# Of what a poller would fetch if all fetched alike: shards differ, and so do starts.
FAIR = 1 / 3


def test_three_machines_share_the_work(folder):
    random = chance("many machines")
    vendor = Vendor(
        folder, Market(crash.START, speed=30),
        ["--symbols", SYMBOLS, "--days", crash.DAYS, "--seed", random.randrange(1_000_000)],
    )
    place = Place()
    pipeline = place.pipeline(
        folder, vendor, recorded.FIRST_DATE,
        source={"requests_per_second": 20, "quota_month": 1_000_000},
        poll={"state_url": f"s3://{BUCKET}/{place.id}/poll", "shards": SHARDS, "lease": "5s"},
        topic={"partitions": PARTITIONS},
    )

    def start(machine):
        data = folder / f"machine-{machine}"
        return {stage: pipeline.start("--data-dir", data, stage) for stage in STAGES}

    shards, group = Shards(place), Group(place, PARTITIONS)
    before = answers(vendor)
    machines = [start(number) for number in range(MACHINES)]
    until("fair division of the shards", lambda: is_divided(shards))
    pages = shards.pages()
    shards.watch(30)
    assert_fair(shards.pages() - pages)
    # Landers divide the partitions; all of them call themselves the same.
    group.until(*["marketlake"] * MACHINES)
    # One machine goes without a word, and comes back empty some time later.
    for process in machines[0].values():
        assert process.is_running(), process.errors()[-3000:]
        process.kill()
    shards.watch(20)
    machines.append(start(MACHINES))
    shards.watch(20)
    until("division among those that are left", lambda: is_divided(shards))
    group.until(*["marketlake"] * MACHINES)
    for machine in machines[1:]:
        for stage, process in machine.items():
            assert process.is_running(), f"{stage} ended:\n{process.errors()[-3000:]}"
            code, _ = process.terminate(patience=60)
            assert code == 0, process.errors()[-3000:]
    shards.collect()
    shards.assert_exclusive()
    assert_asked_once(shards, answers(vendor) - before)
    settle(vendor, pipeline, crash.FINAL)
    pipeline.verify()
    lake = Lake(pipeline.lake, vendor.truth(), pipeline.lake_options)
    lake.assert_once()
    lake.assert_truth()


def is_divided(shards):
    """Whether every machine holds shards, and none holds more than its share."""
    shards.collect()
    held = Counter(shards.holders().values())
    return len(held) == MACHINES and max(held.values()) <= math.ceil(sum(held.values()) / MACHINES)


def assert_fair(pages):
    """Every machine's poller has done a fair part of the work."""
    print(f"pages by poller while all three were there: {sorted(pages.values())}")
    mean = sum(pages.values()) / MACHINES
    assert len(pages) == MACHINES and FAIR * mean <= min(pages.values()), pages


def answers(vendor):
    return vendor.state()["requests"].get("status_200", 0)


def assert_asked_once(shards, answered):
    """Every window was fetched once, and every answer of the vendor recorded, but for those fetches
    that the dead machine, or whoever lost a shard, had in hand."""
    kinds = Counter(change["kind"] for _, _, change in shards.links())
    plans = Counter(
        (shard, change["dataset"], change["plan"])
        for shard, _, change in shards.links() if change["kind"] == "begin_fetch"
    )
    given_up = kinds["begin_fetch"] - kinds["finish_fetch"]
    repeated, unrecorded = plans.total() - len(plans), answered - kinds["record_page"]
    print(f"{answered} answers, {unrecorded} unrecorded; {repeated} windows repeated; {dict(kinds)}")
    assert repeated <= given_up, [plan for plan, times in plans.items() if times > 1]
    assert 0 <= unrecorded <= given_up, (answered, kinds)
