"""From exec to a batch with a new record committed and printed, after a kill -9 under load."""

import threading
import time

from . import Failure
from .job import Job, check_counts
from .measure import refuse_memory

CLICKS_PER_USER = 1.5
LOAD_PER_SECOND = 20_000
LOAD_S = 2.0
PATIENCE_S = 60
LIMIT_S = 1.5


def watch_for(user):
    """(a callback for the job's output, an event that a row of the user sets, when it came)."""
    seen, at = threading.Event(), []

    def on_output(when, line):
        if line.startswith(f"|{user}") and line[len(str(user)) + 1:].lstrip().startswith("|"):
            at.append(when)
            seen.set()

    return on_output, seen, at


def one_round(options, kafka, binaries, topic, checkpoint, number):
    """Seconds from exec to the row of a user who was never seen before."""
    flags = ["--existing", "--trigger", "100 ms", "--output-mode", "update"]
    with Job(binaries, kafka, topic, checkpoint, *flags) as job:
        with kafka.load(topic, "--users", options.users, "--rate", LOAD_PER_SECOND, "--seed",
                        100 + number):
            time.sleep(LOAD_S)
            job.check_alive()
            job.kill()
    new_user = -1 - number  # prints first: rows are sorted by user
    kafka.produce(topic, "--events", 1, "--users", 1, "--first-user", new_user, "--clicks", 1)
    on_output, seen, at = watch_for(new_user)
    with Job(binaries, kafka, topic, checkpoint, *flags, on_output=on_output) as job:
        if not seen.wait(PATIENCE_S):
            job.check_alive()
            raise Failure(f"the new record was not printed within {PATIENCE_S} s")
        job.stop()
    return at[0]


def measure(options, kafka, binaries, scratch):
    disk = refuse_memory(scratch)
    checkpoint = scratch / "restart"
    topic = kafka.new_topic(round(options.users * CLICKS_PER_USER), options.users, "--clicks", 1,
                            replication=1)
    with Job(binaries, kafka, topic, checkpoint, "--sink", "none", "--trigger", "500 ms") as job:
        job.wait_until_settled()
        job.stop()
    seconds = [one_round(options, kafka, binaries, topic, checkpoint, number)
               for number in range(options.rounds)]
    state = check_counts(binaries, checkpoint, topic)
    return {
        "users": state["users"], "rounds": options.rounds, "disk": disk,
        "load_events_per_second": LOAD_PER_SECOND,
        "seconds": [round(taken, 3) for taken in seconds],
        "median_s": round(sorted(seconds)[len(seconds) // 2], 3),
        "max_s": round(max(seconds), 3),
        "holds": {"below_1.5_s": max(seconds) < LIMIT_S}}
