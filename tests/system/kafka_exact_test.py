"""The job on a real three-broker Kafka: the counts are exact.

Checks I1 (counts equal the clicks at exactly the committed offsets), I4 (digest and rows agree with a
scan) and I7 (every offset is accounted for). Fault rows 1, 2, 3 (the refusal), 4 (shorter), 5, 14
and 16, and a lost machine. Kills by the dozen stand in tests/crash/kafka_kill_test.py.
"""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import clicktally
from clicktally import (BIN, STOP_S, Job, assert_counts, click, drain, eventually, export, inspect,
                        narrow_pipe, produce, show)
from raw_producer import RawProducer, send

CATCH_UP_S = 5.0

kafka = None


def setUpModule():
    """One cluster for all. It would make topics that do not exist, if we let it."""
    global kafka
    kafka = clicktally.RealKafka(
        25092, "auto.create.topics.enable=true", "num.partitions=3",
        "default.replication.factor=3", "broker.session.timeout.ms=4000",
        "broker.heartbeat.interval.ms=500")
    unittest.addModuleCleanup(kafka.stop)


class KafkaTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "checkpoint"
        self.topic = self.id().rsplit(".", 1)[1][:60]

    def job(self, *flags, **options):
        return Job(self, kafka.bootstrap, self.checkpoint, *flags, topic=self.topic, **options)

    def drain(self, *flags, limit_s=120):
        return drain(self, kafka.bootstrap, self.checkpoint, *flags, topic=self.topic,
                     limit_s=limit_s)

    def send(self, *values, partitions=3, first=0):
        send(kafka.bootstrap, self.topic, values, partitions, first)

    def refused(self, code, pattern, *flags):
        done = clicktally.run("clicktally", "--bootstrap-servers", kafka.bootstrap, "--topic",
                              self.topic, "--checkpoint", str(self.checkpoint), "--log-level",
                              "error", "--available-now", *flags)
        self.assertEqual((done.code, done.out), (code, b""), f"{done}")
        self.assertRegex(done.errors.decode(), r"\Aclicktally: [^\n]+\n\Z")
        self.assertRegex(done.errors.decode(), pattern)


class ExactTest(KafkaTest):
    def test_a_million_events_of_a_hundred_thousand_users_are_counted_to_the_click(self):
        truth = self.folder / "truth.csv"
        seed = clicktally.seeded_random().randrange(1 << 32)
        produce(kafka.bootstrap, self.topic, "--create-topic", "3:3", "--events", 1000000,
                "--users", 100000, "--null-users", 0.01, "--broken", 0.01, "--seed", seed,
                "--truth", truth, limit_s=180)
        batches = self.drain("--starting-offsets", "earliest")
        self.assertGreater(len(batches), 0)
        exported = inspect("export", self.checkpoint, "--format", "csv")
        self.assertEqual((exported.code, exported.errors), (0, b""))
        counts = clicktally.read_csv(exported.out.decode().splitlines())
        assert_counts(self, counts, clicktally.read_csv(truth.read_text().splitlines()))
        self.assertEqual(exported.out, truth.read_bytes())
        self.assertIn("", counts)
        state = show(self, self.checkpoint)
        totals = clicktally.counters(state["totals"])
        self.assertEqual((totals["records"], totals["gaps"], totals["repeated"]), (1000000, 0, 0))
        self.assertTrue(5000 < totals["rejected"] < 15000, totals)
        self.assertEqual((state["users"], state["totalClicks"]), (len(counts), totals["clicks"]))
        self.assertEqual(self.drain(), [])

    def test_sixty_partitions_that_are_behind_stay_within_the_memory_limit(self):
        """I9. Each would take 30 MB if it might."""
        truth = self.folder / "truth.csv"
        produce(kafka.bootstrap, self.topic, "--create-topic", "60:1", "--events", 1500000,
                "--users", 400000, "--truth", truth, limit_s=180)
        job = self.job("--starting-offsets", "earliest", "--available-now", "--sink", "none",
                       "--memory-limit", "128M")
        _, status, used = os.wait4(job.process.pid, 0)
        job.process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(job.process.returncode, 0, f"{job}")
        self.assertLess(used.ru_maxrss, 128 << 10, "kilobytes")
        exported = inspect("export", self.checkpoint, "--format", "csv")
        self.assertEqual(exported.out, truth.read_bytes())


