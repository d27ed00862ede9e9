"""Reading tables back: a table that is right passes, and every other is told apart, and why."""

import json

import pyarrow
import pyarrow.parquet
import pytest
from deltalake import DeltaTable, write_deltalake

from load.check import Wrong, check


def harmed(table, rows, truth, harm):
    harm(table, rows)
    with pytest.raises(Wrong) as problem:
        check(table, "delta", truth)
    return str(problem.value)


def rewrite(table, rows):
    write_deltalake(str(table), rows, mode="overwrite", schema_mode="overwrite")


def cast(name, to):
    def harm(table, rows):
        place = rows.schema.get_field_index(name)
        rewrite(table, rows.set_column(place, name, rows[name].cast(to)))

    return harm


def delete_a_row(table, rows):
    done = DeltaTable(str(table)).delete("symbol = 'SYM0017'")
    assert done["num_deleted_rows"] == 1


def append_a_row_again(table, rows):
    write_deltalake(str(table), rows.slice(17, 1), mode="append")


def change_a_value(table, rows):
    done = DeltaTable(str(table)).update({"name": "'another'"}, predicate="symbol = 'SYM0017'")
    assert done["num_updated_rows"] == 1


def load_twice(table, rows):
    write_deltalake(str(table), rows, mode="append")


def lose_a_file(table, rows):
    next(table.glob("*.parquet")).unlink()


def cut_a_file(table, rows):
    path = next(table.glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])


def lose_a_commit(table, rows):
    (table / "_delta_log" / "00000000000000000000.json").unlink()


def lose_the_log(table, rows):
    for commit in (table / "_delta_log").iterdir():
        commit.unlink()


HARMS = {
    "a lost row": (delete_a_row, "299 rows instead of 300"),
    "a doubled row": (append_a_row_again, "301 rows instead of 300"),
    "a changed value": (change_a_value, "`name` has other values"),
    "a second load": (load_twice, "600 rows instead of 300"),
    "a lost file": (lose_a_file, "is in the log and not in the folder"),
    "a file that was cut": (cut_a_file, "it cannot be read"),
    "a lost commit": (lose_a_commit, "version 0 is missing"),
    "a lost log": (lose_the_log, "there is no Delta log"),
    "prices as doubles": (cast("open", pyarrow.float64()), "`open` is double, and not DECIMAL(18,6)"),
    "prices with more digits": (cast("open", pyarrow.decimal128(20, 8)), "`open` is decimal128(20, 8)"),
    "times that name no zone": (cast("date", pyarrow.timestamp("us")), "`date` is timestamp[us], and not TIMESTAMP"),
    "times as text": (cast("date", pyarrow.string()), "`date` is string"),
    "a missing column": (lambda table, rows: rewrite(table, rows.drop_columns(["name"])), "there is no column `name`"),
}


@pytest.mark.parametrize("name", HARMS)
def test_a_harmed_table_is_wrong(table, rows, truth, name):
    harm, expected = HARMS[name]
    assert expected in harmed(table, rows, truth, harm)


def test_a_table_that_is_right_passes(table, truth):
    written = check(table, "delta", truth)
    assert (written.rows, written.files, written.extra_columns) == (300, 2, [])
    assert written.bytes == sum(path.stat().st_size for path in table.glob("*.parquet"))


def test_files_that_the_table_no_longer_has_do_not_count(table, rows, truth):
    rewrite(table, rows)
    assert 1 < len(list(table.glob("*.parquet")))
    assert check(table, "delta", truth).files == 1


def test_a_further_column_is_told(tmp_path, rows, truth):
    write_deltalake(str(tmp_path / "more"), rows.append_column("_metadata", pyarrow.nulls(300, pyarrow.string())))
    assert check(tmp_path / "more", "delta", truth).extra_columns == ["_metadata"]


@pytest.mark.parametrize("written_by_pyarrow", [False, True], ids=["by pyarrow", "by duckdb"])
def test_both_readers_see_the_same(tmp_path, rows, truth, written_by_pyarrow):
    pyarrow.parquet.write_table(rows, tmp_path / "rows.parquet", compression="zstd")
    written = check(tmp_path, "parquet", truth, written_by_pyarrow)
    assert (written.rows, written.codecs) == (300, ["ZSTD"])
    pyarrow.parquet.write_table(rows.slice(1), tmp_path / "rows.parquet")
    with pytest.raises(Wrong, match="299 rows"):
        check(tmp_path, "parquet", truth, written_by_pyarrow)


def test_texts_of_any_arrow_type_are_texts(tmp_path, rows, truth):
    place = rows.schema.get_field_index("symbol")
    for number, kind in enumerate([pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())]):
        folder = tmp_path / str(number)
        folder.mkdir()
        pyarrow.parquet.write_table(rows.set_column(place, "symbol", rows["symbol"].cast(kind)), folder / "a.parquet")
        assert check(folder, "parquet", truth).rows == 300, kind


def test_a_log_that_deletes_rows_without_a_new_file_is_refused(table, rows, truth):
    commit = table / "_delta_log" / "00000000000000000001.json"
    lines = [json.loads(line) for line in commit.read_text().splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["deletionVector"] = {
                "storageType": "u", "pathOrInlineDv": "x", "sizeInBytes": 1, "cardinality": 1,
            }
    commit.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(Wrong, match="deletion vector"):
        check(table, "delta", truth)
