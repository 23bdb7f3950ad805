"""The job as a person runs it, on a mock cluster.

Checks I2 and I10 (a committed batch that was not shown is shown again, as it was), I4 and I7
(counters and digest add up), I5 (damage is refused, never a wrong count or a fresh start), I6 (ids
without holes), I8 (one writer; readers do not disturb it). Fault rows 9, 11, 12, 16 (no broker at the
start), 17 and 18. What needs real brokers stands in kafka_exact_test.py.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import clicktally
from clicktally import (DEFAULT_TOPIC, SAMPLE_EVENTS, STOP_S, Job, click, drain, export, inspect,
                        narrow_pipe, show, stuck_shown)
from raw_producer import RawProducer, send

NOWHERE = "127.0.0.1:1"  # nobody listens there

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


def tree(folder):
    """Every file's bytes, to see that nothing was touched."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


class JobTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "checkpoint"
        self.topic = mock.new_topic()

    def job(self, *flags, **options):
        return Job(self, mock.bootstrap, options.pop("checkpoint", self.checkpoint), *flags,
                   topic=options.pop("topic", self.topic), **options)

    def drain(self, *flags):
        return drain(self, mock.bootstrap, self.checkpoint, *flags, topic=self.topic)

    def send(self, *values, first=0):
        send(mock.bootstrap, self.topic, values, first=first)

    def fails(self, code, pattern, *flags, bootstrap=NOWHERE, checkpoint=None, topic=None):
        """A start that is refused: the code, one line on stderr that matches, nothing on stdout."""
        done = clicktally.run(
            "clicktally", "--bootstrap-servers", bootstrap, "--checkpoint",
            str(checkpoint or self.checkpoint), "--topic", topic or self.topic, "--log-level",
            "error", "--available-now", *map(str, flags))
        self.assert_refused(done, code, pattern)
        return done

    def assert_refused(self, done, code, pattern):
        errors = done.errors.decode()
        self.assertEqual(done.code, code, f"{done}")
        self.assertRegex(errors, r"\Aclicktally(-inspect)?: [^\n]+\n\Z", f"{done}")
        self.assertRegex(errors, pattern)
        self.assertEqual(done.out, b"")


