"""How old a record is when the batch that counts it was printed, at a steady load."""

import re

from .job import Job, check_counts
from .measure import percentile

RATE = 50_000
SECONDS = 20
WARM_UP_S = 3
TRIGGER_MS = 100
LIMIT_MS = 150
STEPS = 20  # ages taken between a batch's newest record and the one before's

NEWEST = re.compile(r"batch (\d+): .*newest record (\d+) ms old")
SHOWN = re.compile(r"batch (\d+) emitted")


def ages_ms(lines):
    """Of records spread evenly over the time between the newest records of two batches."""
    newest, emitted = {}, {}
    for at, line in lines:
        if found := NEWEST.search(line):
            newest[int(found[1])] = at - int(found[2]) / 1e3
        elif found := SHOWN.search(line):
            emitted[int(found[1])] = at
    ages = []
    for batch in sorted(newest):
        if batch in emitted and batch - 1 in newest:
            first, last = newest[batch - 1], newest[batch]
            ages += [(emitted[batch] - (first + (last - first) * step / STEPS)) * 1e3
                     for step in range(STEPS)]
    return ages


def measure(options, kafka, binaries, scratch):
    topic = kafka.new_topic(1, options.users)
    checkpoint = scratch / "latency"
    with Job(binaries, kafka, topic, checkpoint, "--output-mode", "update", "--trigger",
             f"{TRIGGER_MS} ms") as job:
        kafka.produce(topic, "--users", options.users, "--rate", RATE, "--events", RATE * SECONDS,
                      "--seed", 2)
        job.wait_until_settled()
        lines = job.log_lines()
        cpu = job.stop()
    check_counts(binaries, checkpoint, topic)
    began = lines[0][0] + WARM_UP_S
    ages = ages_ms([entry for entry in lines if entry[0] > began])
    result = {f"p{share}_ms": round(percentile(ages, share / 100), 1) for share in (50, 90, 99)}
    return {"events_per_second": RATE, "trigger_ms": TRIGGER_MS, "seconds": SECONDS,
            "users": options.users, "cpu_seconds": round(cpu, 2), "age_when_printed": dict(
                result, n=len(ages), max_ms=round(max(ages), 1)),
            "holds": {"p99_at_most_150_ms": result["p99_ms"] <= LIMIT_MS}}
