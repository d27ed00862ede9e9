"""Drivers that tools are built on, as their users drive them: a million rows behind the SQL port.

Each lists the schema, reads typed rows, pages through more rows than fit a buffer, and cancels.
"""

import asyncio
import csv
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import adbc_driver_postgresql.dbapi as adbc
import asyncpg
import psycopg
import pyarrow
import pyodbc
import pytest
import sqlalchemy
from adbc_driver_postgresql import StatementOptions

from served import COLUMNS, FIRST, FIRST_ROW, NAMES, ROWS, Served

pytestmark = pytest.mark.xdist_group("bi clients")

ALL = f"SELECT {', '.join(NAMES)} FROM gold.bar_1m"
OF_ONE = f"{ALL} WHERE symbol = 'S042' ORDER BY ts_start"
ROWS_OF_ONE = 10_000
# Works for minutes, and gives way often enough to be cancelled.
ENDLESS = "SELECT a.close FROM gold.bar_1m a, gold.bar_1m b ORDER BY a.symbol, b.symbol"
# Would work for days, and sends no row meanwhile.
JOIN = "SELECT max(a.close + b.close) FROM gold.bar_1m a, gold.bar_1m b"
PAGE = 700
# Five in a second: half a minute is plenty for a statement to begin.
CANCELS_MAX = 150
# What a result of a million rows may add to the server: far less than the rows themselves.
GROWTH_MAX = 300 * 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("bi"))
    yield served
    served.stop()


@pytest.fixture
def client(served):
    with psycopg.connect(served.url) as client:
        yield client


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_psycopg_reads_typed_rows(client, binary):
    cursor = client.execute(FIRST, binary=binary)
    assert cursor.fetchall() == [FIRST_ROW]
    known = client.adapters.types
    types = [(column.name, known[column.type_code].name) for column in cursor.description]
    assert types == [(name, kind) for name, kind, _ in COLUMNS]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_psycopg_pages_with_a_server_cursor(client, binary):
    with client.cursor("my cursor", binary=binary) as cursor:
        cursor.execute(f"{ALL} WHERE symbol = %s ORDER BY ts_start", ["S042"])
        assert [column.name for column in cursor.description] == NAMES
        first = cursor.fetchmany(PAGE)
        assert len(first) == PAGE and len(cursor.fetchmany(PAGE)) == PAGE
        cursor.scroll(1000)
        assert cursor.fetchone()[NAMES.index("open")] == 100 + (2 * PAGE + 1000) // 100
        assert len(cursor.fetchall()) == ROWS_OF_ONE - 2 * PAGE - 1001
        assert cursor.fetchmany(PAGE) == []
    # The name is free again.
    with client.cursor("my cursor", binary=binary) as cursor:
        assert sum(1 for _ in cursor.execute(OF_ONE)) == ROWS_OF_ONE


def test_psycopg_keeps_a_cursor_with_hold(client):
    with client.cursor("held", withhold=True) as cursor:
        cursor.execute(OF_ONE)
        assert len(cursor.fetchmany(PAGE)) == PAGE
        client.commit()
        assert len(cursor.fetchall()) == ROWS_OF_ONE - PAGE


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("FETCH PRIOR FROM c", psycopg.errors.ObjectNotInPrerequisiteState),
        ("FETCH 1 FROM d", psycopg.errors.InvalidCursorName),
        ("DECLARE c CURSOR FOR SELECT 1", psycopg.errors.DuplicateCursor),
        ("DECLARE d SCROLL CURSOR FOR SELECT 1", psycopg.errors.FeatureNotSupported),
    ],
)
def test_psycopg_is_told_what_a_cursor_cannot_do(client, statement, error):
    client.execute("DECLARE c NO SCROLL CURSOR FOR SELECT 1")
    with pytest.raises(error):
        client.execute(statement)


def test_psycopg_sends_a_pipeline(client):
    with client.pipeline():
        counts = [
            client.execute("SELECT count(*) FROM gold.bar_1m WHERE symbol = %s", [f"S{n:03}"])
            for n in range(20)
        ]
        assert [cursor.fetchone() for cursor in counts] == [(ROWS_OF_ONE,)] * 20
    with pytest.raises(psycopg.errors.UndefinedColumn), client.pipeline():
        client.execute("SELECT nothing")
    client.rollback()
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_psycopg_copies_csv_with_flat_memory(served, client):
    before = served.resident_bytes()
    rows, peak = 0, before
    with client.cursor().copy("COPY gold.bar_1m (symbol, close) TO STDOUT (FORMAT csv)") as copy:
        for part in copy:
            rows += bytes(part).count(b"\n")
            if rows % 100_000 == 0:
                peak = max(peak, served.resident_bytes())
    assert rows == ROWS
    assert peak - before < GROWTH_MAX, f"{(peak - before) >> 20} MiB more"
    with client.cursor().copy(f"COPY ({FIRST}) TO STDOUT (FORMAT csv, HEADER)") as copy:
        text = b"".join(map(bytes, copy)).decode()
    names, values = csv.reader(io.StringIO(text))
    assert names == NAMES
    assert values[:4] == ["test", "S000", "XNAS", "2026-03-02 14:30:00+00"]


