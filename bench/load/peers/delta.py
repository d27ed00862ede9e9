"""Appends Arrow data to a Delta table with the package `deltalake`, for peers that cannot themselves."""

from deltalake import WriterProperties, write_deltalake

from .job import ZSTD_LEVEL

WRITER = WriterProperties(compression="ZSTD", compression_level=ZSTD_LEVEL)


def append(table, data):
    """Creates the table with the first rows. Takes a stream, so that not all of them are in memory."""
    write_deltalake(table, data, mode="append", writer_properties=WRITER)
