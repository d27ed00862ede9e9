"""Runs one command and says what it cost, its children included; a script of its own, and small.

    measure.py OUT CPUS TIMEOUT COMMAND…

The system counts as a process's peak memory also what the process had that started it. So this is
started by the benchmark, stays small, and starts what is measured. Standard library only.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time

# Far below what a peak lasts, and too seldom to be felt.
SAMPLE_SECONDS = 0.02
SUBREAPER = 36
KIB = 1024


def children(pid):
    found = []
    for task in list_of(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            # It has ended since.
            continue
    return found


def list_of(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def descendants(pid):
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def resident_bytes(pid):
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, IndexError):
        return 0


class Sampler(threading.Thread):
    """The most that all processes had in memory together, as far as was looked."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(resident_bytes, descendants(os.getpid()))))


def reap(seconds, peak):
    """Ends what the command has left behind; adds up what that had used."""
    while True:
        for pid in children(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return seconds, peak
        seconds = seconds[0] + usage.ru_utime, seconds[1] + usage.ru_stime
        peak = max(peak, usage.ru_maxrss * KIB)


def main(out, cpus, timeout, *command):
    # Whoever loses its parent becomes a child of this process, and cannot get away uncounted.
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    chosen = {int(cpu) for cpu in cpus.split(",")}
    sampler = Sampler()
    begun = time.monotonic()
    child = subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, chosen), start_new_session=True)
    alarm = threading.Timer(float(timeout), os.killpg, [child.pid, signal.SIGKILL])
    alarm.start()
    sampler.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except KeyboardInterrupt:
        # The command has a session of its own, and so did not hear it.
        os.killpg(child.pid, signal.SIGKILL)
        raise
    wall = time.monotonic() - begun
    timed_out = not alarm.is_alive()
    alarm.cancel()
    sampler.over.set()
    sampler.join()
    (user, system), peak = reap((usage.ru_utime, usage.ru_stime), usage.ru_maxrss * KIB)
    cost = {
        "exit": os.waitstatus_to_exitcode(status), "timed_out": timed_out, "seconds_wall": wall,
        "seconds_user": user, "seconds_system": system, "bytes_peak": max(peak, sampler.peak),
    }
    with open(out, "w") as file:
        json.dump(cost, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
