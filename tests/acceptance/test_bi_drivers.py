"""The drivers of Java and JavaScript, as DBeaver, Metabase and web services drive them.

Each lists the schema, reads typed rows, pages through more rows than fit a buffer, and cancels.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from served import COLUMNS, Served

pytestmark = pytest.mark.xdist_group("bi drivers")

DRIVERS = Path(__file__).parent.parent / "drivers"
PATIENCE = 240
PAGE, ROWS_OF_ONE = 700, 10_000
ALL = "SELECT * FROM gold.bar_1m WHERE symbol = "
# What the server says to a request, and to nothing else that ends a statement.
CANCELLED = "canceling statement due to user request"
# Works for minutes, and gives way often enough to be cancelled.
ENDLESS = "SELECT a.close FROM gold.bar_1m a, gold.bar_1m b ORDER BY a.symbol, b.symbol"
# What node-postgres makes of the types: times become dates of JavaScript, exact numbers texts.
OIDS = {"text": 25, "timestamptz": 1184, "date": 1082, "numeric": 1700, "int4": 23}
FIRST = ["test", "S000", "XNAS", "2026-03-02T14:30:00.000Z", "2026-03-02T14:31:00.000Z", "2026-03-02T00:00:00.000Z",
         "100.000000", "100.500000", "99.750000", "100.250000", None, 1, 1]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("bi"))
    yield served
    served.stop()


def run(command, typed=""):
    environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, cwd=DRIVERS, env=environment, input=typed, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def node(served):
    assert (DRIVERS / "node_modules" / "pg").is_dir(), "node-postgres is missing: `scripts/setup --tests` fetches it"
    columns = ", ".join(name for name, *_ in COLUMNS)
    conditions = "symbol = %s AND close >= %s AND ts_start >= %s"
    rows = f"SELECT {columns} FROM gold.bar_1m WHERE {conditions} ORDER BY ts_start LIMIT 1"
    asked = {
        "url": served.url,
        "tables": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'gold' ORDER BY 1",
        "rows": {
            "literal": rows % ("'S000'", "100.25", "'2026-03-02T14:30:00Z'"),
            "text": rows % ("$1", "$2", "$3"), "values": ["S000", 100.25, "2026-03-02T14:30:00Z"],
        },
        "pages": {"text": f"{ALL}$1", "values": ["S042"], "size": PAGE},
        "endless": ENDLESS,
        "errors": {"missing": "SELECT nothing", "write": "DROP TABLE gold.bar_1m", "syntax": "SELEKT"},
    }
    return json.loads(run(["node", "node.mjs"], json.dumps(asked)))


def test_node_lists_and_reads_typed_rows(node):
    assert "bar_1m" in [table["table_name"] for table in node["tables"]]
    for protocol in ("simple", "extended", "named"):
        found = node[protocol]
        assert found["fields"] == [[name, OIDS[kind]] for name, kind, _ in COLUMNS]
        assert found["rows"] == [FIRST], protocol


def test_node_pages_and_cancels(node):
    assert node["pages"] == [PAGE] * (ROWS_OF_ONE // PAGE) + [ROWS_OF_ONE % PAGE]
    assert node["left"] == PAGE
    assert node["cancelled"] == CANCELLED
    assert node["after"] == [{"one": 1}]
    assert node["errors"] == {"missing": "42703", "write": "25006", "syntax": "42601"}


def jdbc(served, *what):
    folder = os.environ.get("MARKETLAKE_TEST_PGJDBC")
    assert folder, 'pgjdbc is missing: `scripts/services pgjdbc`, then `eval "$(scripts/services env)"`'
    [driver] = Path(folder).glob("postgresql-*.jar")
    address = f"jdbc:postgresql://{served.host}:{served.port}/{served.database}"
    out = run(["java", "-cp", driver, "Jdbc.java", address, served.user, served.password, *what])
    return [line.split("\t") for line in out.splitlines()]


def test_jdbc_finds_everything_in_the_metadata(served):
    found = {}
    for question, *values in jdbc(served, "metadata"):
        found.setdefault(question, []).append(values)
    assert "failed" not in found, found["failed"]
    assert found["product"] == [["PostgreSQL", "15"]]
    assert {"bi", "bronze", "gold", "silver"} <= {name for name, in found["schema"]}
    assert {"int4", "text", "numeric", "timestamptz", "date", "float8"} <= {name for name, _ in found["type"]}
    assert [name for name, _ in found["table"]] == ["bar_15m", "bar_1d", "bar_1h", "bar_1m", "bar_5m"]
    views = dict(found["view"])
    assert views["bars_1m"] == "One bar per symbol and minute of the regular session"
    columns = {name: values for name, *values in found["column"]}
    assert [(name, values[0]) for name, values in columns.items()] == [(name, kind) for name, kind, _ in COLUMNS]
    assert columns["close"][2:] == ["18", "6", "YES"] and columns["symbol"][-1] == "NO"
    assert found["primary key"] == [["symbol", "1", "bars_daily_pkey"], ["date", "2", "bars_daily_pkey"]]
    assert sorted(found["imported key"]) == [
        ["date", "bi", "dim_date", "date"], ["symbol", "bi", "dim_symbol", "symbol"],
    ]
    assert ["bars_daily", "date"] in found["exported key"]
    assert found["index"] == [["bars_daily_pkey", "symbol"], ["bars_daily_pkey", "date"]]
    assert found["best row"] == [["symbol"], ["date"]]
    assert [name for name, _ in found["function"]] == ["bar_start"]
    assert found["keywords"] == [["true"]]


def test_jdbc_reads_typed_rows(served):
    query = (
        "SELECT symbol, ts_start, session_date, open, volume, n_source, close > 1 AS above, "
        "1.5::float8 AS half, 7 AS seven FROM gold.bar_1m WHERE symbol = ? AND close >= ? AND ts_start >= ? AND n_source = ? AND session_date = ? "
        "ORDER BY ts_start LIMIT 1"
    )
    expected = [
        ("symbol", "text", "0", "S000"), ("ts_start", "timestamptz", "6", "2026-03-02T14:30Z"),
        ("session_date", "date", "0", "2026-03-02"), ("open", "numeric", "6", "100.000000"),
        ("volume", "numeric", "4", "null"), ("n_source", "int4", "0", "1"), ("above", "bool", "0", "true"),
        ("half", "float8", "17", "1.5"), ("seven", "int4", "0", "7"),
    ]
    # In text first, in binary later on, and at last prepared under a name.
    rows = jdbc(served, "rows", query)
    assert rows == [["row", *(part for column in expected for part in column)]] * 7


def test_jdbc_pages_and_cancels(served):
    assert jdbc(served, "pages", f"{ALL}'S042'", str(PAGE)) == [["rows", str(ROWS_OF_ONE)], ["at most", "10"]]
    told = f"ERROR: {CANCELLED}"
    assert jdbc(served, "cancel", ENDLESS) == [["cancelled", told], ["goes on", "1"], ["timed out", told]]
