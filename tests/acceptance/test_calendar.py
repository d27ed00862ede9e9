"""Our trading sessions against a calendar that others keep."""

import subprocess

import exchange_calendars

from harness import ROOT

FIRST, LAST = "1998-01-01", "2026-12-31"


def test_every_session_since_1998_opens_and_closes_when_it_did():
    command = ["cargo", "run", "--quiet", "--locked", "--package", "model", "--example", "sessions"]
    done = subprocess.run(
        [*command, "--", FIRST, LAST], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ours = done.stdout.splitlines()[1:]
    calendar = exchange_calendars.get_calendar("XNYS", start=FIRST, end=LAST)
    text = lambda ts: ts.strftime("%Y-%m-%dT%H:%M:%SZ")
    theirs = [
        f"{day.date()},{text(row['open'])},{text(row['close'])}"
        for day, row in calendar.schedule.iterrows()
    ]
    assert len(theirs) > 7000
    only_ours, only_theirs = set(ours) - set(theirs), set(theirs) - set(ours)
    assert not only_ours and not only_theirs, (
        f"only ours: {sorted(only_ours)[:10]}\nonly theirs: {sorted(only_theirs)[:10]}"
    )
    assert ours == sorted(ours) and len(ours) == len(theirs)
