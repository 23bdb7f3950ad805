"""clicktally-inspect as a product: what each command prints in each form, what it says of damage, and
that an independent reader finds the same (I1, I3, I4, I5, I8).

CLICKTALLY_WRITE_GOLDEN=1    rewrites golden/inspect_*.txt
CLICKTALLY_DAMAGES=N         damages to try (1,000), CLICKTALLY_READS=N reads beside a job (500)
"""

import contextlib
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

import clicktally
from clicktally import BIN, ROOT, Job, click, drain, eventually, inspect
from raw_producer import send

mock = None
GOLDEN = Path(__file__).parent / "golden"

# Every command in every format; {c} is the checkpoint.
COMMANDS = {
    "show": ["{c}", "--spread"], "show_json": ["{c}", "--spread", "--format", "json"],
    "show_exact": ["{c}@1", "--exact"],
    "get": ["{c}", "1", "NULL", "99"], "get_json": ["{c}", "1", "NULL", "99", "--format", "json"],
    "get_csv": ["{c}", "1", "NULL", "99", "--format", "csv"],
    "top": ["{c}", "3"], "top_json": ["{c}", "--format", "json"],
    "top_delta": ["{c}", "--by", "delta", "--since", "0"],
    "top_last": ["{c}", "2", "--by", "last-batch", "--format", "csv"],
    "list": ["{c}", "--min-clicks", "2", "--limit", "2"],
    "list_json": ["{c}", "--from", "NULL", "--to", "1", "--format", "json"],
    "list_csv": ["{c}", "--from", "2", "--format", "csv"],
    "export": ["{c}"], "export_json": ["{c}", "--format", "json"],
    "offsets": ["{c}"], "offsets_json": ["{c}@0", "--format", "json"],
    "offsets_csv": ["{c}@newest", "--format", "csv"],
    "batches": ["{c}"], "batches_json": ["{c}", "--limit", "1", "--format", "json"],
    "batches_csv": ["{c}", "--format", "csv"],
    "snapshots": ["{c}"], "snapshots_json": ["{c}", "--format", "json"],
    "snapshots_csv": ["{c}", "--format", "csv"],
    "diff": ["{c}@0", "{c}"], "diff_json": ["{c}@0", "{c}@1", "--format", "json"],
    "diff_rows": ["{c}@1", "{c}@0", "--rows"],
    "diff_csv": ["{c}@0", "{c}@live", "--rows", "--format", "csv"],
    "verify": ["{c}"], "verify_json": ["{c}", "--format", "json"],
    "verify_full": ["{c}", "--full"],
    "dead-letters": ["{c}"], "dead-letters_raw": ["{c}", "--raw", "--cause", "not_json"],
}

# What differs from run to run.
VARIES = ((r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "TIME"), (r"\b1[789]\d{11}\b", "MILLIS"),
          (r"[\d.]+ (s|min) ago", "AGE ago"), (r'"ageMs": \d+', '"ageMs": AGE'),
          (r"mockCluster\w+", "CLUSTER"), (r"\b[\d.]+ (KiB|MiB|bytes\b(?!;))", "SIZE"),
          (r'"(live|all|bytes)": ?\d+', r'"\1": SIZE'), (r",\d+,(true|false),", r",SIZE,\1,"),
          (r"\d{6}\.sst", "TABLE"), (r"\d+ files", "N files"), (r"[\w.+=/-]+/checkpoint", "CHECKPOINT"))


def normal(text, topic):
    text = text.replace(f'"{topic}"', '"TOPIC"')
    text = re.sub(rf"(?m)^topic  +{topic}$", "topic TOPIC", text)
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    lines = [re.sub(" {2,}", "  ", line) for line in text.split("\n")]
    # How many table files there are is RocksDB's business.
    return "\n".join(line for i, line in enumerate(lines) if i == 0 or line != lines[i - 1]
                     or "TABLE" not in line)


