"""The mock cluster and the producer, each as the process that people start.

CLICKTALLY_BIN names the folder of the binaries.
"""

import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

BIN = Path(os.environ["CLICKTALLY_BIN"])
LIMIT_S = 30
HEADER = "user_id,total_clicks"


class MockKafka:
    """A running clicktally-mock-kafka; killed if it is still there at the end of the test."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [BIN / "clicktally-mock-kafka", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.limit = threading.Timer(LIMIT_S, self.process.kill)  # so that no read waits for ever
        self.limit.start()
        self.bootstrap = self.process.stdout.readline().strip()

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        """Exit code and what else was printed, after the end of stdin."""
        out, errors = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, errors

    def close(self):
        self.limit.cancel()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def produce(*arguments, **options):
    return subprocess.run([BIN / "clicktally-produce", *map(str, arguments)],
                          capture_output=True, timeout=LIMIT_S, **options)


def read_truth(path):
    lines = Path(path).read_text().splitlines()
    assert lines[0] == HEADER, lines[0]
    return {user: int(clicks) for user, clicks in (line.split(",") for line in lines[1:])}


def count(lines):
    """The slow, obvious count of printed events."""
    truth = {}
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # broken JSON, and bytes that are not UTF-8
            continue
        if event["action"] == "click":
            user = event.get("user_id")
            key = "" if user is None else str(user)
            truth[key] = truth.get(key, 0) + 1
    return truth


class MockKafkaTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.truth = Path(folder.name) / "truth.csv"

    def start(self, *arguments):
        mock = MockKafka(*arguments)
        self.addCleanup(mock.close)
        return mock

    def test_a_thousand_events_are_all_delivered_and_their_clicks_all_in_the_truth(self):
        mock = self.start()
        self.assertEqual(len(mock.bootstrap.split(",")), 3)
        mix = ["--events", 1000, "--users", 50, "--broken", 0.1, "--null-users", 0.1]
        printed = produce("--print", *mix).stdout.split(b"\n")[:-1]
        sent = produce("--bootstrap-servers", mock.bootstrap, *mix, "--truth", self.truth)
        self.assertEqual((sent.returncode, sent.stdout), (0, b""), sent.stderr)
        self.assertEqual(len(printed), 1000)
        self.assertEqual(read_truth(self.truth), count(printed))
        clicks = sum(read_truth(self.truth).values())
        self.assertRegex(sent.stderr.decode(), f"^1000 events, {clicks} clicks of [^\n]*\n$")
        self.assertEqual(mock.end(), (0, "", ""))

    def test_append_truth_adds_and_without_it_the_file_is_replaced(self):
        mock = self.start("--topic", "t:4:1")
        to = ["--bootstrap-servers", mock.bootstrap, "--topic", "t", "--truth", self.truth,
              "--clicks", 1]
        for extra, expected in [([], 100), (["--append-truth"], 200), ([], 100)]:
            run = produce(*to, "--events", 100, *extra)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(sum(read_truth(self.truth).values()), expected)

    def test_lost_deliveries_are_one_line_exit_code_1_and_no_truth(self):
        mock = self.start("--brokers", "3")
        self.assertEqual(mock.say("leader clickstream_events 0 1"), "ok")
        self.assertEqual(mock.say("leader clickstream_events 1 2"), "ok")
        self.assertEqual(mock.say("leader clickstream_events 2 3"), "ok")
        self.assertEqual(mock.say("down 2"), "ok")
        run = produce("--bootstrap-servers", mock.bootstrap, "--events", 300, "--truth",
                      self.truth, "-X", "message.timeout.ms=1500")
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertRegex(run.stderr.decode(), r"^clicktally-produce: \d+ of 300 events [^\n]*\n$")
        self.assertFalse(self.truth.exists())
        self.assertEqual(mock.say("up 2"), "ok")
        self.assertEqual(produce("--bootstrap-servers", mock.bootstrap).returncode, 0)

    def test_sigterm_ends_the_events_and_the_truth_is_that_of_what_was_sent(self):
        mock = self.start()
        process = subprocess.Popen(
            [BIN / "clicktally-produce", "--bootstrap-servers", mock.bootstrap, "--events", "0",
             "--rate", "2000", "--clicks", "1", "--truth", self.truth],
            stderr=subprocess.PIPE, text=True)
        with process:
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(1)
            process.send_signal(signal.SIGTERM)
            errors = process.communicate(timeout=LIMIT_S)[1]
        self.assertEqual(process.returncode, 0, errors)
        events = int(errors.split()[0])
        self.assertEqual(sum(read_truth(self.truth).values()), events)
        self.assertTrue(500 < events < 4000, errors)

    def test_a_missing_topic_or_broker_is_one_line(self):
        mock = self.start()
        for arguments, named in [(["--bootstrap-servers", mock.bootstrap, "--topic", "no"], "no"),
                                 (["--bootstrap-servers", "127.0.0.1:1"], "127.0.0.1:1")]:
            run = produce(*arguments)
            self.assertEqual(run.returncode, 1)
            self.assertRegex(run.stderr.decode(), f"^clicktally-produce: [^\n]*{named}[^\n]*\n$")

    def test_every_command_is_answered_in_a_line(self):
        mock = self.start("--brokers", "2", "--topic", "a:1:1")
        for command in ["topic b 3 2", "leader b 0 2", "down 1", "up 1", "rtt 2 5", "rtt 2 0"]:
            self.assertEqual(mock.say(command), "ok", command)
        for command in ["topic b 3 2", "topic c 3 3", "topic c 0 1", "topic c", "leader b 7 1",
                        "leader b 0 9", "down 3", "up x", "rtt 1 -5", "nonsense", ""]:
            self.assertRegex(mock.say(command), "^error: .+", command)
        self.assertEqual(mock.say("quit"), "ok")
        self.assertEqual(mock.end(), (0, "", ""))

    def test_a_daemon_outlives_its_stdin_and_ends_at_sigterm(self):
        mock = self.start("--daemon")
        mock.process.stdin.close()
        with self.assertRaises(subprocess.TimeoutExpired):
            mock.process.wait(0.5)
        self.assertEqual(produce("--bootstrap-servers", mock.bootstrap).returncode, 0)
        mock.process.send_signal(signal.SIGTERM)
        self.assertEqual(mock.process.wait(LIMIT_S), 0)

    def test_a_topic_that_cannot_be_is_refused_at_the_start(self):
        for topic in ["a", "a:0:1", "a:1:x", "a:1:9", ":1:1"]:
            mock = self.start("--topic", topic)
            code, out, errors = mock.end()
            self.assertEqual((code, mock.bootstrap + out), (2, ""))
            self.assertRegex(errors, f"^clicktally-mock-kafka: [^\n]+\n$")


if __name__ == "__main__":
    unittest.main()
