"""The SQL port as others see it: who gets in, over which connection, to what, and what is kept of it."""

import asyncio
import json
import shlex
import ssl
from types import SimpleNamespace

import asyncpg
import psycopg
import pytest

import psql
from certificates import Authority
from guarded import DESK, refuses, role, settings
from harness import Process, until

pytestmark = pytest.mark.xdist_group("safety")

CANARY = "cnry7Qf3kZp9Xw2Lr5Vt8"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safety")
    authority = Authority(folder / "authority.pem")
    authority.sign(folder / "cert.pem", folder / "key.pem")
    password, lines = role(folder, "--tables", "bi, gold.quote_latest")
    path = settings(folder, **{f"postgres.roles.{DESK}": {**lines, "connections_max": 2}})
    process = Process("serve", ["--config", path, "serve"], folder)
    command = process.line("SQL")
    words = shlex.split(command)
    main = dict(word.split("=", 1) for word in words if "=" in word)["PGPASSWORD"]
    yield SimpleNamespace(
        folder=folder, authority=authority, command=command, process=process,
        port=int(words[words.index("-p") + 1]), user=words[words.index("-U") + 1],
        passwords={words[words.index("-U") + 1]: main, DESK: password},
        audit=folder / "data" / "serve" / "audit.jsonl",
    )
    code, seconds = process.terminate()
    assert code == 0 and seconds < 10, f"exit {code} after {seconds:.1f} s"


def connect(served, user=None, **options):
    """psycopg, as strict as it can be."""
    user = user or served.user
    wishes = {
        "host": "localhost", "hostaddr": "127.0.0.1", "port": served.port, "dbname": "marketlake",
        "user": user, "password": served.passwords[user], "sslmode": "verify-full",
        "sslrootcert": str(served.authority.file), "channel_binding": "require",
        "application_name": "safety", **options,
    }
    wishes = {name: value for name, value in wishes.items() if value is not None}
    return psycopg.connect(**wishes, autocommit=True)


def answer(served, **options):
    with connect(served, **options) as connection:
        return connection.execute("SELECT 40 + 2").fetchone()[0]


def test_drivers_connect_with_tls_and_check_the_certificate(served):
    assert answer(served) == 42
    # What PostgreSQL 17 brought: a round trip less.
    assert answer(served, sslnegotiation="direct") == 42
    for version in ("TLSv1.2", "TLSv1.3"):
        assert answer(served, ssl_min_protocol_version=version, ssl_max_protocol_version=version) == 42
    context = ssl.create_default_context(cafile=served.authority.file)
    # With `direct_tls` asyncpg leaves it to the caller to name the protocol.
    context.set_alpn_protocols(["postgresql"])

    async def ask(**options):
        connection = await asyncpg.connect(
            host="localhost", port=served.port, user=served.user, database="marketlake",
            password=served.passwords[served.user], ssl=context, **options,
        )
        try:
            return await connection.fetchval("SELECT 40 + 2")
        finally:
            await connection.close()

    assert asyncio.run(ask()) == 42
    assert asyncio.run(ask(direct_tls=True)) == 42


def test_the_printed_command_still_works(served):
    code, output, errors = psql.run(served.command, "-Atc", "SELECT 40 + 2")
    assert (code, output.strip()) == (0, "42"), errors


def test_a_server_that_is_not_known_gets_no_password(served, tmp_path):
    stranger = Authority(tmp_path / "stranger.pem")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        connect(served, sslrootcert=str(stranger.file))


def test_a_renewed_certificate_is_shown_without_a_restart(served):
    renewed = Authority(served.folder / "renewed.pem")
    renewed.sign(served.folder / "cert.pem", served.folder / "key.pem")

    def is_shown():
        try:
            return answer(served, sslrootcert=str(renewed.file)) == 42
        except psycopg.OperationalError as error:
            assert "certificate verify failed" in str(error), error
            return False

    until("new certificate", is_shown, every=0.5)
    served.authority = renewed


