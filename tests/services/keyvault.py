"""A double of Azure Key Vault and of what issues its tokens. It is not the real service.

No package registry has a server for Key Vault, so this one is written from the service's public
REST description, and `test_services.py` holds Microsoft's own client against it. What it keeps is
in memory. On its TLS port:

    PUT, GET, PATCH, DELETE /secrets/{name}, GET /secrets/{name}/{version}, lists in pages
    POST /{tenant}/oauth2/v2.0/token      Entra ID: a token for a client id and its secret
    GET /{tenant}/v2.0/.well-known/openid-configuration   where that is

and on its plain port, as inside a virtual machine or an App Service:

    GET /metadata/identity/oauth2/token   a token for a managed identity

Only tokens of its own are let in, for as long as they last; whoever brings none is told where to
get one. Secrets whose names begin with `forbidden-` and `throttled-` are answered with 403 and 429.

Usage: keyvault.py TLS-PORT PLAIN-PORT CERTIFICATE KEY
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import ssl
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT_ID = "marketlake"
CLIENT_SECRET = "marketlake-keyvault-test"
RESOURCE = "https://vault.azure.net"
SIGNING_KEY = secrets.token_bytes(32)
TOKEN_SECONDS = 3600
PAGE = 25
BODY_BYTES_MAX = 1 << 20
DAYS_UNTIL_PURGED = 90
NAME = re.compile(r"[0-9A-Za-z-]{1,127}")


class Refused(Exception):
    """An answer that is an error, as the service words it."""

    def __init__(self, status, code, message, inner=None, headers=None):
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = {"error": {"code": code, "message": message}}
        if inner:
            self.body["error"]["innererror"] = {"code": inner}


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(text):
    return encoded(hmac.new(SIGNING_KEY, text.encode(), hashlib.sha256).digest())


def new_token(audience):
    header = encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    expires = int(time.time()) + TOKEN_SECONDS
    claims = encoded(json.dumps({"aud": audience, "exp": expires, "jti": str(uuid.uuid4())}).encode())
    return f"{header}.{claims}.{signature(f'{header}.{claims}')}", expires


def is_valid(token):
    text, _, found = token.rpartition(".")
    if not hmac.compare_digest(signature(text).encode(), found.encode()):
        return False
    claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    return claims["aud"] == RESOURCE and time.time() < claims["exp"]


class Vault:
    """Every secret with all its versions, oldest first."""

    def __init__(self, url):
        self.url, self.lock, self.secrets = url, threading.Lock(), {}

    def put(self, name, request):
        if not isinstance(request.get("value"), str):
            raise Refused(400, "BadParameter", "Property value must be a string.")
        now = int(time.time())
        version = uuid.uuid4().hex
        secret = {
            "value": request["value"],
            "id": f"{self.url}/secrets/{name}/{version}",
            "attributes": {
                "enabled": True, **(request.get("attributes") or {}), "created": now, "updated": now,
                "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": DAYS_UNTIL_PURGED,
            },
        }
        for optional in ("contentType", "tags"):
            if optional in request:
                secret[optional] = request[optional]
        self.secrets.setdefault(name, {})[version] = secret
        return secret

    def find(self, name, version=None):
        versions = self.secrets.get(name)
        if not versions or (version and version not in versions):
            shown = f"{name}/{version}" if version else name
            raise Refused(
                404, "SecretNotFound",
                f"A secret with (name/id) {shown} was not found in this key vault.",
            )
        return versions[version] if version else list(versions.values())[-1]

    def get(self, name, version=None):
        secret = self.find(name, version)
        if not secret["attributes"]["enabled"]:
            raise Refused(
                403, "Forbidden", "Operation get is not allowed on a disabled secret.",
                inner="SecretDisabled",
            )
        return secret

    def update(self, name, version, request):
        secret = self.find(name, version)
        secret["attributes"].update(request.get("attributes") or {}, updated=int(time.time()))
        return without_value(secret)

    def delete(self, name):
        secret = self.find(name)
        del self.secrets[name]
        now = int(time.time())
        return without_value(secret) | {
            "recoveryId": f"{self.url}/deletedsecrets/{name}", "deletedDate": now,
            "scheduledPurgeDate": now + DAYS_UNTIL_PURGED * 86_400,
        }

    def page(self, path, items, query):
        """One page of a list, with the way to the next."""
        skip = int(query.get("$skiptoken", "0"))
        size = min(int(query.get("maxresults", PAGE)), PAGE)
        following = skip + size
        link = None
        if following < len(items):
            link = (
                f"{self.url}{path}?api-version={query['api-version']}"
                f"&$skiptoken={following}&maxresults={size}"
            )
        return {"value": items[skip:following], "nextLink": link}

    def names(self, query):
        items = []
        for name in sorted(self.secrets):
            item = without_value(self.find(name))
            # A list names secrets, not their versions.
            items.append(item | {"id": f"{self.url}/secrets/{name}"})
        return self.page("/secrets", items, query)

    def versions(self, name, query):
        self.find(name)
        items = [without_value(secret) for secret in self.secrets[name].values()]
        return self.page(f"/secrets/{name}/versions", items, query)


def without_value(secret):
    return {key: value for key, value in secret.items() if key != "value"}


class Handler(BaseHTTPRequestHandler):
    """What both ports have in common."""

    protocol_version = "HTTP/1.1"

    def handle_any(self):
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        if BODY_BYTES_MAX < length:
            self.close_connection = True
            return self.reply(413, {"error": {"code": "RequestEntityTooLarge", "message": ""}})
        self.body = self.rfile.read(length)
        try:
            self.reply(200, self.answer(url.path))
        except Refused as refused:
            self.reply(refused.status, refused.body, refused.headers)
        except (ValueError, UnicodeError) as error:
            self.reply(400, {"error": {"code": "BadParameter", "message": str(error)}})

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

    def reply(self, status, body, headers=None):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "x-ms-request-id": str(uuid.uuid4())}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, form, *arguments):
        # Without the query, which may name what nobody should read.
        sys.stderr.write(f"{self.command} {urlsplit(self.path).path} {arguments[1:2]}\n")


class VaultHandler(Handler):
    def answer(self, path):
        token_path = f"/{TENANT}/oauth2/v2.0/token"
        if path == token_path and self.command == "POST":
            return self.issue_token()
        if path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            return self.describe_issuer()
        self.authorize()
        if not re.fullmatch(r"\d+\.\d+(-preview\.\d+)?|20\d\d-\d\d-\d\d", self.query.get("api-version", "")):
            raise Refused(400, "BadParameter", "The required query parameter api-version is missing.")
        with self.server.vault.lock:
            return self.route(path)

    def authorize(self):
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if scheme != "Bearer" or not is_valid(token):
            problem = "AKV10000: Request is missing a Bearer or PoP token."
            if token:
                problem = "AKV10022: Invalid audience, signature or lifetime of the token."
            challenge = (
                f'Bearer authorization="{self.server.vault.url}/{TENANT}", resource="{RESOURCE}"'
            )
            raise Refused(401, "Unauthorized", problem, headers={"WWW-Authenticate": challenge})

    def route(self, path):
        vault = self.server.vault
        parts = path.strip("/").split("/")
        if parts == ["secrets"] and self.command == "GET":
            return vault.names(self.query)
        if parts[0] != "secrets" or not 2 <= len(parts) <= 3 or not NAME.fullmatch(parts[1]):
            raise Refused(400, "BadParameter", "The request URI contains an invalid name.")
        name, version = parts[1], (parts[2] if len(parts) == 3 else None)
        if name.startswith("forbidden-"):
            raise Refused(
                403, "Forbidden", "The caller has no secrets get permission on key vault.",
                inner="ForbiddenByRbac",
            )
        if name.startswith("throttled-"):
            raise Refused(
                429, "Throttled", "Request was not processed because too many requests were received.",
                headers={"Retry-After": "1"},
            )
        match self.command, version:
            case "GET", "versions":
                return vault.versions(name, self.query)
            case "GET", _:
                return vault.get(name, version)
            case "PUT", None:
                return vault.put(name, json.loads(self.body))
            case "PATCH", _:
                return vault.update(name, version, json.loads(self.body))
            case "DELETE", None:
                return vault.delete(name)
        raise Refused(405, "MethodNotAllowed", "This method is not allowed here.")

    def describe_issuer(self):
        """How a client finds its way from the tenant to the token."""
        issuer = f"{self.server.vault.url}/{TENANT}"
        return {
            "issuer": f"{issuer}/v2.0", "token_endpoint": f"{issuer}/oauth2/v2.0/token",
            "authorization_endpoint": f"{issuer}/oauth2/v2.0/authorize",
        }

    def issue_token(self):
        form = {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}
        known = form.get("client_id") == CLIENT_ID and form.get("client_secret") == CLIENT_SECRET
        if form.get("grant_type") != "client_credentials" or not known:
            refused = Refused(401, "", "")
            refused.body = {
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret provided.",
                "error_codes": [7000215],
            }
            raise refused
        token, _ = new_token(form.get("scope", "").removesuffix("/.default"))
        return {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": token}


class IdentityHandler(Handler):
    def answer(self, path):
        # The header is what keeps a redirected or forwarded request from fetching a token.
        has_header = self.headers.get("Metadata") == "true" or self.headers.get("X-IDENTITY-HEADER")
        if path != "/metadata/identity/oauth2/token" or not has_header:
            refused = Refused(400, "", "")
            refused.body = {
                "error": "invalid_request",
                "error_description": "Required metadata header not specified",
            }
            raise refused
        token, expires = new_token(self.query.get("resource", "").rstrip("/"))
        # Numbers are strings here, as they are there.
        return {
            "access_token": token, "token_type": "Bearer", "resource": self.query.get("resource", ""),
            "client_id": CLIENT_ID, "expires_in": str(TOKEN_SECONDS), "expires_on": str(expires),
        }


class Server(ThreadingHTTPServer):
    daemon_threads = True
    context = vault = None

    def finish_request(self, request, client_address):
        # In the thread of the request: a client that never speaks TLS must not stop the others.
        if self.context:
            request.settimeout(30)
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        sys.stderr.write(f"{sys.exc_info()[1]!r}\n")


def main():
    tls_port, plain_port, certificate, key = sys.argv[1:]
    server = Server(("127.0.0.1", int(tls_port)), VaultHandler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(certificate, key)
    server.vault = Vault(f"https://localhost:{tls_port}")
    identity = Server(("127.0.0.1", int(plain_port)), IdentityHandler)
    threading.Thread(target=identity.serve_forever, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
