"""Snapshots and recovery of the real process: I2, I5 and I6 over a fallback, on a mock cluster.

The truth is the clicks that were sent. Damage is done to files of a stopped or killed job.
"""

import json
import os
import re
import shutil
import signal
import time
import unittest

import clicktally
from clicktally import Job, assert_counts, click, drain, eventually, export, inspect, show
from raw_producer import RawProducer, send

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


class RecoveryTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "checkpoint"
        self.topic = mock.new_topic()
        self.sent = {}

    def send(self, *users):
        send(mock.bootstrap, self.topic, [click(user) for user in users])
        for user in users:
            self.sent[str(user)] = self.sent.get(str(user), 0) + 1

    def job(self, *flags):
        return Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest", *flags,
                   topic=self.topic)

    def drain(self, *flags):
        return drain(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                     *flags, topic=self.topic)

    def snapshots(self):
        folder = self.checkpoint / "snapshots"
        return sorted(int(name) for name in os.listdir(folder) if name.isdigit())

    def damage_manifest(self):
        path = max((self.checkpoint / "live").glob("MANIFEST-*"))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)

    def fails(self, code, pattern, *flags):
        done = clicktally.run(
            "clicktally", "--bootstrap-servers", mock.bootstrap, "--checkpoint",
            str(self.checkpoint), "--topic", self.topic, "--log-level", "error",
            "--available-now", *flags)
        self.assertEqual(done.code, code, f"{done}")
        self.assertRegex(done.errors.decode(), r"\Aclicktally: [^\n]+\n\Z")
        self.assertRegex(done.errors.decode(), pattern)


