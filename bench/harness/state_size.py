"""A drain into a state that is larger than memory, what the state takes on disk, and restarts on it.

The state is first filled from a topic in which nearly every user clicks, and settles; then as many
events of random users of it are drained, beside the raw drain of the topic; then it is killed under
load and started again.
"""

import subprocess

from .drain import raw_drain
from .job import Job, check_counts
from .restart import one_round

MEMORY_LIMIT_MB = 512
CLICKS_PER_USER = 1.5
RATE_LIMIT = 0.1
RESTARTS = 5
RESTART_LIMIT_S = 3.0


def tree_bytes(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def run(kafka, binaries, topic, checkpoint, *flags):
    """Until everything is committed and compacted: (commits, CPU seconds, peak RSS)."""
    with Job(binaries, kafka, topic, checkpoint, "--sink", "none", "--memory-limit",
             f"{MEMORY_LIMIT_MB}M", *flags) as job:
        job.wait_until_settled()
        rss_mb = job.peak_rss_mb()
        cpu = job.stop()
        return job.commits(), cpu, rss_mb


def measure(options, kafka, binaries, scratch):
    checkpoint = scratch / "state"
    topic = kafka.new_topic(round(options.users * CLICKS_PER_USER), options.users, "--clicks", 1,
                            replication=1)
    filled, fill_cpu, fill_rss_mb = run(kafka, binaries, topic, checkpoint)
    settled_bytes = tree_bytes(checkpoint)
    kafka.produce(topic, "--events", options.events, "--users", options.users, "--seed", 7)
    commits, cpu, rss_mb = run(kafka, binaries, topic, checkpoint, "--existing")
    both = raw_drain(binaries, kafka, topic)
    restarts = [one_round(options, kafka, binaries, topic, checkpoint, number)
                for number in range(RESTARTS)]
    state = check_counts(binaries, checkpoint, topic)
    seconds = commits[-1].ended_s
    rate = options.events / seconds
    subprocess.run(["rm", "-rf", checkpoint], check=True)
    return {
        "users": state["users"], "memory_limit_mb": MEMORY_LIMIT_MB,
        "fill": {"events": round(options.users * CLICKS_PER_USER), "commits": len(filled),
                 "seconds": round(filled[-1].ended_s, 1), "cpu_seconds": round(fill_cpu, 1),
                 "peak_rss_mb": fill_rss_mb},
        "checkpoint_bytes_per_user": round(settled_bytes / state["users"], 1),
        "events": options.events, "commits": len(commits), "seconds": round(seconds, 2),
        "cpu_us_per_event": round(cpu * 1e6 / options.events, 3),
        "events_per_second": round(rate), "peak_rss_mb": rss_mb, "raw": both,
        "restart_s": [round(taken, 3) for taken in restarts],
        "ratios": {"rate": round(rate / both["events_per_second"], 3)},
        "holds": {"restart_within_3_s": max(restarts) < RESTART_LIMIT_S,
                  "rate_at_least_0.1_of_raw": rate >= RATE_LIMIT * both["events_per_second"],
                  "rss_below_the_limit": max(rss_mb, fill_rss_mb) < MEMORY_LIMIT_MB}}
