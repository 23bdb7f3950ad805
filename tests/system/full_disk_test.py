"""The real process on a real disk that gets full, or read-only, under it: fault row 10, on a mock cluster.

It must stop with exit code 7 at its last commit, whose state can be read while the disk is still full,
and go on exactly once the cause is gone (I2, I3, I5). Mounts a tmpfs; where that is not allowed, the
tests are skipped and say so.
"""

import os
import subprocess
import time
import unittest

import clicktally
from clicktally import (Job, Truth, assert_counts, click, drain, eventually, export, inspect,
                        show)
from raw_producer import RawProducer

DISK_BYTES = 16 << 20
PATIENCE_S = 120  # for a disk to get full under a slow machine

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


def mount(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest(f"mount {' '.join(map(str, arguments))}: {done.stderr.strip()}")


class FullDiskTest(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can mount a file system")
        folder = clicktally.temporary_folder(self)
        self.disk, self.checkpoint = folder / "disk", folder / "disk" / "checkpoint"
        self.disk.mkdir()
        mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "clicktally-test", self.disk)
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)
        self.random = clicktally.seeded_random()
        self.topic = mock.new_topic(partitions=2)
        self.sent = [[], []]  # of each partition: the user of each record, None for no click
        self.producer = self.enterContext(RawProducer(mock.bootstrap, self.topic))

    def send_some(self, rubbish=0):
        """A batch that goes through the log, or one that is ingested; with rejected records."""
        for _ in range(self.random.choice((20, 3000))):
            partition, user = self.random.randrange(2), self.random.randrange(5000)
            self.producer.send(partition, click(user))
            self.sent[partition].append(str(user))
        for _ in range(rubbish):
            self.producer.send(0, self.random.randbytes(10_000))
            self.sent[0].append(None)
        self.producer.flush()

    def job(self):
        return Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                   "--trigger", "50 ms", "--snapshot-interval", "300 ms",
                   "--snapshots-to-retain", "2", "--dead-letters", topic=self.topic)

    def send_until_it_ends(self, job, rubbish):
        """The mock cluster keeps 5 MiB of a partition: what is sent next waits for a batch."""
        deadline = time.monotonic() + PATIENCE_S
        while job.process.poll() is None:
            self.assertLess(time.monotonic(), deadline, f"nothing stopped it: {job}")
            before = job.out.bytes().count(b"Batch: ")
            self.send_some(rubbish)
            eventually(lambda: job.process.poll() is not None or
                       job.out.bytes().count(b"Batch: ") > before, f"a batch of {job}")
        self.assertEqual(job.end(), 7, f"{job}")
        self.assertRegex(job.errors.text(), r"(?m)^clicktally: [^\n]+$")

    def assert_goes_on_exactly(self):
        before = show(self, self.checkpoint)  # on the disk as it is
        assert_counts(self, export(self, self.checkpoint), Truth(self.sent).at(before["offsets"]))
        return before["batchId"]

    def assert_caught_up(self, batch):
        drain(self, mock.bootstrap, self.checkpoint, "--existing", "--dead-letters",
              topic=self.topic)
        after = show(self, self.checkpoint)
        self.assertEqual(after["epoch"], 0, "nothing was damaged")
        self.assertGreaterEqual(after["batchId"], batch)
        self.assertEqual(after["offsets"], {str(p): len(sent) for p, sent in enumerate(self.sent)})
        assert_counts(self, export(self, self.checkpoint), Truth(self.sent).at(after["offsets"]))

    def test_a_disk_that_its_own_state_fills_stops_it_and_with_more_room_it_goes_on(self):
        self.send_some()
        job = self.job()
        job.wait_for_batch(0)
        self.send_until_it_ends(job, rubbish=50)
        self.assertRegex(job.errors.text(), r"No space left on device")
        batch = self.assert_goes_on_exactly()
        # As long as the cause is there, it stops again, at the same state or further on.
        again = Job(self, mock.bootstrap, self.checkpoint, "--available-now", "--dead-letters",
                    topic=self.topic)
        self.assertIn(again.end(), (0, 7), f"{again}")
        batch = max(batch, self.assert_goes_on_exactly())
        mount("-o", f"remount,size={8 * DISK_BYTES}", self.disk)
        self.assert_caught_up(batch)

    def test_a_disk_that_others_fill_stops_it_and_once_they_are_gone_it_goes_on(self):
        self.send_some()
        job = self.job()
        job.wait_for_batch(0)
        with open(self.disk / "ballast", "wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                pass  # full
        self.send_until_it_ends(job, rubbish=0)
        self.assertRegex(job.errors.text(), r"No space left on device")
        batch = self.assert_goes_on_exactly()
        (self.disk / "ballast").unlink()
        self.assert_caught_up(batch)

    def test_a_file_system_that_gets_read_only_stops_it_and_once_it_can_be_written_it_goes_on(self):
        self.send_some()
        job = self.job()
        job.wait_for_batch(0)
        mount("--bind", self.checkpoint, self.checkpoint)
        try:
            mount("-o", "remount,bind,ro", self.checkpoint)
            self.send_until_it_ends(job, rubbish=0)
            self.assertRegex(job.errors.text(), r"Read-only file system")
            batch = self.assert_goes_on_exactly()
            refused = Job(self, mock.bootstrap, self.checkpoint, "--available-now",
                          topic=self.topic)
            self.assertEqual(refused.end(), 7, f"{refused}")
            self.assertEqual(inspect("show", self.checkpoint).code, 0)
        finally:
            subprocess.run(["umount", self.checkpoint], check=True)
        self.assert_caught_up(batch)


if __name__ == "__main__":
    unittest.main()
