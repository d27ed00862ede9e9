"""psql as a user runs it: with the command that marketlake prints."""

import os
import shlex
import shutil
import subprocess
from contextlib import contextmanager

PATIENCE = 60


def parts(command, arguments, variables):
    """Splits the printed command as a shell would; returns what to run and its environment."""
    assert shutil.which("psql"), "psql is missing: `scripts/setup --tests` installs it"
    words = shlex.split(command)
    assigned = [word.split("=", 1) for word in words if word.startswith("PGPASSWORD=")]
    rest = [word for word in words if not word.startswith("PGPASSWORD=")]
    environment = {"PATH": os.environ["PATH"], **dict(assigned), **variables}
    return [*rest, "--no-psqlrc", *arguments], environment


def run(command, *arguments, typed="", **variables):
    """Runs the command with more arguments; returns exit code, output, errors."""
    words, environment = parts(command, arguments, variables)
    done = subprocess.run(
        words, env=environment, input=typed, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def session(command, typed):
    """A psql in which somebody has typed lines, the first of them answered, and stays."""
    words, environment = parts(command, ["-At"], {})
    pipe = subprocess.PIPE
    child = subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    try:
        child.stdin.write("SELECT 'connected';\n" + typed)
        child.stdin.flush()
        assert child.stdout.readline().strip() == "connected", child.communicate(timeout=PATIENCE)
        yield child
    finally:
        child.kill()
        child.communicate(timeout=PATIENCE)
