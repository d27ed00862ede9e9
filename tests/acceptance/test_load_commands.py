"""`marketlake files`: the ledger and what people ask of it, each wish one version of the table."""

import duckdb
import pytest

from harness import Process
from loads import Load

# The columns that Auto Loader's `cloud_files_state` has, in its order.
OF_AUTO_LOADER = [
    "path", "size", "create_time", "discovery_time", "processed_time", "commit_time", "archive_time",
    "archive_mode", "move_location", "source_id", "flow_name", "ingestion_state",
]
OURS = [
    "etag", "status", "batch", "rows", "rows_rescued", "records_bad", "failures", "first_error",
    "schema_version", "table_version",
]


@pytest.fixture
def load(folder):
    """Three files of two days in two batches."""
    load = Load(folder, format="json", maxFilesPerTrigger=2)
    load.write({"1/a.json": '{"id": 1}\n{"id": 2}\n!\n', "1/b.json": '{"id": 3}\n'}, "2026-01-05T10:00:00")
    load.write({"2/c.json": '{"id": 4}\n'}, "2026-01-06T10:00:00")
    load.run()
    return load


def ids(load):
    return [int(value) for (value,) in load.rows("id")]


def test_list(load):
    rows = load.list()
    assert list(rows) == ["1/a.json", "1/b.json", "2/c.json"]
    row = rows["1/a.json"]
    assert list(row) == OF_AUTO_LOADER + OURS
    assert row["create_time"] == "2026-01-05T10:00:00Z", row
    said = {name: row[name] for name in ("ingestion_state", "batch", "rows", "records_bad", "flow_name")}
    assert said == {
        "ingestion_state": "COMMITTED", "batch": 0, "rows": 2, "records_bad": 1, "flow_name": "main",
    }
    assert row["create_time"] < row["discovery_time"] <= row["processed_time"] <= row["commit_time"], row
    assert row["source_id"].rstrip("/") == str(load.source)
    # The versions of the table hold what the ledger says.
    assert rows["2/c.json"]["table_version"] == load.delta().version()
    before = load.delta(version=row["table_version"]).to_pyarrow_table()
    assert before.num_rows == 3


def test_the_ledger_as_a_table(load):
    for run in (1, 2):
        rows = load.list("--keep")
        kept = load.delta("__files")
        found = {row["path"]: row for row in kept.to_pyarrow_table().to_pylist()}
        assert set(found) == set(rows)
        assert [field.name for field in kept.schema().fields] == OF_AUTO_LOADER + OURS
        for path, row in rows.items():
            numbers = {name: value for name, value in row.items() if not name.endswith("_time")}
            assert numbers == {name: found[path][name] for name in numbers}
    count = duckdb.sql("SELECT sum(rows) FROM read_parquet($files)", params={"files": kept.file_uris()})
    assert count.fetchone()[0] == 4


@pytest.mark.parametrize("which, left", [
    (("--files", "1/a.json"), [3, 4]), (("--files", "1/*"), [4]), (("--files", "**/c.json"), [1, 2, 3]),
    (("--day", "2026-01-05"), [4]), (("--batch", "0"), [4]), (("--batch", "1"), [1, 2, 3]), (("--all",), []),
    (("--files", "none"), [1, 2, 3, 4]),
])
def test_undo_and_replay(load, which, left):
    """Rows go in one version, come again in one, and are not loaded in between."""
    version = load.delta().version()
    gone = {1, 2, 3, 4} - set(left)
    load.run("files", "undo", more=which)
    assert ids(load) == left
    assert load.delta().version() == version + bool(gone)
    load.run()
    assert ids(load) == left, "what was undone stays undone"
    undone = [path for path, row in load.list().items() if row["ingestion_state"] == "UNDONE"]
    assert bool(undone) == bool(gone)
    files = which if which[0] != "--batch" else ("--all",)
    load.run("files", "replay", more=files)
    assert ids(load) == [1, 2, 3, 4]


def test_replay_swaps_rows(load):
    """Nobody sees a version without them."""
    version = load.delta().version()
    done = load.run("files", "replay", more=["--all"])
    assert (done["files"], done["rows_loaded"]) == (3, 4), done
    assert load.delta().version() == version + 1
    assert ids(load) == [1, 2, 3, 4]
    counts = {path: row["rows"] for path, row in load.list().items()}
    assert counts == {"1/a.json": 2, "1/b.json": 1, "2/c.json": 1}


def test_replay_after_the_columns_changed(load):
    load.run(schemaHints="id STRING, more STRING")
    done = load.run("files", "replay", more=["--all"])
    assert done["files"] == 3 and ids(load) == [1, 2, 3, 4]


