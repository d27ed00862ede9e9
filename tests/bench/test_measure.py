"""What a run costs: its own and its children's, and nobody else's."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

MEASURE = ROOT / "bench" / "common" / "measure.py"
MEGA = 1_000_000
BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"
HOLD = "held = b'x' * {bytes}\nimport time; time.sleep(0.3)\n"


def measured(folder, script, timeout=60):
    out = folder / "cost.json"
    cpu = min(os.sched_getaffinity(0))
    subprocess.run(
        [sys.executable, "-I", "-S", MEASURE, out, str(cpu), str(timeout), sys.executable, "-I", "-S", "-c", script],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return json.loads(out.read_text())


def spawning(script):
    return f"import subprocess, sys\nsubprocess.run([sys.executable, '-I', '-S', '-c', {script!r}])\n"


def test_processor_time_of_children_counts(tmp_path):
    cost = measured(tmp_path, spawning(spawning(BURN.format(seconds=0.5))))
    assert 0.5 <= cost["seconds_user"] + cost["seconds_system"]
    assert (cost["exit"], cost["timed_out"]) == (0, False)


def test_memory_of_children_counts_together(tmp_path):
    child = HOLD.format(bytes=100 * MEGA)
    start = f"subprocess.Popen([sys.executable, '-I', '-S', '-c', {child!r}])"
    cost = measured(tmp_path, f"import subprocess, sys\nfor one in [{start}, {start}]: one.wait()\n")
    assert 200 * MEGA <= cost["bytes_peak"] < 300 * MEGA


def test_memory_of_the_benchmark_does_not_count(tmp_path):
    held = b"x" * (200 * MEGA)
    assert measured(tmp_path, "pass")["bytes_peak"] < 50 * MEGA < len(held)


def test_what_a_run_leaves_behind_is_ended_and_counted(tmp_path):
    left = tmp_path / "left"
    burning = f"import os\nopen({str(left)!r}, 'w').write(str(os.getpid()))\n" + BURN.format(seconds=60)
    script = (
        f"import os, subprocess, sys, time\nsubprocess.Popen([sys.executable, '-I', '-S', '-c', {burning!r}],"
        f" start_new_session=True)\nwhile not (os.path.exists({str(left)!r}) and open({str(left)!r}).read()):"
        " time.sleep(0.01)\nos._exit(0)\n"
    )
    cost = measured(tmp_path, script)
    assert cost["exit"] == 0 and cost["seconds_wall"] < 50
    assert not Path(f"/proc/{left.read_text()}").exists()


def test_a_run_that_takes_too_long_is_ended(tmp_path):
    cost = measured(tmp_path, "import time; time.sleep(60)", timeout=0.5)
    assert cost["timed_out"] and cost["exit"] == -9


def test_a_failure_is_told(tmp_path):
    assert measured(tmp_path, "raise SystemExit(3)")["exit"] == 3
