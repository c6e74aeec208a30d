"""Disks, files, clocks and neighbours that fail: one line says what to do."""

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
import pytest
import tensorflow as tf
from tiny_runs import ROOT, autoencoder_experiment, train_autoencoder

from nae_tf import callbacks, examples, runtime, train
from nae_tf.checkpoints import CheckpointDirectory, Progress
from nae_tf.run_lock import run_lock
from nae_tf.tensorboard import TensorBoardScalars


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


def disk_full_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    with full_disk(8_000):  # Enough for config.gin.
        train_autoencoder(tmp_path / "run")


def disk_full_in_the_middle_of_a_phase(tmp_path, monkeypatch):
    end_epoch = callbacks.MetricsFile.on_epoch_end
    full = full_disk(8_000)

    def fill_the_disk(self, epoch, logs=None):
        end_epoch(self, epoch, logs)
        full.__enter__()

    monkeypatch.setattr(callbacks.MetricsFile, "on_epoch_end", fill_the_disk)
    try:
        train_autoencoder(
            tmp_path / "run",
            "training/Phase.epochs=1",
            "Experiment.picture_interval=1000",
        )
    finally:
        full.__exit__(None, None, None)


def disk_full_while_figures_are_written(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile()
    file = callbacks.MetricsFile(tmp_path / "metrics.csv", "training")
    file.set_model(model)
    with full_disk(100):
        file.on_train_begin()
        for epoch in range(10):
            file.on_epoch_end(epoch, {"loss": 1.0})


def disk_full_while_events_are_written(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile()
    events = TensorBoardScalars(tmp_path, "training")
    events.set_model(model)
    events.on_train_begin()
    with full_disk(100):
        for epoch in range(10):
            events.on_epoch_end(epoch, {"loss": 1.0})


def run_directory_is_read_only(tmp_path, monkeypatch):
    with read_only_directory() as directory:
        train_autoencoder(directory)


def run_directory_cannot_be_made(tmp_path, monkeypatch):
    with read_only_directory() as directory:
        train_autoencoder(directory / "run")


def run_directory_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "run").write_text("a file")
    train_autoencoder(tmp_path / "run")


def tensorboard_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "training").write_text("a file, not a directory")
    TensorBoardScalars(tmp_path, "training").on_train_begin()


def data_disappear_between_two_epochs(tmp_path, monkeypatch):
    files = []
    for index in range(40):
        files.append(tmp_path / f"{index}.raw")
        files[-1].write_bytes(np.full(64, index, np.uint8).tobytes())

    def read():
        paths = tf.data.Dataset.from_tensor_slices([str(f) for f in files])
        return paths.map(
            lambda path: tf.reshape(
                tf.io.decode_raw(tf.io.read_file(path), tf.uint8), [8, 8, 1]
            )
        )

    end_epoch = callbacks.MetricsFile.on_epoch_end

    def delete_a_file(self, epoch, logs=None):
        end_epoch(self, epoch, logs)
        files[17].unlink(missing_ok=True)

    monkeypatch.setattr(callbacks.MetricsFile, "on_epoch_end", delete_a_file)
    experiment = autoencoder_experiment(
        "training/Phase.batch_size=4", "training/Phase.epochs=50"
    )
    streamed = examples.StreamedExamples(
        "files", 40, (8, 8, 1), 256, read, shuffle_buffer=4
    )
    task = dataclasses.replace(experiment.task, train=streamed)
    experiment = dataclasses.replace(experiment, task=task)
    train.train(runtime.RunDirectory(tmp_path / "run"), experiment)


