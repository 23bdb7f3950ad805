"""What the system refuses and what operators do to a checkpoint: always one line and an exit code
of ours, never a hang, an abort or a wrong count (I5). On a mock cluster, or without one."""

import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

import clicktally
from clicktally import BIN, Job, click, drain, export, inspect, show
from raw_producer import send

NOWHERE = "127.0.0.1:1"  # nobody listens there

mock = None
topics_made = 0


def setUpModule():
    global mock
    mock = clicktally.MockKafka()
    unittest.addModuleCleanup(mock.close)


class HardshipTest(unittest.TestCase):
    def setUp(self):
        global topics_made
        topics_made += 1
        self.topic = f"h{topics_made}"
        mock.say(f"topic {self.topic} 3 3")
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "checkpoint"

    def command(self, *flags, bootstrap=None, checkpoint=None):
        return [BIN / "clicktally", "--bootstrap-servers", bootstrap or mock.bootstrap, "--topic",
                self.topic, "--checkpoint", checkpoint or self.checkpoint, "--starting-offsets",
                "earliest", *flags]

    def end(self, command, limits="", limit_s=clicktally.LIMIT_S, **streams):
        """What a process that must end by itself says, run under limits of the shell."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        done = subprocess.run(
            ["/bin/bash", "-c", f'{limits} exec "$0" "$@"', *map(str, command)],
            stdin=subprocess.DEVNULL, timeout=limit_s, **streams)
        return clicktally.Done(done.returncode, done.stdout or b"", done.stderr or b"")

    def assert_line(self, done, code, pattern):
        """The exit code and, behind what was logged, one line that matches."""
        lines = done.errors.decode().splitlines()
        self.assertEqual(done.code, code, f"{done}")
        self.assertRegex(lines[-1], r"\Aclicktally(-inspect)?: ", f"{done}")
        self.assertRegex(lines[-1], pattern)
        self.assertEqual([line for line in lines[:-1] if line.startswith("clicktally")], [])

    def make_checkpoint(self, *values):
        send(mock.bootstrap, self.topic, values or [click(1), click(2)])
        drain(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
              topic=self.topic)

    def both_refuse(self, code, pattern):
        """Both programs, and nobody hangs."""
        self.assert_line(inspect("show", self.checkpoint), code, pattern)
        self.assert_line(self.end(self.command("--available-now", "--log-level", "error",
                                               bootstrap=NOWHERE)), code, pattern)


class ShortageTest(HardshipTest):
    def skip_with_sanitizers(self):
        done = self.end([BIN / "clicktally", "--version"], "ulimit -v 900000;")
        if done.code != 0:
            self.skipTest("the sanitizers reserve more memory than any limit leaves")

    def test_too_little_memory_or_too_few_threads_is_7_and_never_a_crash_or_a_hang(self):
        self.skip_with_sanitizers()
        self.make_checkpoint()
        refused = 0
        for kilobytes in range(40_000, 760_000, 31_000):
            with self.subTest(kilobytes=kilobytes):
                limits = f"ulimit -v {kilobytes};"
                for command in (self.command("--available-now", "--sink", "none"),
                                [BIN / "clicktally-inspect", "show", self.checkpoint]):
                    done = self.end(command, limits, limit_s=30)
                    if done.code != 0:
                        refused += 1
                        self.assert_line(done, 7, r"no more (memory|threads)|librdkafka: ")
        self.assertGreater(refused, 10)
        self.assertEqual(export(self, self.checkpoint), {"1": 1, "2": 1})


if __name__ == "__main__":
    unittest.main()
