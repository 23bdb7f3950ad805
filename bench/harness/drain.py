"""The drain of a topic: raw, and durable with its commits, in one run."""

import json
import subprocess

from . import Failure
from .job import Job, check_counts, inspect

LEAST_COMMITS = 5
SHORTEST_TRIGGER_MS = 50
ATTEMPTS = 4

CPU_LIMIT = 2.0     # times the raw drain's CPU per event
RATE_LIMIT = 0.5    # of the raw drain's rate
RSS_LIMIT_MB = 300
FEW_USERS = 1000
FEW_USERS_CPU_LIMIT = 1.6
BROKEN_SHARE = 0.1
BROKEN_RATE_LIMIT = 0.7


def raw_drain(binaries, kafka, topic, *flags):
    command = [binaries / "clicktally-raw-drain", "--bootstrap-servers", kafka.bootstrap, "--topic",
               topic.name, *flags]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(f"the raw drain failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def durable_drain(binaries, kafka, topic, events, scratch, trigger_ms, *flags):
    """From a new checkpoint until everything is committed and compacted."""
    checkpoint = scratch / "drain"
    with Job(binaries, kafka, topic, checkpoint, "--sink", "none", "--trigger",
             f"{trigger_ms} ms", *flags) as job:
        while True:
            job.wait_until_settled()
            state = json.loads(
                inspect(binaries, "show", f"{checkpoint}@live", "--format", "json"))
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
        share = durable["commits"] / (LEAST_COMMITS + 1)
        trigger_ms = max(SHORTEST_TRIGGER_MS, round(trigger_ms * share))
    return durable


def ratios(durable, raw):
    return {"cpu": round(durable["cpu_us_per_event"] / raw["cpu_us_per_event"], 2),
            "rate": round(durable["events_per_second"] / raw["events_per_second"], 2)}


def measure_few_users(options, kafka, binaries, scratch, trigger_ms):
    """The same with so few users that counting and committing cost next to nothing."""
    topic = kafka.new_topic(options.events, FEW_USERS)
    raw = raw_drain(binaries, kafka, topic)
    durable = durable_drain(binaries, kafka, topic, options.events, scratch, trigger_ms)
    again = raw_drain(binaries, kafka, topic)
    kafka.delete_topic(topic)
    best = min(raw, again, key=lambda drained: drained["cpu_us_per_event"])
    return dict(durable, ratios=ratios(durable, best))


def measure_broken(options, kafka, binaries, scratch):
    """A topic of which every tenth record is not JSON, and a clean one, at one trigger."""
    topics = {share: kafka.new_topic(options.events, options.users, "--broken", share)
              for share in (0, BROKEN_SHARE)}
    drained = {share: durable_drain(binaries, kafka, topic, options.events, scratch, 5000)
               for share, topic in topics.items()}
    clean, broken = drained[0], drained[BROKEN_SHARE]
    kept = durable_drain(binaries, kafka, topics[BROKEN_SHARE], options.events, scratch, 5000,
                         "--dead-letters")
    ratio = round(clean["cpu_us_per_event"] / broken["cpu_us_per_event"], 2)
    return {
        "events": options.events, "broken_share": BROKEN_SHARE, "clean": clean, "broken": broken,
        "broken_and_kept": kept, "ratios": {
            "rate": round(broken["events_per_second"] / clean["events_per_second"], 2),
            "clean_cpu_to_broken_cpu": ratio,
            "clean_cpu_to_kept_cpu": round(
                clean["cpu_us_per_event"] / kept["cpu_us_per_event"], 2)},
        "holds": {"0.7_of_clean_by_cpu": ratio >= BROKEN_RATE_LIMIT}}


def measure(options, kafka, binaries, scratch):
    events, users = options.events, options.users
    topic = kafka.new_topic(events, users)
    raw = raw_drain(binaries, kafka, topic)
    plain = raw_drain(binaries, kafka, topic, "--plain")
    first_guess_ms = max(SHORTEST_TRIGGER_MS, round(raw["seconds"] * 1e3 / 4))
    durable = often_committed(binaries, kafka, topic, events, scratch,
                              options.trigger_ms or first_guess_ms)
    slow = durable_drain(binaries, kafka, topic, events, scratch, 5000)
    raw_again = raw_drain(binaries, kafka, topic)
    few = measure_few_users(options, kafka, binaries, scratch, durable["trigger_ms"])
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
        "durable": durable, "durable_5s": slow, "few_users": few, "ratios": ratio,
        "ratios_5s": ratios(slow, steady),
        "trigger": f"{durable['trigger_ms']} ms, so that there are {LEAST_COMMITS} commits; the "
                   "same drain at 5 s beside it",
        "holds": {"at_least_5_commits": durable["commits"] >= LEAST_COMMITS,
                  "cpu_at_most_2x_raw": ratio["cpu"] <= CPU_LIMIT,
                  "cpu_at_most_1.6x_raw_with_few_users":
                      few["ratios"]["cpu"] <= FEW_USERS_CPU_LIMIT,
                  "rate_at_least_0.5_of_raw": ratio["rate"] >= RATE_LIMIT,
                  "rss_below_300_mb": max(durable["peak_rss_mb"],
                                          slow["peak_rss_mb"]) < RSS_LIMIT_MB}}


def measure_raw(options, kafka, binaries, scratch):
    del scratch
    topic = kafka.new_topic(options.events, options.users)
    source = raw_drain(binaries, kafka, topic)
    plain = raw_drain(binaries, kafka, topic, "--plain")
    if {source["records"], plain["records"]} != {options.events}:
        raise Failure(f"the raw drains read {source['records']} and {plain['records']} records")
    return {"events": options.events, "raw": source, "raw_plain": plain, "holds": {}}
