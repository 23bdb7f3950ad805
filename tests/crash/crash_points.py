"""The list of crash points, src/base/crash_points.h. A point's place in it is its number."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OF_THE_TOOL = ("checkpoint/repair.cc", "checkpoint/backup.cc", "checkpoint/import.cc")


def points_and_places():
    """[(point, file, function)], as the list has them."""
    text = (ROOT / "src/base/crash_points.h").read_text()
    body = re.search(r"enum class CrashPoint \{(.*?)\n\};", text, re.S)[1]
    found, place = [], None
    for line in filter(None, map(str.strip, body.split("\n"))):
        if header := re.fullmatch(r"// (\S+/\S+\.cc) (\S+)", line):
            place = header.groups()
        else:
            point = re.fullmatch(r"(k\w+),(  +// .+)?", line)
            assert point and place, f"neither a place nor a point: {line}"
            found.append((point[1], *place))
    return found


POINTS = [point for point, *_ in points_and_places()]


def of_clicktally_inspect():
    return [point for point, file, _ in points_and_places() if file in OF_THE_TOOL]


def of_clicktally():
    return [point for point, file, _ in points_and_places() if file not in OF_THE_TOOL]
