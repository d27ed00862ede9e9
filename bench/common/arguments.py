"""What the command lines have in common: names out of a list, a quiet machine, the program's version."""

import subprocess
import sys
from pathlib import Path

from . import machine

WATCH_SECONDS = 2


def chosen(kind, known, wanted):
    """Those of `known` that are wanted, by name; all of them if none is named."""
    names = wanted.split(",") if wanted else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"there is no {kind} `{unknown[0]}`; there are: {', '.join(known)}")
    return [known[name] for name in names]


def insist_on_quiet():
    busy = machine.busy_cores(WATCH_SECONDS)
    if machine.OTHERS_MAX < busy:
        sys.exit(f"others keep {busy:.1f} cores busy; times would mean little. Wait, or add --busy")


def version_of(program):
    if not program:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True)
    return told.stdout.strip() or f"{Path(program).name}, which tells no version"


def tell(text):
    print(text, file=sys.stderr, flush=True)
