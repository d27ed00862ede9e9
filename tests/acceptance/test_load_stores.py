"""A load from S3 into Azure: secrets by reference only, events of a queue, objects that come and go."""

import io
import json
import secrets
from urllib.parse import quote

import boto3
import pytest
from azure.storage.blob import ContainerClient
from deltalake import DeltaTable
from pyarrow import parquet

import contents
from harness import Process, until
from loads import Load, finish
from services import AZURE_ACCOUNT, AZURE_KEY, BUCKET, MINIO_KEY, MINIO_USER, address, s3, s3_keys

pytestmark = pytest.mark.xdist_group("real services")

AZURE = {
    "azure_storage_endpoint": lambda: address("AZURE"), "azure_storage_account_name": lambda: AZURE_ACCOUNT,
    "allow_http": lambda: "true", "azure_storage_account_key": lambda: "{{secrets/env/lake-key}}",
}
S3 = {
    "aws_endpoint": lambda: address("S3"), "aws_region": lambda: "us-east-1", "allow_http": lambda: "true",
    "aws_access_key_id": lambda: "{{secrets/env/source-user}}",
    "aws_secret_access_key": lambda: "{{secrets/env/source-key}}",
}
# What stands in places where nothing secret may stand.
SECRETS = [MINIO_KEY, AZURE_KEY]


def store_arguments(flag, options):
    return [word for name, value in options.items() for word in (flag, f"{name}={value()}")]


