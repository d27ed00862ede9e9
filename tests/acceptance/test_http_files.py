"""Tables and results as files over HTTP, judged by readers that are not ours."""

import hashlib
import http.client
import io
import json
import subprocess
import uuid
import zipfile
from urllib.parse import urlencode, urlsplit

import duckdb
import pyarrow
import pyarrow.parquet
import pytest
from harness import program, until

from served import DAYS, MINUTES, NAMES, ROWS, SYMBOLS, Served, bars

pytestmark = pytest.mark.xdist_group("http files")

# Works for minutes, and gives way often enough to be ended.
ENDLESS = "SELECT a.close FROM gold.bar_1m a, gold.bar_1m b ORDER BY a.symbol, b.symbol"
# Fails at its last row, when most of the others are gone.
LATE = f"SELECT 1000000 / ({ROWS} - row_number() OVER (ORDER BY symbol, ts_start)) AS n FROM gold.bar_1m"
# What a file of a million rows may add to the server: far less than the rows themselves.
GROWTH_MAX = 300 * 1024 * 1024
CHUNK = 1 << 20


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("files"))
    served.http = urlsplit(served.process.line("console")).netloc
    yield served
    served.stop()


def open_request(served, path, body=None, method=None):
    connection = http.client.HTTPConnection(served.http, timeout=120)
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method or ("POST" if body else "GET"), path, body and json.dumps(body), headers)
    return connection


def get(served, path, **params):
    connection = open_request(served, f"{path}?{urlencode(params)}" if params else path)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def download(served, target, path, **params):
    """Writes the answer to a file as it comes, and tells how much the server grew meanwhile."""
    before = grown = served.resident_bytes()
    answer = open_request(served, f"{path}?{urlencode(params)}").getresponse()
    assert answer.status == 200, answer.read()[:500]
    with open(target, "wb") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            grown = max(grown, served.resident_bytes())
    return answer.headers, grown - before


def in_order(table):
    return table.select(NAMES).sort_by([("symbol", "ascending"), ("ts_start", "ascending")])


def test_a_table_in_parquet_is_the_table(served, tmp_path):
    target = tmp_path / "bars.parquet"
    headers, growth = download(served, target, "/api/v1/tables/gold.bar_1m", format="parquet")
    assert headers["Content-Disposition"] == 'attachment; filename="gold.bar_1m.parquet"'
    assert growth < GROWTH_MAX, f"the server grew by {growth >> 20} MiB"
    read, wrote = in_order(pyarrow.parquet.read_table(target)), in_order(bars())
    assert read.schema.types == wrote.schema.types
    assert read.equals(wrote.cast(read.schema))


def test_a_table_in_csv_is_the_table(served, tmp_path):
    target = tmp_path / "bars.csv"
    headers, growth = download(served, target, "/api/v1/tables/gold.bar_1m")
    assert headers["Content-Type"].startswith("text/csv")
    assert growth < GROWTH_MAX, f"the server grew by {growth >> 20} MiB"
    wrote = bars()
    counted = duckdb.sql(f"""
        SELECT count(*), count(DISTINCT symbol), count(volume), sum(close), min(ts_start), max(ts_start)
        FROM read_csv('{target}', types = {{'close': 'DECIMAL(18,6)', 'volume': 'DECIMAL(20,4)',
                                           'ts_start': 'TIMESTAMPTZ', 'session_date': 'DATE'}})
    """).fetchone()
    expected = duckdb.sql("""
        SELECT count(*), count(DISTINCT symbol), count(volume), sum(close), min(ts_start), max(ts_start)
        FROM wrote
    """).fetchone()
    assert counted == expected
    assert counted[:3] == (ROWS, SYMBOLS, ROWS - SYMBOLS)


def test_filters_are_those_of_the_bars(served):
    wanted = {"symbols": "S007,S042", "from": "2026-03-03", "to": "2026-03-04", "format": "parquet"}
    status, _, body = get(served, "/api/v1/tables/gold.bar_1m", **wanted)
    assert status == 200, body[:500]
    table = pyarrow.parquet.read_table(io.BytesIO(body))
    assert table.num_rows == 2 * MINUTES
    assert set(table["symbol"].to_pylist()) == {"S007", "S042"}


