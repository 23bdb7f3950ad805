"""Two workers against one, with the records replayed from memory: no broker in the way."""

import json
import subprocess

from . import Failure

REPETITIONS = 5
LIMIT = 1.8


def measure(binaries):
    done = subprocess.run(
        [binaries / "bench_pipeline", f"--benchmark_repetitions={REPETITIONS}",
         "--benchmark_format=json"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(f"bench_pipeline: exit code {done.returncode}")
    runs = [run for run in json.loads(done.stdout)["benchmarks"] if run["run_type"] == "iteration"]
    wrong = [run["error_message"] for run in runs if run.get("error_occurred")]
    if wrong:
        raise Failure(f"bench_pipeline: {wrong[0]}")
    best = {workers: max(run["items_per_second"] for run in runs
                         if run["name"].startswith(f"bm_replay/{workers}/"))
            for workers in (1, 2)}
    ratio = best[2] / best[1]
    return {"events_per_second": {str(workers): round(rate) for workers, rate in best.items()},
            "of": f"the best of {REPETITIONS} each", "ratios": {"rate": round(ratio, 2)},
            "holds": {"two_workers_at_least_1.8x": ratio >= LIMIT}}
