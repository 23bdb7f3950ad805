"""Pictures for docs/benchmarks.md, from the newest lines of bench/results.ndjson."""

import json

from . import Failure

# CPU microseconds per event of the same job on a like machine; measured once, by others' programs.
RIVALS = {"Kafka Streams 3.9.1": 19.5, "Spark 4.2.0": 15.8, "Flink 2.2.1": 11.2}


def newest(results):
    """bench -> its last line that has measured something in today's form."""
    lines = {}
    for text in results.read_text().splitlines():
        line = json.loads(text)
        lines[line["bench"]] = line
    return lines


def bars(plot, title, unit, rows, path, log=False):
    names, values = [name for name, _ in rows][::-1], [value for _, value in rows][::-1]
    figure, axes = plot.subplots(figsize=(7, 0.45 * len(rows) + 1))
    drawn = axes.barh(names, values, color=["#4878a8" if "clicktally" in name else "#b0b0b0"
                                            for name in names])
    axes.bar_label(drawn, fmt="%g", padding=3)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(unit + (" (logarithmic)" if log else ""))
    axes.margins(x=0.15)
    if log:
        axes.set_xscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plot.close(figure)


def draw(results, folder):
    try:
        import matplotlib
    except ImportError:
        raise Failure("pictures need matplotlib: apt-get install python3-matplotlib") from None
    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "clicktally"  # the same lines give the same bytes
    from matplotlib import pyplot
    lines = newest(results)
    drain, spark = lines["drain"], lines["spark"]
    raw = min(drain["raw"], key=lambda drained: drained["cpu_us_per_event"])
    bars(pyplot, "CPU per event of a drain: 1 M users, everything durable", "CPU us/event",
         [*RIVALS.items(), ("Spark 3.5.0, the replaced job", spark["spark"]["cpu_us_per_event"]),
          (f"clicktally, {drain['durable']['commits']} commits",
           drain["durable"]["cpu_us_per_event"]),
          ("clicktally, trigger of 5 s", drain["durable_5s"]["cpu_us_per_event"]),
          ("librdkafka alone: the limit", raw["cpu_us_per_event"])],
         folder / "cpu_per_event.svg", log=True)
    trigger = lines["trigger"]
    bars(pyplot, "Commit of a trigger of 5 events", "ms",
         [(f"clicktally, {trigger[size]['users']:,} users, {share}",
           trigger[size]["commit"][f"{share}_ms"])
          for size in ("small", "large") for share in ("p50", "p99")] +
         [(f"one fdatasync of 4 KiB, {share}", trigger["fdatasync_4k"][f"{share}_ms"])
          for share in ("p50", "p99")], folder / "trigger.svg")
