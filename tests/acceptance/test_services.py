"""The services that scripts/services starts answer real clients of their own kind, and refuse what
marketlake relies on them to refuse. When one of these fails, look here before looking at marketlake.
"""

import json
import os
import ssl
import subprocess
import urllib.request
import uuid
from pathlib import Path

import boto3
import hvac
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient
from botocore.exceptions import ClientError
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import ROOT, until
from services import AZURE_KEY, address

SCRIPT = ROOT / "scripts" / "services"
SECONDS = 30
KEYVAULT_TENANT = "11111111-2222-3333-4444-555555555555"


def tls(name):
    return str(Path(address("TLS")) / name)


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex}"


# --- Kafka

def in_the_clear():
    return {"bootstrap.servers": address("KAFKA")}


def by_password(mechanism, user="marketlake", authority="ca.pem"):
    return {
        "bootstrap.servers": address("KAFKA_TLS"), "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism, "sasl.username": user,
        "sasl.password": "marketlake-kafka-test", "ssl.ca.location": tls(authority),
    }


def by_certificate():
    return {
        "bootstrap.servers": address("KAFKA_MTLS"), "security.protocol": "SSL",
        "ssl.ca.location": tls("ca.pem"), "ssl.certificate.location": tls("client.pem"),
        "ssl.key.location": tls("client.key"),
    }


