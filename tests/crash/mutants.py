#!/usr/bin/env python3
"""Builds of the product that are broken on purpose, and whether the tests catch them.

A mutant is a patch in mutants/: never a switch in the product. Its head says

    What: what is broken, in a line
    Caught by: TARGET: COMMAND

where TARGET is the CMake target that is built with the patch and COMMAND, run in the repository, must
end with 1 ("found something wrong") or by a signal. {program} in it is the broken build of TARGET,
which is also in the folder that CLICKTALLY_BIN names, beside the whole programs. Ending with 0 means
that the mutant lives: a finding about the tests. Any other end is a mutant that proves nothing, and a
finding too.

Only the patched sources are compiled, with the command that the build folder has for them, and put
before the libraries when TARGET is linked again.

  mutants.py                          all
  mutants.py NAME...                  some
  mutants.py --sample 3               three, chosen by the commit's hash: the ones of a CI run
  mutants.py --whole NAME...          the same commands with nothing broken; each must end with 0

Exit code: 0 all caught, 1 not, 2 wrong usage or a patch that does not apply.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).resolve().parent / "mutants"
COMMAND_LIMIT_S = 900


class Broken(Exception):
    """A mutant that cannot be built: nothing is proved by it."""


def head_of(patch, word):
    for line in patch.read_text().splitlines():
        if line.startswith("diff "):
            break
        if line.startswith(word + ": "):
            return line[len(word) + 2:]
    raise Broken(f"{patch.name}: its head has no '{word}:'")


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        shown = command if isinstance(command, str) else shlex.join(map(str, command))
        raise Broken(f"{shown[:200]}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def patched_sources(patch, folder):
    """Copies what the patch changes to `folder` and changes it there; the paths in the repository."""
    names = re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M)
    for name in names:
        if not name.endswith(".cc"):
            raise Broken(f"{patch.name}: changes {name}; a mutant changes .cc files only")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    run(["patch", "--batch", "--fuzz=0", "-p1", "-d", folder, "-i", patch])
    return names


def build(patch, target, build_folder, folder):
    """The program of `target` with the patch in it."""
    commands = run(["ninja", "-C", build_folder, "-t", "commands", target]).splitlines()
    objects, replaced = [], {}
    for name in patched_sources(patch, folder):
        line = next((c for c in commands if c.endswith(f" -c {ROOT / name}")), None)
        if line is None:
            raise Broken(f"{patch.name}: {target} is not made of {name}")
        made = re.search(r" -o (\S+) ", line)[1]
        new = folder / (name.replace("/", "_") + ".o")
        line = line[:line.rindex(" -c ")]
        line = re.sub(r" -M[TF] \S+", "", line).replace(" -MD", "").replace(f" -o {made}", "")
        # A broken build may well leave something unused.
        run(f"{line} -Wno-error -o {new} -c {folder / name}", shell=True, cwd=build_folder)
        objects.append(str(new))
        replaced[made] = str(new)
    link = commands[-1]
    for made, new in replaced.items():
        if f" {made} " in link:
            link = link.replace(f" {made} ", f" {new} ")
            objects.remove(new)
    program = folder / "bin" / target
    program.parent.mkdir()
    link, count = re.subn(r" -o bin/\S+ ", f" {' '.join(objects)} -o {program} ", link)
    if count != 1:
        raise Broken(f"{patch.name}: {target} is no program")
    run(link, shell=True, cwd=build_folder)
    return program


def programs(options, folder):
    """A folder with all programs, the broken one in the place of the whole one."""
    (folder / "bin").mkdir(exist_ok=True)
    for whole in (options.build / "bin").iterdir():
        place = folder / "bin" / whole.name
        if not place.exists():
            place.symlink_to(whole)
    return folder / "bin"


def judge(patch, options, scratch):
    began = time.monotonic()
    target, command = head_of(patch, "Caught by").split(": ", 1)
    folder = scratch / patch.stem
    folder.mkdir()
    result = {"mutant": patch.stem, "what": head_of(patch, "What")}
    program = (options.build / "bin" / target if options.whole
               else build(patch, target, options.build, folder))
    words = [word.format(program=program) for word in shlex.split(command)]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False,
                              timeout=COMMAND_LIMIT_S,
                              env=os.environ | {"CLICKTALLY_BIN": str(programs(options, folder)),
                                                "TMPDIR": str(folder)})
        result["exit"], output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        result["exit"], output = None, f"not over after {COMMAND_LIMIT_S} s"
    end = result["exit"]
    result["right"] = end == 0 if options.whole else end is not None and (end == 1 or end < 0)
    result["seconds"] = round(time.monotonic() - began, 1)
    if not result["right"]:
        result["output"] = output[-3000:]
    shutil.rmtree(folder)
    return result


def sample(patches, size):
    """Another few with every commit, the same few for the same commit."""
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True,
                          check=False).stdout.strip()
    print(f"chosen by the commit {head or '(none)'}")
    return sorted(patches, key=lambda p: hashlib.sha256((head + p.stem).encode()).digest())[:size]


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--whole", action="store_true", help="with nothing broken")
    parser.add_argument("--report", type=Path, metavar="FILE", help="the results, as JSON")
    options = parser.parse_args()
    options.build = options.build.resolve()
    return options


def main():
    options = parse()
    patches = {patch.stem: patch for patch in sorted(PATCHES.glob("*.patch"))}
    unknown = [name for name in options.names if name not in patches]
    if unknown:
        print(f"mutants.py: there is no mutant '{unknown[0]}': {' '.join(patches)}", file=sys.stderr)
        return 2
    chosen = [patches[name] for name in options.names] or list(patches.values())
    if options.sample:
        chosen = sample(chosen, options.sample)
    results = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        for patch in chosen:
            try:
                result = judge(patch, options, Path(scratch))
            except Broken as broken:
                print(f"mutants.py: {broken}", file=sys.stderr)
                return 2
            results.append(result)
            word = {True: "whole" if options.whole else "caught"}.get(result["right"], "NOT SO")
            print(f"{word:7} {result['mutant']}: {result['what']} "
                  f"(exit {result['exit']}, {result['seconds']} s)", flush=True)
            if not result["right"]:
                print(result["output"], flush=True)
    wrong = [result["mutant"] for result in results if not result["right"]]
    print(f"{len(results)} mutants, {len(results) - len(wrong)} as they should be, in "
          f"{sum(r['seconds'] for r in results):.0f} s" + (f"; not: {', '.join(wrong)}" if wrong else ""))
    if options.report:
        options.report.write_text(json.dumps({"mutants": results, "violations": len(wrong)}, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
