#!/usr/bin/env python3
"""The crash-proof harness: drives crash_writer through its lives and judges what it says and leaves.

    tests/crash/check.py LANE [--seed S] [--seeds N] [--report FILE] [--keep DIR]

Exit code 0: nothing wrong, and enough was tried to say so; 1: a violation, or too little was tried.
docs/crash_testing.md describes the lanes. CLICKTALLY_BIN is the folder of the binaries."""

import argparse
import sys

import cut
import damage
import fail
import simulate
import week

LANES = (simulate, cut, fail, damage, week)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    lanes = parser.add_subparsers(required=True, metavar="LANE")
    for lane in LANES:
        one = lanes.add_parser(lane.NAME, help=lane.__doc__.split("\n")[0])
        lane.options(one)
        one.set_defaults(start=lane.start)
    arguments = parser.parse_args()
    return arguments.start(arguments)


if __name__ == "__main__":
    sys.exit(main())