class TablesTest(JobTest):
    def test_the_five_sample_events_are_printed_as_spark_prints_them_byte_for_byte(self):
        checkpoint = self.folder / "sample"
        job = self.job("--trigger", "3 seconds", checkpoint=checkpoint, topic=DEFAULT_TOPIC)
        job.wait_for_batch(0)
        send(mock.bootstrap, DEFAULT_TOPIC, SAMPLE_EVENTS)
        shown_at = job.wait_for_batch(1).time
        job.stop()
        self.assertRegex(shown_at, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{0,2}[1-9])?$")
        clock = time.mktime(time.strptime(shown_at[:19], "%Y-%m-%d %H:%M:%S"))
        self.assertLess(abs(time.time() - clock), 30, "processing_time is not this time and zone's")
        width = max(len("processing_time"), len(shown_at))
        line, named = "-" * width, "processing_time".ljust(width)
        self.assertEqual(job.out.text(), f"""\
Streaming query started on topic: clickstream_events. Press Ctrl+C to stop.
-------------------------------------------
Batch: 0
-------------------------------------------
+-------+------------+---------------+
|user_id|total_clicks|processing_time|
+-------+------------+---------------+
+-------+------------+---------------+

-------------------------------------------
Batch: 1
-------------------------------------------
+-------+------------+{line}+
|user_id|total_clicks|{named}|
+-------+------------+{line}+
|1001   |2           |{shown_at.ljust(width)}|
|1003   |1           |{shown_at.ljust(width)}|
+-------+------------+{line}+

""")
        self.assertEqual(export(self, checkpoint), {"1001": 2, "1003": 1})

    def test_a_batch_comes_for_each_trigger_in_which_an_offset_moved_and_for_no_other(self):
        job = self.job("--trigger", "150 ms")
        job.wait_for_batch(0)
        for batch, value, rows in ((1, click(5), [("5", 1)]),
                                   (2, b'{"user_id": 5, "action": "view"}', [("5", 1)]),
                                   (3, b"not json", [("5", 1)]),
                                   (4, click(None), [("", 1), ("5", 1)])):
            time.sleep(0.6)  # four triggers without a record
            self.assertEqual([b.id for b in job.batches()], list(range(batch)))
            self.send(value)
            self.assertEqual(job.wait_for_batch(batch).rows, rows)
        job.stop()
        self.assertEqual([b.id for b in job.batches()], [0, 1, 2, 3, 4])

    def test_available_now_counts_what_is_there_and_ends_and_prints_nothing_when_there_is_nothing(
            self):
        self.send(click(1), click(2), click(1))
        first = self.drain("--starting-offsets", "earliest")
        self.assertEqual([(b.id, b.rows) for b in first], [(0, [("1", 2), ("2", 1)])])
        self.assertEqual(self.drain(), [])
        self.send(click(2))
        self.assertEqual([(b.id, b.rows) for b in self.drain()], [(1, [("1", 2), ("2", 2)])])
        self.assertEqual(self.drain(), [])
        self.assertEqual(show(self, self.checkpoint)["batchId"], 1)

    def test_latest_counts_only_what_comes_after_the_first_start(self):
        self.send(click(1), click(1))
        self.assertEqual([b.rows for b in self.drain()], [[]])
        self.send(click(2))
        self.assertEqual(self.drain("--starting-offsets", "earliest")[0].rows, [("2", 1)],
                         "--starting-offsets is for a new checkpoint only")

    def test_no_batch_has_more_offsets_than_asked_for_and_no_partition_starves(self):
        with RawProducer(mock.bootstrap, self.topic) as producer:
            for partition, records in ((0, 900), (1, 90), (2, 10)):
                for _ in range(records):
                    producer.send(partition, click(partition))
        batches = self.drain("--starting-offsets", "earliest", "--max-offsets-per-trigger", 100)
        before = {}
        for batch in batches:
            now = dict(batch.rows)
            read = {user: now[user] - before.get(user, 0) for user in now}
            self.assertLessEqual(sum(read.values()), 100, f"batch {batch.id}")
            for user, records in (("0", 900), ("1", 90), ("2", 10)):
                if before.get(user, 0) < records:
                    self.assertGreater(read.get(user, 0), 0, f"batch {batch.id} starved {user}")
            before = now
        self.assertEqual(before, {"0": 900, "1": 90, "2": 10})
        self.assertLessEqual(len(batches), 12)

    def test_the_offsets_of_a_batch_are_bounded_when_it_runs_for_ever_too(self):
        self.send(*[click(7)] * 1000)
        job = self.job("--starting-offsets", "earliest", "--max-offsets-per-trigger", 150,
                       "--trigger", "50 ms")
        clicktally.eventually(lambda: job.batches() and job.batches()[-1].rows == [("7", 1000)],
                              "1000 clicks")
        job.stop()
        counts = [0] + [dict(batch.rows).get("7", 0) for batch in job.batches()]
        steps = [after - before for before, after in zip(counts, counts[1:])]
        self.assertLessEqual(max(steps), 150, steps)

    def test_update_mode_shows_the_changed_users_only_with_their_whole_count(self):
        self.send(click(1), click(2), click(2))
        update = ("--output-mode", "update")
        self.assertEqual(self.drain("--starting-offsets", "earliest", *update)[0].rows,
                         [("1", 1), ("2", 2)])
        self.send(click(2), click(None))
        self.assertEqual(self.drain(*update)[0].rows, [("", 1), ("2", 3)])
        self.send(b"{}")
        self.assertEqual(self.drain(*update)[0].rows, [])

    def test_num_rows_truncate_and_sink_are_obeyed(self):
        self.send(*[click(user) for user in range(-30, 30)])
        self.drain("--sink", "none", "--starting-offsets", "earliest")
        job = self.job("--available-now", "--sink", "none")
        self.assertEqual(job.end(), 0)
        self.assertEqual(job.out.text(), "")
        shown = {}
        for flags in (["--num-rows", "2"], ["--num-rows", "1", "--truncate"], [],
                      ["--num-rows", "100", "--truncate=false"]):
            self.send(click(0))
            [shown[tuple(flags)]] = self.drain(*flags)
        two, one, twenty, all_rows = shown.values()
        self.assertEqual(two.rows, [("-30", 1), ("-29", 1)])
        self.assertIn("\n+-------+------------+", two.text)
        self.assertTrue(two.text.endswith("+\nonly showing top 2 rows\n\n"))
        self.assertRegex(one.text, r"\n\|    -30\|           1\|\d{4}-\d\d-\d\d \d\d:\d\d:\.\.\.\|\n")
        self.assertTrue(one.text.endswith("only showing top 1 row\n\n"))
        self.assertEqual(len(twenty.rows), 20)
        self.assertEqual((len(all_rows.rows), all_rows.more), (60, False))
        self.assertEqual(dict(all_rows.rows)["0"], 5)


