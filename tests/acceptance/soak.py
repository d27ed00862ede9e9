"""`scripts/soak`: rounds of kills and faults for MARKETLAKE_SOAK_MINUTES, each checked."""

import os
import time

import crash
from harness import chance

KILLS_PER_ROUND = 80


def test_soak(tmp_path_factory):
    end = time.monotonic() + 60 * float(os.environ["MARKETLAKE_SOAK_MINUTES"])
    number = 0
    while number == 0 or time.monotonic() < end:
        number += 1
        random = chance(f"soak {number}")
        kill = random.choice([crash.kill_up, crash.kill_stages])
        faults = random.choice([None, random.randrange(1_000_000)])
        print(f"round {number}: {kill.__name__}, faults {faults}", flush=True)
        folder = tmp_path_factory.mktemp(f"round-{number}")
        vendor, pipeline = crash.begin(folder, random, faults)
        kill(pipeline, random, KILLS_PER_ROUND, time.sleep)
        crash.assert_unharmed(vendor, pipeline, has_faults=faults is not None)
        vendor.stop()
