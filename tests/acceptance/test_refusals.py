"""The vendor or the machine refuses: one clear message, an exit code, and nothing lost."""

import json
import socket
import urllib.request

import recorded
from harness import KEY_VARIABLE, Market, Pipeline, Vendor, until
from tables import Lake

SYMBOLS = 4


def begin(folder, **vendor):
    arguments = ["--symbols", SYMBOLS, "--days", 3]
    vendor = Vendor(folder, Market(recorded.AFTER), arguments, **vendor)
    return vendor, Pipeline(folder, vendor, recorded.FIRST_DATE)


def assert_complete(vendor, pipeline):
    pipeline.drain()
    pipeline.verify()
    lake = Lake(pipeline.lake, vendor.truth())
    lake.assert_truth()
    lake.assert_once()


def test_a_wrong_key(folder):
    vendor, pipeline = begin(folder)
    pipeline.environment = {KEY_VARIABLE: "cnry-wrong-0123456789"}
    code, _, errors = pipeline.run("poll", "--available-now")
    assert code == 3, errors
    assert "invalid_access_key" in errors and "401" in errors and "cnry" not in errors, errors
    pipeline.environment = {KEY_VARIABLE: "sim-biz"}
    assert_complete(vendor, pipeline)


def test_up_goes_on_serving_with_a_wrong_key(folder):
    _, pipeline = begin(folder)
    pipeline.drain()
    pipeline.environment = {KEY_VARIABLE: "cnry-wrong-0123456789"}
    # A longer history gives the poller something to ask for.
    pipeline.sections["poll"]["start_date"] = "2019-02-04"
    up = pipeline.start("up")
    url = up.line("console")
    until("refusal", lambda: "invalid_access_key" in up.errors(), patience=30)
    with urllib.request.urlopen(f"{url}api/v1/status", timeout=30) as answer:
        stages = {stage["name"]: stage for stage in json.loads(answer.read())["stages"]}
    assert stages["poll"]["state"] == "stopped", stages["poll"]
    assert "invalid_access_key" in stages["poll"]["message"], stages["poll"]
    with urllib.request.urlopen(f"{url}api/v1/symbols", timeout=30) as answer:
        assert len(json.loads(answer.read())["symbols"]) == SYMBOLS
    code, seconds = up.terminate()
    assert code == 3 and seconds < 10, (code, seconds)


def test_an_exhausted_quota_of_the_vendor(folder):
    vendor, pipeline = begin(folder, quota=SYMBOLS)
    poll = pipeline.start("poll")
    until("message about the quota", lambda: "quota" in poll.errors())
    code, _ = poll.terminate()
    assert code in (0, 3), poll.errors()
    assert "month" in poll.errors(), poll.errors()
    # The account is upgraded: the operator says so by another limit.
    vendor.stop()
    vendor.arguments[-1] = 1_000_000
    vendor.start()
    pipeline.sections["source"]["quota_month"] = 1_000_000
    assert_complete(vendor, pipeline)


def test_the_own_limit_is_kept_across_restarts(folder):
    vendor, pipeline = begin(folder)
    limit = 2 * SYMBOLS
    pipeline.sections["source"]["quota_month"] = limit
    for _ in range(3):
        poll = pipeline.start("poll")
        until("message about the quota", lambda: "quota" in poll.errors(), patience=30)
        code, _ = poll.terminate()
        assert code == 0, poll.errors()
    state = json.loads(vendor.get("/__sim/state"))
    assert state["quota"]["business"]["used"] <= limit, state
    pipeline.sections["source"]["quota_month"] = 1_000_000
    assert_complete(vendor, pipeline)


def test_a_port_in_use(folder):
    _, pipeline = begin(folder)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for section in ("http", "postgres"):
            binds = {name: pipeline.sections[name]["bind"] for name in ("http", "postgres")}
            pipeline.sections[section]["bind"] = f"127.0.0.1:{port}"
            code, _, errors = pipeline.run("up")
            assert code == 3, errors
            assert f"port {port} is in use" in errors and f"{section}.bind" in errors, errors
            for name, bind in binds.items():
                pipeline.sections[name]["bind"] = bind
