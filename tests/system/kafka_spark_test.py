"""A team moves over: the job that clicktally replaces counts on a real cluster with Spark, is stopped,
exported and imported, clicktally goes on, and the counts are exact (I1 over the move).

Skipped where Spark is not installed. Spark 3.5: tools/spark-oracle --python installs PySpark, and the
first run of tools/bench with Spark its Kafka package. Spark 4: CLICKTALLY_PYSPARK4 names a Python that
has PySpark 4.0; its Kafka package comes from Maven Central. The first tests read a small checkpoint of
real Spark that is kept in the repository, and need neither.
"""

import collections
import csv
import json
import os
import subprocess
import unittest
from pathlib import Path

import clicktally
from clicktally import LIMIT_S, ROOT, assert_counts, click, drain, export, inspect
from raw_producer import send

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clicktally"
PYTHON = CACHE / "spark-oracle" / "bin" / "python"
PYTHON_4 = os.environ.get("CLICKTALLY_PYSPARK4")
PACKAGE = "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.0"
PACKAGE_4 = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0"
PACKAGE_JAR = Path.home() / ".ivy2/jars/org.apache.spark_spark-sql-kafka-0-10_2.12-3.5.0.jar"
SAMPLE = Path(__file__).resolve().parent / "data" / "spark35"

# The reference job, in small batches and with snapshots of its state in between.
JOB = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, count, from_json
bootstrap, topic, checkpoint, provider = sys.argv[1:]
spark = (SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", 2)
         .config("spark.ui.enabled", "false")
         .config("spark.sql.streaming.stateStore.providerClass",
                 f"org.apache.spark.sql.execution.streaming.state.{provider}StateStoreProvider")
         .config("spark.sql.streaming.stateStore.minDeltasForSnapshot", 3)
         .config("spark.sql.streaming.stateStore.maintenanceInterval", "200ms").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
events = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", bootstrap)
          .option("subscribe", topic).option("startingOffsets", "earliest")
          .option("maxOffsetsPerTrigger", 300).load())
counts = (events.select(from_json(col("value").cast("string"), "user_id INT, action STRING")
                        .alias("event")).select("event.*").filter(col("action") == "click")
          .groupBy("user_id").agg(count("*").alias("total_clicks")))
(counts.writeStream.outputMode("complete").format("noop").option("checkpointLocation", checkpoint)
 .trigger(availableNow=True).start().awaitTermination())
