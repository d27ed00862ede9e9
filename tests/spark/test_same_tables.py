"""The same folder, loaded by Spark Structured Streaming and by marketlake, makes the same table."""

from collections import Counter

import pytest

from cases_csv import CSV
from cases_files import FILES
from cases_json import JSON
from cases_known import KNOWN
from sides import Found, batches_of, load_with_marketlake, load_with_spark, put

# In one process, as there is one session.
pytestmark = pytest.mark.xdist_group("spark")

CASES = [*JSON, *CSV, *FILES, *KNOWN]


def text_of(rows):
    return "\n".join(f"  {count} × {row}" for row, count in sorted(rows.items())) or "  none"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format}: {case.name}")
def test_same_table(session, tmp_path, case):
    source, ours, spark = (tmp_path / name for name in ("source", "ours", "spark"))
    if case.written:
        rows = session.sql(case.written).coalesce(1)
        rows.write.format(case.format).options(**case.writer).save(str(source))
    put(source, case.files)
    for number, files in enumerate(({}, *case.later)):
        put(source, files)
        load_with_spark(session, case, source, spark)
        load_with_marketlake(case, source, ours)
        if number == 0 and case.batches:
            assert (batches_of(ours), batches_of(spark)) == (case.batches, case.batches)

    found, expected = Found(ours), Found(spark)
    types = case.differs.types if case.differs else {}
    assert found.types == {**expected.types, **{name: f'"{kind}"' for name, kind in types.items()}}
    names = list(case.columns or expected.types)
    found, expected = found.rows(names), expected.rows(names)
    if case.differs:
        wanted = Counter(map(repr, case.differs.ours)), Counter(map(repr, case.differs.spark))
        assert types or wanted[0] != wanted[1], "the two sides of a difference differ"
        assert (found, expected) == wanted, (
            f"not the difference that is known\nours:\n{text_of(found)}\nSpark:\n{text_of(expected)}"
        )
        return
    assert expected, "nothing to compare"
    assert found == expected, (
        f"columns {names}\nonly ours:\n{text_of(found - expected)}\n"
        f"only Spark's:\n{text_of(expected - found)}"
    )


def test_every_case_has_a_name_of_its_own():
    names = Counter((case.format, case.name) for case in CASES)
    assert [name for name, count in names.items() if count > 1] == []
