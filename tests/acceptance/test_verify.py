"""`verify` notices whatever somebody else does to a data folder, with a writer that is not ours."""

import json
import shutil

import pytest
from deltalake import DeltaTable, write_deltalake

import recorded
from harness import Market, Pipeline, Vendor

pytestmark = pytest.mark.xdist_group("verify")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 4, "--days", 2])
    # Small objects, so that a chain has several.
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE, landing={"rows_max": 200})
    pipeline.drain()
    vendor.stop()
    pipeline.verify()
    return pipeline


def table(data, name):
    return DeltaTable(str(data / "lake" / name.replace(".", "/")))


def delete_a_row(data, name):
    """One symbol loses its newest row."""
    rows = table(data, name).to_pyarrow_table()
    column = next(c for c in ("ts_start", "_offset", "ts_quote", "session_date") if c in rows.column_names)
    row = max(rows.select(["symbol", column]).to_pylist(), key=lambda row: row[column])
    value = row[column] if isinstance(row[column], int) else f"'{row[column]}'"
    deleted = table(data, name).delete(f"symbol = '{row['symbol']}' AND {column} = {value}")
    assert deleted["num_deleted_rows"] == 1, deleted


def change_a_value(data, name):
    column = "price" if name == "gold.quote_latest" else "close"
    symbol = min(table(data, name).to_pyarrow_table()["symbol"].to_pylist())
    changed = table(data, name).update({column: f"{column} + 1"}, predicate=f"symbol = '{symbol}'")
    assert changed["num_updated_rows"], changed


def repeat_a_row(data, name):
    rows = table(data, name).to_pyarrow_table()
    write_deltalake(table(data, name), rows.slice(0, 1), mode="append")


TABLES = [
    "bronze.intraday", "bronze.eod", "silver.bar", "silver.eod", "gold.bar_1m", "gold.bar_1d",
    "gold.quote_latest", "gold.eod",
]


def verified(pipeline, folder, harm):
    """Harms a copy of the data folder; returns what `verify` says of it."""
    data = folder / "data"
    shutil.copytree(pipeline.data, data)
    harm(data)
    code, output, errors = pipeline.run("--data-dir", data, "verify", "--output", "json")
    assert code == 4, f"verify ended with {code}:\n{output[-2000:]}\n{errors[-2000:]}"
    report = json.loads(output)
    assert report["holds"] is False
    return [breach["problem"] for breach in report["breaches"]]


@pytest.mark.parametrize("harm", [delete_a_row, change_a_value, repeat_a_row])
@pytest.mark.parametrize("name", TABLES)
def test_a_harmed_table_is_named(pipeline, folder, name, harm):
    problems = verified(pipeline, folder, lambda data: harm(data, name))
    assert problems and all(problem.startswith(f"{name} against ") for problem in problems), problems


def first_of_a_chain(data):
    """An object with another one behind it."""
    chains = sorted((data / "landing").glob("0/intraday/p=*"))
    return next(sorted(chain.iterdir())[0] for chain in chains if len(list(chain.iterdir())) > 1)


def lose_an_object(data):
    first_of_a_chain(data).unlink()


def damage_an_object(data):
    path = first_of_a_chain(data)
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(stored)


@pytest.mark.parametrize("harm", [lose_an_object, damage_an_object])
def test_a_harmed_landing_zone_is_named(pipeline, folder, harm):
    name = first_of_a_chain(pipeline.data).name
    problems = verified(pipeline, folder, harm)
    for sign in (name, "follows offset 0", "have not landed", "against the landing zone"):
        assert any(sign in problem for problem in problems), (sign, problems)


def test_work_that_is_not_done_is_pending_and_no_breach(folder):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 2, "--days", 1])
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE)
    for stage in ("poll", "land"):
        assert pipeline.run(stage, "--available-now")[0] == 0
    for arguments, expected in (([], 0), (["--settled"], 5)):
        code, output, errors = pipeline.run("verify", "--output", "json", *arguments)
        assert code == expected, f"verify {arguments} ended with {code}:\n{output}\n{errors}"
        report = json.loads(output)
        assert report["holds"] is None and report["pending"] and not report["breaches"], report
    pipeline.drain()
    code, output, _ = pipeline.run("verify", "--settled", "--output", "json")
    assert code == 0 and json.loads(output)["holds"] is True, output