@pytest.mark.parametrize("format", ["text", "binary"])
def test_psycopg_reads_copied_rows(client, format):
    with client.cursor().copy(f"COPY ({FIRST}) TO STDOUT (FORMAT {format})") as copy:
        copy.set_types([kind for _, kind, _ in COLUMNS])
        assert list(copy.rows()) == [FIRST_ROW]


@pytest.mark.parametrize("statement", [ENDLESS, f"COPY ({ENDLESS}) TO STDOUT"], ids=["select", "copy"])
def test_psycopg_cancels(served, statement):
    async def run():
        async with await psycopg.AsyncConnection.connect(served.url) as other:
            async def work():
                if statement == ENDLESS:
                    await other.execute(statement)
                else:
                    async with other.cursor().copy(statement) as copy:
                        async for _ in copy:
                            pass

            task = asyncio.create_task(work())
            # A request that overtakes the statement cancels nothing, as with PostgreSQL.
            for _ in range(CANCELS_MAX):
                await asyncio.wait([task], timeout=0.2)
                if task.done():
                    break
                await other.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                await task
            await other.rollback()
            assert await (await other.execute("SELECT 1")).fetchone() == (1,)

    asyncio.run(run())


def test_cancelled_joins_hold_nobody_up(served):
    """What was cancelled stops working: there are fewer threads than clients who lose patience."""

    def lose_patience():
        with psycopg.connect(served.url, autocommit=True) as client:
            timer = threading.Timer(1, client.cancel_safe)
            timer.start()
            try:
                with pytest.raises(psycopg.errors.QueryCanceled):
                    client.execute(JOIN)
            finally:
                timer.cancel()

    with ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        for left in [pool.submit(lose_patience) for _ in range(2 * os.cpu_count())]:
            left.result()
    with psycopg.connect(served.url, autocommit=True) as client:
        client.execute("SET statement_timeout = '60s'")
        count = "SELECT count(*) FROM gold.bar_1m WHERE symbol = 'S042' AND close > 0"
        assert client.execute(count).fetchone() == (ROWS_OF_ONE,)


def test_asyncpg_lists_reads_pages_copies_and_cancels(served):
    async def run():
        client = await asyncpg.connect(served.url)
        try:
            assert tuple(await client.fetchrow(FIRST)) == FIRST_ROW
            prepared = await client.prepare(f"{ALL} WHERE symbol = $1 AND close > $2 ORDER BY ts_start")
            types = [kind.name for kind in prepared.get_parameters()]
            assert types == ["text", "numeric"]
            shown = [(column.name, column.type.name) for column in prepared.get_attributes()]
            assert shown == [(name, kind) for name, kind, _ in COLUMNS]
            async with client.transaction():
                rows = 0
                async for _ in client.cursor(OF_ONE, prefetch=PAGE):
                    rows += 1
                assert rows == ROWS_OF_ONE
            # Codecs are found with queries of asyncpg's own.
            await client.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=str)
            assert await client.fetchval("SELECT close FROM gold.bar_1m LIMIT 1") != 0
            out = io.BytesIO()
            tag = await client.copy_from_table(
                "bar_1m", schema_name="gold", columns=["symbol", "close"], output=out, format="csv",
            )
            assert tag == f"COPY {ROWS}" and out.getvalue().count(b"\n") == ROWS
            with pytest.raises(asyncio.TimeoutError):
                await client.fetch(ENDLESS, timeout=1)
            assert await client.fetchval("SELECT 1") == 1
        finally:
            await client.close()
        async with asyncpg.create_pool(served.url, min_size=1, max_size=2) as pool:
            for _ in range(3):
                assert await pool.fetchval("SELECT count(*) FROM gold.bar_1m") == ROWS

    asyncio.run(run())


@pytest.fixture
def engine(served):
    engine = sqlalchemy.create_engine(served.url.replace("postgresql", "postgresql+psycopg"))
    yield engine
    engine.dispose()


def test_sqlalchemy_inspects_the_schema(engine):
    inspector = sqlalchemy.inspect(engine)
    assert {"bronze", "silver", "gold"} <= set(inspector.get_schema_names())
    assert "bar_1m" in inspector.get_table_names("gold")
    assert inspector.has_table("bar_1m", "gold") and not inspector.has_table("bar_7m", "gold")
    columns = {column["name"]: column["type"] for column in inspector.get_columns("bar_1m", "gold")}
    assert list(columns) == NAMES
    assert (columns["close"].precision, columns["close"].scale) == (18, 6)
    assert columns["ts_start"].timezone is True
    assert inspector.get_foreign_keys("bar_1m", "gold") == []
    assert inspector.get_indexes("bar_1m", "gold") == []
    assert inspector.get_check_constraints("bar_1m", "gold") == []
    assert inspector.get_table_comment("bar_1m", "gold") == {"text": None}
    assert inspector.get_enums() == inspector.get_domains() == []
    known = [sqlalchemy.Column(name, kind) for name, kind in columns.items()]
    table = sqlalchemy.Table("bar_1m", sqlalchemy.MetaData(), *known, schema="gold")
    with engine.connect() as connection:
        some = sqlalchemy.select(table).where(table.c.symbol == "S042").order_by(table.c.ts_start)
        streamed = connection.execution_options(yield_per=PAGE).execute(some)
        assert sum(len(page) for page in streamed.partitions()) == ROWS_OF_ONE