"""


def spark_export(test, checkpoint, folder, *flags):
    """The files of counts and offsets."""
    counts, offsets = folder / "counts.csv", folder / "offsets.json"
    done = subprocess.run(
        [ROOT / "tools" / "spark-export", checkpoint, "--counts", counts, "--offsets", offsets, *flags],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    test.assertEqual(done.returncode, 0, done.stderr)
    return counts, offsets


class SampleTest(unittest.TestCase):
    def test_a_checkpoint_of_spark_35_is_read_and_imported_to_the_click(self):
        folder = clicktally.temporary_folder(self)
        counts, offsets = spark_export(self, SAMPLE / "checkpoint", folder)
        with open(counts, encoding="ascii", newline="") as file:
            found = {row["user_id"]: int(row["total_clicks"]) for row in csv.DictReader(file)}
        truth = json.loads((SAMPLE / "truth.json").read_text())
        assert_counts(self, found, truth["counts"])
        self.assertEqual(json.loads(offsets.read_text()), truth["offsets"])
        done = inspect("import", folder / "checkpoint", "--from", counts, "--offsets", offsets)
        self.assertEqual(done.code, 0, f"{done}")
        assert_counts(self, export(self, folder / "checkpoint"), truth["counts"])

    def test_a_checkpoint_that_is_damaged_is_refused_by_the_name_of_the_file(self):
        folder = clicktally.temporary_folder(self)
        subprocess.run(["cp", "-r", SAMPLE / "checkpoint", folder / "damaged"], check=True)
        deltas = (folder / "damaged/state/0/1").glob("*.delta")
        delta = max(deltas, key=lambda path: int(path.stem))
        data = bytearray(delta.read_bytes())
        data[len(data) // 2] ^= 4
        for what in (bytes(data), bytes(data[:len(data) // 3]), b""):
            delta.write_bytes(what)
            done = subprocess.run(
                [ROOT / "tools" / "spark-export", folder / "damaged", "--counts", "-", "--offsets",
                 folder / "offsets"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=LIMIT_S, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, rf"\Aspark-export: [^\n]*{delta.name}[^\n]*\n\Z")


class MoveTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.spark = self.folder / "spark"
        self.draw = clicktally.seeded_random()
        self.truth = collections.Counter()

    def start_kafka(self):
        self.kafka = clicktally.RealKafka(25392, "auto.create.topics.enable=false")
        self.addCleanup(self.kafka.stop)
        self.kafka("topic", "create", "clicks")

    def send(self, count):
        users = [self.draw.choice([None, -2147483648, 2147483647, *range(-100, 400)])
                 for _ in range(count)]
        others = [json.dumps({"user_id": 1, "action": "view"}).encode()] * 50 + [b"no json"]
        send(self.kafka.bootstrap, "clicks", [click(user) for user in users] + others)
        self.truth.update("" if user is None else str(user) for user in users)

    def count_with_spark(self, python, package, provider):
        for _ in range(2):
            self.send(2000)
            done = subprocess.run(
                [python, "-c", JOB, self.kafka.bootstrap, "clicks", self.spark, provider],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
                env=dict(os.environ, PYSPARK_PYTHON=str(python), PYSPARK_SUBMIT_ARGS=(
                    f"--packages {package} --driver-memory 1g pyspark-shell")))
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])

    def go_on_from(self, counts, offsets):
        checkpoint = self.folder / "checkpoint"
        done = inspect("import", checkpoint, "--from", counts, "--offsets", offsets)
        self.assertEqual(done.code, 0, f"{done}")
        assert_counts(self, export(self, checkpoint), self.truth)
        self.send(1000)
        drain(self, self.kafka.bootstrap, checkpoint, topic="clicks", limit_s=120)
        assert_counts(self, export(self, checkpoint), self.truth)

    def test_a_topic_counted_by_spark_35_is_gone_on_with_to_the_click(self):
        if not (CACHE / "spark-oracle" / "installed").exists() or not PACKAGE_JAR.exists():
            self.skipTest("Spark and its Kafka package are not installed on this machine")
        self.start_kafka()
        self.count_with_spark(PYTHON, PACKAGE, "HDFSBacked")
        counts, offsets = spark_export(self, self.spark, self.folder)
        self.assertTrue(list((self.spark / "state/0/0").glob("*.snapshot")), "Spark made no snapshot")
        if keep := os.environ.get("CLICKTALLY_KEEP_SPARK_CHECKPOINT"):
            subprocess.run(["cp", "-r", self.spark, keep], check=True)
            Path(keep, "truth.json").write_text(json.dumps(
                {"counts": self.truth, "offsets": json.loads(offsets.read_text())}, sort_keys=True))
        self.go_on_from(counts, offsets)

    def test_a_topic_counted_by_spark_4_in_rocksdb_is_gone_on_with_to_the_click(self):
        version = PACKAGE_4.rpartition(":")[2]
        has = PYTHON_4 and subprocess.run(
            [PYTHON_4, "-c", "import pyspark; print(pyspark.__version__)"], capture_output=True,
            text=True, check=False).stdout.strip()
        if has != version:
            self.skipTest(f"CLICKTALLY_PYSPARK4 names no Python that has PySpark {version}")
        self.start_kafka()
        self.count_with_spark(PYTHON_4, PACKAGE_4, "RocksDB")
        refused = subprocess.run(
            [ROOT / "tools" / "spark-export", self.spark, "--counts", "-", "--offsets",
             self.folder / "none"], capture_output=True, text=True, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("use --pyspark", refused.stderr)
        self.go_on_from(*spark_export(self, self.spark, self.folder, "--pyspark", PYTHON_4))


if __name__ == "__main__":
    unittest.main()
