"""Kafka on three nodes, one killed every ten seconds; S3 that fails, lies and cuts; stages killed.

Nothing is lost, nothing is doubled.
"""

import json
import os
import subprocess
import threading
import time
import urllib.request

import pytest

import crash
import recorded
from harness import PATIENCE, ROOT, STAGES, Market, Vendor, chance, free_port, settle, until
from services import Place, address
from tables import Lake

pytestmark = pytest.mark.xdist_group("real services")

NODES = ["kafka3-1", "kafka3-2", "kafka3-3"]
BROKER_EVERY = 10
# Long enough for a dozen brokers.
SECONDS = 120
# How long it may take until enough objects have landed for the test to mean something.
SECONDS_MAX = 360
LANDED_MIN = 8
# Of the writes; replies that do not say what was done. What can befall reads is tested store by
# store: here it would only keep the landing from getting to work.
FAULT_RATE = 0.3
FAULTS = ["applied-then-500", "applied-then-cut", "delayed-put", "409-without-writing"]


def services(*arguments):
    done = subprocess.run(
        [ROOT / "scripts" / "services", *arguments], capture_output=True, text=True, timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class FaultProxy:
    """Stands before MinIO and breaks some of its answers."""

    def __init__(self, folder, seed):
        program = os.environ.get("MARKETLAKE_FAULT_PROXY")
        assert program, "MARKETLAKE_FAULT_PROXY is not set: scripts/test names the one that it built"
        self.port = free_port()
        self.log = open(folder / "fault-proxy.log", "wb")
        self.child = subprocess.Popen(
            [
                program, "--listen", f"127.0.0.1:{self.port}", "--upstream", address("S3"),
                "--seed", str(seed), "--rate", str(FAULT_RATE),
                *(argument for name in FAULTS for argument in ("--fault", name)),
            ],
            stdout=self.log, stderr=self.log,
        )
        until("answer of the proxy", lambda: self.faults() is not None)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def faults(self):
        try:
            with urllib.request.urlopen(f"{self.url}/__faults", timeout=30) as answer:
                return json.load(answer)
        except OSError:
            return None

    def stop(self):
        self.child.kill()
        self.child.wait(PATIENCE)
        self.log.close()


class Arsonist(threading.Thread):
    """Kills a broker every few seconds and starts it again, until told to stop."""

    def __init__(self, random):
        super().__init__(daemon=True)
        self.random, self.over, self.kills, self.error = random, threading.Event(), 0, None

    def run(self):
        try:
            while not self.over.wait(BROKER_EVERY):
                node = self.random.choice(NODES)
                services("kill", node)
                self.kills += 1
                services("start", node)
        except (AssertionError, subprocess.SubprocessError) as error:
            self.error = error

    def put_out(self):
        """Lets no broker be killed any more; one that is down is up again after this."""
        self.over.set()
        if self.ident:
            self.join(2 * PATIENCE)

    def stop(self):
        self.put_out()
        assert not self.is_alive(), "the arsonist does not end"
        assert self.error is None, self.error


@pytest.fixture
def cluster():
    services("start", "kafka3")
    yield services("env").split("MARKETLAKE_TEST_KAFKA3=")[1].split()[0].strip("'\"")
    services("stop", "kafka3")


def test_brokers_store_and_stages_fail_at_once(folder, cluster):
    random = chance("under fire")
    proxy = FaultProxy(folder, random.randrange(1_000_000))
    arsonist = Arsonist(random)
    try:
        vendor = Vendor(
            folder, Market(crash.START, speed=30),
            ["--symbols", 8, "--days", crash.DAYS, "--seed", random.randrange(1_000_000)],
        )
        place = Place(brokers=cluster, replication=3, s3=proxy.url)
        pipeline = place.pipeline(
            folder, vendor, recorded.FIRST_DATE, source={"requests_per_second": 10},
        )
        running = {stage: pipeline.start(stage) for stage in STAGES}
        arsonist.start()
        landed = lambda: sum(
            len(place.landing_objects(dataset)) for dataset in ("intraday", "eod")
        )
        begun = time.monotonic()
        kills = 0
        # A slow machine lands less between two kills, and is given more of them.
        while (burnt := time.monotonic() - begun) < SECONDS or (
            landed() < LANDED_MIN and burnt < SECONDS_MAX
        ):
            time.sleep(random.uniform(2, 8))
            for stage, process in running.items():
                assert process.is_running(), f"{stage} ended:\n{process.errors()[-3000:]}"
            stage = random.choice(STAGES)
            running[stage].kill()
            running[stage] = pipeline.start(stage)
            kills += 1
        arsonist.stop()
        fired = proxy.faults()
        print(f"{arsonist.kills} brokers and {kills} stages killed, faults of the store: {fired}")
        assert arsonist.kills >= 3 and kills >= 15, (arsonist.kills, kills)
        assert sum(fired[name] for name in FAULTS) >= 5, fired
        assert landed() >= LANDED_MIN, f"only {landed()} objects landed under fire"
        for process in running.values():
            assert process.is_running(), process.errors()[-3000:]
            code, _ = process.terminate(patience=60)
            assert code == 0, process.errors()[-3000:]
        # The market is settled when the fire is out; what it has left behind counts.
        pipeline.sections["landing.options"]["aws_endpoint"] = address("S3")
        settle(vendor, pipeline, crash.FINAL)
        pipeline.verify()
        lake = Lake(pipeline.lake, vendor.truth(), pipeline.lake_options)
        lake.assert_once()
        lake.assert_truth()
        lake.assert_one_version()
    finally:
        # Before the cluster is stopped: it must not start a broker behind everybody's back.
        arsonist.put_out()
        proxy.stop()
