"""`scripts/soak`: what takes longer than a test may, for MARKETLAKE_SOAK_MINUTES, each checked.

`test_kills` are rounds of kills and faults; `test_dashboards` is a crowd at the SQL port.
"""

import asyncio
import os
import time
from pathlib import Path
from statistics import median

import crash
import dashboards
from harness import chance
from ingestion import Busy, spread
from tables import Lake
from visitor import Known

KILLS_PER_ROUND = 80

SYMBOLS = 24
# Ingestion alone, to compare with.
BASELINE_SECONDS = 30
# Dashboards refresh as often as people let them.
PAUSES = (2, 8)
# Ingestion is unaffected as long as it keeps up with the market: of its rows per second alone so many
# arrive beside a crowd, minutes that began before or end behind the measured time apart.
ROWS_SHARE_MIN = 0.95
# How much older gold's newest minute may be then, most of the time, in seconds. Two cores are shared by
# the crowd, the vendor and the server, whose SQL and four stages each want both of them.
AGE_MORE_MAX = 5
# Memory is flat when the second half of the time takes no more than the first, once everybody has asked
# everything; allocators keep some of what they had.
MEMORY_SHARE_MAX, MEMORY_SPARE_MIB = 1.1, 64


def minutes():
    return float(os.environ["MARKETLAKE_SOAK_MINUTES"])


def test_kills(tmp_path_factory):
    end = time.monotonic() + 60 * minutes()
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


class Footprint:
    """What a process takes, looked at once a second."""

    def __init__(self, pid):
        self.process = Path(f"/proc/{pid}")
        self.mebibytes, self.files = [], []

    def look(self):
        status = (self.process / "status").read_text().splitlines()
        line = next(line for line in status if line.startswith("VmRSS"))
        self.mebibytes.append(int(line.split()[1]) / 1024)
        self.files.append(len(os.listdir(self.process / "fd")))

    def quarters(self):
        """The median of each quarter of the time, without the look before it."""
        during = self.mebibytes[1:]
        return [median(during[n * len(during) // 4:(n + 1) * len(during) // 4]) for n in range(4)]

    def assert_flat(self):
        _, second, *later = self.quarters()
        allowed = MEMORY_SHARE_MAX * second + MEMORY_SPARE_MIB
        assert max(later) <= allowed, f"memory grew: {self.quarters()} MiB"


def test_dashboards(folder):
    seconds, connections = 60 * minutes(), int(os.environ["MARKETLAKE_SOAK_CONNECTIONS"])
    random = chance("dashboards")
    busy = Busy(folder, random, BASELINE_SECONDS + seconds, SYMBOLS)
    print(f"\ningestion alone for {BASELINE_SECONDS} s", flush=True)
    begun = time.time()
    time.sleep(BASELINE_SECONDS)
    alone = busy.pace(begun, time.time())
    known = Known.of(Lake(busy.pipeline.lake, busy.vendor.truth()), busy.settled)
    footprint = Footprint(busy.up.pid)
    footprint.look()
    print(f"{connections} connections for {seconds:.0f} s", flush=True)
    visit = dashboards.visit(busy.url, connections, seconds, PAUSES, known, random, footprint.look)
    tally, begun, ended = asyncio.run(visit)
    beside = busy.pace(begun, ended)
    show(tally, ended - begun, footprint, alone, beside)
    code, _ = busy.up.terminate(patience=60)
    assert code == 0, busy.up.errors()[-3000:]
    crash.assert_unharmed(busy.vendor, busy.pipeline)
    busy.vendor.stop()
    tally.assert_right()
    footprint.assert_flat()
    assert ROWS_SHARE_MIN * alone.silver_rows <= beside.silver_rows, "rows came later beside the crowd"
    (before, _, _), (after, _, _) = spread(alone.ages), spread(beside.ages)
    assert after <= before + AGE_MORE_MAX, f"gold was {after:.1f} s behind the market, not {before:.1f} s"


def show(tally, seconds, footprint, alone, beside):
    """The figures, as a table."""
    print(f"{'statement':24}{'answered':>9}{'per s':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
    for kind, times in sorted(tally.seconds.items()):
        shown = "".join(f"{1000 * value:9.0f}" for value in spread(times))
        print(f"{kind:24}{len(times):9}{len(times) / seconds:8.1f}{shown}")
    print(f"{'errors':24}{tally.errors.total():9}")
    for (kind, code, text), number in tally.errors.most_common():
        print(f"  {number} x {kind}: {code} {text}")
    before, *during = footprint.mebibytes
    quarters = " ".join(f"{quarter:.0f}" for quarter in footprint.quarters())
    print(f"memory, MiB: {before:.0f} before; medians of the quarters {quarters}; at most {max(during):.0f}")
    print(f"open files: {footprint.files[0]} before, {max(footprint.files)} at most")
    print(f"{'ingestion':24}{'silver/s':>9}{'gold/s':>9}   to silver p50 p95 p99 s      age in gold p50 p95 p99 s")
    for name, pace in (("alone", alone), ("with the crowd", beside)):
        times = "   ".join(" ".join(f"{value:8.2f}" for value in spread(v)) for v in (pace.delays, pace.ages))
        print(f"{name:24}{pace.silver_rows:9.1f}{pace.gold_rows:9.1f}   {times}", flush=True)
