"""How runs ended, to compare them, and signals that end them early."""

import csv
import os
import signal

import numpy as np
import tensorflow as tf

from nae_tf.runs import run_directory
from nae_tf.runs.checkpoints import CheckpointDirectory
from nae_tf.training import interruption


def final_state(path):
    """Progress and variables at the end of a run."""
    run = run_directory.RunDirectory(path)
    saved = CheckpointDirectory(run.checkpoints("training")).newest()
    reader = tf.train.load_checkpoint(saved.variables)
    return saved.progress, {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def rows(path):
    with open(path / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_end(path, expected_path):
    progress, state = final_state(path)
    expected, expected_state = final_state(expected_path)
    assert progress.finished
    assert progress.roll_backs == expected.roll_backs
    assert progress.best_epoch == expected.best_epoch
    assert state.keys() == expected_state.keys()
    for name, value in expected_state.items():
        np.testing.assert_array_equal(state[name], value, err_msg=name)
    ours, theirs = (
        [{**row, "seconds": None} for row in rows(each)]
        for each in (path, expected_path)
    )
    assert ours == theirs


def send_once(monkeypatch, when, number=signal.SIGTERM):
    """Send this process a signal once, when `when(epoch, step)`."""
    sent = []

    save = interruption.SaveProgress._save_if_due

    def send(self, epoch, step, finished=False):
        if not sent and when(epoch, step):
            sent.append(True)
            os.kill(os.getpid(), number)
        save(self, epoch, step, finished)

    monkeypatch.setattr(interruption.SaveProgress, "_save_if_due", send)
