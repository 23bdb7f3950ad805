"""What the system tests stand on: the product's binaries as processes, and the oracle that knows what
they must answer. The oracle never asks the job: its truth comes from the events that were sent.

CLICKTALLY_BIN    the folder of the binaries
CLICKTALLY_SEED   takes back the seed that a test printed

Processes are ended by their own pid when their test ends, whatever happened to it.
"""

import collections
import contextlib
import fcntl
import json
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

BIN = Path(os.environ["CLICKTALLY_BIN"])
ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60    # for what must come soon; a busy machine and the sanitizers have their share in it
STOP_S = 5.0    # a stop must be over by then, on any machine
DEFAULT_TOPIC = "clickstream_events"

SAMPLE_EVENTS = [
    b'{"user_id": 1001, "timestamp": "2025-12-14T09:25:01", "page_url": "/home", '
    b'"action": "view", "duration_ms": 1200}',
    b'{"user_id": 1002, "timestamp": "2025-12-14T09:25:15", "page_url": "/product/shirt-x", '
    b'"action": "view", "duration_ms": 3500}',
    b'{"user_id": 1001, "timestamp": "2025-12-14T09:25:20", "page_url": "/product/shirt-x", '
    b'"action": "click", "duration_ms": 0}',
    b'{"user_id": 1003, "timestamp": "2025-12-14T09:25:25", "page_url": "/search?q=shoes", '
    b'"action": "click", "duration_ms": 0}',
    b'{"user_id": 1001, "timestamp": "2025-12-14T09:25:35", "page_url": "/add-to-cart", '
    b'"action": "click", "duration_ms": 0}']


def seeded_random():
    seed = int(os.environ.get("CLICKTALLY_SEED") or random.randrange(1 << 32))
    print(f"seed: CLICKTALLY_SEED={seed}", flush=True)
    seeded = random.Random(seed)
    seeded.first_seed = seed
    return seeded


def click(user):
    """A click of the user; None is the NULL group."""
    return json.dumps({"user_id": user, "action": "click"}).encode()


def temporary_folder(test):
    folder = tempfile.TemporaryDirectory(prefix="clicktally-")
    test.addCleanup(folder.cleanup)
    return Path(folder.name)


def eventually(condition, what, limit_s=LIMIT_S, step_s=0.02):
    """The first true answer of condition(); AssertionError if none came in time."""
    deadline = time.monotonic() + limit_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(step_s)
    return answer


@contextlib.contextmanager
def narrow_pipe(full=False):
    """The writing end of a pipe that nobody reads and that has room for one write; `full`: for none.

    Linux counts pages, not bytes: a pipe of one page that holds anything takes nothing more.
    """
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    if full:
        os.write(writer, b".")
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def stuck_shown(checkpoint):
    """While it lasts, a job that has handed its batch over gets stuck before it notes that in SHOWN:
    the file is a FIFO that nobody reads. Afterwards SHOWN is as the job last wrote it."""
    kept, fifo, shown = (checkpoint.parent / "kept", checkpoint.parent / "fifo",
                         checkpoint / "SHOWN")
    os.mkfifo(fifo)
    os.link(shown, kept)
    fifo.rename(shown)  # at once: there is no moment without a SHOWN
    try:
        yield
    finally:
        kept.rename(shown)


# ---- the job ------------------------------------------------------------------------------------


