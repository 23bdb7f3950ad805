"""What a job must have counted, computed from the seed and the offsets alone; and the judge of what a
crash_writer said and left. Knows nothing of the product but what it promises (docs/ARCHITECTURE.md).

"Maybe happened": a batch whose commit had begun when the process died may be there or not. So a state
is right if it is the last batch that was emitted, or the next one, whole (I3)."""

import bisect
import copy

MASK = (1 << 64) - 1
USERS = 400
LOWEST_USER = -100


def rank(user):
    """NULL first."""
    return LOWEST_USER - 1 if user is None else user


class Part:
    """What one partition holds up to an offset."""

    def __init__(self):
        self.next = 0
        self.clicks = self.other_events = self.gaps = 0
        self.letters = {}  # offset -> value, in order


    def clone(self):
        twin = copy.copy(self)
        twin.letters = dict(self.letters)
        return twin


class Expected:
    """The counts at given offsets, by the function of fake_log.h, once more. Going on costs what is
    new, going back begins anew."""

    def __init__(self, seed):
        self.seed = seed
        self.begin()

    def begin(self):
        self.counts = {}
        self.order = []  # the users, as they are shown
        self.parts = {}
        self.changed = set()

    def clone(self):
        twin = Expected(self.seed)
        twin.counts, twin.order = dict(self.counts), list(self.order)
        twin.parts = {name: part.clone() for name, part in self.parts.items()}
        return twin

    def go_to(self, offsets):
        """Afterwards `changed` holds the users of what is new."""
        if any(part.next > offsets.get(name, 0) for name, part in self.parts.items()):
            self.begin()
        self.changed = set()
        counts = self.counts
        for name, end in offsets.items():
            part = self.parts.setdefault(name, Part())
            base = self.seed * 0x9E3779B97F4A7C15 + int(name) * 0xBF58476D1CE4E5B9 + \
                0x2545F4914F6CDD1D
            for offset in range(part.next, end):
                x = (base + offset * 0x94D049BB133111EB) & MASK
                x ^= x >> 32
                x = x * 0xD6E8FEB86659FD93 & MASK
                x ^= x >> 32
                kind = x % 20
                if kind > 4:
                    user = None if kind == 5 else (x >> 8) % USERS + LOWEST_USER
                    if user not in counts:
                        counts[user] = 0
                        bisect.insort(self.order, user, key=rank)
                    counts[user] += 1
                    self.changed.add(user)
                    part.clicks += 1
                elif kind > 2:
                    part.other_events += 1
                elif kind == 0:
                    part.gaps += 1
                elif kind == 1:
                    part.letters[offset] = f"broken {name}/{offset}"
                else:
                    user = (x >> 8) % USERS + LOWEST_USER
                    part.letters[offset] = f'{{"user_id": {user}}}'
            part.next = end


def in_order(users):
    return sorted(users, key=rank)


class Violation(Exception):
    pass


def hold(condition, words):
    if not condition:
        raise Violation(words)


