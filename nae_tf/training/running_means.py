"""The running means of the current epoch, kept over an interruption.

Every replica sums over its own examples. The sums are kept replica by replica,
because the sum of all, divided again, would end in another rounding.
"""

import keras
import numpy as np
import tensorflow as tf

from nae_tf.training.distribution import all_gather, worker_index

# Values of the variables of a mean, of every replica.
Parts = list[list[float]]


def get_means(model) -> dict[str, Parts]:
    """Return the running means of a model. A collective operation."""
    means = {}
    for name, mean in model.means.items():
        here = [[float(part) for part in _parts(v)] for v in mean.variables]
        workers = all_gather(*np.ravel(here))
        by_worker = workers.reshape([len(workers), *np.shape(here)])
        means[name] = np.concatenate(by_worker, axis=-1).tolist()
    return means


def set_means(model, means: dict[str, Parts]):
    """Set the running means of a model.

    Args:
        model: model with means of the same names.
        means: result of `get_means`, also for another number of replicas.
    """
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
    """Return the parts of a distributed variable in this process."""
    strategy = tf.distribute.get_strategy()
    return strategy.experimental_local_results(variable.value)


class RestoreMeans(keras.callbacks.Callback):
    """Set the running means after `fit` has reset them."""

    def __init__(self, means: dict[str, Parts]):
        """Keep the means until the first epoch begins.

        Args:
            means: result of `get_means`; {} changes nothing.
        """
        super().__init__()
        self.means = means

    def on_epoch_begin(self, epoch, logs=None):
        """Set them once."""
        set_means(self.model, self.means)
        self.means = {}
