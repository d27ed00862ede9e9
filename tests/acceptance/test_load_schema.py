"""Columns: where they come from, how each mode lets them grow, and what becomes of the rest."""

import json
from decimal import Decimal

import pytest

from loads import Load
from scenarios import Holds, Put, Runs, Scenario, play, rows_of

TYPED = {"inferColumnTypes": True}
STOPS = ("UnknownFieldException",)
FIRST = Put({"1.json": '{"a": 1}\n'})
# A field that is new beside one that is known.
SECOND = Put({"2.json": '{"a": 2, "b": "x"}\n'})


def mode(name, **more):
    return {**TYPED, "schemaEvolutionMode": name, **more}


ORIGINS = [
    Scenario("hints name types, also inside and of columns that no file has",
             {**TYPED, "schemaHints":
              "p DECIMAL(20,8), n.d DATE, l ARRAY<INT>, m MAP<STRING,INT>, later BIGINT"}, [
        Put({"1.json": '{"p": 1.5, "n": {"d": "2026-01-05", "e": 1}, "l": [1], "m": {"k": 7}}\n'}),
        Runs(),
        Holds("p, CAST(n.d AS VARCHAR), n.e, l, m['k'], later",
              [(Decimal("1.5"), "2026-01-05", 1, [1], 7, None)],
              {"p": "decimal(20,8)", "n": "struct<d:date,e:long>", "l": "array<integer>",
               "m": "map<string,integer>", "later": "long"}),
    ]),
    Scenario("a given schema is all there is, and others are ignored",
             {"schema": "a BIGINT, p DECIMAL(18,6)"}, [
        Put({"1.json": '{"a": 1, "p": 189.43, "b": "x"}\n'}), Runs(counts={"rows_rescued": 0}),
        Holds("a, p", [(1, Decimal("189.43"))], {"a": "long", "p": "decimal(18,6)"}, rescued=[]),
    ]),
    Scenario("a given schema with a column for the rest",
             {"schema": "a BIGINT", "rescuedDataColumn": "rest"}, [
        Put({"1.json": '{"a": 1, "b": "x"}\n'}), Runs(counts={"rows_rescued": 1}),
        Holds("a, rest::JSON->>'b'", [(1, "x")], {"a": "long", "rest": "string"}),
    ]),
    Scenario("a given schema may grow at its end only", {"schema": "a BIGINT"}, [
        FIRST, Runs(), Put({"2.json": '{"a": 2, "b": "x"}\n'}),
        Runs(3, ("schema: it was `a BIGINT`",), options={"schema": "a STRING"}),
        Runs(options={"schema": "a BIGINT, b STRING"}),
        Holds("a, b", [(1, None), (2, "x")], {"a": "long", "b": "string"}),
    ]),
    Scenario("addNewColumns is refused beside a given schema",
             {"schema": "a BIGINT", "schemaEvolutionMode": "addNewColumns"}, [
        FIRST, Runs(3, ("schemaEvolutionMode",)),
    ]),
    Scenario("what was inferred stays, whatever later options say of inference", TYPED, [
        FIRST, Runs(), Put({"2.json": '{"a": 2}\n'}), Runs(options={"inferColumnTypes": False}),
        Holds("a", [(1,), (2,)], {"a": "long"}),
    ]),
    Scenario("the columns are those of the sample", {**TYPED, "sampleFiles": 1}, [
        # Of names that tell the time, the newest is looked into.
        Put({"1.json": '{"b": 1, "a": 1}\n', "2.json": '{"a": 2}\n'}), Runs(4, STOPS), Runs(),
        Holds("a, b", [(1, 1), (2, None)], {"a": "long", "b": "long"}),
    ]),
    Scenario("a column that the path spells is not that of the file", TYPED, [
        Put({"day=7/1.json": '{"day": 1, "a": 1}\n'}), Runs(), Holds("a, day", [(1, 7)], rescued=[None]),
    ]),
    Scenario("a path that does not fit its column is rescued", TYPED, [
        Put({"d=1/1.json": '{"a": 1}\n'}), Runs(), Put({"d=x/1.json": '{"a": 2}\n'}), Runs(),
        Holds("a, d", [(1, 1), (2, None)], rescued=[None, {"d": "x"}]),
    ]),
    Scenario("the second of two values of one name counts, and the first is rescued", TYPED, [
        Put({"1.json": '{"a": 1, "a": 2}\n'}), Runs(), Holds("a", [(2,)], rescued=[{"a": 1}]),
    ]),
    Scenario("numbers that fit no type keep their digits in rescued data", TYPED, [
        Put({"1.json": '{"p": 1.5}\n'}), Runs(), Put({"2.json": '{"p": 1.1234567}\n'}), Runs(),
        Holds("p", [(Decimal("1.5"),), (None,)], {"p": "decimal(18,6)"}, [None, {"p": 1.1234567}]),
    ]),
    Scenario("a field of the files that is called as the loader's own", TYPED, [
        Put({"1.json": '{"_metadata": 1}\n'}), Runs(3, ("`metadataColumn`",)),
        Runs(counts={"rows": 1, "rows_rescued": 0}, options={"metadataColumn": "from"}),
    ]),
    Scenario("partitions that paths spell are columns", TYPED, [
        Put({"day=2026-01-05/1.json": '{"a": 1}\n', "day=2026-01-06/1.json": '{"a": 2}\n'}), Runs(),
        Holds("a, CAST(day AS VARCHAR)", [(1, "2026-01-05"), (2, "2026-01-06")],
              {"a": "long", "day": "date"}),
    ]),
    Scenario("partitions are text without inference", {}, [
        Put({"year=2026/month=01/1.json": '{"a": 1}\n'}), Runs(),
        Holds("year, month", [("2026", "01")], {"a": "string", "month": "string", "year": "string"}),
    ]),
    Scenario("levels that a path lacks are null", {**TYPED, "partitionColumns": "year,month,day"}, [
        Put({"year=2026/week=1/1.json": '{"a": 1}\n', "year=2026/month=2/day=3/1.json": '{"a": 2}\n'}),
        Runs(), Holds("a, year, month, day", [(2, 2026, 2, 3), (1, 2026, None, None)]),
    ]),
    Scenario("no partitions on request", {"partitionColumns": ""}, [
        Put({"day=2026-01-05/1.json": '{"a": 1}\n'}), Runs(), Holds(columns={"a": "string"}),
    ]),
    Scenario("partitions spell what is not plain", {}, [
        Put({"name=a%20b%2Fc/1.json": '{"a": 1}\n', "name=__HIVE_DEFAULT_PARTITION__/1.json": '{"a": 2}\n'}),
        Runs(), Holds("a, name", [("2", None), ("1", "a b/c")]),
    ]),
]

