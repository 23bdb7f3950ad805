"""What readers cost a running job: its commits while clicktally-inspect reads, and while not.

A job counts a steady stream of clicks and takes a snapshot every second. Windows with reads at a
steady pace and windows without any take turns, because the machine changes meanwhile. A round of
reads is of one snapshot, and its answers must agree: every event is a click, so the rows of the
export must add up to the snapshot's own offsets, and all other answers follow from these rows.
"""

import itertools
import json
import math
import random
import time

from . import Failure
from .inspection import TOP, Tool, Truth, check, check_diff, check_show, counts_of, rows_of
from .job import Job, check_counts
from .measure import percentile, percentiles_ms, refuse_memory

CLICKS_PER_USER = 1.5
TRIGGER_MS = 100
WARM_UP_S = 5
ROUNDS = 7  # of reads in a window
DRAWS = 1000
KINDS = ("show", "export", "top", "get", "list", "diff")
LISTED = 100
P99_LIMIT = 1.2


class Reader:
    """Reads in rounds, one of each kind, and counts what was refused or does not agree."""

    def __init__(self, binaries, checkpoint, scratch, options):
        self.tool = Tool(binaries)
        self.refused, self.torn = [], []
        self._checkpoint, self._scratch = checkpoint, scratch
        self._users = (0, options.users // 2, options.users - 1)
        self.pairs = max(2, math.ceil(options.reads / ROUNDS / len(KINDS)))  # of windows
        self._pause_s = 1 / options.pace
        self._due = 0.0
        self.window_s = ROUNDS * len(KINDS) * self._pause_s
        # A diff goes back to a snapshot of the window before, with two windows and the checks
        # between, which must not have been pruned meanwhile; there is one a second.
        self.needed_snapshots = math.ceil(4 * self.window_s) + 30
        self._before = None  # the batch of the round before
        self._unchecked = []

    def _read(self, command, *arguments):
        # Who is late does not catch up: that would be a burst.
        now = time.monotonic()
        self._due = max(self._due + self._pause_s, now)
        time.sleep(self._due - now)
        return self.tool.run(command, *arguments)

    def _read_kinds(self):
        shown = self._read("show", self._checkpoint, "--format", "json")
        batch = json.loads(shown)["batchId"]
        before = batch if self._before is None else self._before
        old, new = f"{self._checkpoint}@{before}", f"{self._checkpoint}@{batch}"
        answers = {
            "show": shown, "export": self._read("export", new, "--format", "csv"),
            "top": self._read("top", new, TOP, "--format", "csv"),
            "get": self._read("get", new, *self._users, "--format", "csv"),
            "list": self._read("list", new, "--limit", LISTED, "--format", "csv"),
            "diff": self._read("diff", old, new, "--format", "json")}
        self._before = batch  # whose export is there to be compared with
        return before, batch, answers

    def read(self):
        """What belongs into one window; not one read more or less if the machine is slow."""
        for _ in range(ROUNDS):
            try:
                self._unchecked.append(self._read_kinds())
            except Failure as failure:
                self.refused.append(str(failure))

    def _export_of(self, batch):
        return self._scratch / f"export-{batch}.csv"

    def _check(self, before, batch, answers):
        after = self._export_of(batch)
        after.write_text(answers["export"])
        truth = Truth(self._export_of(before), after)
        check("export", truth.clicks, sum(json.loads(answers["show"])["offsets"].values()))
        check_show(answers["show"], truth)
        check("top", counts_of(answers["top"]), truth.top)
        clicks = dict(row for row in rows_of(after) if row[0] in self._users)
        check("get", counts_of(answers["get"]), [(u, clicks.get(u, 0)) for u in self._users])
        check("list", counts_of(answers["list"]), list(itertools.islice(rows_of(after), LISTED)))
        check_diff(answers["diff"], truth)

    def check(self):
        """What was read since the last check; not in a window, for it costs more than the reads."""
        for answered in self._unchecked:
            try:
                self._check(*answered)
            except Failure as failure:
                self.torn.append(str(failure))
        self._unchecked = []

    def result(self):
        answered = sum(len(taken) for taken in self.tool.seconds.values())
        return {"made": answered + len(self.refused), "refused": len(self.refused),
                "torn": len(self.torn), "first_failure": next(iter(self.refused + self.torn), None),
                **{command: self.tool.result(command) for command in self.tool.seconds}}


def take_turns(job, reader):
    """(with the reads, without them): the windows of each, as (began, ended)."""
    windows = {True: [], False: []}
    for number in range(2 * reader.pairs):
        reading = number % 4 in (0, 3)  # neither is always the first of a pair
        began = job.now()
        if reading:
            reader.read()
        else:
            time.sleep(reader.window_s)
        windows[reading].append((began, job.now()))
        reader.check()
        job.check_alive()
    return windows[True], windows[False]


def commits_in(windows, commits):
    """The seconds of each commit, by window."""
    return [[c.ended_s - c.began_s for c in commits if began <= c.began_s and c.ended_s <= ended]
            for began, ended in windows]


def all_of(windows):
    return percentiles_ms(list(itertools.chain.from_iterable(windows)))


def ratios(part, whole):
    return {share: round(part[share] / whole[share], 2) for share in ("p50_ms", "p99_ms")}


def interval_of_p99(part, whole):
    """Where nine tenths of the ratios lie if the windows of each side are drawn anew, as often as
    there are. Wider than need be: a pair of windows has the machine's mood in common."""
    draw = random.Random(1)

    def drawn(windows):
        taken = draw.choices(windows, k=len(windows))
        return percentile(list(itertools.chain.from_iterable(taken)), 0.99)

    found = sorted(drawn(part) / drawn(whole) for _ in range(DRAWS))
    return [round(found[DRAWS // 20], 2), round(found[-DRAWS // 20], 2)]


def run(options, kafka, binaries, topic, checkpoint, reader):
    """(the windows with reads, those without, all commits, the number of snapshots)."""
    with Job(binaries, kafka, topic, checkpoint, "--sink", "none", "--trigger", f"{TRIGGER_MS} ms",
             "--snapshot-interval", "1 s", "--snapshots-to-retain", reader.needed_snapshots) as job:
        job.wait_until_settled()
        with kafka.load(topic, "--users", options.users, "--rate", options.rate, "--clicks", 1,
                        "--seed", 2):
            time.sleep(WARM_UP_S)
            with_reads, without = take_turns(job, reader)
        job.wait_until_settled()
        job.stop()
        snapshots = sum(" is made" in line for _, line in job.log_lines())
        return with_reads, without, job.commits(), snapshots


def measure(options, kafka, binaries, scratch):
    disk = refuse_memory(scratch)
    checkpoint = scratch / "readers"
    topic = kafka.new_topic(round(options.users * CLICKS_PER_USER), options.users, "--clicks", 1,
                            replication=1)
    reader = Reader(binaries, checkpoint, scratch, options)
    with_reads, without, commits, snapshots = run(
        options, kafka, binaries, topic, checkpoint, reader)
    state = check_counts(binaries, checkpoint, topic)
    beside, alone = commits_in(with_reads, commits), commits_in(without, commits)
    ratio = ratios(all_of(beside), all_of(alone))
    return {
        "users": state["users"], "disk": disk, "events_per_second": options.rate,
        "trigger_ms": TRIGGER_MS, "snapshots": snapshots, "reads_per_second": options.pace,
        "reads": reader.result(), "cores_of_the_reads": round(
            reader.tool.cpu_s / sum(ended - began for began, ended in with_reads), 2),
        "commit_beside_reads": all_of(beside), "commit_alone": all_of(alone), "ratios": {
            "beside_to_alone": ratio, "p99_interval": interval_of_p99(beside, alone),
            # What the machine alone does to such a ratio.
            "alone_to_alone": ratios(all_of(alone[::2]), all_of(alone[1::2]))},
        "holds": {"p99_at_most_1.2x": ratio["p99_ms"] <= P99_LIMIT,
                  "no_read_refused": not reader.refused, "no_read_torn": not reader.torn}}
