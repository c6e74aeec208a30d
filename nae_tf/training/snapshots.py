"""Weights in the course of a training, for curves drawn when it is over.

A training writes them and never reads them. What is computed from them later,
be it of outliers that nobody may choose by, has no part in it.
"""

import io
import pathlib

import keras
import numpy as np

from nae_tf.runs.disk import write_atomically


class KeepSnapshots(keras.callbacks.Callback):
    """Write the weights after some epochs, evenly spaced up to the last."""

    def __init__(self, directory: pathlib.Path, epochs: int, count: int):
        """Write into `directory`, which is made, after `count` of `epochs`."""
        super().__init__()
        self.directory = directory
        self.epochs = {
            round(epochs * number / count) for number in range(1, count + 1)
        }

    def on_epoch_end(self, epoch, logs=None):
        """Write a snapshot if it is time."""
        if epoch + 1 in self.epochs:
            file = io.BytesIO()
            np.savez(file, *self.model.get_weights())
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / f"{epoch + 1:05d}.npz"
            write_atomically(path, file.getvalue())


def snapshots(directory: pathlib.Path) -> dict[int, pathlib.Path]:
    """Return the files of a phase by epoch, from 1, in order."""
    return {int(path.stem): path for path in sorted(directory.glob("*.npz"))}


def load_snapshot(model: keras.Model, path: pathlib.Path):
    """Give a built model the weights of a snapshot."""
    with np.load(path) as file:
        model.set_weights([file[name] for name in file.files])
