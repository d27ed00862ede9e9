"""Which files a load takes, when, how many at a time, and what it does about overwritten ones."""

import re

import pytest

from loads import Load
from scenarios import Asks, Gone, Holds, Put, Runs, Scenario, play, rows_of


def ids(*names, modified=None):
    """Files of one row each, which is their name."""
    return Put({name: f'{{"id": "{name}"}}\n' for name in names}, modified)


def holds(*names, **more):
    return Holds("id", [(name,) for name in names], **more)


WHICH = [
    Scenario("a second run finds nothing new", {}, [
        ids("a.json"), Runs(counts={"batches": 1}), Runs(counts={"batches": 0}), holds("a.json", batches=1),
    ]),
    Scenario("nothing is committed for an empty folder", {}, [Runs(counts={"batches": 0})]),
    Scenario("folders inside of folders", {}, [ids("a.json", "x/b.json", "x/y/c.json"), Runs(),
                                             holds("a.json", "x/b.json", "x/y/c.json")]),
    Scenario("only the folder itself on request", {"recursiveFileLookup": False}, [
        ids("a.json", "x/b.json"), Runs(), holds("a.json"),
    ]),
    Scenario("names that fit a glob, in every folder", {"pathGlobFilter": "*.{json,ndjson}"}, [
        ids("a.json", "b.ndjson", "c.csv", "x/d.json"), Runs(), holds("a.json", "b.ndjson", "x/d.json"),
    ]),
    Scenario("hidden files and those of writers are passed over", {}, [
        ids("_SUCCESS", ".a.json.crc", "_temporary/b.json", "c.json"), Runs(), holds("c.json"),
    ]),
    Scenario("names with blanks and letters of the world", {}, [
        ids("a b.json", "é+%20.json", "日.json"), Runs(), holds("a b.json", "é+%20.json", "日.json"),
    ]),
    Scenario("only files written after a moment", {"modifiedAfter": "2026-01-02T00:00:00"}, [
        ids("a.json", modified="2026-01-01"), ids("b.json", modified="2026-01-03"), Runs(), holds("b.json"),
    ]),
    Scenario("only files written before a moment", {"modifiedBefore": "2026-01-02T00:00:00"}, [
        ids("a.json", modified="2026-01-01"), ids("b.json", modified="2026-01-03"), Runs(), holds("a.json"),
    ]),
    Scenario("moments are in the time zone that is told",
             {"modifiedAfter": "2026-01-02T00:00:00", "timeZone": "Asia/Tokyo"}, [
        ids("a.json", modified="2026-01-01T14:59:59"), ids("b.json", modified="2026-01-01T15:00:01"),
        Runs(), holds("b.json"),
    ]),
    Scenario("young files wait", {"minFileAge": "1 hour"}, [
        ids("a.json", modified="2026-01-01"), ids("b.json"), Runs(), holds("a.json"),
        Runs(options={"minFileAge": None}), holds("a.json", "b.json"),
    ]),
    Scenario("files that were there first are passed over on request", {"includeExistingFiles": False}, [
        ids("a.json"), Runs(), ids("b.json"), Runs(),
        holds("b.json", states={"a.json": "SKIPPED", "b.json": "COMMITTED"}),
        Runs(3, ("includeExistingFiles",), options={"includeExistingFiles": True}),
        Asks("replay", ("--files", "a.json")), holds("a.json", "b.json"),
    ]),
    Scenario("a file that comes late by its name is found", {}, [
        ids("2.json"), Runs(), ids("1.json"), Runs(), holds("1.json", "2.json"),
    ]),
    Scenario("also behind a window, when everything is listed", {"listingWindow": 1}, [
        ids("2.json", "3.json"), Runs(), ids("1.json", "4.json"), Runs(),
        Runs(options={"listingWindow": None}), holds("1.json", "2.json", "3.json", "4.json"),
    ]),
    Scenario("a file that was loaded may go", {}, [
        ids("a.json", "b.json"), Runs(), Gone("a.json"), ids("c.json"), Runs(),
        holds("a.json", "b.json", "c.json"),
    ]),
]

LIMITS = [
    Scenario("files in a batch at most", {"maxFilesPerTrigger": 2}, [
        ids("1.json", "2.json", "3.json", "4.json", "5.json"),
        Runs(counts={"batches": 3, "files": 5, "numFilesOutstanding": 0, "numBytesOutstanding": 0}),
        holds(*(f"{number}.json" for number in range(1, 6)), batches=3),
    ]),
    Scenario("the file that passes the limit of bytes is taken", {"maxBytesPerTrigger": "20b"}, [
        ids("1.json", "2.json", "3.json"), Runs(counts={"batches": 2, "files": 3}),
    ]),
    Scenario("one file at least", {"maxBytesPerTrigger": "1b"}, [
        ids("1.json", "2.json"), Runs(counts={"batches": 2, "files": 2}),
    ]),
    Scenario("the lower limit wins", {"maxBytesPerTrigger": "1g", "maxFilesPerTrigger": 1}, [
        ids("1.json", "2.json"), Runs(counts={"batches": 2}),
    ]),
]

