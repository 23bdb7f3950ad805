"""A Kafka for the run, and topics of which the right counts are known."""

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from . import Failure

FIRST_PORT = 49092
MAX_BROKERS = 3
PARTITIONS = 3
PATIENCE_S = 60


def run(command, what, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word of why"]
        raise Failure(f"{what}: exit code {done.returncode}: {last[0]}")
    return done


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class Topic:
    """A topic, and the file of the clicks that a right count of it has."""

    def __init__(self, name, truth):
        self.name, self.truth = name, Path(truth)


class Kafka:
    """Three brokers of our own, ended with the run; or those that the person names."""

    def __init__(self, root, binaries, scratch, bootstrap=None):
        self._launcher = root / "tools" / "kafka"
        self._producer = binaries / "clicktally-produce"
        self._scratch = scratch
        self._numbers = itertools.count(1)
        self._port = None
        self.bootstrap = bootstrap
        self.version = "given"

    def __enter__(self):
        if self.bootstrap is None:
            self._start()
        return self

    def __exit__(self, *_):
        if self._port is not None:
            subprocess.run([self._launcher, "--port", str(self._port), "stop"],
                           capture_output=True, stdin=subprocess.DEVNULL, check=False)

    def _start(self):
        for port in range(FIRST_PORT, FIRST_PORT + 1000, 10):
            taken = range(port, port + MAX_BROKERS)
            if all(is_free(p) and is_free(p + 1000) for p in taken):
                break
        else:
            raise Failure("no free ports for Kafka; name brokers with --bootstrap-servers")
        self._port = port
        said = run([self._launcher, "--port", port, "start", "--dir", self._scratch / "kafka"],
                   "tools/kafka start").stdout
        self.bootstrap = re.search(r"bootstrap servers: (\S+)", said)[1]
        self.version = re.search(r"Kafka (\S+):", said)[1]

    def _command(self, topic, *flags):
        return [str(word) for word in (
            self._producer, "--bootstrap-servers", self.bootstrap, "--topic", topic.name,
            "--truth", topic.truth, "--append-truth", *flags)]

    def new_topic(self, events, users, *flags, replication=MAX_BROKERS):
        """As many seeded events as fast as possible, over 3 partitions."""
        name = f"clicktally-bench-{os.getpid()}-{next(self._numbers)}"
        topic = Topic(name, self._scratch / f"{name}.csv")
        replication = min(replication, self.bootstrap.count(",") + 1)
        self.produce(topic, "--create-topic", f"{PARTITIONS}:{replication}", "--events", events,
                     "--users", users, *flags)
        return topic

    def delete_topic(self, topic):
        """Its disk space is needed; only on brokers of our own."""
        if self._port is not None:
            run([self._launcher, "--port", self._port, "topic", "delete", topic.name],
                f"deleting {topic.name}")

    def produce(self, topic, *flags):
        run(self._command(topic, *flags), f"producing to {topic.name}")

    @contextlib.contextmanager
    def load(self, topic, *flags):
        """A producer that goes on for as long as the context does."""
        producer = subprocess.Popen(
            self._command(topic, "--events", 0, *flags), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            producer.send_signal(signal.SIGINT)
            try:
                code = producer.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                producer.kill()
                code = producer.wait()
            if code != 0:
                raise Failure("the producer of the load failed")
