"""A load that goes on: events of the folder, or a look every so often, until it is told to end."""

import json
import time

import pytest
from deltalake import DeltaTable

from harness import until
from loads import Load

TRIGGERS = {
    "events of the folder": {"trigger": "continuous", "useNotifications": True},
    "a look every second": {"trigger": "1 second"},
    "always": {"trigger": "continuous"},
}


def is_created(load):
    return DeltaTable.is_deltatable(str(load.table)) and "id" in load.columns()


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_new_files_are_loaded_until_sigterm(folder, trigger):
    load = Load(folder, format="json", **TRIGGERS[trigger])
    load.write({"a.json": '{"id": 1}\n'})
    process = load.start()
    found = lambda: sorted(int(value) for (value,) in load.rows("id"))
    until("first file", lambda: is_created(load) and found() == [1], patience=20)
    # In a folder that nobody watched, for it was not there, and beside the others.
    load.write({"new/deep/b.json": '{"id": 2}\n', "c.json": '{"id": 3}\n'})
    until("new files", lambda: found() == [1, 2, 3], patience=20)
    code, seconds = process.terminate()
    assert code == 0 and seconds < 10, (code, seconds, process.errors())
    counts = json.loads(process.output())
    assert (counts["files"], counts["rows"]) == (3, 3), counts
    # What came while nobody looked is found by the next start.
    load.write({"d.json": '{"id": 4}\n'})
    load.run(trigger="availableNow")
    assert found() == [1, 2, 3, 4]


def test_nothing_is_committed_while_nothing_comes(folder):
    load = Load(folder, format="json", trigger="1 second")
    load.write({"a.json": '{"id": 1}\n'})
    process = load.start()
    until("rows", lambda: is_created(load) and load.batches() == 1, patience=20)
    version = load.delta().version()
    time.sleep(3)
    assert process.is_running() and load.delta().version() == version
    assert process.terminate()[0] == 0


def test_files_that_are_written_slowly_are_loaded_whole(folder):
    """A file is what it was when it was planned; what is added later is another version of it."""
    load = Load(folder, format="json", trigger="continuous", useNotifications=True, minFileAge="2 seconds")
    path = load.source / "slow.json"
    process = load.start()
    with open(path, "w") as slow:
        for number in range(8):
            slow.write(f'{{"id": {number}}}\n')
            slow.flush()
            time.sleep(0.5)
    whole = [(str(number),) for number in range(8)]
    until("its rows", lambda: is_created(load) and load.rows("id") == whole, patience=30)
    assert process.terminate()[0] == 0, process.errors()
    assert load.quarantine() == []


def test_events_are_tried_out(folder):
    """Probes come back as events, and nothing is left of them."""
    load = Load(folder, format="json", useNotifications=True)
    load.write({"a.json": '{"id": 1}\n'})
    found = load.run("files", "probe", more=["--count", "5"])
    assert (found["sent"], found["lost"]) == (5, 0), found
    latency = found["latency_s"]
    assert 0 < latency["fastest"] <= latency["median"] <= latency["slowest"], found
    assert [path.name for path in load.source.iterdir()] == ["a.json"] and not load.table.exists()
    load.options.pop("useNotifications")
    assert "useNotifications" in load.run("files", "probe", code=3)
