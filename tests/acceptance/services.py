"""The real services that `scripts/services` runs, and a pipeline on them.

Every test has places of its own in them: topics with a prefix, folders in buckets, secrets.
"""

import json
import os
import secrets
import ssl
import urllib.request

import boto3

from harness import Pipeline

# Azurite has one account, and everybody knows its key.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
MINIO_USER, MINIO_KEY = "marketlake", "marketlake-minio-test"
BUCKET = "marketlake"
# The vendor's key: one of the simulator's.
ACCESS_KEY = "sim-biz"


def address(name):
    """Where a service is, as `scripts/services env` says it."""
    value = os.environ.get(f"MARKETLAKE_TEST_{name}")
    assert value, (
        f"MARKETLAKE_TEST_{name} is not set: run `scripts/services start` and "
        '`eval "$(scripts/services env)"`'
    )
    return value


def ca_file():
    return f"{address('TLS')}/ca.pem"


def s3():
    """The object store, as a client of somebody else's sees it."""
    return boto3.client(
        "s3", endpoint_url=address("S3"), region_name="us-east-1",
        aws_access_key_id=MINIO_USER, aws_secret_access_key=MINIO_KEY,
    )


def s3_keys(prefix):
    """Every key that begins so; a listing has a thousand a page."""
    pages = s3().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


class KeyVault:
    """Azure Key Vault as its REST clients see it."""

    def __init__(self):
        self.url = address("KEYVAULT")
        self.token_url = address("KEYVAULT_TOKEN")
        self.context = ssl.create_default_context(cafile=ca_file())

    def token(self):
        url = f"{self.token_url}?resource=https://vault.azure.net&api-version=2019-08-01"
        request = urllib.request.Request(
            url, headers={"Metadata": "true", "X-IDENTITY-HEADER": "header"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["access_token"]

    def put(self, name, value):
        request = urllib.request.Request(
            f"{self.url}/secrets/{name}?api-version=7.4", method="PUT",
            data=json.dumps({"value": value}).encode(),
            headers={"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30, context=self.context) as answer:
            assert answer.status == 200


class Place:
    """One test's own corner of the services, and the settings that lead there."""

    def __init__(self, brokers=None, replication=1, s3=None):
        self.id = f"t{secrets.token_hex(4)}"
        self.brokers = brokers or address("KAFKA")
        self.replication = replication
        self.s3 = s3 or address("S3")
        vault = KeyVault()
        for name, value in {
            "access-key": ACCESS_KEY, "landing-user": MINIO_USER, "landing-key": MINIO_KEY,
            "lake-key": AZURE_KEY,
        }.items():
            vault.put(f"{self.id}-{name}", value)

    def secret(self, name):
        return f"{{{{secrets/vault/{self.id}-{name}}}}}"

    def sections(self):
        return {
            "source": {"access_key": self.secret("access-key")},
            "topic": {
                "brokers": self.brokers, "prefix": f"{self.id}.", "replication": self.replication,
                "group": f"{self.id}-land",
            },
            "landing": {"url": f"s3://{BUCKET}/{self.id}/landing"},
            "landing.options": {
                "aws_endpoint": self.s3, "aws_region": "us-east-1", "allow_http": True,
                "aws_access_key_id": self.secret("landing-user"),
                "aws_secret_access_key": self.secret("landing-key"),
            },
            "lake": {"url": f"az://{BUCKET}/{self.id}/lake"},
            "lake.options": {
                "azure_storage_endpoint": address("AZURE"),
                "azure_storage_account_name": AZURE_ACCOUNT, "allow_http": True,
                "azure_storage_account_key": self.secret("lake-key"),
            },
            "secrets.scopes.vault": {
                "provider": "azure_key_vault", "vault_url": address("KEYVAULT"),
                "credential": "managed_identity", "ca_file": ca_file(),
                # Its name is not one of Azure's.
                "verify_challenge_resource": "false",
            },
        }

    def environment(self):
        """What a machine in Azure has: an endpoint that knows who it is."""
        return {"IDENTITY_ENDPOINT": address("KEYVAULT_TOKEN"), "IDENTITY_HEADER": "header"}

    def pipeline(self, folder, vendor, start_date, **sections):
        merged = self.sections()
        for name, values in sections.items():
            merged.setdefault(name, {}).update(values)
        pipeline = Pipeline(folder, vendor, start_date, **merged)
        pipeline.environment = self.environment()
        # delta-rs for Python takes the first part of a path behind `az://` for something else.
        pipeline.lake = f"abfs://{BUCKET}/{self.id}/lake"
        pipeline.lake_options = {
            # Asked at an address of its own, Azurite lists from the beginning whatever it is asked.
            "azure_storage_account_name": AZURE_ACCOUNT, "azure_storage_account_key": AZURE_KEY,
            "azure_storage_use_emulator": "true",
        }
        return pipeline

    def landing_objects(self, dataset="intraday", generation=0):
        """The landing zone of a dataset as another client of S3 sees it: key to bytes."""
        client = s3()
        return {
            key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in s3_keys(f"{self.id}/landing/{generation}/{self.id}.{dataset}/")
        }
