"""kill -9 at 60 random moments in all: nothing lost, nothing doubled."""

import time

import crash
from harness import chance

UP_KILLS, STAGE_KILLS = 24, 36


def test_up_survives_kills(folder):
    random = chance("kill up")
    vendor, pipeline = crash.begin(folder, random)
    crash.kill_up(pipeline, random, UP_KILLS, time.sleep)
    crash.assert_unharmed(vendor, pipeline)


def test_every_stage_survives_kills(folder):
    random = chance("kill stages")
    vendor, pipeline = crash.begin(folder, random)
    crash.kill_stages(pipeline, random, STAGE_KILLS, time.sleep)
    crash.assert_unharmed(vendor, pipeline)
