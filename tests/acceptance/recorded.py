"""Real bars, kept beside the repository; without them generated ones stand in, loudly."""

import os
import warnings
from datetime import datetime, timezone
from pathlib import Path

from harness import ROOT

FOLDER = Path(os.environ.get("MARKETLAKE_RECORDED") or ROOT.parent / "shared" / "data")
MINUTES, QUARTERS = FOLDER / "eqker_1min.csv", FOLDER / "eqker_15min.csv"
# The symbols whose two recordings come from the same feed, as the folder's README says.
SAME_FEED = ["AMZN", "GLD", "JPM", "MSFT", "MU", "SPY", "V", "XLP"]
FIRST_DATE = "2019-02-11"
# A day on which all of it is long final.
AFTER = datetime(2019, 2, 18, 12, tzinfo=timezone.utc)


def is_there():
    if not MINUTES.is_file():
        warnings.warn(f"`{MINUTES}` is absent: testing with GENERATED bars instead of real ones")
    return MINUTES.is_file()

