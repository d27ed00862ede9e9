"""A disk that fills up: a clear message, nothing lost, and it goes on when there is room again."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import recorded
from harness import Market, Pipeline, Vendor, until
from tables import Lake

SYMBOLS, DAYS = 12, 5
# Room for the beginning of the work, not for all of it.
SMALL, LARGE = "2m", "200m"
# Words of ENOSPC, as the operating system, SQLite and we ourselves say it.
FULL = ("No space left on device", "disk is full", "disk full", "database or disk is full")


@contextmanager
def small_disk(folder):
    """A file system of `SMALL` bytes; needs root, as every machine of a CI has."""
    assert os.geteuid() == 0, "a small disk can only be mounted as root: run this test as root"
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=0700", "marketlake-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"mounting a small disk failed: {done.stderr}"
    try:
        yield lambda: subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_work_goes_on_when_there_is_room_again(folder):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", SYMBOLS, "--days", DAYS])
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE)
    with small_disk(pipeline.data) as enlarge:
        up = pipeline.start("up")
        until(
            "message about the full disk",
            lambda: any(text in up.errors() for text in FULL) or not up.is_running(),
        )
        errors = up.errors()
        assert any(text in errors for text in FULL), errors[-3000:]
        assert "panicked" not in errors, errors[-3000:]
        up.terminate()
        enlarge()
        pipeline.drain()
        pipeline.verify()
        lake = Lake(pipeline.data, vendor.truth())
        lake.assert_truth()
        lake.assert_once()


def test_a_disk_that_is_full_from_the_start(folder):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 2, "--days", 1])
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE)
    with small_disk(pipeline.data):
        free = shutil.disk_usage(pipeline.data).free
        (pipeline.data / "ballast").write_bytes(bytes(free - 64 * 1024))
        code, _, errors = pipeline.run("up")
        assert code not in (0, 7), errors
        assert any(text in errors for text in FULL), errors
