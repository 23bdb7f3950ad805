"""What happens to a checkpoint around the real process: rights and umask, lock files that a person
deletes, a directory that is copied, moved or renamed while nobody runs. On a mock cluster.

Checks I1 after each, I8 (one writer). Fault rows 11 and 12; docs/crash_testing.md has the others.
"""

import os
import shutil
import stat
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import clicktally  # noqa: E402
from clicktally import (BIN, Job, assert_counts, click, drain, eventually, export,  # noqa: E402
                        inspect)
from raw_producer import send  # noqa: E402

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


class CheckpointTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "parent" / "checkpoint"
        self.topic = mock.new_topic()
        self.sent = {}

    def send(self, *users):
        send(mock.bootstrap, self.topic, [click(user) for user in users] + [b"broken"])
        for user in users:
            self.sent[str(user)] = self.sent.get(str(user), 0) + 1

    def job(self, *flags, **options):
        return Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                   "--log-level", "debug", *flags, topic=self.topic, **options)

    def drain(self):
        batches = drain(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                        topic=self.topic)
        assert_counts(self, export(self, self.checkpoint), self.sent)
        return batches

    def killed_job(self):
        """A checkpoint that a killed process left."""
        self.send(1, 2, 3)
        job = self.job("--trigger", "50 ms")
        job.wait_for_log(rb"batch 0 shown")
        job.kill()


class ModesTest(CheckpointTest):
    def assert_private(self, folder):
        """Owner alone, and neither more nor less for the owner; nothing but files and folders."""
        seen = 0
        for path in (folder, *folder.rglob("*")):
            mode = path.lstat().st_mode
            self.assertTrue(stat.S_ISDIR(mode) or stat.S_ISREG(mode), path)
            wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
            self.assertEqual(oct(stat.S_IMODE(mode)), oct(wanted), path)
            seen += 1
        self.assertGreater(seen, 5)

    def test_whatever_the_umask_all_of_a_checkpoint_is_its_owners_alone(self):
        for umask in (0, 0o777):
            with self.subTest(umask=oct(umask)):
                self.checkpoint = self.folder / oct(umask) / "checkpoint"
                self.sent = {}
                self.topic = mock.new_topic()
                flags = ("--available-now", "--dead-letters", "--snapshot-interval", "1 ms")
                for users in (range(5), range(3000)):  # through the log, and ingested
                    self.send(*users)
                    job = self.job(*flags, umask=umask)
                    self.assertEqual(job.end(), 0, f"{job}")
                self.assertTrue(list((self.checkpoint / "live").glob("*.sst")))
                self.assert_private(self.checkpoint)
                # A fallback copies files; so do backup and restore.
                table = max((self.checkpoint / "live").glob("MANIFEST-*"))
                table.write_bytes(table.read_bytes()[:-40] + bytes(40))
                job = self.job(*flags, umask=umask)
                self.assertEqual(job.end(), 0, f"{job}")
                self.assertTrue((self.checkpoint / "live.damaged").exists())
                self.assert_private(self.checkpoint)
                backup, restored = self.checkpoint.parent / "backup", self.checkpoint.parent / "new"
                for words in (("backup", self.checkpoint, backup), ("restore", backup, restored)):
                    subprocess.run([BIN / "clicktally-inspect", *words], check=True, umask=umask,
                                   stdout=subprocess.DEVNULL)
                self.assert_private(restored)
                self.assert_private(backup)
                assert_counts(self, export(self, self.checkpoint), self.sent)


class LockTest(CheckpointTest):
    """Row 11."""

    def remove_lock_files(self):
        for path in self.checkpoint.rglob("LOCK"):
            path.unlink()

    def assert_refused(self, job):
        second = self.job("--available-now")
        self.assertEqual(second.end(), 4, f"{second}")
        self.assertIn(f"in use by process {job.process.pid};", second.errors.text())

    def test_lock_files_deleted_by_hand_let_no_second_process_in(self):
        job = self.job("--trigger", "50 ms")
        job.wait_for_log(rb"batch 0 shown")
        self.assert_refused(job)
        self.remove_lock_files()
        self.assert_refused(job)
        self.send(1, 2)
        eventually(lambda: export(self, self.checkpoint) == self.sent, "the first goes on")
        job.kill()
        self.remove_lock_files()
        self.drain()

    def test_what_a_killed_process_left_blocks_nobody(self):
        self.killed_job()
        for name in ("LOCK", "live/LOCK", "live/999.staged", "live/000999.sst.tmp"):
            (self.checkpoint / name).write_bytes(b"")
        os.mkdir(self.checkpoint / "snapshots" / "new.tmp", 0o700)
        (self.checkpoint / "snapshots" / "new.tmp" / "000008.sst").write_bytes(b"half")
        self.drain()
        self.assertFalse((self.checkpoint / "snapshots" / "new.tmp").exists())


class MovedTest(CheckpointTest):
    """Row 12, of a checkpoint that a kill left, with a batch that was not shown."""

    def killed_before_output(self):
        self.killed_job()
        self.send(4, 5)
        with clicktally.narrow_pipe(full=True) as writer:
            job = self.job("--trigger", "50 ms", stdout=writer)
            job.wait_for_log(rb"RESUMED")
            job.kill()

    def go_on(self, checkpoint):
        self.checkpoint = checkpoint
        self.send(6)
        batches = self.drain()
        self.assertGreater(len(batches), 0)
        self.assertEqual(inspect("show", checkpoint).code, 0)

    def test_copied_with_cp_it_goes_on_and_so_does_the_original(self):
        self.killed_before_output()
        copy = self.folder / "copy"
        subprocess.run(["cp", "-r", self.checkpoint, copy], check=True)
        copy.chmod(0o700)
        original = self.checkpoint
        self.go_on(copy)
        self.go_on(original)

    def test_moved_or_with_its_parent_renamed_it_goes_on(self):
        self.killed_before_output()
        moved = self.folder / "other" / "name"
        moved.parent.mkdir()
        shutil.move(self.checkpoint, moved)
        self.go_on(moved)
        moved.parent.rename(self.folder / "renamed")
        self.go_on(self.folder / "renamed" / "name")


if __name__ == "__main__":
    unittest.main()
