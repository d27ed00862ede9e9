"""Real minutes, served as bars: gold's minutes are the recording, its quarters the other one."""

import pytest

import recorded
from harness import Market, Pipeline, Vendor
from tables import VALUES, Lake, numbers

pytestmark = pytest.mark.xdist_group("bars")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    if recorded.is_there():
        bars = ["--bars", recorded.MINUTES]
    else:
        bars = ["--symbols", 24, "--days", 5]
    vendor = Vendor(folder, Market(recorded.AFTER), [*bars, "--semantics", "bar"])
    pipeline = Pipeline(
        folder, vendor, recorded.FIRST_DATE,
        poll={"datasets": ["intraday"]}, refine={"semantics": "bar"},
    )
    pipeline.drain()
    lake = Lake(pipeline.lake, vendor.truth())
    vendor.stop()
    return lake


def recording(path):
    return (
        f"SELECT symbol, CAST(ts_start_utc AS TIMESTAMPTZ) AS ts_start, {numbers(VALUES)} "
        f"FROM read_csv('{path}', all_varchar = true)"
    )


def gold(lake, name):
    return f"SELECT symbol, ts_start, {numbers(VALUES)} FROM {lake.table(name)}"


def test_every_minute_is_the_recorded_one(lake):
    if recorded.is_there():
        lake.assert_same("gold.bar_1m", gold(lake, "gold.bar_1m"), recording(recorded.MINUTES))
    else:
        lake.assert_same("gold.bar_1m", lake.gold_bars("bar_1m"), lake.truth_bars("bar_1m"))


def test_quarters_are_those_of_the_other_recording(lake):
    if not recorded.is_there():
        lake.assert_same("gold.bar_15m", lake.gold_bars("bar_15m"), lake.truth_bars("bar_15m"))
        return
    some = f"symbol IN {tuple(recorded.SAME_FEED)}"
    days = "CAST(ts_start AS DATE) BETWEEN '2019-02-11' AND '2019-02-15'"
    lake.assert_same(
        "gold.bar_15m",
        f"SELECT * FROM ({gold(lake, 'gold.bar_15m')}) WHERE {some}",
        f"SELECT * FROM ({recording(recorded.QUARTERS)}) WHERE {some} AND {days}",
    )
