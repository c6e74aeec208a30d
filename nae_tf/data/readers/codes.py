"""Warnings of numbers that may stand for "missing", such as -999.

It cannot be known, so nothing is changed or refused.
"""

import warnings

import numpy as np

from nae_tf.base.feature_names import Names, more, named

# Numbers that programs, surveys and instruments write for "missing".
_CODES = (
    *(sign * (10**digits - 1) for digits in range(2, 8) for sign in (-1, 1)),
    *(-999.9, -99.9, -99.99, -999.25, -9999.25, -1e30, 1e20, 1e30),
    *(-32768, -2147483648, 9.969209968386869e36, -1.7e38, -3.4028235e38),
)
_AS_STORED = np.unique(np.array(_CODES, np.float32))
# Distances to the nearest other value, in standard deviations for a code of
# "missing", and in ranges of all other values for any number.
_FAR_FOR_A_CODE, _FAR = 2.0, 3.0
_LEAST_OTHERS_FOR_A_CODE, _LEAST_OTHERS = 5, 20
_REMEDY = "remove these rows, or leave the column out by drop"
# Values of all parts that wait for each other: few calls, little memory.
_AT_ONCE = 2**18
# Count, sum, sum of squares, lowest and highest of no values.
_NO_OTHERS = [np.array(value) for value in (0, 0, 0, np.inf, -np.inf)]


def warn_of_codes(
    title,
    values: np.ndarray,
    names: Names | None,
    remedy: str = _REMEDY,
    usual_only: bool = False,
):
    """Warn of a number that repeats, far from all others: it may be "missing".

    Args:
        title: name of the file.
        values: vectors, float [rows, features]; NaN is passed over.
        names: names of the features, or None.
        remedy: what to do about them.
        usual_only: whether only numbers that usually stand for "missing" are
            looked for, which takes no time to speak of.
    """
    if len(values) < 2 + _LEAST_OTHERS_FOR_A_CODE:
        return
    # Of numbers that have no finite square none is far from another.
    with np.errstate(over="ignore", invalid="ignore"):
        found = [
            (index, code, count)
            for index in _suspects(values, usual_only)
            for code, count in _codes(_known(values[:, index]))
        ]
    _warn_of_found(title, found, len(values), names, remedy)


def _known(column):
    return column[~np.isnan(column)]


def _suspects(values, usual_only):
    """Return the features with an end that may be a code, all at a glance."""
    low, high = values.min(axis=0), values.max(axis=0)
    has_gaps = np.isnan(low)
    low[has_gaps] = np.nanmin(values[:, has_gaps], axis=0, initial=np.inf)
    high[has_gaps] = np.nanmax(values[:, has_gaps], axis=0, initial=-np.inf)
    is_suspect = low < high
    if usual_only:
        ends = np.array([low, high], np.float32)
        is_suspect &= np.isin(ends, _AS_STORED).any(axis=0)
    return np.flatnonzero(is_suspect).tolist()


class CodesInParts:
    """The same for vectors that come in parts, and for known codes alone.

    Each part is looked at once, with others of at most `_AT_ONCE` values.
    """

    def __init__(self, title, names: Names | None):
        """Set what a warning says.

        Args:
            title: name of the file.
            names: names of the features, or None.
        """
        self._title, self._names = title, names
        self._rows = 0
        self._waiting: list[np.ndarray] = []
        self._num_waiting = 0  # Of values.
        self._counts: dict[tuple[int, float], int] = {}
        # Count, sum, sum of squares, lowest and highest of all other values.
        self._others: list[np.ndarray] = []

    def add(self, values: np.ndarray):
        """Look at consecutive vectors, float [rows, features], finite."""
        self._rows += len(values)
        self._waiting.append(values)
        self._num_waiting += values.size
        if self._num_waiting >= _AT_ONCE:
            self._look()

    def _look(self):
        """Take the waiting vectors into account."""
        values = np.concatenate(self._waiting, dtype=np.float64)
        self._waiting, self._num_waiting = [], 0
        low, high = values.min(axis=0), values.max(axis=0)
        sizes = np.full(low.shape, len(values))
        may_be = np.isin([low, high], _AS_STORED).any(axis=0)
        for index in np.flatnonzero(may_be).tolist():
            column = values[:, index]
            is_code = np.isin(column, _AS_STORED)
            codes, counts = np.unique(column[is_code], return_counts=True)
            for code, count in zip(codes.tolist(), counts, strict=True):
                place = (index, code)
                self._counts[place] = self._counts.get(place, 0) + int(count)
            others = column[~is_code]
            sizes[index] = others.size
            low[index] = others.min(initial=np.inf)
            high[index] = others.max(initial=-np.inf)
            column[is_code] = 0  # What counts neither in sums nor in squares.
        squares = np.einsum("ij,ij->j", values, values)
        found = [sizes, values.sum(axis=0), squares, low, high]
        join = (np.add, np.add, np.add, np.minimum, np.maximum)
        self._others = [
            combine(before, now)
            for combine, before, now in zip(
                join, self._others or _NO_OTHERS, found, strict=True
            )
        ]

    def warn(self):
        """Warn of what all parts together have, in one line."""
        if self._waiting:
            self._look()
        found = []
        for (index, code), count in sorted(self._counts.items()):
            size, total, squares, low, high = (
                float(some[index]) for some in self._others
            )
            if count < 2 or size < _LEAST_OTHERS_FOR_A_CODE:
                continue
            std = np.sqrt(max(squares / size - (total / size) ** 2, 0.0))
            if high > low and max(low - code, code - high) >= (
                _FAR_FOR_A_CODE * std
            ):
                found.append((index, code, count))
        _warn_of_found(self._title, found, self._rows, self._names)


def _warn_of_found(title, found, num_rows, names, remedy=_REMEDY):
    """Warn of codes, given as positions of features, codes and counts."""
    if not found:
        return
    index, code, count = max(found, key=lambda some: (-some[0], some[2]))
    features = np.unique([index for index, *_ in found])
    warnings.warn(
        f"{title}: {count} of {num_rows} values of {named(index, names)}"
        f"{more(features)} are {code:.7g}, far from all others; if that means "
        f'"missing", {remedy}.',
        stacklevel=3,
    )


def _codes(values):
    """Return doubtful values of one feature, and how often each occurs."""
    found = []
    for _ in range(2 if values.size else 0):  # At one end or at both.
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
    if np.float32(end) in _AS_STORED:
        return high > low and gap >= _FAR_FOR_A_CODE * others.std()
    if count < 3 or len(others) < _LEAST_OTHERS or gap < _FAR * (high - low):
        return False
    # Most values of counts and of dark pixels are equal, with few exceptions.
    _, counts = np.unique(others, return_counts=True)
    return len(counts) > 2 and counts.max() <= len(others) / 2