def tree(folder):
    """Every name, mode, time and byte."""
    return {str(path.relative_to(folder)):
            (path.stat().st_mode, path.stat().st_mtime_ns,
             hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"")
            for path in sorted(folder.rglob("*"))}


def setUpModule():
    global mock
    mock = clicktally.MockKafka.for_module()


class InspectTest(unittest.TestCase):
    def setUp(self):
        self.folder = clicktally.temporary_folder(self)
        self.checkpoint = self.folder / "checkpoint"
        self.topic = mock.new_topic()

    def job(self, *flags):
        return Job(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                   *flags, topic=self.topic)

    def make_checkpoint(self):
        """Three batches with a snapshot each."""
        for users in ([1, 1, 2, None], [3, 3, 3, 1], [2, 2, -7, 2147483647]):
            send(mock.bootstrap, self.topic,
                 [*map(click, users), b"{", None, b'{"action":"view"}'])
            drain(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                  "--dead-letters", topic=self.topic)

    def done(self, code, *arguments):
        done = inspect(*arguments)
        self.assertEqual(done.code, code, f"{arguments}: {done}")
        return done

    def read(self, *arguments):
        done = self.done(0, *arguments)
        self.assertEqual(done.errors, b"")
        return done.out.decode()


class GoldenTest(InspectTest):
    def test_each_command_prints_in_each_format_what_it_should_and_changes_nothing(self):
        self.make_checkpoint()
        before = tree(self.checkpoint)
        for name, arguments in COMMANDS.items():
            with self.subTest(command=name):
                words = [a.replace("{c}", str(self.checkpoint)) for a in arguments]
                found = normal(self.read(name.split("_")[0], *words), self.topic)
                golden = GOLDEN / f"inspect_{name}.txt"
                if os.environ.get("CLICKTALLY_WRITE_GOLDEN"):
                    golden.write_text(found)
                self.assertEqual(found, golden.read_text())
        self.assertEqual(tree(self.checkpoint), before)

    def test_users_come_from_standard_input_too(self):
        self.make_checkpoint()
        done = subprocess.run([BIN / "clicktally-inspect", "get", self.checkpoint, "-", "3",
                               "--format", "csv"], input=b"NULL\r\n\n2\n", capture_output=True)
        self.assertEqual((done.returncode, done.stdout.split()[1:]), (0, [b",1,0", b"2,3,2", b"3,3,1"]))

    def test_a_terminal_gets_bold_headings_and_a_picture_unless_its_owner_wants_none(self):
        self.make_checkpoint()
        for environment, bold in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            ours, theirs = pty.openpty()
            with os.fdopen(ours, "rb") as terminal:
                done = subprocess.run(
                    [BIN / "clicktally-inspect", "show", self.checkpoint], stdout=theirs,
                    stdin=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm", "NO_COLOR": "",
                                                   **environment}, check=False)
                os.close(theirs)
                out = b""
                with contextlib.suppress(OSError):  # EIO at the end
                    while chunk := terminal.read1(65536):
                        out += chunk
            self.assertEqual(done.returncode, 0)
            self.assertEqual(b"\x1b[1mpartition" in out, bold)
            self.assertIn(b"clicks a user, of all 6 users", out)

    def test_help_man_page_and_completion_know_every_command_and_flag(self):
        man = (ROOT / "docs/man/clicktally-inspect.1").read_text()
        completion = (ROOT / "tools/inspect/completion.bash").read_text()
        commands = re.findall(r"(?m)^  ([a-z-]+(?: [a-z]+)?)  +\S", self.read("--help"))
        self.assertGreater(len(commands), 10)
        for command in commands:
            self.assertRegex(man, rf"(?m)^\.(Cm|It Cm) {command}\b")
            for word in command.split():
                self.assertRegex(completion, rf"\b{word}\b")
            first = command.split()[0]
            for flag in re.findall(r"(?m)^  --([a-z-]+)", self.read(*command.split(), "--help")):
                if flag != "help":
                    self.assertIn(f"Fl -{flag}", man, command)
                    self.assertRegex(completion, rf"{first}\).*--{flag}\b")

    def test_completion_offers_commands_and_the_flags_of_a_command(self):
        script = (f"source '{ROOT}/tools/inspect/completion.bash'; COMP_WORDS=(clicktally-inspect $@);"
                  'COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _clicktally_inspect; echo "${COMPREPLY[@]}"')
        for words, offered in (("sna", "snapshots"), ("top --b", "--by"),
                               ("top --by l", "last-batch"), ("verify x --fu", "--full")):
            done = subprocess.run(["bash", "-c", script, "bash", *words.split()],
                                  capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout.split(), [offered], words)


