"""Npgsql's conversation with a server, message by message, on a bare socket.

Power BI Desktop carries Npgsql 4.0.17 and cannot be run here. What it writes, in which order and in
how many writes, is known; this says the same and insists on the answers that Npgsql insists on.
"""

import base64
import hashlib
import hmac
import os
import shlex
import socket
import struct
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

PATIENCE = 120
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSSENC_REQUEST = struct.pack("!ii", 8, 80877104)
TEXT, BINARY = 0, 1
# What .NET's `decimal` can hold.
DECIMAL_DIGITS = 28


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def text(value):
    return value.encode() + b"\0"


def query(sql):
    """A statement of the simple protocol, as a pool's reset is."""
    return message(b"Q", text(sql))


def unnamed(sql, results):
    """Parse, Bind, Describe and Execute without names, as Npgsql writes what is not prepared."""
    parse = message(b"P", text("") + text(sql) + struct.pack("!h", 0))
    bind = message(b"B", text("") + text("") + struct.pack("!hhhh", 0, 0, 1, results))
    return parse + bind + message(b"D", b"P" + text("")) + message(b"E", text("") + struct.pack("!i", 0))


def prepared(name, sql):
    """What `Prepare` writes: Parse and Describe of a named statement."""
    return message(b"P", text(name) + text(sql) + struct.pack("!h", 0)) + message(b"D", b"S" + text(name))


def executed(name):
    bind = message(b"B", text("") + text(name) + struct.pack("!hhhh", 0, 0, 1, BINARY))
    return bind + message(b"E", text("") + struct.pack("!i", 0))


SYNC = message(b"S")


class Refused(AssertionError):
    """The server said no."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')}: {fields.get('M')}")
        self.code = fields.get("C")


@dataclass
class Result:
    """One statement's answer."""

    columns: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    tag: str = ""

    @property
    def names(self):
        return [name for name, _, _ in self.columns]

    @property
    def oids(self):
        return [oid for _, oid, _ in self.columns]

    def dicts(self):
        return [dict(zip(self.names, row)) for row in self.rows]


