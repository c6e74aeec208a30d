"""Checks of examples before a method uses them.

Bad input ends in one sentence that says what to do, whether it is found at once
or when a graph runs.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.setting_checks import check_integer, shown

BAD_INPUT = "Bad input:"
# The one sentence between the marker and the quote or blank that follows it.
_SENTENCE = re.compile(BAD_INPUT + r"[^\n]*?\.(?=['\"\]\s\x1b]|$)")


@contextlib.contextmanager
def explain_bad_input():
    """Explain bad input that a graph has found in the one sentence of a check.

    Raises:
        ValueError: if the input is bad; the message is that sentence.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        sentence = _SENTENCE.search(str(error))
        if sentence is None:
            raise
        raise ValueError(sentence.group()) from None


def shape_checks(x, example_shape):
    """Return operations that refuse a batch of another shape when they run.

    Args:
        x: tensor [batch, ...].
        example_shape: shape of one example; None for sizes that may vary.

    Returns:
        List of operations; empty if the shape is known and fits.

    Raises:
        ValueError: if the shape is known and does not fit.
    """
    shape = (None, *example_shape)
    expected = f"[{', '.join(map(str, ('batch', *example_shape)))}]"
    message = f"{BAD_INPUT} expected examples of shape {expected}, received "
    if not x.shape.is_compatible_with(shape):
        remedy = ""
        if x.shape.is_compatible_with(shape[1:]):
            remedy = "; give a single example as x[None]"
        elif shape[-1] == 1 and x.shape.is_compatible_with(shape[:-1]):
            remedy = "; give images of one channel as x[..., None]"
        elif x.shape.is_compatible_with((None, *example_shape[1:])):
            remedy = "; examples of a dataset need dataset.batch(128)"
        raise ValueError(f"{message}{list(x.shape)}{remedy}.")
    if x.shape[1:].is_fully_defined():
        return []
    # Keras may trace one graph for batches of several shapes. Compared as
    # text, because an element-wise comparison needs equal ranks.
    received = tf.strings.format("{}", tf.shape(x)[1:])
    sizes = [r"\d+" if size is None else str(size) for size in example_shape]
    fits = tf.strings.regex_full_match(received, rf"\[{' '.join(sizes)}\]")
    text = tf.strings.format(message + "{}.", tf.shape(x))
    return [tf.debugging.Assert(fits, [text])]


def not_floating(dtype: tf.DType) -> str:
    """Return a message about examples of another type."""
    return (
        f"{BAD_INPUT} expected floating-point examples, received {dtype.name}; "
        "convert them first, 8-bit images by x.astype('float32') / 255."
    )


def value_checks(x, value_range):
    """Return operations that refuse values of a batch when they run.

    Args:
        x: float tensor [batch, ...].
        value_range: (low, high), the range of valid values, or None for any
            finite value.

    Returns:
        List of operations.
    """
    finite = tf.reduce_all(tf.math.is_finite(x))
    checks = [tf.debugging.Assert(finite, [_NOT_FINITE])]
    if value_range is not None:
        low, high = value_range
        inside = tf.reduce_all((x >= low) & (x <= high))
        checks.append(tf.debugging.Assert(inside, [_out_of_range(low, high)]))
    return checks


_NOT_FINITE = (
    f"{BAD_INPUT} the examples hold NaN or infinity; remove or repair those "
    "examples."
)


def _out_of_range(low, high):
    return (
        f"{BAD_INPUT} expected values in [{low:g}, {high:g}], the bounds of "
        "the visible chain; rescale the examples or change the bounds."
    )


_GOOD, _IS_NOT_FINITE, _IS_OUT_OF_RANGE = range(3)


def example_status(x, value_range):
    """Return what the checks of values say of every example.

    Args:
        x: float tensor [batch, ...].
        value_range: (low, high), the range of valid values, or None for any
            finite value.

    Returns:
        int32 [batch]: 0 for a good example, 1 for one with NaN or infinity, 2
        for one with other values outside the range.
    """
    axes = list(range(1, x.shape.rank))
    finite = tf.reduce_all(tf.math.is_finite(x), axes)
    good = tf.where(finite, _GOOD, _IS_NOT_FINITE)
    if value_range is None:
        return good
    low, high = value_range
    inside = tf.reduce_all((x >= low) & (x <= high), axes)
    return tf.where(finite & ~inside, _IS_OUT_OF_RANGE, good)


def refuse_bad_status(status: np.ndarray, value_range):
    """Refuse examples that `example_status` found bad.

    Args:
        status: int [batch].
        value_range: (low, high), as `example_status` had it.

    Raises:
        ValueError: if one of them is bad; the message is that of
            `value_checks`.
    """
    if np.any(status == _IS_NOT_FINITE):
        raise ValueError(_NOT_FINITE)
    if np.any(status == _IS_OUT_OF_RANGE):
        raise ValueError(_out_of_range(*value_range))


def refuse_sample_weight(sample_weight):
    """Refuse sample weights, which no method takes."""
    if sample_weight is not None:
        raise ValueError(
            f"{BAD_INPUT} sample weights are not supported; leave "
            "sample_weight and class_weight out."
        )


