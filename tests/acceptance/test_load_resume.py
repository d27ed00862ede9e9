"""A load that died over a batch: what was planned is carried out, whatever became of the source."""

import json
import os

import pytest

from harness import until
from loads import Load

# So many that a debug build reads them for a while.
MANY = 400_000


def begin(folder, **options):
    """Kills a load right after it has planned a big file and a small one."""
    load = Load(folder, format="json", schema="id BIGINT", **options)
    big = "".join(f'{{"id": {number}}}\n' for number in range(MANY))
    load.write({"big.json": big, "small.json": '{"id": -1}\n'})
    process = load.start()
    planned = load.table / "_marketlake/main/offsets/0.json"
    until("plan", planned.exists, every=0.001)
    process.kill()
    assert not (load.table / "_marketlake/main/outcomes/0.json").exists(), "it died too late"
    return load


def summary(load):
    return load.rows("count(*), count(DISTINCT id), min(id)", order="1")


def test_the_batch_is_run_again(folder):
    load = begin(folder)
    # What came since is for the next batch.
    load.write({"later.json": '{"id": -2}\n'})
    assert load.run()["batches"] == 2
    assert summary(load) == [(MANY + 2, MANY + 2, -2)]
    batches = {path: row["batch"] for path, row in load.list().items()}
    assert batches == {"big.json": 0, "small.json": 0, "later.json": 1}


@pytest.mark.parametrize("ignored", [False, True])
def test_a_planned_file_that_is_gone(folder, ignored):
    """It never holds up the others, and it is told unless that is not wanted."""
    load = begin(folder, ignoreMissingFiles=ignored)
    os.remove(load.source / "big.json")
    process = load.start()
    assert process.wait() == 0, process.errors()
    assert load.rows("id") == [(-1,)]
    assert ("big.json" in process.errors()) != ignored, process.errors()
    assert json.loads(process.output())["files_set_aside"] == (0 if ignored else 1)
    statuses = {path: row["status"] for path, row in load.list().items()}
    assert statuses == {"big.json": "missing", "small.json": "loaded"}, "the ledger has it all the same"
    # Should it come again, it is loaded.
    load.write({"big.json": '{"id": 7}\n'})
    load.run()
    assert load.rows("id") == [(7,), (-1,)]


def test_a_planned_file_that_was_overwritten(folder):
    """The version that was planned is not there to be read; the one that is, is loaded once."""
    load = begin(folder)
    load.write({"big.json": '{"id": 7}\n{"id": 8}\n'})
    load.run()
    load.run()
    assert load.rows("id") == [(7,), (8,), (-1,)]


def test_other_options_apply_to_a_batch_that_was_not_decided(folder):
    load = begin(folder)
    load.run(maxFilesPerTrigger=1)
    assert summary(load) == [(MANY + 1, MANY + 1, -1)]
    assert load.batches() == 1, "the plan stands, whatever the limits are now"
