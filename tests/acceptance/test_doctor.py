"""`doctor` names each thing that is missing, with its cause and a remedy, and hides no other."""

import json

import pytest

import recorded
from harness import Market, Vendor, free_port
from services import Place

pytestmark = pytest.mark.xdist_group("real services")


def examined(folder, exit_code, **sections):
    """What the doctor finds wrong with a pipeline whose settings are changed so."""
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 2, "--days", 1])
    pipeline = Place().pipeline(folder, vendor, recorded.FIRST_DATE, **sections)
    code, output, errors = pipeline.run("doctor", "--output", "json")
    assert code == exit_code, f"exit {code}:\n{output}\n{errors}"
    checks = json.loads(output)["checks"]
    text = pipeline.run("doctor")[1]
    assert "failed" in text and "remedy:" in text and "\x1b" not in text, text
    for check in checks:
        assert check["result"] != "failed" or (check["detail"] and check["remedy"]), check
    return {
        (check["service"], check["check"]): check for check in checks if check["result"] == "failed"
    }


def test_a_broker_that_is_not_there(folder):
    port = free_port()
    failed = examined(folder, 5, topic={"brokers": f"127.0.0.1:{port}"})
    assert set(failed) == {("topic", "reach")}, failed
    assert str(port) in failed["topic", "reach"]["detail"]


def test_a_secret_that_is_not_there(folder):
    failed = examined(folder, 3, source={"access_key": "{{secrets/vault/nobody-set-this}}"})
    assert {service for service, _ in failed} == {"secrets", "vendor"}, failed
    assert "nobody-set-this" in failed["secrets", "read"]["detail"]


def test_a_bucket_that_is_not_there(folder):
    failed = examined(folder, 3, landing={"url": "s3://no-such-bucket/landing"})
    assert ("landing", "list") in failed, failed
    assert "no-such-bucket" in failed["landing", "list"]["detail"]
