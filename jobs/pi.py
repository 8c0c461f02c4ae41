"""Estimate pi by throwing points at the unit square.

usage: pi.py [SLICES]

Ends with a code other than 0 when the cluster gives no executor within 20 seconds, or as many
as the variable EXECUTOR_PATIENCE_SECONDS says; by itself Spark would wait for one for ever.
"""
import os
import sys
import threading
import time
from random import Random

from pyspark.sql import SparkSession

PATIENCE_SECONDS = int(os.environ.get("EXECUTOR_PATIENCE_SECONDS", "20"))
# Enough points for two true digits with few slices, not more work than minutes with many.
MOST_POINTS_PER_SLICE = 1_000_000
FEWEST_POINTS_PER_SLICE = 1_000
POINTS = 5_000_000
# A Python task costs some 40 ms in talk between the JVM and Python, however little it does.
MOST_TASKS = 1000


def hits(slice_, points):
    # Seeded by the slice, so that a result can be repeated.
    random = Random(slice_).random
    inside = 0
    for _ in range(points):
        x = random()
        y = random()
        if x * x + y * y <= 1:
            inside += 1
    return inside


def give_up(asked):
    print(
        f"pi.py: no executor within {PATIENCE_SECONDS} s ({asked[0]}): is the master up, has it a live worker, "
        "and has the worker that much memory and a core free?",
        file=sys.stderr,
        flush=True,
    )
    # Not sys.exit: stopping the context waits for the master that does not answer.
    # The JVM ends by itself when its standard input closes.
    os._exit(1)


def main():
    try:
        slices = int(sys.argv[1]) if len(sys.argv) > 1 else 2
        if slices < 1:
            raise ValueError
    except ValueError:
        print(f"pi.py: SLICES is a positive number, not '{sys.argv[1]}'", file=sys.stderr)
        return 64

    started = time.monotonic()
    # Set before the context exists, because connecting to a dead master blocks for a minute.
    asked = ["no master answered"]
    alarm = threading.Timer(PATIENCE_SECONDS, give_up, [asked])
    alarm.daemon = True
    alarm.start()
    spark = SparkSession.builder.appName("pi.py").getOrCreate()
    sc = spark.sparkContext
    memory = sc.getConf().get("spark.executor.memory", os.environ.get("SPARK_EXECUTOR_MEMORY", "1g"))
    asked[0] = f"{sc.master}, executors with {memory}"
    # The driver counts as one of them.
    executors = sc._jsc.sc().statusTracker().getExecutorInfos
    while not sc.master.startswith("local") and len(executors()) < 2:
        if sc._jsc.sc().isStopped():
            print("pi.py: the cluster gave this job up; the master's and workers' logs say why", file=sys.stderr)
            return 1
        time.sleep(0.05)
    alarm.cancel()

    points = max(FEWEST_POINTS_PER_SLICE, min(MOST_POINTS_PER_SLICE, POINTS // slices))
    tasks = min(slices, MOST_TASKS)
    inside = sc.parallelize(range(slices), tasks).map(lambda n: hits(n, points)).sum()
    print(f"Pi is roughly {4.0 * inside / (points * slices)}")
    print(f"{slices} slices of {points} points in {tasks} tasks in {time.monotonic() - started:.1f} s")
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