# What belongs together in the views for BI tools, as drivers find it.
DAILY_KEY = ["symbol", "date"]
DAILY_PARENTS = {("symbol", "dim_symbol"), ("date", "dim_date")}


def test_sqlalchemy_finds_keys(engine):
    inspector = sqlalchemy.inspect(engine)
    assert {"bars_daily", "dim_date"} <= set(inspector.get_view_names("bi"))
    assert inspector.get_pk_constraint("bars_daily", "bi")["constrained_columns"] == DAILY_KEY
    parents = {
        (key["constrained_columns"][0], key["referred_table"])
        for key in inspector.get_foreign_keys("bars_daily", "bi")
    }
    assert parents == DAILY_PARENTS
    table = sqlalchemy.Table("bars_daily", sqlalchemy.MetaData(), schema="bi", autoload_with=engine)
    assert [column.name for column in table.primary_key] == DAILY_KEY


@pytest.mark.parametrize("with_copy", [True, False], ids=["with COPY", "without COPY"])
def test_adbc_reads_arrow_tables(served, with_copy):
    options = {StatementOptions.USE_COPY.value: with_copy}
    with adbc.connect(served.url) as client, client.cursor(adbc_stmt_kwargs=options) as cursor:
        cursor.execute(OF_ONE)
        table = cursor.fetch_arrow_table()
        assert table.num_rows == ROWS_OF_ONE and table.column_names == NAMES
        types = {field.name: field.type for field in table.schema}
        assert types["ts_start"] == pyarrow.timestamp("us", tz="UTC")
        assert (types["session_date"], types["revision"]) == (pyarrow.date32(), pyarrow.int32())
        assert table["symbol"].unique().to_pylist() == ["S042"]
        # The driver hands decimals on as text.
        assert table["close"].slice(0, 2).to_pylist() == ["100.250000", "100.260000"]
        cursor.execute("SELECT count(*) FROM gold.bar_1m WHERE symbol = $1", ["S001"])
        assert cursor.fetchone() == (ROWS_OF_ONE,)


def test_adbc_lists_the_schema(served):
    with adbc.connect(served.url) as client:
        schema = client.adbc_get_table_schema("bar_1m", db_schema_filter="gold")
        assert schema.names == NAMES
        [found] = client.adbc_get_objects(depth="tables", db_schema_filter="gold").read_all().to_pylist()
        [gold] = found["catalog_db_schemas"]
        tables = {table["table_name"]: table["table_type"] for table in gold["db_schema_tables"]}
        assert gold["db_schema_name"] == "gold" and tables["bar_1m"] == "table"


def odbc(served, options=""):
    drivers = [name for name in pyodbc.drivers() if name.startswith("PostgreSQL")]
    assert drivers, "psqlODBC is missing: `scripts/setup --tests` installs it"
    driver = next(name for name in drivers if "Unicode" in name)
    return pyodbc.connect(
        f"Driver={driver};Server={served.host};Port={served.port};Database={served.database};"
        f"UID={served.user};PWD={served.password};{options}", timeout=60,
    )


@pytest.mark.parametrize("options", ["", "UseDeclareFetch=1;Fetch=500"], ids=["whole", "by cursor"])
def test_odbc_lists_reads_and_pages(served, options):
    client = odbc(served, options)
    try:
        cursor = client.cursor()
        assert "bar_1m" in [table.table_name for table in cursor.tables(schema="gold")]
        types = [(column.column_name, column.type_name) for column in cursor.columns("bar_1m", schema="gold")]
        assert types == [(name, kind) for name, kind, _ in COLUMNS]
        row = cursor.execute(FIRST).fetchone()
        # ODBC knows no zones.
        without = lambda value: value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value
        assert tuple(row) == tuple(map(without, FIRST_ROW))
        cursor.execute(f"{ALL} WHERE symbol = ? ORDER BY ts_start", "S042")
        pages = iter(lambda: len(cursor.fetchmany(PAGE)), 0)
        assert sum(pages) == ROWS_OF_ONE
    finally:
        client.close()


def test_odbc_finds_keys(served):
    client = odbc(served)
    try:
        cursor = client.cursor()
        key = [row.column_name for row in cursor.primaryKeys("bars_daily", schema="bi")]
        assert key == DAILY_KEY
        found = cursor.foreignKeys(foreignTable="bars_daily", foreignSchema="bi")
        assert {(row.fkcolumn_name, row.pktable_name) for row in found} == DAILY_PARENTS
    finally:
        client.close()
