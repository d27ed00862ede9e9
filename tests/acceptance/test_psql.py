"""psql with the command that `demo` prints; nothing but reading, and nobody without the password."""

import pytest

import psql
from harness import Process, until

pytestmark = pytest.mark.xdist_group("psql")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("psql")
    process = Process("demo", ["demo", "--symbols", 4, "--speed", 60], folder)
    command = process.line("SQL")
    yield command
    code, seconds = process.terminate()
    assert code == 0 and seconds < 10, f"exit {code} after {seconds:.1f} s"


# What psql is told of a column, and what the catalog says of it.
TYPES = {
    "symbol": ("text", "text"),
    "ts_start": ("timestamp with time zone", "timestamp with time zone"),
    "session_date": ("date", "date"),
    "close": ("numeric(18,6)", "numeric"),
    "volume": ("numeric(20,4)", "numeric"),
    "revision": ("integer", "integer"),
}


def test_the_printed_command_lists_tables(demo):
    code, output, errors = psql.run(demo, "-c", r"\dt gold.*")
    assert code == 0, errors
    for table in ("bar_1m", "bar_5m", "bar_15m", "bar_1h", "bar_1d", "quote_latest", "eod"):
        assert table in output, output


def test_a_select_has_types(demo):
    count = lambda: psql.run(demo, "-Atc", "SELECT count(*) FROM gold.bar_1m")[1].strip()
    until("bars", lambda: count() not in ("", "0"))
    columns = ", ".join(TYPES)
    code, output, errors = psql.run(
        demo, "-Atc", f"SELECT {columns} FROM gold.bar_1m ORDER BY symbol, ts_start LIMIT 1",
    )
    assert code == 0, errors
    symbol, ts_start, day, close, volume, revision = output.strip().split("|")
    assert symbol.isalpha() and ts_start.startswith(day), output
    assert float(close) > 0 and float(volume) >= 0 and int(revision) >= 1, output
    code, output, errors = psql.run(demo, "-At", typed=f"SELECT {columns} FROM gold.bar_1m \\gdesc\n")
    assert code == 0, errors
    assert output.splitlines() == [f"{name}|{told}" for name, (told, _) in TYPES.items()]
    code, output, errors = psql.run(
        demo, "-Atc",
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'gold' AND table_name = 'bar_1m'",
    )
    assert code == 0, errors
    kept = {f"{name}|{kind}" for name, (_, kind) in TYPES.items()}
    assert kept <= set(output.splitlines()), output


def test_a_wrong_password_is_refused(demo):
    code, output, errors = psql.run(demo, "-c", "SELECT 1", PGPASSWORD="not-the-password")
    assert code != 0 and not output, output
    assert "password authentication failed" in errors, errors


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO gold.bar_1m (symbol) VALUES ('X')",
        "UPDATE gold.bar_1m SET close = 1",
        "DELETE FROM gold.bar_1m",
        "CREATE TABLE gold.mine (a int)",
        "DROP TABLE gold.bar_1m",
        "COPY gold.bar_1m TO '/tmp/bars.csv'",
    ],
)
def test_writes_are_refused_and_say_why(demo, statement):
    code, output, errors = psql.run(demo, "-v", "ON_ERROR_STOP=1", "-c", statement)
    assert code != 0, output
    assert "ERROR" in errors, errors
    assert "read-only" in errors or "permission denied" in errors, errors
