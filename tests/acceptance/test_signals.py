"""SIGTERM ends everything within ten seconds, in the middle of work, with exit code 0."""

import signal
import time

import crash
from harness import Process, chance


def test_up_drains(folder):
    _, pipeline = crash.begin(folder, chance("drain up"))
    up = pipeline.start("up")
    up.line("console")
    time.sleep(3)
    code, seconds = up.terminate()
    assert code == 0, up.errors()
    assert seconds < 10


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