class SampleTest(InspectTest):
    USERS = 60_000  # above 20,000 only some are looked at

    def spread(self, seed):
        shown = self.read("show", self.checkpoint, "--spread", "--seed", seed, "--format", "json")
        return json.loads(shown)["spread"]

    def test_the_spread_of_many_users_is_that_of_a_sample_which_a_seed_repeats(self):
        random = clicktally.seeded_random()
        shares = {1: 0.6, 2: 0.3, 64: 0.1}  # of the users, by their clicks
        rows = self.folder / "rows.csv"
        clicks = random.choices(list(shares), list(shares.values()), k=self.USERS)
        rows.write_text("user_id,total_clicks\n" + "".join(
            f"{7 * user},{count}\n" for user, count in enumerate(clicks)))
        self.done(0, "import", self.checkpoint, "--from", rows, "--topic", self.topic,
                  "--offsets", json.dumps({self.topic: {"0": sum(clicks)}}))
        drawn = [self.spread(seed) for seed in (1, 1, 2, 3, 4, 5)]
        self.assertEqual(drawn[0], drawn[1])
        self.assertTrue(any(sample["powersOfTwo"] != drawn[0]["powersOfTwo"] for sample in drawn))
        for sample in drawn:
            self.assertIs(sample["exact"], False)
            looked_at = sample["usersLookedAt"]
            self.assertTrue(1000 < looked_at < 20_000, looked_at)
            found = {row["fromClicks"]: row["users"] / looked_at for row in sample["powersOfTwo"]}
            self.assertEqual(found.keys(), shares.keys())
            for count, share in shares.items():
                # Six times what it strays by itself, drawn from 1,000.
                self.assertAlmostEqual(found[count], share, delta=0.09)
        picture = self.read("show", self.checkpoint, "--spread", "--seed", 1)
        self.assertRegex(picture, rf"about: of a sample of {drawn[0]['usersLookedAt']:,} users, seed 1\n")


HOSTILE = "\x1b[31mred\r\n\u202eevil\u2028\x9b2J\x00\x7f\"'\\"


class HostileContentTest(InspectTest):
    def test_no_name_in_a_checkpoint_or_of_one_reaches_a_terminal_as_it_is(self):
        checkpoint = self.folder / HOSTILE.replace("\0", "") / "checkpoint"
        checkpoint.parent.mkdir()
        (self.folder / "counts").write_text("5,1\n")
        self.done(0, "import", checkpoint, "--from", self.folder / "counts", "--cluster-id",
                  HOSTILE.replace("\0", ""), "--offsets", json.dumps({HOSTILE: {"0": 2}}))
        (checkpoint / "snapshots/0/PINNED").write_text(HOSTILE + "\n")
        damaged = checkpoint.parent / "damaged"
        shutil.copytree(checkpoint, damaged)
        (damaged / "live/CURRENT").write_text(HOSTILE)
        for place in (checkpoint, damaged, checkpoint.parent / "nowhere"):
            for name, arguments in COMMANDS.items():
                words = [a.replace("{c}", str(place)) for a in arguments]
                done = inspect(name.split("_")[0], *words)
                with self.subTest(place=place, command=name):
                    text = (done.out + done.errors).decode("ascii")
                    self.assertTrue(text.replace("\n", "").isprintable(), done)
                    self.assertLessEqual(done.errors.count(b"\n"), 2, done)
        shown = self.read("show", checkpoint)
        self.assertIn(r"topic         \x1b[31mred\x0d\x0a\xe2\x80\xaeevil\xe2\x80\xa8\xc2\x9b2J\x00\x7f",
                      shown)
        self.assertEqual(json.loads(self.read("show", checkpoint, "--format", "json"))["topic"], HOSTILE)
        self.assertEqual(list(json.loads(self.read("offsets", checkpoint, "--format", "json"))), [HOSTILE])


