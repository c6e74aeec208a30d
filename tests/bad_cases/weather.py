"""Disks, files and neighbours that fail."""

import contextlib
import dataclasses
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf
from tiny_runs import ROOT, autoencoder_experiment, train_autoencoder

from nae_tf import train
from nae_tf.data import sources
from nae_tf.runs import run_directory
from nae_tf.serving.score_files import PartialFile
from nae_tf.training import records
from nae_tf.training.tensorboard import TensorBoardScalars


@contextlib.contextmanager
def full_disk(largest_file):
    """No file may grow beyond a size, which TensorFlow's code notices too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextlib.contextmanager
def read_only_directory():
    """A directory that this process may not write to, not even as root."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o555)
        if user == 0:
            os.seteuid(65534)
        try:
            yield pathlib.Path(name)
        finally:
            os.seteuid(user)
            os.chmod(name, 0o755)


def disk_full_while_a_checkpoint_is_written(tmp_path):
    with full_disk(40_000):  # Enough for config.gin and fingerprints.npz.
        train_autoencoder(tmp_path / "run")


def disk_full_in_the_middle_of_a_phase(tmp_path, monkeypatch):
    end_epoch = records.MetricsFile.on_epoch_end
    full = full_disk(8_000)

    def fill_the_disk(self, epoch, logs=None):
        end_epoch(self, epoch, logs)
        full.__enter__()

    monkeypatch.setattr(records.MetricsFile, "on_epoch_end", fill_the_disk)
    try:
        train_autoencoder(
            tmp_path / "run",
            "training/Phase.epochs=1",
            "Experiment.picture_interval=1000",
        )
    finally:
        full.__exit__(None, None, None)


