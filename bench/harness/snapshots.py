"""How much later a trigger comes because a snapshot is taken of a large state.

A job drains a topic in which most users click, and stops; started again it commits a few users at
every trigger, and is asked for snapshots by SIGUSR1, one after the other. A trigger is late by the
time from its tick, which the job's own clock sets, to the log line before its commit; one that was
left out because a commit was not over, by the time until the next. Those around the taking of a
snapshot, for which the trigger loop itself stops, and those while it was verified and read back are
compared with all others.
"""

import cmath
import math
import re
import signal
import time
from collections import namedtuple

from .inspection import count
from .job import Job, check_counts, inspect
from .measure import percentile, percentiles_ms, refuse_memory

CLICKS_PER_USER = 1.5
RATE = 1000
TRIGGER_S = 0.1
WARM_UP_S = 3
PAUSE_S = 0.7
LIMIT_MS = 50

ASKED = r"a snapshot was asked for: taken of batch (\d+)"
TAKEN = re.compile(r"snapshot of batch \d+ taken in ([\d.]+) ms")
# In seconds since the job was started.
Span = namedtuple("Span", "asked taken done")

EARLY_S = 0.01  # of a tick: so much may our guess at it be too late
OUTLIERS = 0.05


def first_tick(begins):
    """When the tick of the first of them was due: most triggers begin just after a tick.

    The ticks are as many whole triggers apart as there are between them, so where each lies between
    two ticks is an angle.
    """
    turn = 2 * math.pi / TRIGGER_S
    mean = cmath.phase(sum(cmath.exp(1j * turn * at) for at in begins)) / turn
    half = TRIGGER_S / 2
    rests = [(at - mean + half) % TRIGGER_S - half for at in begins]
    return begins[0] - (rests[0] - percentile(rests, OUTLIERS)) % TRIGGER_S


def lateness(commits):
    """(when it was due, by how much it was late) of each trigger; the ticks with nothing to commit.

    Such a tick leaves no line: the job was free, and its next batch is on time, at a later tick.
    After anything that held the job up the batch begins at once, wherever between two ticks.
    """
    due, late, empty = first_tick([c.began_s for c in commits]), [], []
    free_at = 0.0
    for commit in commits:
        ticks = []
        while due < commit.began_s + EARLY_S:
            ticks.append(due)
            due += TRIGGER_S
        on_time = ticks and commit.began_s - ticks[-1] < EARLY_S
        for tick in ticks:
            if on_time and free_at < tick < ticks[-1]:
                empty.append(tick)
            else:
                late.append((tick, commit.began_s - tick))
        free_at = commit.shown_s
    return late, empty


def ask_for_snapshot(job):
    """When it was asked for, when it was taken, when it was read back."""
    asked = job.now()
    job.signal(signal.SIGUSR1)
    taken, line = job.wait_for_line(ASKED, asked)
    done, _ = job.wait_for_line(rf"snapshot {line[1]} read back", asked)
    return Span(asked, taken, done)


def sort_out(late, spans):
    """How late triggers were: around a taking, while one was read back, and otherwise."""
    taking, reading, others = [], [], []
    for due, seconds in late:
        if any(span.asked <= due <= span.taken + TRIGGER_S for span in spans):
            taking.append(seconds)
        elif any(span.taken <= due <= span.done for span in spans):
            reading.append(seconds)
        else:
            others.append(seconds)
    return taking, reading, others


def run(options, kafka, binaries, topic, checkpoint):
    """(commits meanwhile, spans of the snapshots, what taking each took)."""
    with Job(binaries, kafka, topic, checkpoint, "--existing", "--sink", "none", "--trigger",
             f"{TRIGGER_S * 1e3:.0f} ms", "--snapshot-interval", "0 s") as job:
        with kafka.load(topic, "--users", options.users, "--rate", RATE, "--clicks", 1, "--seed",
                        2):
            job.wait_for_line(r"batch \d+ shown")
            time.sleep(WARM_UP_S)
            began, spans = job.now(), []
            for _ in range(options.snapshots):
                spans.append(ask_for_snapshot(job))
                time.sleep(PAUSE_S)
            ended = job.now()
        job.wait_until_settled()
        job.stop()
        commits = [c for c in job.commits() if began <= c.began_s <= ended]
        taken = [float(found[1]) / 1e3 for at, line in job.log_lines()
                 if at - job.began <= ended and (found := TAKEN.search(line))]
    return commits, spans, taken


def measure(options, kafka, binaries, scratch):
    disk = refuse_memory(scratch)
    checkpoint = scratch / "snapshots"
    topic = kafka.new_topic(round(options.users * CLICKS_PER_USER), options.users, "--clicks", 1,
                            replication=1)
    count(kafka, binaries, topic, checkpoint, "--trigger", "500 ms")
    commits, spans, taken = run(options, kafka, binaries, topic, checkpoint)
    inspect(binaries, "verify", checkpoint)
    state = check_counts(binaries, checkpoint, topic)
    late, empty = lateness(commits)
    taking, reading, others = sort_out(late, spans)
    longest_ms = max(taking + reading, default=0) * 1e3
    return {
        "users": state["users"], "disk": disk, "events_per_second": RATE,
        "trigger_ms": round(TRIGGER_S * 1e3), "snapshots": len(spans),
        "taken": percentiles_ms(taken),
        "read_back_after": percentiles_ms([span.done - span.taken for span in spans]),
        "late_around_a_taking": percentiles_ms(taking),
        # A short reading-back lies between two triggers: then none is late because of it.
        "late_while_read_back": percentiles_ms(reading) if reading else {"n": 0},
        "late_otherwise": percentiles_ms(others),
        "ticks_with_nothing_to_commit": len(empty),
        "holds": {f"no_trigger_late_by_more_than_{LIMIT_MS}_ms": longest_ms <= LIMIT_MS}}
