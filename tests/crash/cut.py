"""One run, cut at every operation that changes anything: 30 triggers with flushes, ingested batches,
snapshots and prunes, over the log and in bulk. At each operation the power is lost with each damage; at
each of the making of the checkpoint, and at many others, the process is killed and the power lost soon
after it started again. Every time the job goes on, and everything must be as if nothing had happened."""

import random

from lanes import add_options, every_operation, for_all, judged, main
from oracle import Judge
from subject import DAMAGES, Subject
from writer import CUT, KILLED, STOPPED, Disk

NAME = "cut"
TRIGGERS = 30
# The commit paths: by the log with a large batch now and then ingested, and all in bulk.
PATHS = {"log": {"ingest_above_users": 40}, "bulk": {"ingest_above_users": 0}}
MAKING = 100  # operations that the making of a checkpoint takes, or somewhat more
KILL_EVERY = 4
BEYOND = 10


def options(parser):
    add_options(parser, 1)
    parser.add_argument("--path", choices=PATHS, help="only this commit path")
    parser.add_argument("--at", type=int, help="only this operation")


class Run:
    """The operations of one path, handed out one after the other until the run has no more."""

    def __init__(self, path, seed):
        self.path, self.seed = path, seed
        self.beyond = 0

    def disk(self, writer, name):
        return Disk(writer, f"cut-{self.path}-{name}", log_seed=self.seed, triggers=TRIGGERS,
                    partitions=8,  # whose records fill the memory table more than twice
                    empty_percent=5, large_percent=20, snapshot_triggers=5, retain=1, workers=1,
                    dead_letter_bytes=2000, **PATHS[self.path])

    def replay(self, at):
        return f"tests/crash/check.py cut --seed {self.seed} --path {self.path} --at {at}"

    def cut(self, writer, at, report):
        disk = self.disk(writer, at)
        subject = Subject(disk, Judge(self.seed), report)

        def body():
            how, _ = subject.live(dice=self.seed, cut_at=at, damage="every")
            self.beyond += how == STOPPED
            if how != CUT:
                return
            report.add(points=1)
            for damage in DAMAGES:
                left = self.disk(writer, f"{at}-{damage}")
                left.history = disk.history + [f"  of which {damage} is looked at"]
                disk.image.with_name(f"{disk.name}.{damage}").rename(left.image)
                after = Subject(left, subject.judge.clone(), report)
                after.rubbish = damage == "garbled"
                judged(report, left, self.replay(at), lambda after=after: self.go_on(after, at))
                left.forget()
                report.add(**{"cut_" + damage: 1})

        judged(report, disk, self.replay(at), body)
        disk.forget()

    @staticmethod
    def go_on(subject, at):
        if subject.rubbish:
            subject.look()
        subject.end(dice=at, triggers=2)

    def kill(self, writer, at, report):
        """The names that the killed one made and did not sync are there, and are not safe."""
        dice = random.Random(at)
        disk = self.disk(writer, f"{at}-killed")
        subject = Subject(disk, Judge(self.seed), report)

        def body():
            how, _ = subject.live(dice=self.seed, kill_at=at)
            if how != KILLED:
                return
            report.add(killed=1)
            subject.live(dice=at, triggers=2, damage=dice.choice(("names", "dropped")),
                         cut_at=dice.randint(1, subject.recovery_changes + 20))
            subject.end(dice=at, triggers=2)

        judged(report, disk, self.replay(at), body)
        disk.forget()


def run(arguments, report):
    seed = arguments.seed if arguments.seed is not None else 1
    runs = [Run(path, seed) for path in ([arguments.path] if arguments.path else PATHS)]

    def work(writer, item):
        one, at = item
        one.cut(writer, at, report)
        if at <= MAKING or at % KILL_EVERY == 0 or arguments.at:
            one.kill(writer, at, report)

    for_all(every_operation(runs, BEYOND, arguments.at), report, work)
    if arguments.at:
        return
    report.want("points", 300 * len(runs))
    for damage in DAMAGES:
        report.want("cut_" + damage, 300 * len(runs))
    report.want("killed", 100 * len(runs))
    for point in ("recovery: mkdir live.new", "recovery: rename live.new",
                  "running: create live/log", "running: create live/table",
                  "running: link live/table", "running: write live/log",
                  "running: write live/MANIFEST", "running: overwrite COMMITTED",
                  "running: overwrite SHOWN", "running: rename snapshots/new", "running: rename snapshots/N"):
        report.want_point(point)


def start(arguments):
    return main(NAME, arguments, run)
