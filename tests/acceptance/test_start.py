"""What a start insists on, and what it does without: stores that arbitrate, a broker for readers."""

import json

import pytest

import psql
import recorded
from harness import Market, Vendor, free_port
from services import BUCKET, Place

pytestmark = pytest.mark.xdist_group("real services")


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    vendor = Vendor(
        tmp_path_factory.mktemp("start"), Market(recorded.AFTER), ["--symbols", 2, "--days", 1],
    )
    yield vendor
    vendor.stop()


def on_s3(place, folder, market, section, **options):
    """A pipeline that has `section` in S3 too, opened with these options."""
    pipeline = place.pipeline(folder, market, recorded.FIRST_DATE)
    pipeline.sections[section] = {"url": f"s3://{BUCKET}/{place.id}/{section}"}
    s3 = place.sections()["landing.options"]
    pipeline.sections[f"{section}.options"] = {**s3, **options}
    return pipeline


@pytest.mark.parametrize(
    ("section", "stages"), [("landing", ["land"]), ("lake", ["load", "refine"])],
)
def test_who_writes_refuses_a_store_that_cannot_arbitrate(tmp_path, market, section, stages):
    place = Place()
    unable = on_s3(place, tmp_path, market, section, aws_conditional_put="disabled")
    for stage in stages:
        code, _, errors = unable.run(stage, "--available-now")
        assert code == 3, f"{stage} ended with {code}:\n{errors}"
        for part in [f"`{section}.url`", f"{place.id}/{section}", "conditional create"]:
            assert part in errors, f"{stage} does not name {part}:\n{errors}"
    if section == "landing":
        # Whoever only looks needs no arbiter.
        assert unable.run("status")[0] == 0


def test_readers_need_no_broker(tmp_path, market):
    place = Place()
    pipeline = place.pipeline(
        tmp_path, market, recorded.FIRST_DATE, topic={"brokers": f"127.0.0.1:{free_port()}"},
    )
    code, _, errors = pipeline.run("load", "--available-now")
    assert code == 0, errors
    serve = pipeline.start("serve")
    code, output, errors = psql.run(serve.line("SQL"), "-Atc", "SELECT count(*) FROM gold.bar_1m")
    assert (code, output.strip()) == (0, "0"), errors
    assert serve.terminate(patience=30)[0] == 0
    stages = {stage["name"]: stage for stage in pipeline.status()["stages"]}
    # What cannot be asked is told, and hides nothing else.
    assert stages["land"]["message"] and not stages["load"]["message"], json.dumps(stages)
