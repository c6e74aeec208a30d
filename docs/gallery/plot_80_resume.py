"""
A training that is killed
=========================

A training may be killed at any instant: power fails, a scheduler takes the
machine. The same command with `--resume` goes on from the last checkpoint, and
on one CPU the run ends as if nothing had happened: every number and every
weight is the same to the last bit.
"""

# %%
# The command
# -----------
# `digits.gin` is a preset and is found by its name. The bindings make its
# training tiny, without pre-training, and save it twice per second.

import csv
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

BINDINGS = [
    "MLPEncoder.hidden_units = (32,)",
    "MLPDecoder.hidden_units = (32,)",
    "latent/LangevinChain.num_steps = 3",
    "visible/LangevinChain.num_steps = 3",
    "Experiment.pretraining = None",
    "training/Phase.epochs = 20",
    "training/Phase.steps_per_epoch = 10",
    "Experiment.evaluation_limit = 32",
    "CheckpointSchedule.interval_seconds = 0.5",
    "CheckpointSchedule.max_share = 1.0",
]
folder = tempfile.TemporaryDirectory()
FOLDER = pathlib.Path(folder.name)


def start(name, *flags):
    """Start a training into a run directory of this name."""
    command = [sys.executable, "-m", "nae_tf.train", "--gin_file=digits.gin"]
    command += [f"--gin_bindings={binding}" for binding in BINDINGS]
    command += [f"--run_dir={FOLDER / name}", *flags]
    with open(FOLDER / f"{name}.log", "a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def rows(name):
    """Read the rows of the metrics that a run has written so far."""
    path = FOLDER / name / "metrics.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def curve(rows, metric):
    """Return epochs and values of a metric."""
    pairs = [
        (int(row["epoch"]), float(row["value"]))
        for row in rows
        if row["metric"] == metric
    ]
    return np.array(pairs).reshape(-1, 2).T


# %%
# A run that is killed
# --------------------
# Two runs of the same command start together. One ends by itself. The other
# gets SIGKILL in the middle, which leaves a process no time for anything, not
# even for closing a file.

runs = {name: start(name) for name in ["whole", "killed"]}
while len(curve(rows("killed"), "loss")[0]) < 10:
    assert runs["killed"].poll() is None, "it ended before it was killed"
    time.sleep(0.01)
runs["killed"].send_signal(signal.SIGKILL)
print(f"exit status of the killed run: {runs['killed'].wait()}")
print(f"exit status of the whole run:  {runs['whole'].wait()}")
last_epoch = curve(rows("killed"), "loss")[0][-1]
print(f"last epoch before the kill: {last_epoch:.0f}")

# %%
# The same run, resumed
# ---------------------
# Rows written after the last checkpoint are cut off and written again. So the
# files have the same rows, except for the column of seconds.

resuming = start("killed", "--resume")
print(f"exit status of the resumed run: {resuming.wait()}")


def without_seconds(rows):
    """Return the rows as text, without the time that each took."""
    return [{**row, "seconds": None} for row in rows]


whole, resumed = rows("whole"), rows("killed")
print(f"rows: {len(whole)} and {len(resumed)}")
print(f"equal rows: {without_seconds(whole) == without_seconds(resumed)}")

# %%
# Checkpoints are in TensorFlow's format. The last one holds the weights, the
# states of the optimizer, the replay buffer and the random numbers.


def variables(name):
    """Read the variables of a run's last checkpoint."""
    folder = max((FOLDER / name / "checkpoints" / "training").iterdir())
    reader = tf.train.load_checkpoint(str(folder / "variables"))
    names = sorted(reader.get_variable_to_shape_map())
    names.remove("_CHECKPOINTABLE_OBJECT_GRAPH")
    return {name: reader.get_tensor(name) for name in names}


expected, given = variables("whole"), variables("killed")
equal = [np.array_equal(given[name], expected[name]) for name in expected]
print(f"variables: {len(equal)}, equal to the last bit: {sum(equal)}")

# %%
# The curves of both runs coincide.

energies = {"positive_energy": "digits", "negative_energy": "samples"}
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
for axis, (metric, of) in zip(axes, energies.items(), strict=True):
    axis.plot(*curve(whole, metric), linewidth=5, alpha=0.35, label="whole")
    axis.plot(*curve(resumed, metric), label="killed and resumed")
    axis.axvline(last_epoch, color="black", linestyle=":", label="kill")
    axis.set_xlabel("epoch")
    axis.set_ylabel(f"mean energy of the {of}")
    axis.legend()
plt.show()
folder.cleanup()
