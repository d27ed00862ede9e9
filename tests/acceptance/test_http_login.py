"""The HTTP port as others see it: a certificate, a login, and what each role reads there."""

import base64
import contextlib
import http.client
import json
import shlex
import socket
import ssl
import subprocess
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

import pytest

from certificates import Authority
from guarded import DESK, refuses, role, settings
from harness import Process, until

pytestmark = pytest.mark.xdist_group("http login")

CANARY = "cnry4Tz8Kd1Ws6Hq9Bn2"
# Of the whole port.
CONNECTIONS_MAX = 256


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server that other machines could reach: everybody has to log in, though the settings ask for
    no login."""
    folder = tmp_path_factory.mktemp("login")
    authority = Authority(folder / "authority.pem")
    authority.sign(folder / "cert.pem", folder / "key.pem")
    password, lines = role(folder, "--tables", "gold.quote_latest")
    path = settings(folder, **{
        "http": {"bind": "0.0.0.0:0"},
        "http.tls": {"cert_file": f"{folder}/cert.pem", "key_file": f"{folder}/key.pem"},
        f"postgres.roles.{DESK}": lines,
    })
    process = Process("serve", ["--config", path, "serve"], folder)
    console = urlsplit(process.line("console"))
    assert console.scheme == "https"
    words = shlex.split(process.line("SQL"))
    user = words[words.index("-U") + 1]
    main = dict(word.split("=", 1) for word in words if "=" in word)["PGPASSWORD"]
    yield SimpleNamespace(
        folder=folder, authority=authority, process=process, port=console.port, user=user,
        passwords={user: main, DESK: password}, audit=folder / "data" / "serve" / "audit.jsonl",
    )
    code, seconds = process.terminate()
    assert code == 0 and seconds < 10, f"exit {code} after {seconds:.1f} s"


def get(served, path, user=None, password=None, authority=None, headers=(), **query):
    """Python's own client, which checks the certificate; status, headers and body."""
    context = ssl.create_default_context(cafile=(authority or served.authority).file)
    connection = http.client.HTTPSConnection("localhost", served.port, timeout=120, context=context)
    fields = dict(headers)
    if user:
        shown = f"{user}:{password or served.passwords[user]}"
        fields["Authorization"] = f"Basic {base64.b64encode(shown.encode()).decode()}"
    connection.request("GET", f"{path}?{urlencode(query)}" if query else path, headers=fields)
    answer = connection.getresponse()
    try:
        # Parquet is no text, and nothing but its status is looked at.
        return answer.status, answer.headers, answer.read().decode(errors="replace")
    finally:
        connection.close()


