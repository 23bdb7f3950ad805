"""A killed job's checkpoint, damaged in one place and started: every bit of the log's record headers, of
CURRENT, job.json, COMMITTED and SHOWN, a bit of every byte of MANIFEST, and thousands of random bits, cuts,
missing, zeroed and swapped bytes anywhere. It was killed between the output of a batch and the note in SHOWN,
where the end of the log and COMMITTED alone know of that batch. Records below the oldest snapshot are gone
from the topic, and a new job would begin at its end: neither counting anew nor beginning anew can look right.
Each time the job goes on exactly, or says that it falls back and is exact from there, or refuses (I5)."""

import random

from lanes import add_options, for_all, judged, main
from oracle import Judge, hold, offsets_of
from writer import DAMAGED, DATA_LOSS, FAILED, KILLED, STOPPED, Disk, Writer

NAME = "damage"
LOG_BLOCK, LOG_HEADER = 32 << 10, 7  # RocksDB's log format, also of a MANIFEST
RANDOM = 3000
HOW = 6 * ("flip",) + 2 * ("cut",) + ("zero", "remove", "swap")


def options(parser):
    add_options(parser, 1)
    parser.add_argument("--random", type=int, default=RANDOM, help="how many of the random damages")
    parser.add_argument("--all-bits", action="store_true", help="of the MANIFEST too")
    parser.add_argument("--only", type=int, help="one damage, by its number")


class DamageJudge(Judge):
    """A start may fall back, if it says so, to any snapshot that there was."""

    snapshots = {}

    def hear_started(self, line):
        if line["started"] == "fallback":
            batch = str(line["batch"])
            hold(batch in self.snapshots, f"a fallback to batch {batch}: there was no such snapshot")
            self.fallback = self.snapshots[batch]
        super().hear_started(line)

    def look(self, found):
        """What is found out to be damaged is not read; what is read is right."""
        for state in (found["state"], *found["snapshots"].values()):
            hold(state.get("code", DATA_LOSS) == DATA_LOSS, f"no word of damage: {state}")
        if "failed" not in found["state"]:
            self.check_state(found["state"])
        for batch, snapshot in found["snapshots"].items():
            if snapshot and "failed" not in snapshot:
                self.check_snapshot(int(batch), snapshot)


class Victim:
    """What is damaged: live/ holds tables, a flushed log and a growing one, and is ahead of its newest
    snapshot."""

    def __init__(self, writer, seed, report):
        self.seed, self.report = seed, report
        self.options = dict(log_seed=seed, partitions=8, empty_percent=5, workers=1, retain=3,
                            ingest_above_users=40, dead_letter_bytes=2000)
        for kill_at in range(150, 200):
            if self.made(writer, kill_at):
                return
        raise RuntimeError("no moment found between the output of a batch and the note in SHOWN")

    def made(self, writer, kill_at):
        """Killed at that change. False if it was not the one of SHOWN after an output."""
        self.disk = Disk(writer, "victim", **self.options)
        self.judge = DamageJudge(self.seed)
        code, _ = self.disk.live(self.judge, dice=self.seed, triggers=30, large_percent=20,
                                 snapshot_triggers=5)
        hold(code == STOPPED, f"the victim's first life ended with {code}")
        code, _ = self.disk.live(self.judge, dice=self.seed + 1, triggers=40, large_percent=0,
                                 snapshot_triggers=100, kill_at=kill_at)
        hold(code == KILLED, f"the victim's second life ended with {code}")
        found = self.disk.read(deep=True)
        self.judge.look(found)
        self.judge.snapshots = snapshots = found["snapshots"]
        newest, oldest = (snapshots[str(which(map(int, snapshots)))] for which in (max, min))
        hold(len(snapshots) > 1 and newest["batch"] < found["state"]["batch"],
             f"a victim at batch {found['state']['batch']} with snapshots {list(snapshots)}")
        gone = offsets_of(oldest)
        self.gone = {"earliest": ",".join(str(gone[str(p)]) for p in range(len(gone))),
                     "start_at_latest": True}
        return self.judge.batch == found["state"]["batch"] and not found["state"]["was_shown"]

    def files(self):
        """Path in the checkpoint -> bytes."""
        with self.disk.by_hand() as checkpoint:  # everything counts as safe from here on
            return {str(path.relative_to(checkpoint)): path.read_bytes()
                    for path in sorted(checkpoint.rglob("*")) if path.is_file()}

    def try_one(self, writer, number, damage):
        disk = Disk(writer, f"damage-{number}", **self.options, **self.gone)
        words = [word for name, value in damage.items() for word in (
            f"--{name}", f"/jobs/clicks/{value}" if name in ("file", "other") else value)]
        disk.history.append(f"harm {damage}")
        judge = self.judge.clone()
        replay = f"tests/crash/check.py damage --seed {self.seed} --only {number}"

        def body():
            disk.order("harm", "--image", self.disk.image, "--to", disk.image, *words)
            deep = number % 4 == 0  # snapshots too, and before the start too
            if deep:
                judge.look(disk.read(deep))
            self.report.add(**{self.outcome(disk, judge, deep): 1, "damages": 1, damage["how"]: 1})

        judged(self.report, disk, replay, body)
        disk.forget()

    def outcome(self, disk, judge, deep):
        code, last = disk.live(judge, dice=self.seed, triggers=3)
        if code == FAILED and last["phase"] == "running":
            # Found by reading, before another batch was shown; the next start takes the other way.
            self.expect_damaged(code, last)
            code, last = disk.live(judge, dice=self.seed + 1, triggers=3)
        if code != STOPPED:
            self.expect_damaged(code, last)
        judge.look(disk.read(deep))
        return "refused" if code != STOPPED else "fell_back" if judge.fallbacks else "went_on"

    @staticmethod
    def expect_damaged(code, last):
        hold(code == FAILED and last["failed"] == DAMAGED, f"a life ended with {code}: {last}")


