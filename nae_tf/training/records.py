"""Records of training: metrics.csv and the progress on the terminal."""

import csv
import sys
import time
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from nae_tf.runs.disk import explain_write_errors
from nae_tf.runs.progress import print_status, terminal_bar
from nae_tf.training.callbacks import ResumableCallback

# Metrics on the terminal, in this order, and what a line calls them. Those of
# other methods follow under their own names, as far as they fit.
_TERMS = {
    "loss": "loss",
    "reconstruction_error": "error",
    "val_reconstruction_error": "validation error",
    "positive_energy": "E data",
    "negative_energy": "E samples",
    "selection_auroc": "selection AUROC",
    "sample_gap": "gap",
    "sample_distance": "distance",
    "temperature": "T",
    "val_positive_energy": "E validation",
    "val_loss": "validation loss",
}
# Metrics that a line says by others: the energies of NAE are its loss, but for
# small penalties.
_IMPLIED = {"energy_gap"}
_EXPLANATIONS = {
    "reconstruction_error": "error: mean squared error of reconstructions",
    "positive_energy": "E: energy, the error; samples: negative samples; gap, "
    "distance: of samples from data",
}
_WIDTH = 99


def explanation(names) -> str | None:
    """Return a line that explains what the lines of epochs will call metrics.

    Args:
        names: names of the metrics of a model.
    """
    for name, text in _EXPLANATIONS.items():
        if name in names:
            return text
    return None


def epoch_line(title: str, logs: Mapping, end: str = "") -> str:
    """Lay out the metrics of an epoch in a line of less than 100 characters.

    Args:
        title: beginning of the line.
        logs: metrics by name.
        end: end of the line.

    Example:
        >>> from nae_tf.training.records import epoch_line
        >>> epoch_line("training 1/9", {"loss": 0.5, "val_loss": 2 / 3})
        'training 1/9  loss 0.500  validation loss 0.667'
    """
    shown = [name for name in _TERMS if name in logs]
    if "negative_energy" in shown and "loss" in shown:
        shown.remove("loss")
    # Without validation's twins, and without the parts of a mean.
    shown += [
        name
        for name in logs
        if name not in _TERMS
        and name not in _IMPLIED
        and not name.startswith(("val_", "outliers/"))
    ]
    if "val_reconstruction_error" in shown and "val_loss" in shown:
        shown.remove("val_loss")
    line = title
    for name in shown:
        part = f"  {_TERMS.get(name, name)} {_rounded(logs[name])}"
        if len(line) + len(part) + len(end) <= _WIDTH:
            line += part
    return line + end


def _rounded(value) -> str:
    """Three digits, also where the last of them are zeros.

    Numbers of one length: whether the last metric fits does not depend on luck.
    """
    return f"{float(value):#.3g}".rstrip(".")


class ReplayBufferMetrics(keras.callbacks.Callback):
    """Add the age and the diversity of a replay buffer to the logs of an epoch.

    "replay_buffer_age" is the mean number of training steps since the stored
    states were the ends of chains. "replay_buffer_diversity" is the mean
    distance between two stored states. It is 0 if all chains end in one place,
    and 1.41 for independent points of a high-dimensional sphere.
    """

    NUM_PAIRS = 512

    def on_epoch_end(self, epoch, logs=None):
        """Add the metrics to `logs` for later callbacks."""
        buffer = getattr(self.model, "replay_buffer", None)
        if buffer is None or int(buffer.size) == 0:
            return
        size, num_pushed = int(buffer.size), int(buffer.num_pushed)
        # Every step pushes equally many states, unless a checkpoint of another
        # number of replicas was restored.
        steps = int(self.model.num_batches.numpy())
        states_per_step = max(num_pushed // steps, 1)
        ages = np.arange(size) // states_per_step
        logs["replay_buffer_age"] = float(ages.mean())
        rng = np.random.default_rng(epoch)
        first = rng.integers(size, size=self.NUM_PAIRS)
        # The second state is never the first itself.
        second = (first + rng.integers(1, max(size, 2), len(first))) % size
        states = buffer.states
        offsets = tf.gather(states, first) - tf.gather(states, second)
        offsets = tf.reshape(offsets, [self.NUM_PAIRS, -1])
        distances = tf.norm(offsets, axis=1)
        logs["replay_buffer_diversity"] = float(tf.reduce_mean(distances))


class MetricsFile(ResumableCallback):
    """Append the metrics of every epoch to a CSV file, one row per metric."""

    COLUMNS = ("phase", "epoch", "step", "seconds", "metric", "value")

    def __init__(self, path, phase: str):
        """Prepare the rows of a phase.

        Args:
            path: path of the file, which all phases share.
            phase: name of the phase.
        """
        super().__init__()
        self.path = path
        self.phase = phase
        self.start: float | None = None

    def on_train_begin(self, logs=None):
        """Start the clock, and the file if it is not there."""
        if self.start is None:
            # Not the time of day, which may be changed during a training.
            self.start = time.monotonic()
        if not self.path.exists() or self.path.stat().st_size == 0:
            self._append([self.COLUMNS])

    def on_epoch_end(self, epoch, logs=None):
        """Write the metrics of `logs`."""
        seconds = f"{self._seconds():.1f}"
        step = int(self.model.optimizer.iterations.numpy())
        self._append(
            [
                (self.phase, epoch + 1, step, seconds, name, float(value))
                for name, value in sorted(logs.items())
            ]
        )

    def get_state(self):
        """Return the seconds of training of the phase."""
        return {"seconds": self._seconds()}

    def set_state(self, state):
        """Continue the clock from there."""
        self.start = time.monotonic() - state["seconds"]

    def _seconds(self):
        return 0.0 if self.start is None else time.monotonic() - self.start

    def _append(self, rows):
        with (
            explain_write_errors(
                f"cannot write {str(self.path)!r}", "continue with --resume"
            ),
            open(self.path, "a", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows(rows)


class TrainingProgress(keras.callbacks.Callback):
    """A bar for all steps of a phase, and a line for every epoch."""

    def __init__(self, title: str, epochs: int, steps_per_epoch: int):
        """Prepare the bar; a resumed phase starts where it was.

        Args:
            title: text before the bar.
            epochs: number of epochs of the phase.
            steps_per_epoch: steps per epoch.
        """
        super().__init__()
        self.title = title
        self.epochs = epochs
        self.total = epochs * steps_per_epoch

    def on_train_begin(self, logs=None):
        """Show the bar."""
        self.start = time.monotonic()
        self.first_step = self._step()
        self.bar = terminal_bar(self.total, "step", self.title, self.first_step)

    def on_train_batch_end(self, batch, logs=None):
        """Count a step."""
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        """Print the metrics of the epoch, and without a bar the time left."""
        title = f"{self.title} {epoch + 1}/{self.epochs}"
        if not self.bar.disable:
            self.bar.write(epoch_line(title, logs), file=sys.stderr)
            return
        step = self._step()
        pace = (time.monotonic() - self.start) / max(step - self.first_step, 1)
        left = tqdm.format_interval(pace * (self.total - step))
        print_status(epoch_line(title, logs, f"  ({left} left)"))

    def on_train_end(self, logs=None):
        """Remove the bar."""
        self.bar.close()

    def _step(self):
        return int(self.model.optimizer.iterations.numpy())
