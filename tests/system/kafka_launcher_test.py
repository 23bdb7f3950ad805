#!/usr/bin/env python3
"""System test of tools/kafka: real brokers, real console tools, on loopback.

One three-broker cluster serves the tests of KafkaCluster, each of which leaves it whole; those of
KafkaLauncher start small ones of their own, or none. Skipped if Java or Maven is missing.
CLICKTALLY_KAFKA_VERSION=4.3.0 runs them against that version instead of the launcher's default.
"""

import collections
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "kafka"
LIMIT_S = 240  # for any one command; the first start may have to download
START = ["start"] + (["--version", os.environ["CLICKTALLY_KAFKA_VERSION"]]
                     if "CLICKTALLY_KAFKA_VERSION" in os.environ else [])

SAMPLE_EVENTS = [
    '{"user_id": 1001, "timestamp": "2025-12-14T09:25:01", "page_url": "/home", '
    '"action": "view", "duration_ms": 1200}',
    '{"user_id": 1002, "timestamp": "2025-12-14T09:25:15", "page_url": "/product/shirt-x", '
    '"action": "view", "duration_ms": 3500}',
    '{"user_id": 1001, "timestamp": "2025-12-14T09:25:20", "page_url": "/product/shirt-x", '
    '"action": "click", "duration_ms": 0}',
    '{"user_id": 1003, "timestamp": "2025-12-14T09:25:25", "page_url": "/search?q=shoes", '
    '"action": "click", "duration_ms": 0}',
    '{"user_id": 1001, "timestamp": "2025-12-14T09:25:35", "page_url": "/add-to-cart", '
    '"action": "click", "duration_ms": 0}']


def run(port, *arguments, stdin=None, env=None):
    return subprocess.run([str(TOOL), "--port", str(port), *arguments], input=stdin, env=env,
                          capture_output=True, text=True, timeout=LIMIT_S)


def listening(port):
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port(first, brokers):
    """A base port, from `first` in steps of 10, whose broker and controller ports are all free.

    A port that names a cluster is not ours, even if none of its brokers listens just now.
    """
    for base in range(first, first + 900, 10):
        ports = [base + offset + i for offset in (0, 1000) for i in range(brokers)]
        if not any(map(listening, ports)) and "no cluster on port" in run(base, "status").stderr:
            return base
    raise AssertionError(f"no free ports from {first} on")


def broker_states(port):
    shown = run(port, "status").stdout
    return dict(re.findall(r"^broker (\d)  \S+  (\w+)", shown, re.M))


def broker_pids(port):
    return [int(pid) for pid in re.findall(r"\(pid (\d+)\)", run(port, "status").stdout)]


def process_ended(pid):
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return line[line.rindex(")") + 2] in "ZX"


def skip_without_java_and_maven():
    for command, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if shutil.which(command) is None:
            raise unittest.SkipTest(f"SKIPPED: {command} is missing (apt-get install {package})")