class Judge:
    """Of one checkpoint through all its lives. `rows` and `update` are those given to the writer."""

    def __init__(self, seed, rows=5, update=False):
        self.expected = Expected(seed)
        self.other = Expected(seed)  # for looks aside: snapshots
        self.rows, self.update = rows, update
        self.started = False    # a life said so: from then on the checkpoint must be there
        self.epoch, self.batch = 0, -1
        self.offsets = {}
        self.emitted = {}       # (epoch, batch) -> what was said
        self.maybe = None       # the record of a batch that was seen and not emitted yet
        self.maybe_is_safe = False  # it was seen on a disk that had lost what was not synced
        self.all_is_safe = False    # the disk is as the last power loss left it
        self.fallback = None    # the snapshot record that may take over, while a damage stands
        self.fallbacks = self.reemitted = self.redone = 0
        self.first_in_life = True

    def clone(self):
        """Another that knows the same; for the several ways on from one moment."""
        twin = copy.copy(self)
        twin.expected, twin.other = self.expected.clone(), Expected(self.expected.seed)
        twin.emitted = dict(self.emitted)
        return twin

    def expect_fallback(self, snapshots):
        """From now on the newest of `snapshots` may take over, under a new epoch."""
        self.fallback = snapshots[max(snapshots, key=int)]

    # --- What a writer says -----------------------------------------------------------------------

    def begin_life(self):
        self.first_in_life = True
        self.all_is_safe = False

    def hear_power_loss(self):
        """A batch that was seen after a kill may have been in the kernel's hands only."""
        if not self.maybe_is_safe:
            self.maybe = None
        self.all_is_safe = True

    def hear(self, line):
        if "started" in line:
            self.hear_started(line)
        elif "emitted" in line:
            self.hear_emitted(line)
        elif "shown" in line:
            hold(line["shown"] == self.batch, f"batch {line['shown']} shown, {self.batch} emitted")

    def hear_started(self, line):
        if line["started"] == "new":
            hold(not self.started, "a fresh start where a checkpoint was")
        if line["started"] == "fallback":
            hold(self.fallback, "a fallback without a damage")
        if self.fallback and line["epoch"] > self.epoch:
            self.take_over(line)
        hold(line["epoch"] == self.epoch, f"started under epoch {line['epoch']}, not {self.epoch}")
        batch = line["batch"]
        hold(batch in (self.batch, self.batch + 1),
             f"started at batch {batch}, {self.batch} was emitted")
        if batch == self.batch and self.offsets:
            hold(line["offsets"] == self.offsets, f"started at other offsets {line['offsets']}")
        if line["was_shown"] and batch >= 0:
            hold((self.epoch, batch) in self.emitted,
                 f"batch {batch} is taken for shown and was never emitted")
        self.redone += batch > self.batch
        self.started = True

    def take_over(self, line):
        record = self.fallback
        hold(line["batch"] == record["batch"],
             f"snapshot {line['batch']} took over, {record['batch']} was the newest whole one")
        self.epoch, self.batch = line["epoch"], record["batch"]
        self.offsets = offsets_of(record)
        self.fallback = self.maybe = None
        self.fallbacks += 1

    def hear_emitted(self, line):
        batch = line["emitted"]
        key = (line["epoch"], batch)
        hold(line["epoch"] == self.epoch, f"batch {batch} of epoch {line['epoch']}: {self.epoch}")
        if batch == self.batch and self.first_in_life:
            before = self.emitted.get(key, line)
            hold(before == line, f"batch {batch} emitted again, another: {before} {line}")
            hold(line["offsets"] == self.offsets, f"batch {batch}: offsets {line['offsets']}")
            self.reemitted += 1
            self.check_rows(line, again=True)
        else:
            hold(batch == self.batch + 1, f"batch {batch} emitted after {self.batch}")
            for name, offset in self.offsets.items():
                hold(line["offsets"][name] >= offset, f"batch {batch}: offsets go back")
            hold(batch == 0 or line["offsets"] != self.offsets, f"batch {batch} is empty")
            if self.maybe and self.maybe["batch"] == batch and self.first_in_life:
                for field in ("time_ms", "digest"):
                    hold(self.maybe[field] == line[field], f"batch {batch}: another {field}")
                hold(offsets_of(self.maybe) == line["offsets"], f"batch {batch}: other offsets")
            self.check_rows(line, again=False)
        self.batch, self.offsets, self.maybe = batch, line["offsets"], None
        self.emitted[key] = line
        self.first_in_life = False

    def check_rows(self, line, again):
        at_hand = all(part.next == self.offsets.get(name, 0)
                      for name, part in self.expected.parts.items())
        if not at_hand:
            self.expected.go_to(self.offsets)
        self.expected.go_to(line["offsets"])
        if self.update and (again or not self.offsets):
            return  # which users the batch changed is not told by its offsets alone
        users = in_order(self.expected.changed) if self.update else self.expected.order
        wanted = [[user, self.expected.counts[user]] for user in users[:self.rows]]
        hold(line["rows"] == wanted, f"batch {line['emitted']}: rows {line['rows']}, not {wanted}")
        hold(line["more"] == (len(users) > self.rows), f"batch {line['emitted']}: 'more' is wrong")

    # --- What is found on the disk ----------------------------------------------------------------

    def look(self, found):
        state = found["state"]
        if "failed" in state:
            # Before a life said that it started there may be nothing; a damage of ours may stand.
            hold(self.fallback or not self.started, f"not readable: {state['failed']}")
        else:
            self.check_state(state)
        for batch, snapshot in found["snapshots"].items():
            if snapshot:
                hold("failed" not in snapshot, f"snapshot {batch}: {snapshot.get('failed')}")
                self.check_snapshot(int(batch), snapshot)

    def check_state(self, state):
        epoch, batch = state["epoch"], state["batch"]
        if self.fallback and epoch > self.epoch:
            hold(batch == self.fallback["batch"], f"batch {batch} took over")
            self.other.go_to(offsets_of(state))
            return check_counts(state, self.other)
        hold(not self.fallback, "a damaged state is read as if it were whole")
        hold(epoch == self.epoch, f"the state is of epoch {epoch}, not {self.epoch}")
        hold(batch in (self.batch, self.batch + 1),
             f"the state is at batch {batch}, {self.batch} was emitted")
        offsets = offsets_of(state)
        for name, offset in self.offsets.items():
            hold(offsets[name] >= offset, f"offsets went back: {offsets}, {self.offsets}")
        said = self.emitted.get((epoch, batch))
        if said:
            for field in ("time_ms", "digest"):
                hold(said[field] == state[field], f"batch {batch}: another {field}")
            hold(said["offsets"] == offsets, f"batch {batch}: other offsets than emitted")
        elif batch >= 0 and batch > self.batch:
            self.maybe, self.maybe_is_safe = state, self.all_is_safe
        self.expected.go_to(offsets)
        return check_counts(state, self.expected)

    def check_snapshot(self, batch, snapshot):
        hold(snapshot["batch"] == batch, f"snapshot {batch} holds batch {snapshot['batch']}")
        said = self.emitted.get((snapshot["epoch"], batch))
        if said:
            hold(said["digest"] == snapshot["digest"], f"snapshot {batch}: another digest")
            hold(said["offsets"] == offsets_of(snapshot), f"snapshot {batch}: other offsets")
        hold(self.fallback or (snapshot["epoch"], batch) <= (self.epoch, self.batch + 1),
             f"snapshot {batch} of epoch {snapshot['epoch']} is ahead")
        self.other.go_to(offsets_of(snapshot))
        check_counts(snapshot, self.other)


