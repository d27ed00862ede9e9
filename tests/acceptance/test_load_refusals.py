"""What a load refuses: one message with everything that is wrong, exit code 3, nothing begun."""

import json
from dataclasses import dataclass

import pyarrow
import pytest
from deltalake import write_deltalake

from loads import Load


@dataclass
class Refusal:
    name: str
    options: dict
    says: list
    format: str = "json"


REFUSALS = [
    Refusal("an unknown option, with the nearest name", {"maxFilePerTriger": 4},
            ["maxFilePerTriger", "`maxFilesPerTrigger`"]),
    Refusal("all problems at once", {"inferColumnType": True, "sep": ";", "maxFilesPerTrigger": 0},
            ["inferColumnType", "`inferColumnTypes`", "sep", "maxFilesPerTrigger", "3 problems"]),
    Refusal("an option of another format", {"header": True}, ["header", "csv"]),
    Refusal("a value that is none of those there are", {"schemaEvolutionMode": "addNewColumn"},
            ["schemaEvolutionMode", "`addNewColumns`"]),
    Refusal("a number that is none", {"maxFilesPerTrigger": "many"}, ["maxFilesPerTrigger", "many"]),
    Refusal("a size that is none", {"maxBytesPerTrigger": "10 files"}, ["maxBytesPerTrigger"]),
    Refusal("a duration that is none", {"backfillInterval": "soon"}, ["backfillInterval", "soon"]),
    Refusal("a moment that is none", {"modifiedAfter": "yesterday"}, ["modifiedAfter", "yesterday"]),
    Refusal("a format that is none", {}, ["jsn", "`json`"], "jsn"),
    Refusal("no format", {}, ["format"], None),
    Refusal("a format of Databricks that is not read", {}, ["xml"], "xml"),
    Refusal("a schema that is none", {"schema": "id BIGNT"}, ["schema", "BIGNT"]),
    Refusal("hints beside a schema", {"schema": "id BIGINT", "schemaHints": "id INT"},
            ["schemaHints"]),
    Refusal("an option that means nothing here, with what to do", {"checkpointLocation": "x"},
            ["checkpointLocation", "state lies beside its table"]),
    Refusal("what Databricks gave up", {"useIncrementalListing": True},
            ["useIncrementalListing", "`listingWindow`"]),
    Refusal("events of a Databricks service", {"useManagedFileEvents": True},
            ["useManagedFileEvents", "`queueUrl`"]),
    Refusal("credentials as options", {"awsSecretKey": "abc"}, ["awsSecretKey", "store"]),
    Refusal("moments without types", {"inferTimestamp": True},
            ["inferTimestamp", "`inferColumnTypes`"]),
    Refusal("overwrites that contradict each other", {"overwrites": "ignore", "allowOverwrites": True},
            ["overwrites", "allowOverwrites"]),
    Refusal("replacing without knowing the file", {"overwrites": "replace", "metadataColumn": ""},
            ["overwrites", "metadataColumn"]),
    Refusal("two queues", {"queueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q", "queueName": "events"},
            ["queueUrl", "queueName"]),
    Refusal("a window that notifications replace", {"useNotifications": True, "listingWindow": 5},
            ["listingWindow"]),
    Refusal("no time between the moments",
            {"modifiedAfter": "2026-01-02T00:00:00", "modifiedBefore": "2026-01-01T00:00:00"},
            ["modifiedAfter", "modifiedBefore"]),
    Refusal("one name for two columns", {"rescuedDataColumn": "x", "metadataColumn": "x"},
            ["rescuedDataColumn"]),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refused(folder, case):
    load = Load(folder, format=case.format, **case.options)
    load.write({"a.json": '{"id": 1}\n'})
    errors = load.run(code=3)
    for words in case.says:
        assert words in errors, errors
    assert not list(folder.rglob("_delta_log")) and not list(folder.rglob("stream.json"))


# First start, later start, and the option that is named.
PINNED = [
    ({}, {"format": "text"}, "format"),
    ({}, {"includeExistingFiles": False}, "includeExistingFiles"),
    ({}, {"partitionColumns": "day"}, "partitionColumns"),
    ({}, {"rows": "data"}, "rows"),
    ({}, {"rescuedDataColumn": "rest"}, "rescuedDataColumn"),
    ({}, {"metadataColumn": "from"}, "metadataColumn"),
    ({"schema": "id BIGINT, x STRING"}, {"schema": "id BIGINT"}, "schema"),
]


@pytest.mark.parametrize("first, later, named", PINNED, ids=[named for _, _, named in PINNED])
def test_what_the_first_start_decides(folder, first, later, named):
    load = Load(folder, **{"format": "json", **first})
    load.write({"a.json": '{"id": 1}\n'})
    load.run()
    errors = load.run(code=3, **later)
    assert f"{named}: it was" in errors, errors
    load.run()
    assert load.rows("CAST(id AS VARCHAR)") == [("1",)]


# What does not go with the files or with the table that is there, and what the error names.
MISTAKEN = [
    ({"metadataColumn": "id"}, 3, "`metadataColumn`"),
    ({"schema": "id BIGINT, name STRUCT<x: INT>"}, 4, "name"),
]


@pytest.mark.parametrize("mistaken, code, named", MISTAKEN, ids=["the files", "the table"])
def test_a_first_start_that_is_refused_decides_nothing(folder, mistaken, code, named):
    load = Load(folder, format="json")
    load.write({"a.json": '{"id": 1, "name": "x"}\n'})
    write_deltalake(load.table, pyarrow.table({"id": [0], "name": ["w"]}))
    errors = load.run(code=code, **mistaken)
    assert named in errors, errors
    assert not list(folder.rglob("stream.json"))
    load.run(schema="id BIGINT, name STRING")
    assert load.rows("id, name", order="id") == [(0, "w"), (1, "x")]


@pytest.mark.parametrize("prefix", ["cloudFiles.", "cloudfiles.", ""])
def test_names_as_auto_loader_spells_them(folder, prefix):
    load = Load(folder, **{f"{prefix}format": "json", f"{prefix}MAXFILESPERTRIGGER": 1})
    load.write({"a.json": '{"id": 1}\n', "b.json": '{"id": 2}\n'})
    assert load.run()["batches"] == 2


def test_unknown_options_are_listed_and_ignored_on_request(folder):
    load = Load(folder, format="json", validateOptions=False, maxFilePerTriger=1)
    load.write({"a.json": '{"id": 1}\n', "b.json": '{"id": 2}\n'})
    process = load.start()
    assert process.wait() == 0 and "maxFilePerTriger" in process.errors(), process.errors()
    assert json.loads(process.output())["batches"] == 1


def test_a_source_that_is_not_there(folder):
    load = Load(folder, format="json")
    load.source = folder / "misspelt"
    errors = load.run(code=3)
    assert "misspelt" in errors and not load.source.exists(), errors


def test_a_table_that_somebody_else_made(folder):
    """The columns have to fit; what is there stays."""
    load = Load(folder, format="json", inferColumnTypes=True)
    write_deltalake(load.table, pyarrow.table({"id": ["text"]}))
    load.write({"a.json": '{"id": 1}\n'})
    process = load.start()
    assert process.wait() in (3, 4), process.errors()
    assert "id" in process.errors(), process.errors()
    assert load.delta().version() == 0 and load.delta().to_pyarrow_table().to_pylist() == [{"id": "text"}]


@pytest.mark.parametrize("command", ["list", "replay", "undo", "redrive"])
def test_commands_about_a_table_that_is_not_there(folder, command):
    load = Load(folder, format="json")
    if command == "list":
        assert "no load named" in load.list(code=3)
    else:
        answer = load.run("files", command, more=["--all"])
        assert answer == {"files": 0, "rows_loaded": 0, "files_set_aside": 0}


def test_which_files_has_to_be_said(folder):
    load = Load(folder, format="json")
    errors = load.run("files", "undo", code=2)
    for name in ("--files", "--day", "--batch", "--all"):
        assert name in errors, errors
