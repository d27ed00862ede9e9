"""Real minutes, served as the vendor serves US symbols: readings of the running day."""

import recorded
from harness import Market, Pipeline, Vendor
from tables import Lake


def test_silver_and_gold_equal_the_truth(folder):
    if recorded.is_there():
        bars = ["--bars", recorded.MINUTES]
    else:
        bars = ["--symbols", 24, "--days", 5, "--first-date", recorded.FIRST_DATE]
    vendor = Vendor(folder, Market(recorded.AFTER), [*bars, "--quirk", "no-running"])
    pipeline = Pipeline(folder, vendor, recorded.FIRST_DATE)
    up = pipeline.start("up")
    up.line("console")
    pipeline.wait_until_drained(patience=600)
    code, _ = up.terminate()
    assert code == 0
    pipeline.verify()
    lake = Lake(pipeline.lake, vendor.truth())
    lake.assert_truth()
    lake.assert_once()
