"""Flight SQL with the drivers that others use: a million rows behind the port.

ADBC's driver, which Power BI has as well, and pyarrow's client, which is written in another language.
"""

import subprocess
import threading
import time
import urllib.request
from datetime import date, datetime, timezone
from decimal import Decimal

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import psycopg
import pyarrow
import pytest
from adbc_driver_flightsql import DatabaseOptions
from pyarrow import flight

from flightsql import Client
from harness import PATIENCE, Process, until
from served import COLUMNS, FIRST, FIRST_ROW, NAMES, ROWS, Served

pytestmark = pytest.mark.xdist_group("bi flight")

ON = {
    "MARKETLAKE__SERVE__FLIGHT__ENABLED": "true",
    "MARKETLAKE__SERVE__FLIGHT__BIND": "127.0.0.1:0",
}
ALL = f"SELECT {', '.join(NAMES)} FROM gold.bar_1m"
ROWS_OF_ONE = 10_000
# Works for minutes, and gives way often enough to be cancelled.
ENDLESS = "SELECT a.close FROM gold.bar_1m a, gold.bar_1m b ORDER BY a.symbol, b.symbol"
# What a result of a million rows may add to the server: far less than the rows themselves.
GROWTH_MAX = 300 * 1024 * 1024
STAMP = pyarrow.timestamp("us", tz="UTC")
TYPES = {
    "text": pyarrow.string(), "timestamptz": STAMP, "date": pyarrow.date32(), "int4": pyarrow.int32(),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("flight"), environment=ON)
    served.flight = served.process.line("Flight")
    served.console = served.process.line("console")
    yield served
    served.stop()


def connect(served, **options):
    options = options or {"username": served.user, "password": served.password}
    return adbc.connect(served.flight, db_kwargs=options, autocommit=True)


@pytest.fixture
def client(served):
    with connect(served) as client:
        yield client


@pytest.fixture
def cursor(client):
    with client.cursor() as cursor:
        yield cursor


@pytest.fixture
def plain(served):
    client = Client(served.flight, served.user, served.password)
    yield client
    client.close()


def kind(name, described):
    """The Arrow type of a column of the fixture."""
    if described == "numeric":
        return pyarrow.decimal128(20, 4) if name == "volume" else pyarrow.decimal128(18, 6)
    return TYPES[described]


def test_adbc_reads_typed_rows(cursor):
    cursor.execute(FIRST)
    assert cursor.fetchall() == [FIRST_ROW]
    cursor.execute(FIRST)
    schema = cursor.fetch_arrow_table().schema
    assert [(field.name, field.type) for field in schema] == [
        (name, kind(name, described)) for name, described, _ in COLUMNS
    ]


def test_both_doors_give_the_same_values(served, cursor):
    with psycopg.connect(served.url) as other:
        for statement in [
            f"{ALL} WHERE symbol = 'S007' AND session_date = '2026-03-05' ORDER BY ts_start LIMIT 400",
            "SELECT symbol, min(low), max(high), sum(volume), count(*) FROM gold.bar_1m GROUP BY 1 ORDER BY 1",
            "SELECT date_trunc('day', ts_start) AS day, avg(close) FROM gold.bar_1m GROUP BY 1 ORDER BY 1",
            "SELECT 'text', 42, 1.25, NULL, date '2026-03-04', timestamp '2026-03-04 05:06:07'",
            "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2",
        ]:
            cursor.execute(statement)
            assert cursor.fetchall() == other.execute(statement).fetchall(), statement
            described = [column.name for column in other.execute(statement).description]
            cursor.execute(statement)
            assert [column[0] for column in cursor.description] == described


@pytest.mark.parametrize("depth", ["catalogs", "db_schemas", "tables", "all"])
def test_adbc_lists_objects(client, depth):
    [found] = client.adbc_get_objects(depth=depth).read_all().to_pylist()
    assert found["catalog_name"] == "marketlake"
    schemas = found["catalog_db_schemas"]
    if depth == "catalogs":
        assert schemas is None
        return
    schemas = {schema["db_schema_name"]: schema["db_schema_tables"] for schema in schemas}
    assert list(schemas) == ["bi", "bronze", "gold", "silver"]
    if depth == "db_schemas":
        assert set(map(str, schemas.values())) == {"None"}
        return
    tables = {table["table_name"]: table for table in schemas["gold"]}
    assert tables["bar_1m"]["table_type"] == "TABLE"
    assert {table["table_type"] for table in schemas["bi"]} == {"VIEW"}
    columns = tables["bar_1m"]["table_columns"]
    if depth == "tables":
        assert columns is None
        return
    assert [column["column_name"] for column in columns] == NAMES
    told = {column["column_name"]: column["xdbc_type_name"] for column in columns}
    assert (told["ts_start"], told["close"]) == ("timestamp with time zone", "numeric")


