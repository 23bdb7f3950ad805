"""Records, and names, that want to write on the terminal, on a mock cluster: fault row 13 and I7.

A batch's line in the log quotes its first rejected record, so whatever a producer sends comes there.
"""

import unittest

import clicktally
from clicktally import Job, click, show
from raw_producer import RawProducer, send

PRINTABLE = rb"\A[ -~\n]*\Z"
LOGGED_BYTES = 64  # of a rejected record

KINDS = {
    "clicks": [click(4), click(None), b'{"action":"click","user_id":"x","\\u001b":1}',
               b'{"user_id":4,"action":"cl\\u0069ck"}'],
    "others": [b'{"action":"view","page_url":"\\u0000\\u001b[2J"}', b'{"action":"\\u0007"}'],
    "tombstone": [None],
    "empty": [b"", b"  \n\t"],
    "not_json": [b"\x00", b"\x00" * 300, b'{"action":"click"', b"\x1b]0;owned\x07",
                 b'{"action":"click\x00","user_id":1}', b'{"action":"cl\x1bick"}',
                 b"\xff\xfe\xfd", b'\xef\xbb\xbf{"action":"click"}'],
    # As Spark does, the first token tells whether it is an object.
    "not_object": [b"[1,2]", b"17", b'"click"', b"null", b"[" * 100000],
    "missing_action": [b"{}", b'{"user_id":4}', b'{"action":null}'],
}

# Byte order marks, characters of no width, and what turns the direction of writing.
HIDDEN = "\ufeff\u200b\u200c\u200d\u2060\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e" \
         "\u2066\u2067\u2068\u2069\u2028\u2029\u0085\u009b\x7f\x1b"
NOT_UTF8 = [b"\x80", b"a\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff\xfe\xfd"]

mock = None


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


def as_logged(value):
    return "".join(chr(byte) if 0x20 <= byte < 0x7f else f"\\x{byte:02x}"
                   for byte in value[:LOGGED_BYTES]).encode()


class HostileTest(unittest.TestCase):
    def setUp(self):
        self.checkpoint = clicktally.temporary_folder(self) / "checkpoint"

    def job(self, topic, *flags):
        return Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                   "--log-level", "debug", *flags, topic=topic)

    def test_each_as_the_first_rejected_record_of_its_batch_is_quoted_escaped(self):
        records = [value for kind, values in KINDS.items() for value in values
                   if kind not in ("clicks", "others")]
        records += [(mark + '{"action":"click"}').encode() for mark in HIDDEN]
        records += [f'{{"action":"click{mark}'.encode() for mark in HIDDEN]
        records += NOT_UTF8 + [b'{"action":"' + value for value in NOT_UTF8]
        topic = mock.new_topic(partitions=1)
        job = self.job(topic, "--trigger", "20 ms")
        with RawProducer(mock.bootstrap, topic) as producer:
            for offset, value in enumerate(records):
                before = len(job.errors.bytes())
                producer.send(0, value)
                producer.flush()
                # One record a batch: the next is sent when this one was quoted.
                line = job.wait_for_log(rb"partition 0 offset %d is [^\n]*\n" % offset,
                                        after=before)[0]
                self.assertIn(b': "' + as_logged(value or b"") + b'"\n', line)
        job.stop()
        for stream in (job.out, job.errors):
            self.assertRegex(stream.bytes(), PRINTABLE)
        totals = clicktally.counters(show(self, self.checkpoint)["totals"])
        self.assertEqual((totals["records"], totals["rejected"]), (len(records), len(records)))

    def test_a_thousand_records_of_every_kind_are_counted_by_cause_and_none_is_printed(self):
        random = clicktally.seeded_random()
        kinds = {kind: 0 for kind in KINDS}
        values = []
        for _ in range(1000):
            kind = random.choice(list(KINDS))
            kinds[kind] += 1
            values.append(random.choice(KINDS[kind]))
        topic = mock.new_topic()
        send(mock.bootstrap, topic, values)
        job = self.job(topic, "--available-now")
        self.assertEqual(job.end(), 0, f"{job}")
        for stream in (job.out, job.errors):
            self.assertRegex(stream.bytes(), PRINTABLE)
        state = show(self, self.checkpoint)
        totals = clicktally.counters(state["totals"])
        self.assertEqual({kind: totals[kind] for kind in kinds}, kinds)
        self.assertEqual((totals["records"], totals["gaps"], totals["repeated"]), (1000, 0, 0))
        self.assertEqual(sum(state["offsets"].values()), 1000)

    def test_a_topic_of_a_hostile_name_cannot_write_on_the_terminal(self):
        done = clicktally.run("clicktally", "--bootstrap-servers", mock.bootstrap, "--checkpoint",
                              str(self.checkpoint), "--topic", "\x1b[2J\r\n\ufeff\u202e",
                              "--available-now")
        self.assertRegex(done.out + done.errors, PRINTABLE)


if __name__ == "__main__":
    unittest.main()