WAYS_IN = {
    "plaintext": in_the_clear,
    "scram-256": lambda: by_password("SCRAM-SHA-256"),
    "scram-512": lambda: by_password("SCRAM-SHA-512"),
    "plain": lambda: by_password("PLAIN"),
    "certificate": by_certificate,
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_kafka_keeps_what_was_produced(way):
    client, topic = WAYS_IN[way](), unique("services")
    admin = AdminClient(client)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(SECONDS)
    try:
        refusals = []
        producer = Producer({**client, "enable.idempotence": True})
        for row in range(3):
            producer.produce(
                topic, f"row {row}".encode(),
                on_delivery=lambda error, _: error and refusals.append(error),
            )
        assert producer.flush(SECONDS) == 0
        assert refusals == []

        consumer = Consumer({**client, "group.id": topic, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        records = [consumer.poll(SECONDS) for _ in range(3)]
        consumer.close()
        assert [record.value() for record in records] == [b"row 0", b"row 1", b"row 2"]
    finally:
        admin.delete_topics([topic])[topic].result(SECONDS)


def test_kafka_does_not_create_a_topic_that_somebody_mistyped():
    refusals = []
    producer = Producer({**in_the_clear(), "topic.metadata.propagation.max.ms": 0})
    producer.produce(
        unique("services"), b"row", on_delivery=lambda error, _: refusals.append(error.code())
    )
    producer.flush(SECONDS)
    assert refusals == [KafkaError.UNKNOWN_TOPIC_OR_PART]


def test_kafka_lets_a_stranger_in_and_nothing_else():
    topic = unique("services")
    stranger = AdminClient(by_password("SCRAM-SHA-256", user="stranger"))
    with pytest.raises(KafkaException) as refusal:
        stranger.create_topics([NewTopic(topic, 1, 1)])[topic].result(SECONDS)
    assert refusal.value.args[0].code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )


def without_certificate():
    client = by_certificate()
    del client["ssl.certificate.location"], client["ssl.key.location"]
    return client


@pytest.mark.parametrize("client, reason", [
    (lambda: by_password("PLAIN", authority="other-ca.pem"), "certificate verify failed"),
    (lambda: by_password("SCRAM-SHA-512") | {"sasl.password": "wrong"}, "Authentication failed"),
    (without_certificate, "bad certificate"),
], ids=["unknown authority", "wrong password", "no certificate"])
def test_kafka_and_its_clients_refuse_each_other(client, reason):
    heard = []
    admin = AdminClient({
        **client(), "log_level": 0, "error_cb": lambda error: heard.append(error.str()),
    })

    def look():
        admin.poll(0.1)
        return any(reason in text for text in heard)

    until(f"refusal for {reason}", look, SECONDS)


# --- Object stores: a second create of the same object is refused.

def aws(service, address, user="marketlake", password="marketlake-minio-test"):
    return boto3.client(
        service, endpoint_url=address, region_name="us-east-1",
        aws_access_key_id=user, aws_secret_access_key=password,
    )


def test_s3_creates_an_object_once():
    client, key = aws("s3", address("S3")), unique("services")
    client.put_object(Bucket="marketlake", Key=key, Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refusal:
        client.put_object(Bucket="marketlake", Key=key, Body=b"second", IfNoneMatch="*")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.get_object(Bucket="marketlake", Key=key)["Body"].read() == b"first"


def test_s3_replaces_only_the_version_that_was_read():
    client, key = aws("s3", address("S3")), unique("services")
    etag = client.put_object(Bucket="marketlake", Key=key, Body=b"first")["ETag"]
    client.put_object(Bucket="marketlake", Key=key, Body=b"second", IfMatch=etag)
    with pytest.raises(ClientError) as refusal:
        client.put_object(Bucket="marketlake", Key=key, Body=b"third", IfMatch=etag)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


def test_s3_refuses_a_wrong_key():
    with pytest.raises(ClientError) as refusal:
        aws("s3", address("S3"), password="wrong-password").list_objects_v2(Bucket="marketlake")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_azure_creates_a_blob_once():
    account = BlobServiceClient(address("AZURE"), credential=AZURE_KEY)
    blob = account.get_blob_client("marketlake", unique("services"))
    blob.upload_blob(b"first", overwrite=False)
    with pytest.raises(ResourceExistsError) as refusal:
        blob.upload_blob(b"second", overwrite=False)
    assert refusal.value.status_code == 409
    assert blob.download_blob().readall() == b"first"


# --- Secret stores

def key_vault(credential, authority="ca.pem"):
    return SecretClient(
        address("KEYVAULT"), credential, verify_challenge_resource=False,
        connection_verify=tls(authority), retry_total=0,
    )


def application(secret="marketlake-keyvault-test"):
    return ClientSecretCredential(
        KEYVAULT_TENANT, "marketlake", secret, authority=address("KEYVAULT"),
        disable_instance_discovery=True, connection_verify=tls("ca.pem"), retry_total=0,
    )


class ManagedIdentity:
    """Asks the token endpoint as a virtual machine does."""

    def get_token(self, *scopes, **_options):
        query = f"?resource={scopes[0].removesuffix('/.default')}&api-version=2018-02-01"
        request = urllib.request.Request(
            address("KEYVAULT_TOKEN") + query, headers={"Metadata": "true"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            token = json.load(answer)
        return AccessToken(token["access_token"], int(token["expires_on"]))


class Forged:
    def get_token(self, *_scopes, **_options):
        return AccessToken("not.a.token", 4_000_000_000)


@pytest.mark.parametrize("credential", [application, ManagedIdentity])
def test_key_vault_keeps_every_version_of_a_secret(credential):
    client, name = key_vault(credential()), unique("services")
    first = client.set_secret(name, "one")
    client.set_secret(name, "two")
    assert client.get_secret(name).value == "two"
    assert client.get_secret(name, first.properties.version).value == "one"
    assert len(list(client.list_properties_of_secret_versions(name))) == 2
    assert name in [secret.name for secret in client.list_properties_of_secrets()]


def test_key_vault_refuses_as_azure_does():
    client = key_vault(ManagedIdentity())
    with pytest.raises(ResourceNotFoundError):
        client.get_secret(unique("missing"))
    disabled = client.set_secret(unique("services"), "value", enabled=False)
    for name, status in [(disabled.name, 403), ("forbidden-key", 403), ("throttled-key", 429)]:
        with pytest.raises(HttpResponseError) as refusal:
            client.get_secret(name)
        assert refusal.value.status_code == status, name


def test_key_vault_lets_in_only_whom_it_knows():
    with pytest.raises(ClientAuthenticationError):
        key_vault(application("wrong")).get_secret("any")
    with pytest.raises(ClientAuthenticationError):
        key_vault(Forged()).get_secret("any")
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        key_vault(ManagedIdentity(), "other-ca.pem").get_secret("any")


def test_secrets_manager_keeps_the_version_before():
    client, name = aws("secretsmanager", address("AWS")), unique("services")
    client.create_secret(Name=name, SecretString="one")
    client.put_secret_value(SecretId=name, SecretString="two")
    assert client.get_secret_value(SecretId=name)["SecretString"] == "two"
    assert client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_secret_value(SecretId=unique("missing"))


def test_sqs_delivers_a_message():
    client = aws("sqs", address("AWS"))
    queue = client.create_queue(QueueName=unique("services"))["QueueUrl"]
    client.send_message(QueueUrl=queue, MessageBody="created")
    messages = client.receive_message(QueueUrl=queue, WaitTimeSeconds=1)["Messages"]
    assert [message["Body"] for message in messages] == ["created"]


def test_vault_keeps_versions_and_lets_applications_log_in():
    root = hvac.Client(address("VAULT"), token="marketlake-vault-test")
    name = unique("services")
    for value in ("one", "two"):
        root.secrets.kv.v2.create_or_update_secret(name, {"value": value}, mount_point="secret")
    root.sys.create_or_update_policy(name, f'path "secret/data/{name}" {{ capabilities = ["read"] }}')
    root.auth.approle.create_or_update_approle(name, token_policies=[name])
    role = root.auth.approle.read_role_id(name)["data"]["role_id"]
    secret = root.auth.approle.generate_secret_id(name)["data"]["secret_id"]

    client = hvac.Client(address("VAULT"))
    client.auth.approle.login(role, secret)
    read = client.secrets.kv.v2.read_secret_version
    assert read(name, raise_on_deleted_version=True)["data"]["data"] == {"value": "two"}
    assert read(name, version=1, raise_on_deleted_version=True)["data"]["data"] == {"value": "one"}
    with pytest.raises(hvac.exceptions.Forbidden):
        read("another", raise_on_deleted_version=True)


# --- Certificates

@pytest.mark.parametrize("name, problem", [
    ("server", None), ("expired", "certificate has expired"), ("wrong-host", "Hostname mismatch"),
])
def test_certificates_are_what_their_names_say(name, problem):
    """A handshake in memory: no port, no process."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tls(f"{name}.pem"), tls(f"{name}.key"))
    client_context = ssl.create_default_context(cafile=tls("ca.pem"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")

    def shake():
        waiting = [client, server]
        for _ in range(10):
            for side in list(waiting):
                try:
                    side.do_handshake()
                    waiting.remove(side)
                except ssl.SSLWantReadError:
                    pass
        assert waiting == []

    if problem is None:
        shake()
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match=problem):
            shake()


# --- The script

def script(*arguments, cache=None):
    environment = dict(os.environ) | ({"MARKETLAKE_CACHE": str(cache)} if cache else {})
    return subprocess.run(
        [SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=SECONDS * 10,
    )


def test_starting_what_runs_changes_nothing():
    def status():
        # The cluster comes and goes with the tests beside this one that need it.
        lines = script("status").stdout.splitlines()
        return [line for line in lines if not line.startswith("kafka3")]

    before = status()
    again = script("start", "moto")
    assert again.returncode == 0, again.stderr
    assert "moto runs already" in again.stdout
    assert status() == before


def test_starting_what_runs_fills_it(tmp_path):
    """Whoever started it may have been interrupted before it was filled."""
    for folder in ["run", "log", "data/azurite"]:
        (tmp_path / "services" / folder).mkdir(parents=True)
    # Stands for the process; what answers at its address is the one that runs.
    process = subprocess.Popen(["sleep", "60"], cwd=tmp_path / "services" / "data" / "azurite")
    try:
        (tmp_path / "services" / "run" / "azurite.pid").write_text(str(process.pid))
        started = script("start", "azurite", cache=tmp_path)
    finally:
        process.kill()
        process.wait()
    assert "azurite runs already" in started.stdout, started.stderr
    assert (tmp_path / "services" / "log" / "azurite.log.seed").exists()


def test_a_cache_behind_a_link_has_the_same_services(tmp_path):
    cache = Path(address("TLS")).parents[1]
    (tmp_path / "link").symlink_to(cache)
    running = script("running", cache=cache).stdout
    assert running != ""
    assert script("running", cache=tmp_path / "link").stdout == running


def test_a_process_id_that_another_program_has_by_now_is_left_alone(tmp_path):
    run = tmp_path / "services" / "run"
    run.mkdir(parents=True)
    (run / "moto.pid").write_text(str(os.getpid()))
    assert script("running", cache=tmp_path).stdout == ""
    assert script("stop", "moto", cache=tmp_path).returncode == 0
    assert not (run / "moto.pid").exists()


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path):
    answer = script("start", "kafak", cache=tmp_path)
    assert answer.returncode == 1
    assert "no service `kafak`" in answer.stderr and "kafka" in answer.stderr
