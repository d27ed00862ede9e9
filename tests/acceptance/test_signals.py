"""SIGTERM ends everything within ten seconds, in the middle of work, with exit code 0."""

import select
import signal
import socket
import time
import urllib.request

import crash
import psql
from harness import Process, chance, until
from services import Place

# psql's exit code when the server has gone.
LOST = 2
# Five bars of every thousand each: years of work, and nothing to show on the way.
ENDLESS = (
    "SELECT count(*) FROM gold.bar_1m a, gold.bar_1m b, gold.bar_1m c, gold.bar_1m d, gold.bar_1m e "
    "WHERE a.close * b.close + c.close * d.close = e.close;\n"
)


def test_up_drains_with_clients(folder):
    _, pipeline = crash.begin(folder, chance("drain up"))
    up = pipeline.start("up")
    console, command = up.line("console"), up.line("SQL")
    bars = lambda: psql.run(command, "-Atc", "SELECT count(*) FROM gold.bar_1m")[1].strip()
    until("thousands of bars", lambda: 1000 < int(bars() or 0))
    with (
        urllib.request.urlopen(f"{console}api/v1/stream", timeout=30) as stream,
        psql.session(command, "") as idle,
        psql.session(command, ENDLESS) as busy,
    ):
        assert stream.readline(), "the stream is silent"
        answered, _, _ = select.select([busy.stdout, busy.stderr, idle.stderr], [], [], 2)
        assert not answered, [pipe.readline() for pipe in answered]
        code, seconds = up.terminate()
        assert code == 0, up.errors()
        assert seconds < 10
        # Nobody hangs on to a server that is gone, or takes half an answer for a whole one.
        stream.read()
        output, errors = busy.communicate(timeout=psql.PATIENCE)
        assert busy.returncode == LOST and not output, (busy.returncode, output, errors)
        assert "terminating connection" in errors, errors
        _, errors = idle.communicate("SELECT 1;\n", timeout=psql.PATIENCE)
        assert idle.returncode == LOST, (idle.returncode, errors)


def test_demo_drains(folder):
    demo = Process("demo", ["demo", "--symbols", 6, "--speed", 60], folder)
    demo.line("console")
    time.sleep(3)
    code, seconds = demo.terminate()
    assert code == 0, demo.errors()
    assert seconds < 10


def test_up_drains_while_the_vendor_does_not_answer(folder):
    vendor, pipeline = crash.begin(folder, chance("drain hanging"))
    up = pipeline.start("up")
    up.line("console")
    # A stopped process keeps its port open and never answers.
    vendor.process.child.send_signal(signal.SIGSTOP)
    time.sleep(2)
    code, seconds = up.terminate()
    vendor.process.child.send_signal(signal.SIGCONT)
    assert code == 0, up.errors()
    assert seconds < 10


def test_a_start_that_waits_for_its_store_ends_at_once(folder):
    vendor = crash.begin(folder, chance("drain start"))[0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        place = Place(s3=f"http://127.0.0.1:{silent.getsockname()[1]}")
        land = place.pipeline(folder, vendor, crash.START.date().isoformat()).start("land")
        asking, _ = silent.accept()
        code, seconds = land.terminate()
        asking.close()
    assert code == 0, land.errors()
    assert seconds < 10
    assert "stopped before anything ran" in land.errors()
