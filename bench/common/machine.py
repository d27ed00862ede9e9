"""What the benchmark ran on: processor, memory, system, versions, and how busy it was."""

import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

PACKAGES = [
    "polars", "deltalake", "pyarrow", "duckdb", "pysail", "pyspark-client", "chdb", "numpy", "psycopg",
]
# Others that keep more than this of a core busy can be seen in the times.
OTHERS_MAX = 0.3
# Flags that decoders and hashes are made for.
FLAGS = ["sse4_2", "pclmulqdq", "avx2", "avx512f", "avx512bw", "avx512_vbmi2", "sha_ni", "asimd", "sve"]


def read(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def line_of(path, key):
    for line in (read(path) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def version_of(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit(root):
    told = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return told.stdout.strip() or None


def describe(root):
    flags = (line_of("/proc/cpuinfo", "flags") or line_of("/proc/cpuinfo", "Features") or "").split()
    return {
        "processor": line_of("/proc/cpuinfo", "model name") or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory": line_of("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not told",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := version_of(name))},
        "commit": commit(root),
        "load_average": os.getloadavg()[0],
    }


def busy_seconds():
    """Processor seconds that were spent by everybody since the machine started."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, read("/proc/stat").splitlines()[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def busy_cores(seconds):
    """How many cores others keep busy, measured for so long."""
    before = busy_seconds()
    time.sleep(seconds)
    return (busy_seconds() - before) / seconds
