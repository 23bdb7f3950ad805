"""Repairs of a stopped job's state with the real programs, on a mock cluster: I5 to I7 of
checkpoint/repair.h, and that a repair killed anywhere is made or not made.

The truth is the clicks that were sent.
"""

import hashlib
import json
import os
import signal
import subprocess
import time
import unittest

import clicktally
from clicktally import BIN, Job, assert_counts, click, eventually, export, inspect, show
from raw_producer import send

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


def digest_of(folder):
    """Of every name, mode, time of change and byte below a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        found.update(f"{path} {info.st_mode} {info.st_mtime_ns}\n".encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


class RepairTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "checkpoint"
        self.topic = mock.new_topic(1)
        self.sent = {}

    def send(self, *users):
        send(mock.bootstrap, self.topic, [click(user) for user in users], partitions=1)
        for user in users:
            name = "" if user is None else str(user)
            self.sent[name] = self.sent.get(name, 0) + 1

    def job(self, *flags):
        return Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest", *flags,
                   topic=self.topic)

    def run_to_the_end(self):
        """One run that counts all there is and takes a snapshot; what it logged."""
        job = self.job("--available-now")
        self.assertEqual(job.end(), 0, f"{job}")
        return job.errors.text()

    def three_batches(self):
        for users in ([1, 2, None], [1, 5], [7]):
            self.send(*users)
            self.run_to_the_end()

    def does(self, *arguments):
        done = inspect(*arguments)
        self.assertEqual(done.code, 0, f"{done}")
        return done

    def refuses(self, code, pattern, *arguments):
        before = digest_of(self.folder)
        done = inspect(*arguments)
        self.assertEqual((done.code, done.out), (code, b""), f"{done}")
        self.assertRegex(done.errors.decode(), r"\Aclicktally-inspect: [^\n]+\n\Z")
        self.assertRegex(done.errors.decode(), pattern)
        self.assertEqual(digest_of(self.folder), before, "a refusal changed something")

    def snapshots(self):
        return sorted(int(name) for name in os.listdir(self.checkpoint / "snapshots")
                      if name.isdigit())


class RollbackTest(RepairTest):
    def test_after_a_rollback_the_job_catches_up_exactly_and_says_what_was_done(self):
        self.three_batches()
        before = digest_of(self.checkpoint)
        dry = self.does("rollback", self.checkpoint, 0, "--dry-run", "--format", "json")
        self.assertEqual(digest_of(self.checkpoint), before, "a dry run wrote something")
        done = self.does("rollback", self.checkpoint, 0, "--format", "json")
        self.assertEqual(dry.out, done.out)
        plan = {row["what"]: row for row in map(json.loads, done.out.splitlines())}
        self.assertEqual((plan["batch"]["before"], plan["batch"]["after"]), (2, 3))
        self.assertEqual((plan["clicks"]["before"], plan["clicks"]["after"]), (6, 3))
        self.assertEqual(export(self, self.checkpoint), {"": 1, "1": 1, "2": 1})
        self.assertEqual(self.snapshots(), [0, 1, 2, 3])
        self.send(9)
        log = self.run_to_the_end()
        self.assertRegex(log, r"RESUMED .* batch 3 .*CHANGED by an operator at 20\d\d-\d\d-\d\d "
                              r"\d\d:\d\d:\d\d: rollback to snapshot 0, ")
        assert_counts(self, export(self, self.checkpoint), self.sent)
        self.assertEqual(show(self, self.checkpoint)["epoch"], 1)
        self.assertNotIn("CHANGED", self.run_to_the_end(), "a batch has followed since")

    def test_what_cannot_be_is_refused_in_one_line_and_changes_nothing(self):
        self.three_batches()
        self.refuses(3, "no snapshot of batch 8; there is 0, 1, 2", "rollback", self.checkpoint, 8)
        self.refuses(2, "is no batch", "rollback", self.checkpoint, "newest")
        self.refuses(2, "PARTITION=OFFSET", "offsets", "set", self.checkpoint, "0:5")
        self.refuses(2, "given twice", "offsets", "set", self.checkpoint, "0=5", "0=6")
        self.refuses(2, "already", "offsets", "set", self.checkpoint, "0=6")
        self.refuses(2, "no name for a pin", "snapshots", "pin", self.checkpoint, 1, "a b")
        self.refuses(2, "not pinned", "snapshots", "unpin", self.checkpoint, 1)
        self.refuses(3, "not a checkpoint", "rollback", self.folder / "nowhere", 1)
        job = self.job()
        job.wait_for_log(rb"RESUMED")
        running = inspect("rollback", self.checkpoint, 0)
        self.assertEqual(running.code, 4, f"{running}")
        self.assertIn(str(job.process.pid), running.errors.decode())
        job.stop()

    def test_offsets_set_are_gone_on_from_and_those_that_are_not_there_are_found_by_the_job(self):
        self.three_batches()
        self.does("offsets", "set", self.checkpoint, "0=4")
        self.assertRegex(self.run_to_the_end(), "CHANGED .*: offsets set 0=4, ")
        for name in ("5", "7"):  # at the offsets 4 and 5: counted twice, as it was wished
            self.sent[name] += 1
        assert_counts(self, export(self, self.checkpoint), self.sent)
        self.does("offsets", "set", self.checkpoint, "0=1000")
        job = self.job("--available-now")
        self.assertEqual(job.end(), 6, f"{job}")
        self.does("rollback", self.checkpoint, self.snapshots()[-2])
        self.run_to_the_end()
        assert_counts(self, export(self, self.checkpoint), self.sent)

    def test_rejections_that_will_be_read_again_are_gone_until_they_are(self):
        send(mock.bootstrap, self.topic, [b"{", click(1), b"[", click(2), None], partitions=1)

        def kept_after(*flags):
            if flags:
                self.assertEqual(self.job("--available-now", *flags[1:]).end(), 0)
            lines = self.does("dead-letters", self.checkpoint).out.splitlines()
            kept = show(self, self.checkpoint)["deadLetters"]["kept"]
            self.assertEqual(kept, len(lines))
            return [json.loads(line)["offset"] for line in lines]

        self.assertEqual(kept_after("run", "--dead-letters"), [0, 2, 4])
        self.does("offsets", "set", self.checkpoint, "0=2")
        self.assertEqual(kept_after(), [0])
        self.assertEqual(kept_after("run", "--dead-letters"), [0, 2, 4])
        self.does("offsets", "set", self.checkpoint, "0=1")
        self.assertEqual(kept_after("run"), [0], "read again, and not kept this time")

    def test_a_pinned_snapshot_outlives_the_newer_ones_until_it_is_unpinned(self):
        self.three_batches()
        job = self.job("--snapshots-to-retain", "1")
        job.wait_for_log(rb"RESUMED")
        self.does("snapshots", "pin", self.checkpoint, 1, "before-release")
        self.assertEqual((self.checkpoint / "snapshots/1/PINNED").read_text(), "before-release\n")
        rows = map(json.loads, self.does("snapshots", self.checkpoint, "--format", "json")
                   .out.splitlines())
        self.assertIn((1, True, "before-release"),
                      [(row["batchId"], row["pinned"], row["pinName"]) for row in rows])
        self.send(3)
        job.wait_for_batch(3)
        job.process.send_signal(signal.SIGUSR1)
        eventually(lambda: self.snapshots() == [1, 3], "2 and 0 to go")
        self.does("snapshots", "unpin", self.checkpoint, 1)
        self.send(4)
        job.wait_for_batch(4)
        job.process.send_signal(signal.SIGUSR1)
        eventually(lambda: self.snapshots() == [4], "1 and 3 to go")
        job.stop()

    def test_killed_anywhere_a_rollback_is_made_or_not_made(self):
        self.three_batches()
        draw = clicktally.seeded_random()
        truth = {True: {"": 1, "1": 1, "2": 1}, False: dict(self.sent)}
        was = time.monotonic()
        self.does("rollback", self.checkpoint, 0)
        takes = time.monotonic() - was
        self.does("rollback", self.checkpoint, 2)
        outcomes = set()
        for _ in range(12):
            last = show(self, self.checkpoint)
            process = subprocess.Popen([BIN / "clicktally-inspect", "rollback", self.checkpoint, "0"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(draw.uniform(0, takes))
            process.kill()
            process.wait()
            now = show(self, self.checkpoint)
            made = now["batchId"] > last["batchId"]
            outcomes.add(made)
            self.assertEqual(export(self, self.checkpoint), truth[made])
            newest = self.snapshots()[-1]
            back = newest if not made else max(n for n in self.snapshots() if n <= last["batchId"])
            self.does("rollback", self.checkpoint, back)
            self.assertEqual(export(self, self.checkpoint), truth[False])
        print("outcomes of the kills, made or not:", outcomes)
        self.run_to_the_end()
        assert_counts(self, export(self, self.checkpoint), self.sent)


class ImportTest(RepairTest):
    def offsets(self, next_offset):
        return json.dumps({self.topic: {"0": next_offset}})

    def do_import(self, text, next_offset, *flags):
        counts = self.folder / "counts.csv"
        counts.write_text(text)
        return inspect("import", self.checkpoint, "--from", counts, "--offsets",
                       self.offsets(next_offset), *flags)

    def test_the_job_goes_on_from_imported_counts_and_takes_their_cluster(self):
        self.send(1, 2, None, 7)  # counted by something else, up to offset 4
        text = "user_id,total_clicks\n7,1\n,1\n2,1\n1,1\n"
        dry = self.do_import(text, 4, "--dry-run")
        self.assertEqual(dry.code, 0, f"{dry}")
        self.assertFalse(self.checkpoint.exists())
        done = self.do_import(text, 4)
        self.assertEqual(done.code, 0, f"{done}")
        self.assertIn(b"4 clicks of 4 users, 1 of NULL", done.out)
        self.assertEqual(export(self, self.checkpoint), self.sent)
        self.send(1, None, 8)
        log = self.run_to_the_end()
        self.assertRegex(log, "CHANGED by an operator .*: import of ")
        self.assertRegex(log, "named no cluster; it belongs to cluster ")
        assert_counts(self, export(self, self.checkpoint), self.sent)
        self.send(3)
        self.assertNotIn("named no cluster", self.run_to_the_end())
        self.does("rollback", self.checkpoint, 0)
        self.run_to_the_end()
        assert_counts(self, export(self, self.checkpoint), self.sent)

    def test_a_snapshot_with_rows_that_cannot_be_read_is_no_way_back(self):
        """Its record and its files' own digests are whole: only who reads the rows can see it."""
        users = 40_000
        rows = "".join(f"{user},3\n" for user in range(users))
        self.assertEqual(self.do_import(rows, 0).code, 0)
        [table] = (self.checkpoint / "snapshots/0").glob("*.sst")
        data = bytearray(table.read_bytes())
        data[len(data) // 2] ^= 8
        table.unlink()  # a link to the live state's, which stays whole
        table.write_bytes(data)
        self.does("get", f"{self.checkpoint}@0", 1)
        self.refuses(5, rf"{table.name}.*damaged: a block", "rollback", self.checkpoint, 0)
        self.assertEqual(len(export(self, self.checkpoint)), users)

    def test_json_lines_from_a_pipe_are_as_good(self):
        process = subprocess.run(
            [BIN / "clicktally-inspect", "import", self.checkpoint, "--from", "-", "--offsets",
             self.offsets(0)], capture_output=True, timeout=clicktally.LIMIT_S, check=False,
            input=b'{"user_id":-2147483648,"total_clicks":9223372036854775806}\n'
                  b'{"total_clicks":1,"user_id":null}\n')
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(export(self, self.checkpoint),
                         {"": 1, "-2147483648": 9223372036854775806})

    def test_a_line_that_cannot_be_a_count_is_refused_by_its_number_and_nothing_is_left(self):
        for line in ("5", "5,", "5,0", "5,-1", "5,1.0", "5, 1", "+5,1", "5,1,1", "2147483648,1",
                     "x,1", "5,9223372036854775808", '"5",1', '{"user_id":5,"total_clicks":1}',
                     "", "\x1b[2J,1", "5\0,1"):
            with self.subTest(line=line):
                done = self.do_import(f"4,1\n{line}\n6,1\n", 0)
                self.assertEqual((done.code, done.out), (2, b""), f"{done}")
                self.assertRegex(done.errors.decode(), r"\A[^\n\x1b\0]+line 2[^\n\x1b\0]+\n\Z")
        for line in ('{"user_id":5}', '{"user_id":"5","total_clicks":1}', "[1]", "5,1",
                     '{"user_id":5,"total_clicks":1,"x":1}', '{"user_id":1e3,"total_clicks":1}'):
            with self.subTest(line=line):
                done = self.do_import(f'{{"user_id":4,"total_clicks":1}}\n{line}\n', 0)
                self.assertEqual(done.code, 2, f"{done}")
                self.assertIn(b"line 2", done.errors)
        done = self.do_import("4,1\n5,1\n4,2\n", 0)
        self.assertEqual(done.code, 2, f"{done}")
        self.assertIn(b"line 3: user 4 again, who stands in line 1", done.errors)
        self.assertEqual(sorted(os.listdir(self.folder)), ["counts.csv"])
        for offsets in ("{}", '{"a":{}}', '{"a":{"0":-2}}', '{"a":{"x":1}}', '{"a":{"0":1},"b":{}}',
                        '{"a":{"0":"1"}}', "{"):
            done = inspect("import", self.checkpoint, "--from", self.folder / "counts.csv",
                           "--offsets", offsets)
            self.assertEqual(done.code, 2, f"{offsets}: {done}")
            self.assertRegex(done.errors.decode(), r"\Aclicktally-inspect: offsets: [^\n]+\n\Z")


if __name__ == "__main__":
    unittest.main()
