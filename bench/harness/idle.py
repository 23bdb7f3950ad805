"""What a job costs while nothing comes in."""

import re
import time
from pathlib import Path

from .job import Job
from .measure import cpu_seconds

SECONDS = 30
CPU_LIMIT = 0.01  # of a core


def written_bytes(pid):
    return int(re.search(r"\nwrite_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text())[1])


def measure(options, kafka, binaries, scratch):
    topic = kafka.new_topic(1000, options.users)
    with Job(binaries, kafka, topic, scratch / "idle") as job:
        job.wait_until_settled()
        cpu, written = cpu_seconds(job.pid), written_bytes(job.pid)
        time.sleep(SECONDS)
        cpu = (cpu_seconds(job.pid) - cpu) / SECONDS
        written = written_bytes(job.pid) - written
        job.stop()
    return {"seconds": SECONDS, "share_of_a_core": round(cpu, 4), "written_bytes": written,
            "holds": {"below_1_percent_of_a_core": cpu < CPU_LIMIT, "writes_nothing": written == 0}}
