"""Differences to Spark that are known, and meant."""

from datetime import date, datetime, timezone
from decimal import Decimal
from math import inf

import pyarrow

from case import Case, Differs


def json(name, schema, text, differs, **more):
    return Case(name, "json", schema, {"one.json": text}, differs=differs, **more)


def csv(name, schema, text, differs, options=(), **more):
    return Case(
        name,
        "csv",
        schema,
        {"one.csv": text},
        {"header": "true", **dict(options)},
        differs=differs,
        **more,
    )


def moment(*parts):
    """A moment in UTC, with the time zone that Arrow gives to its values."""
    value = datetime(*parts, tzinfo=timezone.utc)
    return pyarrow.scalar(value, pyarrow.timestamp("us", "UTC")).as_py()


KNOWN = [
    json(
        "without a column of rescued data a misfit",
        "a BIGINT, z STRING",
        '{"a":"x","z":"p"}\n{"a":1,"z":"q"}\n',
        Differs(
            "a field that has no place to be kept is not dropped in silence: its record goes to quarantine",
            ours=[(1, "q")],
            spark=[(None, "p"), (1, "q")],
        ),
        rescues=False,
    ),
    json(
        "a fraction longer than the decimal's",
        "p DECIMAL(5,2)",
        '{"p":1.005}\n{"p":2.675}\n{"p":999.99}\n',
        Differs(
            "prices are exact: what would be rounded is rescued",
            ours=[(None,), (None,), (Decimal("999.99"),)],
            spark=[(Decimal("1.01"),), (Decimal("2.68"),), (Decimal("999.99"),)],
        ),
    ),
    csv(
        "a fraction longer than the decimal's",
        "p DECIMAL(18,6)",
        "p\n1.0000005\n",
        Differs(
            "prices are exact: what would be rounded is rescued",
            ours=[(None,)],
            spark=[(Decimal("1.000001"),)],
        ),
    ),
    json(
        "decimals as text with commas for thousands",
        "p DECIMAL(18,2)",
        '{"p":"1,234.50"}\n',
        Differs(
            "text is a number where JSON would write it so; only CSV has commas for thousands",
            ours=[(None,)],
            spark=[(Decimal("1234.50"),)],
        ),
    ),
    json(
        "more digits than microseconds",
        "t TIMESTAMP",
        '{"t":"2026-03-04T05:06:07.123456789Z"}\n',
        Differs(
            "moments are exact: what would be cut is rescued",
            ours=[(None,)],
            spark=[(moment(2026, 3, 4, 5, 6, 7, 123456),)],
        ),
    ),
    json(
        "a day with a time",
        "d DATE",
        '{"d":"2026-01-05T10:00:00"}\n',
        Differs(
            "days are exact: a time that would be cut is rescued",
            ours=[(None,)],
            spark=[(date(2026, 1, 5),)],
        ),
    ),
    json(
        "a number greater than DOUBLE",
        "d DOUBLE, f FLOAT",
        '{"d":1e400,"f":1e39}\n',
        Differs(
            "a number that has an end is not infinite: it is rescued",
            ours=[(None, None)],
            spark=[(inf, inf)],
        ),
    ),
    json(
        "a number just greater than TINYINT",
        "y TINYINT",
        '{"y":128}\n{"y":255}\n',
        Differs(
            "Spark lets bytes up to 255 turn negative",
            ours=[(None,), (None,)],
            spark=[(-128,), (-1,)],
        ),
    ),
    json(
        "a field inside of a struct that does not fit",
        "a STRUCT<x: BIGINT, y: STRING>",
        '{"a":{"x":"no","y":"kept"}}\n',
        Differs(
            "a column is rescued whole, so that it is in one place",
            ours=[(None,)],
            spark=[({"x": None, "y": "kept"},)],
        ),
    ),
    json(
        "documents one after the other",
        "a BIGINT",
        '{"a":\n1}\n{"a":2}\n',
        Differs(
            "Spark loses all documents of a file but the first", ours=[(1,), (2,)], spark=[(1,)]
        ),
        options={"multiLine": "true"},
    ),
    json(
        "text behind a record",
        "a BIGINT",
        '{"a":1}\n{"a":3}}\n',
        Differs(
            "a line that is no JSON is no record; Spark does not look behind the first object",
            ours=[(1,)],
            spark=[(1,), (3,)],
        ),
        options={"mode": "DROPMALFORMED"},
    ),
    csv(
        "fractions with spaces",
        "a DOUBLE, b STRING",
        "a,b\n 2.5,x\n4 ,y\n",
        Differs(
            "spaces are dropped when ignoreLeadingWhiteSpace says so; Spark drops them of fractions alone",
            ours=[(None, "x"), (None, "y")],
            spark=[(2.5, "x"), (4.0, "y")],
        ),
    ),
    csv(
        "rows of fewer and more values, dropped",
        "a BIGINT, b STRING",
        "a,b\n1,x\n2,z,more\n3\n",
        Differs(
            "rows of fewer or more values are not malformed, says Spark's documentation",
            ours=[(1, "x"), (2, "z"), (3, None)],
            spark=[(1, "x")],
        ),
        {"mode": "DROPMALFORMED"},
        rescues=False,
    ),
    csv(
        "BACK_TO_DELIMITER in a value with a separator",
        "a STRING, b STRING, c STRING",
        '"a"b,c",d,e\n',
        Differs(
            "the value ends at the separator, as documented; Spark reads on to the end of the quotes",
            ours=[('"a"b', 'c"', "d")],
            spark=[("ab,c", "d", "e")],
        ),
        {"header": "false", "unescapedQuoteHandling": "BACK_TO_DELIMITER"},
    ),
    csv(
        "whole numbers, inferred",
        None,
        "a\n1\n2\n",
        Differs(
            "inferred whole numbers are BIGINT, whatever the sample's greatest is",
            ours=[(1,), (2,)],
            spark=[(1,), (2,)],
            types={"a": "long"},
        ),
        ours={"inferColumnTypes": "true"},
        spark={"inferSchema": "true"},
    ),
    csv(
        "whole numbers greater than BIGINT, inferred",
        None,
        "a\n9223372036854775808\n1\n",
        Differs(
            "BIGINT becomes DECIMAL(20,0), as in Auto Loader's table of wider types",
            ours=[(Decimal(2**63),), (Decimal(1),)],
            spark=[(Decimal(2**63),), (Decimal(1),)],
            types={"a": "decimal(20,0)"},
        ),
        ours={"inferColumnTypes": "true"},
        spark={"inferSchema": "true"},
    ),
    json(
        "decimals, inferred",
        None,
        '{"a":1.25}\n{"a":100.5}\n',
        Differs(
            "inferred decimals have room for prices: DECIMAL(18,6) where the digits allow it",
            ours=[(Decimal("1.250000"),), (Decimal("100.500000"),)],
            spark=[(Decimal("1.25"),), (Decimal("100.50"),)],
            types={"a": "decimal(18,6)"},
        ),
        options={"prefersDecimal": "true"},
        ours={"inferColumnTypes": "true"},
    ),
]
