"""Packed and missing values, as netCDF's conventions write them.

See "Packed Data" and "Missing Data" in the CF conventions: a value is
stored * scale_factor + add_offset, and some stored values mean "missing".
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Packing(NamedTuple):
    """How the values of one array are stored.

    Attributes:
        dtype: type of the unpacked values.
        stored: type of the stored values.
        scale: factor of stored values, or None where values are not packed.
        offset: number that is added after that.
        missing: stored values that mean "missing".
        low: smallest stored value that is valid, or None.
        high: largest one, or None.
    """

    dtype: np.dtype
    stored: np.dtype
    scale: float | None
    offset: float
    missing: tuple[Any, ...]
    low: Any
    high: Any

    def unpack(self, title, values: np.ndarray, start: int = 0) -> np.ndarray:
        """Return the values that stored ones stand for.

        Args:
            title: name of the array, used in error messages.
            values: stored values [number, ...].
            start: number of the first example, used in error messages.

        Raises:
            ValueError: if values are missing.
        """
        if values.dtype != self.stored:
            values = values.view(self.stored)
        absent = np.isin(values, np.array(self.missing, self.stored))
        if self.low is not None:
            absent |= values < self.low
        if self.high is not None:
            absent |= values > self.high
        examples = absent.reshape(len(values), -1).any(axis=1)
        if examples.any():
            first = start + int(np.argmax(examples))
            raise ValueError(
                f"{title}: {np.count_nonzero(absent)} values of "
                f"{np.count_nonzero(examples)} examples are missing (filled, "
                f"or out of the valid range), the first in number {first} "
                "(counted from 0); repair or remove them."
            )
        if self.scale is None:
            return values
        return values * self.scale + self.offset


def packing_of(
    dtype: np.dtype, attributes: Mapping[str, Any], unwritten=None
) -> Packing | None:
    """Find how an array is packed; None if it holds plain values.

    Args:
        dtype: type of the stored values.
        attributes: attributes of the array by name.
        unwritten: what stands where nothing was written, or None.
    """
    if dtype.kind not in "iuf":
        return None
    is_unsigned = str(_text(attributes.get("_Unsigned", ""))).lower() == "true"
    if is_unsigned:
        dtype = np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")
    missing = [
        value
        for name in ("_FillValue", "missing_value")
        for value in _numbers(attributes, name, dtype)
    ]
    # netCDF reserves no value of bytes: all 256 are data unless it says so.
    if unwritten is not None and dtype.itemsize > 1:
        missing.append(unwritten)
    low, high = _valid_range(attributes, dtype)
    scale = _numbers(attributes, "scale_factor")
    offset = _numbers(attributes, "add_offset")
    is_packed = bool(scale or offset)
    if not (is_packed or is_unsigned or missing) and low is high is None:
        return None
    return Packing(
        dtype=np.dtype(np.float64) if is_packed else dtype,
        stored=dtype,
        scale=(float(scale[0]) if scale else 1.0) if is_packed else None,
        offset=float(offset[0]) if offset else 0.0,
        missing=tuple(missing),
        low=low,
        high=high,
    )


def _valid_range(attributes, dtype):
    both = _numbers(attributes, "valid_range", dtype)
    if len(both) == 2:
        return both[0], both[1]
    low, high = (
        _numbers(attributes, name, dtype) for name in ("valid_min", "valid_max")
    )
    return (low[0] if low else None), (high[0] if high else None)


def _numbers(attributes, name, dtype=None):
    """Numbers in an attribute, as stored values; empty if there are none."""
    if name not in attributes:
        return []
    found = np.ravel(np.asarray(attributes[name]))
    if found.dtype.kind not in "iuf":
        return []
    if dtype is not None and dtype.kind in "iu":
        if found.dtype.kind in "iu" and found.itemsize == dtype.itemsize:
            # -1 of a signed byte is 255 of an unsigned one.
            found = found.astype(dtype)
        limits = np.iinfo(dtype)
        found = found[(found >= limits.min) & (found <= limits.max)]
    return found.tolist()


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