def another_process_trains_there(tmp_path, monkeypatch):
    # It prints its name when it has the lock, and ends with its input.
    hold = (
        "import pathlib, sys\n"
        "from nae_tf.run_lock import run_lock\n"
        "with run_lock(pathlib.Path(sys.argv[1])):\n"
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


def unfinished_run_is_there(tmp_path, monkeypatch):
    (tmp_path / "config.gin").write_text("seed = 0\n")
    train_autoencoder(tmp_path)


def finished_run_is_there(tmp_path, monkeypatch):
    (tmp_path / "config.gin").write_text("seed = 0\n")
    (tmp_path / "results.json").write_text("{}\n")
    train_autoencoder(tmp_path)


def something_else_is_there(tmp_path, monkeypatch):
    (tmp_path / "thesis.tex").write_text("")
    train_autoencoder(tmp_path, resume=True)


def all_checkpoints_are_damaged(tmp_path, monkeypatch):
    train_autoencoder(tmp_path / "run")
    path = runtime.RunDirectory(tmp_path / "run").checkpoints("training")
    for file in path.glob("*/variables.index"):
        file.write_bytes(b"")
    train_autoencoder(tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("weather", "error", "message"),
    [
        (
            disk_full_while_a_checkpoint_is_written,
            OSError,
            r"cannot write a checkpoint into .*: .*File too large.* Make room "
            r"or mend the directory, then continue with --resume",
        ),
        (
            disk_full_in_the_middle_of_a_phase,
            OSError,
            r"^cannot write ",
        ),
        (
            disk_full_while_figures_are_written,
            OSError,
            r"cannot write .*metrics\.csv': File too large\. Make room",
        ),
        (
            disk_full_while_events_are_written,
            OSError,
            r"cannot write TensorBoard's events into .*Make room",
        ),
        (
            run_directory_is_read_only,
            OSError,
            r"cannot write into the run directory .*: Permission denied\. Mend",
        ),
        (
            run_directory_cannot_be_made,
            OSError,
            r"cannot make the run directory .*: Permission denied\. Mend",
        ),
        (
            run_directory_is_a_file,
            OSError,
            r"cannot make the run directory .*: File exists\. Mend it, or",
        ),
        (
            tensorboard_cannot_be_written,
            OSError,
            r"cannot write TensorBoard's events into .* continue with --resume",
        ),
        (
            data_disappear_between_two_epochs,
            OSError,
            r"the data of .* could not be read: .*17\.raw.*No such file.* Put "
            r"them back, then continue with --resume",
        ),
        (
            another_process_trains_there,
            BlockingIOError,
            r"in use by process \d+ on \S+; wait until it has ended, or choose",
        ),
        (
            unfinished_run_is_there,
            FileExistsError,
            r"holds an unfinished run; continue it with --resume, or choose",
        ),
        (
            finished_run_is_there,
            FileExistsError,
            r"already holds another run; choose a different --run_dir or",
        ),
        (
            something_else_is_there,
            FileExistsError,
            r"holds files but no run; choose a different --run_dir",
        ),
        (
            all_checkpoints_are_damaged,
            ValueError,
            r"no checkpoint of .* can be used: .*variables\.index' is damaged"
            r".* Restore one from a copy, or train the run again",
        ),
    ],
)
def test_bad_weather_is_one_line_with_cause_and_remedy(
    weather, error, message, tmp_path, monkeypatch
):
    with pytest.raises(error, match=message) as raised:
        weather(tmp_path, monkeypatch)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_full_disk_leaves_the_checkpoints_before(tmp_path):
    directory = CheckpointDirectory(tmp_path)
    variables = tf.train.Checkpoint(a=tf.Variable(tf.zeros([1000])))
    directory.save(variables, Progress(epoch=1))
    with full_disk(2_000), pytest.raises(OSError, match="Make room"):
        directory.save(variables, Progress(epoch=2))
    assert len(list(tmp_path.iterdir())) == 1
    assert directory.newest().progress.epoch == 1
    directory.save(variables, Progress(epoch=3))
    assert directory.newest().progress.epoch == 3


def test_a_lock_that_was_left_behind_is_no_obstacle(tmp_path):
    (tmp_path / ".lock").write_text("process 1 on another machine\n")
    with run_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()
    with run_lock(tmp_path):
        pass
