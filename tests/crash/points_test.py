"""The real process is ended by kill -9 at each of src/base/crash_points.h, on both commit paths, while a
checkpoint is made, while a snapshot takes over, and a second time in the recovery that follows; the
plain product then goes on. On a mock cluster.

Checks I1 (counts equal the clicks that were sent, user by user), I2, I3 (which batch is there, by the
point), I5 (over a fallback), I6 (a batch that is shown again is as it was). Fault rows 1, 8, 12, 21.
"""

import collections
import contextlib
import os
import re
import shutil
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import clicktally  # noqa: E402
import lane_report  # noqa: E402
from crash_points import POINTS, of_clicktally  # noqa: E402
from clicktally import BatchLog, Job, Truth, assert_counts, click, export, inspect, show  # noqa: E402
from raw_producer import RawProducer  # noqa: E402
from survivor import INGESTED_ABOVE_USERS, READY  # noqa: E402

PARTITIONS = 3
NOT_COMMITTED = ("kCommitBegun", "kLogWriteDue", "kTableBuilt")
NOT_SHOWN = ("kCommitDurable", "kCommitted", "kEmitted")
COMMITS = ("kCommitBegun", *NOT_SHOWN, "kNotedInShown", "kOffsetsReported")
SNAPSHOTS = ("kSnapshotDue", "kSnapshotTaken", "kSnapshotVerified", "kSnapshotNamed",
             "kSnapshotPublished", "kSnapshotReadBack", "kSnapshotMarkedRead", "kPruneDue",
             "kPruneNamed", "kPruneSynced", "kRemovedOne")
STOPS = ("kStopAsked", "kWorkersEnded", "kPipelineEnded", "kAllClosed")
RECOVERY = ("kLocked", "kJobFileRead", "kStateVerified", "kStateOpened", "kLeftoversSwept")
# Visits: the first publishes SHOWN, the second job.json, the third COMMITTED.
CREATION = (("kPinnedInLiveNew", 1), ("kStagedForPublishing", 1), ("kPublishedUnsynced", 1),
            ("kNewShownMade", 1), ("kNewStateNamed", 1), ("kNewStateSynced", 1),
            ("kStagedForPublishing", 2), ("kPublishedUnsynced", 2), ("kJobFileMade", 1),
            ("kStagedForPublishing", 3), ("kPublishedUnsynced", 3))
FALLBACK = ("kFallbackBegun", "kNextCopied", "kNextCommitted", "kNextChecked", "kUnfitNamed",
            "kStagedForPublishing", "kPublishedUnsynced", "kEpochMade", "kDamagedMovedAside",
            "kNextNamed", "kRepeatDue")

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


