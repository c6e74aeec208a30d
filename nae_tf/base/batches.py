"""Batches, split and padded, and numbers converted to their dtype."""

import tensorflow as tf


def scalar_like(value, x):
    """Convert a number or a scalar tensor to the type of `x`.

    `tf.cast` would round a Python number to single precision on the way.

    Args:
        value: float or float scalar tensor.
        x: tensor whose type is taken.

    Returns:
        Scalar tensor.
    """
    if tf.is_tensor(value):
        return tf.cast(value, x.dtype)
    return tf.convert_to_tensor(value, x.dtype)


def split_batch(x, num_parts: int):
    """Cut a batch of any size into parts of nearly equal size.

    Args:
        x: float [batch, ...].
        num_parts: number of parts, > 0.

    Returns:
        A list of `num_parts` tensors; some are empty if the batch is smaller.
    """
    ends = tf.range(num_parts + 1) * tf.shape(x)[0] // num_parts
    return tf.split(x, ends[1:] - ends[:-1], num=num_parts)


def pad_batch(x, num_rows: int):
    """Append rows of zeros to a batch that has too few.

    Args:
        x: float [batch, ...].
        num_rows: smallest number of rows of the result.

    Returns:
        float [max(batch, num_rows), ...].
    """
    missing = tf.maximum(num_rows - tf.shape(x)[0], 0)
    paddings = [[0, missing], *([[0, 0]] * (x.shape.rank - 1))]
    return tf.ensure_shape(tf.pad(x, paddings), [None, *x.shape[1:]])
