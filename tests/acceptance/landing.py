"""Reads landing objects as anybody could: zstd, one JSON object a line."""

import json
from functools import lru_cache

import pyarrow


@lru_cache(maxsize=None)
def lines(path):
    with pyarrow.input_stream(str(path), compression="zstd") as stream:
        return stream.read().decode().splitlines()


def row_at(landing, file, number):
    """The vendor's row in line `number` of a landing object, numbers kept as text."""
    return canonical(json.loads(lines(landing / file)[number - 1], parse_float=str, parse_int=str)["data"])


def canonical(row):
    return json.dumps(row, sort_keys=True)
