"""The job on a real three-broker Kafka: the counts are exact, whatever kills it.

Checks I1 (counts equal the clicks at exactly the committed offsets), I2 (what was shown stays), I3
(batch N or N+1, never a mix), I4 (digest and rows agree with a scan), I6 (ids and offsets never go
back) and I7 (every offset is accounted for) after every kill, for both commit paths. Fault rows 1, 2,
3 (the refusal), 4 (shorter), 5, 14, 16 and 17.
"""

import collections
import json
import os
import re
import signal
import statistics
import subprocess
import time
import unittest

import clicktally
from clicktally import (BIN, STOP_S, BatchLog, Job, Truth, assert_counts, click, drain, eventually,
                        export, inspect, narrow_pipe, produce, show, stuck_shown)
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


# ---- kills --------------------------------------------------------------------------------------

# Where a kill landed: the last line of a batch that the process had written by then.
PLACES = ("starting", "commit begun", "committed, not emitted", "emitted, not shown",
          "shown, reading on")
OF_LINE = {"commit begins": PLACES[1], "committed": PLACES[2], "emitted": PLACES[3],
           "shown": PLACES[4]}
STEP = re.compile(r"(\d\d):(\d\d):(\d\d\.\d\d\d) debug batch (\d+) (commit begins|committed|emitted|"
                  r"shown)")


class Survivor:
    """A job that is killed and started again; everything it may never do is checked after each."""

    def __init__(self, test, random, truth, *flags):
        self.test, self.random, self.truth, self.flags = test, random, truth, flags
        self.log = BatchLog(test)
        self.deck = []
        self.places = collections.Counter()
        self.commit_s = [0.01]  # how long commits took
        self.state = {"batchId": -1, "offsets": {}, "shown": True}

    def start(self, **options):
        return self.test.job("--log-level", "debug", *self.flags, **options)

    def begin(self):
        """The first start, up to its first batch."""
        job = self.start()
        job.wait_for_log(rb"batch 0 shown")
        job.kill()
        self.check(job)

    def kill(self):
        """One run, ended by kill -9 at a moment of the next kind in a shuffled deck of them."""
        if not self.deck:
            self.deck = 2 * ["any"] + 7 * ["commit"] + 7 * ["output"] + 2 * ["shown"]
            self.random.shuffle(self.deck)
        kind = self.deck.pop()
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
        job.kill()
        self.places[self.place_of(job)] += 1
        self.check(job)

    def kill_before_shown(self):
        """One run, ended between the output of a batch and the note that it was shown."""
        job = self.start()
        job.wait_for_log(rb"RESUMED")
        with stuck_shown(self.test.checkpoint):
            self.wait_until_stuck(job, b"emitted")
            job.kill()
        self.places[self.place_of(job)] += 1
        self.check(job)

    def wait_until_stuck(self, job, *steps):
        """Until the job's last step has been one of these for a while; or for a longer while."""
        step, since = None, time.monotonic()
        deadline = since + 10
        while time.monotonic() < deadline:
            lines = re.findall(rb"debug batch \d+ \w+|RESUMED[^\n]*shown again", job.errors.bytes())
            if lines[-1:] != step:
                step, since = lines[-1:], time.monotonic()
            if step and step[0].endswith(steps) and time.monotonic() > since + 0.1:
                return
            time.sleep(0.02)

    def stop(self):
        """One run, ended by SIGTERM."""
        job = self.start()
        job.wait_for_log(rb"RESUMED")
        time.sleep(self.random.uniform(0, 0.5))
        job.stop()
        self.check(job)
        self.test.assertTrue(self.state["shown"])

    def wait_for_steps(self, job, step):
        at = 0
        for _ in range(self.random.randint(1, 2)):
            found = job.errors.wait_for(rb"debug batch \d+ " + step, 10, at)
            if not found:
                return  # nothing is left to commit; the kill lands where it lands
            at = found.end()

    def place_of(self, job):
        steps = STEP.findall(job.errors.text())
        if steps:
            return OF_LINE[steps[-1][4]]
        # About to show the batch that an earlier run committed and did not hand over.
        return PLACES[2] if "(shown again" in job.errors.text() else PLACES[0]

    def check(self, job):
        test, before = self.test, self.state
        steps = [(int(batch), step, float(s) + 60 * int(m) + 3600 * int(h))
                 for h, m, s, batch, step in STEP.findall(job.errors.text())]
        self.state = after = show(test, self.test.checkpoint)
        self.check_start(job, before)
        # I6
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
        assert_counts(test, export(test, self.test.checkpoint), self.truth.at(after["offsets"]))
        begun = {batch: at for batch, step, at in steps if step == "commit begins"}
        self.commit_s += [at - begun[batch] for batch, step, at in steps
                          if step == "committed" and batch in begun and at >= begun[batch]]

    def check_start(self, job, before):
        """A restart goes on from the checkpoint alone, and says so."""
        found = re.search(r"RESUMED checkpoint \S+: batch (-?\d+)( \(shown again[^)]*\))?, "
                          r"offsets (\{[^}]*\})", job.errors.text())
        if found:
            self.test.assertEqual(
                (int(found[1]), found[2] is None, json.loads(found[3])),
                (before["batchId"], before["shown"], before["offsets"]))

    def finish(self):
        """Drains what is left; afterwards every batch was shown."""
        job = self.test.job("--available-now", *self.flags)
        self.test.assertEqual(job.end(180), 0, f"{job}")
        self.log.add_run(job.out.text())
        self.state = show(self.test, self.test.checkpoint)
        self.test.assertEqual(sorted(self.log.shown), list(range(self.state["batchId"] + 1)))
        counts = export(self.test, self.test.checkpoint)
        assert_counts(self.test, counts, self.truth.at(self.state["offsets"]))
        return counts

    def report(self, title):
        print(f"{title}: {sum(self.places.values())} kills, {self.state['batchId'] + 1} batches, "
              f"{self.log.repeats} shown again; median commit "
              f"{1000 * statistics.median(self.commit_s):.1f} ms")
        for place in PLACES:
            print(f"  {self.places[place]:4} {place}")
        print(flush=True)


