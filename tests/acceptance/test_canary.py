"""No credential of any service is anywhere it does not belong: one known value for each of them.

Every credential is a canary. The pipeline runs at trace level, on services that accept them and on
some that refuse them, and everything it left behind is searched, in every usual spelling.
"""

import base64
import json
import re
import urllib.parse
import urllib.request

import pytest

import contents
import recorded
from harness import Market, Vendor, until
from services import ACCESS_KEY, AZURE_KEY, BUCKET, MINIO_KEY, KeyVault, Place, address, s3, s3_keys
from test_secrecy import command_lines

pytestmark = pytest.mark.xdist_group("real services")

CANARY = "cnryA8vKq2Zt7Lx4Rw9Pm3"


def patterns(secret):
    """How a secret may be written: as it is, in addresses, JSON, hexadecimal, base64."""
    raw = secret.encode()
    whole = {
        raw, urllib.parse.quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode(),
        raw.hex().encode(),
    }
    encoded = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    # As a word: short keys of doubles may be part of ordinary names.
    for spelling in whole:
        yield rb"(?<![\w/+-])" + re.escape(spelling) + rb"(?![\w-])"
    # The last letter of base64 also holds bits of what follows, and more may follow.
    for spelling in encoded:
        yield rb"(?<![\w/+-])" + re.escape(spelling.rstrip(b"=")[:-1])


def assert_absent(secrets, places):
    for place, content in places:
        for secret in secrets:
            for pattern in patterns(secret):
                found = re.search(pattern, content)
                assert not found, f"a secret stands in {place}: …{content[max(0, found.start() - 80):found.start()]}"


@pytest.mark.parametrize("text", [
    b"key=%s;" % CANARY.encode(), b"%s\n" % CANARY.encode().hex().encode(),
    b"Basic %s" % base64.b64encode(CANARY.encode()),
    b"Basic %s" % base64.b64encode(CANARY.encode() + b":more"),
])
def test_the_search_finds_every_spelling(text):
    with pytest.raises(AssertionError, match="a secret stands in"):
        assert_absent([CANARY], [("here", text)])
    assert_absent([CANARY], [("here", text.swapcase())])


def left_behind(place, folder, processes):
    """Everything there is to search: processes, files, topic, landing zone, lake, metrics."""
    yield from command_lines()
    for process in processes:
        yield process.log, process.log.read_bytes()
        yield process.out, process.out.read_bytes()
    for path in folder.glob("data*/**/*"):
        if path.is_file():
            yield path, path.read_bytes()
    for data in folder.glob("data*"):
        yield from contents.everything(data)
    client = s3()
    for key in s3_keys(f"{place.id}/"):
        found = client.get_object(Bucket=BUCKET, Key=key)
        yield key, repr(found["Metadata"]).encode() + contents.plain(found["Body"].read())
    yield from lake_files(place)
    yield from records(place)


def lake_files(place):
    from azure.storage.blob import ContainerClient

    credential = {"account_name": "devstoreaccount1", "account_key": AZURE_KEY}
    container = ContainerClient(address("AZURE"), BUCKET, credential=credential)
    for blob in container.list_blobs(name_starts_with=f"{place.id}/"):
        yield blob.name, container.download_blob(blob.name).readall()


def records(place):
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": place.brokers, "group.id": f"{place.id}-canary"})
    topics = consumer.list_topics(timeout=30).topics
    for name in (name for name in topics if name.startswith(place.id)):
        for number in topics[name].partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=30)
            consumer.assign([TopicPartition(name, number, 0)])
            for _ in range(min(end, 500)):
                message = consumer.poll(30)
                if message is None or message.error():
                    break
                yield f"{name}/{number}", repr(message.headers()).encode() + message.value()
    consumer.close()


def test_credentials_that_work_are_nowhere(folder):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 3, "--days", 1])
    place = Place()
    pipeline = place.pipeline(folder, vendor, recorded.FIRST_DATE, log={"level": "trace"})
    up = pipeline.start("up")
    pipeline.wait_until_drained()
    metrics = urllib.request.urlopen(f"{up.line('console')}metrics", timeout=30).read()
    others = [pipeline.start(*command) for command in (
        ["doctor"], ["config", "show"], ["secrets", "check"], ["secrets", "list"], ["status"],
    )]
    for process in others:
        process.wait()
    assert up.terminate(patience=30)[0] == 0
    found = list(left_behind(place, folder, [up, *others]))
    assert sum("lake/" in str(name) for name, _ in found) > 20, "the search does not see the lake"
    topic = f"{place.id}.intraday/"
    assert sum(str(name).startswith(topic) for name, _ in found) > 100, "nor the topic"
    # The account's name is part of addresses; its user name is no secret on its own.
    assert_absent([ACCESS_KEY, MINIO_KEY, AZURE_KEY], [("metrics", metrics), *found])


REFUSED = {
    "the vendor": (["poll", "--available-now"], {}, "access-key"),
    "the landing store": (["land", "--available-now"], {}, "landing-key"),
    "the lake": (["refine", "--available-now"], {}, "lake-key"),
    "Kafka": (["poll", "--available-now"], {"kafka": True}, None),
    "the key vault": (["poll", "--available-now"], {"vault": True}, None),
}


@pytest.mark.parametrize("who", REFUSED)
def test_credentials_that_are_refused_are_nowhere(folder, who):
    command, options, wrong = REFUSED[who]
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 2, "--days", 1])
    place = Place()
    canary = CANARY if wrong != "lake-key" else base64.b64encode(CANARY.encode()).decode()
    pipeline = place.pipeline(folder, vendor, recorded.FIRST_DATE, log={"level": "trace"})
    if wrong:
        KeyVault().put(f"{place.id}-{wrong}", canary)
    if "kafka" in options:
        KeyVault().put(f"{place.id}-kafka", canary)
        pipeline.sections["topic"]["brokers"] = address("KAFKA_TLS")
        pipeline.sections["topic.kafka"] = {
            "security_protocol": "SASL_SSL", "sasl_mechanisms": "SCRAM-SHA-512",
            "sasl_username": "marketlake", "sasl_password": place.secret("kafka"),
            "ssl_ca_location": f"{address('TLS')}/ca.pem",
        }
    if "vault" in options:
        del pipeline.environment["IDENTITY_ENDPOINT"], pipeline.environment["IDENTITY_HEADER"]
        pipeline.sections["secrets.scopes.vault"] |= {
            "credential": "client_secret", "client_id": "marketlake",
            "tenant_id": "11111111-2222-3333-4444-555555555555",
            "client_secret": "{{secrets/env/client}}", "authority_host": address("KEYVAULT"),
        }
        pipeline.environment["MARKETLAKE_SECRET_CLIENT"] = canary
    process = pipeline.start(*command)
    assert process.wait() != 0, f"{who} took a wrong credential"
    json_log = pipeline.start(*command, "--log-format", "json")
    json_log.wait()
    doctor = pipeline.start("doctor")
    assert doctor.wait() != 0
    assert "failed" in doctor.output()
    assert_absent([canary], left_behind(place, folder, [process, json_log, doctor]))