def offsets_of(record):
    return {name: part["next"] for name, part in record["partitions"].items()}


def check_counts(state, expected):
    """User by user (I1), counter by counter (I7), rejection by rejection."""
    found = {user: clicks for user, clicks, _ in state["counts"]}
    hold(len(found) == len(state["counts"]), "a user twice")
    if found != expected.counts:
        wrong = [(user, found.get(user, 0), expected.counts.get(user, 0))
                 for user in in_order(set(found) | set(expected.counts))
                 if found.get(user, 0) != expected.counts.get(user, 0)]
        hold(False, f"{len(wrong)} users are wrong; user, found, expected: {wrong[:5]}")
    newest = max((batch for _, _, batch in state["counts"]), default=-1)
    hold(newest <= state["batch"], "a count of a later batch")
    letters = {}
    for partition, offset, _, value in state["letters"]:
        letters.setdefault(str(partition), {})[offset] = value
    for name, part in state["partitions"].items():
        true = expected.parts[name]
        hold(part["clicks"] == true.clicks, f"partition {name}: clicks")
        hold(part["other_events"] == true.other_events, f"partition {name}: other events")
        hold(part["rejected"] == len(true.letters), f"partition {name}: rejections")
        hold(part["gaps"] == true.gaps and part["repeated"] == 0, f"partition {name}: gaps")
        kept = {offset: value for offset, value in true.letters.items()
                if offset >= part["letters_from"]}
        hold(letters.get(name, {}) == kept, f"partition {name}: the rejections kept differ")
        hold(part["letters_kept"] == len(kept), f"partition {name}: rejections kept")
