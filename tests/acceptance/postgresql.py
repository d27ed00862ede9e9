"""A PostgreSQL server of the test's own: the one that others are compared with.

It runs as a user without rights, in a folder of its own, on a free port of this machine only, and is
stopped by its process id.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

PATIENCE = 60
# Version 15 is what the SQL port says it is; where the machine has it, it is taken.
WANTED = 15


def programs():
    """The folder of the server's programs, which Debian keeps off the PATH."""
    found = {int(path.parts[-3]): path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")}
    if found:
        return found.get(WANTED, found[max(found)])
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL's server is missing: `scripts/setup --tests` installs it"
    return Path(on_path).parent


class Cluster:
    """A running server; `url` is where it is."""

    def __init__(self):
        self.programs = programs()
        # The tests' own folders are closed to other users, and PostgreSQL refuses to run as root.
        self.user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="marketlake-postgresql-"))
        if self.user:
            shutil.chown(self.folder, "nobody", "nogroup")
        self.data, self.log = self.folder / "data", self.folder / "log"
        initdb = ["-D", self.data, "-U", "test", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        done = self.run("initdb", *initdb)
        assert done.returncode == 0, done.stdout
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
            "timezone": "UTC", "fsync": "off", "autovacuum": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("w") as log:
            self.server = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *options],
                stdout=log, stderr=subprocess.STDOUT, cwd="/", **self.user,
            )
        self.url = f"postgresql://test@127.0.0.1:{self.port}/postgres"
        self.await_ready()

    def run(self, program, *arguments):
        return subprocess.run(
            [self.programs / program, *arguments], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=PATIENCE, check=False, **self.user,
        )

    def await_ready(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=PATIENCE).close()
                return
            except psycopg.OperationalError:
                assert self.server.poll() is None and time.monotonic() < end, self.log.read_text()
                time.sleep(0.1)

    def stop(self):
        """Stops it at once, clients or not, and leaves nothing behind."""
        if self.server.poll() is None:
            self.server.send_signal(2)
            try:
                self.server.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
