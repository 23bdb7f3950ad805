"""Runs one file of system tests and says to ctest what happened: 0 all passed (skipped ones are named
with their reason), 1 a failure, 77 every test of the file was skipped.

    run.py FILE [--report FILE]    the lanes of crashes add a line of JSON to the report
"""

import importlib.util
import os
import sys
import unittest


def main():
    path = os.path.abspath(sys.argv[1])
    if sys.argv[2:3] == ["--report"]:
        os.environ["CLICKTALLY_REPORT"] = sys.argv[3]
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    total = suite.countTestCases()
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    for test, reason in result.skipped:
        print(f"SKIPPED {test}: {reason}")
    if not result.wasSuccessful() or total == 0:
        return 1
    # setUpClass that skips reports one skip for the whole class.
    return 77 if result.skipped and result.testsRun == len(result.skipped) else \
        77 if result.skipped and result.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
