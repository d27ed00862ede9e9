"""Delta Sharing with the client that others use, and by hand where that client is forgiving.

What it reads is compared with the same tables read from the folder by delta-rs and DuckDB.
"""

import http.client
import io
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

import delta_sharing
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from requests import HTTPError

from harness import Market, Pipeline, Process, Vendor, free_port, settle, until
from services import AZURE_ACCOUNT, AZURE_KEY, BUCKET, MINIO_KEY, MINIO_USER, address

FORMATS = pytest.mark.parametrize("is_delta", [False, True], ids=["parquet", "delta"])
GOLD = ["bar_15m", "bar_1d", "bar_1h", "bar_1m", "bar_5m", "eod", "quote_latest"]


class Shared:
    """A pipeline of two days whose gold is shared, and the profiles of those who may read it."""

    def __init__(self, folder, store=None):
        morning = lambda day: datetime(2019, 2, day, 12, tzinfo=timezone.utc)
        market = Market(morning(12))
        arguments = ["--symbols", 3, "--days", 3, "--first-date", "2019-02-11"]
        self.vendor = Vendor(folder, market, arguments)
        self.folder, self.port = folder, free_port()
        self.pipeline = Pipeline(
            folder, self.vendor, "2019-02-11", http={"bind": f"127.0.0.1:{self.port}"},
        )
        if store:
            self.pipeline.sections.update(store.sections())
            self.pipeline.environment.update(store.environment)
            self.pipeline.lake, self.pipeline.lake_options = store.lake, store.lake_options
        self.pipeline.sections["serve.sharing"] = {"enabled": True}
        self.pipeline.sections["serve.sharing.shares"] = {"daily": "gold.bar_1d, silver.eod"}
        self.pipeline.drain()
        settle(self.vendor, self.pipeline, morning(13))
        self.profiles = {
            "desk": self.token("desk", "market"), "daily": self.token("daily", "daily"),
            "both": self.token("both", "market", "daily"),
        }
        self.profiles["gone"] = self.token("gone", "market", expires="1s")
        self.server = self.pipeline.start("serve")
        self.server.line("console")

    def token(self, name, *shares, expires="90d"):
        """Lets the command make a token; keeps its line in the settings and returns the profile."""
        arguments = [part for share in shares for part in ("--share", share)]
        code, output, errors = self.pipeline.run(
            "sharing", "token", "--name", name, *arguments, "--expires", expires,
            "--output", "json",
        )
        assert code == 0, errors
        made = json.loads(output)
        assert made["setting"]["path"] == f"serve.sharing.tokens.{name}"
        assert made["profile"]["bearerToken"] not in made["setting"]["value"]
        tokens = self.pipeline.sections.setdefault("serve.sharing.tokens", {})
        tokens[name] = made["setting"]["value"]
        return made["profile"]

    def profile(self, name="desk"):
        path = self.folder / f"{name}.share"
        path.write_text(json.dumps(self.profiles[name]))
        return path

    def url(self, table, name="desk", share="market"):
        return f"{self.profile(name)}#{share}.{table}"

    def load(self, table, is_delta=False, **options):
        return delta_sharing.load_as_pandas(
            self.url(table), use_delta_format=is_delta, **options
        )

    def table(self, name, **options):
        place = f"{self.pipeline.lake}/{name.replace('.', '/')}"
        return DeltaTable(place, storage_options=self.pipeline.lake_options, **options)

    def stop(self):
        code, _ = self.server.terminate()
        assert code == 0
        self.vendor.stop()

    def ask(self, method, path, body=None, token=None, headers=()):
        """One request by hand: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        token = token or self.profiles["desk"]["bearerToken"]
        given = {"Authorization": f"Bearer {token}", **dict(headers)}
        if body is not None:
            body, given["Content-Type"] = json.dumps(body), "application/json; charset=utf-8"
        connection.request(method, f"/delta-sharing{path}", body=body, headers=given)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    def query(self, table, body, **options):
        """The lines of a query's answer."""
        schema, name = table.split(".")
        path = f"/shares/market/schemas/{schema}/tables/{name}/query"
        status, headers, content = self.ask("POST", path, body, **options)
        assert status == 200, content
        return headers, [json.loads(line) for line in content.splitlines()]

    def files(self, table, body):
        return [line["file"] for line in self.query(table, body)[1][2:]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    shared = Shared(tmp_path_factory.mktemp("sharing"))
    yield shared
    shared.stop()


def rows(arrow):
    return sorted(arrow.to_pylist(), key=str)


def same_rows(found, table, where="true"):
    """Compares what a client has read with what delta-rs reads from the folder: every value."""
    arrow = table.to_pyarrow_table()
    sql = duckdb.connect()
    sql.execute("SET TimeZone = 'UTC'")
    kept = sql.from_arrow(arrow).filter(where).arrow()
    expected = pa.table(kept).cast(arrow.schema)
    assert list(found.columns) == expected.column_names
    got = pa.Table.from_pandas(found, schema=expected.schema, preserve_index=False)
    assert expected.num_rows and rows(got) == rows(expected)


def test_shares_schemas_and_tables_are_listed(shared):
    client = delta_sharing.SharingClient(shared.profile("both"))
    assert [share.name for share in client.list_shares()] == ["daily", "market"]
    market = client.list_shares()[1]
    assert [schema.name for schema in client.list_schemas(market)] == ["gold"]
    schema = client.list_schemas(market)[0]
    assert [table.name for table in client.list_tables(schema)] == GOLD
    names = lambda tables: [f"{table.share}.{table.schema}.{table.name}" for table in tables]
    assert names(client.list_all_tables()) == [
        "daily.gold.bar_1d", "daily.silver.eod", *[f"market.gold.{name}" for name in GOLD],
    ]
    alone = delta_sharing.SharingClient(shared.profile("daily"))
    assert names(alone.list_all_tables()) == ["daily.gold.bar_1d", "daily.silver.eod"]


def test_lists_come_in_pages(shared):
    for path, key in [("/shares/market/all-tables", "name"), ("/shares/MARKET/schemas/Gold/tables", "name")]:
        seen, token = [], ""
        while token is not None:
            more = f"&pageToken={urllib.parse.quote(token)}" if token else ""
            status, headers, content = shared.ask("GET", f"{path}?maxResults=3{more}")
            assert status == 200 and headers["Content-Type"].startswith("application/json")
            page = json.loads(content)
            assert len(page["items"]) <= 3
            seen += [item[key] for item in page["items"]]
            token = page.get("nextPageToken")
        assert seen == GOLD
    status, _, content = shared.ask("GET", "/shares/Market")
    assert status == 200 and json.loads(content) == {"share": {"name": "market"}}


@FORMATS
@pytest.mark.parametrize("name", ["bar_1m", "bar_1d", "eod", "quote_latest"])
def test_every_value_arrives(shared, name, is_delta):
    same_rows(shared.load(f"gold.{name}", is_delta), shared.table(f"gold.{name}"))


@FORMATS
def test_a_limit_brings_no_more_than_that(shared, is_delta):
    found = shared.load("gold.bar_1m", is_delta, limit=7)
    assert len(found) == 7
    whole = rows(shared.table("gold.bar_1m").to_pyarrow_table())
    schema = shared.table("gold.bar_1m").to_pyarrow_table().schema
    for row in rows(pa.Table.from_pandas(found, schema=schema, preserve_index=False)):
        assert row in whole
    assert len(shared.files("gold.bar_1m", {"limitHint": 7})) == 1
    assert shared.files("gold.bar_1m", {"limitHint": 0}) == []


DAY = {"op": "column", "name": "session_date", "valueType": "date"}


def on_day(day):
    return {"op": "equal", "children": [DAY, {"op": "literal", "value": day, "valueType": "date"}]}


@FORMATS
def test_json_predicates_bring_the_files_of_a_day(shared, is_delta):
    found = shared.load("gold.bar_1m", is_delta, jsonPredicateHints=json.dumps(on_day("2019-02-12")))
    where = "session_date = DATE '2019-02-12'"
    same_rows(found, shared.table("gold.bar_1m"), where)
    both = {"op": "not", "children": [on_day("2019-02-12")]}
    found = shared.load("gold.bar_1m", is_delta, jsonPredicateHints=json.dumps(both))
    same_rows(found, shared.table("gold.bar_1m"), f"NOT {where}")


@pytest.mark.parametrize(
    ("hint", "where"),
    [
        ("session_date = '2019-02-11'", "session_date = '2019-02-11'"),
        ("session_date > '2019-02-11'", "session_date > '2019-02-11'"),
        ("ts_start >= '2019-02-12T00:00:00Z'", "ts_start >= TIMESTAMPTZ '2019-02-12 00:00:00Z'"),
        ("symbol = 'no such symbol'", "false"),
        ("close > 0", "true"),
        ("what is this", "true"),
    ],
)
def test_hints_leave_out_files_and_never_a_row(shared, hint, where):
    """No row that matches is in a file that was left out; of days that cannot match, no file is sent."""
    table = shared.table("gold.bar_1m")
    sql = duckdb.connect()
    sql.execute("SET TimeZone = 'UTC'")
    bars = sql.from_arrow(table.to_pyarrow_table())
    wanted = {str(day) for (day,) in bars.filter(where).project("session_date").distinct().fetchall()}
    files = shared.files("gold.bar_1m", {"predicateHints": [hint]})
    sent = {file["partitionValues"]["session_date"] for file in files}
    assert wanted <= sent
    if hint.startswith(("session_date", "ts_start", "symbol")):
        assert sent == wanted


def test_old_versions_are_read_by_number_and_by_time(shared):
    newest = shared.table("gold.bar_1m").version()
    client = delta_sharing.SharingClient(shared.profile())
    assert delta_sharing.get_table_version(shared.url("gold.bar_1m")) == newest
    assert client.list_shares()
    moments = {
        entry["version"]: datetime.fromtimestamp(entry["timestamp"] / 1000, timezone.utc)
        for entry in shared.table("gold.bar_1m").history()
    }
    for version in (1, newest - 1, newest):
        old = shared.table("gold.bar_1m", version=version)
        for is_delta in (False, True):
            same_rows(shared.load("gold.bar_1m", is_delta, version=version), old)
        headers, lines = shared.query("gold.bar_1m", {"version": version})
        assert headers["Delta-Table-Version"] == str(version)
        assert {line["file"]["version"] for line in lines[2:]} == {version}
    # The store's clock, which decides, is a moment behind the one in the log's entry.
    end = max(moments.values()) + timedelta(seconds=5)
    headers, _ = shared.query("gold.bar_1m", {"timestamp": end.isoformat()})
    assert headers["Delta-Table-Version"] == str(newest)
    before = min(moments.values()) - timedelta(hours=1)
    path = "/shares/market/schemas/gold/tables/bar_1m"
    since = urllib.parse.quote(before.isoformat())
    status, headers, _ = shared.ask("GET", f"{path}/version?startingTimestamp={since}")
    assert (status, headers["Delta-Table-Version"]) == (200, "0")
    for body in ({"version": newest + 1}, {"timestamp": before.isoformat()}):
        status, _, content = shared.ask("POST", f"{path}/query", body)
        assert status == 400, content
        assert json.loads(content)["errorCode"] == "INVALID_PARAMETER_VALUE"


def test_headers_say_version_and_format(shared):
    path = "/shares/market/schemas/gold/tables/bar_1d"
    newest = str(shared.table("gold.bar_1d").version())
    for method, end in [("GET", "/version"), ("HEAD", ""), ("GET", "/metadata")]:
        status, headers, _ = shared.ask(method, path + end)
        assert (status, headers["Delta-Table-Version"]) == (200, newest), end
    capabilities = "delta-sharing-capabilities"
    for asked, told, key in [
        (None, None, "minReaderVersion"),
        ("responseformat=delta", "responseformat=delta", "deltaProtocol"),
        ("responseformat=delta,parquet;readerfeatures=deletionvectors", "responseformat=parquet",
         "minReaderVersion"),
    ]:
        headers, lines = shared.query("gold.bar_1d", {}, headers={capabilities: asked} if asked else {})
        assert headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
        assert (headers["Delta-Table-Version"], headers[capabilities]) == (newest, told)
        assert key in lines[0]["protocol"], lines[0]
        assert all(list(line) == ["file"] for line in lines[2:]) and lines[2:]


def test_shared_tables_are_plain_delta_that_every_client_reads(shared):
    """Reader version 1: no deletion vectors, no column mapping, no times without a zone."""
    for name in GOLD:
        table = shared.table(f"gold.{name}")
        assert table.protocol().min_reader_version == 1, name
        headers = {"delta-sharing-capabilities": "responseformat=delta"}
        _, lines = shared.query(f"gold.{name}", {}, headers=headers)
        assert lines[0]["protocol"]["deltaProtocol"]["minReaderVersion"] == 1
        assert "readerFeatures" not in lines[0]["protocol"]["deltaProtocol"]
        metadata = lines[1]["metaData"]["deltaMetadata"]
        assert not any("columnMapping" in key for key in metadata["configuration"])
        plain = {"string", "date", "timestamp", "integer", "long", "boolean"}
        for field in json.loads(metadata["schemaString"])["fields"]:
            assert field["type"] in plain or field["type"].startswith("decimal"), field


def test_files_are_read_in_ranges_and_by_nobody_who_was_not_given_the_address(shared):
    file = shared.files("gold.bar_1d", {})[0]
    address = urllib.parse.urlsplit(file["url"])
    lifetime = file["expirationTimestamp"] / 1000 - datetime.now(timezone.utc).timestamp()
    assert 0 < lifetime <= 15 * 60

    def fetch(query=address.query, path=address.path, method="GET", **headers):
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        connection.request(method, f"{path}?{query}", headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    status, headers, whole = fetch()
    assert status == 200 and len(whole) == file["size"] == int(headers["Content-Length"])
    assert pq.read_table(io.BytesIO(whole)).num_rows == json.loads(file["stats"])["numRecords"]
    status, headers, part = fetch(Range="bytes=-8")
    assert (status, part) == (206, whole[-8:]) and part.endswith(b"PAR1")
    assert headers["Content-Range"] == f"bytes {len(whole) - 8}-{len(whole) - 1}/{len(whole)}"
    status, headers, part = fetch(Range="bytes=4-13")
    assert (status, part, headers["Content-Length"]) == (206, whole[4:14], "10")
    status, headers, _ = fetch(Range=f"bytes={len(whole)}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
    status, headers, nothing = fetch(method="HEAD")
    assert (status, nothing, int(headers["Content-Length"])) == (200, b"", len(whole))
    assert headers["Accept-Ranges"] == "bytes"

    given = dict(urllib.parse.parse_qsl(address.query))
    later = {**given, "se": str(int(given["se"]) + 3600)}
    other = address.path.replace("gold.bar_1d", "silver.bar")
    log = address.path.rsplit("/files/", 1)[0] + "/files/gold.bar_1d/_delta_log/00000000000000000000.json"
    for query, path in [
        ("", address.path), (urllib.parse.urlencode(later), address.path),
        (address.query, other), (address.query, log), (address.query, address.path + "x"),
    ]:
        status, _, content = fetch(query, path)
        assert status == 403, (path, content)
        assert json.loads(content)["errorCode"] == "PERMISSION_DENIED"


def test_addresses_are_good_across_a_restart(shared):
    url = shared.files("gold.bar_1d", {})[0]["url"]
    code, _ = shared.server.terminate()
    assert code == 0
    shared.server = shared.pipeline.start("serve")
    shared.server.line("console")
    assert pq.read_table(io.BytesIO(urllib.request.urlopen(url, timeout=60).read())).num_rows


def test_tokens_are_refused_when_wrong_or_expired_and_never_logged(shared):
    wrong = "mls_" + "a" * 43
    status, headers, content = shared.ask("GET", "/shares", token=wrong)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert json.loads(content)["errorCode"] == "UNAUTHENTICATED"
    until("end of the token", lambda: datetime.now(timezone.utc) > datetime.fromisoformat(
        shared.profiles["gone"]["expirationTime"].replace("Z", "+00:00")))
    status, _, content = shared.ask("GET", "/shares", token=shared.profiles["gone"]["bearerToken"])
    assert status == 401 and "expired" in json.loads(content)["message"]
    shared.profiles["wrong"] = {**shared.profiles["desk"], "bearerToken": wrong}
    for name in ("gone", "wrong"):
        with pytest.raises(HTTPError) as refused:
            delta_sharing.SharingClient(shared.profile(name)).list_shares()
        assert "401" in str(refused.value) or "expired" in str(refused.value)
    answers = [shared.ask("GET", "/shares", token=wrong)[0] for _ in range(30)]
    assert 429 in answers, "wrong tokens are limited in rate"
    assert shared.ask("GET", "/shares")[0] == 200, "good ones are not"
    # The folders of tests that passed are gone, with the logs in them.
    log = "".join(process.errors() for process in Process.started if process.log.exists())
    assert "refused an unknown sharing token" in log and "recipient=\"gone\"" in log
    assert wrong not in log
    for profile in shared.profiles.values():
        assert profile["bearerToken"] not in log
        assert profile["bearerToken"] not in shared.pipeline.settings().read_text()


def test_what_is_not_shared_does_not_exist(shared):
    table = "/shares/{}/schemas/{}/tables/{}"
    for share, schema, name in [
        ("market", "silver", "bar"), ("market", "bronze", "intraday"), ("market", "gold", "none"),
        ("daily", "gold", "bar_1d"), ("none", "gold", "bar_1d"),
    ]:
        path = table.format(share, schema, name)
        for method, end, body in [
            ("GET", "/version", None), ("GET", "/metadata", None), ("POST", "/query", {}),
            ("GET", "/changes?startingVersion=0", None),
        ]:
            status, _, content = shared.ask(method, path + end, body)
            assert status == 404, (path, content)
            assert json.loads(content)["errorCode"] == "RESOURCE_DOES_NOT_EXIST"
        assert shared.ask("HEAD", path)[0] == 404
    with pytest.raises(HTTPError, match="404"):
        shared.load("silver.bar")
    assert shared.ask("GET", "/shares/daily")[0] == 404
    assert shared.ask("GET", "/nothing")[0] == 404
    status, _, content = shared.ask("GET", "/shares/%FF")
    assert (status, json.loads(content)["errorCode"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_table_without_change_data_says_so(shared):
    with pytest.raises(HTTPError, match="change data feed"):
        delta_sharing.load_table_changes_as_pandas(shared.url("gold.bar_1d"), starting_version=0)


def test_pages_elsewhere_and_other_methods_are_kept_out(shared):
    status, _, content = shared.ask("GET", "/shares", headers={"Sec-Fetch-Site": "cross-site"})
    assert (status, json.loads(content)["errorCode"]) == (403, "CROSS_SITE")
    status, _, content = shared.ask("GET", "/shares", headers={"Host": "rebound.example"})
    assert (status, json.loads(content)["errorCode"]) == (421, "HOST_NOT_ALLOWED")
    for method in ("POST", "PUT", "DELETE"):
        status, _, content = shared.ask(method, "/shares", {})
        assert (status, json.loads(content)["errorCode"]) == (405, "METHOD_NOT_ALLOWED")
    path = "/shares/market/schemas/gold/tables/bar_1d/query"
    status, headers, _ = shared.ask("GET", path)
    assert (status, headers["Allow"]) == (405, "POST")
    status, _, content = shared.ask(
        "POST", path, {"predicateHints": ["x" * 300_000]},
    )
    assert (status, json.loads(content)["errorCode"]) == (413, "REQUEST_TOO_LARGE")


class Store:
    """A lake in a service, opened with a key from the environment."""

    def __init__(self, kind):
        self.id = f"t{secrets.token_hex(4)}"
        self.prefix = f"{BUCKET}/{self.id}/lake"
        self.options, self.lake, self.lake_options = getattr(self, kind)()
        self.environment = {
            "MARKETLAKE_SECRET_LAKE_KEY": AZURE_KEY if kind == "azure" else MINIO_KEY,
            "MARKETLAKE_SECRET_LAKE_USER": MINIO_USER,
        }

    def s3(self):
        options = {
            "aws_endpoint": address("S3"), "aws_region": "us-east-1", "allow_http": True,
            "aws_access_key_id": "{{secrets/env/lake-user}}",
            "aws_secret_access_key": "{{secrets/env/lake-key}}",
        }
        opens = {
            "aws_endpoint": address("S3"), "aws_region": "us-east-1", "allow_http": "true",
            "aws_access_key_id": MINIO_USER, "aws_secret_access_key": MINIO_KEY,
        }
        self.url, self.host = f"s3://{self.prefix}", address("S3")
        return options, self.url, opens

    def azure(self):
        options = {
            "azure_storage_endpoint": address("AZURE"), "allow_http": True,
            "azure_storage_account_name": AZURE_ACCOUNT,
            "azure_storage_account_key": "{{secrets/env/lake-key}}",
        }
        opens = {
            "azure_storage_account_name": AZURE_ACCOUNT, "azure_storage_account_key": AZURE_KEY,
            "azure_storage_use_emulator": "true",
        }
        self.url, self.host = f"az://{self.prefix}", address("AZURE")
        # delta-rs for Python takes the first part of a path behind `az://` for something else.
        return options, f"abfs://{self.prefix}", opens

    def sections(self):
        return {"lake": {"url": self.url}, "lake.options": self.options}


@pytest.mark.xdist_group("real services")
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_files_of_a_store_come_from_the_store(tmp_path, kind):
    """MinIO and Azurite hand files out to who has an address that was signed for them."""
    store = Store(kind)
    shared = Shared(tmp_path, store)
    for is_delta in (False, True):
        same_rows(shared.load("gold.bar_1d", is_delta), shared.table("gold.bar_1d"))
    file = shared.files("gold.bar_1d", {})[0]
    assert file["url"].startswith(store.host + "/")
    with urllib.request.urlopen(file["url"], timeout=60) as answer:
        whole = answer.read()
    assert len(whole) == file["size"]
    request = urllib.request.Request(file["url"], headers={"Range": "bytes=4-13"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert (answer.status, answer.read()) == (206, whole[4:14])
    place, _, query = file["url"].partition("?")
    for url, method in [(place, "GET"), (place + "x?" + query, "GET"), (file["url"], "DELETE")]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60)
        assert refused.value.code in (401, 403, 404), url
    key = store.environment["MARKETLAKE_SECRET_LAKE_KEY"]
    assert key not in file["url"] and key not in shared.server.errors()
    status, _, content = shared.ask("GET", "/files/gold.bar_1d/x?se=1&sig=x")
    assert status == 404, content
    shared.stop()


def test_without_the_setting_nothing_is_shared(tmp_path, shared):
    pipeline = Pipeline(tmp_path, shared.vendor, "2019-02-11")
    pipeline.data = shared.pipeline.data
    server = pipeline.start("serve")
    url = server.line("console") + "delta-sharing/shares"
    request = urllib.request.Request(
        url, headers={"Authorization": f"Bearer {shared.profiles['desk']['bearerToken']}"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 404
    assert json.loads(refused.value.read())["errorCode"] == "FEATURE_DISABLED"
    server.terminate()