class Walk:
    """A checkpoint on a topic of its own, and what was sent to the topic."""

    def __init__(self, test, name, users, *flags):
        self.test, self.users = test, users
        self.checkpoint = test.folder / name
        self.flags = flags
        self.topic = mock.new_topic(PARTITIONS)
        self.sent = [[] for _ in range(PARTITIONS)]
        self.truth = Truth(self.sent)
        self.log = BatchLog(test)
        self.sends = 0

    def copy(self, name):
        """Another checkpoint on the same topic, its files copied."""
        other = object.__new__(Walk)
        other.__dict__ = dict(self.__dict__, checkpoint=self.test.folder / name,
                              truth=Truth(self.sent), log=BatchLog(self.test))
        other.log.shown, other.log.last = dict(self.log.shown), self.log.last
        shutil.copytree(self.checkpoint, other.checkpoint)
        return other

    def send(self, batches=1):
        """Clicks of `users` users for each batch, and a few records that are none."""
        with RawProducer(mock.bootstrap, self.topic, linger_ms="0") as producer:
            for _ in range(batches):
                self.sends += 1
                first = self.sends % 3 * self.users  # so that no two that follow share a user
                users = [*range(first, first + self.users - 2), None, "broken"]
                for i, user in enumerate(users):
                    value = b'{"user_id"' if user == "broken" else click(user)
                    producer.send(i % PARTITIONS, value)
                    self.sent[i % PARTITIONS].append(
                        {None: "", "broken": None}.get(user, str(user)))

    def ends(self):
        return {str(p): len(users) for p, users in enumerate(self.sent)}

    def dies_at(self, point, visit=1, term=False):
        """A run up to that visit of the point. The log it left."""
        self.test.cycles += 1
        job = Job(self.test, mock.bootstrap, self.checkpoint, "--log-level", "debug", *self.flags,
                  *(() if term else ("--available-now",)), topic=self.topic,
                  binary="clicktally_at_points",
                  environment={"CLICKTALLY_KILL_AT": f"{POINTS.index(point)}:{visit}"})
        if term:
            job.wait_for_log(rb"batch \d+ shown")
            job.term()
        code = job.end()
        self.test.assertEqual(code, -9, f"visit {visit} of {point} never came: {job}")
        self.test.visited[point] += 1
        self.log.add_run(job.out.text())
        return job.errors.text()

    def drain(self, falls_back_to=None):
        """The plain product goes on, to the end of the topic."""
        job = Job(self.test, mock.bootstrap, self.checkpoint, "--available-now", *self.flags,
                  topic=self.topic)
        self.test.assertEqual(job.end(), 0, f"{job}")
        if falls_back_to is not None:
            self.log.fall_back(falls_back_to)
        self.log.add_run(job.out.text())
        for seconds in READY.findall(job.errors.text()):
            self.test.slowest_s = max(self.test.slowest_s, float(seconds))
        state = self.check()
        self.test.assertEqual(state["offsets"], self.ends())
        self.test.assertTrue(state["shown"])
        self.test.assertEqual(max(self.log.shown), state["batchId"])
        # Nothing half-made is left, and nothing half-made was published.
        for folder in ("live.new", "live.next"):
            self.test.assertFalse((self.checkpoint / folder).exists(), folder)
        names = os.listdir(self.checkpoint / "snapshots")
        self.test.assertTrue(all(n.isdigit() or n.endswith(".damaged") for n in names), names)
        done = inspect("verify", self.checkpoint)
        self.test.assertEqual((done.code, done.errors), (0, b""), f"{done}")
        return state

    def check(self):
        """Offline: exactly the clicks at the offsets that it says."""
        state = show(self.test, self.checkpoint)
        assert_counts(self.test, export(self.test, self.checkpoint),
                      self.truth.at(state["offsets"]))
        return state