class LostMachineTest(KafkaTest):
    def test_it_is_restored_elsewhere_from_a_backup_and_catches_up_to_the_click(self):
        """The backup is made beside the job; records come before, while and after it is lost."""
        seed = clicktally.seeded_random().randrange(1 << 32)
        backup, csv = self.folder / "backup", self.folder / "truth.csv"
        produce(kafka.bootstrap, self.topic, "--create-topic", "3:3", "--lines", "/dev/null")
        load = subprocess.Popen(
            [BIN / "clicktally-produce", "--bootstrap-servers", kafka.bootstrap, "--topic",
             self.topic, "--events", "200000", "--users", "20000", "--null-users", "0.01",
             "--broken", "0.01", "--seed", str(seed), "--rate", "20000", "--truth", csv],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        job = self.job("--starting-offsets", "earliest", "--trigger", "200 ms", "--sink", "none",
                       "--max-offsets-per-trigger", 4000, "--snapshot-interval", "500 ms")
        eventually(lambda: inspect("backup", self.checkpoint, backup).code == 0, "a backup")
        eventually(lambda: show(self, self.checkpoint)["totalClicks"] > 5000, "some clicks")
        eventually(lambda: inspect("backup", self.checkpoint, backup).code == 0, "a newer one")
        batch = show(self, self.checkpoint)["batchId"]
        eventually(lambda: show(self, self.checkpoint)["batchId"] > batch + 1, "later batches")
        job.kill()
        shutil.rmtree(self.checkpoint)
        self.checkpoint = self.folder / "elsewhere"
        done = inspect("restore", backup, self.checkpoint)
        self.assertEqual(done.code, 0, f"{done}")
        self.assertEqual(load.wait(120), 0)
        self.assertLess(sum(show(self, self.checkpoint)["offsets"].values()), 200000)
        self.drain("--existing")
        state = show(self, self.checkpoint)
        self.assertEqual(sum(state["offsets"].values()), 200000)
        self.assertGreaterEqual(state["epoch"], 1, "what was shown since is shown anew")
        assert_counts(self, export(self, self.checkpoint),
                      clicktally.read_csv(csv.read_text().splitlines()))


# ---- faults -------------------------------------------------------------------------------------


class OffsetsTest(KafkaTest):
    def test_killed_before_its_first_commit_it_skips_nothing_behind_latest(self):
        self.send(click(1), click(1), click(1))
        with narrow_pipe(full=True) as writer:  # the first line finds no room, so nothing is read
            job = self.job(stdout=writer)
            job.wait_for_log(rb"NEW checkpoint")
            self.send(click(2), click(3))
            job.kill()
        self.assertEqual(show(self, self.checkpoint)["batchId"], -1)
        self.send(click(4), first=2)
        self.assertEqual(self.drain()[-1].rows, [("2", 1), ("3", 1), ("4", 1)])

    def test_a_first_record_of_a_partition_while_the_job_is_down_is_counted(self):
        self.send(click(1), click(1), partitions=2)
        job = self.job()
        job.wait_for_batch(0)
        job.kill()
        self.send(click(2), first=2)
        self.assertEqual(self.drain()[-1].rows, [("2", 1)])
        self.assertEqual(show(self, self.checkpoint)["offsets"], {"0": 1, "1": 1, "2": 1})

    def test_records_that_retention_took_are_refused_with_their_number(self):
        self.send(*map(click, range(30)))
        self.drain("--starting-offsets", "earliest")
        counts = export(self, self.checkpoint)
        self.send(*map(click, range(30)))
        kafka("topic", "delete-records", self.topic, "0=15", "1=10")
        self.refused(6, r"partition 0: .*\b10\b.*\b15\b.*\b5 records")
        self.assertEqual(export(self, self.checkpoint), counts)

    def test_a_topic_that_was_made_anew_and_is_shorter_is_refused(self):
        self.send(*map(click, range(30)))
        self.drain("--starting-offsets", "earliest")
        kafka("topic", "delete", self.topic)
        kafka("topic", "create", self.topic)
        self.send(click(1))
        self.refused(6, r"partition \d: .*\b10\b.*made anew")
        kafka("topic", "delete", self.topic)
        self.refused(9, f"no topic {self.topic}")
        self.assertEqual(len(export(self, self.checkpoint)), 30)

    def test_a_topic_that_is_not_there_is_refused_and_not_made(self):
        self.refused(9, f"no topic {self.topic}; create it")
        self.assertNotIn(self.topic, kafka("topic", "list"))

    def test_a_checkpoint_of_another_cluster_is_refused(self):
        other = clicktally.MockKafka("--topic", f"{self.topic}:3:3")
        self.addCleanup(other.close)
        drain(self, other.bootstrap, self.checkpoint, topic=self.topic)
        self.send(click(1))
        self.refused(3, r"cluster id is '[^']+', the checkpoint's is 'mockCluster\w+'")

    def test_aborted_records_are_not_counted_and_hold_up_nothing(self):
        with RawProducer(kafka.bootstrap, self.topic, transactional_id="t") as producer:
            producer.init_transactions()
            for user, end in ((1, producer.commit), (2, producer.abort), (3, producer.commit),
                              (4, producer.abort)):
                producer.begin()
                for i in range(30):
                    producer.send(i % 3, click(user))
                producer.flush()  # an abort would drop what is still on its way
                end()
        self.drain("--starting-offsets", "earliest")
        state = show(self, self.checkpoint)
        totals = clicktally.counters(state["totals"])
        self.assertEqual(export(self, self.checkpoint), {"1": 30, "3": 30})
        # Four transactions of ten records and a control record, in each partition.
        self.assertEqual(state["offsets"], {"0": 44, "1": 44, "2": 44})
        self.assertEqual((totals["records"], totals["gaps"]), (60, 72))
        self.assertEqual(self.drain(), [])
        everything = self.folder / "everything"
        drain(self, kafka.bootstrap, everything, "--starting-offsets", "earliest",
              "--isolation-level", "read_uncommitted", topic=self.topic)
        self.assertEqual(export(self, everything), {str(user): 30 for user in (1, 2, 3, 4)})

    def test_new_partitions_are_read_from_their_beginning_while_running_and_while_stopped(self):
        self.send(*map(click, range(3)))
        job = self.job("--trigger", "200 ms")
        job.wait_for_batch(0)
        kafka("topic", "alter", self.topic, "--partitions", 6)
        self.send(*map(click, range(100, 106)), partitions=6)
        eventually(lambda: len(job.batches()[-1].rows) == 6, "six partitions' records")
        job.stop()
        kafka("topic", "alter", self.topic, "--partitions", 7)
        self.send(*map(click, range(200, 207)), partitions=7)
        self.drain()
        self.assertEqual(export(self, self.checkpoint),
                         {str(user): 1 for user in (*range(100, 106), *range(200, 207))})
        self.assertEqual(show(self, self.checkpoint)["offsets"],
                         {"0": 3, "1": 3, "2": 3, "3": 2, "4": 2, "5": 2, "6": 1})


class BrokersTest(KafkaTest):
    """Row 16. A fault's end is the moment at which Kafka stores a record again."""

    def setUp(self):
        super().setUp()
        self.sent = 0
        self.send_some()
        self.running = self.job("--trigger", "100 ms", "--starting-offsets", "earliest")
        self.wait_for_all(30)
        self.memory_kb = self.resident_kb()

    def send_some(self):
        self.send(*[click(1)] * 300)
        self.sent += 300

    def resident_kb(self):
        with open(f"/proc/{self.running.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def wait_for_all(self, limit_s):
        eventually(lambda: self.running.batches()[-1:] and
                   self.running.batches()[-1].rows == [("1", self.sent)],
                   f"{self.sent} clicks from\n{self.running}", limit_s)

    def finish(self):
        self.assertIsNone(self.running.process.poll(), f"{self.running}")
        self.assertLess(self.resident_kb() - self.memory_kb, 30000, "memory grew")
        self.running.stop()
        self.assertEqual(export(self, self.checkpoint), {"1": self.sent})

    def test_one_broker_of_three_away(self):
        kafka("kill", 2)
        try:
            self.send_some()
            self.wait_for_all(30)
        finally:
            kafka("restart", 2)
        self.send_some()
        self.wait_for_all(CATCH_UP_S)
        self.finish()

    def test_all_brokers_silent_for_twenty_seconds(self):
        for broker in (1, 2, 3):
            kafka("pause", broker)
        try:
            self.running.wait_for_log(rb"has not answered for \d+ s")
            time.sleep(20)
            self.assertLess(self.resident_kb() - self.memory_kb, 30000, "memory grew")
        finally:
            for broker in (1, 2, 3):
                kafka("resume", broker)
        self.send_some()
        self.wait_for_all(CATCH_UP_S)
        self.running.wait_for_log(rb"Kafka answers again")
        self.finish()

    def test_a_stop_while_all_brokers_are_silent_is_over_in_time(self):
        for broker in (1, 2, 3):
            kafka("pause", broker)
        try:
            began = time.monotonic()
            self.running.process.send_signal(signal.SIGINT)
            self.assertEqual(self.running.end(), 0, f"{self.running}")
            self.assertLess(time.monotonic() - began, STOP_S)
        finally:
            for broker in (1, 2, 3):
                kafka("resume", broker)
        self.assertEqual(export(self, self.checkpoint), {"1": self.sent})


if __name__ == "__main__":
    unittest.main()
