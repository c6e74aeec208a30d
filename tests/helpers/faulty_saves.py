"""All kinds of saves, each with every one of its system calls failing once.

    python tests/helpers/faulty_saves.py FOLDER KIND ...

It runs traced, by `system_calls.with_faults`, and begins when it is sent a
line. A save stores a number in FOLDER/KIND, and what is on the disk has the
number before or the new one, whatever failed. Prints the number of faults of
each kind, as JSON. A KIND such as once:results is saved a third time, and
nothing fails.
"""

import contextlib
import csv
import errno
import json
import pathlib
import shutil
import sys

import numpy as np
import system_calls
import tensorflow as tf
from tiny_runs import train_autoencoder

from nae_tf.runs.checkpoints import CheckpointDirectory, Progress
from nae_tf.runs.disk import write_atomically
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import write_version
from nae_tf.serving.monitor import Monitor
from nae_tf.serving.score_files import PartialFile
from nae_tf.serving.signatures import trace

ERRORS = (errno.ENOSPC, errno.EIO)


class Checkpoint:
    """The variables and the manifest of a phase."""

    def __init__(self, folder):
        self.path = folder / "checkpoints"
        self.directory = CheckpointDirectory(self.path)
        self.variable = tf.Variable(tf.zeros([100]))

    def save(self, number):
        self.variable.assign(tf.fill([100], float(number)))
        saved = tf.train.Checkpoint(a=self.variable)
        self.directory.save(saved, Progress(epoch=number))

    def value(self):
        saved = CheckpointDirectory(self.path).newest()
        reader = tf.train.load_checkpoint(saved.variables)
        values = reader.get_tensor("a/.ATTRIBUTES/VARIABLE_VALUE")
        assert set(values) == {float(saved.progress.epoch)}
        return saved.progress.epoch


class Results:
    """results.json, and every other file that is written as a whole."""

    def __init__(self, folder):
        self.path = folder / "results.json"

    def save(self, number):
        write_atomically(self.path, json.dumps([number] * 5_000))

    def value(self):
        [number] = set(json.loads(self.path.read_text()))
        return number


class MonitorState:
    """The state of a watch, which goes on."""

    calibration = Calibration(np.linspace(0, 1, 9))

    def __init__(self, folder):
        self.path = folder / "state.json"

    def save(self, number):
        monitor = Monitor(self.calibration)
        monitor.update(np.linspace(0, 1, number))
        write_atomically(self.path, monitor.to_json())

    def value(self):
        text = self.path.read_text()
        return Monitor.from_json(text, self.calibration).count


class Rows:
    """The rows of an unfinished file of scores."""

    def __init__(self, folder):
        self.path = folder / "scores.csv"

    def save(self, number):
        with PartialFile(self.path) as partial:
            if len(partial.rows) < number:
                partial.write([(str(number), "0.5", "1.0", "0")])

    def value(self):
        text = pathlib.Path(f"{self.path}.partial").read_text()
        rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
        ids = [row[0] for row in rows]
        assert ids == ["id", *map(str, range(1, len(rows)))]
        return len(rows) - 1


class Scores:
    """Files of scores from the first row to the name that they end with."""

    def __init__(self, folder):
        self.folder = folder

    def save(self, number):
        path = self.folder / f"{number}.npz"
        if path.exists():
            return
        with PartialFile(path) as partial:
            if not partial.rows:
                partial.write([(str(number), "0.5", "1.0", "0")])
            partial.finish()

    def value(self):
        numbers = [int(path.stem) for path in self.folder.glob("*.npz")]
        for number in numbers:
            with np.load(self.folder / f"{number}.npz") as arrays:
                assert arrays["id"].tolist() == [str(number)]
        return max(numbers)


