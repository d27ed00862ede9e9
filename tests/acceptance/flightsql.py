"""Flight SQL by hand: the messages that pyarrow, which knows Flight only, does not make itself."""

from pyarrow import flight

TYPES = "type.googleapis.com/arrow.flight.protocol.sql."


def number(value):
    """A whole number as protobuf writes it."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(place, value):
    """A field of text or bytes."""
    value = value.encode() if isinstance(value, str) else value
    return number(place << 3 | 2) + number(len(value)) + value


def command(name, *fields):
    """A command with fields of text, counted from 1."""
    value = b"".join(field(place, text) for place, text in enumerate(fields, 1))
    return field(1, TYPES + name) + field(2, value)


class Client:
    """Somebody who is logged in."""

    def __init__(self, url, user, password, **options):
        self.flight = flight.FlightClient(url, **options)
        header, self.token = self.flight.authenticate_basic_token(user, password)
        assert header == b"authorization" and self.token.startswith(b"Bearer ")
        self.options = flight.FlightCallOptions(headers=[(header, self.token)], timeout=60)

    def info(self, name, *fields):
        descriptor = flight.FlightDescriptor.for_command(command(name, *fields))
        return self.flight.get_flight_info(descriptor, self.options)

    def query(self, text):
        return self.read(self.info("CommandStatementQuery", text))

    def read(self, info):
        [endpoint] = info.endpoints
        return self.flight.do_get(endpoint.ticket, self.options)

    def action(self, name, body):
        return list(self.flight.do_action((name, body), self.options))

    def close(self):
        self.flight.close()
