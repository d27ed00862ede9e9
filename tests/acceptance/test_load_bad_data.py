"""What is broken never stops what is not: records, files, and what becomes of them later."""

import gzip

from loads import Load
from scenarios import Asks, Holds, Put, Runs, Scenario, play, rows_of

BROKEN = Put({"a.json": '{"id": 1}\n{"id": \n{"id": 3}\n'})
GOOD = Put({"good.json": '{"id": 7}\n'})
# A file of which nothing can be read: its end is missing.
CUT = Put({"cut.json.gz": gzip.compress(b'{"id": 1}\n' * 1000)[:-20]})
WHOLE = Put({"cut.json.gz": gzip.compress(b'{"id": 9}\n')})

RECORDS = [
    Scenario("a broken line goes to quarantine with its place", {}, [
        BROKEN, Runs(counts={"rows": 2, "records_bad": 1}),
        Holds("id", [("1",), ("3",)], quarantine=[("a.json", 2, 10, '{"id": ')]),
    ]),
    Scenario("the place counts letters of several bytes", {}, [
        Put({"a.json": '{"id": "é"}\n!\n'}), Runs(),
        Holds("id", [("é",)], quarantine=[("a.json", 2, 13, "!")]),
    ]),
    Scenario("places count in what was unpacked", {}, [
        Put({"a.json.gz": gzip.compress(b'{"id": 1}\nno\n')}), Runs(),
        Holds("id", [("1",)], quarantine=[("a.json.gz", 2, 10, "no")]),
    ]),
    Scenario("dropped on request, and counted", {"mode": "DROPMALFORMED"}, [
        BROKEN, Runs(counts={"rows": 2, "records_bad": 1}),
        Holds("id", [("1",), ("3",)], quarantine=[]),
    ]),
    Scenario("stopped on request", {"mode": "FAILFAST"}, [
        BROKEN, Runs(4, ("a.json", "line 2", "byte 10")), Runs(options={"mode": "PERMISSIVE"}),
        Holds("id", [("1",), ("3",)]),
    ]),
    Scenario("another type is no broken record", {"mode": "FAILFAST", "inferColumnTypes": True}, [
        Put({"1.json": '{"id": 1}\n'}), Runs(), Put({"2.json": '{"id": "x"}\n'}), Runs(),
        Holds("id", [(1,), (None,)], rescued=[None, {"id": "x"}], quarantine=[]),
    ]),
    Scenario("text that is no text", {}, [
        Put({"a.json": b'{"id": 1}\n{"id": "\xff\xfe"}\n'}), Runs(counts={"rows": 1, "records_bad": 1}),
    ]),
    Scenario("a document that is no row", {}, [
        Put({"a.json": '{"id": 1}\n17\n"x"\n'}), Runs(counts={"rows": 1, "records_bad": 2}),
        Holds("id", [("1",)], quarantine=[("a.json", 2, 10, "17"), ("a.json", 3, 13, '"x"')]),
    ]),
    Scenario("documents over several lines that are cut off fail as a file",
             {"multiLine": True, "schema": "id BIGINT"}, [
        Put({"a.json": '{"id": 1}\n{"id": 2'}), GOOD, Runs(counts={"rows": 1, "files_set_aside": 1}),
        Holds("id", [(7,)], quarantine=[], states={"a.json": "FAILED", "good.json": "COMMITTED"}),
        Put({"a.json": '{"id": 1}\n{"id": 2}\n'}), Runs(), Holds("id", [(1,), (2,), (7,)]),
    ]),
    Scenario("csv: a row with too many values", {}, [
        Put({"a.csv": "a,b\n1,2\n3,4,5\n"}), Runs(counts={"rows": 2, "rows_rescued": 1}),
        Holds("a, b", [("1", "2"), ("3", "4")]),
    ], "csv"),
    Scenario("csv: a quote that is never closed", {"multiLine": True}, [
        Put({"a.csv": 'a,b\n1,2\n"3,4\n'}), Runs(), Holds("a, b", [("1", "2"), ("3,4\n", None)]),
    ], "csv"),
    Scenario("bad records of a file that is replaced go too", {"overwrites": "replace"}, [
        BROKEN, Runs(), Put({"a.json": '{"id": 4}\n'}), Runs(), Holds("id", [("4",)]),
    ]),
]

FILES = [
    Scenario("a file that fails too often is set aside, and others pass", {"maxFileFailures": 2}, [
        CUT, GOOD, Runs(), Runs(), Runs(counts={"batches": 0}),
        Holds("id", [("7",)], states={"cut.json.gz": "POISONED", "good.json": "COMMITTED"}),
    ]),
    Scenario("and is loaded when it is mended and driven again", {"maxFileFailures": 1}, [
        CUT, GOOD, Runs(), Asks("redrive", ("--files", "*.gz")),
        Holds(states={"cut.json.gz": "POISONED", "good.json": "COMMITTED"}),
        WHOLE, Asks("redrive", ("--files", "*.gz"), counts={"files": 1, "rows_loaded": 1}),
        Holds("id", [("9",), ("7",)], states={"cut.json.gz": "COMMITTED", "good.json": "COMMITTED"}),
    ]),
    Scenario("and is loaded when it is overwritten", {"maxFileFailures": 1}, [
        CUT, GOOD, Runs(), WHOLE, Runs(), Holds("id", [("9",), ("7",)]),
    ]),
    Scenario("corrupt files are skipped on request", {"ignoreCorruptFiles": True}, [
        CUT, GOOD, Runs(counts={"files_set_aside": 1}),
        Holds("id", [("7",)], states={"cut.json.gz": "SKIPPED", "good.json": "COMMITTED"}),
    ]),
    Scenario("a file that is no Parquet", {"maxFileFailures": 1}, [
        Put({"a.parquet": b"PAR1 not really PAR1"}), Runs(), Holds(states={"a.parquet": "POISONED"}),
    ], "parquet"),
    Scenario("a file that is no Avro", {"maxFileFailures": 1}, [
        Put({"a.avro": b"no"}), Runs(), Holds(states={"a.avro": "POISONED"}),
    ], "avro"),
]


@rows_of(RECORDS)
def test_bad_records(folder, scenario):
    play(folder, scenario)


@rows_of(FILES)
def test_bad_files(folder, scenario):
    play(folder, scenario)



def test_the_first_error_is_in_the_ledger(folder):
    load = Load(folder, format="json")
    load.write({"a.json": '{"id": 1}\n!\n?\n'})
    load.run()
    row = load.list()["a.json"]
    assert row["records_bad"] == 2 and "line 2, byte 10" in row["first_error"], row


def test_bad_records_of_a_batch_are_there_once(folder):
    """The quarantine has a number of its own for each batch, also when the load runs again."""
    load = Load(folder, format="json", maxFilesPerTrigger=1)
    load.write({f"{number}.json": f"!{number}\n" for number in range(4)})
    load.run()
    load.run()
    assert load.quarantine() == [(f"{number}.json", 1, 0, f"!{number}") for number in range(4)]
