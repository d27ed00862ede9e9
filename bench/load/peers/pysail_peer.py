"""pysail, a server of Spark's protocol without Spark, reads and writes Parquet and Delta itself."""

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from ..rows import DDL
from .job import ZSTD_LEVEL, run


def start():
    server = SparkConnectServer(port=0)
    server.start(background=True)
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://localhost:{port}").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return server, session


def work(job, files):
    reader = SESSION.read.schema(DDL)
    if job.packing != "none":
        reader = reader.option("compression", job.packing)
    rows = reader.json(job.source if files is None else files)
    writer = rows.write.format(job.writes).mode("append")
    if job.writes == "parquet":
        writer = writer.option("compression", f"zstd({ZSTD_LEVEL})")
    writer.save(job.table)


SERVER, SESSION = start()
run(work)
SESSION.stop()
SERVER.stop()