class KillTest(KafkaTest):
    """Both classes of commits: large batches are ingested, small ones go through the log."""

    def assert_a_third_between_commit_and_output(self, places):
        between = places["commit begun"] + places["committed, not emitted"]
        self.assertGreaterEqual(3 * between, sum(places.values()), places)

    def test_large_batches_survive_25_kills_to_the_click(self):
        random = clicktally.seeded_random()
        mix = ["--events", 1000000, "--users", 100000, "--null-users", 0.01, "--broken", 0.01,
               "--seed", random.randrange(1 << 32)]
        csv = self.folder / "truth.csv"
        load = subprocess.Popen(
            [BIN / "clicktally-produce", "--bootstrap-servers", kafka.bootstrap, "--topic",
             self.topic, "--create-topic", "3:3", *map(str, mix), "--rate", "100000", "--truth",
             csv], stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        truth = Truth(clicktally.generated_partitions(3, *mix))
        survivor = Survivor(self, random, truth, "--starting-offsets", "earliest", "--trigger",
                            "100 ms", "--max-offsets-per-trigger", 15000)
        survivor.begin()
        while sum(survivor.places.values()) < 26:
            survivor.kill()
            if sum(survivor.places.values()) % 8 == 0:
                survivor.kill_before_shown()
        self.assertEqual(load.wait(120), 0)
        counts = survivor.finish()
        survivor.report("large batches")
        assert_counts(self, counts, clicktally.read_csv(csv.read_text().splitlines()))
        self.assertEqual(sum(survivor.state["offsets"].values()), 1000000)
        self.assertGreater(survivor.log.repeats, 0)
        self.assert_a_third_between_commit_and_output(survivor.places)

    def test_small_batches_survive_kills_and_stops_to_the_click(self):
        random = clicktally.seeded_random()
        mix = ["--events", 40000, "--users", 40, "--null-users", 0.05, "--broken", 0.05, "--seed",
               random.randrange(1 << 32)]
        produce(kafka.bootstrap, self.topic, "--create-topic", "3:3", *mix)
        truth = Truth(clicktally.generated_partitions(3, *mix))
        survivor = Survivor(self, random, truth, "--starting-offsets", "earliest", "--trigger",
                            "100 ms", "--max-offsets-per-trigger", 500, "--output-mode", "update",
                            "--num-rows", 1000)
        survivor.begin()
        while sum(survivor.places.values()) < 22:
            survivor.kill()
            if sum(survivor.places.values()) % 4 == 0:
                survivor.stop()
                survivor.kill_before_shown()
        counts = survivor.finish()
        survivor.report("small batches")
        self.assertEqual(sum(survivor.state["offsets"].values()), 40000)
        self.assertGreater(survivor.log.repeats, 0)
        self.assert_a_third_between_commit_and_output(survivor.places)
        # Update mode shows every change: what was shown, batch by batch, adds up to the counts.
        seen = {}
        for _, batch in sorted(survivor.log.shown.items()):
            for user, clicks in batch.rows:
                self.assertGreater(clicks, seen.get(user, 0), f"user {user} in batch {batch.id}")
                seen[user] = clicks
        assert_counts(self, counts, seen)


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
