"""What happens at the end of an epoch: selection, checkpoints, records."""

import csv
import time

import keras
import tensorflow as tf

from nae_tf.data import Task
from nae_tf.metrics import auroc


def selection_key(outliers: str) -> str:
    """Return the name of a selection set's AUROC in an epoch's logs."""
    return f"outliers/{outliers}/auroc"


class SelectionAuroc(keras.callbacks.Callback):
    """Add the AUROC of validation inliers against the selection outliers.

    The mean over the selection sets is what the best epoch is chosen by
    (section 6.3); the outliers of the final table have no part in it.
    """

    MONITOR = "selection_auroc"

    def __init__(self, task: Task, batch_size: int, limit: int | None = None):
        """Score at most `limit` examples of each set, every epoch."""
        super().__init__()
        self.task = task
        self.batch_size = batch_size
        self.limit = limit

    def on_epoch_end(self, epoch, logs=None):
        """Score, and write the figures into `logs` for later callbacks."""
        inliers = self._scores(self.task.validation)
        values = {
            selection_key(name): auroc(inliers, self._scores(outliers))
            for name, outliers in self.task.selection.items()
        }
        logs.update(values)
        logs[self.MONITOR] = sum(values.values()) / len(values)

    def _scores(self, examples):
        batches = examples.batches(self.batch_size, self.limit)
        return self.model.predict_outlier_score(batches)


class KeepBest(keras.callbacks.Callback):
    """Save a checkpoint whenever the watched figure is at its best.

    A later epoch wins a tie. Without a figure to watch, every epoch is saved.
    """

    def __init__(
        self, manager: tf.train.CheckpointManager, monitor, mode="min"
    ):
        """Watch `monitor`, lower is better unless mode is "max"."""
        super().__init__()
        self.manager = manager
        self.monitor = monitor
        self.sign = -1.0 if mode == "max" else 1.0
        self.best = float("inf")

    def on_epoch_end(self, epoch, logs=None):
        """Save if this epoch is at least as good as the best one."""
        value = self.sign * logs[self.monitor] if self.monitor else 0.0
        if value <= (self.best if self.monitor else 0.0):
            self.best = value
            self.manager.save(checkpoint_number=epoch + 1)


class MetricsFile(keras.callbacks.Callback):
    """Append every epoch's figures to a CSV file, one row a figure."""

    COLUMNS = ("phase", "epoch", "step", "seconds", "metric", "value")

    def __init__(self, path, phase: str):
        """Write rows of this phase to `path`, which other phases share."""
        super().__init__()
        self.path = path
        self.phase = phase

    def on_train_begin(self, logs=None):
        """Start the clock, and the file if it is not there."""
        self.start = time.monotonic()
        if not self.path.exists():
            self._append([self.COLUMNS])

    def on_epoch_end(self, epoch, logs=None):
        """Write the figures of `logs`."""
        seconds = f"{time.monotonic() - self.start:.1f}"
        step = int(self.model.optimizer.iterations.numpy())
        self._append(
            [
                (self.phase, epoch + 1, step, seconds, name, float(value))
                for name, value in sorted(logs.items())
            ]
        )

    def _append(self, rows):
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
