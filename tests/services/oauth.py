"""A double of what issues tokens for Kafka's OAUTHBEARER: an OpenID provider with one endpoint.

    POST /token     a signed token for a client id and its secret (grant `client_credentials`)
    GET /issued     how many tokens were issued for each scope, as JSON

The broker that takes the tokens is the real one: it checks their signature by the keys of
`oauth.py keys`, their audience, their issuer and their time. The scope decides what is odd about a
token: `lasting-8s` makes it short, `for-another` gives it another audience, `signed-by-another` a
key that the broker does not know.

Usage: oauth.py serve PORT CERTIFICATE KEY FOLDER     FOLDER holds token.key and other.key
       oauth.py keys FOLDER                           prints the public half of token.key as JWKS
"""

import base64
import json
import re
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

SECRETS = {"marketlake": "marketlake-oauth-test", "stranger": "marketlake-oauth-test"}
AUDIENCE = "marketlake-kafka"
KEY_ID = "marketlake-test"
# RSA's usual exponent, which OpenSSL takes: 65537.
EXPONENT = b"\x01\x00\x01"
TOKEN_SECONDS = 3600
BODY_BYTES_MAX = 1 << 16
SIGNING_SECONDS_MAX = 30


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, data=None):
    done = subprocess.run(
        ["openssl", *arguments], input=data, capture_output=True, timeout=SIGNING_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout


def keys(folder):
    modulus = openssl("rsa", "-in", folder / "token.key", "-noout", "-modulus").decode()
    number = bytes.fromhex(modulus.strip().partition("=")[2])
    key = {
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID,
        "n": encoded(number), "e": encoded(EXPONENT),
    }
    return {"keys": [key]}


def new_token(client, scope, issuer, folder):
    now = int(time.time())
    lasting = re.search(r"lasting-(\d+)s", scope)
    seconds = int(lasting[1]) if lasting else TOKEN_SECONDS
    claims = {
        "iss": issuer, "sub": client, "iat": now, "exp": now + seconds, "jti": str(uuid.uuid4()),
        "aud": "somebody-else" if "for-another" in scope else AUDIENCE, "scope": scope,
    }
    header = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    key = "other.key" if "signed-by-another" in scope else "token.key"
    signature = openssl("dgst", "-sha256", "-sign", folder / key, data=text.encode())
    return {
        "access_token": f"{text}.{encoded(signature)}", "token_type": "Bearer",
        "expires_in": seconds, "scope": scope,
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path != "/issued":
            return self.reply(404, {"error": "not_found"})
        with self.server.lock:
            self.reply(200, self.server.issued)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if BODY_BYTES_MAX < length:
            self.close_connection = True
            return self.reply(413, {"error": "invalid_request"})
        form = {name: values[-1] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        if self.path != "/token" or form.get("grant_type") != "client_credentials":
            return self.reply(400, {"error": "unsupported_grant_type"})
        client = self.client()
        if client is None:
            return self.reply(401, {
                "error": "invalid_client",
                "error_description": "The client is not known, or its secret is another one.",
            })
        scope = form.get("scope", "")
        with self.server.lock:
            self.server.issued[scope] += 1
        self.reply(200, new_token(client, scope, self.server.issuer, self.server.folder))

    def client(self):
        """The client's id if its secret is right."""
        scheme, _, credentials = (self.headers.get("Authorization") or "").partition(" ")
        if scheme != "Basic":
            return None
        try:
            client, _, secret = base64.b64decode(credentials).decode().partition(":")
        except ValueError:
            return None
        return client if SECRETS.get(client) == secret else None

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        # In the thread of the request: a client that never speaks TLS must not stop the others.
        request.settimeout(30)
        super().finish_request(self.context.wrap_socket(request, server_side=True), client_address)

    def handle_error(self, request, client_address):
        sys.stderr.write(f"{sys.exc_info()[1]!r}\n")


def serve(port, certificate, key, folder):
    server = Server(("127.0.0.1", int(port)), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(certificate, key)
    server.issuer, server.folder = f"https://localhost:{port}", Path(folder)
    server.issued, server.lock = Counter(), threading.Lock()
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "keys":
        print(json.dumps(keys(Path(sys.argv[2]))))
    else:
        serve(*sys.argv[2:])
