"""clicktally-inspect is ended by kill -9 at each of its points in src/base/crash_points.h: the checkpoint is
the old one or the new one, whole, and the job goes on from it exactly. So is a pin, a backup, a restored and
an imported checkpoint. On a mock cluster; the truth is the clicks that were sent.
"""

import collections
import json
import os
import shutil
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import clicktally  # noqa: E402
import lane_report  # noqa: E402
from clicktally import assert_counts, export, inspect, run, show  # noqa: E402
from crash_points import POINTS, of_clicktally_inspect  # noqa: E402
from repair_test import RepairTest, setUpModule  # noqa: E402,F401  (unittest looks for it here)

PUBLISHING = ("kStagedForPublishing", "kPublishedUnsynced")
BEFORE = ("kRepairKept", "kRepairCopied", "kRepairCommitted", "kRepairProved", "kRepairLiveMade",
          "kStagedForPublishing")  # of the epoch in SHOWN, which is the moment of the change
AFTER = ("kPublishedUnsynced", "kRepairAnnounced", "kRepairNamed", "kRepairSynced",
         "kDamagedMovedAside", "kNextNamed", "kRepairEnded")
# Visits of the publishing points: SHOWN, then job.json, which makes the checkpoint.
RESTORE = (("kRestoreCopied", 1), ("kRestoreCommitted", 1), ("kRestoreNamed", 1),
           *((point, visit) for visit in (1, 2) for point in PUBLISHING))
IMPORT = (*((point, 1) for point in ("kImportCounted", "kImportSnapshot", "kImportWhole", "kImportEnded")),
          *((point, visit) for visit in (1, 2) for point in PUBLISHING))


