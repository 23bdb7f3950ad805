"""Rejected records: counted by cause, kept with their bytes, listed, sent again; and none of their
bytes commands a terminal.

Checks I7 (each record is a click, another event or a rejection with a cause) and I9 (what is kept
is bounded) on the running job and clicktally-inspect, on a mock cluster.
"""

import base64
import json
import os
import pty
import subprocess
import unittest

import clicktally
from clicktally import BIN, Job, click, drain, inspect, show
from raw_producer import send

mock = None

# Control sequences of terminals: clear the screen, set the title, C1 controls, a bell.
EVIL = b"\x1b[2J\x1b]0;owned\x07\xc2\x9b31m\x9b31m\r\n\x00"
REJECTED = [
    (b"", "empty"), (b" \n", "empty"), (None, "tombstone"), (b"{\"action\": ", "not_json"),
    (b"[1]", "not_object"), (b"{\"user_id\": 7}", "missing_action"), (EVIL, "not_json"),
    (b"\xff\xfe{", "not_json")]


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


class DeadLetterTest(unittest.TestCase):
    def setUp(self):
        self.topic = mock.new_topic()
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "checkpoint"

    def send(self, *values, first=0):
        send(mock.bootstrap, self.topic, values, first=first)

    def drain(self, *flags):
        return drain(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                     *flags, topic=self.topic)

    def letters(self, *flags):
        done = inspect("dead-letters", self.checkpoint, *flags)
        self.assertEqual((done.code, done.errors), (0, b""), f"{done}")
        return [json.loads(line) for line in done.out.splitlines()]

    def test_each_rejected_record_is_counted_by_its_cause_and_kept_with_its_bytes(self):
        self.send(click(1), *(value for value, _ in REJECTED), click(2))
        self.drain("--dead-letters")
        state = show(self, self.checkpoint)
        self.assertEqual(state["totalClicks"], 2)
        causes = [cause for _, cause in REJECTED]
        self.assertEqual(state["totals"]["rejections"],
                         {cause: causes.count(cause) for cause in state["totals"]["rejections"]})
        self.assertEqual(state["deadLetters"]["kept"], len(REJECTED))
        found = self.letters()
        self.assertEqual(
            sorted((None if letter["value"] is None else base64.b64decode(letter["value"]),
                    letter["cause"]) for letter in found if letter["value"] is not None),
            sorted((value, cause) for value, cause in REJECTED if value is not None))
        self.assertEqual([letter["cause"] for letter in found if letter["value"] is None],
                         ["tombstone"])
        places = [(letter["partition"], letter["offset"]) for letter in found]
        self.assertEqual(places, sorted(set(places)))
        for letter in found:
            self.assertEqual(letter["topic"], self.topic)
            self.assertEqual(letter["batch"], 0)
            self.assertGreater(letter["timestamp"], 1_700_000_000_000)
            self.assertTrue(letter["detail"].isascii() and letter["detail"].isprintable())
        self.assertEqual(len(self.letters("--cause", "empty")), 2)

    def test_without_the_flag_they_are_counted_and_not_kept(self):
        self.send(b"{", b"[]")
        self.drain()
        self.assertEqual(self.letters(), [])
        self.assertEqual(show(self, self.checkpoint)["totals"]["rejections"]["not_json"], 1)

    def test_clicks_of_no_user_are_counted_by_the_reason(self):
        self.send(b'{"action": "click"}', b'{"action": "click", "user_id": null}',
                  b'{"action": "click", "user_id": "7"}', b'{"action": "click", "user_id": true}',
                  b'{"action": "click", "user_id": 3000000000}', click(7))
        self.drain()
        state = show(self, self.checkpoint)
        self.assertEqual(state["totals"]["nullUsers"],
                         {"absent": 1, "null": 1, "wrong_type": 2, "out_of_range": 1,
                          "unreadable": 0})
        self.assertEqual(clicktally.export(self, self.checkpoint), {"": 5, "7": 1})

    def test_the_newest_stay_within_the_bound(self):
        flags = ("--dead-letters", "--dead-letters-max-bytes", "100K")
        for number in range(10):
            self.send(*(b"x%d " % number * 250 for _ in range(30)))
            self.drain(*flags)
        state = show(self, self.checkpoint)
        self.assertLessEqual(state["deadLetters"]["bytes"], 100 << 10)
        self.assertGreater(state["deadLetters"]["bytes"], 80 << 10)
        self.assertEqual(state["deadLetters"]["kept"] + state["deadLetters"]["dropped"], 300)
        self.assertEqual(state["totals"]["rejections"]["not_json"], 300)
        found = self.letters()
        self.assertEqual(len(found), state["deadLetters"]["kept"])
        oldest = min(letter["batch"] for letter in found)
        self.assertEqual({letter["batch"] for letter in found}, set(range(oldest, 10)))

    def test_raw_values_can_be_mended_and_sent_again(self):
        self.send(b"{'action': 'click', 'user_id': 5",
                  b"{'action': 'click', 'user_id': 6")
        self.drain("--dead-letters")
        self.assertEqual(clicktally.export(self, self.checkpoint), {})
        raw = inspect("dead-letters", self.checkpoint, "--raw", "--cause", "not_json")
        self.assertEqual((raw.code, raw.errors), (0, b""), f"{raw}")
        mended = self.folder / "mended"
        mended.write_bytes(b"".join(line + b"}\n" for line in raw.out.splitlines()))
        clicktally.produce(mock.bootstrap, self.topic, "--lines", mended)
        self.drain("--dead-letters")
        self.assertEqual(clicktally.export(self, self.checkpoint), {"5": 1, "6": 1})

    def test_raw_says_what_no_line_can_hold(self):
        self.send(b"a\nb", None, b"c")
        self.drain("--dead-letters")
        done = inspect("dead-letters", self.checkpoint, "--raw")
        self.assertEqual((done.code, done.out), (8, b"c\n"))
        self.assertRegex(done.errors, rb"^clicktally-inspect: dead-letters: left out 2 [^\n]+\n$")

    def test_raw_is_refused_to_a_terminal(self):
        self.send(EVIL)
        self.drain("--dead-letters")
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "rb"):
            done = subprocess.run(
                [BIN / "clicktally-inspect", "dead-letters", self.checkpoint, "--raw"],
                stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, check=False)
            os.close(theirs)
        self.assertEqual(done.returncode, 2, done.stderr)

    def test_no_byte_of_a_record_reaches_the_log_unescaped(self):
        job = Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                  "--trigger", "50 ms", "--dead-letters", "--log-level", "debug", topic=self.topic)
        self.send(*[EVIL + b"z" * 500] * 50)
        job.wait_for_log(rb"50 rejected|rejected \(not_json")
        job.stop()
        said = job.errors.bytes() + job.out.bytes()
        for byte in said.replace(b"\n", b""):
            self.assertTrue(0x20 <= byte < 0x7F, said)
        lines = [line for line in said.splitlines() if b" is not_json, " in line]
        self.assertTrue(lines)
        self.assertTrue(all(b"z" * 65 not in line for line in lines), "cut to 64 bytes")

    def test_a_topic_of_rubbish_does_not_fill_the_log(self):
        job = Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                  "--trigger", "20 ms", topic=self.topic)
        for number in range(60):
            self.send(b"{", first=number)
        clicktally.eventually(
            lambda: show(self, self.checkpoint)["totals"]["rejections"]["not_json"] == 60,
            "all are counted")
        job.stop()
        lines = [line for line in job.errors.text().splitlines() if " rejected" in line]
        self.assertLess(len(lines), 30)
        self.assertGreater(len(lines), 0)

    def test_wrong_flags_are_refused_in_one_line(self):
        for flags in (("dead-letters", self.checkpoint, "--cause", "bad\x1b"),
                      ("show", self.checkpoint, "--raw"),
                      ("dead-letters", self.checkpoint, "--format", "csv")):
            done = inspect(*flags)
            self.assertEqual(done.code, 2, f"{done}")
            self.assertRegex(done.errors, rb"^clicktally-inspect: [ -~]+\n$")
        for flags in (("--dead-letters-max-bytes", "1M"),
                      ("--dead-letters", "--dead-letters-max-bytes", "1.5M")):
            done = clicktally.run("clicktally", "--checkpoint", str(self.checkpoint), *flags)
            self.assertEqual(done.code, 2, f"{done}")