class IndependentReaderTest(InspectTest):
    def test_what_rocksdb_itself_finds_in_a_copy_folded_here_is_what_is_exported(self):
        ldb = shutil.which("ldb")
        if not ldb:
            self.skipTest("ldb is missing: tools/install-deps brings it (rocksdb-tools)")
        random = clicktally.seeded_random()
        sent = {}
        for _ in range(3):
            users = [random.choice((None, random.randrange(-50, 2000))) for _ in range(3000)]
            for user in users:
                key = "" if user is None else str(user)
                sent[key] = sent.get(key, 0) + 1
            send(mock.bootstrap, self.topic, map(click, users))
            drain(self, mock.bootstrap, self.checkpoint, "--starting-offsets", "earliest",
                  topic=self.topic)
        copy = self.folder / "copy"
        shutil.copytree(self.checkpoint / "live", copy)
        dump = subprocess.run([ldb, f"--db={copy}", "idump", "--hex"], capture_output=True,
                              text=True, check=True).stdout
        folded = {}
        for key, value in re.findall(r"'75([0-9A-F]+)' seq:\d+, type:[12] => ([0-9A-F]{32})\b", dump):
            user = "" if key == "00" else str((int(key[2:], 16) ^ 0x80000000)
                                              - ((1 << 32) if int(key[2:], 16) < 0x80000000 else 0))
            folded[user] = folded.get(user, 0) + int.from_bytes(bytes.fromhex(value)[:8], "little")
        self.assertEqual(len(folded), len(sent))
        clicktally.assert_counts(self, folded, sent)
        clicktally.assert_counts(self, clicktally.export(self, self.checkpoint), folded)