class Tail:
    """Reads a pipe to its end, all the time, so that a process never waits for us. With `reads` it
    reads so often and then no more until close(): the pipe is narrow, and the writer gets stuck."""

    def __init__(self, stream, reads=None):
        self._stream = stream
        self._reads = reads
        self._closing = threading.Event()
        if reads is not None:
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 4096)
        self._bytes = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while self._may_read() and (chunk := os.read(self._stream.fileno(), 1 << 16)):
            with self._changed:
                self._bytes += chunk
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _may_read(self):
        if self._reads is not None:
            self._reads -= 1
            if self._reads < 0:
                self._closing.wait()
        return True

    def bytes(self):
        with self._changed:
            return bytes(self._bytes)

    def text(self):
        return self.bytes().decode("utf-8", "backslashreplace")

    def wait_for(self, pattern, limit_s=LIMIT_S, after=0):
        """The first match (of bytes) behind `after`; None when the pipe ended or time is up."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + limit_s
        with self._changed:
            while not (found := wanted.search(self._bytes, after)):
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    return None
                self._changed.wait(left)
            return found

    def close(self):
        """To be called when the process has ended: what is left in the pipe is read."""
        self._closing.set()
        self._thread.join(LIMIT_S)
        self._stream.close()


class Job:
    """A running clicktally, or a test program of the same flags. Its stdout is read as Tail does,
    unless `stdout` is a descriptor."""

    def __init__(self, test, bootstrap, checkpoint, *flags, topic=DEFAULT_TOPIC, stdout=None,
                 reads=None, binary="clicktally", environment=None, umask=-1):
        self.test = test
        self.process = subprocess.Popen(
            [BIN / binary, "--bootstrap-servers", bootstrap, "--checkpoint", str(checkpoint),
             "--topic", topic, *map(str, flags)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}, umask=umask)
        self.out = Tail(self.process.stdout, reads) if stdout is None else None
        self.errors = Tail(self.process.stderr)
        test.addCleanup(self.close)

    def batches(self):
        return parse_output(self.out.text())[0]

    def wait_for_batch(self, batch, limit_s=LIMIT_S):
        """The batch once it is printed whole."""
        self.wait_for_output(rb"Batch: %d\n[^B]*\n\n" % batch, limit_s)
        return next(b for b in self.batches() if b.id == batch)

    def wait_for_output(self, pattern, limit_s=LIMIT_S):
        if not self.out.wait_for(pattern, limit_s):
            self.test.fail(f"{pattern!r} never came out of {self}")

    def wait_for_log(self, pattern, limit_s=LIMIT_S, after=0):
        found = self.errors.wait_for(pattern, limit_s, after)
        if not found:
            self.test.fail(f"{pattern!r} was never logged by {self}")
        return found

    def term(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.kill()
        return self.end()

    def end(self, limit_s=LIMIT_S):
        """The exit code, with all output read."""
        code = self.process.wait(limit_s)
        for tail in filter(None, (self.out, self.errors)):
            tail.close()
        return code

    def stop(self):
        """SIGTERM; asserts exit code 0 within the promised time."""
        began = time.monotonic()
        self.term()
        code = self.end()
        took = time.monotonic() - began
        self.test.assertEqual(code, 0, f"{self}")
        self.test.assertLess(took, STOP_S, f"{self}")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.end()

    def __str__(self):
        out = self.out.text()[-1500:] if self.out else "(elsewhere)"
        return (f"process {self.process.pid}, exit code {self.process.poll()}\n"
                f"-- stdout --\n{out}\n-- stderr --\n{self.errors.text()[-3000:]}")


class Done:
    """What a process that ended by itself left behind."""

    def __init__(self, code, out, errors):
        self.code, self.out, self.errors = code, out, errors

    def __str__(self):
        return f"exit code {self.code}\n-- stdout --\n{self.out[-1500:]!r}\n-- stderr --\n" \
               f"{self.errors[-3000:]!r}"


def run(binary, *arguments, limit_s=LIMIT_S, environment=None):
    done = subprocess.run([BIN / binary, *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=limit_s,
                          env={**os.environ, **(environment or {})})
    return Done(done.returncode, done.stdout, done.stderr)


def drain(test, bootstrap, checkpoint, *flags, topic=DEFAULT_TOPIC, limit_s=LIMIT_S):
    """A run with --available-now, which must end with 0; its batches."""
    job = Job(test, bootstrap, checkpoint, "--available-now", *flags, topic=topic)
    test.assertEqual(job.end(limit_s), 0, f"{job}")
    batches, cut = parse_output(job.out.text())
    test.assertEqual(cut, "")
    return batches


# ---- what it prints -----------------------------------------------------------------------------

Batch = collections.namedtuple("Batch", "id text time rows more")

START = re.compile(r"Streaming query started on topic: [^\n]*\. Press Ctrl\+C to stop\.\n")
BATCH = re.compile(r"-{43}\nBatch: (\d+)\n-{43}\n(\+[^\n]*\n\|[^\n]*\n\+[^\n]*\n)"
                   r"((?:\|[^\n]*\n)*)\+[^\n]*\n(only showing top \d+ rows?\n)?\n")


def parse_output(text):
    """(the batches, what is cut off at the end) of everything that a run printed.

    Anything between batches that is not a batch is an AssertionError.
    """
    start = START.match(text)
    if not start:
        return [], text
    batches, at = [], start.end()
    while found := BATCH.match(text, at):
        rows, times = [], set()
        for line in found[3].splitlines():
            user, clicks, shown_at = (cell.strip() for cell in line[1:-1].split("|"))
            rows.append(("" if user == "NULL" else user, int(clicks)))
            times.add(shown_at)
        assert len(times) <= 1, f"one batch, several times: {found[0]}"
        batches.append(Batch(int(found[1]), found[0], "".join(times), rows, bool(found[4])))
        at = found.end()
    cut = text[at:]
    assert not cut or cut.startswith("-" * min(len(cut), 43)), f"no batch: {cut[:300]!r}"
    return batches, cut


class BatchLog:
    """Every batch that any run of one job printed. I2, I6: no batch is missing, and a batch that is
    shown again is shown as it was."""

    def __init__(self, test):
        self.test, self.shown, self.repeats, self.last = test, {}, 0, -1

    def add_run(self, text):
        """What a run printed, from its first line on; the last batch may be cut by a kill."""
        batches, cut = parse_output(text)
        for batch in batches:
            if batch.id in self.shown:
                self.repeats += 1
                self.test.assertEqual(batch.id, self.last, "an old batch was shown again")
                self.test.assertEqual(batch.text, self.shown[batch.id].text,
                                      f"batch {batch.id} was shown with other content")
            else:
                self.test.assertEqual(batch.id, self.last + 1, "a batch is missing")
            self.shown[batch.id] = batch
            self.last = batch.id
        return batches, cut

    def fall_back(self, batch):
        """A snapshot of that batch takes over: the same ids come again, under a new epoch."""
        self.shown = {shown: at for shown, at in self.shown.items() if shown <= batch}
        self.last = batch


# ---- the offline tool ---------------------------------------------------------------------------


def inspect(*arguments):
    return run("clicktally-inspect", *map(str, arguments))


def show(test, checkpoint):
    """What the live state says, its digest recomputed by a scan (I4); its terms add up (I7)."""
    done = inspect("show", f"{checkpoint}@live", "--exact", "--format", "json")
    test.assertEqual((done.code, done.errors), (0, b""), f"{done}")
    state = json.loads(done.out)
    sums = collections.Counter()
    for partition in state["partitions"].values():
        terms = counters(partition)
        test.assertEqual(terms["records"] + terms["gaps"] + partition["moved"],
                         partition["next"] - partition["start"])
        sums.update(terms)
    test.assertEqual(+sums, +counters(state["totals"]))
    test.assertEqual(state["totalClicks"], state["totals"]["clicks"])
    test.assertEqual(state["offsets"], {p: f["next"] for p, f in state["partitions"].items()})
    return state


def counters(fields):
    rejected = sum(fields["rejections"].values())
    return collections.Counter(
        {"clicks": fields["clicks"], "others": fields["otherEvents"], "rejected": rejected,
         "gaps": fields["gaps"], "repeated": fields["repeated"],
         "records": fields["clicks"] + fields["otherEvents"] + rejected,
         **fields["rejections"]})


def read_csv(lines):
    """user -> clicks; checks header, order and that every user stands there once."""
    assert lines[0] == "user_id,total_clicks", lines[0]
    counts = {user: int(clicks) for user, clicks in (line.split(",") for line in lines[1:])}
    users = [int(user) for user in counts if user]
    assert users == sorted(users) and len(counts) == len(lines) - 1
    assert "" not in counts or lines[1].startswith(",")
    return counts


def export(test, checkpoint):
    """user -> clicks of the live state, also under a running job."""
    done = inspect("export", f"{checkpoint}@live", "--format", "csv")
    test.assertEqual((done.code, done.errors), (0, b""), f"{done.errors}")
    return read_csv(done.out.decode().splitlines())


def assert_counts(test, found, truth):
    """Equal, user by user; says how they differ without printing 100,000 rows."""
    truth = {user: clicks for user, clicks in truth.items() if clicks}
    if found == truth:
        return
    wrong = sorted(user for user in found.keys() | truth if found.get(user) != truth.get(user))
    test.fail(f"{len(wrong)} of {len(truth)} users differ, {sum(found.values())} clicks instead of "
              f"{sum(truth.values())}: " + ", ".join(
                  f"{user or 'NULL'} has {found.get(user)}, not {truth.get(user)}"
                  for user in wrong[:10]))


class Truth:
    """What a correct job holds at given offsets (I1): the clicks at exactly the offsets before them.

    `partitions[p][offset]` is the user of a click ("" for NULL), or None for any other record.
    Offsets may only grow from one question to the next.
    """

    def __init__(self, partitions, start=None):
        self._partitions = partitions
        self._next = dict(start) if start else {p: 0 for p in range(len(partitions))}
        self._counts = collections.Counter()

    def at(self, offsets):
        for partition, end in ((int(p), end) for p, end in offsets.items()):
            begin = self._next.get(partition, 0)
            assert begin <= end <= len(self._partitions[partition]), (partition, begin, end)
            self._counts.update(
                user for user in self._partitions[partition][begin:end] if user is not None)
            self._next[partition] = end
        return self._counts


def user_of_click(value):
    """The slow, obvious decoder of what our producers send: "" for NULL, None for no click."""
    if b'"click"' not in value:
        return None
    try:
        event = json.loads(value)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("action") != "click":
        return None
    user = event.get("user_id")
    return "" if user is None else str(user)


def generated_partitions(partitions, *mix):
    """What `clicktally-produce MIX` puts into each partition: it deals events out in turn."""
    printed = run("clicktally-produce", "--print", *map(str, mix), limit_s=300)
    users = [user_of_click(line) for line in printed.out.split(b"\n")[:-1]]
    return [users[p::partitions] for p in range(partitions)]


# ---- Kafka --------------------------------------------------------------------------------------


class MockKafka:
    """A mock cluster in a process of its own; two of them have different cluster ids."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [BIN / "clicktally-mock-kafka", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.bootstrap = self.process.stdout.readline().strip()
        assert self.bootstrap, "the mock cluster did not start"
        self._topics = 0

    @classmethod
    def for_module(cls, *arguments):
        """To be called in setUpModule(): ends with the module."""
        cluster = cls(*arguments)
        unittest.addModuleCleanup(cluster.close)
        return cluster

    def new_topic(self, partitions=3):
        """The name of a topic that nobody has used."""
        self._topics += 1
        self.say(f"topic t{self._topics} {partitions} 3")
        return f"t{self._topics}"

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{command}: {answer}"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def produce(bootstrap, topic, *arguments, limit_s=LIMIT_S):
    """clicktally-produce, which must succeed."""
    done = run("clicktally-produce", "--bootstrap-servers", bootstrap, "--topic", topic,
               *map(str, arguments), limit_s=limit_s)
    assert done.code == 0, f"{done}"


def listening(port):
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class RealKafka:
    """Three real brokers by tools/kafka, on ports of their own."""

    def __init__(self, first_port, *config):
        self.port = next(
            base for base in range(first_port, first_port + 900, 10)
            if not any(listening(base + more + i) for more in (0, 1000) for i in range(3)))
        self.bootstrap = ",".join(f"127.0.0.1:{self.port + i}" for i in range(3))
        started = self.run("start", "--config", *config)
        if started.returncode == 3:
            raise unittest.SkipTest(started.stderr.strip())
        assert started.returncode == 0, started.stdout + started.stderr

    def run(self, *arguments):
        return subprocess.run([ROOT / "tools" / "kafka", "--port", str(self.port), *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)

    def __call__(self, *arguments):
        done = self.run(*map(str, arguments))
        assert done.returncode == 0, f"tools/kafka {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def stop(self):
        self.run("stop")
