"""Two copies of every stage on one folder: they share the work, or one stands by."""

import time

import crash
from harness import STAGES, chance


def test_two_copies_of_every_stage(folder):
    vendor, pipeline = crash.begin(folder, chance("two of each"))
    first = [pipeline.start(stage) for stage in STAGES]
    second = [pipeline.start(stage) for stage in STAGES]
    time.sleep(20)
    # The copies that were first go without a word; the others must not be waiting for them.
    for process in first:
        assert process.is_running(), f"{process.name} ended:\n{process.errors()[-3000:]}"
        process.kill()
    before = pipeline.status()
    time.sleep(15)
    after = pipeline.status()
    for old, new in zip(before["stages"], after["stages"]):
        if old["name"] in STAGES:
            assert old["rows_total"] < new["rows_total"], f"`{old['name']}` is wedged: {old} {new}"
    for process in second:
        assert process.is_running(), f"{process.name} ended:\n{process.errors()[-3000:]}"
        code, seconds = process.terminate()
        assert code == 0 and seconds < 10, f"{process.name}: exit {code} after {seconds:.1f} s"
    crash.assert_unharmed(vendor, pipeline)
