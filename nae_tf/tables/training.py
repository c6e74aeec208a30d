"""Both phases of training for all members at once, in one graph.

A graph is traced once per process and kind of negative samples: weights are its
arguments, so that tables of any width share it. All random numbers depend on
the seed and on the number of the step.
"""

import functools
import math

import numpy as np
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.randomness import Purpose
from nae_tf.base.setting_checks import check_integer
from nae_tf.tables import members

# Adam (Kingma & Ba 2015), with the defaults of its paper.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
_WARM_UP_STEPS = 30
# Kernels and biases of two layers, of encoder and decoder.
_NUM_WEIGHTS = 8


def folds(num_rows: int, num_members: int, seed: int) -> np.ndarray:
    """Assign every row to the one member that is not trained on it.

    Args:
        num_rows: number of rows, > 0.
        num_members: number of members, > 1.
        seed: int >= 0.

    Returns:
        int [rows], numbers of members, as equal in number as they can be; -1
        for all rows if there are fewer than two per member.

    Raises:
        ValueError: if a number is out of range.

    Example:
        >>> from nae_tf.tables import folds
        >>> sorted(folds(num_rows=6, num_members=3, seed=0).tolist())
        [0, 0, 1, 1, 2, 2]
    """
    check_integer("folds", "num_rows", num_rows, 1)
    check_integer("folds", "num_members", num_members, 2)
    check_integer("folds", "seed", seed, 0)
    if num_rows < 2 * num_members:
        return np.full(num_rows, -1)
    generator = np.random.default_rng(seed)
    return generator.permutation(np.arange(num_rows) % num_members)


def training_rows(fold: np.ndarray, num_members: int):
    """List the rows that each member is trained on.

    Args:
        fold: int [rows], as `folds` returns it.
        num_members: number of members.

    Returns:
        rows: int32 [members, most rows], padded with row 0.
        counts: int32 [members], how many of them count.
    """
    lists = [np.flatnonzero(fold != member) for member in range(num_members)]
    counts = np.array([len(rows) for rows in lists], np.int32)
    padded = np.zeros((num_members, max(counts)), np.int32)
    for row, found in zip(padded, lists, strict=True):
        row[: len(found)] = found
    return padded, counts


def train(
    x, fold, weights, steps, learning_rate, seed, *, batch_size, negatives=None
):
    """Train all members, each on the rows of the other folds.

    Args:
        x: float32 [rows, features].
        fold: int [rows], as `folds` returns it.
        weights: as `initial_weights` returns them.
        steps: number of steps of Adam, >= 0. The rate rises for 30 steps and
            falls along a cosine.
        learning_rate: the highest rate, > 0.
        seed: int, seed of batches and noise.
        batch_size: number of examples per member and step, > 0; drawn with
            replacement.
        negatives: `Projected` or `Displaced`; None trains autoencoders on
            examples with noise.

    Returns:
        The weights after training, a list of tensors.
    """
    rows, counts = training_rows(fold, len(weights[0]))
    shapes = np.array([tuple(weight.shape) for weight in weights], np.int32)
    run = _compiled(negatives)
    # Operations are so small that handing them to other threads costs more.
    with tf.experimental.function_executor_type("SINGLE_THREADED_EXECUTOR"):
        return run(
            tf.constant(x),
            tf.constant(rows),
            tf.constant(counts),
            tf.concat([tf.reshape(weight, [-1]) for weight in weights], 0),
            tf.constant(shapes),
            tf.constant(steps),
            tf.constant(learning_rate, tf.float32),
            tf.constant(seed),
            tf.constant(batch_size),
        )


# Differs from the paper: examples of the first phase carry noise, so that an
# autoencoder of as many latents as features is no identity.
_INPUT_NOISE = 0.3