def test_adbc_narrows_its_lists(client):
    def tables(**wanted):
        [found] = client.adbc_get_objects(depth="tables", **wanted).read_all().to_pylist()
        schemas = found["catalog_db_schemas"]
        return {table["table_name"] for schema in schemas for table in schema["db_schema_tables"]}

    assert tables(db_schema_filter="gold", table_name_filter="bar_1_") == {"bar_1m", "bar_1h", "bar_1d"}
    assert "dim_date" in tables(table_types_filter=["VIEW"])
    assert "bar_1m" not in tables(table_types_filter=["VIEW"])
    assert tables(db_schema_filter="nowhere") == set()


def test_adbc_describes_tables_and_the_server(client):
    schema = client.adbc_get_table_schema("bar_1m", db_schema_filter="gold")
    assert schema.names == NAMES
    close = schema.field("close")
    facts = {name.decode().rsplit(":")[-1]: value.decode() for name, value in close.metadata.items()}
    assert facts["TYPE_NAME"] == "numeric" and facts["TABLE_NAME"] == "bar_1m"
    assert (facts["PRECISION"], facts["SCALE"]) == ("18", "6")
    assert client.adbc_get_table_types() == ["TABLE", "VIEW"]
    info = client.adbc_get_info()
    assert info["vendor_name"] == "marketlake"
    assert info["driver_name"] == "ADBC Flight SQL Driver - Go"


@pytest.mark.parametrize("mark", ["?", "$1"])
def test_adbc_binds_parameters(cursor, mark):
    def count(condition, value):
        cursor.execute(f"SELECT count(*) FROM gold.bar_1m WHERE {condition}".replace("?", mark), [value])
        [(count,)] = cursor.fetchall()
        return count

    assert count("symbol = ?", "S042") == ROWS_OF_ONE
    assert count("session_date = ?", date(2026, 3, 2)) == 100 * 400
    assert count("open >= ?", Decimal("199.990000")) == 100
    assert count("open >= ?", 199.99) == 100
    assert count("ts_start < ?", datetime(2026, 3, 2, 14, 31, tzinfo=timezone.utc)) == 100
    assert count("revision = ?", 1) == ROWS
    assert count("volume = ?", None) == 0


def test_adbc_runs_once_for_each_bound_row(client):
    with client.cursor() as cursor:
        cursor.execute(
            "SELECT symbol, count(*) FROM gold.bar_1m WHERE symbol = ? GROUP BY 1",
            pyarrow.record_batch({"1": ["S001", "S002", "none"]}),
        )
        assert cursor.fetchall() == [("S001", ROWS_OF_ONE), ("S002", ROWS_OF_ONE)]


def test_a_prepared_statement_says_what_it_needs(cursor):
    schema = cursor.adbc_prepare("SELECT symbol FROM gold.bar_1m WHERE ts_start >= ? AND close < ?")
    assert [field.type for field in schema] == [STAMP, pyarrow.decimal128(18, 6)]
    shown = cursor.adbc_execute_schema("SELECT symbol, close FROM gold.bar_1m")
    assert shown.field("close").type == pyarrow.decimal128(18, 6)


@pytest.mark.parametrize(
    ("statement", "error", "told"),
    [
        ("SELEC 1", adbc.ProgrammingError, "syntax error"),
        ("SELECT nothing FROM gold.bar_1m", adbc.ProgrammingError, "column"),
        ("SELECT * FROM nowhere", adbc.ProgrammingError, 'relation "nowhere" does not exist'),
        ("SELECT 1; SELECT 2", adbc.ProgrammingError, "more than one statement"),
        ("BEGIN", adbc.NotSupportedError, "only queries"),
        ("DELETE FROM gold.bar_1m", adbc.Error, "read-only"),
        ("CREATE TABLE t (a int)", adbc.Error, "read-only"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'file:///etc/passwd'", adbc.Error, "read-only"),
        ("SELECT * FROM '/etc/passwd'", adbc.ProgrammingError, ""),
        ("SET datafusion.runtime.memory_limit = '1T'", adbc.NotSupportedError, "only queries"),
    ],
)
def test_adbc_is_told_what_is_wrong(cursor, statement, error, told):
    with pytest.raises(error, match=told) as raised:
        cursor.execute(statement)
    assert "passwd" not in str(raised.value) or "/etc" in statement
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)


