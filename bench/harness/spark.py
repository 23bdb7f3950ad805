"""The replaced Spark job and clicktally on the same topic, in one run."""

import json
import os
import subprocess
import time
from pathlib import Path

from . import Failure
from .drain import durable_drain

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.0"
CPU_LIMIT = 0.1  # of Spark's CPU per event


def pyspark_python():
    """The environment that tools/spark-oracle makes, with PySpark 3.5.0 in it."""
    asked = subprocess.run([ROOT / "tools" / "spark-oracle", "--python"], capture_output=True,
                           text=True, stdin=subprocess.DEVNULL, check=False)
    if asked.returncode != 0:
        raise Failure(f"tools/spark-oracle: {(asked.stderr.strip() or 'failed').splitlines()[-1]}")
    return asked.stdout.strip()


def spark_drain(kafka, topic, events, scratch):
    python = pyspark_python()
    command = [python, ROOT / "bench" / "harness" / "spark_job.py", kafka.bootstrap, topic.name,
               scratch / "spark"]
    environment = dict(os.environ, PYSPARK_PYTHON=python, PYSPARK_SUBMIT_ARGS=(
        f"--packages {PACKAGES} --driver-memory 4g pyspark-shell"))
    began = time.monotonic()
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, check=False)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise Failure(f"Spark: {done.stderr.strip().splitlines()[-1]}")
    counted = json.loads(done.stdout.strip().splitlines()[-1])
    return dict(counted, seconds=round(seconds, 1),
                cpu_us_per_event=round(counted["cpu_seconds"] * 1e6 / events, 2),
                events_per_second=round(events / seconds))


def measure(options, kafka, binaries, scratch):
    topic = kafka.new_topic(options.events, options.users)
    warm_up = kafka.new_topic(1000, 10)
    spark_drain(kafka, warm_up, 1000, scratch / "warm-up")  # brings the packages
    spark = spark_drain(kafka, topic, options.events, scratch)
    durable = durable_drain(binaries, kafka, topic, options.events, scratch, 5000)
    if (spark["clicks"], spark["users"]) != (durable["clicks"], durable["users"]):
        raise Failure(f"Spark counted {spark['clicks']} clicks of {spark['users']} users")
    ratio = durable["cpu_us_per_event"] / spark["cpu_us_per_event"]
    return {"events": options.events, "asked_users": options.users, "spark": spark,
            "durable": durable, "ratios": {
                "cpu": round(ratio, 3),
                "rate": round(durable["events_per_second"] / spark["events_per_second"], 1)},
            "holds": {"cpu_at_most_a_tenth_of_sparks": ratio <= CPU_LIMIT}}
