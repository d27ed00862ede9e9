"""A marketlake that serves a folder to this machine."""

import secrets
import shlex
import signal
import subprocess
import time

START_SECONDS = 60
STOP_SECONDS = 15


class Server:
    """`marketlake serve`, until the end of a `with`."""

    host = "127.0.0.1"

    def __init__(self, folder, program):
        binds = ("HTTP", "POSTGRES", "SERVE__FLIGHT")
        # One of its own making would be told at the first start only.
        self.password = secrets.token_hex(16)
        environment = {
            "HOME": str(folder), "MARKETLAKE_SECRET_SQL": self.password,
            "MARKETLAKE__POSTGRES__PASSWORD": "{{secrets/env/sql}}",
            "MARKETLAKE__SERVE__FLIGHT__ENABLED": "true",
            **{f"MARKETLAKE__{part}__BIND": f"{self.host}:0" for part in binds},
        }
        self.out = folder / "serve.out"
        with open(self.out, "wb") as out, open(folder / "serve.log", "wb") as log:
            arguments = [program, "--data-dir", folder / "data", "serve"]
            self.child = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=out, stderr=log)
        try:
            self.flight = self.line("Flight")
            words = shlex.split(self.line("SQL"))
        except BaseException:
            self.child.kill()
            self.child.wait()
            raise
        self.port, self.user = int(words[words.index("-p") + 1]), words[words.index("-U") + 1]
        self.url = f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/marketlake"

    def line(self, name):
        """Waits for a line that begins so, and returns the rest of it."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.child.poll() is None:
            for line in self.out.read_text().splitlines():
                if line.strip().startswith(name):
                    return line.strip()[len(name):].strip()
            time.sleep(0.1)
        raise RuntimeError(f"marketlake did not say its line `{name}`")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
