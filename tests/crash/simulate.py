"""Random lives of a checkpoint on a disk that forgets: each ends with a power cut, a kill, or a stop;
every fifth already while it recovers from the one before. Some states are damaged in between, so that
the fallback has its crashes too.

Rubbish in what was not synced goes beyond what ext4 and XFS leave, and is damage: the job may refuse it,
and must then fall back or stop (I5). All else must be as if nothing had happened (I2, I3)."""

import random
import shutil

from lanes import add_options, for_all, judged, main
from oracle import Judge, hold
from writer import CUT, DAMAGED, DATA_LOSS, FAILED, KILLED, STOPPED, Disk

NAME = "simulate"
TRIGGERS = 200          # of one seed, over all its lives
CHANGES_PER_TRIGGER = 10
MOST_LIVES = 60
DAMAGES = ("dropped", "torn", "garbled", "names")


def options(parser):
    add_options(parser, 200)


class Seed:
    def __init__(self, writer, seed, report):
        self.seed, self.report = seed, report
        self.dice = random.Random(seed)
        rows, update = self.dice.choice((0, 3, 20)), self.dice.random() < 0.4
        self.rows, self.update = rows, update
        self.judge = Judge(seed, rows, update)
        self.rubbish = False  # a cut left some that was not found out yet
        self.disk = Disk(
            writer, f"simulate-{seed}", log_seed=seed, rows=rows, update_mode=update,
            workers=self.dice.choice((1, 2)), retain=self.dice.choice((2, 3)),
            snapshot_triggers=self.dice.choice((5, 10, 20)),
            ingest_above_users=self.dice.choice((0, 40, 40, 40, 1000)),
            dead_letter_bytes=self.dice.choice((1500, 1 << 20)))
        self.recovery_changes = 70  # as of the last life that came through
        self.triggers = self.lives = 0
        self.damages = int(self.dice.random() < 0.5)

    def run(self):
        while self.triggers < TRIGGERS and self.lives < MOST_LIVES:
            self.one_life()
            if self.damages and self.triggers > TRIGGERS // 4:
                self.damages -= self.damage()
        self.disk.options["triggers"] = 5
        code, last = self.disk.live(self.judge, dice=self.dice.getrandbits(60))
        if code == FAILED and last.get("failed") == DAMAGED and self.rubbish:
            self.cure()
            code, last = self.disk.live(self.judge, dice=self.dice.getrandbits(60))
        hold(code == STOPPED, f"the last life ended with {code}: {last}")
        self.after(last)
        self.judge.look(self.disk.read(deep=True))

    def one_life(self):
        triggers = min(self.dice.randint(20, 120), max(5, TRIGGERS - self.triggers))
        fate = self.dice.random()
        trouble = {"dice": self.dice.getrandbits(60), "triggers": triggers,
                   "damage": self.dice.choice(DAMAGES)}
        expected = STOPPED
        running = self.recovery_changes + self.dice.randint(1, CHANGES_PER_TRIGGER * triggers)
        if fate < 0.25:
            trouble["cut_at"] = self.dice.randint(1, self.recovery_changes)
            expected = CUT
        elif fate < 0.30:
            trouble["kill_at"] = self.dice.randint(1, self.recovery_changes)
            expected = KILLED
        elif fate < 0.72:
            trouble["cut_at"] = running
            expected = CUT
        elif fate < 0.82:
            trouble["kill_at"] = running
            expected = KILLED
        elif fate < 0.91:
            trouble["power_lost_at_stop"] = True
        code, last = self.disk.live(self.judge, **trouble)
        if code == FAILED and last.get("failed") == DAMAGED and self.rubbish:
            self.after(last)
            return self.cure()
        # A life with less to do than was thought ends by itself.
        hold(code in (expected, STOPPED), f"a life ended with {code}: {last}")
        self.after(last)
        self.rubbish = self.rubbish and code != STOPPED or code == CUT and \
            trouble["damage"] == "garbled"
        if code != STOPPED:
            self.report.point(last["cut" if code == CUT else "killed"], last["phase"])
            self.report.add(ended_in_recovery=last["phase"] == "recovery")
            self.report.add(**{"cut_" + trouble["damage"] if code == CUT else "killed": 1})
        found = self.disk.read(deep=self.dice.random() < 0.1)
        if self.rubbish and found["state"].get("code") == DATA_LOSS and not self.judge.fallback:
            return self.cure()
        self.judge.look(found)
        return None

    def cure(self):
        """The state is refused for the rubbish in it. A snapshot must be able to take over; before
        there was one, the job begins anew."""
        self.report.add(rubbish_refused=1)
        found = self.disk.read(deep=True)
        if not found["snapshots"]:
            self.report.add(rubbish_before_a_snapshot=1)
            self.disk.forget()
            self.judge = Judge(self.seed, self.rows, self.update)
            self.rubbish = False
            return
        self.judge.fallback = found["snapshots"][max(found["snapshots"], key=int)]
        self.judge.look(found)
        with self.disk.by_hand() as checkpoint:
            if (checkpoint / "live").exists():  # else a fallback was cut short in the middle
                shutil.rmtree(checkpoint / "live.damaged", ignore_errors=True)

    def after(self, last):
        self.lives += 1
        self.triggers += last["triggers"]
        self.report.add(lives=1, triggers=last["triggers"])
        if "started" in last:
            self.report.recovered(last["started"]["ms"])
            self.recovery_changes = max(5, last["started"]["changes"])

    def damage(self):
        """Something that is proof of damage whatever else is true of the disk."""
        found = self.disk.read(deep=True)
        self.judge.look(found)
        if not found["snapshots"] or "failed" in found["state"]:
            return 0
        with self.disk.by_hand() as checkpoint:
            shutil.rmtree(checkpoint / "live.damaged", ignore_errors=True)
            live = checkpoint / "live"
            name = (live / "CURRENT").read_text().strip()
            if self.dice.random() < 0.5:
                (live / "CURRENT").unlink()
            else:
                (live / name).write_bytes(b"\0" * (live / name).stat().st_size)
        newest = max(found["snapshots"], key=int)
        self.judge.fallback = found["snapshots"][newest]
        self.report.add(damages=1)
        return 1


def run(arguments, report):
    first = arguments.seed if arguments.seed is not None else 1
    count = arguments.seeds

    def work(writer, seed):
        life = Seed(writer, seed, report)
        replay = f"tests/crash/check.py simulate --seeds 1 --seed {seed}"
        if judged(report, life.disk, replay, life.run):
            life.disk.forget()
        report.add(seeds=1, fallbacks=life.judge.fallbacks, emitted_again=life.judge.reemitted,
                   redone_commits=life.judge.redone)

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