MODES = [
    Scenario("addNewColumns stops once and goes on", mode("addNewColumns"), [
        FIRST, Runs(), SECOND, Runs(4, STOPS), Holds("a", [(1,)]), Runs(counts={"rows": 1}),
        Holds("a, b", [(1, None), (2, "x")], {"a": "long", "b": "string"}, [None, None]),
    ]),
    Scenario("addNewColumns rescues other types", mode("addNewColumns"), [
        FIRST, Runs(), Put({"2.json": '{"a": "x"}\n'}), Runs(counts={"rows_rescued": 1}),
        Holds("a", [(1,), (None,)], {"a": "long"}, [None, {"a": "x"}]),
    ]),
    Scenario("addNewColumns adds fields inside of structs", mode("addNewColumns"), [
        Put({"1.json": '{"n": {"a": 1}}\n'}), Runs(), Put({"2.json": '{"n": {"a": 2, "b": 3}}\n'}),
        Runs(4, STOPS), Runs(),
        Holds("n.a, n.b", [(1, None), (2, 3)], {"n": "struct<a:long,b:long>"}),
    ]),
    Scenario("rescue keeps the columns and loses nothing", mode("rescue"), [
        FIRST, Runs(), SECOND, Put({"3.json": '{"a": "y"}\n'}), Runs(counts={"rows_rescued": 2}),
        Holds("a", [(1,), (2,), (None,)], {"a": "long"}, [None, {"b": "x"}, {"a": "y"}]),
    ]),
    Scenario("failOnNewColumns stops until the file is gone or the columns are told",
             mode("failOnNewColumns"), [
        FIRST, Runs(), SECOND, Runs(4), Runs(4), Holds("a", [(1,)]),
        Runs(options={"schemaHints": "b STRING"}), Holds("a, b", [(1, None), (2, "x")]),
    ]),
    Scenario("none ignores new columns", mode("none", rescuedDataColumn="rest"), [
        FIRST, Runs(), SECOND, Runs(), Holds("a, rest::JSON->>'b'", [(1, None), (2, "x")]),
    ]),
    Scenario("evolve never stops", mode("evolve"), [
        FIRST, Runs(), SECOND, Runs(counts={"rows": 1, "rows_rescued": 0}),
        Holds("a, b", [(1, None), (2, "x")], {"a": "long", "b": "string"}, [None, None]),
    ]),
    Scenario("evolve brings back what was rescued before", mode("rescue"), [
        FIRST, Runs(), SECOND, Runs(), Holds("a", [(1,), (2,)], rescued=[None, {"b": "x"}]),
        Put({"3.json": '{"a": 3, "b": "y"}\n'}), Runs(options={"schemaEvolutionMode": "evolve"}),
        Runs(options={"schemaEvolutionMode": "evolve"}),
        Holds("a, b", [(1, None), (2, "x"), (3, "y")], rescued=[None, None, None]),
    ]),
    Scenario("a field in another case is rescued", mode("addNewColumns"), [
        Put({"1.json": '{"airport_fee": 1}\n'}), Runs(), Put({"2.json": '{"Airport_fee": 2}\n'}),
        Runs(counts={"rows_rescued": 1}),
        Holds("airport_fee", [(1,), (None,)], {"airport_fee": "long"}, [None, {"Airport_fee": 2}]),
    ]),
    Scenario("a field in another case is the same on request",
             mode("addNewColumns", readerCaseSensitive=False), [
        Put({"1.json": '{"airport_fee": 1}\n'}), Runs(), Put({"2.json": '{"Airport_fee": 2}\n'}), Runs(),
        Holds("airport_fee", [(1,), (2,)], {"airport_fee": "long"}, [None, None]),
    ]),
    Scenario("evolve adds fields of structs in arrays", mode("evolve"), [
        Put({"1.json": '{"l": [{"a": 1}]}\n'}), Runs(), Put({"2.json": '{"l": [{"a": 2, "b": 3}]}\n'}),
        Runs(), Holds("l[1].a, l[1].b", [(1, None), (2, 3)], {"l": "array<struct<a:long,b:long>>"}),
    ]),
    Scenario("another shape is rescued whole", mode("evolve"), [
        Put({"1.json": '{"n": {"a": 1}}\n'}), Runs(), Put({"2.json": '{"n": 5}\n{"n": [1]}\n'}), Runs(),
        Holds("n.a", [(1,), (None,), (None,)], {"n": "struct<a:long>"}, [None, {"n": 5}, {"n": [1]}]),
    ]),
    Scenario("a mode may change from start to start", mode("rescue"), [
        FIRST, Runs(), SECOND, Runs(4, STOPS, options={"schemaEvolutionMode": "addNewColumns"}),
        Runs(), Holds("a, b", [(1, None), (2, "x")]),
    ]),
    Scenario("csv grows like json", mode("evolve"), [
        Put({"1.csv": "a\n1\n"}), Runs(), Put({"2.csv": "b,a\nx,2\n"}), Runs(),
        Holds("a, b", [(1, None), (2, "x")], {"a": "long", "b": "string"}),
    ], "csv"),
]


