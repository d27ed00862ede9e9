"""A PostgreSQL server of one's own: the one that others are compared with.

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
# Rows live as long as the server; nothing is to go on behind whoever compares or measures.
SETTINGS = {"timezone": "UTC", "fsync": "off", "autovacuum": "off"}


def programs():
    """The folder of the server's programs, which Debian keeps off the PATH; `None` without them."""
    found = {int(path.parts[-3]): path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")}
    if found:
        return found.get(WANTED, found[max(found)])
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Cluster:
    """A running server; `url` is where it is."""

    def __init__(self, settings=None, within=None):
        self.programs = programs()
        if not self.programs:
            raise RuntimeError("PostgreSQL's server is missing: `scripts/setup --tests` installs it")
        # Folders of a run are closed to other users, and PostgreSQL refuses to run as root.
        self.user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="marketlake-postgresql-", dir=within))
        if self.user:
            shutil.chown(self.folder, "nobody", "nogroup")
        self.data, self.log = self.folder / "data", self.folder / "log"
        initdb = ["-D", self.data, "-U", "test", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        done = self.run("initdb", *initdb)
        if done.returncode != 0:
            shutil.rmtree(self.folder)
            raise RuntimeError(f"initdb failed, as the user who is to run it: {done.stdout}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.settings = {
            **SETTINGS, **(settings or {}),
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
        }
        self.url = f"postgresql://test@127.0.0.1:{self.port}/postgres"
        self.start()

    def start(self):
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("a") as log:
            self.server = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *options],
                stdout=log, stderr=subprocess.STDOUT, cwd="/", **self.user,
            )
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
                if self.server.poll() is not None or end <= time.monotonic():
                    raise RuntimeError(f"PostgreSQL did not start: {self.log.read_text()}") from None
                time.sleep(0.1)

    def halt(self):
        """Stops it at once, clients or not; it can be started again."""
        if self.server.poll() is None:
            self.server.send_signal(2)
            try:
                self.server.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()

    def stop(self):
        """Stops it for good, and leaves nothing behind."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)