class RepairPointsTest(RepairTest):
    def setUp(self):
        super().setUp()
        self.whole = self.folder / "whole"
        self.visited = collections.Counter()
        self.checkpoint = self.whole
        self.three_batches()

    def fresh(self, name):
        """The checkpoint as it was after three batches, elsewhere."""
        self.checkpoint = self.folder / name
        shutil.copytree(self.whole, self.checkpoint)

    def dies_at(self, point, *arguments, visit=1):
        done = run("clicktally_inspect_at_points", *map(str, arguments),
                   environment={"CLICKTALLY_KILL_AT": f"{POINTS.index(point)}:{visit}"})
        self.assertEqual(done.code, -9, f"visit {visit} of {point} never came: {done}")
        self.visited[point] += 1

    def goes_on(self, expected):
        """The job, from whatever is there, to the end of the topic."""
        log = self.run_to_the_end()
        assert_counts(self, export(self, self.checkpoint), expected)
        left = [path.name for folder in (self.checkpoint, self.checkpoint / "snapshots")
                for path in folder.iterdir() if path.name.endswith((".repaired", ".gone", "new"))]
        self.assertEqual(left, [])
        self.does("verify", self.checkpoint)
        return log

    def test_killed_at_each_point_what_is_there_is_the_old_one_or_the_new_one(self):
        began = time.monotonic()
        self.repair("rollback", {"": 1, "1": 1, "2": 1}, dict(self.sent), "rollback", "0")
        again = {**self.sent, "5": self.sent["5"] + 1, "7": self.sent["7"] + 1}
        self.repair("offsets", dict(self.sent), again, "offsets set", "0=4")
        self.rollback_of_damage()
        self.pin()
        self.back_up()
        self.restore()
        self.do_import()
        points = of_clicktally_inspect()
        self.assertEqual([point for point in points if not self.visited[point]], [])
        lane_report.say({"lane": "repair points", "cycles": sum(self.visited.values()),
                         "points": len(points), "seconds": round(time.monotonic() - began, 1)})

    def repair(self, name, repaired, gone_on, command, argument):
        """`repaired` is what the repaired state holds, `gone_on` what the job makes of that."""
        for point in (*BEFORE, *AFTER, "kRemovedOne"):
            with self.subTest(repair=name, point=point):
                self.fresh(f"{name} {point}")
                if point == "kRepairKept":  # there is something to keep: no snapshot says it
                    shutil.rmtree(self.checkpoint / "snapshots" / "2")
                self.dies_at(point, *command.split(), self.checkpoint, argument)
                made = point not in BEFORE
                found = show(self, self.checkpoint)
                self.assertEqual((found["batchId"], found["epoch"]), (3, 1) if made else (2, 0))
                assert_counts(self, export(self, self.checkpoint), repaired if made else self.sent)
                self.does("verify", self.checkpoint)
                log = self.goes_on(gone_on if made else self.sent)
                self.assertEqual("CHANGED by an operator" in log, made)

    def rollback_of_damage(self):
        """The old state is kept aside, whenever the kill comes."""
        for point in ("kRepairLiveMade", "kRepairAnnounced", "kDamagedMovedAside", "kNextNamed"):
            with self.subTest(damaged=point):
                self.fresh(f"damaged {point}")
                current = self.checkpoint / "live/CURRENT"
                current.write_bytes(b"MANIFEST-999999\n")
                self.dies_at(point, "rollback", self.checkpoint, 1)
                if point == "kRepairLiveMade":  # nothing was changed: the operator tries again
                    self.assertEqual(current.read_bytes(), b"MANIFEST-999999\n")
                    self.does("rollback", self.checkpoint, 1)
                self.goes_on(self.sent)
                self.assertEqual((self.checkpoint / "live.damaged/CURRENT").read_bytes(),
                                 b"MANIFEST-999999\n")

    def pin(self):
        for point in PUBLISHING:
            with self.subTest(pin=point):
                self.fresh(f"pin {point}")
                self.dies_at(point, "snapshots", "pin", self.checkpoint, 1, "keep")
                pinned = (self.checkpoint / "snapshots/1/PINNED").exists()
                self.assertEqual(pinned, point == "kPublishedUnsynced")
                self.does("verify", self.checkpoint)
                self.does("snapshots", "pin", self.checkpoint, 1, "keep")
                self.goes_on(self.sent)

    def back_up(self):
        """There is one of batch 1 already."""
        for point in ("kBackupCopied", "kBackupNamed", "kRemovedOne"):
            with self.subTest(backup=point):
                self.fresh(f"backup {point}")
                snapshot, dest = self.checkpoint / "snapshots/2", self.folder / f"dest {point}"
                snapshot.rename(self.folder / "aside")
                self.does("backup", self.checkpoint, dest)
                (self.folder / "aside").rename(snapshot)
                self.dies_at(point, "backup", self.checkpoint, dest)
                expected = self.sent if point != "kBackupCopied" else {"": 1, "1": 2, "2": 1, "5": 1}
                self.is_restored(dest, expected)
                self.does("backup", self.checkpoint, dest)
                self.assertEqual(os.listdir(dest), ["0-2"])
                self.is_restored(dest, self.sent)

    def is_restored(self, dest, expected):
        restored = self.folder / "restored"
        self.does("restore", dest, restored)
        assert_counts(self, export(self, restored), expected)
        shutil.rmtree(restored)

    def restore(self):
        dest = self.folder / "kept"
        self.does("backup", self.whole, dest)
        for point, visit in RESTORE:
            with self.subTest(restore=point, visit=visit):
                self.checkpoint = self.folder / f"restored {point} {visit}"
                self.dies_at(point, "restore", dest, self.checkpoint, visit=visit)
                if (point, visit) != ("kPublishedUnsynced", 2):
                    self.assertNotEqual(inspect("show", self.checkpoint).code, 0)
                    job = self.job("--available-now")
                    self.assertIn(job.end(), (3, 5), f"{job}")
                    shutil.rmtree(self.checkpoint)
                    self.does("restore", dest, self.checkpoint)
                self.assertIn("CHANGED by an operator", self.goes_on(self.sent))

    def do_import(self):
        counts = self.folder / "counts.csv"
        counts.write_text("".join(f"{user},{clicks}\n" for user, clicks in self.sent.items()))
        offsets = json.dumps({self.topic: {"0": sum(self.sent.values())}})
        for point, visit in IMPORT:
            with self.subTest(imported=point, visit=visit):
                self.checkpoint = self.folder / f"imported {point} {visit}"
                words = ("import", self.checkpoint, "--from", counts, "--offsets", offsets)
                self.dies_at(point, *words, visit=visit)
                self.assertEqual(self.checkpoint.exists(), point == "kImportEnded")
                if not self.checkpoint.exists():
                    self.does(*words)
                self.goes_on(self.sent)


if __name__ == "__main__":
    unittest.main()