class Export:
    """Versions of an export: graph, variables, calibration, requests."""

    def __init__(self, folder):
        self.path = folder / "export"
        self.module = tf.Module()
        self.module.weight = tf.Variable(0.0)

        def score(x):
            return {"energy": x[:, 0] * self.module.weight}

        spec = tf.TensorSpec((None, 4), tf.float32, "examples")
        self.signatures = {"score": trace(score, spec)}

    def save(self, number):
        self.module.weight.assign(float(number))
        texts = {"calibration.json": str(number)}
        write_version(self.path, None, self.module, self.signatures, texts)

    def _versions(self):
        found = [path for path in self.path.iterdir() if path.name.isdecimal()]
        return sorted(found, key=lambda path: int(path.name))

    def value(self):
        for version in self._versions():
            extra = version / "assets.extra"
            variables = str(version / "variables" / "variables")
            reader = tf.train.load_checkpoint(variables)
            [name] = [
                name
                for name in reader.get_variable_to_shape_map()
                if name.endswith("VARIABLE_VALUE")
            ]
            number = int(reader.get_tensor(name))
            assert (extra / "calibration.json").read_text() == str(number)
            assert (extra / "tf_serving_warmup_requests").stat().st_size
            tf.saved_model.load(str(version))
        for version in self._versions()[:-1]:
            shutil.rmtree(version)
        return number


KINDS = {
    "checkpoint": Checkpoint,
    "results": Results,
    "monitor": MonitorState,
    "rows": Rows,
    "scores": Scores,
    "export": Export,
}


@contextlib.contextmanager
def said_in_a_line():
    """Whatever fails says so in one line."""
    try:
        yield
    except OSError as error:
        text = str(error)
        assert "\n" not in text, text
        assert error.errno is None, f"not explained: {text}"
        assert "o space left" in text or "nput/output error" in text, text


def faults_of(kind, number_of_error):
    """Let every call of a save fail once; return how many there were."""
    number, position = kind.value(), 0
    while True:
        position += 1
        number += 1
        system_calls.fail_at(position, number_of_error)
        with said_in_a_line():
            kind.save(number)
        has_failed = system_calls.has_failed()
        assert kind.value() in (number - 1, number), position
        kind.save(number)
        assert kind.value() == number, position
        if not has_failed:
            return position - 1


def trainings(folder, positions):
    """Let calls of a training fail; it goes on and ends as one left alone."""
    # The helper of tests is imported late: it needs pytest.
    from run_ends import assert_same_end

    often = [
        "CheckpointSchedule.interval_seconds=0.0",
        "CheckpointSchedule.max_share=1.0",
    ]
    alone = folder.parent / "alone"
    train_autoencoder(alone, *often)
    count = 0
    for position in positions:
        run = folder / str(position)
        number = ERRORS[count % 2]
        system_calls.fail_at(position, number)
        try:
            train_autoencoder(run, *often)
        except OSError as error:
            assert "\n" not in str(error), error
            assert error.errno is None, f"not explained: {error}"
        has_failed = system_calls.has_failed()
        if not (run / "results.json").exists():
            train_autoencoder(run, *often, resume=(run / "config.gin").exists())
        assert_same_end(run, alone)
        shutil.rmtree(run)
        if not has_failed:
            break
        count += 1
        print("fault", count, position, number, file=sys.stderr)
    return count


def main():
    folder = pathlib.Path(sys.argv[1])
    counts = {}
    kinds = {}
    for name in sys.argv[2:]:
        kind = name.removeprefix("once:")
        if kind in KINDS:
            (folder / kind).mkdir()
            kinds[name] = KINDS[kind](folder / kind)
            kinds[name].save(1)
            if kind != name:
                kinds[name].save(2)
    print("ready", flush=True)
    sys.stdin.readline()
    for name in sys.argv[2:]:
        if name.startswith("training:"):
            start, step = map(int, name.split(":")[1:])
            positions = range(start, 100_000, step)
            counts["training"] = trainings(folder, positions)
        elif name.startswith("once:"):
            kinds[name].save(3)
        else:
            counts[name] = sum(faults_of(kinds[name], each) for each in ERRORS)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
