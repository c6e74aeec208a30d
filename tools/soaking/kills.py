"""Kill a training again and again, and compare it with one left alone.

Trains a tiny NAE on the digits twice, both phases. One training is killed by
SIGKILL at seeded random instants and resumed every time, then once by SIGTERM.
Weights, optimizers, replay buffer, metrics and results have to be equal, bit
for bit.
"""

import contextlib
import csv
import json
import os
import pathlib
import random
import signal
import sys
import time
import traceback

import numpy as np
import tensorflow as tf
from absl import flags
from tensorboard.backend.event_processing.event_file_loader import (
    EventFileLoader,
)
from tqdm import tqdm

from nae_tf.runs.checkpoints import CheckpointDirectory
from nae_tf.runs.configuration import parse_config
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.train import train
from nae_tf.training.experiment import Experiment
from nae_tf.training.interruption import EXIT_INTERRUPTED

FLAGS = flags.FLAGS
flags.DEFINE_integer("kills", 100, "Number of SIGKILLs.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the instants.")
flags.DEFINE_string("dir", "runs/soak", "A new directory of kills.")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Epochs, and steps per epoch.
PHASES = {"pretraining": (12, 9), "training": (8, 15)}
NUM_STEPS = sum(epochs * steps for epochs, steps in PHASES.values())
BINDINGS = [
    "holdout_class=4",
    "MLPEncoder.hidden_units=(16,)",
    "MLPDecoder.hidden_units=(16,)",
    "NAE.temperature_learning_rate=1e-2",
    "OnManifold.replay_capacity=500",
    "visible/LangevinChain.num_steps=2",
    "latent/LangevinChain.num_steps=2",
    *(
        f"{phase}/Phase.{name}={value}"
        for phase, values in PHASES.items()
        for name, value in zip(
            ("epochs", "steps_per_epoch"), values, strict=True
        )
    ),
    "Experiment.evaluation_limit=64",
    # As often as it may, so that many kills meet a checkpoint being written.
    "CheckpointSchedule.interval_seconds=0.0",
    "CheckpointSchedule.max_share=1.0",
]


def start_training(run: RunDirectory) -> int:
    """Train, or continue, in a child process; return its id.

    A fork of a process that has imported TensorFlow, but not started it, need
    not import it again.
    """
    if process := os.fork():
        return process
    status = 1
    try:
        log = os.open(f"{run.path}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        parse_config([str(ROOT / "gin" / "digits.gin")], BINDINGS)
        train(run, Experiment.from_config(), resume=True)
        status = 0
    except SystemExit as exit_request:
        status = exit_request.code if isinstance(exit_request.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def exit_status(process: int) -> int:
    """Wait for a process; the status is negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def steps_saved(run: RunDirectory) -> int:
    """Return the steps of both phases up to the newest checkpoint."""
    total, before = 0, 0
    for phase, (epochs, steps) in PHASES.items():
        for manifest in run.checkpoints(phase).glob("[0-9]*/manifest.json"):
            # A checkpoint that is just being deleted is gone before it is read.
            with contextlib.suppress(OSError):
                progress = json.loads(manifest.read_text())["body"]["progress"]
                done = progress["epoch"] * steps + progress["step"]
                total = max(total, before + done)
        before += epochs * steps
    return total


def wait_for(process: int, run: RunDirectory, step: int):
    """Wait for a checkpoint of `step` or later.

    Raises:
        AssertionError: if the training ended before.
    """
    while steps_saved(run) < step:
        if os.waitpid(process, os.WNOHANG) != (0, 0):
            raise AssertionError(
                f"the training ended by itself: {run.path}.log"
            )
        time.sleep(0.002)


def kill_at(process: int, run: RunDirectory, step: int, delay: float):
    """Send SIGKILL `delay` seconds after a checkpoint of `step` or later."""
    wait_for(process, run, step)
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    status = exit_status(process)
    if status != -signal.SIGKILL:
        raise AssertionError(
            f"expected a killed process, received status {status}."
        )


def soak(directory: pathlib.Path, kills: int, seed: int):
    """Train twice, once with interruptions, and compare.

    Raises:
        AssertionError: if the trainings differ.
    """
    alone = RunDirectory(directory / "alone")
    killed = RunDirectory(directory / "killed")
    directory.mkdir(parents=True)
    status = exit_status(start_training(alone))
    if status:
        raise AssertionError(f"status {status}: see {alone.path}.log")
    generator = random.Random(seed)
    # The last steps are left to SIGTERM.
    end = NUM_STEPS - 10
    instants = sorted(generator.uniform(0, end) for _ in range(kills))
    for instant in tqdm(instants, disable=not sys.stderr.isatty()):
        process = start_training(killed)
        # Never before the training has made a step: a start proves little.
        step = min(max(int(instant), steps_saved(killed) + 1), end)
        kill_at(process, killed, step, generator.uniform(0.0, 0.05))
    process = start_training(killed)
    wait_for(process, killed, end + 1)
    os.kill(process, signal.SIGTERM)
    if (status := exit_status(process)) not in (0, EXIT_INTERRUPTED):
        raise AssertionError(f"SIGTERM ended in status {status}.")
    if status := exit_status(start_training(killed)):
        raise AssertionError(f"status {status}: see {killed.path}.log")
    ours = contents(killed)
    for name, content in contents(alone).items():
        if not equal(content, ours[name]):
            raise AssertionError(f"the runs differ in {name}.")


def contents(run: RunDirectory) -> dict[str, object]:
    """Return the contents that two equal runs have in common, by name."""
    found: dict[str, object] = {"results": run.results.read_text()}
    with open(run.metrics, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"]
    found["metrics.csv"] = rows
    for phase in PHASES:
        saved = CheckpointDirectory(run.checkpoints(phase)).newest()
        if saved is None:
            raise AssertionError(f"{run.path} has no checkpoint of {phase}.")
        found[f"{phase}: best epoch"] = saved.progress.best_epoch
        found[f"{phase}: running means"] = saved.progress.means
        reader = tf.train.load_checkpoint(saved.variables)
        for name in sorted(reader.get_variable_to_shape_map()):
            if name != "_CHECKPOINTABLE_OBJECT_GRAPH":
                found[f"{phase}: {name}"] = reader.get_tensor(name)
        found[f"{phase}: TensorBoard"] = [
            (event.step, value.tag, value.tensor.SerializeToString())
            for file in sorted((run.tensorboard / phase).rglob("events*"))
            for event in EventFileLoader(str(file)).Load()
            for value in event.summary.value
        ]
    return found


def equal(a, b) -> bool:
    """Return whether two contents are the same, NaN being equal to itself."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return repr(a) == repr(b)


def main():
    """Train, kill, compare and print the outcome."""
    soak(pathlib.Path(FLAGS.dir), FLAGS.kills, FLAGS.seed)
    print(f"{FLAGS.kills} kills, and no difference.")
