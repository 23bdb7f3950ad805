"""What a lane of crashes says of itself: a few lines for people, and with CLICKTALLY_REPORT=FILE (or
run.py --report FILE) an object of JSON, one a line."""

import contextlib
import json
import os
import sys
import time

import clicktally


@contextlib.contextmanager
def reported(name, test):
    """Yields a dictionary to be filled; it is reported however the lane ends. `test` counts
    `violations` that did not end it, and drew from `random`, made by clicktally.seeded_random()."""
    report, began = {"lane": name, "seed": test.random.first_seed}, time.monotonic()
    try:
        yield report
        report["violations"] = test.violations
    except BaseException:
        report["violations"] = test.violations + 1
        raise
    finally:
        report["seconds"] = round(time.monotonic() - began, 1)
        say(report)
        if report["violations"]:
            print(f"replay: CLICKTALLY_SEED={report['seed']} CLICKTALLY_BIN={clicktally.BIN} "
                  f"python3 {' '.join(sys.argv)}")


def say(report):
    print(", ".join(f"{key} {value}" for key, value in report.items()
                    if not isinstance(value, dict)), flush=True)
    if path := os.environ.get("CLICKTALLY_REPORT"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(report) + "\n")
