"""How long clicktally-inspect takes on a large state: top, get, show, the diff of two snapshots.

A job drains a topic in which most users click, and stops; then it counts clicks of about one user
in a hundred, and stops again. Each stop leaves a snapshot. Every command is a fresh process, with the
files in the page cache, and every answer is compared with the clicks that were sent.
"""

import ctypes
import heapq
import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from . import Failure
from .job import Job, check_counts
from .measure import percentile, refuse_memory

CLICKS_PER_USER = 1.5
CHANGED_SHARE = 0.01
TOP = 10
LIMITS_S = {"top": 1.5, "get": 0.030, "show": 0.050, "diff": 15.0}
DIFF_LIMIT_MB = 100


def rows_of(truth):
    """(user, clicks) in order of users, none of them kept."""
    with open(truth) as lines:
        next(lines)
        for line in lines:
            user, _, clicks = line.partition(",")
            yield int(user), int(clicks)


class Truth:
    """What each command must answer: by the counts of the first snapshot and of the second."""

    def __init__(self, before, after):
        self.users = self.clicks = 0
        for _, clicks in rows_of(after):
            self.users += 1
            self.clicks += clicks
        self.top = heapq.nsmallest(TOP, rows_of(after), key=lambda row: (-row[1], row[0]))
        self.diff = self._diff(before, after)

    @staticmethod
    def _diff(before, after):
        found = {"usersAdded": 0, "usersChanged": 0, "usersRemoved": 0, "clicksGained": 0}
        old_rows = rows_of(before)
        old = next(old_rows, None)
        for user, clicks in rows_of(after):
            if old is None or old[0] != user:  # clicks are never taken back
                found["usersAdded"] += 1
                found["clicksGained"] += clicks
                continue
            found["usersChanged"] += clicks != old[1]
            found["clicksGained"] += clicks - old[1]
            old = next(old_rows, None)
        return found


def sample_of(truth, users, size):
    """Some users and their clicks, with one that is not there."""
    wanted = set(random.Random(1).sample(range(users), size - 1))
    found = [row for number, row in enumerate(rows_of(truth)) if number in wanted]
    return found + [(-1, 0)]


class Tool:
    """The tool, every run of it timed under the name of its command."""

    def __init__(self, binaries):
        self._program = binaries / "clicktally-inspect"
        self.seconds, self.rss_mb = {}, {}
        self.cpu_s = 0.0

    def run(self, command, *arguments):
        began = time.perf_counter()
        # In a session of its own, as from another terminal: Linux shares the cores out by session
        # first (autogroup), and a read in the job's would take from the job, however nice it is.
        process = subprocess.Popen(
            [str(word) for word in (self._program, command, *arguments)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        with process.stdout, process.stderr:
            answer = process.stdout.read().decode()
            errors = process.stderr.read().decode()  # a line or two, which the pipe holds
        _, status, used = os.wait4(process.pid, 0)
        taken = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failure(f"clicktally-inspect {command}: exit code {process.returncode}: "
                          f"{errors.strip()}")
        self.seconds.setdefault(command, []).append(taken)
        self.cpu_s += used.ru_utime + used.ru_stime
        self.rss_mb[command] = max(self.rss_mb.get(command, 0), used.ru_maxrss / 1024)
        return answer

    def result(self, command):
        taken = self.seconds[command]
        return {"runs": len(taken), "median_s": round(percentile(taken, 0.5), 4),
                "max_s": round(max(taken), 4), "peak_rss_mb": round(self.rss_mb[command], 1)}


def check(command, answer, right):
    if answer != right:
        raise Failure(f"wrong answer of {command}: {answer}, not {right}")


def check_show(answer, truth):
    shown = json.loads(answer)
    check("show", shown["totalClicks"], truth.clicks)
    if not shown["usersAtLeast"] <= truth.users <= shown["usersAtMost"]:
        raise Failure(f"wrong answer of show: {truth.users} users are not between its bounds")


def check_diff(answer, truth):
    said = json.loads(answer)
    check("diff", {name: said[name] for name in truth.diff}, truth.diff)
    check("diff", said["offsetsAccount"], True)


def counts_of(csv):
    """(user, clicks) of what get and top print as csv."""
    return [tuple(int(field) for field in line.split(",")[:2]) for line in csv.splitlines()[1:]]


def forget_peak_rss():
    """The kernel counts the peak of a child from that of the process that started it on."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def run_all(tool, checkpoint, batches, truth, samples, runs):
    snapshots = [f"{checkpoint}@{batch}" for batch in batches]
    forget_peak_rss()
    for _ in range(runs):
        check("top", counts_of(tool.run("top", checkpoint, TOP, "--format", "csv")), truth.top)
        check_show(tool.run("show", checkpoint, "--format", "json"), truth)
        check_diff(tool.run("diff", *snapshots, "--format", "json"), truth)
    for user, clicks in samples:
        answer = tool.run("get", checkpoint, "--format", "csv", "--", user)
        check("get", counts_of(answer), [(user, clicks)])


def count(kafka, binaries, topic, checkpoint, *flags):
    """Until all is counted and compacted; the batch of the snapshot that the stop leaves."""
    with Job(binaries, kafka, topic, checkpoint, "--sink", "none", *flags) as job:
        job.wait_until_settled()
        job.stop()
    return check_counts(binaries, checkpoint, topic)["batchId"]


def measure(options, kafka, binaries, scratch):
    disk = refuse_memory(scratch)
    checkpoint, before = scratch / "inspect", scratch / "before.csv"
    topic = kafka.new_topic(round(options.users * CLICKS_PER_USER), options.users, "--clicks", 1,
                            replication=1)
    batches = [count(kafka, binaries, topic, checkpoint, "--trigger", "500 ms")]
    shutil.copyfile(topic.truth, before)
    kafka.produce(topic, "--events", round(options.users * CHANGED_SHARE), "--users", options.users,
                  "--clicks", 1, "--seed", 2)
    batches.append(count(kafka, binaries, topic, checkpoint, "--existing"))
    truth = Truth(before, topic.truth)
    tool = Tool(binaries)
    run_all(tool, checkpoint, batches, truth, sample_of(topic.truth, truth.users, options.runs),
            options.runs)
    results = {command: dict(tool.result(command), limit_s=limit)
               for command, limit in LIMITS_S.items()}
    holds = {f"{command}_median_below_{limit:g}_s": results[command]["median_s"] < limit
             for command, limit in LIMITS_S.items()}
    holds[f"diff_rss_below_{DIFF_LIMIT_MB}_mb"] = results["diff"]["peak_rss_mb"] < DIFF_LIMIT_MB
    return {"users": truth.users, "disk": disk, "diff_users": truth.diff, **results, "holds": holds}