def test_what_fails_on_its_way_is_told(cursor):
    cursor.execute("SELECT 1 / (revision - 1) FROM gold.bar_1m")
    with pytest.raises(adbc.Error, match="division by zero"):
        cursor.fetchall()


def test_nothing_is_ingested(cursor):
    with pytest.raises(adbc.Error, match="only reads"):
        cursor.adbc_ingest("bar_1m", pyarrow.table({"a": [1]}), mode="append")
    with pytest.raises(adbc.Error, match="execute it as one"):
        cursor.executemany("SELECT count(*) FROM gold.bar_1m WHERE symbol = ?", [("S001",)])


def test_adbc_cancels(served, cursor):
    cursor.execute(ENDLESS)
    stop = threading.Timer(1, cursor.adbc_cancel)
    stop.start()
    with pytest.raises(adbc.Error) as raised:
        cursor.fetchall()
    stop.join()
    assert raised.value.status_code == adbc_driver_manager.AdbcStatusCode.CANCELLED
    until("the server heard of it", lambda: counted(served, "DoGet", "CANCELLED"))
    with connect(served) as other, other.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_token_is_enough(served, plain):
    option = {DatabaseOptions.AUTHORIZATION_HEADER.value: plain.token.decode()}
    for _ in range(2):
        with connect(served, **option) as client, client.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"username": "marketlake", "password": "wrong"},
        {"username": "nobody", "password": "wrong"},
        {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer made-up"},
    ],
    ids=["nothing", "wrong password", "unknown user", "made-up token"],
)
def test_strangers_stay_outside(served, options):
    with pytest.raises(adbc.Error) as raised:
        with adbc.connect(served.flight, db_kwargs=options, autocommit=True) as client:
            client.cursor().execute("SELECT 1")
    assert raised.value.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED
    assert served.password not in str(raised.value)


def test_pyarrow_reads_what_was_announced(plain):
    for text in [FIRST, f"{ALL} WHERE false", "SELECT count(*) FROM gold.bar_1m"]:
        info = plain.info("CommandStatementQuery", text)
        reader = plain.read(info)
        assert reader.schema.equals(info.schema, check_metadata=True)
        assert reader.read_all().schema.equals(info.schema)
    assert plain.query(FIRST).read_all().to_pylist() == [dict(zip(NAMES, FIRST_ROW))]


def test_pyarrow_finds_keys(plain):
    keys = plain.read(plain.info("CommandGetPrimaryKeys", "marketlake", "bi", "bars_daily")).read_all()
    assert keys["column_name"].to_pylist() == ["symbol", "date"]
    parents = plain.read(plain.info("CommandGetImportedKeys", "marketlake", "bi", "bars_daily")).read_all()
    assert set(parents["pk_table_name"].to_pylist()) == {"dim_symbol", "dim_date"}
    children = plain.read(plain.info("CommandGetExportedKeys", "marketlake", "bi", "dim_date")).read_all()
    assert "bars_daily" in children["fk_table_name"].to_pylist()
    types = plain.read(plain.info("CommandGetXdbcTypeInfo")).read_all()
    assert {"text", "numeric", "timestamp with time zone"} <= set(types["type_name"].to_pylist())


def test_pyarrow_cancels(plain):
    info = plain.info("CommandStatementQuery", ALL)
    reader = plain.read(info)
    assert 0 < reader.read_chunk().data.num_rows < ROWS
    reader.cancel()
    with pytest.raises(flight.FlightCancelledError):
        # Not by `read_all`, which pretends Ctrl-C to the whole process when it is cancelled.
        while True:
            reader.read_chunk()
    with pytest.raises(pyarrow.ArrowException, match="used or has expired"):
        plain.read(info).read_all()


