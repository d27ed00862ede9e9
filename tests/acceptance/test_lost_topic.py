"""A topic that is deleted with records that nobody landed: noticed, told, and fetched again."""

import json
from datetime import datetime, timezone

import pytest
from confluent_kafka.admin import AdminClient

from harness import Market, Vendor, settle, until
from services import Place
from tables import Lake

pytestmark = pytest.mark.xdist_group("real services")

FIRST_DATE = "2019-02-11"
MORNING = datetime(2019, 2, 11, 16, tzinfo=timezone.utc)
AFTERNOON = datetime(2019, 2, 11, 20, tzinfo=timezone.utc)
FINAL = datetime(2019, 2, 12, 12, tzinfo=timezone.utc)


def delete(place):
    """Deletes every topic of the pipeline, as somebody might by mistake."""
    admin = AdminClient({"bootstrap.servers": place.brokers})
    ours = lambda: [
        name for name in admin.list_topics(timeout=30).topics if name.startswith(f"{place.id}.")
    ]
    names = ours()
    assert names
    for name, done in admin.delete_topics(names, operation_timeout=30).items():
        assert done.result() is None, name
    until("topics to be gone", lambda: not ours())


def test_what_a_topic_lost_is_fetched_again(folder):
    vendor = Vendor(folder, Market(MORNING), ["--symbols", 4, "--days", 1])
    place = Place()
    pipeline = place.pipeline(folder, vendor, FIRST_DATE)
    pipeline.drain()
    vendor.market.move(AFTERNOON)
    vendor.restart()
    code, _, errors = pipeline.run("poll", "--available-now", patience=300)
    assert code == 0, errors
    # Acknowledged, on no other place in the world, and gone.
    delete(place)
    settle(vendor, pipeline, FINAL)
    assert place.landing_objects(generation=0), "what landed before stays"
    began = place.landing_objects(generation=1)
    opened = [json.loads(text) for key, text in began.items() if key.endswith("/opened.json")]
    assert len(opened) == 1, opened
    said = opened[0]["opened"]
    assert said["generation"] == 1 and said["follows"] == 0 and said["ts_lost_since"], said
    # Landing noticed after the poller had looked: this run of the poller hears of it.
    pipeline.drain()
    report = pipeline.verify()
    assert report["lost"], "verify tells what was lost"
    lake = Lake(pipeline.lake, vendor.truth(), pipeline.lake_options)
    lake.assert_truth()
    lake.assert_eod()
    vendor.stop()
