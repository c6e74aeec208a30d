"""Some examples of the data that `fit` is given, read before it reads them."""

import itertools
import math
import types

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.input_checks import BAD_INPUT, is_array, pick

_NUM_FIRST = 1_024


def some_examples(x, number: int):
    """Read some examples before `fit` reads them all.

    Args:
        x: array [num_examples, ...], or batches with or without labels: a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or a generator.
        number: number of examples, > 0. There are fewer where the data have
            fewer, and as many more as the last batch has.

    Returns:
        examples: array [number, ...]. Those of an array are evenly spaced,
            because data may be in the order of their labels.
        x: the given data. A generator, which can be read only once, is replaced
            by one that begins with what was read.

    Raises:
        ValueError: if there are no examples, or the data are of another kind.

    Example:
        >>> import numpy as np
        >>> from nae_tf.base.some_examples import some_examples
        >>> batches = ((np.full((2, 3), number),) for number in range(4))
        >>> examples, batches = some_examples(batches, 4)
        >>> examples.shape, len(list(batches))
        ((4, 3), 4)
    """
    if is_array(x):
        rows = np.asarray(x)
        return rows[:: math.ceil(len(rows) / number)], x
    if isinstance(x, keras.utils.PyDataset):
        endless = x.num_batches is None
        indices = itertools.count() if endless else range(x.num_batches)
        batches = (x[index] for index in indices)
    elif isinstance(x, tf.data.Dataset | types.GeneratorType):
        batches = x
    else:
        raise ValueError(
            f"{BAD_INPUT} expected an array, a tf.data.Dataset, a PyDataset or "
            f"a generator, received {type(x).__name__}."
        )
    read, examples = _read(batches, number)
    if not examples:
        raise ValueError(f"{BAD_INPUT} there are no examples to fit.")
    if isinstance(x, types.GeneratorType):
        x = (batch for batch in itertools.chain(read, x))
    return np.concatenate(examples), x


def first_examples(x):
    """Return some examples of what `fit` takes, without consuming it.

    Args:
        x: an array, `tf.data.Dataset` or `keras.utils.PyDataset` of batches,
            with or without labels.

    Returns:
        An array: all examples of an array, about a thousand of batches. None
        for what can be read only once.
    """
    if isinstance(x, keras.utils.PyDataset):
        batches = [x[0]]
    elif isinstance(x, tf.data.Dataset):
        batches = x
    else:
        return np.asarray(x) if is_array(x) else None
    _, examples = _read(batches, _NUM_FIRST)
    return np.concatenate(examples) if examples else None


def _read(batches, number):
    """Read batches until there are `number` examples, or there are no more.

    Returns:
        The batches as they are, and the examples of each.
    """
    read: list = []
    examples: list[np.ndarray] = []
    for batch in batches:
        read.append(batch)
        rows, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        examples.append(np.asarray(pick(rows, None)))
        if sum(len(rows) for rows in examples) >= number:
            break
    return read, examples