def test_a_role_reads_what_it_was_granted(served):
    with connect(served, user=DESK) as desk:
        assert desk.execute("SELECT count(*) FROM bi.bars_daily").fetchone() == (0,)
        assert desk.execute("SELECT count(*) FROM gold.quote_latest").fetchone() == (0,)
        for table in ("gold.bar_1m", "silver.bar", "bronze.intraday", "marketlake.silver.bar"):
            with pytest.raises(psycopg.errors.UndefinedTable):
                desk.execute(f"SELECT * FROM {table}")
        schemas = desk.execute("SELECT DISTINCT table_schema FROM information_schema.tables").fetchall()
        assert {name for (name,) in schemas} <= {"bi", "gold", "pg_catalog", "information_schema"}
        with connect(served, user=DESK), pytest.raises(psycopg.OperationalError, match="for role"):
            connect(served, user=DESK)


ENDLESS = "generate_series(1, 1000000000000)"
# Each with the codes it may be refused with. Nothing here may touch a file, the network, a table or
# a bound of the engine.
DENIED = [
    ("COPY (SELECT 1) TO '{file}'", "42501"),
    ("COPY (SELECT 1) TO PROGRAM 'touch {file}'", "42501"),
    ("COPY gold.bar_1d FROM STDIN", "25006"),
    ("COPY gold.bar_1d FROM '/etc/passwd'", "25006"),
    ("CREATE EXTERNAL TABLE t (a int) STORED AS csv LOCATION 'file:///etc/'", "25006"),
    ("CREATE EXTERNAL TABLE t STORED AS parquet LOCATION 'http://169.254.169.254/'", "25006"),
    ("CREATE TABLE t AS SELECT 1", "25006"),
    ("CREATE VIEW v AS SELECT * FROM silver.bar", "25006"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "25006"),
    ("DROP TABLE gold.bar_1d", "25006"),
    ("ALTER ROLE desk PASSWORD '{canary}'", "25006"),
    ("GRANT ALL ON gold.bar_1d TO desk", "25006"),
    ("INSERT INTO gold.bar_1d (symbol) VALUES ('X')", "25006"),
    ("UPDATE gold.bar_1d SET close = 0", "25006"),
    ("DELETE FROM gold.bar_1d", "25006"),
    ("TRUNCATE gold.bar_1d", "25006"),
    ("WITH x AS (DELETE FROM gold.bar_1d RETURNING *) SELECT * FROM x", "25006"),
    ("SELECT * INTO gold.t FROM gold.bar_1d", "25006"),
    ("EXPLAIN ANALYZE INSERT INTO gold.bar_1d (symbol) VALUES ('X')", "0A000"),
    ("PREPARE p AS DROP TABLE gold.bar_1d", "0A000"),
    ("EXECUTE p", "0A000"),
    ("DO $$ BEGIN END $$", "0A000"),
    ("CALL f()", "0A000"),
    ("LOAD '{file}'", "0A000"),
    ("SELECT * FROM '/etc/passwd'", "42P01"),
    ('SELECT * FROM "/etc/passwd"', "42P01"),
    ('SELECT * FROM "file:///etc/passwd"', "42P01"),
    ('SELECT * FROM "http://169.254.169.254/"', "42P01"),
    ("SELECT * FROM read_csv('/etc/passwd')", "42883 42P01 0A000 42000"),
    ("SELECT * FROM read_parquet('{file}')", "42883 42P01 0A000 42000"),
    ("SELECT pg_read_file('/etc/passwd')", "42883"),
    ("SELECT pg_ls_dir('/')", "42883"),
    ("SELECT lo_import('/etc/passwd')", "42883"),
    ("SELECT getenv('PATH')", "42883"),
    ("SELECT pg_sleep(3600)", "42883"),
    ("SELECT pg_terminate_backend(1)", "42883"),
    ("SET datafusion.runtime.memory_limit = '1T'", "42501"),
    ("SET datafusion.catalog.information_schema = true", "42501"),
    ("SET statement_timeout = 0", "22023"),
    ("SET statement_timeout = '1h'", "22023"),
    ("SET default_transaction_read_only = off", "25006"),
    ("SET SESSION AUTHORIZATION desk", "42501"),
    ("SET ROLE desk", "42501"),
    ("BEGIN READ WRITE", "25006"),
    ("SELECT repeat('x', 1000000000)", "54000"),
    ("SELECT lpad('x', 1000000000)", "54000"),
    (f"SELECT array_agg(x) FROM {ENDLESS} a(x)", "57014 53200 54000"),
    (f"SELECT count(*) FROM {ENDLESS} a, {ENDLESS} b", "57014 53200"),
    ("SELECT " + "(" * 5_000 + "1" + ")" * 5_000, "54001 54000"),
    ("SELECT " + "+".join("1" * 3_000), "54001 54011"),
    ("SELECT '" + "x" * 300_000 + "'", "54000"),
]