class PointsTest(unittest.TestCase):
    def setUp(self):
        self.random = clicktally.seeded_random()
        self.folder = clicktally.temporary_folder(self)
        self.visited = collections.Counter()
        self.cycles, self.slowest_s, self.violations = 0, 0.0, 0

    @contextlib.contextmanager
    def attempt(self, **what):
        with self.subTest(**what):
            try:
                yield
            except AssertionError:
                self.violations += 1
                raise

    def test_killed_at_each_point_no_batch_is_lost_and_a_repeat_is_as_it_was(self):
        with lane_report.reported("crash points", self) as report:
            for name, users in (("logged", 8), ("ingested", INGESTED_ABOVE_USERS + 50)):
                self.walk_commits(name, users)
            self.walk_creation()
            self.walk_fallback()
            self.assertEqual([point for point in of_clicktally() if not self.visited[point]], [])
            report.update(cycles=self.cycles, points=len(of_clicktally()), slowestRecoveryS=self.slowest_s)

    def walk_commits(self, name, users):
        commit = "kTableBuilt" if name == "ingested" else "kLogWriteDue"
        points = [*COMMITS, commit, *SNAPSHOTS, *STOPS]
        self.random.shuffle(points)
        walk, before = None, 0
        for number, point in enumerate(points):
            with self.attempt(path=name, point=point):
                if walk is None or self.violations > before:  # one wrong step is one violation
                    before = self.violations
                    walk = Walk(self, f"{name}{number}", users, "--starting-offsets", "earliest",
                                "--trigger", "20 s", "--max-offsets-per-trigger", users,
                                "--snapshot-interval", "1 ms", "--snapshots-to-retain", 1)
                    walk.send()
                    walk.drain()
                self.walk_one(walk, point)

    def walk_one(self, walk, point):
        stop = point in STOPS
        visit = self.random.randint(1, 1 if stop else 2)
        walk.send(visit)
        text = walk.dies_at(point, visit=visit, term=stop)
        state = walk.check()
        begun = re.findall(r"batch (\d+) commit begins: (\d+) users", text)
        for _, users in [] if stop else begun:
            self.assertEqual(int(users) > INGESTED_ABOVE_USERS, walk.users > 100, text)
        last = int(begun[-1][0])
        if point in NOT_COMMITTED:
            self.assertEqual(state["batchId"], last - 1)
        elif point in NOT_SHOWN:
            self.assertEqual((state["batchId"], state["shown"]), (last, False))
        elif point in COMMITS:
            self.assertEqual((state["batchId"], state["shown"]), (last, True))
        # The second kill, in the recovery from the first.
        recovery = [*RECOVERY, *([] if state["shown"] else ["kRepeatDue"])]
        walk.dies_at(self.random.choice(recovery))
        self.assertEqual(walk.check()["offsets"], state["offsets"])
        walk.drain()

    def walk_creation(self):
        for number, (point, visit) in enumerate(CREATION):
            with self.attempt(creation=point, visit=visit):
                walk = Walk(self, f"new{number}", 9)  # from the latest offsets
                walk.send()
                walk.dies_at(point, visit=visit)
                pinned = (walk.checkpoint / "live").exists()
                start = walk.ends()
                walk.send()
                if not (walk.checkpoint / "job.json").exists():
                    walk.dies_at("kPinnedStateFound" if pinned else "kLeftoverSwept")
                    walk.send()
                else:
                    walk.dies_at(self.random.choice(RECOVERY))
                # Once the offsets are pinned nothing is skipped; before, "latest" is now.
                start = start if pinned else walk.ends()
                walk.truth = Truth(walk.sent, {int(p): end for p, end in start.items()})
                state = walk.drain()
                self.assertEqual({p: f["start"] for p, f in state["partitions"].items()}, start)
                walk.send()
                walk.drain()

    def walk_fallback(self):
        """Two snapshots, and a batch more that only the live state has, and that was shown."""
        whole = Walk(self, "whole", 9, "--starting-offsets", "earliest")
        for _ in range(2):
            whole.send()
            whole.drain()
        whole.send()
        whole.dies_at("kOffsetsReported")
        for point in FALLBACK:
            with self.attempt(fallback=point):
                walk = whole.copy(f"fallback {point}")
                damage(walk.checkpoint / "live")
                if unfit := point == "kUnfitNamed":
                    damage(walk.checkpoint / "snapshots" / "1")
                walk.dies_at(point)
                if point == "kDamagedMovedAside":
                    walk.dies_at("kFallbackResumed")
                elif point in ("kNextCopied", "kNextChecked"):
                    walk.dies_at("kRemovedOne")  # live.next is begun anew
                else:
                    walk.dies_at(self.random.choice(("kLocked", "kJobFileRead")))
                state = walk.drain(falls_back_to=0 if unfit else 1)
                self.assertGreaterEqual(state["epoch"], 1)
                self.assertTrue((walk.checkpoint / "live.damaged" / "CURRENT").exists())
                walk.drain()

    def test_killed_in_recovery_again_and_again_it_ends_where_one_recovery_would(self):
        """Row 21: at points, and wherever a kill lands."""
        with lane_report.reported("crashes in recovery", self) as report:
            walk = Walk(self, "checkpoint", INGESTED_ABOVE_USERS + 50, "--starting-offsets",
                        "earliest", "--max-offsets-per-trigger", INGESTED_ABOVE_USERS + 50,
                        "--snapshot-interval", "1 ms", "--snapshots-to-retain", 1)
            walk.send(2)
            walk.drain()
            walk.send()
            walk.dies_at("kSnapshotTaken")  # leaves snapshots/new
            for visit in (1, 2, 3):
                walk.dies_at("kRemovedOne", visit)
            walk.send()
            walk.dies_at("kCommitted")
            before = walk.check()
            self.assertFalse(before["shown"])
            for point in (*RECOVERY, "kRepeatDue", *reversed(RECOVERY)):
                walk.dies_at(point)
                self.assertEqual(walk.check()["offsets"], before["offsets"])
            for _ in range(12):
                job = Job(self, mock.bootstrap, walk.checkpoint, *walk.flags, topic=walk.topic)
                time.sleep(self.random.uniform(0, 0.12))
                job.kill()
                walk.log.add_run(job.out.text())
                self.cycles += 1
                walk.check()
            walk.drain()
            report.update(cycles=self.cycles, slowestRecoveryS=self.slowest_s)


def damage(state):
    """One bit in the middle of what says which files the state has."""
    path = max(state.glob("MANIFEST-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


if __name__ == "__main__":
    unittest.main()
