"""Loads a folder with both sides, Spark Structured Streaming and marketlake, and reads what they made."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pyarrow
import pyarrow.parquet
from deltalake import DeltaTable

# A debug build beside Spark on two cores; nothing here takes longer.
PATIENCE = 120
# What our tables have besides: where a row is from, and fields that fitted no column.
OURS_ALONE = {"_metadata", "_rescued_data"}


def program():
    """The program under test: what the build made, or what MARKETLAKE_BIN names."""
    path = Path(os.environ["MARKETLAKE_BIN"])
    assert path.is_file(), f"`{path}` is missing: build it with `cargo build -p marketlake`"
    return path


def put(folder, files):
    """Writes files; their names may have folders in front."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pyarrow.Table):
            pyarrow.parquet.write_table(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def load_with_spark(session, case, source, table):
    reader = session.readStream.format(case.format).options(**case.options, **case.spark)
    if case.schema:
        reader = reader.schema(case.schema)
    writer = reader.load(str(source)).writeStream.format("delta").trigger(availableNow=True)
    query = writer.option("checkpointLocation", f"{table}.checkpoint").start(str(table))
    try:
        assert query.awaitTermination(PATIENCE), f"Spark does not end within {PATIENCE} s"
    finally:
        query.stop()


def load_with_marketlake(case, source, table):
    options = {**case.options, **case.ours}
    if case.schema:
        options["schema"] = case.schema
        if case.rescues:
            options["rescuedDataColumn"] = "_rescued_data"
    command = [program(), "load", source, table, "--format", case.format, "--log", "warn"]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    # In the table's folder: a settings file of somebody's must not be found.
    done = subprocess.run(
        command, cwd=table.parent, capture_output=True, text=True, timeout=PATIENCE,
    )
    assert done.returncode == 0, f"marketlake ended with {done.returncode}: {done.stderr}"


def without_notes(kind):
    """A type of Delta's schema as text, less whether nulls are allowed and what is noted beside."""
    if isinstance(kind, dict):
        left_out = {"nullable", "metadata", "containsNull", "valueContainsNull"}
        return {key: without_notes(value) for key, value in kind.items() if key not in left_out}
    return [without_notes(each) for each in kind] if isinstance(kind, list) else kind


class Found:
    """What stands in a Delta table: the types of its columns, and its rows in no order."""

    def __init__(self, path):
        table = DeltaTable(str(path))
        fields = json.loads(table.schema().to_json())["fields"]
        self.types = {
            each["name"]: json.dumps(without_notes(each["type"]), sort_keys=True)
            for each in fields if each["name"] not in OURS_ALONE
        }
        self.table = table.to_pyarrow_table(columns=list(self.types))

    def rows(self, names):
        """Rows by their text, which tells 1 from 1.0 and -0.0 from 0.0, and knows that NaN is NaN."""
        columns = [self.table.column(name).to_pylist() for name in names]
        values = zip(*columns) if columns else [()] * self.table.num_rows
        return Counter(repr(row) for row in values)


def batches_of(table):
    """How many commits brought rows to a Delta table."""
    history = sorted((table / "_delta_log").glob("*.json"))
    return sum('"add"' in path.read_text() for path in history)
