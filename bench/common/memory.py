"""The most memory that a process and its children have had meanwhile."""

import threading

from .measure import descendants

SAMPLE_SECONDS = 0.05
KIB = 1024


def parts(pid):
    """What a process has in memory for itself, of files, and of memory that it shares."""
    found = dict.fromkeys(("RssAnon", "RssFile", "RssShmem"), 0)
    try:
        with open(f"/proc/{pid}/status") as status:
            for row in status:
                name, _, value = row.partition(":")
                if name in found:
                    found[name] = int(value.split()[0]) * KIB
    except (OSError, ValueError, IndexError):
        # It has ended since.
        pass
    return found.values()


def resident_bytes(pid):
    """What the process and its children have in memory. What they share is counted once: as much of
    it as one of them has looked at."""
    anonymous, of_files, shared = zip(*map(parts, [pid, *descendants(pid)]))
    return sum(anonymous) + max(of_files) + max(shared)


class Watch:
    """Looks at a process until the end of a `with`; `peak` is the most it had."""

    def __init__(self, pid):
        self.pid, self.is_over = pid, threading.Event()
        self.before = self.peak = resident_bytes(pid)
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.is_over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, resident_bytes(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        self.peak = max(self.peak, resident_bytes(self.pid))
