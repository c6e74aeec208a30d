"""Warnings of features whose values are probably not what they say.

A number may stand for "missing", and digits may be lost where a file's numbers
become float32. Neither can be known, so nothing is changed or refused.
"""

import warnings

import numpy as np

from nae_tf.base.feature_names import Names

# Numbers that programs, surveys and instruments write for "missing".
_CODES = (
    *(sign * (10**digits - 1) for digits in range(2, 8) for sign in (-1, 1)),
    *(-999.9, -99.9, -99.99, -999.25, -9999.25, -1e30, 1e20, 1e30),
    *(-32768, -2147483648, 9.969209968386869e36, -1.7e38, -3.4028235e38),
)
_CODES_AS_STORED = frozenset(float(np.float32(code)) for code in _CODES)
# Distances to the nearest other value, in standard deviations for a code of
# "missing", and in ranges of all other values for any number.
_FAR_FOR_A_CODE, _FAR = 2.0, 3.0
_LEAST_OTHERS_FOR_A_CODE, _LEAST_OTHERS = 5, 20
# Rows that tell a counter, and a row of totals, from a coincidence.
_COUNTED, _SUMMED = 20, 4
# Float32 keeps a feature if its steps are at most this part of its spread.
_COARSE = 0.01
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
        f"{title}: the values of {_named(first, names)}{_more(found)} differ "
        f"from {mean:.10g} by {std:.3g} (standard deviation), which float32 "
        "can hardly tell; subtract that number in all files, change the unit, "
        "or leave the column out by drop.",
        stacklevel=2,
    )


def warn_of_codes(title, values: np.ndarray, names: Names | None):
    """Warn of a number that repeats, far from all others: it may be "missing".

    Args:
        title: name of the file.
        values: vectors, float32 [rows, features].
        names: names of the features, or None.
    """
    found = []
    for index in range(values.shape[1]):
        found += [
            (index, code, count) for code, count in _codes(values[:, index])
        ]
    if not found:
        return
    index, code, count = max(found, key=lambda some: (-some[0], some[2]))
    features = np.unique([index for index, *_ in found])
    warnings.warn(
        f"{title}: {count} of {len(values)} values of {_named(index, names)}"
        f"{_more(features)} are {code:.7g}, far from all others; if that means "
        '"missing", remove these rows, or leave the column out by drop.',
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
                    f"{title}: {_named(index, names)} counts the rows; if it "
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


def _codes(values):
    """Return doubtful values of one feature, and how often each occurs."""
    found = []
    for _ in range(2):  # At one end or at both.
        code = next(
            filter(
                lambda end: _is_code(values, end), (values.min(), values.max())
            ),
            None,
        )
        if code is None:
            break
        is_code = values == code
        found.append((float(code), int(np.count_nonzero(is_code))))
        values = values[~is_code]
    return found


def _is_code(values, end):
    is_end = values == end
    count = np.count_nonzero(is_end)
    if count < 2 or len(values) - count < _LEAST_OTHERS_FOR_A_CODE:
        return False
    others = values[~is_end].astype(np.float64)
    low, high = others.min(), others.max()
    gap = max(low - end, end - high)
    if float(end) in _CODES_AS_STORED:
        return high > low and gap >= _FAR_FOR_A_CODE * others.std()
    if count < 3 or len(others) < _LEAST_OTHERS or gap < _FAR * (high - low):
        return False
    # Most values of counts and of dark pixels are equal, with few exceptions.
    _, counts = np.unique(others, return_counts=True)
    return len(counts) > 2 and counts.max() <= len(others) / 2


def _named(index, names):
    return f"column {index}" if names is None else f"column {names[index]!r}"


def _more(found):
    return f" (and of {len(found) - 1} more)" if len(found) > 1 else ""
