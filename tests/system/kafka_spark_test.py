"""A team moves over: the job that clicktally replaces counts on a real cluster with Spark 3.5, is
stopped, exported and imported, clicktally goes on, and the counts are exact (I1 over the move).

Skipped where Spark is not installed: tools/spark-oracle --python installs PySpark, and the first run of
tools/bench with Spark its Kafka package. The first test reads a small checkpoint of real Spark that is
kept in the repository, and needs neither.
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
PACKAGE = "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.0"
PACKAGE_JAR = Path.home() / ".ivy2/jars/org.apache.spark_spark-sql-kafka-0-10_2.12-3.5.0.jar"
SAMPLE = Path(__file__).resolve().parent / "data" / "spark35"

# The reference job, in small batches and with snapshots of its state in between.
JOB = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, count, from_json
bootstrap, topic, checkpoint = sys.argv[1:]
spark = (SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", 2)
         .config("spark.ui.enabled", "false")
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


def spark_export(test, checkpoint, folder):
    """The files of counts and offsets."""
    counts, offsets = folder / "counts.csv", folder / "offsets.json"
    done = subprocess.run(
        [ROOT / "tools" / "spark-export", checkpoint, "--counts", counts, "--offsets", offsets],
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
    def test_a_topic_counted_by_spark_is_gone_on_with_to_the_click(self):
        if not (CACHE / "spark-oracle" / "installed").exists() or not PACKAGE_JAR.exists():
            self.skipTest("Spark and its Kafka package are not installed on this machine")
        kafka = clicktally.RealKafka(25392, "auto.create.topics.enable=false")
        self.addCleanup(kafka.stop)
        folder = clicktally.temporary_folder(self)
        draw = clicktally.seeded_random()
        truth = collections.Counter()

        def send_some(count):
            users = [draw.choice([None, -2147483648, 2147483647, *range(-100, 400)])
                     for _ in range(count)]
            views = [json.dumps({"user_id": 1, "action": "view"}).encode()] * 50 + [b"no json"]
            send(kafka.bootstrap, "clicks", [click(user) for user in users] + views)
            truth.update("" if user is None else str(user) for user in users)

        kafka("topic", "create", "clicks")
        spark = folder / "spark"
        for _ in range(2):
            send_some(2000)
            done = subprocess.run(
                [PYTHON, "-c", JOB, kafka.bootstrap, "clicks", spark], stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=600, check=False,
                env=dict(os.environ, PYSPARK_PYTHON=str(PYTHON), PYSPARK_SUBMIT_ARGS=(
                    f"--packages {PACKAGE} --driver-memory 1g pyspark-shell")))
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        counts, offsets = spark_export(self, spark, folder)
        self.assertTrue(list((spark / "state/0/0").glob("*.snapshot")), "Spark made no snapshot")
        if keep := os.environ.get("CLICKTALLY_KEEP_SPARK_CHECKPOINT"):
            subprocess.run(["cp", "-r", spark, keep], check=True)
            Path(keep, "truth.json").write_text(json.dumps(
                {"counts": truth, "offsets": json.loads(offsets.read_text())}, sort_keys=True))
        done = inspect("import", folder / "checkpoint", "--from", counts, "--offsets", offsets)
        self.assertEqual(done.code, 0, f"{done}")
        assert_counts(self, export(self, folder / "checkpoint"), truth)
        send_some(1000)
        drain(self, kafka.bootstrap, folder / "checkpoint", topic="clicks", limit_s=120)
        assert_counts(self, export(self, folder / "checkpoint"), truth)


if __name__ == "__main__":
    unittest.main()