class CloudLoad(Load):
    """A source in MinIO and a table in Azurite, each under a prefix of its own."""

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.id = f"t{secrets.token_hex(4)}"
        self.source, self.table = f"s3://{BUCKET}/{self.id}/in", f"az://{BUCKET}/{self.id}/lake/rows"

    def write(self, files, modified=None):
        """Puts objects in place; the store says when."""
        for name, content in files.items():
            s3().put_object(Bucket=BUCKET, Key=f"{self.id}/in/{name}", Body=content)

    def arguments(self, *command, **options):
        logged = ["--log", "trace"]
        stores = [*store_arguments("--source-option", S3), *store_arguments("--table-option", AZURE)]
        return [*logged, *super().arguments(*command, **options), *stores]

    def start(self, *command, **options):
        environment = {
            "MARKETLAKE_SECRET_LAKE_KEY": AZURE_KEY, "MARKETLAKE_SECRET_SOURCE_USER": MINIO_USER,
            "MARKETLAKE_SECRET_SOURCE_KEY": MINIO_KEY,
        }
        more = options.pop("more", ())
        arguments = [*self.arguments(*(command or ["load"]), **options), *more]
        return Process("-".join(command) or "load", arguments, self.folder, environment)

    def run(self, *command, code=0, **options):
        return finish(self.start(*command, **options), code)

    def delta(self, suffix="", version=None):
        options = {
            "azure_storage_account_name": AZURE_ACCOUNT, "azure_storage_account_key": AZURE_KEY,
            "azure_storage_use_emulator": "true",
        }
        # delta-rs for Python takes the first part of a path behind `az://` for something else.
        place = self.table.replace("az://", "abfs://") + suffix
        return DeltaTable(place, version=version, storage_options=options)

    def arrow(self, suffix="", version=None):
        return self.delta(suffix, version).to_pyarrow_table()

    def objects(self):
        """Everything that the load has written, by name."""
        container = ContainerClient(
            address("AZURE"), BUCKET,
            credential={"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY},
        )
        names = [blob.name for blob in container.list_blobs(name_starts_with=f"{self.id}/lake/")]
        return {name: container.download_blob(name).readall() for name in names}


def plain(name, content):
    """The bytes of an object once nothing is compressed."""
    if name.endswith(".parquet"):
        return repr(parquet.read_table(io.BytesIO(content)).to_pydict()).encode()
    return contents.plain(content)


def assert_no_secret(load):
    for process in Process.started:
        if process.log.parent == load.folder:
            for text in (process.output(), process.errors(), " ".join(process.child.args[1:])):
                assert not any(secret in text for secret in SECRETS), process.log
    objects = load.objects()
    assert 5 < len(objects), "there is hardly anything to search"
    for name, content in objects.items():
        assert not any(secret.encode() in plain(name, content) for secret in SECRETS), name


def ids(load):
    return sorted(int(value) for (value,) in load.rows("id"))


def test_from_one_cloud_into_another(folder):
    load = CloudLoad(folder, format="json", maxFilesPerTrigger=2, overwrites="replace")
    load.write({"day=2026-01-05/a.json": '{"id": 1}\n', "b c+%.json": '{"id": 2}\n!\n'})
    load.write({"c.json": '{"id": 3}\n'})
    assert load.run()["batches"] == 2
    assert ids(load) == [1, 2, 3]
    bad = load.arrow("__quarantine").to_pylist()
    assert [(row["file_path"], row["line"], row["byte_offset"]) for row in bad] == [
        (f"s3://{BUCKET}/{load.id}/in/b c+%.json", 2, 10),
    ]
    # What S3 says of the object is what the row says of its file; S3 tells whole seconds only.
    head = s3().head_object(Bucket=BUCKET, Key=f"{load.id}/in/c.json")
    modified = "floor(epoch(_metadata.file_modification_time))"
    found = load.rows(f"_metadata.file_etag, _metadata.file_size, {modified}")
    assert (head["ETag"], 10, head["LastModified"].timestamp()) in found, found
    load.write({"c.json": '{"id": 4}\n'})
    load.run()
    assert ids(load) == [1, 2, 4]
    assert load.run("files", "undo", more=["--files", "c.json"])["files"] == 1
    assert ids(load) == [1, 2]
    assert_no_secret(load)


def test_moved_inside_of_the_bucket(folder):
    load = CloudLoad(folder, format="json", cleanSource="MOVE")
    load.options["cleanSource.moveDestination"] = f"s3://{BUCKET}/{load.id}/archive"
    load.options["cleanSource.retentionDuration"] = "0 seconds"
    load.write({"x/a.json": '{"id": 1}\n'})
    load.run()
    assert s3_keys(f"{load.id}/in/") == []
    assert [key.endswith("x/a.json") for key in s3_keys(f"{load.id}/archive/")] == [True]
    assert_no_secret(load)
    load.run()
    assert ids(load) == [1]


def test_a_wrong_credential(folder):
    """Told as what it is, and the secret is not in the message."""
    load = CloudLoad(folder, format="json")
    load.write({"a.json": '{"id": 1}\n'})
    process = Process("load", load.arguments("load"), folder, {
        "MARKETLAKE_SECRET_LAKE_KEY": AZURE_KEY, "MARKETLAKE_SECRET_SOURCE_USER": MINIO_USER,
        "MARKETLAKE_SECRET_SOURCE_KEY": "cnry7Qf3kZp9Xw2Lr5Vt8",
    })
    assert process.wait() == 3 and "does not accept the key" in process.errors(), process.errors()[-2000:]
    assert "cnry" not in process.errors() + process.output()
    process = Process("load", load.arguments("load"), folder, {})
    assert process.wait() == 3 and "lake-key" in process.errors(), process.errors()[-2000:]


def test_credentials_as_plain_options(folder):
    """A command line is in the process list and in the shell's history."""
    load = CloudLoad(folder, format="json")
    load.write({"a.json": '{"id": 1}\n'})
    more = ["--source-option", "aws_secret_access_key=cnry7Qf3kZp9Xw2Lr5Vt8"]
    process = load.start(more=more)
    assert process.wait() == 3, process.errors()[-2000:]
    assert "settings never hold a secret" in process.errors(), process.errors()[-2000:]
    assert "cnry" not in process.errors(), process.errors()[-2000:]


def sqs_of(load):
    """A queue of a double of SQS, and what puts an event of S3 into it."""
    client = boto3.client(
        "sqs", endpoint_url=address("AWS"), region_name="us-east-1",
        aws_access_key_id=MINIO_USER, aws_secret_access_key=MINIO_KEY,
    )
    url = client.create_queue(QueueName=load.id)["QueueUrl"]

    def tell(name, bucket=BUCKET):
        # S3 spells keys as forms do.
        record = {
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": bucket}, "object": {"key": quote(f"{load.id}/in/{name}", safe="/")}},
        }
        client.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))

    def waiting():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    return url, tell, waiting


def test_events_of_a_queue(folder):
    """Events say where to look; those about nothing, twice, or in vain bring nothing and go."""
    load = CloudLoad(folder, format="json")
    url, tell, waiting = sqs_of(load)
    load.options["queueUrl"] = url
    # This queue is told of nothing but what the test says.
    process = load.start("files", "probe", more=["--count", "2", "--patience", "1"])
    assert process.wait() == 3 and "of 2 of 2 probes no event came" in process.errors()
    load.write({"a.json": '{"id": 1}\n'})
    load.run()
    assert ids(load) == [1]
    load.write({"b c.json": '{"id": 2}\n', "quiet.json": '{"id": 3}\n'})
    for name in ("b c.json", "b c.json", "a.json", "gone.json"):
        tell(name)
    tell("b c.json", "another-bucket")
    process = load.start(trigger="continuous")
    until("the file that was told", lambda: ids(load) == [1, 2], patience=30)
    until("an empty queue", lambda: waiting() == 0, patience=30)
    assert process.terminate()[0] == 0, process.errors()[-2000:]
    assert load.batches() == 2, "events about what is known plan nothing"
    # A listing proves the whole, now and then.
    load.options.pop("queueUrl")
    load.run()
    assert ids(load) == [1, 2, 3]
    assert_no_secret(load)
