"""Random kill -9 of the real process while a producer runs, on any cluster: one topic, one checkpoint,
one job that is killed, stopped and started again, with small commits (through the log) and large
ones (ingested), and with snapshots. tests/crash/kafka_kill_test.py and tools/crash-test run it."""

import signal
import subprocess
import time
import unittest

import clicktally
from clicktally import BIN, Job, assert_counts, show
from survivor import Survivor, EndlessTruth

USERS = 100_000
# Offsets a batch: half of them clicks, of different users; see survivor.INGESTED_ABOVE_USERS.
LARGE, SMALL = 8000, 200
RATE = 6000  # events a second, about what the runs count


class KillRun(unittest.TestCase):
    """Not a test by itself. An AssertionError is a violation."""

    def prepare(self, bootstrap, topic, checkpoint, properties=(), partitions=3, replication=3):
        self.bootstrap, self.topic, self.checkpoint = bootstrap, topic, checkpoint
        self.made_topic = False
        self.properties = [word for entry in properties for word in ("-X", entry)]
        self.partitions, self.replication = partitions, replication

    def job(self, *flags, **options):
        return Job(self, self.bootstrap, self.checkpoint, *flags, *self.properties,
                   topic=self.topic, **options)

    def producer(self, *flags):
        return [BIN / "clicktally-produce", "--bootstrap-servers", self.bootstrap, "--topic",
                self.topic, *map(str, flags), *self.properties]

    def make_topic(self, may_exist=False):
        """The state before the first record. ValueError if there is no empty topic of that name, or
        one that `may` not be there: the truth begins at offset 0."""
        self.made_topic = False
        job = self.first_start()
        if job.process.returncode == 9 and "no topic" in job.errors.text():
            made = subprocess.run(
                self.producer("--lines", "/dev/null", "--create-topic",
                              f"{self.partitions}:{self.replication}"),
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            if made.returncode != 0:
                raise ValueError(made.stderr.strip())
            self.made_topic = True
            job = self.first_start()
        elif job.process.returncode == 0 and not may_exist:
            raise ValueError(f"topic {self.topic} is there already; name one that is not")
        if job.process.returncode != 0:
            raise ValueError(job.errors.text().strip().splitlines()[-1])
        state = show(self, self.checkpoint)
        if any(state["offsets"].values()):
            raise ValueError(f"topic {self.topic} holds records; name an empty one")
        self.partitions = len(state["offsets"])
        return state

    def first_start(self):
        job = self.job("--available-now", "--sink", "none")
        job.end(300)
        return job

    def kill_again_and_again(self, random, kills, rate=RATE, users=USERS, until=None, say=None,
                             may_exist=False):
        """The report, once the job has survived so many kills, or those until that time."""
        began = time.monotonic()
        state = self.make_topic(may_exist)
        mix = ["--events", 0, "--users", users, "--null-users", 0.01, "--broken", 0.01, "--seed",
               random.randrange(1 << 32)]
        csv = clicktally.temporary_folder(self) / "truth.csv"
        load = subprocess.Popen(self.producer(*mix, "--rate", rate, "--truth", csv),
                                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        survivor = Survivor(
            self, random, EndlessTruth(self, self.partitions, *mix), "--trigger", "100 ms",
            "--snapshot-interval", "50 ms", "--snapshots-to-retain", 3,
            settings=[("--max-offsets-per-trigger", offsets) for offsets in (LARGE, SMALL)])
        survivor.state = state
        survivor.log.last = state["batchId"]  # the empty one of make_topic()
        survivor.log.shown[state["batchId"]] = None
        survivor.begin(state["batchId"] + 1)  # from here on the producer is at work
        while survivor.kills() < kills and (until is None or time.monotonic() < until):
            self.assertIsNone(load.poll(), "the producer ended")
            survivor.run_and_end()
            if say:
                say(survivor)
        load.send_signal(signal.SIGTERM)
        self.assertEqual(load.wait(120), 0, "the producer could not store all its events")
        counts = survivor.finish()
        # Two oracles: the producer's own account, and the events made anew from their seed.
        assert_counts(self, counts, clicktally.read_csv(csv.read_text().splitlines()))
        return {**survivor.report(), "events": sum(survivor.state["offsets"].values()),
                "users": survivor.state["users"], "snapshots": survivor.state["snapshots"]["count"],
                "seconds": round(time.monotonic() - began, 1)}


def text_of(report):
    """For people."""
    landed = report["landed"]
    width = max(map(len, landed))
    most = max(1, *landed.values())
    lines = [f"  {place:{width}} {n:5} {'#' * round(40 * n / most)}".rstrip()
             for place, n in landed.items()]
    return "\n".join([
        f"{report['kills']} kills (-9), {sum(report['stopsByExitCode'].values())} stops (SIGTERM), "
        f"{report['restarts']} restarts, the slowest ready in {report['slowestRecoveryS']} s",
        "kills landed", *lines,
        f"  {report['besideASnapshot']} of them while a snapshot was being kept",
        f"{report['commitsIngested']} commits ingested, {report['commitsLogged']} through the log, "
        f"median {report['medianCommitMs']} ms; {report['batches']} batches, "
        f"{report['shownAgain']} shown again as they were",
        f"{report['events']} events of {report['users']} users counted to the click, at every "
        f"restart and at the end, in {report['seconds']} s"])
