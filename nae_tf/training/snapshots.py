"""Snapshots of weights during a training, for curves drawn afterwards.

A training writes them and never reads them. So metrics of test data that are
computed from them later cannot influence the training.
"""

import io
import pathlib

import keras
import numpy as np

from nae_tf.runs.disk import write_atomically


class KeepSnapshots(keras.callbacks.Callback):
    """Write the weights after some epochs, evenly spaced up to the last."""

    def __init__(self, directory: pathlib.Path, epochs: int, count: int):
        """Prepare the snapshots.

        Args:
            directory: directory of the snapshots, created at the first one.
            epochs: number of epochs of the phase.
            count: number of snapshots, > 0.
        """
        super().__init__()
        self.directory = directory
        self.epochs = {
            round(epochs * number / count) for number in range(1, count + 1)
        }

    def on_epoch_end(self, epoch, logs=None):
        """Write a snapshot after the chosen epochs."""
        if epoch + 1 in self.epochs:
            file = io.BytesIO()
            np.savez(file, *self.model.get_weights())
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / f"{epoch + 1:05d}.npz"
            write_atomically(path, file.getvalue())


def snapshots(directory: pathlib.Path) -> dict[int, pathlib.Path]:
    """Return the paths of the snapshots of a phase by epoch, from 1."""
    return {int(path.stem): path for path in sorted(directory.glob("*.npz"))}


def load_snapshot(model: keras.Model, path: pathlib.Path):
    """Set the weights of a built model to those of a snapshot."""
    with np.load(path) as file:
        model.set_weights([file[name] for name in file.files])
