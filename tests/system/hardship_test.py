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


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


def has_sanitizers():
    """AddressSanitizer reserves terabytes of addresses."""
    command = ["sh", "-c", f"ulimit -v 900000; exec '{BIN}/clicktally' --version"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode != 0


class HardshipTest(unittest.TestCase):
    def setUp(self):
        self.topic = mock.new_topic()
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
        self.assert_line(inspect("show", f"{self.checkpoint}@live"), code, pattern)
        job = self.command("--available-now", "--no-fallback", "--log-level", "error",
                           bootstrap=NOWHERE)
        self.assert_line(self.end(job), code, pattern)


class ShortageTest(HardshipTest):
    def test_too_little_memory_or_too_few_threads_is_7_and_never_a_crash_or_a_hang(self):
        if has_sanitizers():
            self.skipTest("the sanitizers reserve more memory than any limit leaves")
        self.make_checkpoint()
        refused = 0
        for kilobytes in range(40_000, 760_000, 31_000):
            with self.subTest(kilobytes=kilobytes):
                limits = f"ulimit -v {kilobytes};"
                for command in (self.command("--available-now", "--sink", "none"),
                                [BIN / "clicktally-inspect", "show", self.checkpoint]):
                    done = self.end(command, limits, limit_s=30)
                    if done.errors == b"Unexpected error.\n":
                        continue  # of glibc, which aborts in the start of a thread now and then
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
        if not has_sanitizers():  # they look at memory through pipes of their own
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


class MisplacedTest(HardshipTest):
    """Something else stands where a file of the checkpoint should be: 5 in both programs, at once."""

    KINDS = {"FIFO": lambda path, kept: os.mkfifo(path),
             "directory": lambda path, kept: path.mkdir(),
             "symbolic link": lambda path, kept: path.symlink_to(kept)}

    def test_a_fifo_a_directory_or_a_link_in_place_of_a_file_is_5_and_never_waited_for(self):
        self.make_checkpoint()
        kept = self.folder / "kept"
        for name in ("job.json", "COMMITTED", "SHOWN", "live/CURRENT", "live/MANIFEST", "live/0*.log"):
            path = max(self.checkpoint.glob(name + "*"))
            for kind, make in self.KINDS.items():
                with self.subTest(file=path.name, kind=kind):
                    path.rename(kept)
                    make(path, kept)
                    self.both_refuse(5, f"{path.name}: a {kind} where a file should be; restore "
                                        "the checkpoint from a backup")
                    path.rmdir() if path.is_dir() else path.unlink()
                    kept.rename(path)
        (self.checkpoint / "live").rename(kept)
        (self.checkpoint / "live").write_text("a file")
        self.both_refuse(5, "live.*: Not a directory; restore the checkpoint")
        (self.checkpoint / "live").unlink()
        kept.rename(self.checkpoint / "live")
        self.assertEqual(export(self, self.checkpoint), {"1": 1, "2": 1})

    def test_job_json_missing_beside_batches_is_5_in_both(self):
        self.make_checkpoint()
        (self.checkpoint / "job.json").unlink()
        self.both_refuse(5, "job.json: missing from a checkpoint that has counted; restore")
        (self.checkpoint / "SHOWN").unlink()
        (self.checkpoint / "live").rename(self.checkpoint / "live.new")
        self.both_refuse(5, "job.json: missing from a checkpoint that has counted; restore")
        (self.checkpoint / "COMMITTED").unlink()  # which would tell, as would this:
        shutil.rmtree(self.checkpoint / "snapshots")
        self.both_refuse(5, "live.new: holds batch 0, so it is not left from .*; restore")
        self.assertTrue((self.checkpoint / "live.new" / "CURRENT").exists())

    def test_a_checkpoint_that_waits_for_kafka_says_that_it_has_no_batch(self):
        job = Job(self, NOWHERE, self.checkpoint, topic=self.topic)
        job.wait_for_log(rb"waiting for Kafka")
        self.assert_line(inspect("show", self.checkpoint), 3,
                         "a job is making this checkpoint, it has no batch yet")
        job.stop()


class MessageTest(HardshipTest):
    def test_command_lines_that_can_never_work_are_2_before_any_waiting(self):
        for flags, pattern in (
                (["--bootstrap-servers", ","], "',' names no broker"),
                (["--bootstrap-servers", "localhost:99999"], "'localhost:99999' has no port"),
                (["--bootstrap-servers", "http://localhost:9092"], "none of Kafka's; write host"),
                (["--bootstrap-servers", "ssl://localhost:1"], "-X security.protocol=ssl"),
                (["-X", "receive.message.max.bytes=2000"], "refused, .*at least 1048576"),
                (["-X", "fetch.error.backoff.ms=4294967396"],
                 "4294967396 is out of range, librdkafka would take 100"),
                (["-X", "fetch.error.backoff.ms=-1"], r"range 0..300000$"),
                (["-X"], "'-X' is missing"),
                (["stray", "more"], "'stray' is not a flag; see clicktally --help")):
            with self.subTest(flags=flags):
                done = clicktally.run("clicktally", "--checkpoint", str(self.checkpoint), *flags,
                                      limit_s=10)
                self.assert_line(done, 2, pattern)
        self.assertFalse(self.checkpoint.exists())
        self.assert_line(inspect("show", ""), 2, "show: the checkpoint's path is empty")

    def test_a_missing_table_is_named_as_it_is_and_once(self):
        self.make_checkpoint()
        send(mock.bootstrap, self.topic, map(click, range(3000)))
        drain(self, mock.bootstrap, self.checkpoint, "--sink", "none", topic=self.topic)
        table = max((self.checkpoint / "live").glob("*.sst"))
        table.unlink()
        self.both_refuse(5, f"live: Corruption: /[^:]+/{table.name}: cannot open: No such file or "
                            r"directory in file /[^:]+/MANIFEST-\d+; restore the checkpoint")


class OperatorTest(HardshipTest):
    def start(self, *flags):
        job = Job(self, mock.bootstrap, self.checkpoint, "--trigger", "100 ms", "--log-level",
                  "debug", *flags, topic=self.topic)
        job.wait_for_batch(0)
        job.wait_for_log(rb"batch 0 shown")
        return job

    def test_a_path_where_no_checkpoint_can_be_is_3_with_the_next_step(self):
        (self.folder / "link").symlink_to(self.folder / "nowhere")
        (self.folder / "file").write_text("x")
        for path, pattern in ((self.folder / "link", "a link that leads nowhere; mend the link"),
                              (self.folder / "link" / "deeper", "name one on a local disk"),
                              ("/proc/clicktally", "name one on a local disk"),
                              (self.folder / "file", r"file: cannot stat: Not a directory")):
            with self.subTest(path=path):
                done = self.end(self.command("--log-level", "error", checkpoint=path))
                self.assert_line(done, 3, pattern)
                self.assertNotIn(b"/.:", done.errors)

    def test_a_shown_that_was_removed_under_a_running_job_is_made_anew(self):
        job = self.start()
        (self.checkpoint / "SHOWN").unlink()
        send(mock.bootstrap, self.topic, [click(1)])
        job.wait_for_log(rb"batch 1 shown")
        job.stop()
        self.assertTrue(show(self, self.checkpoint)["shown"])

    def test_a_checkpoint_that_was_removed_or_moved_under_a_running_job_is_3(self):
        moved = self.folder / "moved"
        for removed in (False, True):
            job = self.start()
            self.checkpoint.rename(moved)
            if removed:
                shutil.rmtree(moved)
            send(mock.bootstrap, self.topic, map(click, range(5000)))
            self.assertEqual(job.end(), 3, f"{job}")
            self.assertRegex(job.errors.text(), r"\nclicktally: [^\n]+: the checkpoint was removed "
                                                r"or moved while the job ran; [^\n]+\n$")
            self.assertFalse(self.checkpoint.exists())
            shutil.rmtree(moved, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
