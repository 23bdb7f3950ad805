"""What all lanes share: seeds worked off two at a time, one report, and the verdict."""

import collections
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from oracle import Violation
from writer import Writer

WORKERS = max(1, int(os.environ.get("CLICKTALLY_CRASH_WORKERS") or 2))
MOST_VIOLATIONS = 20  # a broken build has said enough by then


class Report:
    """Counts, from any thread."""

    def __init__(self, lane, arguments):
        self.lane = lane
        self.arguments = arguments
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.points = collections.Counter()  # where lives were ended
        self.violations = []
        self.slowest_recovery_ms = 0.0
        self.began = time.monotonic()
        self.wanted = []  # (what, at least)

    def add(self, **counts):
        with self.lock:
            self.counts.update(counts)

    def point(self, words, phase):
        """`words` is the operation and its path, as crash_writer says them."""
        what, _, path = words.partition(" ")
        with self.lock:
            self.points[f"{phase}: {what} {kind_of(path)}"] += 1

    def recovered(self, milliseconds):
        with self.lock:
            self.slowest_recovery_ms = max(self.slowest_recovery_ms, milliseconds)

    def violation(self, words, replay, kept):
        with self.lock:
            self.violations.append({"what": words, "replay": replay, "kept": str(kept)})
        print(f"VIOLATION {words}\n  replay: {replay}\n  kept:   {kept}", flush=True)

    def broken(self):
        return len(self.violations) >= MOST_VIOLATIONS

    def want(self, what, least):
        """The lane proves too little with fewer than `least` of `what`."""
        self.wanted.append((what, least))

    def want_point(self, point):
        """A run that never came there is not the run that was meant."""
        self.counts[f"at '{point}'"] = self.points[point]
        self.want(f"at '{point}'", 1)

    def end(self):
        """Says everything; the exit code."""
        lacks = [f"{self.counts[what]} {what}, at least {least} were to be"
                 for what, least in self.wanted if self.counts[what] < least]
        seconds = time.monotonic() - self.began
        print(f"crash {self.lane}: " + ", ".join(
            f"{count} {what.replace('_', ' ')}" for what, count in sorted(self.counts.items())))
        print(f"  points reached: {len(self.points)} kinds; slowest recovery "
              f"{self.slowest_recovery_ms:.1f} ms; {seconds:.1f} s; "
              f"{len(self.violations)} violations")
        for line in lacks:
            print(f"  PROVED TOO LITTLE: {line}")
        if self.arguments.report:
            Path(self.arguments.report).write_text(json.dumps({
                "lane": self.lane, "seed": self.arguments.seed, "counts": self.counts,
                "points": dict(self.points.most_common()), "seconds": round(seconds, 1),
                "slowest_recovery_ms": self.slowest_recovery_ms, "violations": self.violations,
                "proved_too_little": lacks}, indent=1) + "\n")
        return 1 if self.violations or lacks else 0


def kind_of(path):
    """The role of a file, for the histogram."""
    parts = path.split("/jobs/clicks", 1)[-1].strip("/").split("/")
    name = parts[-1]
    room = parts[0] if parts[0] != name else ""
    for ending, kind in ((".log", "log"), (".sst", "table"), (".staged", "staged table"),
                         (".dbtmp", "dbtmp"), (".tmp", "tmp"), (".gone", "gone")):
        if name.endswith(ending):
            return f"{room}/{kind}"
    for beginning in ("MANIFEST", "OPTIONS"):
        if name.startswith(beginning):
            return f"{room}/{beginning}"
    return f"{room}/{'N' if name.isdigit() else name}" if room else name or "/"


def add_options(parser, seeds):
    parser.add_argument("--seed", type=int, default=None, help="the first seed; a replay's only one")
    parser.add_argument("--seeds", type=int, default=seeds, help="how many, one after the other")
    parser.add_argument("--report", help="a file for the report as JSON")
    parser.add_argument("--keep", default=None, help="where directories of violations are kept "
                        "(default: clicktally-violations in $TMPDIR)")


def for_all(items, report, work):
    """work(writer, item) for all, WORKERS at a time. What it raises is a violation of that item;
    it says which by returning nothing and by itself otherwise."""
    left = iter(items)
    lock = threading.Lock()
    errors = []

    def run():
        writer = Writer()
        try:
            while not report.broken() and not errors:
                with lock:
                    item = next(left, None)
                if item is None:
                    return
                work(writer, item)
        except Exception as error:  # the harness itself
            errors.append(error)
        finally:
            writer.close()

    threads = [threading.Thread(target=run) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def every_operation(runs, beyond, only):
    """(run, k) for k = 1, 2, ... and each run, until `beyond` of its k were past its end: so many,
    since threads make the end vary. Or for k = `only`, if that is given."""
    at = only or 1
    while any(one.beyond < beyond for one in runs):
        for one in runs:
            if one.beyond < beyond:
                yield one, at
        at += 1
        if only:
            return


def judged(report, disk, replay, body):
    """Runs body(); a violation in it is reported, with a copy of the disk. True if there was none."""
    try:
        body()
        return True
    except Violation as violation:
        folder = report.arguments.keep or Path(tempfile.gettempdir()) / "clicktally-violations"
        report.violation(str(violation), replay, disk.keep(folder))
        return False


def main(lane, arguments, run):
    report = Report(lane, arguments)
    run(arguments, report)
    sys.stdout.flush()
    return report.end()
