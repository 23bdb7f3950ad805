"""The drain of a topic: raw, and durable with its commits, in one run."""

import json
import subprocess

from . import Failure
from .job import Job, check_counts

LEAST_COMMITS = 10
SHORTEST_TRIGGER_MS = 50
ATTEMPTS = 4

CPU_LIMIT = 3.0     # times the raw drain's CPU per event
RATE_LIMIT = 0.3    # of the raw drain's rate
RSS_LIMIT_MB = 400


def raw_drain(binaries, kafka, topic, *flags):
    command = [binaries / "clicktally-raw-drain", "--bootstrap-servers", kafka.bootstrap, "--topic",
               topic.name, *flags]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(f"the raw drain failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def durable_drain(binaries, kafka, topic, events, scratch, trigger_ms):
    """From a new checkpoint until everything is committed and compacted."""
    checkpoint = scratch / "drain"
    with Job(binaries, kafka, topic, checkpoint, "--sink", "none", "--trigger",
             f"{trigger_ms} ms") as job:
        while True:
            job.wait_until_settled()
            state = json.loads(subprocess.run(
                [binaries / "clicktally-inspect", "show", checkpoint, "--format", "json"],
                capture_output=True, check=True).stdout)
            if sum(state["offsets"].values()) >= events:
                break
        rss_mb = job.peak_rss_mb()
        cpu = job.stop()
        commits = job.commits()
    state = check_counts(binaries, checkpoint, topic)
    subprocess.run(["rm", "-rf", checkpoint], check=True)
    seconds = commits[-1].ended_s
    return {
        "trigger_ms": trigger_ms, "commits": len(commits), "users": state["users"],
        "clicks": state["totalClicks"], "users_committed": sum(c.users for c in commits),
        "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3),
        "cpu_us_per_event": round(cpu * 1e6 / events, 3),
        "events_per_second": round(events / seconds), "peak_rss_mb": rss_mb,
        "longest_commit_ms": round(max(c.ended_s - c.began_s for c in commits) * 1e3)}


def often_committed(binaries, kafka, topic, events, scratch, trigger_ms):
    """A drain with enough commits: at a trigger of 5 s a fast one would be over after two."""
    for _ in range(ATTEMPTS):
        durable = durable_drain(binaries, kafka, topic, events, scratch, trigger_ms)
        if durable["commits"] >= LEAST_COMMITS or trigger_ms == SHORTEST_TRIGGER_MS:
            break
        share = durable["commits"] / (LEAST_COMMITS + 2)
        trigger_ms = max(SHORTEST_TRIGGER_MS, round(trigger_ms * share))
    return durable


def ratios(durable, raw):
    return {"cpu": round(durable["cpu_us_per_event"] / raw["cpu_us_per_event"], 2),
            "rate": round(durable["events_per_second"] / raw["events_per_second"], 2)}


def measure(options, kafka, binaries, scratch):
    events, users = options.events, options.users
    topic = kafka.new_topic(events, users)
    raw = raw_drain(binaries, kafka, topic)
    plain = raw_drain(binaries, kafka, topic, "--plain")
    first_guess_ms = max(SHORTEST_TRIGGER_MS, round(raw["seconds"] * 1e3 / 6))
    durable = often_committed(binaries, kafka, topic, events, scratch,
                              options.trigger_ms or first_guess_ms)
    slow = durable_drain(binaries, kafka, topic, events, scratch, 5000)
    raw_again = raw_drain(binaries, kafka, topic)
    for drained in (raw, plain, raw_again):
        if drained["records"] != events:
            raise Failure(f"the raw drain read {drained['records']} records of {events}")

    # Two raw drains, one before and one after: the machine changes under us.
    best = min(raw, raw_again, key=lambda drained: drained["cpu_us_per_event"])
    steady = dict(best, events_per_second=max(
        raw["events_per_second"], raw_again["events_per_second"]))
    ratio = ratios(durable, steady)
    return {
        "events": events, "asked_users": users, "raw": [raw, raw_again], "raw_plain": plain,
        "durable": durable, "durable_5s": slow, "ratios": ratio,
        "ratios_5s": ratios(slow, steady),
        "trigger": f"{durable['trigger_ms']} ms, so that there are {LEAST_COMMITS} commits; the "
                   "same drain at 5 s beside it",
        "holds": {"at_least_10_commits": durable["commits"] >= LEAST_COMMITS,
                  "cpu_at_most_3x_raw": ratio["cpu"] <= CPU_LIMIT,
                  "rate_at_least_0.3_of_raw": ratio["rate"] >= RATE_LIMIT,
                  "rss_below_400_mb": max(durable["peak_rss_mb"],
                                          slow["peak_rss_mb"]) < RSS_LIMIT_MB}}


def measure_raw(options, kafka, binaries, scratch):
    del scratch
    topic = kafka.new_topic(options.events, options.users)
    source = raw_drain(binaries, kafka, topic)
    plain = raw_drain(binaries, kafka, topic, "--plain")
    if {source["records"], plain["records"]} != {options.events}:
        raise Failure(f"the raw drains read {source['records']} and {plain['records']} records")
    return {"events": options.events, "raw": source, "raw_plain": plain, "holds": {}}
