"""The job that clicktally replaces, on a topic of the bench: run by spark.py under PySpark.

    spark_job.py BOOTSTRAP TOPIC CHECKPOINT

Counts everything that is in the topic in one giant batch, Spark's best case, and prints one line of
JSON: the sum of the counts, the number of users, and the CPU seconds that it took.
"""

import json
import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, count, from_json, sum as total
from pyspark.sql.types import (IntegerType, LongType, StringType, StructField, StructType,
                               TimestampType)

SCHEMA = StructType([
    StructField("user_id", IntegerType()), StructField("timestamp", TimestampType()),
    StructField("page_url", StringType()), StructField("action", StringType()),
    StructField("duration_ms", LongType())])


def cpu_seconds(pid):
    """User and system time so far; nobody waits for the JVM, so nobody else can tell."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    bootstrap, topic, checkpoint = sys.argv[1:]
    spark = SparkSession.builder.master("local[2]").appName("clicks").config(
        "spark.sql.shuffle.partitions", 2).config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    events = spark.readStream.format("kafka").option("kafka.bootstrap.servers", bootstrap).option(
        "subscribe", topic).option("startingOffsets", "earliest").load()
    counts = events.select(from_json(col("value").cast("string"), SCHEMA).alias("event")).select(
        "event.*").filter(col("action") == "click").groupBy("user_id").agg(
            count("*").alias("total_clicks"))
    sums = []

    def add(rows, _batch):
        sums.append(rows.agg(total("total_clicks"), count("*")).first())

    counts.writeStream.outputMode("update").foreachBatch(add).option(
        "checkpointLocation", checkpoint).trigger(availableNow=True).start().awaitTermination()
    assert len(sums) == 1, "more than one batch: a user may stand in several"
    cpu = cpu_seconds("self") + cpu_seconds(spark._jvm.java.lang.ProcessHandle.current().pid())
    print(json.dumps({"clicks": sums[0][0], "users": sums[0][1], "cpu_seconds": round(cpu, 1)}))


main()
