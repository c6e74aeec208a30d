"""Callbacks at the end of an epoch: best weights, averages, early stopping."""

import math

import keras

from nae_tf.runs.checkpoints import WeightsCopy


class ResumableCallback(keras.callbacks.Callback):
    """A callback whose state is saved in the run's checkpoints."""

    def get_state(self) -> dict:
        """Return the state, a dictionary of JSON values."""
        raise NotImplementedError

    def set_state(self, state: dict):
        """Restore a state that `get_state` returned."""
        raise NotImplementedError


class KeepBest(ResumableCallback):
    """Keep the weights of the epoch with the best value of a metric.

    Of equal epochs the later one is the best.
    """

    def __init__(self, weights: WeightsCopy, monitor: str, mode: str = "min"):
        """Watch a metric.

        Args:
            weights: place for the weights of the best epoch.
            monitor: name of the metric in the logs of an epoch.
            mode: "min" if lower values are better, "max" if higher ones are.
        """
        super().__init__()
        self.weights = weights
        self.monitor = monitor
        self.sign = -1.0 if mode == "max" else 1.0
        self.best = math.inf
        self.epoch: int | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Keep the weights if this epoch is at least as good."""
        value = self.sign * logs[self.monitor]
        if value <= self.best:
            self.best = value
            self.epoch = epoch + 1
            self.weights.copy_from(self.model)

    def finish(self):
        """Leave the weights of the best epoch in the model, for good."""
        if self.epoch is not None:
            self.weights.copy_to(self.model)

    def get_state(self):
        """Return the best value and its epoch."""
        return {"best": float(self.best), "epoch": self.epoch}

    def set_state(self, state):
        """Restore value and epoch; the weights are in the checkpoint."""
        self.best, self.epoch = state["best"], state["epoch"]


class AveragedWeights(keras.callbacks.Callback):
    """Give the model averaged weights at the end of an epoch.

    An optimizer with `use_ema` averages the weights over its steps. Validation,
    selection, the best epoch and pictures use the averages. Training continues
    from the weights themselves, which checkpoints hold until the phase is over.

    The callback comes after all callbacks that use the model.
    """

    def __init__(self, weights: WeightsCopy):
        """Prepare the change of weights.

        Args:
            weights: place for the weights while the model has the averages.
        """
        super().__init__()
        self.weights = weights

    def on_test_begin(self, logs=None):
        """Give the model the averages after the steps of an epoch."""
        self.weights.copy_from(self.model)
        self._overwrite()

    def on_epoch_end(self, epoch, logs=None):
        """Give the model its own weights again."""
        self.weights.copy_to(self.model)

    def on_train_end(self, logs=None):
        """Undo the averages that Keras sets at the end of `fit`.

        The phase may continue in another call of `fit`.
        """
        self.weights.copy_to(self.model)

    def finish(self):
        """Set the model to the averages at the end of the phase."""
        self._overwrite()
        self.weights.copy_from(self.model)

    def _overwrite(self):
        self.model.optimizer.finalize_variable_values(
            self.model.trainable_variables
        )


class EarlyStopping(ResumableCallback):
    """Stop when a metric has not improved for `patience` epochs.

    Unlike Keras's callback, it continues to count after a resume.
    """

    def __init__(self, monitor: str, patience: int, mode: str = "min"):
        """Watch a metric.

        Args:
            monitor: name of the metric in the logs of an epoch.
            patience: number of epochs without improvement, > 0.
            mode: "min" if lower values are better, "max" if higher ones are.
        """
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.sign = -1.0 if mode == "max" else 1.0
        self.best = math.inf
        self.waited = 0

    def on_epoch_end(self, epoch, logs=None):
        """Stop after too many epochs without improvement."""
        value = self.sign * logs[self.monitor]
        if value < self.best:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            self.model.stop_training = True

    def get_state(self):
        """Return the best value and the number of epochs since then."""
        return {"best": float(self.best), "waited": self.waited}

    def set_state(self, state):
        """Restore the best value and the number of epochs since then."""
        self.best, self.waited = state["best"], state["waited"]
