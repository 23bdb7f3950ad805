"""A week of triggers, 120,960 of them, empty and full, in one life: files, bytes, memory, descriptors and
threads of the last day are bounded by those of the first, and every count is right at the end."""

from lanes import add_options, for_all, judged, main
from oracle import Judge, hold
from subject import Subject
from writer import STOPPED, Disk

NAME = "week"
TRIGGERS = 7 * 24 * 60 * 12
DAY = TRIGGERS // 7
LOOKS_A_DAY = 24
# The MANIFEST grows up to this before a new one is begun (state/rocks_parts.cc); each snapshot that is
# there, four at most, has a copy of it.
MANIFESTS = 5 * (4 << 20)


def bounds(first):
    """What the last day may reach, given the most of the first."""
    return {"files": 2 * first["files"] + 8, "bytes": first["bytes"] * 1.25 + MANIFESTS,
            "own_kb": first["own_kb"] * 1.15 + 4096, "descriptors": first["descriptors"] + 2,
            "threads": first["threads"] + 1}


def options(parser):
    add_options(parser, 1)


class WeekJudge(Judge):
    """Hears what was measured, too; of a batch of long ago nobody asks again."""

    def __init__(self, seed):
        super().__init__(seed, rows=0)
        self.measured = []

    def hear(self, line):
        if "measured" in line:
            self.measured.append(line)
        super().hear(line)
        self.emitted.pop((self.epoch, self.batch - 10), None)


def most(measured):
    """Of each number the most. A disk in memory takes up to twice its bytes; the rest is ours."""
    for line in measured:
        line["own_kb"] = line["resident_kb"] - 2 * line["bytes"] // 1024
    return {what: max(line[what] for line in measured) for what in measured[0]}


def one_week(subject, seed, report):
    how, last = subject.live(dice=seed, triggers=TRIGGERS, measure_triggers=DAY // LOOKS_A_DAY)
    hold(how == STOPPED and last["triggers"] > TRIGGERS, f"the week ended with {how}: {last}")
    measured = subject.judge.measured
    hold(len(measured) >= 7 * LOOKS_A_DAY - 7, f"measured {len(measured)} times only")
    first = most([line for line in measured if line["measured"] <= DAY])
    final = most([line for line in measured if line["measured"] > TRIGGERS - DAY])
    for what, bound in bounds(first).items():
        print(f"  {what}: at most {first[what]} on the first day, {final[what]} on the last")
        hold(final[what] <= bound, f"{what} grew from {first[what]} to {final[what]}")
    subject.look(deep=True)


def run(arguments, report):
    seed = arguments.seed if arguments.seed is not None else 1

    def work(writer, seed):
        disk = Disk(writer, f"week-{seed}", log_seed=seed, rows=0, workers=1, retain=3,
                    snapshot_triggers=60, empty_percent=40, large_percent=5,
                    dead_letter_bytes=64 << 10)
        subject = Subject(disk, WeekJudge(seed), report)
        judged(report, disk, f"tests/crash/check.py week --seed {seed}",
               lambda: one_week(subject, seed, report))

    for_all([seed], report, work)
    report.want("triggers", TRIGGERS)


def start(arguments):
    return main(NAME, arguments, run)
