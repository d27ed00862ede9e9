"""The whole pipeline on real services: Kafka, S3 (MinIO), Azure Blob (Azurite), Azure Key Vault.

The truth equality of the embedded pipeline, unchanged, and what other clients of the same services
see of it.
"""

import json
from datetime import datetime, timezone

import pytest
from confluent_kafka import Consumer, TopicPartition

import psql
import recorded
from harness import Market, Vendor, settle
from services import Place, address
from tables import Lake

pytestmark = pytest.mark.xdist_group("real services")

SYMBOLS, DAYS = 6, 3
# An hour before the close of the second day: a day to catch up with, and a market to follow.
START = datetime(2019, 2, 12, 20, tzinfo=timezone.utc)
AFTER_CLOSE = datetime(2019, 2, 12, 21, 5, tzinfo=timezone.utc)
FINAL = datetime(2019, 2, 13, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A market followed by `up` to its close, then settled by stages one after the other."""
    folder = tmp_path_factory.mktemp("real-services")
    vendor = Vendor(folder, Market(START, speed=90), ["--symbols", SYMBOLS, "--days", DAYS])
    place = Place()
    pipeline = place.pipeline(folder, vendor, recorded.FIRST_DATE)
    up = pipeline.start("up")
    vendor.market.passes(AFTER_CLOSE)
    assert up.is_running(), up.errors()[-3000:]
    assert up.terminate(patience=30)[0] == 0, up.errors()[-3000:]
    settle(vendor, pipeline, FINAL)
    yield place, pipeline, Lake(pipeline.lake, vendor.truth(), pipeline.lake_options)
    vendor.stop()


def test_the_result_is_exact(run):
    _, pipeline, lake = run
    pipeline.verify()
    lake.assert_truth()
    lake.assert_once()
    lake.assert_one_version()


def test_records_are_plain_for_other_consumers(run):
    place, pipeline, lake = run
    consumer = Consumer({
        "bootstrap.servers": place.brokers, "group.id": f"{place.id}-other",
        "auto.offset.reset": "earliest", "enable.auto.commit": False,
    })
    topic = f"{place.id}.intraday"
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    records = []
    for number in partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
        consumer.assign([TopicPartition(topic, number, 0)])
        while end and (not records or records[-1][:2] != (number, end - 1)):
            message = consumer.poll(30)
            assert message is not None and message.error() is None, message and message.error()
            records.append((number, message.offset(), message))
    consumer.close()
    view = lake.table("bronze.intraday")
    assert len(records) == lake.one(f"SELECT count(*) FROM {view}")
    for _, _, message in records[:200]:
        row = json.loads(message.value())
        assert message.key().decode() == row["symbol"]
        headers = {name: value.decode() for name, value in message.headers()}
        assert headers["source"] == "marketstack-v2" and headers["interval"] == "1min", headers
        assert int(headers["fetch_id"]) and headers["page"].isdigit() and headers["row"].isdigit()
        assert datetime.fromisoformat(headers["ts_fetched"].replace("Z", "+00:00"))


def test_landing_objects_are_plain_for_other_readers(run):
    place, _, lake = run
    import pyarrow

    rows = 0
    for key, stored in place.landing_objects().items():
        with pyarrow.input_stream(pyarrow.py_buffer(stored), compression="zstd") as stream:
            *lines, footer = stream.read().decode().splitlines()
        first = json.loads(lines[0])["_offset"]
        assert key.endswith(f"/{first:020}.ndjson.zst"), key
        assert json.loads(footer)["_footer"]["count"] == len(lines), footer
        rows += len(lines)
    assert rows == lake.one(f"SELECT count(*) FROM {lake.table('bronze.intraday')}")


def test_the_lake_is_served_from_another_folder(run, tmp_path):
    """A second machine: nothing of the first but its settings."""
    _, pipeline, lake = run
    other = tmp_path / "other"
    serve = pipeline.start("--data-dir", other, "serve")
    command = serve.line("SQL")
    code, output, errors = psql.run(command, "-Atc", "SELECT count(*), sum(volume) FROM gold.bar_1m")
    assert code == 0, errors
    expected = lake.rows(f"SELECT count(*), sum(volume) FROM {lake.table('gold.bar_1m')}")[0]
    count, volume = output.strip().split("|")
    assert int(count) == expected[0] and float(volume) == float(expected[1])
    assert serve.terminate(patience=30)[0] == 0


def test_the_group_shows_its_lag_to_kafkas_own_tools(run):
    place, _, _ = run
    topic = f"{place.id}.intraday"
    consumer = Consumer({"bootstrap.servers": place.brokers, "group.id": f"{place.id}-land"})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    committed = consumer.committed([TopicPartition(topic, number) for number in partitions], 30)
    for found in committed:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, found.partition), timeout=30)
        assert found.offset == end or end == 0, f"partition {found.partition}: {found.offset} of {end}"
    consumer.close()


def test_the_doctor_finds_everything_well(run):
    _, pipeline, _ = run
    code, output, errors = pipeline.run("doctor", "--output", "json")
    assert code == 0, output + errors
    report = json.loads(output)
    assert report["is_well"] is True
    services = {check["service"] for check in report["checks"]}
    assert {"data folder", "secrets", "vendor", "topic", "landing", "lake"} <= services
    tried = {(check["service"], check["check"]) for check in report["checks"]}
    assert ("topic", "produce and consume") in tried and ("lake", "create once") in tried
    assert {check["result"] for check in report["checks"]} == {"ok"}, output
