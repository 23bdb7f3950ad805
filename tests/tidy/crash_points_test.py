"""The list of crash points, src/base/crash_points.h, against the sources and the binaries: each point
is said once, in the place that stands above it, and the product does nothing when it is."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash"))
from crash_points import points_and_places  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ["CLICKTALLY_BIN"]


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def product_sources():
    for top in ("src", "state", "checkpoint", "tools"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in names:
                if name.endswith((".cc", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def functions_around(text, at):
    """The line that opens the function, not indented, in which `at` stands."""
    opened = [line for line in text[:at].split("\n") if re.match(r"[A-Za-z].*\(", line)]
    return opened[-1]


class CrashPointsTest(unittest.TestCase):
    def test_each_is_said_once_in_the_place_that_the_list_names(self):
        said = []
        for name in product_sources():
            text = text_of(name)
            for use in re.finditer(r"\bCrashPoint::(\w+)", text):
                line = text[text.rfind("\n", 0, use.start()) + 1:text.find("\n", use.end())]
                self.assertEqual(line.strip(), f"reached({use[0]});", name)
                said.append((use[1], name, functions_around(text, use.start())))
        listed = points_and_places()
        self.assertGreater(len(listed), 40)
        self.assertEqual(sorted(point for point, *_ in said), sorted(point for point, *_ in listed))
        for point, file, function in listed:
            [(_, said_in, opening)] = [entry for entry in said if entry[0] == point]
            self.assertEqual(said_in, file, point)
            self.assertRegex(opening, rf"(?<![\w:]){re.escape(function)}\(", point)

    def test_the_product_does_nothing_there(self):
        definition = text_of("src/base/crash_points.cc")
        self.assertRegex(definition, r"\nvoid reached\(CrashPoint /\*point\*/\) \{\}\n")
        self.assertEqual(len(re.findall(r"\)[^;{]*\{", definition)), 1)
        for binary, knows in (("clicktally", False), ("clicktally-inspect", False),
                              ("clicktally_at_points", True),
                              ("clicktally_inspect_at_points", True)):
            with open(os.path.join(BIN, binary), "rb") as file:
                self.assertEqual(b"CLICKTALLY_KILL_AT" in file.read(), knows, binary)


if __name__ == "__main__":
    unittest.main()