@rows_of(ORIGINS)
def test_where_columns_come_from(folder, scenario):
    load = play(folder, scenario)
    # The table is cut by what somebody named, and not by what paths happen to spell.
    if load.table.exists():
        named = scenario.options.get("partitionColumns", "")
        assert load.delta().metadata().partition_columns == [name for name in named.split(",") if name]


@rows_of(MODES)
def test_how_columns_grow(folder, scenario):
    play(folder, scenario)


@pytest.mark.parametrize("chosen", ["addNewColumnsWithTypeWidening", "evolve"])
def test_types_widen(folder, chosen):
    """Integers become decimals that hold both; what is no wider type is rescued."""
    load = Load(folder, format="json", **mode(chosen))
    load.write({"1.json": '{"a": 7}\n'})
    load.run()
    load.write({"2.json": '{"a": 1.5}\n'})
    if chosen == "addNewColumnsWithTypeWidening":
        load.run(code=4)
    load.run()
    assert load.columns() == {"a": "decimal(26,6)"}
    assert load.rows("a") == [(Decimal("7"),), (Decimal("1.5"),)]
    load.write({"3.json": '{"a": "x"}\n'})
    load.run()
    assert load.columns() == {"a": "decimal(26,6)"}
    assert load.rescued() == [None, None, {"a": "x"}]


def test_a_hinted_column_does_not_widen(folder):
    load = Load(folder, format="json", **mode("addNewColumnsWithTypeWidening", schemaHints="a INT"))
    load.write({"1.json": '{"a": 7}\n'})
    load.run()
    load.write({"2.json": '{"a": 3000000000}\n'})
    load.run()
    assert load.columns() == {"a": "integer"}
    assert load.rows("a") == [(7,), (None,)] and load.rescued() == [None, {"a": 3000000000}]


def test_the_sample_is_kept_with_the_columns(folder):
    load = Load(folder, format="json", **TYPED)
    load.write({"1.json": '{"a": 7}\n', "2.json": '{"b": 7}\n'})
    load.run()
    kept = json.loads((load.table / "_marketlake/main/schemas/1.json").read_text())
    assert {"1.json", "2.json"} == {file["path"] for file in kept["sample"]}, kept
