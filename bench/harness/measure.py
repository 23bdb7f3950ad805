"""Percentiles, the disk's own speed, what a process has used, what this machine is."""

import math
import os
import re
import subprocess
import time
from pathlib import Path

from . import Failure

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}
BLOCK = b"\xa5" * 4096


def percentile(values, share):
    """The nearest-rank percentile: a value that was measured, never one in between."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def percentiles_ms(seconds):
    return {"n": len(seconds), "p50_ms": round(percentile(seconds, 0.50) * 1e3, 3),
            "p90_ms": round(percentile(seconds, 0.90) * 1e3, 3),
            "p99_ms": round(percentile(seconds, 0.99) * 1e3, 3),
            "max_ms": round(max(seconds) * 1e3, 3)}


def refuse_memory(folder):
    """A sync to memory costs nothing, so a figure from there would be worth as much."""
    kind = subprocess.run(["stat", "--file-system", "--format=%T", str(folder)],
                          capture_output=True, text=True, check=True).stdout.strip()
    if kind in MEMORY_FILE_SYSTEMS:
        raise Failure(f"{folder} is on {kind}, where syncs cost nothing; name a folder on a disk "
                      "with --dir")
    return kind


def fdatasync_seconds(folder, times, pause_s):
    """How long each fdatasync takes after 4 KiB were appended to a growing file. With the pauses that
    the job has between its commits: after a longer one everything is colder."""
    path = Path(folder) / "fdatasync"
    taken = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(times):
            os.write(handle, BLOCK)
            began = time.perf_counter()
            os.fdatasync(handle)
            taken.append(time.perf_counter() - began)
            time.sleep(pause_s)
    finally:
        os.close(handle)
        path.unlink()
    return taken


def cpu_seconds(pid):
    """User and system time of all threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def peak_rss_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024, 1)


def machine():
    memory = Path("/proc/meminfo").read_text()
    gib = int(re.search(r"MemTotal:\s+(\d+)", memory)[1]) / (1 << 20)
    return f"{len(os.sched_getaffinity(0))} cores, {math.ceil(gib)} GiB"


def load():
    """Others on the machine: the mean number of runnable threads in the last minute."""
    return round(os.getloadavg()[0], 1)
