"""The access key is nowhere but in the vendor's address: no log, table, file or process list."""

import re
from pathlib import Path

import contents
import recorded
from harness import KEY_VARIABLE, Market, Pipeline, Vendor, until

# Looks like nothing else in the world. The vendor refuses it, so errors are looked at, too.
CANARY = "cnry7Qf3kZp9Xw2Lr5Vt8"
# A key that works; the simulator knows these alone. It is searched for as a word.
WORKING = "sim-biz"
# What a search of topic, landing zone and tables must find: a symbol stands in all of them.
SYMBOL = "AAAB"


def begin(folder, key):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 3, "--days", 2])
    pipeline = Pipeline(
        folder, vendor, recorded.FIRST_DATE, log={"level": "trace"},
    )
    pipeline.environment = {KEY_VARIABLE: key}
    return pipeline


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path, path.read_bytes()
        except OSError:
            continue


def word_of(key):
    return re.compile(rb"(?<![\w-])" + re.escape(key.encode()) + rb"(?![\w-])")


def assert_absent(folder, key, processes):
    word = word_of(key)
    for path, line in command_lines():
        assert not word.search(line), f"{path} shows the key: {line}"
    logs = [path for process in processes for path in (process.log, process.out)]
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    assert len(files) > 10 or key == CANARY, "there is hardly anything to search"
    for path in logs + files:
        assert not word.search(path.read_bytes()), f"the key stands in `{path}`"
    for place, content in contents.everything(folder / "data"):
        assert not word.search(content), f"the key stands in {place}"


def test_a_key_that_is_refused_is_nowhere(folder):
    pipeline = begin(folder, CANARY)
    up = pipeline.start("up")
    until("answer of the vendor", lambda: "invalid_access_key" in up.errors())
    assert_absent(folder, CANARY, [up])
    assert up.terminate()[0] in (0, 3)
    poll = pipeline.start("poll", "--available-now", "--log-format", "json")
    assert poll.wait() == 3
    for command in ("show", "check"):
        assert CANARY not in "".join(pipeline.run("config", command)[1:])
    assert CANARY not in "".join(pipeline.run("secrets", "check")[1:])
    assert_absent(folder, CANARY, [up, poll])


def test_a_key_that_works_is_nowhere(folder):
    pipeline = begin(folder, WORKING)
    up = pipeline.start("up")
    pipeline.wait_until_drained()
    assert_absent(folder, WORKING, [up])
    assert up.terminate()[0] == 0
    assert_absent(folder, WORKING, [up])
    symbol = word_of(SYMBOL)
    found = {str(place) for place, content in contents.everything(folder / "data") if symbol.search(content)}
    for kind in ("topic.db, `batch`", ".ndjson.zst", "bronze/intraday", "silver/bar", "gold/bar_1m"):
        assert any(kind in place for place in found), f"the search is blind to {kind}: {sorted(found)[:20]}"
