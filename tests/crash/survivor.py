"""A job that is killed and started again, and everything that it may never do, checked from outside
after each end. Used on mock and real clusters, by the tests and by tools/crash-test.

Checks I1 (counts equal the clicks at exactly the committed offsets, user by user), I2 and I10 (what
came out is in the state, in order), I3 (batch N or N+1, and N+1 once the commit was said to be
done), I4 (digest and rows agree with a scan), I6 (ids and offsets never go back; what is shown again
is as it was) and I7 (every offset is accounted for).
"""

import collections
import json
import re
import statistics
import subprocess
import time

import clicktally
from clicktally import BIN, BatchLog, assert_counts, export, show, stuck_shown

# Where a kill landed: the last line of a batch that the process had written by then.
PLACES = ("starting", "commit begun", "committed, not emitted", "emitted, not shown",
          "shown, reading on")
OF_LINE = {"commit begins": PLACES[1], "committed": PLACES[2], "emitted": PLACES[3],
           "shown": PLACES[4]}
STEP = re.compile(r"(\d\d):(\d\d):(\d\d\.\d\d\d) debug batch (\d+) (commit begins|committed|emitted|"
                  r"shown)")
READY = re.compile(r"(?:RESUMED|FELL BACK) checkpoint [^\n]* ready in ([\d.]+) s")
# The product's: commits of more users are ingested as a table file, others are logged.
INGESTED_ABOVE_USERS = 1000
STUCK_S = 0.1       # so long without a step, and the job waits for us
STEPS_COME_S = 10   # or there is nothing left to commit, and the kill lands where it lands