class OutputTroubleTest(JobTest):
    """A batch that is committed and not shown is shown at the next start; and only then."""

    def run_into_closed_pipe(self, *flags, at_work=rb"batch 0 shown"):
        """Commits a batch of two clicks whose output has no reader; its id."""
        reader, writer = os.pipe()
        job = self.job("--trigger", "100 ms", "--starting-offsets", "earliest", "--log-level",
                       "debug", *flags, stdout=writer)
        os.close(writer)
        self.assertTrue(os.read(reader, 4096).startswith(b"Streaming query started"))
        job.wait_for_log(at_work)
        os.close(reader)
        self.send(click(1), click(2), first=1)
        code = job.end()
        self.assertEqual(code, 8, f"{job}")
        last = job.errors.text().splitlines()[-1]
        self.assertRegex(last, r"^clicktally: standard output: cannot write batch \d+: ")
        return int(re.search(r"batch (\d+)", last)[1])

    def test_a_closed_pipe_ends_it_with_8_and_the_batch_is_shown_at_the_next_start_once(self):
        lost = self.run_into_closed_pipe()
        state = show(self, self.checkpoint)
        self.assertEqual((state["batchId"], state["shown"]), (lost, False))
        self.drain_rest(lost, {"1": 1, "2": 1})

    def test_so_in_update_mode_with_the_rows_that_the_batch_changed(self):
        self.send(click(9))
        # In a run of its own: on a busy machine the first tick comes before the first record.
        self.drain("--starting-offsets", "earliest")
        lost = self.run_into_closed_pipe("--output-mode", "update", at_work=rb"RESUMED")
        batches = self.drain("--output-mode", "update")
        self.assertEqual(batches[0].id, lost)
        self.assertNotIn("9", dict(batches[0].rows))
        rows = [row for batch in batches for row in batch.rows]
        self.assertEqual(sorted(rows), [("1", 1), ("2", 1)])

    def drain_rest(self, lost, counts):
        """The lost batch comes first, as it was committed; a second start shows nothing."""
        committed_at = show(self, self.checkpoint)["timeMs"]
        batches = self.drain()
        self.assertEqual(batches[0].id, lost)
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(committed_at // 1000))
        fraction = f".{committed_at % 1000:03}".rstrip("0").rstrip(".")
        self.assertEqual(batches[0].time, text + fraction)
        self.assertEqual(dict(batches[-1].rows), counts)
        self.assertEqual(self.drain(), [])
        self.assertTrue(show(self, self.checkpoint)["shown"])

    def test_killed_between_commit_and_output_it_shows_the_batch_at_the_next_start(self):
        self.send(click(1), click(2))
        with narrow_pipe() as writer:  # takes the first line, and no batch
            job = self.job("--starting-offsets", "earliest", "--log-level", "debug",
                           stdout=writer)
            job.wait_for_log(rb"batch 0 committed")
            self.send(click(3))
            time.sleep(0.5)  # I10: with batch 0 not handed over there is no batch 1
            job.kill()
        self.assertNotIn("emitted", job.errors.text())
        self.assertNotIn("batch 1", job.errors.text())
        state = show(self, self.checkpoint)
        self.assertEqual((state["batchId"], state["shown"]), (0, False))
        self.drain_rest(0, {"1": 1, "2": 1, "3": 1})

    def test_killed_between_output_and_the_note_of_it_it_shows_the_very_same_again(self):
        for flags in ((), ("--output-mode", "update")):
            self.send(click(1))
            self.drain("--starting-offsets", "earliest")
            job = self.job("--log-level", "debug", "--trigger", "100 ms", *flags)
            job.wait_for_log(rb"RESUMED")
            with stuck_shown(self.checkpoint):
                self.send(click(2), click(3))
                job.wait_for_log(rb"batch \d+ emitted")
                job.kill()
            [lost] = job.batches()
            self.assertGreaterEqual(len(lost.rows), 1)
            again = self.drain(*flags)
            self.assertEqual(again[0], lost)
            self.assertEqual(self.drain(), [])

    def test_killed_between_the_pinning_of_latest_and_the_first_commit_it_skips_nothing(self):
        self.send(click(1), click(1), click(1))
        with narrow_pipe(full=True) as writer:  # not even the first line comes out
            job = self.job(stdout=writer)
            job.wait_for_log(rb"NEW checkpoint")
            self.send(click(2), first=1)
            job.kill()
        self.assertEqual(show(self, self.checkpoint)["batchId"], -1)
        self.send(click(3), first=2)
        self.assertEqual(self.drain()[-1].rows, [("2", 1), ("3", 1)])

    def test_a_blocked_output_does_not_hold_a_stop(self):
        self.send(click(1))
        for full in (True, False):  # blocked at the first line, and at a batch
            with narrow_pipe(full) as writer:
                job = self.job("--starting-offsets", "earliest", "--log-level", "debug",
                               stdout=writer)
                job.wait_for_log(rb"NEW checkpoint" if full else rb"batch 0 committed")
                began = time.monotonic()
                job.term()
                self.assertEqual(job.end(), 8, f"{job}")
                self.assertLess(time.monotonic() - began, STOP_S)
            self.assertRegex(job.errors.text(),
                             r"\nclicktally: standard output: cannot write [^\n]+\n$")
            shown = show(self, self.checkpoint)["shown"]
            self.assertEqual(shown, full)
        self.assertEqual([b.id for b in self.drain()], [0])

    def test_the_second_signal_leaves_at_once_and_the_checkpoint_is_whole(self):
        self.send(click(1), click(2))
        with narrow_pipe() as writer:
            job = self.job("--starting-offsets", "earliest", "--log-level", "debug",
                           stdout=writer)
            job.wait_for_log(rb"batch 0 committed")
            job.term()
            job.wait_for_log(rb"SIGTERM; stopping")
            time.sleep(0.4)  # a second signal within 300 ms counts as the first
            began = time.monotonic()
            job.process.send_signal(signal.SIGINT)
            self.assertEqual(job.end(), 10, f"{job}")
            self.assertLess(time.monotonic() - began, 1)
        self.drain_rest(0, {"1": 1, "2": 1})


class StreamsTest(JobTest):
    """Standard streams that the shell closed, or that take nothing."""

    def shell(self, binary, arguments, redirections):
        return subprocess.run(
            ["/bin/bash", "-c", f'exec "$0" "$@" {redirections}', clicktally.BIN / binary,
             *map(str, arguments)], capture_output=True, timeout=clicktally.LIMIT_S)

    def test_a_stream_that_is_closed_or_full_is_no_crash_and_no_damage(self):
        self.send(click(1), click(2))
        for i, (redirections, code) in enumerate((
                ("<&-", 0), ("2>&-", 0), ("<&- 2>&-", 0), ("2>/dev/full", 0), (">&-", 8),
                (">&- 2>&-", 8), ("<&- >&- 2>&-", 8), (">/dev/full", 8),
                (">/dev/full 2>/dev/full", 8))):
            checkpoint = self.folder / str(i)
            flags = ["--bootstrap-servers", mock.bootstrap, "--topic", self.topic,
                     "--available-now", "--starting-offsets", "earliest", "--checkpoint",
                     checkpoint]
            with self.subTest(redirections=redirections):
                job = self.shell("clicktally", flags, redirections)
                self.assertEqual(job.returncode, code, job.stderr)
                if code:
                    [batch] = drain(self, mock.bootstrap, checkpoint, topic=self.topic)
                    self.assertEqual(batch.rows, [("1", 1), ("2", 1)])
                tool = self.shell("clicktally-inspect", ["export", checkpoint], redirections)
                self.assertEqual(tool.returncode, code, tool.stderr)
                tool = self.shell("clicktally-inspect", ["export", self.folder], redirections)
                self.assertEqual(tool.returncode, 3, tool.stderr)
                self.assertEqual(export(self, checkpoint), {"1": 1, "2": 1})


class StopTest(JobTest):
    def test_a_stop_commits_and_shows_what_was_consumed(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            job = self.job("--trigger", "1 hour")
            job.wait_for_output(rb"Press Ctrl")
            before = len(export(self, self.checkpoint)) if self.checkpoint.exists() else 0
            time.sleep(0.5)
            users = [int(number) * 1000 + i for i in range(300)]
            self.send(*map(click, users))
            time.sleep(2)
            self.assertEqual(len(export(self, self.checkpoint)), before)
            job.process.send_signal(number)
            began = time.monotonic()
            self.assertEqual(job.end(), 0, f"{job}")
            self.assertLess(time.monotonic() - began, STOP_S)
            self.assertLess(job.batches()[-1].id, 3)
            self.assertTrue(show(self, self.checkpoint)["shown"])
            self.assertEqual(len(export(self, self.checkpoint)), before + 300)

    def test_without_a_broker_it_waits_says_so_and_a_stop_is_0(self):
        job = Job(self, NOWHERE, self.checkpoint)
        job.wait_for_log(rb"waiting for Kafka for \d+ s: [^\n]+127\.0\.0\.1:1")
        self.assertEqual(job.out.text(), "", "the query has not started")
        job.stop()

    def test_brokers_that_come_late_are_found(self):
        self.send(click(1))
        late = clicktally.MockKafka("--topic", "late:3:3")
        self.addCleanup(late.close)
        for broker in (1, 2, 3):
            late.say(f"down {broker}")
        job = Job(self, late.bootstrap, self.checkpoint, topic="late")
        job.wait_for_log(rb"waiting for Kafka")
        for broker in (1, 2, 3):
            late.say(f"up {broker}")
        job.wait_for_batch(0)
        job.stop()

    def test_killed_at_any_moment_of_a_start_it_starts_again(self):
        random = clicktally.seeded_random()
        self.send(click(1), click(2), click(3))
        for _ in range(8):
            job = self.job("--starting-offsets", "earliest", "--available-now")
            time.sleep(random.uniform(0, 0.4))
            job.kill()
        self.drain("--starting-offsets", "earliest")
        self.assertEqual(export(self, self.checkpoint), {"1": 1, "2": 1, "3": 1})


class RefusalTest(JobTest):
    def test_a_second_process_is_refused_at_once_and_told_the_pid(self):
        job = self.job()
        job.wait_for_batch(0)
        self.fails(4, rf"in use by process {job.process.pid};")
        self.assertIsNone(job.process.poll())
        job.kill()
        self.assertEqual(self.drain(), [], "what a killed process left must not block")

    def test_another_topic_or_cluster_is_refused_and_named(self):
        self.send(click(1))
        self.drain("--starting-offsets", "earliest")
        other_topic = mock.new_topic()
        self.fails(3, f"topic is '{other_topic}', the checkpoint's is '{self.topic}'",
                   bootstrap=mock.bootstrap, topic=other_topic)
        other = clicktally.MockKafka("--topic", f"{self.topic}:3:3")
        self.addCleanup(other.close)
        drain(self, other.bootstrap, self.folder / "other", topic=self.topic)
        if (show(self, self.folder / "other")["clusterId"] ==
                show(self, self.checkpoint)["clusterId"]):
            self.skipTest("a mock cluster's id is an address, and the sanitizers' never change")
        self.fails(3, "cluster id is '[^']+', the checkpoint's is '[^']+'",
                   bootstrap=other.bootstrap)
        self.assertEqual(export(self, self.checkpoint), {"1": 1})

    def test_a_directory_that_is_not_a_checkpoint_of_ours_is_refused_and_left_alone(self):
        foreign = self.folder / "foreign"
        foreign.mkdir(mode=0o700)
        (foreign / "holiday.txt").write_text("mine")
        self.fails(3, "neither empty nor a checkpoint", checkpoint=foreign)
        self.assertEqual(os.listdir(foreign), ["holiday.txt"])
        shared = self.folder / "shared"
        shared.mkdir()
        shared.chmod(0o777)
        self.fails(3, "chmod go-w", checkpoint=shared)
        self.fails(3, "holiday.txt/?.*: .*[Nn]ot a directory", checkpoint=foreign / "holiday.txt")

    def test_existing_makes_no_checkpoint(self):
        self.fails(3, "there is no checkpoint", "--existing")
        self.assertFalse(self.checkpoint.exists())
        self.checkpoint.mkdir(mode=0o700)
        self.fails(3, "there is no checkpoint", "--existing")
        self.assertEqual(os.listdir(self.checkpoint), [])

    def test_another_format_is_refused_as_such(self):
        self.drain()
        job_file = self.checkpoint / "job.json"
        self.assertIn('"format":1', job_file.read_text())
        # What a version of format 2 would write: XXH3-64 of "clicktally checkpoint format 2".
        job_file.write_text('{"format":2,"checksum":"489a7778a6f2316a"}\n')
        self.fails(3, "has format 2, this clicktally reads format 1")

    def test_a_moved_and_a_copied_checkpoint_go_on(self):
        self.send(click(1))
        self.drain("--starting-offsets", "earliest")
        subprocess.run(["cp", "-r", self.checkpoint, self.folder / "copy"], check=True)
        (self.folder / "copy").chmod(0o700)
        (self.folder / "elsewhere").mkdir()
        moved = self.folder / "elsewhere" / "moved"
        self.checkpoint.rename(moved)
        self.send(click(1))
        for checkpoint in (moved, self.folder / "copy"):
            [batch] = drain(self, mock.bootstrap, checkpoint, topic=self.topic)
            self.assertEqual((batch.id, batch.rows), (1, [("1", 2)]))

    BAD_COMMAND_LINES = (
        (["--trigger", "soon"], "--trigger: 'soon' is not an interval"),
        (["--trigger", "5"], "--trigger"),
        (["--trigger", "-1 seconds"], "--trigger"),
        (["--trigger", "99999999999 days"], "--trigger"),
        (["--trigger", "5 fortnights"], "--trigger"),
        (["--trigger"], "trigger"),
        (["--starting-offsets", "yesterday"], "--starting-offsets: 'yesterday' is not earliest"),
        (["--max-offsets-per-trigger", "0"], "--max-offsets-per-trigger: '0'"),
        (["--max-offsets-per-trigger", "-5"], "--max-offsets-per-trigger"),
        (["--max-offsets-per-trigger", "1e6"], "--max-offsets-per-trigger"),
        (["--max-offsets-per-trigger", "99999999999999999999"], "--max-offsets-per-trigger"),
        (["--isolation-level", "serializable"], "--isolation-level"),
        (["--output-mode", "append"], "--output-mode: 'append' is not complete or update"),
        (["--sink", "hdfs"], "--sink: 'hdfs' is not console or none"),
        (["--num-rows", "-1"], "--num-rows"),
        (["--num-rows", "3000000000"], "--num-rows"),
        (["--truncate=maybe"], "--truncate"),
        (["--log-level", "loud"], "--log-level"),
        (["--topic", ""], "--topic"),
        (["--bootstrap-servers", ""], "--bootstrap-servers"),
        (["--topic", "a", "--topic", "b"], "topic"),
        (["--no-such-flag"], "no-such-flag"),
        (["--availablenow"], "availablenow"),
        (["--available"], "available"),
        (["stray"], "see clicktally --help"),
        (["--existing=yes"], "existing"),
        (["-X"], "-X|property"),
        (["-X", "client.id"], "-X: 'client.id' is not NAME=VALUE"),
        (["-X", "=x"], "-X"),
        (["-X", "no.such.property=1"], "no.such.property"),
        (["-X", "fetch.wait.max.ms=never"], "fetch.wait.max.ms"),
        (["-X", "enable.auto.commit=true"], "offsets live in the checkpoint"),
        (["-X", "auto.offset.reset=latest"], "-X auto.offset.reset: refused"),
        (["-X", "isolation.level=read_uncommitted"], "--isolation-level"),
        (["-X", "bootstrap.servers=x"], "--bootstrap-servers"),
        (["-X", "plugin.library.paths=/tmp/x.so"], "load code"),
        (["-X", "ssl.engine.location=/tmp/x.so"], "load code"),
        (["-X", "check.crcs=false"], "-X check.crcs: refused"),
        (["-X", "enable.partition.eof=false"], "-X enable.partition.eof: refused"),
        (["-X", "test.mock.num.brokers=3"], "-X test.mock.num.brokers: refused"),
        (["-X", "sasl.kerberos.kinit.cmd=id"], "-X sasl.kerberos.kinit.cmd: refused"),
        (["-X", "interceptors=1"], "-X interceptors: refused"),
        (["--sink", "\x1b[31mred\x07"], r"--sink: '\\x1b\[31mred\\x07'"),
    )

    def test_bad_command_lines_are_one_line_and_exit_code_2(self):
        for flags, pattern in self.BAD_COMMAND_LINES:
            with self.subTest(flags=flags):
                done = clicktally.run("clicktally", "--checkpoint", str(self.checkpoint), *flags)
                self.assert_refused(done, 2, pattern)
        self.assert_refused(clicktally.run("clicktally"), 2, "--checkpoint DIR is needed")
        self.assertFalse(self.checkpoint.exists())

    def test_help_and_version_are_0_and_name_every_flag(self):
        for flag in ("--help", "-h", "--version"):
            done = clicktally.run("clicktally", flag)
            self.assertEqual((done.code, done.errors), (0, b""))
            self.assertTrue(done.out.startswith(b"clicktally"))
        help_text = clicktally.run("clicktally", "--help").out.decode()
        for flag in ("bootstrap-servers", "topic", "checkpoint", "starting-offsets", "trigger",
                     "available-now", "max-offsets-per-trigger", "isolation-level", "existing",
                     "output-mode", "sink", "num-rows", "truncate", "log-level"):
            self.assertIn(f"  --{flag} ", help_text + " ")


class DamageTest(JobTest):
    """I5. No broker is needed: without a fallback (recovery_test.py) a damaged checkpoint is refused
    before Kafka is asked."""

    def make_checkpoint(self):
        """Several commits on both commit paths; offsets pinned behind records, so that a fresh
        start could not look right."""
        self.send(*[click(1)] * 30)
        self.drain()
        for first in (0, 5000):
            self.send(*[click(first + i) for i in range(1500)])
            self.drain("--sink", "none")
            self.send(*[click(7)] * 5)
            self.drain("--sink", "none")
        self.counts = export(self, self.checkpoint)
        self.assertEqual(sum(self.counts.values()), 3010)
        self.bytes = {path: path.read_bytes() for path in self.checkpoint.rglob("*")
                      if path.is_file() and "snapshots" not in path.parts}
        shutil.copytree(self.checkpoint, self.folder / "kept")

    def files(self, name):
        found = [path for path in self.bytes if re.fullmatch(name, path.name)]
        self.assertTrue(found, name)
        return found

    def restore(self):
        shutil.rmtree(self.checkpoint)
        shutil.copytree(self.folder / "kept", self.checkpoint)

    MEDIA = ("job.json", "COMMITTED", "SHOWN", "CURRENT", r"MANIFEST-\d+", r"\d+\.sst", r"\d+\.log")

    def test_a_damaged_file_is_refused_with_5_and_left_as_it_is(self):
        self.make_checkpoint()
        for name in self.MEDIA:
            for harm in ("flip", "cut", "empty", "remove"):
                # The newest is the one in use; in its middle there is always something to lose.
                path = max(self.files(name))
                data = self.bytes[path]
                if harm == "remove" and name in ("COMMITTED", "SHOWN", "job.json"):
                    continue  # by their own rules, below
                with self.subTest(file=path.name, harm=harm):
                    self.harm(path, harm, len(data) // 2)
                    before = tree(self.checkpoint)
                    self.assert_refused(inspect("show", f"{self.checkpoint}@live", "--exact"), 5,
                                        "restore the checkpoint")
                    # A start reads no block of counts, so a flip there is found when one is read.
                    if (name, harm) != (r"\d+\.sst", "flip"):
                        self.fails(5, "restore the checkpoint", "--no-fallback")
                    self.assertEqual(tree(self.checkpoint), before)
                self.restore()
        self.assertEqual(export(self, self.checkpoint), self.counts)

    def harm(self, path, harm, at):
        data = self.bytes[path]
        if harm == "flip":
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
        elif harm == "cut":
            path.write_bytes(data[:at])
        elif harm == "empty":
            path.write_bytes(b"")
        else:
            path.unlink()

    def test_a_flipped_bit_anywhere_never_gives_a_wrong_count(self):
        self.make_checkpoint()
        random = clicktally.seeded_random()
        refused = 0
        flips = [(path, random.randrange(len(data))) for path, data in sorted(self.bytes.items())
                 if data for _ in range(6)]
        for path, at in flips:
            flipped = bytearray(self.bytes[path])
            flipped[at] ^= 1 << random.randrange(8)
            path.write_bytes(flipped)
            done = inspect("export", f"{self.checkpoint}@live")
            with self.subTest(file=path.name, at=at):
                if done.code == 0:
                    self.assertEqual(clicktally.read_csv(done.out.decode().splitlines()),
                                     self.counts)
                else:
                    self.assertEqual(done.code, 5, f"{done}")
                    self.assertRegex(done.errors.decode(), r"\Aclicktally-inspect: [^\n]+\n\Z")
                    refused += 1
            path.write_bytes(self.bytes[path])
        self.assertGreater(refused, len(flips) // 4)

    def test_a_checkpoint_without_its_job_json_or_state_is_no_fresh_start(self):
        self.make_checkpoint()
        (self.checkpoint / "job.json").unlink()
        self.fails(5, "job.json: missing from a checkpoint that has counted")
        self.restore()
        shutil.rmtree(self.checkpoint / "live")
        self.fails(5, "restore the checkpoint", "--no-fallback")
        (self.checkpoint / "live").mkdir(mode=0o700)
        self.fails(5, "restore the checkpoint", "--no-fallback")

    def test_an_older_state_than_the_one_committed_or_shown_is_refused(self):
        self.make_checkpoint()
        self.send(click(1))
        self.drain("--sink", "none")
        newer = {name: (self.checkpoint / name).read_bytes() for name in ("COMMITTED", "SHOWN")}
        for name, line in newer.items():
            self.restore()
            self.assertNotEqual(line, (self.checkpoint / name).read_bytes())
            (self.checkpoint / name).write_bytes(line)
            self.fails(5, f"already {name.lower()}", "--no-fallback")

    def test_a_committed_that_was_removed_is_made_anew(self):
        self.make_checkpoint()
        (self.checkpoint / "COMMITTED").unlink()
        self.assertEqual(self.drain(), [])
        self.assertEqual((self.checkpoint / "COMMITTED").read_bytes()[:20], b"clicktally committed")

    def test_a_missing_shown_is_warned_of_and_the_batch_shown_again(self):
        self.make_checkpoint()
        (self.checkpoint / "SHOWN").unlink()
        job = self.job("--available-now")
        self.assertEqual(job.end(), 0, f"{job}")
        self.assertIn("SHOWN: missing", job.errors.text())
        self.assertEqual([b.id for b in job.batches()],
                         [show(self, self.checkpoint)["batchId"]])
        self.assertEqual(self.drain(), [])


class InspectTest(JobTest):
    def test_show_get_and_export_say_the_same_and_null_is_a_user(self):
        self.send(click(None), click(-5), click(2147483647), click(None), b'{"action":"click"}')
        self.drain("--starting-offsets", "earliest")
        counts = {"": 3, "-5": 1, "2147483647": 1}
        self.assertEqual(export(self, self.checkpoint), counts)
        state = show(self, self.checkpoint)
        self.assertEqual((state["batchId"], state["totalClicks"], state["users"]), (0, 5, 3))
        self.assertEqual(state["offsets"], {"0": 2, "1": 2, "2": 1})
        self.assertEqual((state["topic"], state["jobRunning"]), (self.topic, False))
        got = inspect("get", self.checkpoint, "NULL", "-5", "2147483647", "3", "--format", "csv")
        self.assertEqual((got.code, got.out.decode().split("\n")), (0, [
            "user_id,total_clicks,last_batch", ",3,0", "-5,1,0", "2147483647,1,0", "3,0,", ""]))
        got = inspect("get", self.checkpoint, "null", "--format", "json")
        self.assertEqual(json.loads(got.out), {"user_id": None, "total_clicks": 3, "last_batch": 0})
        text = inspect("show", self.checkpoint)
        self.assertEqual((text.code, text.errors), (0, b""))
        self.assertRegex(text.out.decode(), r"(?m)^batch +0$")
        self.assertRegex(text.out.decode(), r"(?m)^clicks +5$")

    def test_a_reader_that_leaves_early_is_no_error(self):
        self.send(*map(click, range(20000)))
        self.drain("--starting-offsets", "earliest", "--sink", "none")
        done = subprocess.run(
            f"'{clicktally.BIN}/clicktally-inspect' export '{self.checkpoint}' | head -1;"
            "echo ${PIPESTATUS[0]}", shell=True, executable="/bin/bash", capture_output=True)
        self.assertEqual((done.stdout, done.stderr), (b"user_id,total_clicks\n0\n", b""))

    def test_a_full_device_is_exit_code_8(self):
        self.drain()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([clicktally.BIN / "clicktally-inspect", "export",
                                   self.checkpoint], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 8)
        self.assertRegex(done.stderr.decode(), r"\Aclicktally-inspect: standard output: [^\n]+\n\Z")

    def test_a_hundred_reads_of_a_job_under_load_never_fail_nor_tear(self):
        job = self.job("--trigger", "100 ms", "--sink", "none")
        job.wait_for_log(rb"NEW checkpoint")
        load = subprocess.Popen(
            [clicktally.BIN / "clicktally-produce", "--bootstrap-servers", mock.bootstrap,
             "--topic", self.topic, "--events", "0", "--rate", "10000", "--users", "5000",
             "--clicks", "0.7"],
            stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        clicktally.eventually(lambda: show(self, self.checkpoint)["batchId"] > 0, "a first batch")
        batches = []
        for i in range(100):
            if i % 4:
                state = show(self, self.checkpoint)
                self.assertTrue(state["jobRunning"])
                batches.append(state["batchId"])
            else:
                export(self, self.checkpoint)
            self.assertIsNone(job.process.poll(), f"{job}")
        load.terminate()
        self.assertEqual(batches, sorted(batches))
        self.assertGreater(batches[-1], batches[0] + 3, "there was no load")
        job.stop()

    def test_errors_are_one_line_with_their_exit_code_and_no_control_bytes(self):
        hostile = "\x1b]0;owned\x07\r\n\x9b31m"
        for code, arguments in (
                (2, []), (2, ["show"]), (2, [hostile]), (2, [hostile, "x"]),
                (2, ["show", self.checkpoint, hostile]), (2, ["get", self.checkpoint]),
                (2, ["get", self.checkpoint, hostile]), (2, ["get", self.checkpoint, "2147483648"]),
                (2, ["export", self.checkpoint, "--format", hostile]),
                (2, ["show", self.checkpoint, "--format", "csv"]),
                (2, ["export", self.checkpoint, "--format", "text"]),
                (2, ["get", "--form", "json", self.checkpoint, "1"]),
                (2, ["show", self.checkpoint, "--" + hostile]),
                (3, ["show", self.folder / hostile]), (3, ["export", self.folder]),
                (3, ["get", self.folder / "none", "1"])):
            with self.subTest(arguments=arguments):
                done = inspect(*arguments)
                self.assert_refused(done, code, r"\A[ -~]+\n\Z")

    def test_a_name_that_is_no_command_is_met_with_the_nearest_and_each_has_its_help(self):
        self.assert_refused(inspect("shwo", self.checkpoint), 2, r": 'shwo' is not a command, show is; ")
        self.assert_refused(inspect("exp"), 2, "'exp' is not a command, export is; ")
        self.assert_refused(inspect("zzz"), 2, "'zzz' is not a command; see ")
        commands = re.findall(r"(?m)^  ([a-z-]+)  ", inspect("--help").out.decode())
        self.assertIn("dead-letters", commands)
        for command in commands:
            for words in ([command, "--help"], ["help", command], [command, "x", "--help"]):
                done = inspect(*words)
                self.assertEqual((done.code, done.errors), (0, b""), f"{done}")
                self.assertRegex(done.out.decode(), rf"\Aclicktally-inspect {command} [^\n]+: [a-z]")

    def test_it_links_no_kafka_library(self):
        linked = subprocess.run(["ldd", clicktally.BIN / "clicktally-inspect"],
                                capture_output=True, text=True, check=True).stdout
        self.assertNotIn("rdkafka", linked)


if __name__ == "__main__":
    unittest.main()
