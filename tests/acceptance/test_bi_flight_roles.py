"""Flight SQL for those who may not read everything: what they see, how much they get, what is kept of it."""

import json
from types import SimpleNamespace

import adbc_driver_flightsql.dbapi as adbc
import pyarrow
import pytest
from pyarrow import flight

from flightsql import Client
from harness import Process, until
from served import Served, bars

pytestmark = pytest.mark.xdist_group("bi flight")

DESK = "desk"
CANARY = "cnry7Qf3kZp9Xw2Lr5Vt8"
ROWS = 1_000
ROWS_MAX = 500_000
TOO_MANY = f"SELECT * FROM generate_series(1, {ROWS_MAX + 1})"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flight roles")
    made = Process("role", ["--output", "json", "role", DESK, "--tables", "gold.bar_1m, bi"], folder)
    assert made.wait() == 0, made.errors()
    made = json.loads(made.output())
    role = f"MARKETLAKE__POSTGRES__ROLES__{DESK.upper()}__"
    environment = {
        "MARKETLAKE__SERVE__FLIGHT__ENABLED": "true",
        "MARKETLAKE__SERVE__FLIGHT__BIND": "127.0.0.1:0",
        "MARKETLAKE__SERVE__AUDIT__ENABLED": "true",
        f"{role}VERIFIER": made["setting"]["value"]["verifier"],
        f"{role}TABLES": made["setting"]["value"]["tables"],
        f"{role}ROWS_MAX": str(ROWS_MAX),
        f"{role}CONNECTIONS_MAX": "2",
    }
    served = Served(folder, bars().slice(0, ROWS), environment)
    yield SimpleNamespace(
        flight=served.process.line("Flight"), process=served.process,
        passwords={served.user: served.password, DESK: made["password"]}, user=served.user,
        audit=folder / "data" / "serve" / "audit.jsonl",
    )
    served.stop()


def connect(served, user):
    login = {"username": user, "password": served.passwords[user]}
    return adbc.connect(served.flight, db_kwargs=login, autocommit=True)


def rows(cursor, statement, parameters=None):
    cursor.execute(statement, parameters)
    return cursor.fetchall()


def test_adbc_reads_what_was_granted_and_no_more(served):
    with connect(served, DESK) as desk, desk.cursor() as cursor:
        assert rows(cursor, "SELECT count(*) FROM gold.bar_1m") == [(ROWS,)]
        assert len(rows(cursor, "SELECT * FROM gold.bar_1m")) == ROWS
        rows(cursor, "SELECT symbol FROM bi.dim_symbol")
        for hidden in ["gold.bar_1h", "silver.bar", "bronze.intraday", "marketlake.silver.bar"]:
            with pytest.raises(adbc.ProgrammingError, match="does not exist"):
                cursor.execute(f"SELECT * FROM {hidden}")
        cursor.execute(TOO_MANY)
        with pytest.raises(adbc.Error, match=f"more than {ROWS_MAX} rows"):
            cursor.fetch_arrow_table()
    with connect(served, served.user) as other, other.cursor() as cursor:
        cursor.execute(TOO_MANY)
        assert cursor.fetch_arrow_table().num_rows == ROWS_MAX + 1
        rows(cursor, "SELECT * FROM silver.bar")


def test_adbc_lists_what_was_granted_and_no_more(served):
    def listed(user):
        with connect(served, user) as client:
            [found] = client.adbc_get_objects(depth="tables").read_all().to_pylist()
            return {
                f"{schema['db_schema_name']}.{table['table_name']}"
                for schema in found["catalog_db_schemas"] for table in schema["db_schema_tables"]
            }

    desk = listed(DESK)
    assert {name for name in desk if not name.startswith("bi.")} == {"gold.bar_1m"}
    assert "bi.dim_symbol" in desk and desk < listed(served.user)
    with connect(served, DESK) as desk:
        with pytest.raises(adbc.Error):
            desk.adbc_get_table_schema("bar", db_schema_filter="silver")


def test_a_role_reads_as_many_results_at_a_time_as_it_may(served):
    first = Client(served.flight, DESK, served.passwords[DESK])
    # Far more than fits into the buffers between here and there.
    wide = f"SELECT repeat('x', 1000) FROM generate_series(1, {ROWS_MAX})"
    readers = [first.query(wide), first.query(wide)]
    for reader in readers:
        reader.read_chunk()
    second = Client(served.flight, DESK, served.passwords[DESK])
    with pytest.raises(pyarrow.ArrowException, match="53300"):
        second.query("SELECT 1")
    other = Client(served.flight, served.user, served.passwords[served.user])
    assert other.query("SELECT 1").read_all().num_rows == 1
    for reader in readers:
        reader.cancel()

    def is_free():
        try:
            return second.query("SELECT 1").read_all().num_rows == 1
        except pyarrow.ArrowException:
            return False

    until("the places are free", is_free)
    for client in (first, second, other):
        client.close()


def test_the_audit_says_who_read_what_and_repeats_no_value(served):
    with pytest.raises(flight.FlightUnauthenticatedError):
        Client(served.flight, DESK, CANARY)
    with connect(served, DESK) as desk, desk.cursor() as cursor:
        read = "SELECT symbol, close FROM gold.bar_1m WHERE symbol <> ? LIMIT 7"
        assert len(rows(cursor, read, [CANARY])) == 7
        with pytest.raises(adbc.Error):
            cursor.execute(f"SELECT '{CANARY}' FROM silver.bar")
    text = served.audit.read_text()
    for secret in (CANARY, *served.passwords.values()):
        assert secret not in text
        assert secret not in served.process.errors()
    events = [json.loads(line) for line in text.splitlines()]
    events = [event for event in events if event["door"] == "flight" and event["role"] == DESK]
    assert all(event["address"] == "127.0.0.1" for event in events)
    logins = [event for event in events if event["event"] == "login"]
    assert {event["outcome"] for event in logins} == {"ok", "refused"}
    [wrong] = [event for event in logins if event["outcome"] == "refused"]
    assert wrong["code"] == "28P01" and not wrong["encrypted"]
    assert any("ADBC" in event["application"] for event in logins), logins
    said = "select symbol , close from gold . bar_1m where symbol <> ? limit ?"
    [ran] = [event for event in events if event.get("statement") == said]
    assert (ran["outcome"], ran["rows"]) == ("ok", 7) and ran["duration_us"] > 0, ran
    said = "select ? from silver . bar"
    hidden = [event for event in events if event.get("statement") == said]
    assert hidden and {(event["outcome"], event["code"]) for event in hidden} == {("refused", "42P01")}