class EndlessTruth:
    """Truth of what `clicktally-produce MIX` sends for as long as it is let: made anew from the seed,
    as far as it is asked for. The producer deals events out to the partitions in turn."""

    def __init__(self, test, partitions, *mix):
        self._process = subprocess.Popen(
            [BIN / "clicktally-produce", "--print", *map(str, mix)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        test.addCleanup(self._close)
        self._unread = [collections.deque() for _ in range(partitions)]
        self._made = 0
        self._next = [0] * partitions
        self._counts = collections.Counter()

    def at(self, offsets):
        """user -> clicks at exactly these offsets, which may only grow."""
        for partition, end in ((int(p), end) for p, end in offsets.items()):
            users = self._unread[partition]
            while self._next[partition] + len(users) < end:
                self._make_one()
            assert end >= self._next[partition], (partition, end)
            for _ in range(end - self._next[partition]):
                user = users.popleft()
                if user is not None:
                    self._counts[user] += 1
            self._next[partition] = end
        return self._counts

    def _make_one(self):
        line = self._process.stdout.readline()
        assert line.endswith(b"\n"), "clicktally-produce --print ended"
        self._unread[self._made % len(self._unread)].append(clicktally.user_of_click(line[:-1]))
        self._made += 1

    def _close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class Survivor:
    """`test` has the asserts, addCleanup, checkpoint, and job(*flags, **options) -> clicktally.Job.
    `truth.at(offsets)` knows the counts; `settings` are lists of flags, one of which is drawn for
    each start, beside `flags`."""

    # What ends the runs, in a shuffled deck. "output": stuck in the output of a committed batch;
    # "unnoted": between the output of a batch and the note in SHOWN.
    DECK = (2 * ["any"] + 7 * ["commit"] + 6 * ["output"] + 2 * ["shown"] + ["unnoted"] +
            2 * ["stop"])

    def __init__(self, test, random, truth, *flags, settings=((),)):
        self.test, self.random, self.truth, self.flags = test, random, truth, flags
        self.settings = settings
        self.log = BatchLog(test)
        self.deck = []
        self.places = collections.Counter()
        self.beside_snapshot = 0
        self.stops = collections.Counter()  # by exit code
        self.restarts = 0
        self.paths = collections.Counter()
        self.commit_s = [0.01]  # how long commits took
        self.slowest_recovery_s = 0.0
        self.state = {"batchId": -1, "offsets": {}, "shown": True, "epoch": 0}

    def start(self, *flags, **options):
        return self.test.job("--log-level", "debug", *self.flags,
                             *self.random.choice(self.settings), *flags, **options)

    def kills(self):
        return sum(self.places.values())

    def begin(self, batch=0):
        """The first start, up to the first batch that holds records; it is counted as no kill."""
        job = self.start()
        job.wait_for_log(rb"batch %d shown" % batch)
        job.kill()
        self.check(job)

    def run_and_end(self):
        """One run, ended at a moment of the next kind in the deck."""
        if not self.deck:
            self.deck = list(self.DECK)
            self.random.shuffle(self.deck)
        kind = self.deck.pop()
        self.restarts += 1
        if kind == "stop":
            return self.stop()
        if kind == "unnoted":
            return self.kill_before_shown()
        job = self.start(reads=self.random.randint(0, 2) if kind == "output" else None)
        if kind == "any":
            time.sleep(self.random.uniform(0, 0.6))
        elif kind == "commit":
            self.wait_for_steps(job, rb"commit begins")
            middle = statistics.median(self.commit_s[-20:])
            time.sleep(self.random.uniform(0, middle) if self.random.random() < 0.5 else 0)
        elif kind == "output":
            self.wait_until_stuck(job, b"committed", b"again")
        else:
            self.wait_for_steps(job, rb"shown")
            time.sleep(self.random.uniform(0, 0.15))
        self.kill(job)

    def kill(self, job):
        job.kill()
        self.places[self.place_of(job)] += 1
        told = re.findall(r"snapshot of batch \d+ taken|snapshot \d+ read back", job.errors.text())
        self.beside_snapshot += bool(told) and told[-1].endswith("taken")
        self.check(job)

    def kill_before_shown(self):
        job = self.start()
        job.wait_for_log(rb"RESUMED")
        with stuck_shown(self.test.checkpoint):
            self.wait_until_stuck(job, b"emitted")
            job.kill()
        self.kill(job)

    def stop(self):
        """One run, ended by SIGTERM: while it fetches, commits, or is stuck in its output. It leaves
        in bounded time, whatever holds it, and says by its code what it could not do."""
        kind = self.random.choice(("fetch", "commit", "output"))
        job = self.start(reads=1 if kind == "output" else None)
        job.wait_for_log(rb"RESUMED")
        if kind == "fetch":
            time.sleep(self.random.uniform(0, 0.5))
        elif kind == "commit":
            self.wait_for_steps(job, rb"commit begins")
        else:
            self.wait_until_stuck(job, b"committed", b"again")
        job.term()
        code = job.end()
        self.test.assertIn(code, (0, 8, 10) if kind == "output" else (0, 10), f"{job}")
        self.stops[code] += 1
        self.check(job)
        if code == 0:
            self.test.assertTrue(self.state["shown"], f"{job}")

    def wait_for_steps(self, job, step):
        at = 0
        for _ in range(self.random.randint(1, 2)):
            found = job.errors.wait_for(rb"debug batch \d+ " + step, STEPS_COME_S, at)
            if not found:
                return
            at = found.end()

    def wait_until_stuck(self, job, *steps):
        """Until the job's last step has been one of these for a while; or for a longer while."""
        step, since = None, time.monotonic()
        deadline = since + STEPS_COME_S
        while time.monotonic() < deadline:
            lines = re.findall(rb"debug batch \d+ \w+|RESUMED[^\n]*shown again", job.errors.bytes())
            if lines[-1:] != step:
                step, since = lines[-1:], time.monotonic()
            if step and step[0].endswith(steps) and time.monotonic() > since + STUCK_S:
                return
            time.sleep(0.02)

    def place_of(self, job):
        steps = STEP.findall(job.errors.text())
        if steps:
            return OF_LINE[steps[-1][4]]
        # About to show the batch that an earlier run committed and did not hand over.
        return PLACES[2] if "(shown again" in job.errors.text() else PLACES[0]

    def check(self, job):
        """What the run that ended left behind."""
        test, before = self.test, self.state
        steps = [(int(batch), step, float(s) + 60 * int(m) + 3600 * int(h))
                 for h, m, s, batch, step in STEP.findall(job.errors.text())]
        self.state = after = show(test, test.checkpoint)
        self.check_start(job, before)
        # I6
        test.assertEqual(after["epoch"], before["epoch"], f"{job}")
        test.assertGreaterEqual(after["batchId"], before["batchId"])
        for partition, offset in before["offsets"].items():
            test.assertGreaterEqual(after["offsets"][partition], offset)
        # I3: batch N or N+1, and no older one once the commit was said to be done.
        if steps:
            batch, step, _ = steps[-1]
            may_be = (batch - 1, batch) if step == "commit begins" else (batch,)
            test.assertIn(after["batchId"], may_be, f"{step}\n{job}")
            if step == "shown":
                test.assertTrue(after["shown"], f"{job}")
            elif step != "emitted" and after["batchId"] == batch:
                test.assertFalse(after["shown"], f"{job}")
        else:
            test.assertEqual(after["batchId"], before["batchId"], f"{job}")
        # I2, I10: what came out is in the state, and is the next batch, or the last one again.
        batches, _ = self.log.add_run(job.out.text())
        if batches:
            test.assertEqual(batches[0].id, before["batchId"] + (1 if before["shown"] else 0))
            test.assertLessEqual(batches[-1].id, after["batchId"])
        # I1: nothing but the clicks at exactly the committed offsets.
        assert_counts(test, export(test, test.checkpoint), self.truth.at(after["offsets"]))
        begun = {batch: at for batch, step, at in steps if step == "commit begins"}
        self.commit_s += [at - begun[batch] for batch, step, at in steps
                          if step == "committed" and batch in begun and at >= begun[batch]]
        for users in re.findall(r"commit begins: (\d+) users", job.errors.text()):
            self.paths["ingested" if int(users) > INGESTED_ABOVE_USERS else "logged"] += 1

    def check_start(self, job, before):
        """A restart goes on from the checkpoint alone, and says so."""
        text = job.errors.text()
        found = re.search(r"RESUMED checkpoint [^\n]*?: batch (-?\d+)( \(shown again[^)]*\))?, "
                          r"offsets (\{[^}]*\})", text)
        if found:
            self.test.assertEqual(
                (int(found[1]), found[2] is None, json.loads(found[3])),
                (before["batchId"], before["shown"], before["offsets"]))
        for seconds in READY.findall(text):
            self.slowest_recovery_s = max(self.slowest_recovery_s, float(seconds))

    def finish(self):
        """Drains what is left; afterwards every batch was shown. The counts."""
        job = self.test.job("--available-now", *self.flags)
        self.test.assertEqual(job.end(600), 0, f"{job}")
        self.log.add_run(job.out.text())
        self.state = show(self.test, self.test.checkpoint)
        self.test.assertEqual(sorted(self.log.shown), list(range(self.state["batchId"] + 1)))
        counts = export(self.test, self.test.checkpoint)
        assert_counts(self.test, counts, self.truth.at(self.state["offsets"]))
        return counts

    def between_commit_and_output(self):
        return self.places[PLACES[1]] + self.places[PLACES[2]]

    def report(self):
        return {"kills": self.kills(), "landed": {place: self.places[place] for place in PLACES},
                "besideASnapshot": self.beside_snapshot,
                "stopsByExitCode": {str(code): n for code, n in sorted(self.stops.items())},
                "restarts": self.restarts, "batches": self.state["batchId"] + 1,
                "shownAgain": self.log.repeats, "commitsIngested": self.paths["ingested"],
                "commitsLogged": self.paths["logged"],
                "medianCommitMs": round(1000 * statistics.median(self.commit_s), 1),
                "slowestRecoveryS": self.slowest_recovery_s}