def pick(x, key: str | None):
    """Return the examples of a batch.

    Args:
        x: batch; a dictionary of several tensors if there is a key.
        key: name of the examples in it; None where the batch is the examples.

    Raises:
        ValueError: if the batch is a dictionary without the key, or none.
    """
    if not isinstance(x, Mapping):
        if key is None:
            return x
        raise ValueError(
            f"{BAD_INPUT} expected dictionaries of which key={key!r} is one "
            f"entry, received {type(x).__name__}; leave key out."
        )
    if key not in x:
        raise ValueError(
            f"{BAD_INPUT} the examples are dictionaries of "
            f"{', '.join(map(repr, sorted(x)))}; name one by key, received "
            f"key={key!r}."
        )
    return x[key]


def pick_in_all(x, key: str | None):
    """Return data without what is not an example, by `pick`.

    Args:
        x: a dictionary of arrays, a `tf.data.Dataset` of dictionaries, with or
            without labels; or what has no key.
        key: name of the examples; None where there are no dictionaries.

    Raises:
        ValueError: if there is no such key.
    """
    if not isinstance(x, tf.data.Dataset) or key is None:
        return pick(x, key)

    def of_batch(batch, *others):
        x = pick(batch, key)
        return (x, *others) if others else x

    with explain_bad_input():  # TensorFlow has traced `of_batch` into a graph.
        return x.map(of_batch)


def refuse_masked(x):
    """Refuse masked entries of NumPy, whose values stand for nothing.

    Raises:
        ValueError: if `x` is a masked array with masked entries, or a list of
            such arrays.
    """
    parts = x if isinstance(x, (list, tuple)) else [x]
    masked = [part for part in parts if isinstance(part, np.ma.MaskedArray)]
    count = sum(map(np.ma.count_masked, masked))
    if count:
        raise ValueError(
            f"{BAD_INPUT} {count} of {np.size(x)} values are masked; fill "
            "them, or remove those examples."
        )


def refuse_text(x):
    """Refuse arrays of text or Python objects, which TensorFlow explains badly.

    Raises:
        ValueError: if `x` is one.
    """
    kind = getattr(getattr(x, "dtype", None), "kind", "")
    if isinstance(x, str) or kind in ("O", "S", "U"):
        what = "objects" if kind == "O" else "text"
        raise ValueError(
            f"{BAD_INPUT} expected numbers, received {what}; leave out what is "
            "text, and convert the rest by x.astype('float32')."
        )


def refuse_dates(x):
    """Refuse dates and durations, which NumPy turns into numbers of any unit.

    Args:
        x: an array, or a data frame with `dtypes`.

    Raises:
        ValueError: if there are some.
    """
    # A series has both, and one type.
    types = [x.dtype] if hasattr(x, "dtype") else getattr(x, "dtypes", [])
    if any(
        getattr(dtype, "kind", "") in ("M", "m")
        or str(dtype).startswith("period[")  # pandas counts days or months.
        for dtype in types
    ):
        raise ValueError(
            f"{BAD_INPUT} expected numbers, received dates or durations; leave "
            "them out, or convert them to a number such as hours."
        )


def is_empty(x) -> bool:
    """Return whether an array or a dataset is known to have no examples."""
    if isinstance(x, tf.data.Dataset):
        return int(x.cardinality()) == 0
    return hasattr(x, "__len__") and len(x) == 0


def as_batches(x, batch_size: int):
    """Cut an array into batches, or return the batches that are given.

    Args:
        x: array, list, tensor or table [num_examples, ...]; or a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a generator or another
            iterable of batches.
        batch_size: examples per batch of an array, > 0.

    Returns:
        Iterable of batches.

    Raises:
        ValueError: if the batches have no end, or the batch size is not an
            integer > 0.
    """
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches is None:
            raise ValueError(
                f"{BAD_INPUT} the PyDataset has no end; give it a length."
            )
        return (x[index] for index in range(x.num_batches))
    if (
        isinstance(x, tf.data.Dataset)
        and x.cardinality() == tf.data.INFINITE_CARDINALITY
    ):
        raise ValueError(
            f"{BAD_INPUT} the dataset has no end; leave repeat() out, or end "
            "it by take()."
        )
    if hasattr(x, "toarray"):  # SciPy's, whose iteration ends in many lines.
        raise ValueError(
            f"{BAD_INPUT} expected a full array, received a sparse "
            f"{type(x).__name__}; use x.toarray()."
        )
    if isinstance(x, Iterable) and not is_array(x):
        return x
    check_integer("predict_outlier_score", "batch_size", batch_size, 1)
    refuse_masked(x)
    values = np.asarray(x)
    if not values.ndim:
        raise ValueError(
            f"{BAD_INPUT} expected examples [number, ...], received {shown(x)}."
        )
    starts = range(0, len(values), batch_size)
    return (values[start : start + batch_size] for start in starts)


def is_array(x) -> bool:
    """Return whether NumPy can convert a value to an array."""
    return isinstance(x, Sequence) or hasattr(x, "__array__")