class Npgsql:
    """A connection, opened as Npgsql opens it."""

    def __init__(self, command, **parameters):
        words = shlex.split(command)
        option = lambda name: words[words.index(name) + 1]
        self.user, self.database = option("-U"), words[-1]
        self.password = next(word for word in words if word.startswith("PGPASSWORD=")).split("=", 1)[1]
        self.parameters, self.told = parameters, {}
        self.socket = socket.create_connection((option("-h"), int(option("-p"))), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def open(self, encryption=(SSL_REQUEST,)):
        for request in encryption:
            self.write(request)
            # One byte and no more: what comes behind it would be an attack.
            assert self.socket.recv(16) == b"N"
        startup = {
            "user": self.user, "client_encoding": "UTF8", "database": self.database, **self.parameters,
        }
        body = struct.pack("!i", 196608) + b"".join(text(k) + text(v) for k, v in startup.items()) + b"\0"
        self.write(struct.pack("!i", len(body) + 4) + body)
        self.authenticate()
        while True:
            kind, body = self.read()
            if kind == b"S":
                name, value, _ = body.decode().split("\0")
                self.told[name] = value
            elif kind == b"K":
                assert len(body) == 8
            else:
                assert (kind, body) == (b"Z", b"I"), (kind, body)
                return self

    def authenticate(self):
        """SCRAM-SHA-256, as the only mechanism; Npgsql names no user in it and binds no channel."""
        kind, body = self.read()
        assert kind == b"R" and body[:4] == struct.pack("!i", 10), (kind, body)
        assert b"SCRAM-SHA-256" in body[4:].split(b"\0"), body
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f"n=*,r={nonce}"
        initial = f"n,,{first}".encode()
        self.write(message(b"p", text("SCRAM-SHA-256") + struct.pack("!i", len(initial)) + initial))
        kind, body = self.read()
        assert kind == b"R" and body[:4] == struct.pack("!i", 11), (kind, body)
        challenge = body[4:].decode()
        server = dict(part.split("=", 1) for part in challenge.split(","))
        assert server["r"].startswith(nonce) and server["r"] != nonce
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(server["s"]), int(server["i"]),
        )
        sign = lambda key, words: hmac.digest(key, words.encode(), "sha256")
        key = sign(salted, "Client Key")
        final = f"c=biws,r={server['r']}"
        proved = f"{first},{challenge},{final}"
        signature = sign(hashlib.sha256(key).digest(), proved)
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        self.write(message(b"p", f"{final},p={proof}".encode()))
        kind, body = self.read()
        if kind == b"E":
            raise Refused(fields_of(body))
        assert kind == b"R" and body[:4] == struct.pack("!i", 12), (kind, body)
        expected = base64.b64encode(sign(sign(salted, "Server Key"), proved)).decode()
        assert body[4:].decode() == f"v={expected}"
        assert self.read() == (b"R", struct.pack("!i", 0))

    def write(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next message but notices, which Npgsql passes by."""
        while True:
            while len(self.buffer) < 5 or len(self.buffer) < 1 + struct.unpack("!i", self.buffer[1:5])[0]:
                received = self.socket.recv(65536)
                assert received, f"the server closed the connection; unread: {self.buffer!r}"
                self.buffer += received
            end = 1 + struct.unpack("!i", self.buffer[1:5])[0]
            kind, body, self.buffer = self.buffer[:1], self.buffer[5:end], self.buffer[end:]
            if kind != b"N":
                return kind, body

    def refused(self, body):
        """Npgsql reads on to the end of the batch before it throws."""
        while self.read()[0] != b"Z":
            pass
        return Refused(fields_of(body))

    def expect(self, wanted):
        kind, body = self.read()
        if kind == b"E":
            raise self.refused(body)
        assert kind == wanted, f"{kind} instead of {wanted}"
        return body

    def read_ready(self):
        return self.expect(b"Z").decode()

    def read_rows(self, result, results):
        """Rows up to the end of the statement; each has as many values as there are columns."""
        while True:
            kind, body = self.read()
            if kind == b"D":
                values = list(values_of(body))
                assert len(values) == len(result.columns), (values, result.columns)
                oids = result.oids if results == BINARY else [None] * len(values)
                result.rows.append([decode(oid, value) for oid, value in zip(oids, values)])
            elif kind == b"C":
                result.tag = body[:-1].decode()
                return result
            else:
                raise self.refused(body) if kind == b"E" else AssertionError(f"{kind} among rows")

    def read_unnamed(self, results):
        """The answer to `unnamed`, in exactly this order."""
        assert self.expect(b"1") == b"" and self.expect(b"2") == b""
        result = Result(columns=columns_of(self.expect(b"T"), results))
        return self.read_rows(result, results)

    def run(self, sql, before=b"", results=BINARY):
        """One statement, and in front of it, in the same write, what a pool puts there."""
        self.write(before + unnamed(sql, results) + SYNC)
        if before:
            self.read_reset()
        result = self.read_unnamed(results)
        assert self.read_ready() == "I"
        return result

    def read_reset(self):
        """The answer to `DISCARD ALL`, which Npgsql reads first."""
        assert self.expect(b"C") == text("DISCARD ALL")
        assert self.read_ready() == "I"

    def simple(self, sql):
        """Statements of the simple protocol; returns a result for each."""
        self.write(query(sql))
        results, columns = [], []
        while True:
            kind, body = self.read()
            if kind == b"T":
                columns = columns_of(body, TEXT)
                results.append(self.read_rows(Result(columns), TEXT))
            elif kind == b"C":
                results.append(Result(tag=body[:-1].decode()))
            elif kind == b"Z":
                return results
            elif kind == b"E":
                raise self.refused(body)
            else:
                raise AssertionError(f"{kind} in answer to {sql}")

    def close(self):
        self.write(message(b"X"))
        self.socket.close()


def fields_of(body):
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def columns_of(body, results):
    """Name, type and modifier of each column; the format is the one that was asked for."""
    (count,), at, columns = struct.unpack("!h", body[:2]), 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        _, _, oid, _, modifier, form = struct.unpack("!ihihih", body[end + 1:end + 19])
        assert form == results, f"`{body[at:end]}` comes in format {form}"
        columns.append((body[at:end].decode(), oid, modifier))
        at = end + 19
    assert at == len(body)
    return columns


def values_of(body):
    (count,), at = struct.unpack("!h", body[:2]), 2
    for _ in range(count):
        (length,) = struct.unpack("!i", body[at:at + 4])
        yield None if length < 0 else body[at + 4:at + 4 + length]
        at += 4 + max(length, 0)
    assert at == len(body)


def decode(oid, value):
    """A value as .NET sees it; without a type, its text."""
    if value is None:
        return None
    if oid is None:
        return value.decode()
    return DECODERS[oid](value)


def numeric(value):
    digits, weight, sign, scale = struct.unpack("!hhHh", value[:8])
    assert sign in (0, 0x4000), "NaN is no decimal"
    number = sum(
        Decimal(digit).scaleb(4 * (weight - index))
        for index, (digit,) in enumerate(struct.iter_unpack("!h", value[8:]))
    )
    assert digits * 2 == len(value) - 8
    number = Decimal(number).quantize(Decimal(1).scaleb(-scale))
    assert len(number.as_tuple().digits) <= DECIMAL_DIGITS, f"{number} is too long for .NET"
    return -number if sign else number


def unpack(form):
    return lambda value: struct.unpack(form, value)[0]


def array(value):
    dimensions, _, oid = struct.unpack("!iii", value[:12])
    if not dimensions:
        return []
    (count, _), at, items = struct.unpack("!ii", value[12:20]), 20, []
    for _ in range(count):
        (length,) = struct.unpack("!i", value[at:at + 4])
        items.append(None if length < 0 else decode(oid, value[at + 4:at + 4 + length]))
        at += 4 + max(length, 0)
    return items


DECODERS = {
    16: lambda value: {b"\0": False, b"\1": True}[value],
    18: bytes.decode, 19: bytes.decode, 25: bytes.decode, 1043: bytes.decode,
    20: unpack("!q"), 21: unpack("!h"), 23: unpack("!i"), 26: unpack("!I"),
    700: unpack("!f"), 701: unpack("!d"),
    22: array, 30: array, 1002: array, 1003: array, 1005: array, 1007: array, 1009: array, 1016: array,
    1028: array,
    1082: lambda value: date(2000, 1, 1) + timedelta(days=unpack("!i")(value)),
    1114: lambda value: datetime(2000, 1, 1) + timedelta(microseconds=unpack("!q")(value)),
    1184: lambda value: datetime(2000, 1, 1) + timedelta(microseconds=unpack("!q")(value)),
    1700: numeric,
}
