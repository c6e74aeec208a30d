"""Simulate the false alarms of a watch, and how soon it finds a change.

    python tools/simulate_monitor.py

Every stream has calibration scores of its own. Scores of inliers are normal;
p-values depend on nothing but ranks, so that any other continuous distribution
gives the same numbers. After the change, one example in five is an outlier of
the AUROC that is named. Writes tools/results/monitor/simulation.json.
"""

import json

import numpy as np
from absl import app, flags
from scipy import stats

from nae_tf.runs.disk import write_atomically
from nae_tf.serving import Calibration, Monitor
from reproduction import cells

FLAGS = flags.FLAGS
flags.DEFINE_integer("streams", 1_000, "Number of streams of inliers.")
flags.DEFINE_integer("length", 2_000, "Number of examples of each.")
flags.DEFINE_integer("changed_streams", 300, "Number of streams that change.")
flags.DEFINE_integer("seed", 0, "Seed of all streams.")

LEVEL = 0.05
CALIBRATIONS = (50, 200, 1_000)
RESULTS = cells.RESULTS / "monitor" / "simulation.json"


def new_monitor(random, size):
    """Begin a watch on a calibration of its own."""
    seed = int(random.integers(2**31))
    return Monitor(Calibration(random.normal(size=size)), LEVEL, seed=seed)


def false_alarms(random, size):
    """Return the share of streams of inliers with an alarm."""
    alarms = 0
    for _ in range(FLAGS.streams):
        monitor = new_monitor(random, size)
        monitor.update(random.normal(size=FLAGS.length))
        alarms += monitor.alarm_at is not None
    return alarms / FLAGS.streams


def delays(random, size, before, auroc):
    """Return examples from the change to the alarm; infinity if over 500."""
    shift = np.sqrt(2.0) * stats.norm.ppf(auroc)
    found: list[float] = []
    while len(found) < FLAGS.changed_streams:
        monitor = new_monitor(random, size)
        monitor.update(random.normal(size=before))
        if monitor.alarm_at is not None:
            continue  # A false alarm, which is counted elsewhere.
        is_outlier = random.random(500) < 0.2
        monitor.update(random.normal(shift * is_outlier))
        late = monitor.alarm_at is None
        found.append(np.inf if late else monitor.alarm_at - before)
    return np.array(found)


def main(_):
    """Simulate, and write the shares."""
    origin = cells.current_origin(threads=1)
    random = np.random.default_rng(FLAGS.seed)
    rows = []
    for size in CALIBRATIONS:
        rate = false_alarms(random, size)
        print(f"n = {size}: {rate:.1%} of streams with a false alarm")
        rows.append({"calibration": size, "false_alarms": rate})
        for before in (0, 2_000):
            for auroc in (0.9, 0.95, 0.99):
                found = delays(random, size, before, auroc)
                row = {
                    "calibration": size,
                    "inliers_before": before,
                    "auroc": auroc,
                    "found": float(np.mean(np.isfinite(found))),
                    "median_delay": float(np.median(found)),
                }
                print(row)
                rows.append(row)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "level": LEVEL,
        "streams": FLAGS.streams,
        "length": FLAGS.length,
        "changed_streams": FLAGS.changed_streams,
        "seed": FLAGS.seed,
        **origin,
        "rows": rows,
    }
    write_atomically(RESULTS, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
