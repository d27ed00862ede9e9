"""The README's table of services: which were tested, in which version, by how many tests.

    tests/matrix.py RESULTS            fails when the README says otherwise
    tests/matrix.py RESULTS --write    writes what it has to say

RESULTS is the output of `cargo test --workspace -- --include-ignored`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- services: written by tests/matrix.py -->\n", "<!-- services: end -->\n"
# What stands for the service in tests; its version there; what stands for it by default; its tests.
SERVICES = [
    (
        "Apache Kafka", "Apache Kafka {KAFKA_VERSION}", "a log in one SQLite file",
        r"kafka::(group|foreign|login|token|damage)::|kafka::(a_real_cluster|two_writers)",
    ),
    (
        "S3", "MinIO {MINIO_VERSION}", "a local folder",
        r"stores::minio_|trouble::(minio_|a_rotated_key)|tls::a_service_behind"
        # Named one by one: other crates and other services have faults, too.
        r"|faults::(a_write_|a_fault_that_strikes_once|half_|of_many_|an_outage_)",
    ),
    ("", "moto {MOTO_VERSION} (a double)", "", r"stores::moto_"),
    (
        "Azure Blob, ADLS Gen2", "Azurite {AZURITE_VERSION} (Microsoft's emulator)", "a local folder",
        r"(stores|trouble)::azurite_",
    ),
    (
        "Google Cloud Storage", "a double of our own", "a local folder",
        r"stores::gcs_|trouble::a_double_of_gcs_|faults::a_fault_that_strikes_a_double",
    ),
    (
        "Azure Key Vault", "a double of our own", "environment, files, an encrypted file",
        r"provider::azure_key_vault::tests::the_running_double",
    ),
    (
        "AWS Secrets Manager", "moto {MOTO_VERSION} (a double)", "the same",
        r"provider::aws_secrets_manager::tests::moto_",
    ),
    (
        "HashiCorp Vault", "Vault {VAULT_VERSION}", "the same",
        r"provider::hashicorp_vault::tests::a_real_server",
    ),
]


def versions():
    text = (ROOT / "scripts" / "services.d" / "versions").read_text()
    found = dict(re.findall(r"^(\w+_VERSION)=(\S+)", text, re.M))
    # Of a version without a number the date is enough.
    found["MINIO_VERSION"] = re.sub(r"^v0\.0\.0-(\d{4})(\d\d)(\d\d).*", r"of \1-\2-\3", found["MINIO_VERSION"])
    return found


def table(results):
    passed = re.findall(r"^test (\S+) \.\.\. ok$", results, re.M)
    known = versions()
    lines = ["| service | tested with | embedded default | tests passed |", "|---|---|---|---:|"]
    for service, tested, default, pattern in SERVICES:
        count = sum(re.match(pattern, name) is not None for name in passed)
        lines.append(f"| {service} | {tested.format(**known)} | {default} | {count} |")
    return "\n".join(lines) + "\n"


def main():
    wanted = table(Path(sys.argv[1]).read_text())
    before, rest = README.read_text().split(BEGIN)
    found, after = rest.split(END)
    if sys.argv[2:] == ["--write"]:
        README.write_text(before + BEGIN + wanted + END + after)
    elif found != wanted:
        sys.exit(f"the README's table of services is not what was tested; it should say:\n{wanted}")


main()
