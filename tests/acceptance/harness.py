"""Starts marketlake and its simulated vendor as processes, and stops what it started.

Every process runs in the test's own folder, on free ports of 127.0.0.1, with an environment of its
own. Every wait is bounded. Output goes to files, which `conftest.py` shows when a test fails.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "marketlake"
KEY_VARIABLE = "MARKETLAKE_SECRET_MARKETSTACK_ACCESS_KEY"
STAGES = ["poll", "land", "load", "refine"]
# Debug builds on a busy machine with two cores; nothing sensible takes longer.
PATIENCE = 180
# A worker starts some dozens of vendors; when it comes around, the first of them are long gone.
PORTS_PER_WORKER = 500
# The market of the tests is long past, so that real time never catches up with it.
EPOCH_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def program():
    """The program under test: what the build made, or what MARKETLAKE_BIN names."""
    named = os.environ.get("MARKETLAKE_BIN")
    target = Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
    path = Path(named) if named else target / "debug" / "marketlake"
    assert path.is_file(), f"`{path}` is missing: build it with `cargo build -p marketlake`"
    return path


def seed():
    """The run's seed; `conftest.py` has settled and printed it."""
    return int(os.environ["MARKETLAKE_SEED"])


def chance(purpose):
    """Random numbers that differ by purpose and repeat with the run's seed."""
    return random.Random(f"{seed()} {purpose}")


def now():
    return datetime.now(timezone.utc).replace(microsecond=0)


def text_of(moment):
    return moment.strftime(EPOCH_FORMAT)


def ports():
    """Ports that the system gives to nobody by itself, so that a restart finds its port free.

    Each of pytest's workers has some of its own.
    """
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    first, last = max([(10_000, low - 1), (high + 1, 65_535)], key=lambda span: span[1] - span[0])
    room = last + 1 - first
    assert PORTS_PER_WORKER <= room, f"the system gives away nearly every port: {low} to {high}"
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in count(worker * PORTS_PER_WORKER):
        yield first + number % room


PORTS = ports()


def free_port():
    for port in PORTS:
        with socket.socket() as probe:
            # As servers do, or a port that was just closed would pass for taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def until(what, check, patience=PATIENCE, every=0.2):
    """Returns the first true answer of `check`; fails after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < end, f"no {what} within {patience} seconds"
        time.sleep(every)


class Process:
    """A running marketlake."""

    started = []

    def __init__(self, name, arguments, folder, environment=None, **options):
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}-{len(Process.started):03}.log"
        self.out = self.log.with_suffix(".out")
        variables = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environment or {})}
        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.child = subprocess.Popen(
                [program(), *map(str, arguments)],
                cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                **options,
            )
        Process.started.append(self)

    @property
    def pid(self):
        return self.child.pid

    def is_running(self):
        return self.child.poll() is None

    def output(self):
        return self.out.read_text(errors="replace")

    def errors(self):
        return self.log.read_text(errors="replace")

    def line(self, prefix):
        """Waits for a line of output that begins so, and returns the rest of it."""

        def look():
            for line in self.output().splitlines():
                if line.strip().startswith(prefix):
                    return line.strip()[len(prefix):].strip()
            assert self.is_running(), f"{self.name} ended early:\n{self.errors()[-3000:]}"
            return None

        return until(f"line `{prefix}` from {self.name}", look, every=0.05)

    def wait(self, patience=PATIENCE):
        """Waits for the end; returns the exit code."""
        try:
            return self.child.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} still runs after {patience} seconds:\n{self.errors()[-3000:]}"
            ) from None

    def kill(self):
        """SIGKILL, as sudden as it gets."""
        if self.is_running():
            self.child.kill()
        self.child.wait(PATIENCE)

    def terminate(self, patience=15):
        """SIGTERM; returns the exit code and the seconds it took."""
        begun = time.monotonic()
        if self.is_running():
            self.child.send_signal(signal.SIGTERM)
        code = self.wait(patience)
        return code, time.monotonic() - begun


class Market:
    """Market time: a function of wall time that a test can move forward."""

    def __init__(self, start, speed=1):
        self.move(start, speed)

    def move(self, start, speed=1):
        self.epoch, self.start, self.speed = now(), start, speed

    def at(self):
        return self.start + (datetime.now(timezone.utc) - self.epoch) * self.speed

    def passes(self, moment, patience=600):
        until(f"market time {moment}", lambda: moment <= self.at(), patience)


class Vendor:
    """A simulated vendor; a restart finds the same port and the same market."""

    def __init__(self, folder, market, arguments, requests_per_second=50, quota=100_000_000):
        self.folder, self.market = folder, market
        self.arguments = [
            *arguments, "--requests-per-second", requests_per_second, "--quota", quota,
        ]
        self.port = self.process = None
        # What befell requests and rows by kind, in lives that are over.
        self.past_faults = Counter()
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        is_first = self.port is None
        for is_last_try in (False, True):
            if is_first:
                self.port = free_port()
            self.process = self.launch()
            # Between looking at a port and opening it, somebody else may have taken it.
            if is_last_try or not self.is_port_taken():
                break
        self.process.line("listening on ")
        # The port queues requests while a file of bars is read; afterwards answers are quick.
        self.get("/__sim/state")

    def launch(self):
        market = self.market
        time_arguments = [
            "--start", text_of(market.start), "--epoch", text_of(market.epoch),
            "--speed", market.speed, "--bind", f"127.0.0.1:{self.port}",
        ]
        return Process("simulate", ["simulate", *self.arguments, *time_arguments], self.folder)

    def is_port_taken(self):
        process = self.process
        until("start of the vendor", lambda: process.output() or not process.is_running(), every=0.05)
        return not process.is_running() and "cannot be opened" in process.errors()

    def stop(self):
        self.past_faults = self.faults()
        code, _ = self.process.terminate()
        assert code == 0, f"the simulator ended with {code}"

    def restart(self):
        self.stop()
        self.start()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return answer.read()

    def state(self):
        return json.loads(self.get("/__sim/state"))

    def faults(self):
        """How often each kind of fault befell a request or a row, in all lives so far."""
        return self.past_faults + Counter(self.state()["faults"])

    def symbols(self):
        """Every symbol there is, in the vendor's spelling; asked on an account of our own."""

        def ask():
            try:
                answer = json.loads(self.get("/v2/tickerslist?access_key=sim-free&limit=1000"))
                return sorted(row["ticker"] for row in answer["data"])
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                return None  # one of the faults that the test wants of this vendor

        return until("list of symbols", ask)

    def truth(self):
        """What a correct pipeline holds now, as a file."""
        path = self.folder / "truth.ndjson"
        path.write_bytes(self.get("/__sim/truth"))
        return path


