"""A finished lake with a PostgreSQL port in front of it, for what BI tools do."""

from contextlib import contextmanager
from datetime import datetime, timezone

from harness import Market, Pipeline, Vendor
from tables import Lake

# Four trading dates, one of them after a weekend.
START_DATE, DAYS = "2024-03-07", 4
AFTER = datetime(2024, 3, 13, 12, tzinfo=timezone.utc)
SYMBOLS = 4
VIEWS = [
    "bars_1m", "bars_daily", "coverage", "dim_date", "dim_symbol", "quality_daily", "quotes_latest",
]


@contextmanager
def served(folder):
    """Fills a lake; yields the command that `serve` prints, and the tables as others read them."""
    arguments = ["--symbols", SYMBOLS, "--days", DAYS, "--first-date", START_DATE]
    vendor = Vendor(folder, Market(AFTER), arguments)
    pipeline = Pipeline(folder, vendor, START_DATE)
    pipeline.drain()
    vendor.stop()
    server = pipeline.start("serve")
    yield server.line("SQL"), Lake(pipeline.lake)
    code, _ = server.terminate(patience=30)
    assert code == 0