def disk_full_while_metrics_are_written(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile()
    file = records.MetricsFile(tmp_path / "metrics.csv", "training")
    file.set_model(model)
    with full_disk(100):
        file.on_train_begin()
        for epoch in range(10):
            file.on_epoch_end(epoch, {"loss": 1.0})


def disk_full_while_events_are_written(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile()
    events = TensorBoardScalars(tmp_path, "training")
    events.set_model(model)
    events.on_train_begin()
    with full_disk(100):
        for epoch in range(10):
            events.on_epoch_end(epoch, {"loss": 1.0})


def run_directory_is_read_only():
    with read_only_directory() as directory:
        train_autoencoder(directory)


def run_directory_cannot_be_made():
    with read_only_directory() as directory:
        train_autoencoder(directory / "run")


def run_directory_is_a_file(tmp_path):
    (tmp_path / "run").write_text("a file")
    train_autoencoder(tmp_path / "run")


def tensorboard_cannot_be_written(tmp_path):
    (tmp_path / "training").write_text("a file, not a directory")
    TensorBoardScalars(tmp_path, "training").on_train_begin()


def streamed_files(directory):
    """Files of one image each, and examples that are read from them."""
    files = []
    for index in range(40):
        files.append(directory / f"{index}.raw")
        files[-1].write_bytes(np.full(64, index, np.uint8).tobytes())

    def read():
        paths = tf.data.Dataset.from_tensor_slices([str(f) for f in files])
        return paths.map(
            lambda path: tf.reshape(
                tf.io.decode_raw(tf.io.read_file(path), tf.uint8), [8, 8, 1]
            )
        )

    return files, sources.StreamedExamples(
        "files", 40, (8, 8, 1), 256, read, shuffle_buffer=4
    )


def data_disappear_between_two_epochs(tmp_path, monkeypatch):
    files, streamed = streamed_files(tmp_path)
    end_epoch = records.MetricsFile.on_epoch_end

    def delete_a_file(self, epoch, logs=None):
        end_epoch(self, epoch, logs)
        files[17].unlink(missing_ok=True)

    monkeypatch.setattr(records.MetricsFile, "on_epoch_end", delete_a_file)
    experiment = autoencoder_experiment(
        "training/Phase.batch_size=4", "training/Phase.epochs=50"
    )
    task = dataclasses.replace(experiment.task, train=streamed)
    experiment = dataclasses.replace(experiment, task=task)
    train.train(run_directory.RunDirectory(tmp_path / "run"), experiment)


def data_have_disappeared_before_evaluation(tmp_path):
    files, streamed = streamed_files(tmp_path)
    files[17].unlink()
    experiment = autoencoder_experiment("training/Phase.epochs=1")
    task = dataclasses.replace(experiment.task, test=streamed)
    experiment = dataclasses.replace(experiment, task=task)
    train.train(run_directory.RunDirectory(tmp_path / "run"), experiment)


def another_process_trains_there(tmp_path):
    # It prints its name when it has the lock, and ends with its input.
    hold = (
        "import sys\n"
        "from nae_tf.runs.run_directory import RunDirectory\n"
        "with RunDirectory(sys.argv[1]).lock():\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            assert process.stdout.readline() == b"locked\n"
            train_autoencoder(tmp_path)
        finally:
            process.communicate()


def unfinished_run_is_there(tmp_path):
    (tmp_path / "config.gin").write_text("seed = 0\n")
    train_autoencoder(tmp_path)


def finished_run_is_there(tmp_path):
    (tmp_path / "config.gin").write_text("seed = 0\n")
    (tmp_path / "results.json").write_text("{}\n")
    train_autoencoder(tmp_path)


def something_else_is_there(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    train_autoencoder(tmp_path, resume=True)


def all_checkpoints_are_damaged(tmp_path):
    train_autoencoder(tmp_path / "run")
    path = run_directory.RunDirectory(tmp_path / "run").checkpoints("training")
    for file in path.glob("*/variables.index"):
        file.write_bytes(b"")
    train_autoencoder(tmp_path / "run", resume=True)


def disk_full_while_scores_are_written(tmp_path):
    with full_disk(100), PartialFile(tmp_path / "scores.csv") as partial:
        for number in range(20):
            partial.write([(str(number), "0.5", "1.0", "0")])


CASES = {
    "disk full while scores are written": (
        disk_full_while_scores_are_written,
        r"cannot write .*scores\.csv\.partial': File too large\. Free disk "
        "space.* continues after the rows that are there",
        OSError,
    ),
    "disk full while a checkpoint is written": (
        disk_full_while_a_checkpoint_is_written,
        r"cannot write a checkpoint into .*: .*File too large.* Free disk "
        r"space or fix the permissions .*, then continue with --resume",
        OSError,
    ),
    "disk full in the middle of a phase": (
        disk_full_in_the_middle_of_a_phase,
        r"^cannot write ",
        OSError,
    ),
    "disk full while metrics are written": (
        disk_full_while_metrics_are_written,
        r"cannot write .*metrics\.csv': File too large\. Free disk space",
        OSError,
    ),
    "disk full while events are written": (
        disk_full_while_events_are_written,
        r"cannot write TensorBoard's events into .*Free disk space",
        OSError,
    ),
    "run directory is read only": (
        run_directory_is_read_only,
        r"cannot write into the run directory .*: Permission denied\. Fix its",
        OSError,
    ),
    "run directory cannot be made": (
        run_directory_cannot_be_made,
        r"cannot make the run directory .*: Permission denied\. Fix perm",
        OSError,
    ),
    "run directory is a file": (
        run_directory_is_a_file,
        r"cannot make the run directory .*: File exists\. Fix .* files on",
        OSError,
    ),
    "tensorboard cannot be written": (
        tensorboard_cannot_be_written,
        r"cannot write TensorBoard's events into .* continue with --resume",
        OSError,
    ),
    "data disappear between two epochs": (
        data_disappear_between_two_epochs,
        r"the data of .* could not be read: .*17\.raw.*No such file.* Put "
        r"them back, then continue with --resume",
        OSError,
    ),
    "data have disappeared before the evaluation": (
        data_have_disappeared_before_evaluation,
        r"the data of .* could not be read: .*17\.raw.*No such file.* Put "
        r"them back, then run the command again",
        OSError,
    ),
    "another process trains there": (
        another_process_trains_there,
        r"in use by process \d+ on \S+; wait until it has ended, or choose",
        BlockingIOError,
    ),
    "unfinished run is there": (
        unfinished_run_is_there,
        r"holds an unfinished run; continue it with --resume, or choose",
        FileExistsError,
    ),
    "finished run is there": (
        finished_run_is_there,
        r"already holds another run; choose a different --run_dir or",
        FileExistsError,
    ),
    "something else is there": (
        something_else_is_there,
        r"holds files but no run; choose a different --run_dir",
        FileExistsError,
    ),
    "all checkpoints are damaged": (
        all_checkpoints_are_damaged,
        r"no checkpoint of .* can be used: .*variables\.index' is damaged"
        r".* Restore one from a copy, or train the run again",
        ValueError,
    ),
}
