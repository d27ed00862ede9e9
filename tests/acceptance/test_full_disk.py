"""A disk that fills up: a clear message, nothing lost, and it goes on when there is room again."""

import os
import resource
import subprocess
from contextlib import contextmanager

import recorded
from harness import Market, Pipeline, Vendor, until
from tables import Lake

SYMBOLS, DAYS = 12, 5
# Room for the beginning of the work, not for all of it; and too little to begin with.
SMALL, NOTHING, LARGE = 2 * 1024 * 1024, 64 * 1024, 200 * 1024 * 1024
# What the operating system and SQLite say of a full disk, and of a file that may not grow.
FULL = ("No space left on device", "disk is full", "File too large", "disk I/O error")


@contextmanager
def small_disk(folder, size):
    """Makes `folder` a disk of `size` bytes; yields options for starting, and how to enlarge it.

    Only root can mount one. For other users no file may grow beyond `size`: the same calls fail.
    """
    if os.geteuid() != 0:

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        # Python ignores SIGXFSZ; the child shall, too, so that the write itself fails.
        yield {"preexec_fn": limit, "restore_signals": False}, lambda: None
        return
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "marketlake-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"mounting a small disk failed (a container without rights?): {done.stderr}"
    enlarge = ["mount", "-o", f"remount,size={LARGE}", str(folder)]
    try:
        yield {}, lambda: subprocess.run(enlarge, check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def says_full(errors):
    return any(text in errors for text in FULL)


def test_work_goes_on_when_there_is_room_again(folder):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", SYMBOLS, "--days", DAYS])
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE)
    with small_disk(pipeline.data, SMALL) as (options, enlarge):
        up = pipeline.start("up", **options)
        until("message about the full disk", lambda: says_full(up.errors()) or not up.is_running())
        assert says_full(up.errors()), up.errors()[-3000:]
        assert "panicked" not in up.errors(), up.errors()[-3000:]
        up.terminate()
        enlarge()
        pipeline.drain()
        pipeline.verify()
        lake = Lake(pipeline.lake, vendor.truth())
        lake.assert_truth()
        lake.assert_once()


def test_a_disk_that_is_full_from_the_start(folder):
    vendor = Vendor(folder, Market(recorded.AFTER), ["--symbols", 2, "--days", 1])
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE)
    with small_disk(pipeline.data, NOTHING) as (options, _):
        up = pipeline.start("up", **options)
        code = up.wait()
        assert code not in (0, 7), up.errors()
        assert says_full(up.errors()), up.errors()
        assert len(up.errors().splitlines()) <= 3, up.errors()
