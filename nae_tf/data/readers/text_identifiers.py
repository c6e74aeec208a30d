"""Integers in text that floats cannot tell apart: identifiers, nanoseconds."""

import decimal
import re
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

_FIRST_LOST = 2.0**53
# As many digits as 2**53, of no fraction.
_LONG = re.compile(rb"(?<![.\d])\d{16}")


def column_of_identifiers(
    table,
    octets: bytes,
    integers: Collection[int],
    features: Iterable[int],
    rows: Callable[[], Iterable[tuple[int, Sequence[str]]]],
) -> int | None:
    """Find a column with integers that floats cannot tell apart.

    Args:
        table: `pyarrow.Table` of floats, whose columns are named by their
            positions.
        octets: the text that it was read from.
        integers: positions of columns that have begun with integers alone: of
            these all of 2**53 or more are identifiers. In other columns it is
            those that are written as no float is.
        features: positions of the columns to look at.
        rows: function that returns the lines and fields of the text.

    Returns:
        Position of the first such column, or None.
    """
    for index in features:
        # NumPy's calls cost less than Arrow's, and there are many.
        if not any(
            _FIRST_LOST <= np.fmax.reduce(np.abs(part), initial=0.0) < np.inf
            for part in (
                chunk.to_numpy(zero_copy_only=False)
                for chunk in table.column(str(index)).chunks
            )
        ):
            continue
        if index in integers or (
            _LONG.search(octets)
            and any(_is_lost(row[index]) for _, row in rows())
        ):
            return index
    return None


def _is_lost(text):
    """Return whether a text is an integer that no float is written as."""
    digits = text.strip()
    if not digits.lstrip("+-").isdecimal():
        return False
    return decimal.Decimal(digits) != decimal.Decimal(repr(float(digits)))
