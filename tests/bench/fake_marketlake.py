"""Stands for a marketlake that is wrong.

    fake_marketlake.py HARM load SOURCE TABLE --format json …

It understands what the benchmark passes and nothing else. HARM is what it does wrong.
"""

import argparse
import io
import json
import sys
from pathlib import Path

import pyarrow
import pyarrow.json
from deltalake import write_deltalake

from conftest import COLUMNS, arrow_type

SCHEMA = pyarrow.schema([(column.name, arrow_type(column)) for column in COLUMNS])
DDL = ", ".join(f"{column.name} {column.ddl}" for column in COLUMNS)
PACKED = {".gz": "gzip", ".zst": "zstd"}


def parse(words):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("command", choices=["load"])
    parser.add_argument("source", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--format", choices=["json"], required=True)
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("--available-now", action="store_true", required=True)
    told = parser.parse_args(words)
    told.options = dict(option.split("=", 1) for option in told.option)
    assert told.options.pop("schema") == DDL
    assert told.options in ({}, {"metadataColumn": ""}), told.options
    return told


def read(path):
    with pyarrow.input_stream(str(path), compression=PACKED.get(path.suffix)) as stream:
        text = stream.read()
    return pyarrow.json.read_json(io.BytesIO(text), parse_options=pyarrow.json.ParseOptions(explicit_schema=SCHEMA))


HARMS = {
    "lose": lambda rows: rows.slice(1),
    "double": lambda rows: pyarrow.concat_tables([rows, rows.slice(0, 1)]),
}


def main(harm, *words):
    if words == ("--version",):
        print("marketlake 0.0.0 (fake)")
        return
    if harm == "fail":
        print("error: there is no command `load`\nhelp: see --help", file=sys.stderr)
        sys.exit(2)
    told = parse(words)
    loaded = told.table.with_suffix(".loaded.json")
    seen = json.loads(loaded.read_text()) if loaded.exists() else []
    files = sorted(path for path in told.source.iterdir() if path.name not in seen)
    rows = HARMS[harm](pyarrow.concat_tables([read(path) for path in files]).select(SCHEMA.names))
    if "metadataColumn" not in told.options:
        rows = rows.append_column("_metadata", pyarrow.array([{"file_path": "x"}] * len(rows)))
    told.table.mkdir(parents=True, exist_ok=True)
    write_deltalake(str(told.table), rows, mode="append")
    loaded.write_text(json.dumps(seen + [path.name for path in files]))


main(*sys.argv[1:])