def counted(served, call, code):
    """How often a call ended so."""
    page = urllib.request.urlopen(f"{served.console}metrics", timeout=60).read().decode()
    name = f'marketlake_serve_flight_calls_total{{call="{call}",code="{code}"}} '
    return next((int(line[len(name):]) for line in page.splitlines() if line.startswith(name)), 0)


def rows_sent(served):
    page = urllib.request.urlopen(f"{served.console}metrics", timeout=60).read().decode()
    name = "marketlake_serve_flight_rows_total "
    return next(int(line[len(name):]) for line in page.splitlines() if line.startswith(name))


def test_a_million_rows_come_with_flat_memory(served, cursor):
    before = served.resident_bytes()
    rows, peak = 0, before
    cursor.execute(ALL)
    for batch in cursor.fetch_record_batch():
        rows += batch.num_rows
        peak = max(peak, served.resident_bytes())
    assert rows == ROWS
    assert peak - before < GROWTH_MAX, f"{(peak - before) >> 20} MiB more"


def test_the_server_waits_for_a_slow_reader(served, plain):
    before = rows_sent(served)
    reader = plain.query(ALL)
    rows = len(reader.read_chunk().data)

    def stands_still():
        sent = rows_sent(served)
        time.sleep(0.5)
        return sent == rows_sent(served) and sent > before

    until("the server waits", stands_still)
    # What is on its way fills the buffers of two sockets and no more.
    assert rows_sent(served) - before < ROWS / 2
    for chunk in reader:
        rows += len(chunk.data)
    assert rows == ROWS


def certificate(folder, name):
    """A certificate for this machine, and its key."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", chain],
        check=True, capture_output=True,
    )
    key.chmod(0o600)
    return chain, key


def with_tls(chain, key):
    return {
        **ON,
        "MARKETLAKE__HTTP__BIND": "127.0.0.1:0", "MARKETLAKE__POSTGRES__BIND": "127.0.0.1:0",
        "MARKETLAKE__SERVE__FLIGHT__TLS__CERT_FILE": str(chain),
        "MARKETLAKE__SERVE__FLIGHT__TLS__KEY_FILE": str(key),
    }


def test_tls_is_spoken_and_nothing_else(tmp_path):
    chain, key = certificate(tmp_path, "server")
    other, _ = certificate(tmp_path, "other")
    process = Process("serve", ["--data-dir", tmp_path / "data", "serve"], tmp_path, with_tls(chain, key))
    url = process.line("Flight")
    assert url.startswith("grpc+tls://127.0.0.1:")
    password = process.line("SQL").split()[0].removeprefix("PGPASSWORD=")
    login = {"username": "marketlake", "password": password}
    trust = {DatabaseOptions.TLS_ROOT_CERTS.value: chain.read_text()}
    with adbc.connect(url, db_kwargs={**login, **trust}, autocommit=True) as client:
        with client.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    client = Client(url, "marketlake", password, tls_root_certs=chain.read_bytes())
    assert client.query("SELECT 1").read_all().num_rows == 1
    client.close()
    # Which of the two pyarrow says depends on how far its first write came.
    unreached = (flight.FlightUnavailableError, flight.FlightInternalError)
    with pytest.raises(unreached):
        Client(url, "marketlake", password, tls_root_certs=other.read_bytes())
    with pytest.raises(unreached):
        Client(url.replace("grpc+tls", "grpc"), "marketlake", password)
    code, _ = process.terminate()
    assert code == 0


def test_a_port_that_would_be_open_to_others_is_refused(tmp_path):
    chain, key = certificate(tmp_path, "server")
    exposed = {**ON, "MARKETLAKE__SERVE__FLIGHT__BIND": "0.0.0.0:0"}
    half = {**ON, "MARKETLAKE__SERVE__FLIGHT__TLS__CERT_FILE": str(chain)}
    key.chmod(0o644)
    for environment, told in [
        (exposed, "serve.flight.tls.cert_file"),
        (half, "needs both a certificate"),
        (with_tls(chain, key), "chmod 600"),
        (with_tls(key, key), "chmod 600"),
        (with_tls(tmp_path / "gone.pem", key), "gone.pem"),
    ]:
        process = Process("serve", ["--data-dir", tmp_path / "data", "serve"], tmp_path, environment)
        assert process.wait(PATIENCE) == 3, process.errors()
        assert told in process.errors(), process.errors()