class Pipeline:
    """One data folder and its settings; starts stages on it."""

    def __init__(self, folder, vendor, start_date, **sections):
        self.folder, self.vendor = folder, vendor
        self.data = folder / "data"
        # Where others find the tables, and what they need to open them.
        self.lake, self.lake_options = self.data / "lake", None
        self.sections = {
            "source": {
                "base_url": f"{vendor.url}/v2", "requests_per_second": 50, "quota_month": 0,
            },
            "poll": {
                "datasets": ["intraday", "eod"], "symbols": vendor.symbols(), "start_date": start_date,
                "interval": "1m", "poll_every": "1m", "look_back": "45m",
            },
            "http": {"bind": "127.0.0.1:0"},
            "postgres": {"bind": "127.0.0.1:0"},
            "log": {"level": "info"},
        }
        for name, values in sections.items():
            self.sections.setdefault(name, {}).update(values)
        self.environment = {KEY_VARIABLE: "sim-biz"}

    def settings(self):
        market = self.vendor.market
        replay = {
            "epoch": text_of(market.epoch), "start": text_of(market.start), "speed": market.speed,
        }
        lines = [f"data_dir = {json.dumps(str(self.data))}"]
        for name, values in {**self.sections, "market_time": replay}.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        path = self.folder / "marketlake.toml"
        # Put in place whole: a process that was started a moment ago may be reading it.
        beside = path.with_suffix(".new")
        beside.write_text("\n".join(lines) + "\n")
        beside.replace(path)
        return path

    def start(self, *arguments, **options):
        return Process(
            arguments[0], ["--config", self.settings(), *arguments], self.folder,
            self.environment, **options,
        )

    def run(self, *arguments, patience=PATIENCE):
        """Runs a command to its end; returns exit code, output, errors."""
        process = self.start(*arguments)
        code = process.wait(patience)
        return code, process.output(), process.errors()

    def drain(self):
        """Runs every stage until it has nothing left to do."""
        for stage in STAGES:
            code, _, errors = self.run(stage, "--available-now", patience=600)
            assert code == 0, f"{stage} ended with {code}:\n{errors[-3000:]}"

    def status(self):
        code, output, errors = self.run("status", "--output", "json")
        assert code == 0, errors
        return json.loads(output)

    def lag(self):
        return {stage["name"]: stage["lag"] for stage in self.status()["stages"]}

    def wait_until_drained(self, patience=PATIENCE):
        """Waits until nothing waits in front of any stage, and the tables stand still."""
        last = []

        def look():
            if not (self.data / "topic").exists():
                return False  # the pipeline is still starting
            status = self.status()
            versions = [table["version"] for table in status["tables"]]
            is_still = versions == last
            last[:] = versions
            rows = sum(table["rows"] for table in status["tables"])
            return rows and is_still and all(stage["lag"] == 0 for stage in status["stages"])

        until("end of the backlog", look, patience, every=1)

    def verify(self):
        """Lets marketlake prove its own promise; every row must have arrived."""
        code, output, errors = self.run("verify", "--output", "json", patience=600)
        assert code == 0, f"verify ended with {code}:\n{output[-3000:]}\n{errors[-2000:]}"
        report = json.loads(output)
        assert report["holds"] is True, report
        assert report["pending"] == [], report["pending"]
        return report


def settle(vendor, pipeline, moment):
    """Moves the market to a moment at which its rows are final, and fetches what is left.

    It has to be the next morning: later, the last days are out of reach of `poll.revise_days`.
    """
    vendor.market.move(moment)
    vendor.restart()
    pipeline.drain()
