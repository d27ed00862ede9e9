"""Two copies of every stage and of the servers on one folder: they share the work, or one stands by."""

import json
import time
import urllib.request

import crash
import psql
from harness import STAGES, chance


def assert_one_password(servers):
    """Only one server made up the password; it opens both."""
    commands = [server.line("SQL") for server in servers]
    passwords = [command.split()[0] for command in commands if command.startswith("PGPASSWORD=")]
    assert len(passwords) == 1, commands
    for command in commands:
        command = command.removeprefix(passwords[0]).strip()
        count = "SELECT count(*) FROM gold.bar_1m"
        code, output, errors = psql.run(f"{passwords[0]} {command}", "-Atc", count)
        assert code == 0 and int(output) >= 0, errors
        code, output, _ = psql.run(command, "-Atc", count, PGPASSWORD="not-the-password")
        assert code != 0, output


def assert_answers(server):
    with urllib.request.urlopen(f"{server.line('console')}api/v1/status", timeout=30) as answer:
        assert {stage["name"] for stage in json.loads(answer.read())["stages"]} >= set(STAGES)


def test_two_copies_of_every_stage(folder):
    vendor, pipeline = crash.begin(folder, chance("two of each"))
    servers = [pipeline.start("serve") for _ in range(2)]
    first = [pipeline.start(stage) for stage in STAGES]
    second = [pipeline.start(stage) for stage in STAGES]
    assert_one_password(servers)
    time.sleep(20)
    # The copies that were first go without a word; the others must not be waiting for them.
    for process in first:
        assert process.is_running(), f"{process.name} ended:\n{process.errors()[-3000:]}"
        process.kill()
    before = pipeline.status()
    time.sleep(15)
    after = pipeline.status()
    for old, new in zip(before["stages"], after["stages"]):
        if old["name"] in STAGES:
            assert old["rows_total"] < new["rows_total"], f"`{old['name']}` is wedged: {old} {new}"
    for process in servers:
        assert_answers(process)
    for process in second + servers:
        assert process.is_running(), f"{process.name} ended:\n{process.errors()[-3000:]}"
        code, seconds = process.terminate()
        assert code == 0 and seconds < 10, f"{process.name}: exit {code} after {seconds:.1f} s"
    crash.assert_unharmed(vendor, pipeline)
