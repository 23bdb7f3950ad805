"""The project's habits, checked by machine: what may include what, how long things are, what every
file must carry. docs/ARCHITECTURE.md gives the reasons."""

import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Room -> the rooms whose headers it may include (its own always).
ROOMS = {
    "src/base": [],
    "src/model": ["src/base"],
    "src/source": ["src/base", "src/model"],
    "src/decode": ["src/base", "src/model"],
    "src/aggregate": ["src/base", "src/model"],
    "src/sink": ["src/base", "src/model"],
    "state": ["src/base", "src/model"],
    "checkpoint": ["src/base", "src/model", "state/count_store.h"],
    "src/pipeline": ["src/base", "src/model", "src/source/source.h", "src/decode/click_decoder.h",
                     "src/aggregate/accumulator.h", "src/sink/sink.h",
                     "checkpoint/checkpoint.h"],
    "src/options": ["src/base", "src/model", "src/pipeline", "src/source", "src/sink"],
    "tools/inspect": ["src/base", "src/model", "state", "checkpoint"],
    "tools/producer": ["src/base", "src/model"],
    "tools/mock_kafka": ["src/base"],
}

# Library -> the rooms that may include it. Abseil and fmt are for all; tests and bench may use any.
LIBRARIES = {
    r"rdkafka": ["src/source", "tools/producer", "tools/mock_kafka"],
    r"librdkafka": ["src/source", "tools/producer", "tools/mock_kafka"],
    r"rocksdb/": ["state"],
    r"lz4": ["state"],
    r"simdjson": ["src/decode"],
    r"spdlog/": ["src/base"],
    r"xxhash": ["src/base"],
    r"nlohmann/": ["checkpoint", "tools/inspect"],
    r"boost/program_options": ["src/options", "tools/inspect", "tools/producer",
                               "tools/mock_kafka"],
    r"boost/(crc|endian)": ["state"],
    r"boost/(?!program_options|crc|endian)": [],
}

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "src", "state", "checkpoint", "tests", "bench",
             "tools", "docs", "README.md", "LICENSE"}

MOST_LINES = 400
MOST_FUNCTION_LINES = 80


def tracked():
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True).stdout.split("\n")
    return [name for name in listed if name and os.path.exists(os.path.join(ROOT, name))]


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def sources(*endings):
    return [name for name in tracked() if name.endswith(endings or (".cc", ".h"))]


def room_of(name):
    folder = os.path.dirname(name)
    return folder if folder in ROOMS else None


def resolve(include):
    """The tracked file that an include line of ours means."""
    for candidate in (include, "src/" + include):
        if os.path.exists(os.path.join(ROOT, candidate)):
            return candidate
    return None


