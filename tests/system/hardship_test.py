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

    def test_the_soft_limit_of_descriptors_is_raised_and_a_low_hard_one_is_7(self):
        self.make_checkpoint()
        wanted = self.command("--available-now", "--sink", "none")
        self.assertEqual(self.end(wanted, "ulimit -Sn 24;").code, 0)
        self.assert_line(self.end(wanted, "ulimit -n 24;"), 7,
                         "at most 24 file descriptors are allowed, and 256 are needed .*ulimit -n")
        reads = [BIN / "clicktally-inspect", "show", self.checkpoint]
        self.assertEqual(self.end(reads, "ulimit -n 24;").code, 0)
        self.assert_line(self.end(reads, "ulimit -n 6;"), 7, "Too many open files")

    def test_a_limit_on_the_size_of_files_is_7(self):
        self.make_checkpoint()
        send(mock.bootstrap, self.topic, map(click, range(20_000)))
        limits = "ulimit -f 16;"  # KiB
        done = self.end(self.command("--available-now", "--sink", "none"), limits)
        self.assert_line(done, 7, "File too large")
        self.assertEqual(show(self, self.checkpoint)["totalClicks"], 2)
        with open(self.folder / "out", "wb") as out:
            drain(self, mock.bootstrap, self.checkpoint, "--sink", "none", topic=self.topic)
            done = self.end([BIN / "clicktally-inspect", "export", self.checkpoint], limits,
                            stdout=out)
        self.assert_line(done, 8, "standard output: File too large")

    def test_help_on_a_full_device_is_8_with_a_line(self):
        for binary in ("clicktally", "clicktally-inspect"):
            for flag in ("--help", "--version"):
                with self.subTest(binary=binary, flag=flag), open("/dev/full", "wb") as full:
                    done = self.end([BIN / binary, flag], stdout=full)
                    self.assert_line(done, 8, "standard output: No space left on device")


class SignalTest(HardshipTest):
    def test_two_signals_at_once_are_one_and_the_stop_is_clean(self):
        for second in (signal.SIGINT, signal.SIGTERM):
            job = Job(self, mock.bootstrap, self.checkpoint, topic=self.topic)
            job.wait_for_batch(0) if second == signal.SIGINT else job.wait_for_log(rb"RESUMED")
            job.term()
            job.process.send_signal(second)
            self.assertEqual(job.end(), 0, f"{job}")

    def test_timeout_ends_it_with_a_clean_stop(self):
        done = self.end(["timeout", "--preserve-status", "2", *self.command()])
        self.assertEqual(done.code, 0, f"{done}")


if __name__ == "__main__":
    unittest.main()
