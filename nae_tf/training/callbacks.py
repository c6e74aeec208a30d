"""What happens at the end of an epoch: selection, best weights, records."""

import math

import keras

from nae_tf.data.task import Task
from nae_tf.metrics.detection import auroc
from nae_tf.runs.checkpoints import WeightsCopy
from nae_tf.training.distribution import agreed


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
        # Rounding differs between machines, and decisions hang on these.
        values = dict(zip(values, agreed(*values.values()), strict=True))
        logs.update(values)
        logs[self.MONITOR] = sum(values.values()) / len(values)

    def _scores(self, examples):
        batches = examples.batches(self.batch_size, self.limit)
        return self.model.predict_outlier_score(batches)


class ResumableCallback(keras.callbacks.Callback):
    """A callback whose state belongs into the run's checkpoints."""

    def get_state(self) -> dict:
        """Return the state, JSON values."""
        raise NotImplementedError

    def set_state(self, state: dict):
        """Go on from what `get_state` returned."""
        raise NotImplementedError


class KeepBest(ResumableCallback):
    """Remember the weights of the epoch with the best figure.

    A later epoch wins a tie.
    """

    def __init__(self, weights: WeightsCopy, monitor: str, mode: str = "min"):
        """Watch `monitor`, lower is better unless mode is "max"."""
        super().__init__()
        self.weights = weights
        self.monitor = monitor
        self.sign = -1.0 if mode == "max" else 1.0
        self.best = math.inf
        self.epoch: int | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Remember the weights if this epoch is at least as good."""
        value = self.sign * logs[self.monitor]
        if value <= self.best:
            self.best = value
            self.epoch = epoch + 1
            self.weights.copy_from(self.model)

    def get_state(self):
        """Return the best figure and its epoch."""
        return {"best": float(self.best), "epoch": self.epoch}

    def set_state(self, state):
        """Go on; the weights themselves are in the checkpoint."""
        self.best, self.epoch = state["best"], state["epoch"]


class AveragedWeights(keras.callbacks.Callback):
    """Judge, keep and hand over the averages that an optimizer holds.

    An optimizer with `use_ema` averages the weights over its steps. What an
    epoch ends with (validation, selection, the best epoch, pictures) sees the
    averages; training goes on from the weights themselves, which are also what
    a checkpoint has until the phase is over.

    It stands after all callbacks that look at the model.
    """

    def __init__(self, weights: WeightsCopy):
        """Put the weights by in `weights` while the model has the averages."""
        super().__init__()
        self.weights = weights

    def on_test_begin(self, logs=None):
        """Give the model the averages: an epoch's steps are over."""
        self.weights.copy_from(self.model)
        self._overwrite()

    def on_epoch_end(self, epoch, logs=None):
        """Give it back its weights."""
        self.weights.copy_to(self.model)

    def on_train_end(self, logs=None):
        """Undo what Keras does at the end of `fit`: the phase may go on."""
        self.weights.copy_to(self.model)

    def finish(self):
        """Leave the averages in the model, for good."""
        self._overwrite()
        self.weights.copy_from(self.model)

    def _overwrite(self):
        self.model.optimizer.finalize_variable_values(
            self.model.trainable_variables
        )


class EarlyStopping(ResumableCallback):
    """Stop when a figure has not improved for `patience` epochs.

    Keras's own forgets on resuming how long it has waited.
    """

    def __init__(self, monitor: str, patience: int, mode: str = "min"):
        """Watch `monitor`, lower is better unless mode is "max"."""
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.sign = -1.0 if mode == "max" else 1.0
        self.best = math.inf
        self.waited = 0

    def on_epoch_end(self, epoch, logs=None):
        """Stop if it is time."""
        value = self.sign * logs[self.monitor]
        if value < self.best:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            self.model.stop_training = True

    def get_state(self):
        """Return the best figure and the epochs since."""
        return {"best": float(self.best), "waited": self.waited}

    def set_state(self, state):
        """Go on waiting."""
        self.best, self.waited = state["best"], state["waited"]