def test_plan_says_and_does_nothing(folder):
    load = Load(folder, format="json", inferColumnTypes=True, maxFilesPerTrigger=2)
    load.write({"a.json": '{"id": 1}\n', "b.json": '{"id": 2}\n', "c.json": '{"id": 3}\n'})
    plan = load.run("files", "plan")
    assert plan["next_batch"] == {"files": 2, "bytes": 20} and plan["behind_it"] == {"files": 1, "bytes": 10}
    assert plan["columns"] == {"version": None, "ddl": ["id BIGINT"]}
    assert not load.table.exists(), "a dry run leaves nothing behind"
    load.run()
    load.write({"d.json": '{"id": 4, "x": 1.5}\n'})
    before = sorted(load.table.rglob("*"))
    plan = load.run("files", "plan")
    assert sorted(load.table.rglob("*")) == before
    assert plan["columns"]["version"] == 1
    modes = {mode["mode"]: mode for mode in plan["evolution"]}
    assert list(modes) == [
        "addNewColumns", "addNewColumnsWithTypeWidening", "rescue", "failOnNewColumns", "none", "evolve",
    ]
    assert [name for name, mode in modes.items() if mode["is_chosen"]] == ["addNewColumns"]
    streams = {name: mode["stream"] for name, mode in modes.items()}
    assert streams["evolve"] == "goes on" and streams["addNewColumns"] == "stops once", streams
    assert "x" in modes["evolve"]["columns"] and "x" in modes["rescue"]["not_held"], modes


def test_plan_decides_nothing(folder):
    """What counts at the first start only is decided by a load, and not by a dry run."""
    load = Load(folder, format="json")
    load.write({"a.json": '{"id": 1}\n'})
    load.run("files", "plan", includeExistingFiles=False)
    load.run()
    assert ids(load) == [1]


def test_plan_has_what_the_options_give_now(load):
    plan = load.run("files", "plan", schemaHints="id STRING, more DATE")
    assert plan["columns"]["ddl"] == ["id STRING", "more DATE"], plan["columns"]
    assert "more" not in load.columns()


def test_plan_names_overwritten_files(load):
    load.write({"1/b.json": '{"id": 9}\n'})
    assert load.run("files", "plan")["overwritten"] == ["1/b.json"]
    assert load.run("files", "plan", overwrites="fail")["refused"] == "1/b.json"


LISTS = {
    "paths as csv": lambda load: "path\n1/a.json\n1/b.json\n",
    "an export of Auto Loader's state": lambda load: (
        "path,size,create_time,ingestion_state\n"
        f"file:{load.source}/1/a.json,22,2026-01-05T10:00:00Z,COMMITTED\n"
        f"{load.source}/1/b.json,10,2026-01-05T10:00:00Z,COMMITTED\n"
    ),
    "addresses of local files": lambda load: (
        f"path\nfile://{load.source}/1/a.json\n{load.source}/1/b.json\n"
    ),
    "json lines": lambda load: '{"path": "1/a.json", "size": 22}\n{"path": "1/b.json"}\n',
}


@pytest.mark.parametrize("name", LISTS)
def test_import(folder, name):
    """What another loader has loaded is not loaded again, and what came since is."""
    load = Load(folder, format="json")
    load.write({"1/a.json": '{"id": 1}\n{"id": 2}\n!\n', "1/b.json": '{"id": 3}\n'}, "2026-01-05T10:00:00")
    load.write({"c.json": '{"id": 4}\n'})
    path = folder / "list"
    path.write_text(LISTS[name](load))
    assert load.run("files", "import", more=["--list", path])["files"] == 2
    load.run()
    assert ids(load) == [4]
    states = {path: row["ingestion_state"] for path, row in load.list().items()}
    assert states == {"1/a.json": "SKIPPED", "1/b.json": "SKIPPED", "c.json": "COMMITTED"}
    assert load.run("files", "import", more=["--list", path])["files"] == 0, "a second time is nothing new"


@pytest.mark.parametrize("entries", [
    "a.json,ten\n,5\n",
    "/elsewhere/a.json,\ns3://bucket/a.json,\n",
    "dbfs:/mnt/a.json,\n/elsewhere/a.json,\n",
])
def test_a_list_that_cannot_be_understood(folder, entries):
    """An entry that is left out in silence would be loaded twice."""
    load = Load(folder, format="json")
    load.write({"a.json": '{"id": 1}\n'})
    path = folder / "list"
    path.write_text(f"path,size\n{entries}")
    errors = load.run("files", "import", code=3, more=["--list", path])
    assert "line 2" in errors and "line 3" in errors, errors
    load.run()
    assert ids(load) == [1], "nothing was taken for loaded"


@pytest.mark.parametrize("output", ["text", "csv", "json"])
def test_every_output(load, output):
    process = Process("list", ["--output", output, "files", "list", load.table], load.folder)
    assert process.wait() == 0, process.errors()
    text = process.output()
    assert all(path in text for path in ("1/a.json", "1/b.json", "2/c.json")), text
    if output == "csv":
        assert text.splitlines()[0].split(",") == OF_AUTO_LOADER + OURS