class DamageTest(InspectTest):
    READS = (("show", "--format", "json"), ("get", "1", "NULL", "2", "--format", "csv"),
             ("top", "--format", "csv"), ("list", "--format", "csv"), ("export",),
             ("offsets", "--format", "csv"), ("batches", "--format", "csv"),
             ("diff", "{c}@live", "--format", "json"), ("verify", "--full"), ("dead-letters",))

    def answer(self, read):
        words = [a.replace("{c}", str(self.checkpoint)) for a in read[1:]]
        done = inspect(read[0], self.checkpoint, *words)
        out = done.out.decode()
        if read[0] in ("show", "verify"):
            out = re.sub(r'"(shown|ageMs|live|all)": \w+,?|(COMMITTED|SHOWN) +ok .*', "", out)
        return done, out

    STATES = ("live", "0", "1", "2")

    def exports(self):
        return {state: inspect("export", f"{self.checkpoint}@{state}").out for state in self.STATES}

    def assert_right(self, read, out, right, exports):
        """A state whose MANIFEST lost its end is right if its log still holds what the files held:
        then it has fewer files, and must have every row all the same."""
        if read[0] == "verify" and out != right:
            files = r"\b\d+ files"
            self.assertEqual(re.sub(files, "", out), re.sub(files, "", right))
            self.assertEqual(self.exports(), exports)
        else:
            self.assertEqual(out, right)

    def harm(self, random, path):
        data = bytearray(path.read_bytes())
        at = random.randrange(len(data))
        kind = random.choice(("flip", "flip", "flip", "cut", "empty", "remove", "zero", "stir"))
        if kind == "remove":
            path.unlink()
            return kind
        if kind == "flip":
            data[at] ^= 1 << random.randrange(8)
        elif kind == "cut":
            del data[at:]
        elif kind == "empty":
            data.clear()
        else:
            end = min(len(data), at + random.randrange(1, 200))
            data[at:end] = bytes(end - at) if kind == "zero" else random.randbytes(end - at)
        path.write_bytes(data)
        return f"{kind} at {at}"

    def test_a_thousand_damages_never_crash_it_nor_give_a_wrong_number_without_a_warning(self):
        random = clicktally.seeded_random()
        self.make_checkpoint()
        right = {read: self.answer(read)[1] for read in self.READS}
        exports = self.exports()
        files = sorted(p for p in self.checkpoint.rglob("*") if p.is_file() and p.stat().st_size)
        kept = {path: path.read_bytes() for path in files}
        rounds, warned = int(os.environ.get("CLICKTALLY_DAMAGES", 1000)), 0
        for _ in range(rounds):
            path, read = random.choice(files), random.choice(self.READS)
            harm = self.harm(random, path)
            done, out = self.answer(read)
            with self.subTest(file=str(path.relative_to(self.checkpoint)), harm=harm, read=read):
                self.assertIn(done.code, (0, 3, 5), f"{done}")
                if done.code == 0:
                    self.assert_right(read, out, right[read], exports)
                else:
                    warned += 1
                    self.assertRegex(done.errors, rb"\Aclicktally-inspect: [ -~]+\n\Z")
            path.write_bytes(kept[path])
        print(f"{rounds} damages, {warned} warned of")
        self.assertGreater(warned, rounds // 10)

    def test_a_damaged_state_is_shown_from_its_newest_snapshot_with_a_warning(self):
        self.make_checkpoint()
        manifest = max((self.checkpoint / "live").glob("MANIFEST-*"))
        manifest.write_bytes(manifest.read_bytes()[:-30])
        done = self.done(5, "top", self.checkpoint, "1", "--format", "csv")
        self.assertEqual(done.out.split()[1:], [b"1,3,1"])
        self.assertRegex(done.errors, rb"; what was shown is its newest snapshot, of batch 2, ")
        self.assertEqual(self.done(5, "top", f"{self.checkpoint}@live").out, b"")
        done = self.done(5, "verify", self.checkpoint)
        self.assertRegex(done.errors, rb"a start falls back to snapshot 2 at offsets \{\"0\":9,")

    def test_a_directory_that_may_not_be_written_is_read_by_another_user(self):
        self.make_checkpoint()
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        for path in (self.checkpoint, *self.checkpoint.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        self.folder.chmod(0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            subprocess.run([BIN / "clicktally-inspect", "--version"], capture_output=True,
                           check=True, **nobody)
        except (PermissionError, subprocess.CalledProcessError):
            self.skipTest("the binaries are not for another user to run")
        before = tree(self.checkpoint)
        for read in self.READS:
            words = [a.replace("{c}", str(self.checkpoint)) for a in read[1:]]
            done = subprocess.run([BIN / "clicktally-inspect", read[0], self.checkpoint, *words],
                                  capture_output=True, stdin=subprocess.DEVNULL, **nobody)
            self.assertEqual((done.returncode, done.stderr), (0, b""), read)
        self.assertEqual(tree(self.checkpoint), before)


class RunningJobTest(InspectTest):
    def wait_for_clicks(self, clicks):
        """Until they are committed and shown: what is fresh is told by what was shown."""
        def are_there():
            state = clicktally.show(self, self.checkpoint)
            return state["totalClicks"] == clicks and state["shown"]
        eventually(are_there, f"{clicks} clicks")

    def test_it_reads_the_newest_snapshot_and_says_how_old_and_fresh_asks_for_a_new_one(self):
        job = self.job("--trigger", "50 ms")
        job.wait_for_log(rb"NEW checkpoint")
        send(mock.bootstrap, self.topic, [click(1), click(1)])
        self.wait_for_clicks(2)
        done = self.done(0, "get", self.checkpoint, "1", "--fresh", "--format", "csv")
        self.assertRegex(done.out, rb"\n1,2,\d+\n")
        said = rb"\Aclicktally-inspect: a job is running; this is its snapshot of batch \d+, "
        self.assertRegex(done.errors, said)
        send(mock.bootstrap, self.topic, [click(1)])
        self.wait_for_clicks(3)
        old = self.done(0, "get", self.checkpoint, "1", "--format", "csv")
        self.assertEqual(old.out, done.out)
        self.assertRegex(old.errors, said)
        self.assertEqual([b"--fresh asks" in read.errors for read in (done, old)], [False, True])
        names = os.listdir(self.checkpoint / "snapshots")
        named = f"{self.checkpoint}@{max(map(int, names))}"
        self.assertEqual(self.done(0, "diff", named, named, "--fresh").errors, b"")
        self.assertEqual(os.listdir(self.checkpoint / "snapshots"), names, "a named one needs no new")
        self.assertRegex(self.done(0, "get", self.checkpoint, "1", "--fresh").out, rb"\n +1 +3 ")
        self.assertRegex(self.done(0, "verify", self.checkpoint).out, rb"a job is running now")
        self.assertIsNone(job.process.poll())
        job.stop()

    def test_fresh_never_signals_a_holder_that_would_die_of_it(self):
        self.make_checkpoint()
        shutil.rmtree(self.checkpoint / "snapshots" / "2")
        holder = subprocess.Popen(
            [sys.executable, "-c", "import fcntl, os, sys, time\n"
             "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
             "print('held', flush=True)\ntime.sleep(600)", self.checkpoint], stdout=subprocess.PIPE)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), b"held\n")
        done = self.done(9, "show", self.checkpoint, "--fresh")
        self.assertRegex(done.errors, rb"process %d holds it and takes no requests" % holder.pid)
        self.assertIsNone(holder.poll())

    def test_five_hundred_reads_beside_a_job_that_snapshots_every_second_none_torn_none_failing(self):
        job = self.job("--trigger", "100 ms", "--snapshot-interval", "1 second",
                       "--snapshots-to-retain", "2", "--sink", "none")
        job.wait_for_log(rb"NEW checkpoint")
        load = subprocess.Popen(
            [BIN / "clicktally-produce", "--bootstrap-servers", mock.bootstrap, "--topic",
             self.topic, "--events", "0", "--rate", "5000", "--users", "3000", "--clicks", "0.7"],
            stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        snapshots = self.checkpoint / "snapshots"
        eventually(lambda: snapshots.exists() and any(n.isdigit() for n in os.listdir(snapshots)),
                   "a snapshot")
        reads = (("show", "--exact", "--format", "json"), ("top", "5"), ("get", "1", "NULL"),
                 ("export",), ("batches", "--limit", "5"), ("snapshots",), ("offsets",))
        batches = []
        for made in range(int(os.environ.get("CLICKTALLY_READS", 500))):
            read = reads[made % len(reads)]
            # show --exact and export prove the digest, and with it that a read is not torn.
            done = self.done(0, read[0], self.checkpoint, *read[1:])
            self.assertRegex(done.errors, rb"\A(clicktally-inspect: a job is running[^\n]+\n)?\Z")
            if read[0] == "show":
                state = json.loads(done.out)
                batches.append(state["batchId"])
                self.assertEqual(state["totalClicks"], state["totals"]["clicks"])
            self.assertIsNone(job.process.poll(), f"{job}")
        load.send_signal(signal.SIGTERM)
        self.assertEqual(batches, sorted(batches))
        self.assertGreater(batches[-1], batches[0], "there was no load")
        job.stop()


if __name__ == "__main__":
    unittest.main()
