"""tools/crash-test as a person runs it, on a mock cluster: what it says, writes and leaves."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import clicktally  # noqa: E402
from clicktally import BIN, ROOT, click  # noqa: E402
from raw_producer import send  # noqa: E402

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


class CrashTestTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "disk" / "checkpoint"
        self.report = self.folder / "report.json"
        self.topic = mock.new_topic()

    def run_tool(self, *flags, binaries=BIN):
        return subprocess.run(
            [ROOT / "tools" / "crash-test", "--bootstrap-servers", mock.bootstrap, "--topic",
             self.topic, "--checkpoint", self.checkpoint, "--bin", binaries, "--report",
             self.report, *map(str, flags)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)

    def test_it_reports_kills_and_where_they_landed_and_leaves_nothing(self):
        done = self.run_tool("--kills", 5, "--keep-topic", "--rate", 2000, "--seed", 7,
                             "-X", "client.id=crash-test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\A5 kills \(-9\), \d+ stops \(SIGTERM\), \d+ restarts, the "
                                      r"slowest ready in [\d.]+ s\nkills landed\n")
        self.assertRegex(done.stdout, r"\n\d+ events of \d+ users counted to the click, at every "
                                      r"restart and at the end, in [\d.]+ s\nno violation; seed 7\n")
        report = json.loads(self.report.read_text())
        self.assertEqual((report["kills"], report["violations"], report["seed"]), (5, 0, 7))
        self.assertEqual(sum(report["landed"].values()), 5)
        self.assertGreaterEqual(report["restarts"], 5)
        self.assertGreater(report["slowestRecoveryS"], 0)
        self.assertGreater(report["events"], 0)
        self.assertFalse(self.checkpoint.exists())

    def test_it_ends_when_its_time_is_up(self):
        done = self.run_tool("--kills", 100000, "--minutes", 0.05, "--keep-topic", "--rate", 500)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLess(json.loads(self.report.read_text())["kills"], 1000)

    def test_a_wrong_count_is_a_violation_with_the_line_that_replays_it(self):
        """The offline tool stands for a job that counts wrong: one click too many for one user."""
        binaries = self.folder / "bin"
        binaries.mkdir()
        for binary in ("clicktally", "clicktally-produce"):
            (binaries / binary).symlink_to(BIN / binary)
        (binaries / "clicktally-inspect").write_text(
            f"#!/bin/sh\nexec '{BIN}/clicktally-inspect' \"$@\" | sed '/^[0-9]*,1$/{{s/1$/2/;}}'\n")
        (binaries / "clicktally-inspect").chmod(0o755)
        done = self.run_tool("--kills", 50, "--keep-topic", "--seed", 7, binaries=binaries)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\AVIOLATION: [^\n]*users differ, [^\n]*\n")
        self.assertRegex(done.stdout, r"\nThe checkpoint is kept: [^\n]+\nseed 7; replay: "
                                      r"tools/crash-test --seed 7 --kills 50 ")
        report = json.loads(self.report.read_text())
        self.assertEqual(report["violations"], 1)
        self.assertIn("users differ", report["violation"])
        self.assertTrue((self.checkpoint / "job.json").exists())

    def test_a_topic_that_is_there_or_holds_records_is_left_alone(self):
        done = self.run_tool("--kills", 1)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"tools/crash-test: cannot run: topic {self.topic} is there "
                                      "already; name one that is not\n")
        send(mock.bootstrap, self.topic, [click(1)])
        done = self.run_tool("--kills", 1, "--keep-topic")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"tools/crash-test: cannot run: topic {self.topic} holds "
                                      "records; name an empty one\n")
        self.assertFalse(self.checkpoint.exists())
        self.assertFalse(self.report.exists())

    def test_wrong_usage_is_2_and_nothing_is_touched(self):
        self.checkpoint.mkdir(parents=True)
        for flags, pattern in (([], "exists: name one that does not"),
                               (["--kills", "0"], "--kills"),
                               (["--minutes", "soon"], "--minutes"),
                               (["--bin", self.folder], "clicktally is not built: cmake")):
            done = self.run_tool(*flags)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, pattern)
        self.assertEqual(os.listdir(self.checkpoint), [])

    def test_help_says_what_it_does_and_how_it_ends(self):
        done = subprocess.run([ROOT / "tools" / "crash-test", "--help"], capture_output=True,
                              text=True, check=True)
        for word in ("--kills", "--minutes", "--report", "exit codes", "not a power loss"):
            self.assertIn(word, done.stdout)


if __name__ == "__main__":
    unittest.main()