def _autoencoder_loss(x, weights, seed):
    """Mean squared error of examples from their noisy copies."""
    # All members have the same noise, each with a batch of its own: draws are
    # a third of the cost of a step.
    noise = randomness.normal(tf.shape(x[:1]), seed, x.dtype)
    z = members.encode(x + _INPUT_NOISE * noise, weights)
    return tf.reduce_mean(
        tf.math.squared_difference(x, members.decode(z, weights))
    )


def _nae_loss(negatives, x, weights, seed):
    """Loss of data and of negative samples, which carry no gradient."""
    x_negative = tf.stop_gradient(negatives.draw(x, weights, seed))
    # One pass for both, because calls dominate the cost of small networks.
    energy = members.energies(tf.concat([x, x_negative], 1), weights)
    positive, negative = tf.split(energy, 2, axis=1)
    return negatives.loss(x, x_negative, positive, negative)


@functools.cache
def _compiled(negatives):
    """Return the graph of one phase; it holds no weights and no data."""
    if negatives is None:
        loss_fn = _autoencoder_loss
    else:
        loss_fn = functools.partial(_nae_loss, negatives)

    def run(x, rows, counts, flat, shapes, steps, rate, seed, batch_size):
        sizes = tf.reduce_prod(shapes, axis=1)

        def weights_of(flat):
            parts = tf.split(flat, sizes, num=_NUM_WEIGHTS)
            return [tf.reshape(p, shapes[i]) for i, p in enumerate(parts)]

        def body(step, flat, mean, square):
            step_seed = randomness.step_seed(seed, step)
            batch = _batch(rows, counts, batch_size, step_seed)
            examples = tf.gather(x, batch)
            noise_seed = randomness.fold_in(step_seed, Purpose.NOISE)
            with tf.GradientTape() as tape:
                tape.watch(flat)
                loss = loss_fn(examples, weights_of(flat), noise_seed)
            # Members share nothing: a member's gradient is its own.
            gradient = tape.gradient(loss, flat)
            step_rate = _rate(rate, step, steps)
            return step + 1, *_adam(
                flat, mean, square, gradient, step_rate, step + 1
            )

        zeros = tf.zeros_like(flat)
        state = tf.constant(0), flat, zeros, zeros
        _, flat, _, _ = tf.while_loop(
            lambda step, *_: step < steps, body, state
        )
        return weights_of(flat)

    scalar = tf.TensorSpec([], tf.int32)
    return tf.function(
        run,
        input_signature=[
            tf.TensorSpec([None, None], tf.float32),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.float32),
            tf.TensorSpec([_NUM_WEIGHTS, 3], tf.int32),
            scalar,
            tf.TensorSpec([], tf.float32),
            scalar,
            scalar,
        ],
        autograph=False,
    )


def _batch(rows, counts, batch_size, seed):
    """Draw numbers of rows, int32 [members, batch]."""
    limit = tf.cast(counts, tf.float32)[:, None]
    share = randomness.uniform(
        [tf.shape(rows)[0], batch_size], seed, limit.dtype
    )
    # Rounding may reach the limit itself.
    position = tf.minimum(tf.cast(share * limit, tf.int32), counts[:, None] - 1)
    return tf.gather(rows, position, batch_dims=1)


def _rate(rate, step, steps):
    """Learning rate of a step: warm-up, then half a cosine."""
    step, steps = tf.cast(step + 1, tf.float32), tf.cast(steps, tf.float32)
    warm_up = tf.minimum(1.0, step / _WARM_UP_STEPS)
    return rate * warm_up * 0.5 * (1 + tf.cos(math.pi * step / steps))


def _adam(flat, mean, square, gradient, rate, count):
    """Take a step of Adam; returns weights and both moments."""
    count = tf.cast(count, tf.float32)
    rate *= tf.sqrt(1 - _BETA2**count) / (1 - _BETA1**count)
    mean = _BETA1 * mean + (1 - _BETA1) * gradient
    square = _BETA2 * square + (1 - _BETA2) * tf.square(gradient)
    return flat - rate * mean / (tf.sqrt(square) + _EPSILON), mean, square
