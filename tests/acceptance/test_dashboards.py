"""A crowd at the SQL port while rows come in: no error, and every answer is right.

`scripts/soak dashboards` is the same for longer, with more of them, and with figures.
"""

import asyncio

import dashboards
from harness import chance
from ingestion import Busy
from tables import Lake
from visitor import Known

CONNECTIONS, SECONDS, SYMBOLS = 40, 5, 4
# They are few and have little time: nobody thinks for long.
PAUSES = (0, 0.2)


def test_a_crowd_has_right_answers(folder):
    random = chance("dashboards")
    busy = Busy(folder, random, SECONDS, SYMBOLS)
    known = Known.of(Lake(busy.pipeline.lake, busy.vendor.truth()), busy.settled)
    tally, *_ = asyncio.run(dashboards.visit(busy.url, CONNECTIONS, SECONDS, PAUSES, known, random))
    tally.assert_right()
    code, _ = busy.up.terminate(patience=60)
    assert code == 0, busy.up.errors()[-3000:]