@pytest.mark.parametrize("reader", ["duckdb", "pyarrow"])
def test_texts_survive_csv(served, tmp_path, reader):
    sql = """SELECT * FROM (VALUES (1, 'plain', 'x'), (2, '', NULL), (3, 'a,b "c"', E'two\nlines'),
             (4, 'ü€', '=1+1')) AS t (n, a, b) ORDER BY n"""
    status, _, body = get(served, "/api/v1/query", sql=sql, format="csv")
    assert status == 200, body
    (tmp_path / "texts.csv").write_bytes(body)
    if reader == "duckdb":
        rows = duckdb.sql(f"""SELECT * FROM read_csv('{tmp_path}/texts.csv', header = true,
            allow_quoted_nulls = false, nullstr = '') ORDER BY n""").fetchall()
    else:
        from pyarrow import csv
        options = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
        parse = csv.ParseOptions(newlines_in_values=True)
        read = csv.read_csv(tmp_path / "texts.csv", convert_options=options, parse_options=parse)
        rows = [tuple(row.values()) for row in read.to_pylist()]
    assert rows == [
        (1, "plain", "x"), (2, "", None), (3, 'a,b "c"', "two\nlines"), (4, "ü€", "=1+1"),
    ]


def test_what_fails_late_looks_cut(served):
    answer = open_request(served, f"/api/v1/query?{urlencode({'sql': LATE, 'format': 'csv'})}").getresponse()
    assert answer.status == 200, "the first rows are there"
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    status, _, body = get(served, "/api/v1/query", sql=LATE)
    last = json.loads(body.splitlines()[-1])
    assert status == 200 and last["error"]["sqlstate"] == "22012", last


def test_who_leaves_ends_the_statement(served):
    for _ in range(20):
        connection = open_request(served, "/api/v1/query", {"sql": ENDLESS})
        connection.close()

    # More than may run at once: their places are free again.
    def look():
        status, _, body = get(served, "/api/v1/query", sql="SELECT count(*) AS n FROM gold.bar_1m")
        return status == 200 and json.loads(body.splitlines()[1]) == [str(ROWS)]

    # Long before those would have ended by themselves.
    until("a statement is answered", look, patience=60)


def test_a_statement_is_canceled_by_its_name(served):
    name = str(uuid.uuid4())
    connection = open_request(served, "/api/v1/query", {"sql": ENDLESS, "id": name})

    def cancel():
        request = open_request(served, f"/api/v1/query/{name}", method="DELETE")
        return request.getresponse().status == 204

    until("the statement is found", cancel)
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["error"]["code"]) == (409, "canceled")


def test_the_archive_holds_what_the_command_writes(served, tmp_path):
    status, headers, body = get(served, "/api/v1/connect/powerbi/marketlake-import.zip")
    assert status == 200 and headers["Content-Type"] == "application/zip"
    again = get(served, "/api/v1/connect/powerbi/marketlake-import.zip")[2]
    assert hashlib.sha256(body).digest() == hashlib.sha256(again).digest(), "it is not the same twice"
    out = tmp_path / "project"
    command = [
        program(), "--data-dir", tmp_path / "data", "powerbi", "--out", out, "--server",
        f"localhost:{served.port}",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        held = {name.removeprefix("marketlake/"): archive.read(name) for name in archive.namelist()}
    written = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert held == written


def test_days_and_symbols_are_as_many_as_were_written(served):
    sql = "SELECT symbol, count(DISTINCT session_date) AS days FROM gold.bar_1m GROUP BY symbol"
    _, _, body = get(served, "/api/v1/query", sql=sql)
    head, *rows, end = [json.loads(line) for line in body.splitlines()]
    assert [column["name"] for column in head["columns"]] == ["symbol", "days"]
    assert len(rows) == SYMBOLS == end["rows"] and {days for _, days in rows} == {str(DAYS)}
