"""Random kill -9 of the real process on a real three-broker Kafka, while a producer runs and snapshots
are made; SIGTERM in between (fault row 17). What is checked at every restart stands in survivor.py.

CLICKTALLY_KILLS   how many (60 unless given)
"""

import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import clicktally  # noqa: E402
import kafka_kill  # noqa: E402
import lane_report  # noqa: E402
import topics  # noqa: E402
from clicktally import Truth, assert_counts, produce  # noqa: E402
from kafka_kill import KillRun  # noqa: E402
from survivor import Survivor  # noqa: E402

KILLS = int(os.environ.get("CLICKTALLY_KILLS", 60))
OF_UPDATES = min(12, KILLS // 5)  # the rest are of the large and small batches beside a producer

kafka = None


def setUpModule():
    global kafka
    kafka = clicktally.RealKafka(27092, "auto.create.topics.enable=false")
    unittest.addModuleCleanup(kafka.stop)


class KafkaKillTest(KillRun):
    def setUp(self):
        self.random = clicktally.seeded_random()
        self.violations = 0
        self.prepare(kafka.bootstrap, self.id().rsplit(".", 1)[1][:60],
                     clicktally.temporary_folder(self) / "checkpoint")

    def assert_a_third_between_commit_and_output(self, report):
        landed = report["landed"]
        between = landed["commit begun"] + landed["committed, not emitted"]
        self.assertGreaterEqual(3 * between, report["kills"], landed)

    def test_large_and_small_batches_survive_kills_and_stops_beside_a_producer(self):
        with lane_report.reported("kills on a real cluster", self) as report:
            report.update(self.kill_again_and_again(self.random, KILLS - OF_UPDATES))
            print(kafka_kill.text_of(report))
            self.assert_a_third_between_commit_and_output(report)
            for path in ("commitsIngested", "commitsLogged", "shownAgain", "snapshots"):
                self.assertGreater(report[path], 0, path)

    def test_in_update_mode_what_was_shown_adds_up_to_the_counts(self):
        mix = ["--events", 40000, "--users", 40, "--null-users", 0.05, "--broken", 0.05, "--seed",
               self.random.randrange(1 << 32)]
        produce(kafka.bootstrap, self.topic, "--create-topic", "3:3", *mix)
        survivor = Survivor(
            self, self.random, Truth(clicktally.generated_partitions(3, *mix)),
            "--starting-offsets", "earliest", "--trigger", "100 ms", "--max-offsets-per-trigger",
            500, "--output-mode", "update", "--num-rows", 1000, "--snapshot-interval", "50 ms")
        with lane_report.reported("kills in update mode", self) as report:
            survivor.begin()
            while survivor.kills() < OF_UPDATES:
                survivor.run_and_end()
            counts = survivor.finish()
            report.update(survivor.report())
            self.assertEqual(sum(survivor.state["offsets"].values()), 40000)
            seen = {}
            for _, batch in sorted(survivor.log.shown.items()):
                for user, clicks in batch.rows:
                    self.assertGreater(clicks, seen.get(user, 0), f"{user} in batch {batch.id}")
                    seen[user] = clicks
            assert_counts(self, counts, seen)

    def test_the_topic_of_a_run_can_be_deleted_through_the_client_alone(self):
        self.make_topic()
        self.assertIn(self.topic, kafka("topic", "list").split())
        topics.delete(kafka.bootstrap, self.topic)
        clicktally.eventually(lambda: self.topic not in kafka("topic", "list").split(),
                              "the topic to go")
        with self.assertRaisesRegex(OSError, "(?i)unknown topic"):
            topics.delete(kafka.bootstrap, self.topic)


if __name__ == "__main__":
    unittest.main()
