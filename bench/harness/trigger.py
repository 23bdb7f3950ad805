"""What a trigger of five events costs, by the number of users in the state, beside the disk's own
fdatasync.

Every click is produced at a fixed rate, so that five come between two triggers. The states take
turns, and so does the disk's own speed, because the machine changes meanwhile.
"""

import time

from . import Failure
from .job import Job, check_counts
from .measure import fdatasync_seconds, percentile, percentiles_ms, refuse_memory

SMALL_USERS = 10_000
TRIGGER_MS = 50
EVENTS_PER_TRIGGER = 5
ROUNDS = 4
CLICKS_PER_USER = 1.5  # leaves two users in nine without a click

P50_LIMIT = 2.0   # times one fdatasync
P99_LIMIT = 4.0
FLAT_LIMIT = 1.5


class State:
    """A checkpoint with about so many users, and the commits of five events measured on it."""

    def __init__(self, options, kafka, binaries, scratch, users):
        self._kafka, self._binaries = kafka, binaries
        self._users = users
        self._checkpoint = scratch / f"trigger-{users}"
        self._topic = kafka.new_topic(round(users * CLICKS_PER_USER), users, "--clicks", 1,
                                      replication=1)
        self.commits = []
        with Job(binaries, kafka, self._topic, self._checkpoint, "--sink", "none", "--trigger",
                 "500 ms") as job:
            job.wait_until_settled()
            job.stop()
        self._pause_s = options.triggers / ROUNDS * TRIGGER_MS / 1e3

    def measure_round(self, seed):
        with Job(self._binaries, self._kafka, self._topic, self._checkpoint, "--existing",
                 "--trigger", f"{TRIGGER_MS} ms") as job:
            time.sleep(1)
            began = job.now()
            self._kafka.produce(
                self._topic, "--clicks", 1, "--users", self._users, "--seed", seed, "--seconds",
                self._pause_s, "--rate", EVENTS_PER_TRIGGER * 1000 // TRIGGER_MS)
            time.sleep(0.5)
            job.check_alive()
            self.commits += [c for c in job.commits() if c.began_s > began and c.shown_s]
            job.stop()

    def result(self):
        state = check_counts(self._binaries, self._checkpoint, self._topic)
        if not self.commits:
            raise Failure("no batch was committed")
        return {"users": state["users"],
                "users_a_commit": percentile([c.users for c in self.commits], 0.5),
                "commit": percentiles_ms([c.ended_s - c.began_s for c in self.commits]),
                "commit_and_print": percentiles_ms([c.shown_s - c.began_s for c in self.commits])}


def measure(options, kafka, binaries, scratch):
    disk = refuse_memory(scratch)
    states = [State(options, kafka, binaries, scratch, users)
              for users in (SMALL_USERS, options.users)]
    syncs = []
    for number in range(ROUNDS):
        for state in states:
            syncs += fdatasync_seconds(scratch, options.triggers // ROUNDS, TRIGGER_MS / 1e3)
            state.measure_round(seed=100 + number)
    small, large = (state.result() for state in states)
    sync = percentiles_ms(syncs)
    flat = {share: round(large["commit"][share] / small["commit"][share], 2)
            for share in ("p50_ms", "p99_ms")}
    to_sync = {share: round(large["commit"][share] / sync[share], 2)
               for share in ("p50_ms", "p99_ms")}
    return {
        "events_a_trigger": EVENTS_PER_TRIGGER, "trigger_ms": TRIGGER_MS, "disk": disk,
        "measured": "from the log line before the commit to the one after it, as the kernel stamps "
                    "them; the commit is synced",
        "fdatasync_4k": sync, "small": small, "large": large,
        "ratios": {"large_to_small": flat, "large_to_fdatasync": to_sync},
        "holds": {"p50_at_most_2x_fdatasync": to_sync["p50_ms"] <= P50_LIMIT,
                  "p99_at_most_4x_fdatasync": to_sync["p99_ms"] <= P99_LIMIT,
                  "median_flat_within_1.5x": flat["p50_ms"] <= FLAT_LIMIT}}
