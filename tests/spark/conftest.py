"""Starts Spark once for all cases: it takes longer to start than to load."""

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def session(tmp_path_factory):
    """A session of Spark with Delta Lake that needs nobody else and keeps time in UTC."""
    named = os.environ.get("MARKETLAKE_TEST_SPARK")
    assert named, "MARKETLAKE_TEST_SPARK names the folder of Spark; run scripts/test"
    (packages,) = Path(named).glob("lib/python3*/site-packages")
    sys.path.insert(0, str(packages))
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    jars = ",".join(map(str, sorted(Path(f"{named}-jars").glob("*.jar"))))
    # The Java process that PySpark starts must not find another Spark that somebody has set up.
    for name in ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS"):
        os.environ.pop(name, None)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = {
        "spark.jars": jars,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.extraJavaOptions": (
            f"-Duser.timezone=UTC -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dderby.system.home={folder}"
        ),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        # Cases without a schema are about what Spark infers.
        "spark.sql.streaming.schemaInference": "true",
        # The rest is for speed: tables of some rows, on two cores.
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.stats.collect": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[2]").appName("marketlake tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
