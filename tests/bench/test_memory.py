"""The watch over a server's memory: its children count, and what they share counts once."""

import subprocess
import sys

from common.memory import Watch, resident_bytes

MEGA = 1_000_000
HELD = 60 * MEGA
# Says when it has its memory, and keeps it until its input ends.
KEEP = "print(flush=True); import sys; sys.stdin.read()"
HOLD = f"held = b'x' * {HELD}"
BOTH = f"""
import subprocess, sys
command = [sys.executable, "-I", "-S", "-c", {f"{HOLD}; {KEEP}"!r}]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
{HOLD}; {KEEP}
"""
SHARE = f"""
import mmap, os
shared = mmap.mmap(-1, {HELD})
ours, theirs = os.pipe()
if os.fork() == 0:
    shared.write(b"x" * {HELD})
    os.write(theirs, b"!")
    os.read(0, 1)
    os._exit(0)
shared.write(b"x" * {HELD})
os.read(ours, 1)
{KEEP}
"""


def held_by(script):
    command = [sys.executable, "-I", "-S", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with Watch(child.pid) as watch:
            held = resident_bytes(child.pid)
        assert held <= watch.peak
        child.stdin.close()
    return watch.peak


def test_memory_of_children_counts():
    assert 2 * HELD <= held_by(BOTH)


def test_what_is_shared_counts_once():
    assert HELD <= held_by(SHARE) < 2 * HELD


def test_a_process_that_has_ended_has_none():
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    child.wait()
    assert resident_bytes(child.pid) == 0
