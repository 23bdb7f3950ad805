"""A checkpoint under test: a disk, the judge of all that is said and found, and the report.

Rubbish in what was not synced goes beyond what ext4 and XFS leave, and is damage: the job may refuse it,
and must then fall back or stop (I5). All else must be as if nothing had happened (I2, I3)."""

import shutil

from oracle import Judge, hold
from writer import CUT, DAMAGED, DATA_LOSS, FAILED, KILLED, SHORTAGE, STOPPED

DAMAGES = ("dropped", "torn", "garbled", "names")
REFUSED = "refused"  # how a life ended that found rubbish; it was cured


class Subject:
    def __init__(self, disk, judge, report):
        self.disk, self.judge, self.report = disk, judge, report
        self.rubbish = False  # a cut left some that was not found out yet
        self.triggers = self.lives = 0
        self.recovery_changes = 70  # as of the last life that came through

    def live(self, **trouble):
        """A life that may end with a cut or a kill where it was told to, or by itself. How it
        ended, and its last words."""
        code, last = self.disk.live(self.judge, **trouble)
        self.count(last)
        if code == FAILED and last.get("failed") == DAMAGED and self.rubbish:
            self.cure()
            return REFUSED, last
        if code == FAILED and last.get("failed") == SHORTAGE and last["refused"]:
            return FAILED, last
        may_end = {STOPPED, CUT if "cut_at" in trouble else KILLED if "kill_at" in trouble else 0}
        hold(code in may_end, f"a life ended with {code}: {last}")
        power_lost = code == CUT or code == STOPPED and "power_lost_at_stop" in trouble
        if power_lost:
            self.judge.hear_power_loss()
        garbled = power_lost and trouble.get("damage") in ("garbled", "every")
        self.rubbish = garbled or self.rubbish and code != STOPPED
        if code != STOPPED:
            self.report.point(last["cut" if code == CUT else "killed"], last["phase"])
        return code, last

    def count(self, last):
        self.lives += 1
        self.triggers += last["triggers"]
        self.report.add(lives=1, triggers=last["triggers"])
        if "started" in last:
            self.report.recovered(last["started"]["ms"])
            self.recovery_changes = max(5, last["started"]["changes"])

    def look(self, deep=False):
        found = self.disk.read(deep)
        if self.rubbish and found["state"].get("code") == DATA_LOSS and not self.judge.fallback:
            self.cure()
        else:
            self.judge.look(found)

    def end(self, **options):
        """A last life without trouble, which a fallback may take two attempts to reach."""
        for _ in range(3):
            how, last = self.live(**options)
            if how != REFUSED:
                break
        hold(how == STOPPED, f"the last life was refused: {last}")
        self.look(deep=True)

    def cure(self):
        """The state is refused for the rubbish in it. A snapshot must be able to take over; before
        there was one, the job begins anew."""
        self.report.add(rubbish_refused=1)
        found = self.disk.read(deep=True)
        if not found["snapshots"]:
            self.report.add(rubbish_before_a_snapshot=1)
            self.disk.forget()
            self.judge = Judge(self.judge.expected.seed, self.judge.rows, self.judge.update)
            self.rubbish = False
            return
        self.judge.expect_fallback(found["snapshots"])
        self.judge.look(found)
        with self.disk.by_hand() as checkpoint:
            if (checkpoint / "live").exists():  # else a fallback was cut short in the middle
                shutil.rmtree(checkpoint / "live.damaged", ignore_errors=True)

    def damage(self, dice):
        """Something that is proof of damage whatever else is true of the disk. False if there is
        nothing yet that could take over."""
        found = self.disk.read(deep=True)
        self.judge.look(found)
        if not found["snapshots"] or "failed" in found["state"]:
            return False
        with self.disk.by_hand() as checkpoint:
            shutil.rmtree(checkpoint / "live.damaged", ignore_errors=True)
            live = checkpoint / "live"
            name = (live / "CURRENT").read_text().strip()
            if dice.random() < 0.5:
                (live / "CURRENT").unlink()
            else:
                (live / name).write_bytes(b"\0" * (live / name).stat().st_size)
        self.judge.expect_fallback(found["snapshots"])
        self.report.add(damages=1)
        return True
