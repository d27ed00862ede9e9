"""What stands still for longer than anybody waits: a lander that is stopped, a store that is away.

Others take over or wait; whoever comes back does no harm.
"""

import json
import re
import signal
import time
import urllib.request
from collections import Counter

import pyarrow
import pytest

import crash
import recorded
from group import DATASETS, Group
from harness import Market, Vendor, chance, settle, until
from services import Place, address, s3_keys
from tables import Lake
from test_under_fire import FaultProxy

pytestmark = pytest.mark.xdist_group("real services")

# The shortest that a broker allows.
SESSION_SECONDS = 6
OUTAGE_SECONDS = 60
# The stages double their waits up to thirty seconds: in a minute nobody tries more often.
ATTEMPTS_MAX = 15
PARTITIONS = 4


def begin(folder, purpose, **options):
    vendor = Vendor(
        folder, Market(crash.START, speed=30),
        ["--symbols", 8, "--days", crash.DAYS, "--seed", chance(purpose).randrange(1_000_000)],
    )
    place = Place(**options)
    pipeline = place.pipeline(
        folder, vendor, recorded.FIRST_DATE,
        source={"requests_per_second": 20, "quota_month": 1_000_000},
        # An open object waits this long: whoever stands still has some.
        landing={"age_max": "2s"}, topic={"partitions": PARTITIONS},
    )
    return vendor, place, pipeline


def lengths(place):
    """How many objects the chain of each dataset and partition has."""
    keys = s3_keys(f"{place.id}/landing/0/")
    names = (re.search(r"/t\w+\.(\w+)/p=(\d+)/", key) for key in keys)
    return Counter((name[1], int(name[2])) for name in names if name)


def assert_chains(place):
    """Each object begins where the one before it ended."""
    for dataset in DATASETS:
        ends = Counter()
        for key, stored in sorted(place.landing_objects(dataset).items()):
            with pyarrow.input_stream(pyarrow.py_buffer(stored), compression="zstd") as stream:
                footer = json.loads(stream.read().decode().splitlines()[-1])["_footer"]
            partition = re.search(r"/p=(\d+)/", key)[1]
            assert footer["first"] == ends[partition], f"{key} does not begin at {ends[partition]}"
            ends[partition] = footer["next"]
        assert ends, f"nothing of {dataset} has landed"


def assert_unharmed(vendor, place, pipeline):
    settle(vendor, pipeline, crash.FINAL)
    pipeline.verify()
    assert_chains(place)
    lake = Lake(pipeline.lake, vendor.truth(), pipeline.lake_options)
    lake.assert_once()
    lake.assert_truth()
    lake.assert_one_version()


def test_a_lander_that_stood_still_does_no_harm(folder):
    vendor, place, pipeline = begin(folder, "a stopped lander")
    group = Group(place, PARTITIONS)
    others = [pipeline.start(stage) for stage in ("poll", "load", "refine")]
    landers = {}
    for name in ("one", "another"):
        pipeline.sections["topic.kafka"] = {
            "client_id": name, "session_timeout_ms": str(SESSION_SECONDS * 1000),
        }
        landers[name] = pipeline.start("--data-dir", folder / name, "land")
        # It has read its settings when it is among the members.
        group.until(*landers)
    # Whichever has the busier topic, which always has an object open.
    sleeper, parts = max(group.until(*landers), key=lambda found: ("intraday", 0) <= max(found[1]))
    parts = [part for part in parts if part[0] == "intraday"]
    (heir,) = set(landers) - {sleeper}
    until("landed objects", lambda: sum(lengths(place)[part] for part in parts) >= 8)
    # With few symbols a partition may have none.
    parts = [part for part in parts if lengths(place)[part]]

    landers[sleeper].child.send_signal(signal.SIGSTOP)
    group.until(heir)
    until_landed(place, parts)
    landers[sleeper].child.send_signal(signal.SIGCONT)
    # It wakes up in the middle of what it did, and takes the other's objects for its own.
    group.until(*landers)
    until_landed(place, parts)
    assert_chains(place)
    for process in [*others, *landers.values()]:
        assert process.is_running(), f"{process.name} ended:\n{process.errors()[-3000:]}"
        code, _ = process.terminate(patience=60)
        assert code == 0, process.errors()[-3000:]
    assert_unharmed(vendor, place, pipeline)


def until_landed(place, parts):
    """Waits until the chain of each partition has grown."""
    before = lengths(place)
    until(f"new objects of {parts}", lambda: all(before[part] < lengths(place)[part] for part in parts))


class Watch:
    """What the console says of the stages while something is wrong."""

    def __init__(self, up):
        self.url = f"{up.line('console')}api/v1/status"

    def stages(self):
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            return {stage["name"]: stage for stage in json.load(answer)["stages"]}

    def waits(self, name):
        """What a stage says while it backs off, or nothing."""
        stage = self.stages()[name]
        message = stage["message"] or ""
        return message if stage["state"] == "waiting" and "next in" in message else None


def test_a_store_that_is_away_for_a_minute_is_waited_for(folder):
    proxy = FaultProxy(folder, 1)
    try:
        # Nothing else is wrong with it.
        urllib.request.urlopen(f"{proxy.url}/__rate?rate=0", data=b"", timeout=30)
        vendor, place, pipeline = begin(folder, "an outage", s3=proxy.url)
        up = pipeline.start("up")
        watch = Watch(up)
        until("landed objects", lambda: lengths(place).total() >= 5)

        begun, tried = time.monotonic(), len(tries(up))
        outage = f"{proxy.url}/__outage?seconds={OUTAGE_SECONDS}"
        urllib.request.urlopen(outage, data=b"", timeout=30)
        landed = lengths(place).total()
        for stage in ("land", "load"):
            message = until(f"word from `{stage}` that it waits", lambda: watch.waits(stage))
            print(f"`{stage}` after {time.monotonic() - begun:.0f} s: {message}")
            assert "attempt" in message, message
        assert time.monotonic() - begun < OUTAGE_SECONDS, "they said so too late"
        # Fetching goes on: what the store misses waits in the topic.
        polled = watch.stages()["poll"]["rows_total"]
        until("rows fetched meanwhile", lambda: polled < watch.stages()["poll"]["rows_total"])
        time.sleep(max(0, begun + OUTAGE_SECONDS - time.monotonic()))
        assert up.is_running(), up.errors()[-3000:]

        until("end of the wait", lambda: not (watch.waits("land") or watch.waits("load")))
        until("landed objects", lambda: landed < lengths(place).total())
        attempts = tries(up)[tried:]
        assert len(attempts) <= 2 * ATTEMPTS_MAX, f"{len(attempts)} attempts:\n" + "\n".join(attempts)
        assert up.terminate(patience=60)[0] == 0, up.errors()[-3000:]
        pipeline.sections["landing.options"]["aws_endpoint"] = address("S3")
        assert_unharmed(vendor, place, pipeline)
    finally:
        proxy.stop()


def tries(up):
    return [line for line in up.errors().splitlines() if "will try again" in line]
