"""Warnings of features whose values are probably not what they say.

Digits may be lost where a file's numbers become float32, and a row or a column
may hold no measurements. It cannot be known, so nothing is changed or refused.
"""

import re
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from nae_tf.base.feature_names import Names

# Rows that tell a counter, and a row of totals, from a coincidence.
_COUNTED, _SUMMED = 20, 4
# Float32 keeps a feature if its steps are at most this part of its spread.
_COARSE = 0.01
# Rows that tell dates from numbers, which look so in 4 of 100 cases.
_DATED = 5
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_PADDED = re.compile(r"[+-]?0\d+")
# Deviations of equal float64 from their mean, relative to it.
_ROUNDING = 1e-13


class Spread:
    """Means and deviations of features, from rows that come in parts.

    Attributes:
        count: number of rows.
        mean: means, float64 [features].
        squares: sums of squared deviations from the means.
        largest: largest magnitudes.
    """

    def __init__(self, num_features: int):
        self.count = 0
        self.mean = np.zeros(num_features)
        self.squares = np.zeros(num_features)
        self.largest = np.zeros(num_features)

    def add(self, index: int | slice, values: np.ndarray):
        """Add values of features; the rows are counted by `add_rows`.

        Args:
            index: position of one feature, or a slice of all.
            values: float64 [rows] or [rows, features], finite.
        """
        if not len(values):
            return
        rows = len(values)
        total = self.count + rows
        mean = values.mean(axis=0)
        change = mean - self.mean[index]
        self.squares[index] += ((values - mean) ** 2).sum(
            axis=0
        ) + change**2 * (self.count * rows / total)
        self.mean[index] += change * rows / total
        self.largest[index] = np.maximum(
            self.largest[index], np.abs(values).max(axis=0)
        )

    def add_rows(self, rows: int):
        """Count rows whose features have all been added."""
        self.count += rows

    def coarse(self) -> np.ndarray:
        """Return the positions of features whose differences float32 loses."""
        std = np.sqrt(self.squares / max(self.count, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            largest = self.largest.astype(np.float32)
            # TensorFlow takes what is below the normal range for zero.
            steps = np.maximum(
                np.spacing(largest), np.finfo(np.float32).tiny
            ).astype(float)
        is_constant = std <= _ROUNDING * self.largest
        return np.flatnonzero(~is_constant & (std * _COARSE < steps))


def spread_of(values: np.ndarray) -> Spread:
    """Return the spread of vectors [rows, features] as they are stored."""
    spread = Spread(values.shape[1])
    for start in range(0, len(values), 65_536):
        part = values[start : start + 65_536].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            spread.add(slice(None), part)
        spread.add_rows(len(part))
    return spread


def warn_of_lost_digits(title, spread: Spread, names: Names | None):
    """Warn of features whose differences float32 cannot hold.

    Times in seconds since 1970 are an example: float32 tells 1,700,000,000
    from 1,700,000,128, but from no number between them.

    Args:
        title: name of the file.
        spread: spread of its features, before they become float32.
        names: names of the features, or None.
    """
    found = spread.coarse()
    if not len(found):
        return
    first = found[0]
    mean = spread.mean[first]
    std = np.sqrt(spread.squares[first] / spread.count)
    warnings.warn(
        f"{title}: the values of {named(first, names)}{more(found)} differ "
        f"from {mean:.10g} by {std:.3g} (standard deviation), which float32 "
        "can hardly tell; subtract that number in all files, change the unit, "
        "or leave the column out by drop.",
        stacklevel=2,
    )


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


def named(index, names: Names | None) -> str:
    """Name a feature in a message."""
    return f"column {index}" if names is None else f"column {names[index]!r}"


def more(found) -> str:
    """Say how many features share what is said of one."""
    return f" (and of {len(found) - 1} more)" if len(found) > 1 else ""