def record_headers(log):
    """Where the headers of a log's records are."""
    at, places = 0, []
    while at + LOG_HEADER <= len(log):
        if LOG_BLOCK - at % LOG_BLOCK < LOG_HEADER:
            at += LOG_BLOCK - at % LOG_BLOCK
            continue
        places += range(at, at + LOG_HEADER)
        at += LOG_HEADER + int.from_bytes(log[at + 4:at + 6], "little")
    return places


def all_damages(files, arguments, seed):
    """Every one, in an order that a number stands for."""
    dice = random.Random(seed)
    logs = [path for path in files if path.startswith("live/") and path.endswith(".log")]
    manifest = "live/" + files["live/CURRENT"].decode().strip()
    places = [(path, at) for path in ("job.json", "COMMITTED", "SHOWN", "live/CURRENT")
              for at in range(len(files[path]))]
    places += [(path, at) for path in (*logs, manifest) for at in record_headers(files[path])]
    for path, at in places:
        for bit in range(8):
            yield {"file": path, "how": "flip", "at": at, "bit": bit}
    for at in range(len(files[manifest])):
        for bit in range(8) if arguments.all_bits else (dice.randrange(8),):
            yield {"file": manifest, "how": "flip", "at": at, "bit": bit}
    filled = [path for path, content in files.items() if content]
    for _ in range(arguments.random):
        path, other = dice.sample(filled, 2)
        how = dice.choice(HOW)
        damage = {"file": path, "how": how}
        if how == "swap":
            damage["other"] = other
        elif how != "remove":
            damage["at"] = dice.randrange(len(files[path]))
        if how == "flip":
            damage["bit"] = dice.randrange(8)
        yield damage


def run(arguments, report):
    seed = arguments.seed if arguments.seed is not None else 1
    maker = Writer()
    try:
        victim = Victim(maker, seed, report)
        damages = enumerate(all_damages(victim.files(), arguments, seed))
        if arguments.only is not None:
            damages = ((number, damage) for number, damage in damages if number == arguments.only)
        for_all(damages, report, lambda writer, item: victim.try_one(writer, *item))
    finally:
        maker.close()
    if arguments.only is not None:
        return
    report.want("damages", 2000 + arguments.random)
    for outcome in ("went_on", "fell_back", "refused"):
        report.want(outcome, 300)


def start(arguments):
    return main(NAME, arguments, run)
