"""Long work shows how far it is: bars on a terminal, nothing but lines in a pipe."""

import os
import pty
import subprocess
import threading

import recorded
from harness import PATIENCE, Market, Pipeline, Vendor, program


def on_a_terminal(pipeline, *arguments):
    """Runs a command whose standard error is a terminal; returns its exit code and what it drew."""
    ours, theirs = pty.openpty()
    drawn = bytearray()

    def read():
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                return
            if not part:
                return
            drawn.extend(part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    child = subprocess.Popen(
        [program(), "--config", pipeline.settings(), *arguments], cwd=pipeline.folder,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", **pipeline.environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
    )
    try:
        code = child.wait(PATIENCE)
    finally:
        child.kill()
        os.close(theirs)
    reader.join(PATIENCE)
    os.close(ours)
    return code, drawn.decode(errors="replace")


def test_bars_on_a_terminal_and_lines_in_a_pipe(folder):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 4, "--days", 2])
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE)
    rows = {}
    for stage in ("poll", "land", "load", "refine"):
        code, drawn = on_a_terminal(pipeline, stage, "--available-now")
        assert code == 0, drawn
        assert f"{stage} " in drawn and "rows" in drawn and "\x1b[" in drawn, drawn
        rows[stage] = drawn
    # How much there is to do is known in advance where counting is cheap: a bar with an end.
    for stage in ("land", "load"):
        assert " left" in rows[stage], rows[stage]
    code, drawn = on_a_terminal(pipeline, "verify")
    assert code == 0 and "verify" in drawn and "rows" in drawn and "\x1b[" in drawn, drawn
    for arguments in (["refine", "--available-now"], ["verify"]):
        code, _, errors = pipeline.run(*arguments)
        assert code == 0 and "\x1b[" not in errors, errors