def curl(served, path, *arguments):
    """The status that curl is told, and why it failed."""
    command = [
        "curl", "--silent", "--show-error", "--max-time", "60", "--output", "/dev/null",
        "--write-out", "%{http_code}", "--cacert", str(served.authority.file), *arguments,
        f"https://localhost:{served.port}{path}",
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return run.stdout, run.stderr


def test_clients_check_the_certificate_and_log_in(served, tmp_path):
    assert curl(served, "/api/v1/health")[0] == "200"
    assert curl(served, "/api/v1/status")[0] == "401"
    known = ("--user", f"{served.user}:{served.passwords[served.user]}")
    for version in (("--tlsv1.2", "--tls-max", "1.2"), ("--tlsv1.3",)):
        assert curl(served, "/api/v1/status", *known, *version)[0] == "200"
    stranger = Authority(tmp_path / "stranger.pem")
    code, why = curl(served, "/api/v1/status", *known, "--cacert", str(stranger.file))
    assert code == "000" and "certificate" in why, (code, why)
    status, headers, _ = get(served, "/")
    assert status == 401 and headers["WWW-Authenticate"].startswith("Basic realm=")
    status, headers, page = get(served, "/", served.user)
    assert status == 200 and "<html" in page


def test_nothing_travels_in_the_clear(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.request("GET", "/api/v1/health")
        connection.getresponse()


def test_a_wrong_password_is_refused_and_not_repeated(served):
    for user, password in ((served.user, CANARY), ("nobody", served.passwords[served.user])):
        status, _, body = get(served, "/api/v1/status", user, password)
        assert (status, json.loads(body)["error"]["code"]) == (401, "login_required")
        assert password not in body
    assert CANARY not in served.process.errors()


def test_a_role_reads_one_table_and_sees_no_other(served):
    ask = lambda sql: get(served, "/api/v1/query", DESK, sql=sql)
    status, _, body = ask("SELECT current_user, count(*) FROM gold.quote_latest")
    assert status == 200 and json.loads(body.splitlines()[1]) == [DESK, "0"]
    status, _, body = ask("SELECT * FROM silver.bar")
    assert (status, json.loads(body)["error"]["sqlstate"]) == (422, "42P01")
    tables = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = "
    _, _, body = ask(f"{tables} 'gold' OR table_schema = 'silver' OR table_schema = 'bi'")
    assert [json.loads(line) for line in body.splitlines()[1:-1]] == [["gold", "quote_latest"]]
    for table, wanted in (("gold.quote_latest", 200), ("gold.bar_1d", 404)):
        for form in ("csv", "parquet", "json"):
            status, *_ = get(served, f"/api/v1/tables/{table}", DESK, format=form)
            assert status == wanted, (table, form)
    assert get(served, "/api/v1/stream", DESK)[0] == 403
    _, _, body = get(served, "/api/v1/status", DESK)
    assert [table["name"] for table in json.loads(body)["tables"]] in ([], ["gold.quote_latest"])
    assert get(served, "/api/v1/tables/gold.bar_1d", served.user)[0] == 200


def test_a_page_elsewhere_gets_nothing_by_the_password_of_its_visitor(served):
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert get(served, "/api/v1/status", served.user, headers=foreign)[0] == 403
    assert get(served, "/", served.user, headers={"Host": "rebound.example"})[0] == 421


def test_the_audit_says_who_asked_what_and_repeats_no_value(served):
    get(served, "/api/v1/query", DESK, sql=f"SELECT symbol FROM gold.quote_latest WHERE symbol = '{CANARY}'",
        headers={"User-Agent": "audited"})
    text = served.audit.read_text()
    for secret in (CANARY, *served.passwords.values()):
        assert secret not in text
    events = [json.loads(line) for line in text.splitlines()]
    assert all(event["door"] == "http" and event["address"] == "127.0.0.1" for event in events)
    logins = [event for event in events if event["event"] == "login"]
    assert all(event["encrypted"] for event in logins)
    assert [event["code"] for event in logins if event["role"] == "nobody"] == ["28P01"]
    # A password is checked once, not with every request.
    assert len([event for event in logins if event["role"] == DESK and event["outcome"] == "ok"]) == 1
    wanted = "select symbol from gold . quote_latest where symbol = ?"
    (read,) = [event for event in events if event.get("statement") == wanted]
    assert (read["role"], read["application"], read["outcome"], read["rows"]) == (DESK, "audited", "ok", 0), read
    (hidden,) = [event for event in events if event.get("statement") == "select * from silver . bar"]
    assert (hidden["role"], hidden["outcome"], hidden["code"]) == (DESK, "refused", "42P01"), hidden


def test_a_renewed_certificate_is_shown_without_a_restart(served):
    renewed = Authority(served.folder / "renewed.pem")
    renewed.sign(served.folder / "cert.pem", served.folder / "key.pem")

    def is_shown():
        try:
            return get(served, "/api/v1/health", authority=renewed)[0] == 200
        except ssl.SSLCertVerificationError:
            return False

    until("new certificate", is_shown, every=0.5)
    served.authority = renewed


def test_a_login_on_this_machine_is_asked_for_where_the_settings_say_so(folder):
    path = settings(folder, http={"bind": "127.0.0.1:0", "login": True}, **{"postgres.tls": {}})
    process = Process("serve", ["--config", path, "serve"], folder)
    console = urlsplit(process.line("console"))
    for path, wanted in (("/", 401), ("/metrics", 401), ("/api/v1/health", 200)):
        connection = http.client.HTTPConnection(console.netloc, timeout=60)
        connection.request("GET", path)
        assert connection.getresponse().status == wanted, path
        connection.close()
    assert process.terminate()[0] == 0


def test_other_machines_are_not_served_without_a_certificate(folder):
    refuses(folder, settings(folder, http={"bind": "0.0.0.0:0", "login": True}, **{"postgres.tls": {}}),
            "http.bind", "other machines", "http.tls.cert_file")
    refuses(folder, settings(folder, **{"postgres.tls": {}, "http.tls": {"cert_file": "/c.pem"}}),
            "http.tls.key_file", "TLS needs both")


def test_sockets_that_say_nothing_do_not_keep_others_out(served):
    context = ssl.create_default_context(cafile=served.authority.file)
    known = http.client.HTTPSConnection("localhost", served.port, timeout=120, context=context)
    shown = base64.b64encode(f"{served.user}:{served.passwords[served.user]}".encode()).decode()

    def ask():
        known.request("GET", "/api/v1/status", headers={"Authorization": f"Basic {shown}"})
        answer = known.getresponse()
        answer.read()
        return answer.status

    with contextlib.ExitStack() as silent:
        silent.callback(known.close)
        assert ask() == 200
        # More than the port has places.
        for _ in range(CONNECTIONS_MAX + 4):
            silent.enter_context(socket.create_connection(("localhost", served.port), timeout=60))
        status, *_ = get(served, "/api/v1/status", DESK)
        assert status == 200
        assert ask() == 200, "who is known makes no room"
