"""Arrays of numbers from outside: scores, p-values, features of samples.

NumPy makes numbers of much that is none: of dates, of what a mask hides, of
True. An array of these is refused instead of being taken for numbers.
"""

import numpy as np

# What types hold that are no numbers, by NumPy's letters for their kinds.
NO_NUMBERS = {
    **dict.fromkeys("SUT", "text"),
    "c": "complex numbers",
    "M": "dates",
    "m": "durations",
}
_KINDS = NO_NUMBERS | {"b": "booleans", "O": "objects"}


def as_numbers(
    owner: str, name: str, values, rank: int | None = None
) -> np.ndarray:
    """Return values as an array of numbers.

    Args:
        owner: class or function that takes them.
        name: what they are, in the plural.
        values: array, list, tensor or series of integers or floats; NaN and
            infinity are numbers.
        rank: number of axes; None for any.

    Returns:
        float64, shape of the values.

    Raises:
        ValueError: if they are something else.

    Example:
        >>> from nae_tf.base.number_arrays import as_numbers
        >>> as_numbers("auroc", "scores", [1, 2.5], rank=1)
        array([1. , 2.5])
        >>> as_numbers("auroc", "scores", ["high", "low"])
        Traceback (most recent call last):
        ValueError: auroc: expected numbers as scores, received text.
    """
    try:
        array = np.asanyarray(values)
    except (ValueError, TypeError) as error:  # Lists of several lengths.
        raise ValueError(
            f"{owner}: expected numbers as {name}, received "
            f"{type(values).__name__} that is no array."
        ) from error
    array = widened(array)
    masked = np.ma.count_masked(array) if np.ma.isMA(array) else 0
    if masked:
        raise ValueError(
            f"{owner}: {masked} of {array.size} {name} are masked; leave them "
            "out, or fill them."
        )
    if array.dtype.kind not in "iuf":
        what = _KINDS.get(array.dtype.kind, str(array.dtype))
        raise ValueError(
            f"{owner}: expected numbers as {name}, received {what}."
        )
    if rank is not None and array.ndim != rank:
        raise ValueError(
            f"{owner}: expected {name} in an array of {_axes(rank)}, received "
            f"one of shape {array.shape}."
        )
    return np.asarray(array, np.float64)


def widened(array: np.ndarray) -> np.ndarray:
    """Return numbers of ml_dtypes, as bfloat16, as float32; others as they are.

    NumPy counts them as bytes, and adds them up in their own precision: in
    bfloat16 the mean of 100,000 numbers of about 1 is .005.

    Example:
        >>> import ml_dtypes
        >>> import numpy as np
        >>> from nae_tf.base.number_arrays import widened
        >>> float(widened(np.ones(1000).astype(ml_dtypes.bfloat16)).sum())
        1000.0
    """
    dtype = array.dtype
    is_small = dtype.kind == "V" and dtype.type.__module__ == "ml_dtypes"
    return array.astype(np.float32) if is_small else array


def _axes(rank):
    return "one axis" if rank == 1 else f"{rank} axes"
