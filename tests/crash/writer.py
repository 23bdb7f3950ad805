"""crash_writer as a server: every life, and every look at a directory, is a process of its own."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

BIN = Path(os.environ.get("CLICKTALLY_BIN") or
           Path(__file__).resolve().parents[2] / "build/release/bin")
STOPPED, CUT, KILLED, FAILED = 0, 21, 22, 23  # life.h
DAMAGED = 5     # the product's exit code for it (base/exit_code.h)
SHORTAGE = 7    # and for what the system refused
DATA_LOSS = 15  # the status code of damage


def fast_directory():
    """Memory, where the system has some to spare: the forgetful disk does the forgetting."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and \
        shutil.disk_usage(memory).free > 256 << 20
    return str(memory) if roomy else None


class Writer:
    """Serves one thread."""

    def __init__(self):
        self.process = subprocess.Popen([BIN / "crash_writer", "serve"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        # children find every symbol bound already
                                        env={**os.environ, "LD_BIND_NOW": "1"})
        self.folder = tempfile.mkdtemp(prefix="clicktally-crash-", dir=fast_directory())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, words, hear=lambda line: None):
        """Runs a child; its lines go to `hear`. The exit code, or minus the signal."""
        self.process.stdin.write(json.dumps([str(word) for word in words]).encode() + b"\n")
        self.process.stdin.flush()
        failure = None
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("crash_writer is gone")
            said = json.loads(line)
            if "exit" in said or "signal" in said:
                break
            if failure is None:
                try:
                    hear(said)
                except Exception as error:  # the child's lines are read to their end all the same
                    failure = error
        if failure is not None:
            raise failure
        return said["exit"] if "exit" in said else -said["signal"]


class Disk:
    """One disk through all its lives: an image in a file between them."""

    def __init__(self, writer, name, **options):
        self.writer = writer
        self.name = name
        self.image = Path(writer.folder) / name
        self.log = Path(writer.folder) / (name + ".log")
        self.options = options
        self.history = []  # for a person who looks at a violation
        self.forget()

    def forget(self):
        self.image.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)

    def exported(self, folder):
        self.order("export", "--image", self.image, "--directory", folder)
        return Path(folder)

    @contextlib.contextmanager
    def by_hand(self):
        """The checkpoint as a real directory; what is changed in it counts as safe afterwards."""
        folder = self.exported(str(self.image) + ".d")
        yield folder / "jobs" / "clicks"
        self.history.append("  changed by hand")
        self.order("import", "--image", self.image, "--directory", folder)
        shutil.rmtree(folder)

    def order(self, *words, hear=lambda line: None):
        code = self.writer.ask([*words, "--log", self.log], hear)
        if code != 0:
            raise RuntimeError(f"crash_writer {words[0]}: exit {code}; see {self.log}")

    def live(self, judge, **trouble):
        """One life. Its exit code and its last line."""
        words = ["live", "--image", self.image, "--log", self.log]
        for name, value in {**self.options, **trouble}.items():
            words += ["--" + name.replace("_", "-"), int(value) if isinstance(value, bool) else value]
        last = {}

        def hear(line):
            if "phase" in line:
                last.update(line)
            if "started" in line:
                last["started"] = line
            judge.hear(line)

        judge.begin_life()
        self.history.append(" ".join(map(str, words)))
        code = self.writer.ask(words, hear)
        self.history.append(f"  exit {code}: {json.dumps(last)}")
        return code, last

    def read(self, deep=False):
        found = {}
        self.order("read", "--image", self.image, "--deep", int(deep), hear=found.update)
        return found

    def keep(self, folder):
        """A copy of everything, for a person."""
        target = Path(folder) / self.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        if self.image.exists():
            self.exported(target / "disk")
        for file in (self.log, self.image):
            if file.exists():
                shutil.copy(file, target)
        (target / "history.txt").write_text("\n".join(self.history) + "\n")
        return target