class SnapshotTest(RecoveryTest):
    def test_there_is_one_each_interval_one_when_asked_for_and_one_at_a_stop(self):
        job = self.job("--trigger", "50 ms", "--snapshot-interval", "200 ms",
                       "--snapshots-to-retain", "2")
        job.wait_for_batch(0)
        for user in range(6):
            before = self.snapshots()[-1] if self.snapshots() else -1
            self.send(user)
            eventually(lambda: self.snapshots() and self.snapshots()[-1] > before, "a new one")
        eventually(lambda: len(self.snapshots()) <= 2, "older ones to go")
        job.stop()
        last = show(self, self.checkpoint)["batchId"]
        self.assertEqual(self.snapshots()[-1], last)

        job = self.job("--trigger", "50 ms")
        job.wait_for_log(rb"RESUMED")
        job.process.send_signal(signal.SIGUSR1)
        job.wait_for_log(rb"asked for: taken of batch")
        self.send(77)
        job.wait_for_batch(last + 1)
        self.assertEqual(self.snapshots()[-1], last)
        job.process.send_signal(signal.SIGUSR1)
        job.wait_for_log(rb"snapshot %d is made" % (last + 1))
        self.assertIsNone(job.process.poll())
        job.stop()
        assert_counts(self, export(self, self.checkpoint), self.sent)

    def test_an_idle_job_takes_none_writes_nothing_and_hardly_works(self):
        self.send(1)
        job = self.job("--trigger", "1 second", "--snapshot-interval", "100 ms")
        job.wait_for_log(rb"snapshot 0 is made")
        eventually(lambda: (self.checkpoint / "snapshots/0/SCANNED").exists(), "it was read back")
        time.sleep(0.5)

        def usage():
            with open(f"/proc/{job.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            with open(f"/proc/{job.process.pid}/io", encoding="ascii") as file:
                written = int(re.search(r"write_bytes: (\d+)", file.read())[1])
            return int(fields[11]) + int(fields[12]), written

        (ticks, written), began = usage(), time.monotonic()
        time.sleep(4)
        (ticks_after, written_after), passed = usage(), time.monotonic() - began
        self.assertEqual(written_after, written)
        share = (ticks_after - ticks) / os.sysconf("SC_CLK_TCK") / passed
        print(f"an idle job takes {share:.2%} of a core")
        self.assertLess(share, 0.03)
        job.stop()


class InspectTest(RecoveryTest):
    def test_snapshots_are_listed_with_batch_time_and_size_and_show_names_the_newest(self):
        self.assertEqual(inspect("snapshots", self.checkpoint).code, 3)
        for user in range(3):
            self.send(user)
            self.drain()
        state = show(self, self.checkpoint)
        found = state["snapshots"]
        self.assertEqual((found["count"], found["newestBatchId"], found["newestTimeMs"]),
                         (3, state["batchId"], state["timeMs"]))
        self.assertEqual(found["readBackBatchId"], state["batchId"])
        (self.checkpoint / "snapshots/1/PINNED").touch(mode=0o600)
        (self.checkpoint / "snapshots/0/CURRENT").unlink()
        done = inspect("snapshots", self.checkpoint, "--format", "json")
        self.assertEqual((done.code, done.errors), (0, b""), f"{done}")
        listed = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual([(s["batchId"], s["pinned"], s["readBack"], s["totalClicks"])
                          for s in listed], [(0, False, True, 1), (1, True, True, 2),
                                             (2, False, True, 3)])
        done = inspect("verify", self.checkpoint)  # whether they are whole
        self.assertEqual(done.code, 5, f"{done}")
        self.assertRegex(done.out.decode(), r"(?m)^record\S* \S+ \S+ +snapshots/0 +DAMAGED ")
        self.assertRegex(done.errors.decode(), r": safe to restart from batch 2 [^\n]+, but: ")
        self.assertRegex(inspect("show", self.checkpoint).out.decode(),
                         r"(?m)^snapshots +3, the newest of batch 2, \d{4}-")

    def test_of_a_damaged_state_show_says_so_and_names_what_can_take_over(self):
        self.send(1)
        self.drain()
        self.damage_manifest()
        done = inspect("show", self.checkpoint)
        self.assertEqual(done.code, 5, f"{done}")
        self.assertRegex(done.errors.decode(), r"MANIFEST[^\n]+ newest snapshot, of batch 0")
        self.assertRegex(done.out.decode(), r"(?m)^read from +snapshot 0$")


class FallbackTest(RecoveryTest):
    def make_two_snapshots_and_a_batch(self):
        """Snapshots of two batches, and one batch more, shown, that only the live state has."""
        for _ in range(2):
            self.send(*range(50), 7, 7)
            self.drain()
        job = self.job("--trigger", "50 ms")
        job.wait_for_log(rb"RESUMED")
        self.send(*range(20, 90))
        eventually(lambda: show(self, self.checkpoint)["totalClicks"] == sum(self.sent.values()),
                   "all to be counted")
        job.kill()
        return show(self, self.checkpoint)

    def test_a_damaged_state_is_replaced_by_the_newest_snapshot_and_caught_up_exactly(self):
        before = self.make_two_snapshots_and_a_batch()
        self.damage_manifest()
        self.fails(5, "restore the checkpoint", "--no-fallback")
        job = self.job("--available-now")
        self.assertEqual(job.end(), 0, f"{job}")
        log = job.errors.text()
        self.assertRegex(log, r"warning FALLING BACK to snapshot 1, epoch 1: ")
        self.assertRegex(log, r"FELL BACK checkpoint \S+: batch 1 [^\n]+ from snapshot 1 under "
                              r"epoch 1, committed [\d.]+ s ago, 70 offsets to count since")
        after = show(self, self.checkpoint)
        self.assertEqual(after["epoch"], 1)
        self.assertEqual(after["offsets"], before["offsets"])
        assert_counts(self, export(self, self.checkpoint), self.sent)
        self.assertEqual(job.batches()[0].id, 1, "shown again, under the new epoch")
        self.assertTrue((self.checkpoint / "live.damaged" / "CURRENT").exists())
        self.send(5)
        self.drain()
        assert_counts(self, export(self, self.checkpoint), self.sent)
        self.damage_manifest()
        self.fails(5, "live.damaged is still there")

    def test_killed_anywhere_in_a_fallback_the_next_start_goes_on_with_it(self):
        random = clicktally.seeded_random()
        self.make_two_snapshots_and_a_batch()
        self.damage_manifest()
        for _ in range(12):
            job = self.job("--available-now")
            time.sleep(random.uniform(0, 0.15))
            job.kill()
        job = self.job("--available-now")
        self.assertEqual(job.end(), 0, f"{job}")
        assert_counts(self, export(self, self.checkpoint), self.sent)
        self.assertGreaterEqual(show(self, self.checkpoint)["epoch"], 1)

    def test_where_kafka_lacks_what_came_after_the_snapshot_it_is_refused_and_says_how_much(self):
        self.send(*range(50))
        self.drain()
        # The mock cluster keeps 5 MiB of a partition and drops the oldest batches.
        for _ in range(4):
            with RawProducer(mock.bootstrap, self.topic) as producer:
                for _ in range(20):
                    producer.send(0, b"x" * 100_000)
            self.drain()
        for newer in self.snapshots()[1:]:
            shutil.rmtree(self.checkpoint / "snapshots" / str(newer))
        self.damage_manifest()
        self.fails(6, r"snapshot 0 is whole but cannot take over, .*partition 0 lacks \d+ records, "
                      r"from offset \d+ to \d+; restore the checkpoint from a backup")
        self.assertFalse((self.checkpoint / "live.damaged").exists())

    def test_rot_in_a_table_file_that_all_share_is_refused_and_named(self):
        self.send(*range(5000))
        self.drain("--sink", "none")
        table = max((self.checkpoint / "live").glob("*.sst"))
        data = bytearray(table.read_bytes())
        data[-300] ^= 1  # where the file says what is in it: read at every start
        table.write_bytes(data)
        self.fails(5, rf"{table.name}.*no snapshot can take over, 0 are damaged too")


class BackupTest(RecoveryTest):
    def test_a_lost_machine_is_restored_elsewhere_from_a_backup_made_beside_the_job(self):
        backup, job = self.folder / "backup", self.job("--trigger", "50 ms")
        began = time.time()
        self.send(*range(100))
        eventually(lambda: job.batches() and sum(n for _, n in job.batches()[-1].rows) >= 20, "clicks")
        for _ in range(2):
            job.process.send_signal(signal.SIGUSR1)
            self.send(*range(50, 150))
            done = eventually(lambda: (d := inspect("backup", self.checkpoint, backup)).code == 0 and d,
                              "a snapshot to copy")
            self.assertRegex(done.out.decode(), r"\Abatch \d+ of [^\n]+ bytes copied, [^\n]+\n\Z")
        job.kill()
        shutil.rmtree(self.checkpoint)
        elsewhere = self.folder / "elsewhere"
        done = inspect("restore", backup, elsewhere)
        self.assertEqual(done.code, 0, f"{done}")
        self.assertEqual(inspect("restore", backup, elsewhere).code, 3, "it is not empty any more")
        self.checkpoint = elsewhere
        self.drain("--existing")
        assert_counts(self, export(self, elsewhere), self.sent)
        epoch = show(self, elsewhere)["epoch"]
        self.assertGreaterEqual(epoch, int(began), "the lost machine may have had a lower one")
        self.assertRegex(done.out.decode(), rf" restored under epoch {epoch}\n\Z")
        for user in range(3):  # ten digits everywhere
            self.send(user)
            self.drain("--existing")
        self.assertTrue(show(self, elsewhere)["shown"])
        self.assertRegex(inspect("snapshots", elsewhere).out.decode(), rf"(?m) {epoch} ")
        self.assertEqual(inspect("backup", elsewhere, backup).code, 0)
        self.assertEqual([int(name.split("-")[0]) for name in os.listdir(backup)], [epoch])


if __name__ == "__main__":
    unittest.main()
