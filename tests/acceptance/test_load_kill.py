"""Loaders of one stream that are killed at any moment, beside each other, while files come, change
and break: every line of every file ends up in one place, once."""

import json
import signal
import time

import pytest

from harness import chance
from loads import Load

KILLS = 24
LOADERS = 3
# A debug build starts, plans, reads and commits within this time, on an idle machine.
LIFE_SECONDS = 0.25


class Folder:
    """The files of the source as they are now: name to lines."""

    def __init__(self, load, random):
        self.load, self.random, self.files, self.written = load, random, {}, 0

    def write(self, name):
        """Writes a file of some lines that no other version of any file has, some of them broken."""
        texts = []
        for _ in range(self.random.randrange(1, 20)):
            self.written += 1
            is_broken = self.random.random() < 0.1
            texts.append(f"broken {self.written}" if is_broken else json.dumps({"id": self.written}))
        self.load.write({name: "".join(f"{text}\n" for text in texts)})
        self.files[name] = texts

    def grow(self):
        for _ in range(self.random.randrange(1, 6)):
            self.write(f"day={self.random.randrange(3)}/{len(self.files):04}.json")

    def change(self):
        self.write(self.random.choice(sorted(self.files)))

    def rows(self):
        """Every line that is a row: file, line, value."""
        return sorted(
            (name, line, json.loads(text)["id"])
            for name, texts in self.files.items()
            for line, text in enumerate(texts, 1) if text.startswith("{")
        )

    def broken(self):
        return sorted(
            (name, line, text)
            for name, texts in self.files.items()
            for line, text in enumerate(texts, 1) if not text.startswith("{")
        )


def kill_at_random(load, random, between):
    """Starts loaders and kills one of them after the other; `between` happens to the source meanwhile.

    Loaders that end by themselves had nothing left to do."""
    running, killed = [load.start() for _ in range(LOADERS)], 0
    while killed < KILLS:
        between()
        time.sleep(random.uniform(0, LIFE_SECONDS))
        at = random.randrange(LOADERS)
        # One that has ended by itself is no kill.
        killed += running[at].is_running()
        running[at].kill()
        for place, loader in enumerate(running):
            if not loader.is_running():
                assert loader.child.returncode in (0, -signal.SIGKILL), loader.errors()[-3000:]
                running[place] = load.start()
    for loader in running:
        assert loader.wait() == 0, loader.errors()[-3000:]


def found_rows(load):
    return sorted(load.rows("split_part(_metadata.file_path, '/in/', 2), _metadata.line, id"))


@pytest.mark.parametrize("overwrites", ["ignore", "replace"])
def test_every_line_once(folder, overwrites):
    random = chance(f"load {overwrites}")
    load = Load(folder, format="json", schema="id BIGINT", partitionColumns="",
                maxFilesPerTrigger=3, overwrites=overwrites)
    source = Folder(load, random)

    def between():
        source.grow()
        if overwrites == "replace" and random.random() < 0.5:
            source.change()

    source.grow()
    kill_at_random(load, random, between)
    load.run()
    assert load.run()["batches"] == 0, "all is loaded"
    assert found_rows(load) == source.rows()
    bad = [(path, line, text) for path, line, _, text in load.quarantine()]
    if overwrites == "ignore":
        assert bad == source.broken()
        assert {row["rows"] for row in load.list().values()} != {0}
    else:
        # Quarantine keeps what older versions had, and has each of those once, too.
        assert set(source.broken()) <= set(bad) and len(bad) == len(set(bad)), bad
    states = {row["ingestion_state"] for row in load.list().values()}
    assert states == {"COMMITTED"}, states
    # Without gaps: the transaction number of the table is the last of the plans. One killed while
    # it wrote a plan may have left it under a staging name, which ends in `#` and a number.
    plans = sorted(int(path.stem) for path in (load.table / "_marketlake/main/offsets").glob("*.json"))
    assert plans == list(range(len(plans))) and load.batches() == len(plans)


def test_columns_that_grow_meanwhile(folder):
    """Every kill may fall between a new version of the columns and the batch that needs it."""
    random = chance("load evolve")
    load = Load(folder, format="json", inferColumnTypes=True, schemaEvolutionMode="evolve",
                maxFilesPerTrigger=2)
    expected = {}

    def between():
        number = len(expected)
        expected[f"{number:03}.json"] = (f"c{number % 7}", number)
        load.write({f"{number:03}.json": json.dumps({f"c{number % 7}": number}) + "\n"})

    between()
    kill_at_random(load, random, between)
    load.run()
    columns = load.columns()
    assert set(columns) == {f"c{number}" for number in range(7)} and set(columns.values()) == {"long"}
    names = sorted(columns)
    found = {
        name: [(column, value) for column, value in zip(names, values) if value is not None]
        for name, *values in load.rows(f"_metadata.file_name, {', '.join(names)}")
    }
    assert found == {name: [pair] for name, pair in expected.items()}
    assert not any(load.rescued())