class LauncherTest(unittest.TestCase):
    def succeeds(self, port, *arguments, stdin=None):
        done = run(port, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def fails(self, code, pattern, port, *arguments, env=None):
        """The command ends with the code, and one line on stderr that matches the pattern."""
        done = run(port, *arguments, env=env)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        self.assertRegex(done.stderr, pattern)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


class KafkaCluster(LauncherTest):
    @classmethod
    def setUpClass(cls):
        skip_without_java_and_maven()
        cls.port = free_port(19092, 3)
        # A shorter session than the launcher's own lets a killed broker return sooner.
        started = run(cls.port, *START, "--config", "broker.session.timeout.ms=4000",
                      "broker.heartbeat.interval.ms=500")
        if started.returncode == 3:
            raise unittest.SkipTest(f"SKIPPED: {started.stderr.strip()}")
        if started.returncode != 0:
            raise AssertionError(f"start failed: {started.stdout}{started.stderr}")
        cls.addClassCleanup(run, cls.port, "stop")
        cls.start_output = started.stdout

    def make_topic(self, name):
        self.succeeds(self.port, "topic", "create", name)

    def consumed(self, topic, count):
        shown = self.succeeds(self.port, "consume", "--topic", topic, "--max", str(count),
                              "--timeout-ms", "20000")
        return shown.splitlines()

    def log_sizes(self, topic):
        """Bytes of data by broker and partition, read from what `segments` prints."""
        sizes, broker, partition = collections.defaultdict(dict), None, None
        for line in self.succeeds(self.port, "segments", "--topic", topic).splitlines():
            if heading := re.match(r"broker (\d) ", line):
                broker = int(heading[1])
            elif heading := re.fullmatch(re.escape(topic) + r"-(\d+):", line):
                partition = int(heading[1])
            elif line.endswith("00000000000000000000.log"):
                sizes[broker][partition] = int(line.split()[4])
        return sizes

    def test_start_names_all_three_bootstrap_servers_and_every_broker_is_up(self):
        servers = ",".join(f"127.0.0.1:{self.port + i}" for i in range(3))
        self.assertIn(f"bootstrap servers: {servers}\n", self.start_output)
        self.assertEqual(broker_states(self.port), {"1": "up", "2": "up", "3": "up"})

    def test_brokers_and_controllers_listen_on_loopback_only(self):
        open_sockets = [line.split() for table in ("tcp", "tcp6")
                        for line in Path("/proc/net", table).read_text().splitlines()[1:]]
        listens = [fields[1].split(":") for fields in open_sockets if fields[3] == "0A"]
        ours = [self.port + offset + i for offset in (0, 1000) for i in range(3)]
        hosts = {host for host, port in listens if int(port, 16) in ours}
        self.assertLessEqual(hosts, {"0100007F", "0000000000000000FFFF00000100007F"})
        self.assertEqual(len([1 for _, port in listens if int(port, 16) in ours]), 6)

    def test_the_sample_events_come_back_and_lie_in_every_partition_of_every_broker(self):
        self.make_topic("clickstream_events")
        described = self.succeeds(self.port, "topic", "describe", "clickstream_events")
        self.assertRegex(described, r"PartitionCount: 3\s+ReplicationFactor: 3")
        self.succeeds(self.port, "produce", "-", stdin="\n".join(SAMPLE_EVENTS) + "\n")
        returned = self.consumed("clickstream_events", 5)
        self.assertEqual(sorted(returned), sorted(SAMPLE_EVENTS))
        clicks = collections.Counter(event["user_id"] for event in map(json.loads, returned)
                                     if event["action"] == "click")
        self.assertEqual(clicks, {1001: 2, 1003: 1})
        # The followers copy within moments; the leader of each partition has the records already.
        deadline = time.monotonic() + 10
        while True:
            sizes = self.log_sizes("clickstream_events")
            if all(sizes[i].get(p, 0) > 0 for i in (1, 2, 3) for p in (0, 1, 2)):
                break
            self.assertLess(time.monotonic(), deadline, f"bytes by broker and partition: {sizes}")

    def test_lines_go_round_robin_over_the_partitions(self):
        self.make_topic("spread")
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:
            lines.write("".join(f"{n}\n" for n in range(300)))
            lines.flush()
            self.succeeds(self.port, "produce", lines.name, "--topic", "spread")
        ends = self.succeeds(self.port, "topic", "delete-records", "spread", "0=-1", "1=-1", "2=-1")
        self.assertEqual(sorted(ends.splitlines()),
                         [f"spread-{p} begins at offset 100" for p in range(3)])

    def test_a_record_that_the_broker_or_producer_refuses_is_a_failure_with_its_reason(self):
        self.make_topic("small")
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:
            lines.write("fits\n" + "x" * 2_000_000 + "\n")
            lines.flush()
            self.fails(1, "not everything was sent .*RecordTooLargeException", self.port,
                       "produce", lines.name, "--topic", "small")
        self.assertEqual(self.consumed("small", 1), ["fits"])

    def test_topics_can_grow_lose_their_oldest_records_and_be_deleted(self):
        self.make_topic("growing")
        self.succeeds(self.port, "produce", "-", "--topic", "growing", stdin="a\nb\nc\n")
        self.succeeds(self.port, "topic", "delete-records", "growing", "0=1", "1=1")
        self.assertEqual(len(self.consumed("growing", 1)), 1)
        self.succeeds(self.port, "topic", "alter", "growing", "--partitions", "4")
        self.assertIn("PartitionCount: 4", self.succeeds(self.port, "topic", "describe", "growing"))
        self.assertIn("growing\n", self.succeeds(self.port, "topic", "list"))
        self.fails(1, "has no partition 4", self.port, "topic", "delete-records", "growing", "4=0")
        self.succeeds(self.port, "topic", "delete", "growing")
        self.assertNotIn("growing", self.succeeds(self.port, "topic", "list"))

    def test_a_killed_broker_is_down_and_restarts_on_its_data(self):
        self.make_topic("durable")
        self.succeeds(self.port, "produce", "-", "--topic", "durable", stdin="one\ntwo\nthree\n")
        shown = self.succeeds(self.port, "segments", "--topic", "durable")
        marker = Path(re.search(r"^broker 1 .*, (/.*)", shown, re.M)[1],
                      "durable-0", "partition.metadata")
        before = marker.stat()
        self.succeeds(self.port, "kill", "1")
        self.assertEqual(broker_states(self.port), {"1": "down", "2": "up", "3": "up"})
        self.fails(1, "broker 1 is not running", self.port, "kill", "1")
        self.succeeds(self.port, "restart", "1")
        self.assertEqual(broker_states(self.port), {"1": "up", "2": "up", "3": "up"})
        self.assertEqual((marker.stat().st_ino, marker.stat().st_mtime_ns),
                         (before.st_ino, before.st_mtime_ns), "its own files, not a fresh copy")
        self.assertEqual(sorted(self.consumed("durable", 3)), ["one", "three", "two"])

    def test_a_paused_broker_neither_answers_nor_stops_the_others_until_it_is_resumed(self):
        self.succeeds(self.port, "pause", "2")
        self.addCleanup(run, self.port, "resume", "2")
        self.assertEqual(broker_states(self.port), {"1": "up", "2": "paused", "3": "up"})
        self.succeeds(self.port, "topic", "list")
        self.succeeds(self.port, "resume", "2")
        deadline = time.monotonic() + 30
        while broker_states(self.port)["2"] != "up":
            self.assertLess(time.monotonic(), deadline, "broker 2 did not come back")

    def test_a_second_start_on_the_same_port_says_that_the_cluster_is_running(self):
        self.fails(1, f"the cluster on port {self.port} is running already", self.port, "start")

    def test_a_broker_or_topic_that_is_not_there_is_named(self):
        self.fails(1, "topic nowhere does not exist", self.port, "consume", "--topic", "nowhere")
        self.fails(1, "topic nowhere does not exist", self.port, "produce", "-", "--topic",
                   "nowhere")
        self.fails(1, "topic nowhere does not exist", self.port, "topic", "describe", "nowhere")


class KafkaLauncher(LauncherTest):
    def setUp(self):
        skip_without_java_and_maven()
        self.port = free_port(28092, 1)

    def test_wrong_usage_is_one_line_and_exit_code_2(self):
        for arguments, pattern in (
                (["fly"], "unknown command 'fly'"), (["topic", "fly"], "unknown command 'fly'"),
                ([], "COMMAND"), (["start", "--brokers", "4"], "'4' is not a whole number"),
                (["start", "--port", "70000"], "'70000' is not a whole number"),
                (["start", "--config", "log.dirs=/"], "log.dirs is set by tools/kafka itself"),
                (["start", "--version", "latest"], "'latest' is not a Kafka version"),
                (["kill"], "required"), (["topic", "create", "a b"], "'a b' is not a topic's name"),
                (["topic", "delete-records", "t", "x"], "'x' is not PARTITION=OFFSET")):
            with self.subTest(arguments):
                self.fails(2, pattern, self.port, *arguments)

    def test_missing_java_is_exit_code_3_and_names_the_package(self):
        with tempfile.TemporaryDirectory() as empty:
            Path(empty, "python3").symlink_to("/usr/bin/python3")
            env = {"PATH": empty, "HOME": empty, "TMPDIR": empty}
            self.fails(3, "openjdk-17-jre-headless", self.port, "start", env=env)

    def test_missing_maven_is_exit_code_3_when_jars_must_be_fetched(self):
        with tempfile.TemporaryDirectory() as empty:
            for command in ("python3", "java"):
                Path(empty, command).symlink_to(shutil.which(command, path="/usr/bin:/bin")
                                                or shutil.which(command))
            env = {"PATH": empty, "HOME": empty, "TMPDIR": empty}
            self.fails(3, "apt-get install maven", self.port, "start", env=env)

    def test_commands_on_a_port_without_a_cluster_say_how_to_start_one(self):
        self.fails(1, f"no cluster on port {self.port}: tools/kafka start", self.port, "status")
        self.assertIn("nothing to stop", self.succeeds(self.port, "stop"))

    def test_a_port_that_someone_else_uses_is_named(self):
        with socket.create_server(("127.0.0.1", self.port + 1000)):
            self.fails(1, f"port {self.port + 1000} cannot be used", self.port, "start",
                       "--brokers", "1")

    def test_a_failed_start_shows_the_reason_and_leaves_nothing_running(self):
        self.addCleanup(run, self.port, "stop")
        done = run(self.port, *START, "--brokers", "1", "--config", "broker.rack=a",
                   "metric.reporters=no.such.Reporter")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("no.such.Reporter", done.stderr)
        self.assertLess(done.stderr.count("\n"), 12, done.stderr)
        self.assertEqual(broker_pids(self.port), [])

    def test_a_killed_launcher_does_not_block_the_next_start_and_stop_leaves_nothing(self):
        self.addCleanup(run, self.port, "stop")
        launcher = subprocess.Popen(
            [str(TOOL), *START, "--brokers", "1", "--port", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + LIMIT_S
        while not broker_pids(self.port) and launcher.poll() is None:
            self.assertLess(time.monotonic(), deadline, "the broker was never launched")
            time.sleep(0.05)
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
        left = broker_pids(self.port)
        while not listening(self.port):
            self.assertLess(time.monotonic(), deadline, "the broker died with its launcher")
            time.sleep(0.1)
        self.succeeds(self.port, *START, "--brokers", "1")
        self.assertTrue(all(process_ended(pid) for pid in left), left)
        pids = broker_pids(self.port)
        self.assertEqual(len(pids), 1)
        home = Path(re.search(r" in (/.*)", run(self.port, "status").stdout)[1])
        self.assertTrue((home / "1" / "broker.log").exists())
        self.succeeds(self.port, "stop")
        self.assertTrue(process_ended(pids[0]))
        self.assertFalse(home.exists())
        self.assertFalse(listening(self.port))

    def test_data_kept_by_stop_is_there_after_the_next_start(self):
        self.addCleanup(run, self.port, "stop")
        with tempfile.TemporaryDirectory() as place:
            home = str(Path(place) / "cluster")
            self.succeeds(self.port, *START, "--brokers", "1", "--dir", home)
            self.succeeds(self.port, "topic", "create", "kept", "--partitions", "1")
            self.succeeds(self.port, "produce", "-", "--topic", "kept", stdin="still here\n")
            self.fails(1, "/no/file: No such file", self.port, "produce", "/no/file", "--topic",
                       "kept")
            self.fails(2, "no broker 3", self.port, "kill", "3")
            self.succeeds(self.port, "stop", "--keep")
            self.succeeds(self.port, "start")
            shown = self.succeeds(self.port, "consume", "--topic", "kept", "--max", "1",
                                  "--timeout-ms", "20000")
            self.assertEqual(shown, "still here\n")
            self.succeeds(self.port, "stop")
            self.assertFalse(Path(home).exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
