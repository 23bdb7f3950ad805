"""A running clicktally, timed from outside, and the check of what it counted.

Its log goes to a UDP socket on loopback: the kernel stamps each datagram while the job is still
inside its write(), so the times do not depend on when this program gets to read them. A pipe would
show the reader's luck with the scheduler, which on a busy machine is as long as a commit.
"""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import namedtuple

from . import Failure
from .measure import cpu_seconds, peak_rss_mb

SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
CONTROL_BYTES = socket.CMSG_SPACE(16)
COMMIT_LINE = re.compile(r"batch (\d+) (commit begins: (\d+) users|committed|shown)")
# Idle, and with nothing left to compact: no batch for so long, and less CPU than that meanwhile.
QUIET_S = 2.0
QUIET_CPU_SHARE = 0.05
STEP_S = 0.1
DRAIN_LIMIT_S = 1800
STOP_LIMIT_S = 30
LINE_LIMIT_S = 120
LINE_STEP_S = 0.02

# Times in seconds since the job was started; shown_s is None if it was not shown.
Commit = namedtuple("Commit", "batch users began_s ended_s shown_s")


class Log:
    """The job's standard error: lines with the times at which they were written."""

    def __init__(self):
        self.lines = []
        self._reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._reader.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._reader.bind(("127.0.0.1", 0))
        self._reader.settimeout(0.1)
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def writer(self):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(self._reader.getsockname())
        return sender

    def _read(self):
        while True:
            try:
                text, control, _, _ = self._reader.recvmsg(65536, CONTROL_BYTES)
            except TimeoutError:
                if self._ended:
                    return
                continue
            seconds, nanoseconds = struct.unpack("qq", control[0][2])
            self.lines.append((seconds + nanoseconds / 1e9, text.decode(errors="replace").strip()))

    def close(self):
        self._ended = True
        self._thread.join()
        self._reader.close()


class Job:
    """A context in which clicktally runs; at its end the process is gone, one way or another."""

    def __init__(self, binaries, kafka, topic, checkpoint, *flags, on_output=None):
        self._log = Log()
        command = [binaries / "clicktally", "--bootstrap-servers", kafka.bootstrap, "--topic",
                   topic.name, "--checkpoint", checkpoint, "--starting-offsets", "earliest",
                   "--log-level", "debug", *flags]
        with self._log.writer() as errors:
            self.began = time.time()
            self._process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stderr=errors.fileno(),
                stdout=subprocess.DEVNULL if on_output is None else subprocess.PIPE)
        self.pid = self._process.pid
        self._watcher = None
        if on_output is not None:
            self._watcher = threading.Thread(target=self._watch, args=(on_output,), daemon=True)
            self._watcher.start()

    def _watch(self, on_output):
        with self._process.stdout as lines:
            for line in lines:
                on_output(time.time() - self.began, line.decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._watcher:
            self._watcher.join()
        self._log.close()

    def check_alive(self):
        if self._process.poll() is not None:
            raise Failure(f"clicktally ended with exit code {self._process.returncode}: "
                          f"{self._log.lines[-1][1] if self._log.lines else 'no word of why'}")

    def now(self):
        """Seconds since the job was started, as in its commits."""
        return time.time() - self.began

    def signal(self, number):
        self._process.send_signal(number)

    def wait_for_line(self, pattern, after_s=0):
        """(when, the match) of the first such line that was logged at `after_s` or later."""
        wanted, looked_at = re.compile(pattern), 0
        deadline = time.monotonic() + LINE_LIMIT_S
        while time.monotonic() < deadline:
            fresh = self._log.lines[looked_at:]
            looked_at += len(fresh)
            for at, line in fresh:
                if at - self.began >= after_s and (found := wanted.search(line)):
                    return at - self.began, found
            self.check_alive()
            time.sleep(LINE_STEP_S)
        raise Failure(f"clicktally did not log {pattern!r} within {LINE_LIMIT_S} s")

    def log_lines(self):
        return list(self._log.lines)

    def commits(self):
        began, ended, shown, users = {}, {}, {}, {}
        for at, line in list(self._log.lines):
            found = COMMIT_LINE.search(line)
            if not found:
                continue
            batch = int(found[1])
            if found[2] == "committed":
                ended[batch] = at - self.began
            elif found[2] == "shown":
                shown[batch] = at - self.began
            else:
                began[batch], users[batch] = at - self.began, int(found[3])
        if ended and set(ended) != set(range(min(ended), max(ended) + 1)):
            raise Failure("lines of the job's log are lost; the machine is too busy to measure on")
        return [Commit(batch, users[batch], began[batch], ended[batch], shown.get(batch))
                for batch in sorted(ended)]

    def wait_until_settled(self):
        """Until it is idle: no batch, no compaction. The caller checks that all was counted."""
        deadline = time.monotonic() + DRAIN_LIMIT_S
        history = []  # (when, CPU seconds)
        while time.monotonic() < deadline:
            time.sleep(STEP_S)
            self.check_alive()
            now = self.now()
            history.append((now, cpu_seconds(self.pid)))
            history = [entry for entry in history if entry[0] > now - QUIET_S - 2 * STEP_S]
            commits = self.commits()
            idle = commits and now - max(c.ended_s for c in commits) > QUIET_S
            used = history[-1][1] - history[0][1]
            if idle and history[-1][0] - history[0][0] > QUIET_S and used < QUIET_CPU_SHARE * QUIET_S:
                return
        raise Failure(f"clicktally was not idle within {DRAIN_LIMIT_S} s")

    def peak_rss_mb(self):
        return peak_rss_mb(self.pid)

    def stop(self):
        """SIGTERM; the CPU seconds of its whole life."""
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT_S
        while time.monotonic() < deadline:
            pid, status, used = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                if self._process.returncode != 0:
                    self.check_alive()
                return used.ru_utime + used.ru_stime
            time.sleep(0.01)
        raise Failure(f"clicktally did not stop within {STOP_LIMIT_S} s of SIGTERM")

    def kill(self):
        self._process.kill()
        self._process.wait()


def inspect(binaries, *arguments):
    """What clicktally-inspect prints; it must succeed."""
    done = subprocess.run([binaries / "clicktally-inspect", *arguments], capture_output=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(f"clicktally-inspect {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def check_counts(binaries, checkpoint, topic):
    """The state, if its counts are the truth; a Failure if not. Fast wrong answers do not count."""
    counts = inspect(binaries, "export", checkpoint, "--format", "csv")
    if counts != topic.truth.read_bytes():
        raise Failure(f"wrong counts: the export of {checkpoint} differs from {topic.truth}")
    return json.loads(inspect(binaries, "show", checkpoint, "--exact", "--format", "json"))
