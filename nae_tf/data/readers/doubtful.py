"""Warnings of features whose values are probably not what they say.

A row or a column may hold no measurements, and a table may lie on its side. It
cannot be known, so nothing is changed or refused.
"""

import re
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from nae_tf.base.feature_names import Names, listed, more, named

# Rows that tell a counter, and a row of totals, from a coincidence.
_COUNTED, _SUMMED = 20, 4
# Rows that tell dates from numbers, which look so in 4 of 100 cases.
_DATED = 5
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_PADDED = re.compile(r"[+-]?0\d+")


def warn_of_rows(title, values: np.ndarray, names: Names | None):
    """Warn of a column that counts the rows, and of a last row of totals.

    Args:
        title: name of the file.
        values: vectors, float32 [rows, features].
        names: names of the features, or None.
    """
    size, num_features = values.shape
    if size >= _COUNTED and num_features > 1:
        steps = np.arange(size, dtype=np.float32)[:, None]
        is_counter = (values[:_COUNTED] - values[0] == steps[:_COUNTED]).all(0)
        is_counter &= np.isin(values[0], (0, 1))
        for index in np.flatnonzero(is_counter):
            if (values[:, index] - values[0, index] == steps[:, 0]).all():
                warnings.warn(
                    f"{title}: {named(index, names)} counts the rows; if it "
                    "is no feature, leave it out by drop, or remove it.",
                    stacklevel=2,
                )
    if size <= _SUMMED:
        return
    # No copy in double precision: the table may fill half of the memory.
    sums = values[:-1].sum(axis=0, dtype=np.float64)
    largest = np.maximum(abs(values.min(axis=0)), abs(values.max(axis=0)))
    is_used = np.abs(sums) > 0
    is_total = is_used & np.isclose(
        values[-1], sums, rtol=1e-6, atol=1e-6 * largest
    )
    if 2 <= np.count_nonzero(is_total) >= np.count_nonzero(is_used) / 2:
        warnings.warn(
            f"{title}: the last of {size} rows is the sum of all others; if it "
            "is a row of totals, remove it.",
            stacklevel=2,
        )


def mask_names(key: str) -> tuple[str, ...]:
    """Names that an array of masked values has beside the array `key`."""
    return "mask", f"{key}_mask", f"mask_{key}"


def warn_of_mask(title, name: str):
    """Warn of an array of truth values that has the shape of the examples.

    Args:
        title: name of the array of examples.
        name: name of the other array.
    """
    warnings.warn(
        f"{title}: the array {name!r} of the same shape is not applied; if it "
        "marks missing values, repair them, or remove these rows.",
        stacklevel=2,
    )


def warn_of_transposed(title, shape: tuple[int, ...], names: Names | None):
    """Warn of vectors without names that are fewer than their features.

    Args:
        title: name of the examples to train on.
        shape: [number, features], or that of images, which are passed over.
        names: names of the features; then it is known what is a column.
    """
    if len(shape) == 2 and names is None and shape[0] < shape[1]:
        number, width = shape
        warnings.warn(
            f"{title}: {number} examples of {width} features are read; if "
            f"these are {width} examples of {number} features, store the "
            "transpose.",
            stacklevel=2,
        )


def warn_of_pickled_names(title, member: str):
    """Warn of names of columns that are stored as Python objects.

    Args:
        title: name of the file.
        member: name of the array of names in it.
    """
    name = member.removesuffix(".npy")
    warnings.warn(
        f"{title}: {name!r} looks like names of columns, but holds Python "
        "objects, which are not unpickled; columns are taken in their order. "
        f"Save {name}.astype(str).",
        stacklevel=2,
    )


def warn_of_no_names(title, expected: Names):
    """Warn of vectors whose features have no names, although others have.

    Args:
        title: name of the vectors.
        expected: names of the features of others.
    """
    warnings.warn(
        f"{title} does not name its features; they are taken as "
        f"{listed(expected)}, in this order.",
        stacklevel=2,
    )


def warn_of_one_named(
    title, names: Names | None, other_title, other_names: Names | None
):
    """Warn of vectors of two places, of which one alone names its features.

    Args:
        title: name of one place.
        names: names of its features, or None.
        other_title: name of the other.
        other_names: names of its features, or None.
    """
    if (names is None) == (other_names is None):
        return
    named, unnamed = title, other_title
    if names is None:
        named, unnamed = unnamed, named
    warnings.warn(
        f"{named} names its features and {unnamed} does not; those of both "
        "are taken in their order.",
        stacklevel=2,
    )


def warn_of_writing(
    title, texts: Mapping[int, Sequence[str]], names: Names | None
):
    """Warn of integers that are written as codes or dates are.

    Args:
        title: name of the table.
        texts: what its first rows say in columns of integers, by the positions
            of features.
        names: names of the features, or None.
    """
    padded = {
        index: text
        for index, column in texts.items()
        for text in column
        if _PADDED.fullmatch(text)
    }
    if padded:
        index, text = min(padded.items())
        warnings.warn(
            f"{title}: numbers of {named(index, names)}{more(padded)} have "
            f"zeros in front, as {text!r}, which is read as {int(text)}; if "
            "they are codes, leave the column out by drop; if they stand "
            "behind a decimal comma, write points.",
            stacklevel=2,
        )
    dates = {
        index: column[0]
        for index, column in texts.items()
        if len(column) >= _DATED and all(map(_DATE.fullmatch, column))
    }
    if dates:
        index, text = min(dates.items())
        warnings.warn(
            f"{title}: the numbers of {named(index, names)}{more(dates)} look "
            f"like dates, as {text!r}, and jump from month to month; leave the "
            "column out by drop, or write days since a date.",
            stacklevel=2,
        )