# The same name with other rows.
OLD = Put({"a.json": '{"id": "1"}\n{"id": "2"}\n'}, "2026-01-01")
NEW = Put({"a.json": '{"id": "3"}\n'}, "2026-01-02")
OVERWRITES = [
    Scenario("ignored by default, and told", {}, [
        OLD, Runs(), NEW, Runs(counts={"batches": 0}), Holds("id", [("1",), ("2",)]),
    ]),
    Scenario("append loads the new version beside the old one", {"overwrites": "append"}, [
        OLD, Runs(), NEW, Runs(), Holds("id", [("1",), ("2",), ("3",)]),
    ]),
    Scenario("allowOverwrites means append", {"allowOverwrites": True}, [
        OLD, Runs(), NEW, Runs(), Holds("id", [("1",), ("2",), ("3",)]),
    ]),
    Scenario("replace swaps the rows in one version of the table", {"overwrites": "replace"}, [
        OLD, ids("b.json"), Runs(), NEW, Runs(), Holds("id", [("3",), ("b.json",)], batches=2),
    ]),
    Scenario("fail stops the load", {"overwrites": "fail"}, [
        OLD, Runs(), NEW, Runs(4, ("a.json", "`overwrites`")), Holds("id", [("1",), ("2",)]),
        Runs(options={"overwrites": "replace"}), Holds("id", [("3",)]),
    ]),
    Scenario("a version that is written again as it was is loaded once", {"overwrites": "replace"}, [
        OLD, Runs(), NEW, Runs(), OLD, Runs(), Holds("id", [("1",), ("2",)]),
    ]),
    Scenario("replace by an empty file takes the rows away", {"overwrites": "replace"}, [
        OLD, Runs(), Put({"a.json": ""}, "2026-01-02"), Runs(), Holds("id", []),
    ]),
]


@rows_of(WHICH)
def test_which_files(folder, scenario):
    play(folder, scenario)


@rows_of(LIMITS)
def test_how_many_files(folder, scenario):
    play(folder, scenario)


@rows_of(OVERWRITES)
def test_overwritten_files(folder, scenario):
    play(folder, scenario)


@pytest.mark.parametrize("glob, names", [
    ("*.json", {"a.json"}), ("{a,b}.json", {"a.json"}), ("x*/*.json", {"x1/b.json", "x2/c.json"}),
    ("x1", {"x1/b.json"}), ("a.json", {"a.json"}), ("x[12]/[bc].json", {"x1/b.json", "x2/c.json"}),
])
def test_a_glob_as_source(folder, glob, names):
    load = Load(folder, format="json", useStrictGlobber=True)
    load.write({name: f'{{"id": "{name}"}}\n' for name in ("a.json", "x1/b.json", "x2/c.json")})
    load.source = load.source / glob
    load.run()
    assert {name for (name,) in load.rows("id")} == names


def test_two_sources_fill_one_table(folder):
    load, other = Load(folder, format="json"), Load(folder / "other", format="json")
    other.table = load.table
    for each, name in ((load, "a"), (other, "b")):
        each.write({"same.json": f'{{"id": "{name}"}}\n'})
    load.run()
    errors = other.run(code=3)
    assert "source" in errors and "stream" in errors, errors
    other.run(more=["--stream", "other"])
    assert sorted(load.rows("id")) == [("a",), ("b",)]


class TestCleanSource:
    """Files that were loaded are moved or deleted, and stay known."""

    def test_moved_at_once(self, folder):
        archive = folder / "archive"
        load = Load(folder, format="json", cleanSource="MOVE", **{
            "cleanSource.moveDestination": archive, "cleanSource.retentionDuration": "0 seconds",
        })
        load.write({"x/a.json": '{"id": 1}\n'})
        load.run()
        assert not (load.source / "x/a.json").exists()
        moved = [path for path in archive.rglob("*") if path.is_file()]
        assert [path.read_text() for path in moved] == ['{"id": 1}\n']
        row = load.list()["x/a.json"]
        assert (row["ingestion_state"], row["archive_mode"]) == ("ARCHIVED", "MOVE"), row
        assert row["move_location"].endswith("x/a.json") and row["archive_time"], row
        # A name that was seen stays seen.
        load.write({"x/a.json": '{"id": 2}\n'})
        load.run()
        assert load.rows("id") == [("1",)]

    def test_kept_until_the_retention_has_passed(self, folder):
        load = Load(folder, format="json", cleanSource="DELETE")
        load.write({"a.json": '{"id": 1}\n'}, modified="2026-01-01")
        load.run()
        assert (load.source / "a.json").exists()

    def test_kept_when_it_was_overwritten_since(self, folder):
        load = Load(folder, format="json")
        load.write({"a.json": '{"id": 1}\n', "b.json": '{"id": 2}\n'})
        load.run()
        load.write({"a.json": '{"id": 3}\n'})
        load.run(cleanSource="MOVE", **{
            "cleanSource.moveDestination": folder / "archive",
            "cleanSource.retentionDuration": "0 seconds",
        })
        assert (load.source / "a.json").read_text() == '{"id": 3}\n', "nobody has loaded these bytes"
        assert not (load.source / "b.json").exists()

    @pytest.mark.parametrize("options, named", [
        ({"cleanSource": "MOVE"}, "moveDestination"),
        ({"cleanSource": "MOVE", "cleanSource.moveDestination": "{in}/done"}, "moveDestination"),
        ({"cleanSource": "DELETE", "cleanSource.retentionDuration": "1 day"}, "retentionDuration"),
        ({"cleanSource": "SHRED"}, "cleanSource"),
    ])
    def test_refused(self, folder, options, named):
        load = Load(folder, format="json")
        load.write({"a.json": '{"id": 1}\n'})
        options = {name: value.format(**{"in": load.source}) for name, value in options.items()}
        errors = load.run(code=3, **options)
        assert re.search(rf"\b{named}\b", errors), errors
        assert not load.table.exists() or not (load.table / "_delta_log").exists()
