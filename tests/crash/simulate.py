"""Random lives of a checkpoint on a disk that forgets: each ends with a power cut, a kill, or a stop;
every fifth already while it recovers from the one before. Some states are damaged in between, so that
the fallback has its crashes too."""

import random

from lanes import add_options, for_all, judged, main
from oracle import Judge
from subject import DAMAGES, REFUSED, Subject
from writer import CUT, STOPPED, Disk

NAME = "simulate"
TRIGGERS = 200          # of one seed, over all its lives
CHANGES_PER_TRIGGER = 7
MOST_LIVES = 60


def options(parser):
    add_options(parser, 200)


def one_life(subject, dice):
    triggers = min(dice.randint(20, 120), max(5, TRIGGERS - subject.triggers))
    fate = dice.random()
    trouble = {"dice": dice.getrandbits(60), "triggers": triggers, "damage": dice.choice(DAMAGES)}
    running = subject.recovery_changes + dice.randint(1, CHANGES_PER_TRIGGER * triggers)
    if fate < 0.25:
        trouble["cut_at"] = dice.randint(1, subject.recovery_changes)
    elif fate < 0.30:
        trouble["kill_at"] = dice.randint(1, subject.recovery_changes)
    elif fate < 0.72:
        trouble["cut_at"] = running
    elif fate < 0.82:
        trouble["kill_at"] = running
    elif fate < 0.91:
        trouble["power_lost_at_stop"] = True
    how, last = subject.live(**trouble)
    if how == REFUSED:
        return
    if how != STOPPED:
        subject.report.add(ended_in_recovery=last["phase"] == "recovery")
        subject.report.add(**{"cut_" + trouble["damage"] if how == CUT else "killed": 1})
    subject.look(deep=dice.random() < 0.1)


def all_lives(subject, dice):
    damages = int(dice.random() < 0.5)
    while subject.triggers < TRIGGERS and subject.lives < MOST_LIVES:
        one_life(subject, dice)
        if damages and subject.triggers > TRIGGERS // 4:
            damages -= subject.damage(dice)
    subject.end(dice=dice.getrandbits(60), triggers=5)


def run(arguments, report):
    first = arguments.seed if arguments.seed is not None else 1
    count = arguments.seeds

    def work(writer, seed):
        dice = random.Random(seed)
        rows, update = dice.choice((0, 3, 20)), dice.random() < 0.4
        disk = Disk(writer, f"simulate-{seed}", log_seed=seed, rows=rows, update_mode=update,
                    workers=dice.choice((1, 2)), retain=dice.choice((2, 3)),
                    snapshot_triggers=dice.choice((5, 10, 20)),
                    ingest_above_users=dice.choice((0, 40, 40, 40, 1000)),
                    dead_letter_bytes=dice.choice((1500, 1 << 20)))
        subject = Subject(disk, Judge(seed, rows, update), report)
        replay = f"tests/crash/check.py simulate --seeds 1 --seed {seed}"
        judged(report, disk, replay, lambda: all_lives(subject, dice))
        disk.forget()
        judge = subject.judge
        report.add(seeds=1, fallbacks=judge.fallbacks, emitted_again=judge.reemitted,
                   redone_commits=judge.redone)

    for_all(range(first, first + count), report, work)
    if count < 100:  # a replay, or a first look
        return
    report.want("seeds", count)
    report.want("triggers", TRIGGERS * count)
    report.want("ended_in_recovery", count)
    report.want("fallbacks", count // 10)
    report.want("emitted_again", count // 2)
    report.want("redone_commits", count // 10)
    for damage in DAMAGES:
        report.want("cut_" + damage, count // 4)
    report.want("killed", count // 4)


def start(arguments):
    return main(NAME, arguments, run)
