"""Counter-based randomness: a seed is a value, never a state.

Every random number of training derives from (run seed, step, replica, purpose),
so a resumed run needs no generator state and two replicas never share noise.
"""

import enum

import tensorflow as tf

# Named, not "auto_select", so that every kind of device draws the same numbers.
# XLA draws others.
_ALGORITHM = "philox"


class Purpose(enum.IntEnum):
    """Purpose of a stream of random numbers; the streams are independent."""

    CHAIN_START = 0
    REPLAY = 1
    LATENT_CHAIN = 2
    VISIBLE_CHAIN = 3
    GENERATION = 4
    NOISE = 5


def step_seed(seed, step, replica=0):
    """Seed of one training step on one replica.

    Args:
        seed: seed of the run, int.
        step: number of the training step, from 0. Streams that belong to no
            step have negative numbers.
        replica: index of the replica, int >= 0.

    Returns:
        int32 [2].
    """
    run_seed = tf.stack([tf.cast(seed, tf.int32), tf.cast(step, tf.int32)])
    return fold_in(run_seed, replica)


def fold_in(seed, data):
    """Derive an independent seed from `seed` and an integer.

    Args:
        seed: stateless seed, int [2].
        data: integer to derive from, for example a `Purpose` or the index of a
            step of a chain.

    Returns:
        int32 [2].
    """
    data = tf.cast(data, tf.int32)
    return tf.random.experimental.stateless_fold_in(seed, data, _ALGORITHM)


def layer_seeds(model) -> list:
    """Return the states of the random numbers of layers such as `Dropout`.

    Keras's files do not hold them, nor does `tf.train.Checkpoint`.

    Args:
        model: a built `keras.Model`.

    Returns:
        Variables, uint32 [2] each.
    """
    others = {id(v) for v in (*model.weights, *model.metrics_variables)}
    return [v for v in model.variables if id(v) not in others]


def normal(shape, seed, dtype):
    """Draw from the standard normal distribution.

    Args:
        shape: shape of the result.
        seed: stateless seed, int [2].
        dtype: floating dtype of the result.
    """
    return tf.random.stateless_normal(shape, seed, dtype=dtype, alg=_ALGORITHM)


def uniform(shape, seed, dtype, low=0.0, high=1.0):
    """Draw from the uniform distribution on [low, high).

    Args:
        shape: shape of the result.
        seed: stateless seed, int [2].
        dtype: floating dtype of the result.
        low: lower end of the interval.
        high: upper end of the interval.
    """
    return tf.random.stateless_uniform(
        shape, seed, minval=low, maxval=high, dtype=dtype, alg=_ALGORITHM
    )
