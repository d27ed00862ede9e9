"""Everything that can go wrong at the vendor goes wrong, seeded, and the result is the same."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone

import pytest

import recorded
from harness import Market, Pipeline, Vendor, chance, now, settle
from landing import canonical, row_at
from tables import Lake

SYMBOLS, DAYS = 6, 3
# An hour and a half before the close of the second day: a day to catch up with, a market to follow.
START = datetime(2019, 2, 12, 19, 30, tzinfo=timezone.utc)
# Every row of the day has ended, and none has the volume of all venues yet: it comes at 21:15.
AFTER_CLOSE = datetime(2019, 2, 12, 21, 2, tzinfo=timezone.utc)
NEXT_DAY = datetime(2019, 2, 13, 12, tzinfo=timezone.utc)
FINAL = datetime(2019, 2, 14, 12, tzinfo=timezone.utc)
# A late row appears within twelve hours: most of them after the last look at their session, the
# last of them next morning, before that day counts as over.
LATE_MINUTES_MAX = 720
# Of a hundred requests twenty-five fail, each of ten kinds within the first forty.
FAULT_RATE = 0.25
# All but `page-drift`: only newest-first lists shift, and marketlake asks for none.
KINDS = {
    "rate-limit", "internal", "unavailable", "slow", "truncated", "error-in-ok", "html", "empty",
    "closed", "wrong-count", "late", "restated", "poison", "duplicate", "key-drift",
}


@dataclass
class Run:
    version: str
    pipeline: Pipeline
    lake: Lake
    # How often each kind befell a request or row of the pipeline.
    faults: Counter
    # When market time jumped to the next morning, by our clock.
    ts_morning: datetime


# Tests of one version share its run, so they go to one worker.
VERSIONS = [pytest.param(name, marks=pytest.mark.xdist_group(f"faults {name}")) for name in ("v2", "v1")]


@pytest.fixture(scope="module", params=VERSIONS)
def run(request, tmp_path_factory):
    version = request.param
    folder = tmp_path_factory.mktemp(f"faults-{version}")
    fault_seed = chance(f"faults {version}").randrange(1_000_000)
    print(f"fault seed {fault_seed}")
    vendor = Vendor(
        folder, Market(START, speed=90),
        ["--symbols", SYMBOLS, "--days", DAYS, "--seed", fault_seed, "--quirk", "all",
         "--faults", fault_seed, "--fault-rate", FAULT_RATE, "--late-minutes-max", LATE_MINUTES_MAX,
         "--iex-share-permille", 20, "--truth-version", version],
    )
    pipeline = Pipeline(
        folder, vendor, recorded.FIRST_DATE,
        source={"base_url": f"{vendor.url}/{version}", "version": version},
        # v1 dates rows without price after the session.
        poll={"after_hours": version == "v1"},
    )
    # The list of symbols was asked for by this test.
    ours = vendor.faults()
    up = pipeline.start("up")
    vendor.market.passes(AFTER_CLOSE)
    assert up.is_running(), up.errors()
    assert up.terminate()[0] == 0
    settle(vendor, pipeline, AFTER_CLOSE)
    ts_morning = now()
    for moment in (NEXT_DAY, FINAL):
        settle(vendor, pipeline, moment)
    lake = Lake(pipeline.lake, vendor.truth())
    faults = vendor.faults() - ours
    print(f"faults: {dict(faults)}")
    vendor.stop()
    return Run(version, pipeline, lake, faults, ts_morning)


def test_the_result_is_exact(run):
    run.pipeline.verify()
    run.lake.assert_truth()
    run.lake.assert_once()


def test_every_kind_of_fault_happened(run):
    missing = sorted(KINDS - set(run.faults))
    assert not missing, f"{missing} never happened: {dict(run.faults)}"


def test_a_revised_row_keeps_its_first_revision(run):
    lake = run.lake
    view = lake.table("silver.bar")
    second = lake.one(f"SELECT count(*) FROM {view} WHERE revision = 2")
    assert second, "no row was ever revised"
    pairs = lake.one(
        f"SELECT count(*) FROM {view} AS a JOIN {view} AS b USING (source, symbol, mic, interval, ts_start) "
        "WHERE a.revision = 1 AND b.revision = 2 AND a.knowledge_from <= b.knowledge_from "
        "AND (a.open, a.high, a.low, a.close, a.volume) IS DISTINCT FROM "
        "(b.open, b.high, b.low, b.close, b.volume)"
    )
    assert pairs == second


def test_the_volume_of_all_venues_replaces_that_of_one(run):
    revised = run.lake.rows(
        f"SELECT symbol FROM {run.lake.table('silver.bar')} WHERE session_date = '2019-02-12' "
        "GROUP BY symbol, ts_start HAVING 10 * min(served_volume) < max(served_volume)"
    )
    assert revised, "no last reading of a day got the volume of all venues after it was served"


def test_a_row_that_comes_the_next_day_is_found(run):
    # Before eight in the evening, UTC: no scan of the day itself looked back that far in the end.
    found = run.lake.one(
        f"SELECT count(*) FROM {run.lake.table('silver.bar')} WHERE session_date = '2019-02-12' "
        f"AND ts_start < '2019-02-12 20:00:00+00' AND revision = 1 AND '{run.ts_morning}' <= knowledge_from"
    )
    assert found, "no row of the day came after its last scan"


def test_poison_is_in_quarantine_with_file_line_and_reason(run):
    pipeline, lake = run.pipeline, run.lake
    view = lake.table("silver.quarantine")
    assert not lake.rows(f"SELECT * FROM {view} WHERE file IS NULL OR line IS NULL OR reason IS NULL")
    found = {
        (dataset, row_at(pipeline.data / "landing", file, line))
        for dataset, file, line in lake.rows(f"SELECT dataset, file, line FROM {view}")
    }
    poison = [
        json.loads(text, parse_float=str, parse_int=str)
        for (text,) in lake.rows("SELECT CAST(json AS VARCHAR) FROM truth WHERE kind = 'poison'")
    ]
    rows = {(line["dataset"], line["reason"], canonical(line["row"])) for line in poison}
    assert rows, "the vendor served no poison"
    extra = found - {(dataset, row) for dataset, _, row in rows}
    # A day ends at 20:00 in New York, 01:00 UTC; the last rows without price are dated later.
    is_asked = lambda reason, row: reason != "no_price" or "T01:" not in json.loads(row)["date"]
    must = {(dataset, row) for dataset, reason, row in rows if is_asked(reason, row)}
    missing = must - found
    assert not missing, f"{len(missing)} of {len(must)} poison rows not quarantined: {sorted(missing)[:3]}"
    assert not extra, f"{len(extra)} good rows quarantined: {sorted(extra)[:3]}"
    without_price = {(dataset, row) for dataset, reason, row in rows if reason == "no_price"}
    assert bool(without_price & found) == (run.version == "v1"), "rows without price are v1's"
