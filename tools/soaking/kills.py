"""Kill trainings again and again, and compare each with one left alone.

A tiny NAE is trained on the digits, both phases, with a checkpoint after every
step. A training is killed by SIGKILL at seeded random instants and resumed
every time until it ends. Weights, optimizers, replay buffer, metrics and
results have to be those of a training that was left alone, bit for bit.

What counts is stored after every training, and the next call adds to it.
"""

import contextlib
import csv
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable

import numpy as np
import sklearn.datasets  # noqa: F401  # Before the forks, for the digits.
import tensorflow as tf
from absl import flags
from tensorboard.backend.event_processing.event_file_loader import (
    EventFileLoader,
)

from nae_tf.runs.checkpoints import CheckpointDirectory
from nae_tf.runs.configuration import parse_config
from nae_tf.runs.disk import write_atomically
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.train import train
from nae_tf.training.experiment import Experiment
from reproduction.cells import commit, machine

FLAGS = flags.FLAGS
flags.DEFINE_integer("kills", 1_000, "Number of SIGKILLs.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the instants.")
flags.DEFINE_string(
    "kills_json",
    None,
    "The file of counts. The default is in tools/results/soak.",
)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "tools" / "results" / "soak" / "kills.json"
PHASES = ("pretraining", "training")
BINDINGS = [
    "holdout_class=4",
    "MLPEncoder.hidden_units=(16,)",
    "MLPDecoder.hidden_units=(16,)",
    "NAE.temperature_learning_rate=1e-2",
    "OnManifold.replay_capacity=500",
    "visible/LangevinChain.num_steps=2",
    "latent/LangevinChain.num_steps=2",
    "pretraining/Phase.epochs=12",
    "pretraining/Phase.steps_per_epoch=9",
    "training/Phase.epochs=8",
    "training/Phase.steps_per_epoch=15",
    "Experiment.evaluation_limit=64",
    # As often as it may, so that many kills meet a checkpoint being written.
    "CheckpointSchedule.interval_seconds=0.0",
    "CheckpointSchedule.max_share=1.0",
]
# A kill comes after so many files that Python opens, renames or deletes, at
# most: a resumed start has some thirty, a training some six hundred. Far fewer
# would kill most trainings before they get on.
MOST_FILES = 150
# Seconds from there. Short ones meet the rest of a save, long ones whatever
# comes between two saves.
DELAYS = (0.005, 0.5)


class Failure(Exception):
    """A training ended otherwise than one that is left alone."""


@dataclasses.dataclass(frozen=True)
class Child:
    """A process of ours.

    Attributes:
        process: its id.
        files: a pipe with a byte for each file that it has opened, renamed or
            deleted in the folder of its run; it ends with the process.
    """

    process: int
    files: int

    def wait(self) -> int:
        """Return the exit status, negative if a signal ended the process."""
        os.close(self.files)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def fork(task: Callable[[], object], run: RunDirectory) -> Child:
    """Carry out a task in a child process; its output goes beside the run.

    A fork of a process that has imported TensorFlow, but not started it, need
    not import it again.
    """
    receiving, sending = os.pipe()
    if process := os.fork():
        os.close(sending)
        return Child(process, receiving)
    status = 1
    try:
        writing = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        log = os.open(f"{run.path}.log", writing)
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        os.close(receiving)
        tell_of_files(str(run.path), sending)
        task()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def tell_of_files(folder: str, pipe: int):
    """Write a byte into a pipe whenever this process touches a file."""

    def hear(event, arguments):
        is_file = event.startswith(("open", "os.")) and arguments
        if is_file and str(arguments[0]).startswith(folder):
            # Nobody may listen any more.
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, b".")

    sys.addaudithook(hear)


def start(run: RunDirectory) -> Child:
    """Begin a training, or resume it."""

    def task():
        parse_config([str(ROOT / "gin" / "digits.gin")], BINDINGS)
        train(run, Experiment.from_config(), resume=True)

    return fork(task, run)


def killed(child: Child, generator: random.Random) -> bool:
    """Kill a process at a random instant; return False if it ended before."""
    for _ in range(generator.randrange(MOST_FILES)):
        if not os.read(child.files, 1):
            break
    time.sleep(generator.uniform(0, generator.choice(DELAYS)))
    os.kill(child.process, signal.SIGKILL)
    status = child.wait()
    if status not in (0, -signal.SIGKILL):
        raise Failure(f"a training ended with status {status}")
    return status != 0


def state(run: RunDirectory) -> tuple[set, set]:
    """Return the checkpoints of both phases: whole ones, unfinished ones."""
    found = {
        (path.parent.name, path.name, path.stat().st_ino)
        for path in run.path.glob("checkpoints/*/*")
    }
    whole = {name for name in found if name[1].isdecimal()}
    return whole, found - whole


def instant(before: tuple[set, set], after: tuple[set, set]) -> str:
    """Say when a kill came, by what it left."""
    if after[1] - before[1]:
        return "while a checkpoint was saved or deleted"
    if after[0] == before[0]:
        return "before the first step"
    newest = max(phase for phase, _, _ in after[0])
    return f"in the {'first' if newest == PHASES[0] else 'second'} phase"


def kill_one(
    run: RunDirectory, alone: RunDirectory, most: int, generator: random.Random
) -> list[str]:
    """Train with kills, at most so many; return their instants.

    Raises:
        Failure: if it ends otherwise than the training that was left alone.
    """
    instants: list[str] = []
    before = state(run)
    while len(instants) < most and killed(start(run), generator):
        after = state(run)
        instants.append(instant(before, after))
        before = after
    if status := start(run).wait():
        raise Failure(f"the last training ended with status {status}")
    if fork(lambda: compare(run, alone), run).wait():
        raise Failure("the trainings differ")
    return instants


def compare(run: RunDirectory, alone: RunDirectory):
    """Compare two runs.

    Raises:
        Failure: if they differ.
    """
    ours, expected = contents(run), contents(alone)
    for name in expected.keys() | ours.keys():
        if not equal(ours.get(name), expected.get(name)):
            raise Failure(f"the runs differ in {name}")


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
            raise Failure(f"{run.path} has no checkpoint of {phase}")
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
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return repr(a) == repr(b)


def main():
    """Train, kill and compare until there are as many kills as asked for."""
    stored = pathlib.Path(FLAGS.kills_json or RESULTS)
    record = {
        "commit": commit(),
        "machine": machine(),
        "seed": FLAGS.seed,
        "trainings": 0,
        "kills": {},
    }
    if stored.exists():
        earlier = json.loads(stored.read_text(encoding="utf-8"))
        for name in ("commit", "machine", "seed"):
            if earlier[name] != record[name]:
                raise AssertionError(
                    f"{stored} has counts of another {name}; move it away"
                )
        record = earlier
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nae_tf_kills_"))
    alone, run = RunDirectory(folder / "alone"), RunDirectory(folder / "killed")
    try:
        if status := start(alone).wait():
            raise Failure(f"the one left alone ended with status {status}")
        while (count := sum(record["kills"].values())) < FLAGS.kills:
            generator = random.Random(f"{FLAGS.seed}, {record['trainings']}")
            instants = kill_one(run, alone, FLAGS.kills - count, generator)
            record["trainings"] += 1
            for each in instants:
                record["kills"][each] = record["kills"].get(each, 0) + 1
            stored.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(stored, json.dumps(record, indent=1) + "\n")
            shutil.rmtree(run.path)
    except Failure as failure:
        raise AssertionError(f"{failure}; see {folder}") from failure
    shutil.rmtree(folder)
    print(f"{count} kills of {record['trainings']} trainings, no difference.")
