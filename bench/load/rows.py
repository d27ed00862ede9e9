"""The rows of the benchmark: end-of-day prices as the vendor writes them, made from a seed.

Numbers are made as whole numbers of their smallest unit, and written from there. So what a correct
table holds is known exactly, and no float has a say in it. None has more than fifteen digits: whoever
reads numbers as doubles first can still be exact.
"""

import json
import random
from datetime import date, timedelta
from typing import NamedTuple

TEXT, MOMENT, DECIMAL = "text", "moment", "decimal"


class Column(NamedTuple):
    name: str
    kind: str
    precision: int = 0
    scale: int = 0

    @property
    def ddl(self):
        """The type as Spark writes it."""
        return {TEXT: "STRING", MOMENT: "TIMESTAMP"}.get(self.kind) or f"DECIMAL({self.precision},{self.scale})"


def price(name):
    return Column(name, DECIMAL, 18, 6)


def adjusted(name):
    return Column(name, DECIMAL, 20, 10)


def volume(name):
    return Column(name, DECIMAL, 20, 4)


def text(name):
    return Column(name, TEXT)


# In the vendor's order, with the types that the pipeline gives them.
COLUMNS = [
    price("open"), price("high"), price("low"), price("close"), volume("volume"),
    adjusted("adj_high"), adjusted("adj_low"), adjusted("adj_close"), adjusted("adj_open"),
    volume("adj_volume"), adjusted("split_factor"), adjusted("dividend"),
    text("name"), text("exchange_code"), text("asset_type"), text("price_currency"),
    text("symbol"), text("exchange"), Column("date", MOMENT),
]
DDL = ", ".join(f"{column.name} {column.ddl}" for column in COLUMNS)

FIRST_DAY = date(2020, 1, 1)
SYMBOLS = 2_000
EXCHANGES = [("NASDAQ", "XNAS", "usd"), ("NYSE", "XNYS", "USD"), ("LSE", "XLON", "GBP"), ("XETRA", "XETR", "eur")]
MICROS_PER_DAY = 86_400_000_000
CENT = 10_000
# What stands in names, so that a decoder has to know JSON's escapes and more than ASCII.
ENDINGS = ["", "", "", "", " \"A\"", " São Paulo", " 1\\2", " ½ €"]


def number(unscaled, scale):
    """A number as the vendor writes it: 228.46, and 1.0 rather than 1."""
    if unscaled is None:
        return "null"
    whole, fraction = divmod(unscaled, 10**scale)
    return f"{whole}.{f'{fraction:0{scale}}'.rstrip('0') or '0'}"


class Instrument:
    """What all rows of one symbol share."""

    def __init__(self, index):
        code, mic, currency = EXCHANGES[index % len(EXCHANGES)]
        # A few of everything are unknown to the vendor.
        asset_type = None if index % 17 == 0 else "ETF" if index % 5 == 0 else "Stock"
        name = None if index % 29 == 0 else f"Instrument {index:04} ordinary shares{ENDINGS[index % len(ENDINGS)]}"
        self.texts = [name, code, asset_type, currency, f"SYM{index:04}", mic]
        names = [column.name for column in COLUMNS if column.kind == TEXT]
        is_ascii = index // len(ENDINGS) % 2 == 0
        written = [json.dumps(value, ensure_ascii=is_ascii) for value in self.texts]
        self.json = ",".join(f'"{key}":{value}' for key, value in zip(names, written))


INSTRUMENTS = [Instrument(index) for index in range(SYMBOLS)]
NUMBERS = [(f'"{column.name}":', column.scale) for column in COLUMNS if column.kind == DECIMAL]


def make_row(chance, index):
    """The values of row `index`, as a list in the order of COLUMNS, and the row's line of JSON."""
    instrument = INSTRUMENTS[index % SYMBOLS]
    day = index // SYMBOLS
    low = chance.randrange(100, 90_000) * CENT
    spread = chance.randrange(1, 500) * CENT
    if chance.random() < 0.1:
        # Some venues quote finer than cents.
        low += chance.randrange(CENT)
    open_, close = low + chance.randrange(spread), low + chance.randrange(spread)
    open_, close, high = open_ - open_ % CENT, close - close % CENT, low + spread
    low = min(low, open_, close)
    shares = chance.randrange(100_000_000) * 10_000
    if chance.random() < 0.02:
        shares += chance.randrange(10_000)
    # Ten thousandths, so that a price of six decimals becomes one of ten.
    factor = chance.randrange(5_000, 10_001)
    dividend = chance.randrange(1, 20_000) * 1_000_000 if chance.random() < 0.01 else 0
    split = chance.choice([2, 4, 10]) if chance.random() < 0.01 else 1
    adjusted_prices = [high * factor, low * factor, close * factor, open_ * factor]
    adjusted_shares = shares
    if chance.random() < 0.03:
        # So the vendor writes what it has not adjusted yet.
        adjusted_prices = [None, None, close * 10_000, None]
        adjusted_shares = None
    numbers = [
        open_, high, low, close, shares, *adjusted_prices, adjusted_shares, split * 10_000_000_000, dividend,
    ]
    moment = FIRST_DAY + timedelta(days=day)
    written = ",".join([key + number(value, scale) for (key, scale), value in zip(NUMBERS, numbers)])
    line = f'{{{written},{instrument.json},"date":"{moment.isoformat()}T00:00:00+0000"}}\n'
    micros = (moment - date(1970, 1, 1)).days * MICROS_PER_DAY
    return [*numbers, *instrument.texts, micros], line


def make_file(seed, first, count):
    """Rows `first` to `first + count`: their values column by column, and their text.

    The same rows whatever file they are in, and whichever were made before.
    """
    chance = random.Random(f"{seed} {first}")
    rows, lines = zip(*(make_row(chance, index) for index in range(first, first + count)))
    return dict(zip((column.name for column in COLUMNS), map(list, zip(*rows)))), "".join(lines)
