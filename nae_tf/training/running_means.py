"""The running means of an epoch under way, kept over an interruption.

Every replica sums up its own examples. Sums are kept replica by replica, since
the sum of all, shared out again, would end in another rounding.
"""

import keras
import numpy as np
import tensorflow as tf

from nae_tf.training.distribution import gathered, worker_index

# Variables of a mean, each with a value of every replica.
Parts = list[list[float]]


def get_means(model) -> dict[str, Parts]:
    """Return a model's running means; all workers must ask at the same time."""
    means = {}
    for name, mean in model.means.items():
        here = [[float(part) for part in _parts(v)] for v in mean.variables]
        workers = gathered(*np.ravel(here))
        by_worker = workers.reshape([len(workers), *np.shape(here)])
        means[name] = np.concatenate(by_worker, axis=-1).tolist()
    return means


def set_means(model, means: dict[str, Parts]):
    """Set what `get_means` returned, also of another number of replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    for name, values_of_variables in means.items():
        variables = model.means[name].variables
        for variable, values in zip(
            variables, values_of_variables, strict=True
        ):
            if len(values) != replicas:
                variable.assign(sum(values))
                continue
            parts = _parts(variable)
            first = worker_index() * len(parts)
            for part, value in zip(parts, values[first:], strict=False):
                part.assign(value)


def _parts(variable):
    """Variables of this process's replicas that make up a distributed one."""
    strategy = tf.distribute.get_strategy()
    return strategy.experimental_local_results(variable.value)


class RestoreMeans(keras.callbacks.Callback):
    """Set the running means, which `fit` resets, when it has done so."""

    def __init__(self, means: dict[str, Parts]):
        """Keep the means until the first epoch begins; {} leaves them."""
        super().__init__()
        self.means = means

    def on_epoch_begin(self, epoch, logs=None):
        """Set them once."""
        set_means(self.model, self.means)
        self.means = {}