class TidyTest(unittest.TestCase):
    def test_every_folder_of_sources_is_a_room_with_rules(self):
        for name in sources():
            if name.startswith(("tests/", "bench/")) or name == "src/main.cc":
                continue
            self.assertIsNotNone(room_of(name), f"{name}: give its folder a line in ROOMS")

    def test_rooms_include_only_what_the_rules_allow(self):
        for name in sources():
            room = room_of(name)
            if room is None:
                continue
            for include in re.findall(r'^#include "([^"]+)"', text_of(name), re.M):
                if include.startswith("absl/"):
                    continue
                target = resolve(include)
                self.assertIsNotNone(target, f"{name}: {include} does not exist")
                allowed = [room] + ROOMS[room]
                self.assertTrue(
                    os.path.dirname(target) in allowed or target in allowed,
                    f"{name} may not include {include}")

    def test_each_library_is_known_to_its_rooms_only(self):
        for name in sources():
            room = room_of(name)
            if room is None:
                continue
            for include in re.findall(r"^#include <([^>]+)>", text_of(name), re.M):
                for library, rooms in LIBRARIES.items():
                    if re.match(library, include):
                        self.assertIn(room, rooms, f"{name} may not include <{include}>")

    def test_public_headers_of_a_room_do_not_leak_its_library(self):
        for name in ("src/source/source.h", "src/source/kafka_source.h", "src/decode/click_decoder.h",
                     "state/count_store.h", "checkpoint/checkpoint.h"):
            self.assertNotRegex(text_of(name), r"#include <(librdkafka|simdjson|rocksdb|nlohmann)")

    def test_headers_open_with_a_contract_and_are_guarded(self):
        for name in sources(".h"):
            text = text_of(name)
            self.assertTrue(text.startswith("//"), f"{name}: opens without its contract")
            self.assertIn("#pragma once", text, name)

    def test_files_are_short(self):
        for name in sources(".cc", ".h", ".py"):
            lines = text_of(name).count("\n")
            limit = MOST_LINES if not name.startswith("tests/") else 2 * MOST_LINES
            self.assertLessEqual(lines, limit, f"{name}: is there a room that wants to be two?")

    def test_lines_are_at_most_100_columns(self):
        for name in sources(".cc", ".h"):
            for number, line in enumerate(text_of(name).split("\n"), 1):
                self.assertLessEqual(len(line), 100, f"{name}:{number}")

    def test_functions_fit_on_a_screen(self):
        # A body opens with a line that ends in "{" at column 0 or 2 and closes with "}" there.
        opening = re.compile(r"^( {0,2})(?!namespace|class|struct|enum|union|extern|//|#| *\}).*\) *"
                             r"(const|override|noexcept|final| )*\{$")
        for name in sources(".cc", ".h"):
            if name.startswith("tests/"):
                continue
            lines = text_of(name).split("\n")
            for start, line in enumerate(lines):
                found = opening.match(line)
                if not found:
                    continue
                for end in range(start + 1, len(lines)):
                    if lines[end].startswith(found.group(1) + "}"):
                        self.assertLessEqual(end - start, MOST_FUNCTION_LINES,
                                             f"{name}:{start + 1}: a long function")
                        break

    def test_nothing_is_left_undone_or_switched_off(self):
        words = re.compile(r"\b(TODO|FIXME|XXX|HACK|DISABLED_\w+)\b")
        for name in sources(".cc", ".h", ".py"):
            if "tests/tidy/" in name:
                continue
            found = words.search(text_of(name))
            self.assertIsNone(found, f"{name}: {found.group(0) if found else ''}")

    def test_every_test_file_is_part_of_the_build(self):
        build = text_of("tests/CMakeLists.txt")
        self.assertIn("*_test.cc", build)
        self.assertIn("_test.py", build)
        self.assertIn("*.cc", text_of("tests/crash/CMakeLists.txt"))
        for name in tracked():
            if not name.startswith("tests/") or not name.endswith(".cc"):
                continue
            if os.path.dirname(name) == "tests/crash":
                continue  # one program of all its sources
            if name.removeprefix("tests/") not in build.split():  # a program for tests, by name
                self.assertRegex(name, r"^tests/\w+/\w+_test\.cc$", "not found by the build")

    def test_every_test_room_mirrors_a_room(self):
        rooms = {os.path.basename(room) for room in ROOMS} | {
            "tools", "system", "tidy", "support", "crash"}
        for name in tracked():
            parts = name.split("/")
            if parts[0] == "tests" and len(parts) > 2:
                self.assertIn(parts[1], rooms, name)

    def test_the_top_level_holds_what_it_should(self):
        for name in tracked():
            top = name.split("/")[0]
            self.assertTrue(top.startswith(".") or top in TOP_LEVEL, name)

    def test_no_path_of_a_machine_is_named(self):
        paths = re.compile(r"(?<![\w.])/(work|farm|root|home/\w+)/")
        for name in tracked():
            if name.startswith("tests/tidy/") or not name.endswith(
                    (".cc", ".h", ".py", ".md", ".txt", ".json")):
                continue
            found = paths.search(text_of(name))
            self.assertIsNone(found, f"{name}: {found.group(0) if found else ''}")

    def test_every_invariant_is_named_in_a_header_and_in_a_test(self):
        headers = "\n".join(text_of(name) for name in sources(".h") if not name.startswith("tests/"))
        tests = "\n".join(text_of(name) for name in tracked()
                          if name.startswith("tests/") and name.endswith((".cc", ".py")))
        for number in range(1, 11):
            word = re.compile(rf"\bI{number}\b")
            self.assertTrue(word.search(headers), f"I{number} stands in no header")
            self.assertTrue(word.search(tests), f"I{number} is checked by no test")


if __name__ == "__main__":
    unittest.main()
