"""One run, refused at every operation: no space, an I/O error, a failed sync, at the k-th operation that
it can hit, once and from then on for good, for every k. The job must stop with the exit code of a
shortage, and once the cause is gone go on as if nothing had happened; also if the power is lost first."""

import random

from lanes import add_options, every_operation, for_all, judged, main
from oracle import Judge
from subject import Subject
from writer import FAILED, STOPPED, Disk

NAME = "fail"
TRIGGERS = 20
KINDS = ("enospc", "eio", "fsync")
BEYOND = 4
WAYS_ON = ("again", "power lost", "power lost while it recovers")


def options(parser):
    add_options(parser, 1)
    parser.add_argument("--kind", choices=KINDS, help="only this refusal")
    parser.add_argument("--at", type=int, help="only this operation")


class Run:
    """The operations that one kind of refusal can hit, until the run has no more of them."""

    def __init__(self, kind, once, seed):
        self.kind, self.once, self.seed = kind, once, seed
        self.name = f"{kind}-{'once' if once else 'for-good'}"
        self.beyond = 0

    def refuse(self, writer, at, report):
        disk = Disk(writer, f"fail-{self.name}-{at}", log_seed=self.seed, partitions=8,
                    empty_percent=5, large_percent=30, snapshot_triggers=5, retain=1, workers=1,
                    dead_letter_bytes=2000, ingest_above_users=40)
        subject = Subject(disk, Judge(self.seed), report)

        def body():
            how, last = subject.live(dice=self.seed, triggers=TRIGGERS, fail_at=at,
                                     fail_kind=self.kind, fail_once=self.once)
            if not last["refused"]:
                self.beyond += 1
                return
            report.add(**{f"refused_{self.kind}": 1,
                          "stopped_by_it" if how == FAILED else "lived_on": 1})
            self.go_on(subject, random.Random(f"{self.name} {at}"))

        judged(report, disk, f"tests/crash/check.py fail --seed {self.seed} --kind {self.kind} "
               f"--at {at}", body)
        disk.forget()

    @staticmethod
    def go_on(subject, dice):
        subject.look()
        way = dice.choice(WAYS_ON)
        if way != "again":
            changes = 1 if way == "power lost" else dice.randint(2, subject.recovery_changes)
            subject.live(dice=dice.getrandbits(60), triggers=2, cut_at=changes,
                         damage=dice.choice(("dropped", "torn", "names")))
        subject.end(dice=dice.getrandbits(60), triggers=4)


def run(arguments, report):
    seed = arguments.seed if arguments.seed is not None else 1
    runs = [Run(kind, once, seed) for kind in ([arguments.kind] if arguments.kind else KINDS)
            for once in (False, True)]

    for_all(every_operation(runs, BEYOND, arguments.at), report,
            lambda writer, item: item[0].refuse(writer, item[1], report))
    if arguments.at or arguments.kind:
        return
    for kind, least in (("enospc", 250), ("eio", 1000), ("fsync", 150)):
        report.want("refused_" + kind, least)
    report.want("stopped_by_it", 1400)


def start(arguments):
    return main(NAME, arguments, run)
