"""A folder of files, the table that `marketlake load` makes of it, and what others read from both.

Rows are read with delta-rs, and counted once more by DuckDB in the data files that the log names.
"""

import json
import os
from datetime import datetime, timezone

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from harness import Process

# What `load` adds to the fields of the files.
ADDED = ("_rescued_data", "_metadata")
# The order of files, of their versions, and of lines.
BY_PLACE = "_metadata.file_path, _metadata.file_modification_time, _metadata.line"


def lines(*records):
    """Records as JSON lines."""
    return "".join(f"{json.dumps(record)}\n" for record in records)


class Load:
    """One source, one table, and the options of the load between them."""

    def __init__(self, folder, **options):
        self.folder, self.options = folder, options
        self.source, self.table = folder / "in", folder / "lake" / "rows"
        self.source.mkdir(parents=True, exist_ok=True)

    def write(self, files, modified=None):
        """Puts files in place whole; each overwriting gets a time of its own."""
        for name, content in files.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # Names that begin so are not looked at.
            beside = path.with_name(f".{path.name}.part")
            beside.write_bytes(content.encode() if isinstance(content, str) else content)
            if modified:
                moment = datetime.fromisoformat(modified).replace(tzinfo=timezone.utc).timestamp()
                os.utime(beside, (moment, moment))
            beside.replace(path)

    def arguments(self, *command, **options):
        told = {**self.options, **options}
        pairs = [f"{name}={spelled(value)}" for name, value in told.items() if value is not None]
        named = [argument for pair in pairs for argument in ("--option", pair)]
        return ["--output", "json", *command, self.source, self.table, *named]

    def start(self, *command, **options):
        arguments = self.arguments(*(command or ["load"]), **options)
        return Process("-".join(command) or "load", arguments, self.folder)

    def run(self, *command, code=0, more=(), **options):
        """Runs a command to its end; returns what it printed, or its errors when it had to fail."""
        arguments = [*self.arguments(*(command or ["load"]), **options), *more]
        return finish(Process("-".join(command) or "load", arguments, self.folder), code)

    def list(self, *more, code=0):
        """The ledger by path, as `files list` prints it."""
        arguments = ["--output", "json", "files", "list", self.table, *more]
        found = finish(Process("files-list", arguments, self.folder), code)
        return {row["path"]: row for row in found} if code == 0 else found

    def delta(self, suffix="", version=None):
        return DeltaTable(f"{self.table}{suffix}", version=version)

    def arrow(self, suffix="", version=None):
        """All rows of a table, as two readers see it."""
        table = self.delta(suffix, version)
        rows = table.to_pyarrow_table()
        if table.file_uris():
            sql = "SELECT count(*) FROM read_parquet(?, union_by_name = true)"
            counted = duckdb.execute(sql, [table.file_uris()]).fetchone()[0]
            assert counted == rows.num_rows, f"delta-rs reads {rows.num_rows} rows, DuckDB {counted}"
        return rows

    def rows(self, columns, order=BY_PLACE, version=None):
        """Rows of an SQL selection, in the order of files and lines."""
        found = self.arrow(version=version)  # DuckDB finds it by its name.
        return duckdb.sql(f"SELECT {columns} FROM found ORDER BY {order}").fetchall()

    def columns(self):
        """The table's columns and their types as Delta names them, without those that `load` adds."""
        fields = json.loads(self.delta().schema().to_json())["fields"]
        return {it["name"]: type_of(it["type"]) for it in fields if it["name"] not in ADDED}

    def quarantine(self):
        """File, line, first byte and text of each bad record."""
        try:
            bad = self.arrow("__quarantine")  # DuckDB finds it by its name.
        except TableNotFoundError:
            return []
        return duckdb.sql(
            "SELECT split_part(file_path, '/in/', 2), line, byte_offset, record FROM bad ORDER BY ALL"
        ).fetchall()

    def rescued(self, order=BY_PLACE):
        """Rescued fields of each row; the file's path among them is checked and left out."""
        if "_rescued_data" not in [field.name for field in self.delta().schema().fields]:
            return []  # a format or a given schema that rescues nothing
        found = []
        for text, path in self.rows("_rescued_data, _metadata.file_path", order):
            fields = json.loads(text) if text else None
            assert not fields or fields.pop("_file_path") == path, (text, path)
            found.append(fields)
        return found

    def batches(self):
        """How many versions of the table a batch made."""
        return sum("marketlake.files" in version for version in self.delta().history())


def finish(process, code):
    found = process.wait()
    assert found == code, f"ended with {found}, not {code}:\n{process.errors()[-3000:]}"
    return json.loads(process.output() or "null") if code == 0 else process.errors()


def spelled(value):
    """An option's value as the command line takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def type_of(delta):
    """A Delta type in few words."""
    if isinstance(delta, str):
        return delta
    kind = delta["type"]
    if kind == "array":
        return f"array<{type_of(delta['elementType'])}>"
    if kind == "map":
        return f"map<{type_of(delta['keyType'])},{type_of(delta['valueType'])}>"
    fields = ",".join(f"{field['name']}:{type_of(field['type'])}" for field in delta["fields"])
    return f"struct<{fields}>"
