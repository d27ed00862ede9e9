"""pyarrow reads, and writes Parquet itself or Delta through `deltalake`."""

import io
import os

import pyarrow
import pyarrow.json
import pyarrow.parquet

from ..rows import COLUMNS, DECIMAL, TEXT
from . import delta
from .job import ZSTD_LEVEL, run


def arrow_type(column):
    if column.kind == TEXT:
        return pyarrow.string()
    if column.kind == DECIMAL:
        return pyarrow.decimal128(column.precision, column.scale)
    return pyarrow.timestamp("us", "UTC")


SCHEMA = pyarrow.schema([(column.name, arrow_type(column)) for column in COLUMNS])
PARSE = pyarrow.json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="error")
# Small files are read together: each alone would pay for a reader and a row group of its own.
TOGETHER_BYTES = 16 << 20


def texts(paths, packing):
    """The files' text, in pieces of whole lines."""
    piece, size = [], 0
    for path in paths:
        with pyarrow.input_stream(path, compression=None if packing == "none" else packing) as stream:
            piece.append(stream.read())
        size += len(piece[-1])
        if TOGETHER_BYTES <= size:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


def work(job, files):
    pyarrow.set_cpu_count(job.cores)
    reading = pyarrow.json.ReadOptions(use_threads=1 < job.cores, block_size=4 << 20)
    paths = sorted(entry.path for entry in os.scandir(job.source)) if files is None else files
    batches = (
        batch
        for text in texts(paths, job.packing)
        for batch in pyarrow.json.read_json(io.BytesIO(text), reading, PARSE).select(SCHEMA.names).to_batches()
    )
    if job.writes == "delta":
        return delta.append(job.table, pyarrow.RecordBatchReader.from_batches(SCHEMA, batches))
    with pyarrow.parquet.ParquetWriter(
        f"{job.table}/rows.parquet", SCHEMA, compression="zstd", compression_level=ZSTD_LEVEL,
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)


run(work)
