"""What `tools/bench` is made of.

    measure.py   percentiles, the disk's own speed, what a process has used
    kafka.py     a cluster for the run, and topics whose right answer is known
    job.py       a running clicktally, timed from outside; the check of its counts
    drain.py, trigger.py, latency.py, restart.py, state_size.py, inspect.py, readers.py,
    snapshots.py, idle.py, scaling.py, spark.py
                 one measurement each
"""


class Failure(Exception):
    """What could not be measured, or a wrong answer: one line for the person."""
