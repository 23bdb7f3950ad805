"""How long a trigger waits for a snapshot, with many users and a job under load.

The job is asked for one snapshot after the other by its signal, so that each meets running commits and
compactions. What a trigger can wait for is the copying (docs/recovery.md, S1), which the job logs.
"""

import os
import re
import signal
import time

from . import Failure
from .job import Job, check_counts
from .measure import percentile, refuse_memory

CLICKS_PER_USER = 1.5
LOAD_PER_SECOND = 20_000
TRIGGER_MS = 200
PATIENCE_S = 60
TAKEN_LINE = re.compile(r"snapshot of batch (\d+) taken in ([0-9.]+) ms")
LIMIT_MS = 50


def taken(job):
    found = [TAKEN_LINE.search(line) for _, line in job.log_lines()]
    return [float(match[2]) for match in found if match]


def ask(job, so_far):
    """One snapshot more than `so_far`."""
    os.kill(job.pid, signal.SIGUSR1)
    deadline = time.monotonic() + PATIENCE_S
    while len(taken(job)) <= so_far:
        job.check_alive()
        if time.monotonic() > deadline:
            raise Failure(f"no snapshot within {PATIENCE_S} s of the signal")
        time.sleep(0.02)


def wait_for_a_commit(job):
    """Before it has taken over its signals, the one for a snapshot would end the job."""
    deadline = time.monotonic() + PATIENCE_S
    while not job.commits():
        job.check_alive()
        if time.monotonic() > deadline:
            raise Failure(f"no commit within {PATIENCE_S} s")
        time.sleep(0.02)


def measure(options, kafka, binaries, scratch):
    disk = refuse_memory(scratch)
    checkpoint = scratch / "snapshots"
    topic = kafka.new_topic(round(options.users * CLICKS_PER_USER), options.users, "--clicks", 1,
                            replication=1)
    with Job(binaries, kafka, topic, checkpoint, "--sink", "none", "--trigger", "500 ms") as job:
        job.wait_until_settled()
        job.stop()
    with Job(binaries, kafka, topic, checkpoint, "--existing", "--sink", "none", "--trigger",
             f"{TRIGGER_MS} ms", "--snapshot-interval", "1 hour") as job:
        load = kafka.produce_in_background(
            topic, "--users", options.users, "--rate", LOAD_PER_SECOND, "--events", 0, "--seed", 5)
        try:
            wait_for_a_commit(job)
            for number in range(options.snapshots):
                ask(job, number)
        finally:
            load.send_signal(signal.SIGINT)
            if load.wait(PATIENCE_S) != 0:
                raise Failure("the producer of the load failed")
        job.wait_until_settled()
        commits = [c.ended_s - c.began_s for c in job.commits()]
        times = taken(job)
        job.stop()
    state = check_counts(binaries, checkpoint, topic)
    return {
        "users": state["users"], "snapshots": len(times), "disk": disk,
        "load_events_per_second": LOAD_PER_SECOND, "trigger_ms": TRIGGER_MS,
        "taken_ms": {"p50": percentile(times, 0.5), "max": max(times)},
        "commit_beside_ms": {"p50": round(percentile(commits, 0.5) * 1e3, 2),
                             "max": round(max(commits) * 1e3, 1)},
        "holds": {"no_trigger_waits_50_ms": max(times) < LIMIT_MS}}