@pytest.mark.parametrize("kind", ["simple", "extended"])
def test_what_sql_must_not_do_is_refused(served, kind, tmp_path):
    file = tmp_path / "must-not-exist"
    cursor = psycopg.ClientCursor if kind == "simple" else psycopg.Cursor
    with connect(served, cursor_factory=cursor) as connection:
        connection.execute("SET statement_timeout = '2s'")

        def refusal(sql):
            with pytest.raises(psycopg.Error) as refused:
                # With parameters, or psycopg would take the simple protocol by itself.
                connection.execute(sql) if kind == "simple" else connection.execute(sql, (), binary=True)
            return refused.value.sqlstate

        for text, codes in DENIED:
            sql = text.replace("{file}", str(file)).replace("{canary}", CANARY)
            assert refusal(sql) in codes.split(), sql[:200]
            if kind == "simple":
                assert refusal(f"SELECT 1; {sql}") in codes.split(), sql[:200]
        # And nothing happened.
        assert connection.execute("SELECT count(*) FROM gold.bar_1d").fetchone() == (0,)
        names = "SELECT 1 FROM pg_class WHERE relname IN ('t', 'v')"
        assert connection.execute(names).fetchall() == []
    assert not file.exists()


def test_a_statement_beyond_all_bounds_ends_its_connection_alone(served):
    with connect(served) as other:
        with pytest.raises(psycopg.Error), connect(served) as connection:
            connection.execute("SELECT '" + "x" * 50_000_000 + "'")
        assert other.execute("SELECT 40 + 2").fetchone() == (42,)


def test_the_audit_says_who_did_what_and_repeats_no_value(served):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(served, password=CANARY)
    with connect(served, user=DESK) as desk:
        desk.execute("SELECT symbol FROM bi.dim_symbol WHERE symbol = %s", (CANARY,)).fetchall()
        with pytest.raises(psycopg.Error):
            desk.execute(f"SELECT '{CANARY}' FROM silver.bar")
    text = served.audit.read_text()
    for secret in (CANARY, *served.passwords.values()):
        assert secret not in text
        assert secret not in served.process.errors()
    events = [json.loads(line) for line in text.splitlines()]
    logins = [event for event in events if event["event"] == "login"]
    assert all(event["address"] == "127.0.0.1" and event["door"] == "postgres" for event in events)
    refused = [event for event in logins if event["outcome"] == "refused" and event["code"] == "28P01"]
    assert refused and refused[-1]["role"] == served.user and refused[-1]["application"] == "safety"
    assert any(event["role"] == DESK and event["encrypted"] for event in logins)
    desk = [event for event in events if event["event"] == "statement" and event["role"] == DESK]
    wanted = "select symbol from bi . dim_symbol where symbol = ?"
    (read,) = [event for event in desk if event["statement"] == wanted]
    assert read["outcome"] == "ok" and read["rows"] == 0 and read["duration_us"] > 0, read
    (hidden,) = [event for event in desk if event["statement"] == "select ? from silver . bar"]
    assert (hidden["outcome"], hidden["code"]) == ("refused", "42P01"), hidden
    assert served.audit.stat().st_mode & 0o777 == 0o600


def test_what_would_be_unsafe_does_not_start(folder):
    authority = Authority(folder / "authority.pem")
    authority.sign(folder / "cert.pem", folder / "key.pem")
    exposed = {"bind": "0.0.0.0:0"}
    refuses(
        folder, settings(folder, **{"postgres": exposed, "postgres.tls": {}}),
        "postgres.bind", "other machines", "postgres.tls.cert_file",
    )
    refuses(folder, settings(folder, http=exposed), "http.bind", "other machines")
    path = settings(folder)
    (folder / "key.pem").chmod(0o644)
    refuses(folder, path, "can be read by others", "chmod 600")
    (folder / "key.pem").chmod(0o600)
    authority.sign(folder / "other.pem", folder / "key.pem")
    refuses(folder, path, "cannot be used together")
    (folder / "cert.pem").unlink()
    refuses(folder, path, "postgres.tls.cert_file", "cert.pem")
