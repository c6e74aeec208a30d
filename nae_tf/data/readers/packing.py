"""Packed and missing values, as netCDF's conventions write them.

See "Packed Data" and "Missing Data" in the CF conventions: a value is
stored * scale_factor + add_offset, and some stored values mean "missing".
Others write the names of attributes in other ways: ScaleFactor and MissingValue
in HDF-EOS 5, CodeMissingValue in GPM, fill_value, NoDataValue, conversion in
Neurodata Without Borders.
"""

import re
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

# Names of attributes without underscores, in lower case.
_MISSING = (
    *("fillvalue", "missingvalue", "codemissingvalue"),
    *("nodata", "nodatavalue"),
)
# Some subtract an offset before they multiply, some add one after it.
_UNCLEAR = (
    ("slope", "intercept"),
    ("gain", "offset"),
    ("scale", "offset"),
    ("scalingfactor", "offset"),
)
# Names that say alone that integers are packed, and parts of names that may
# say so, or how an instrument was set.
_PACKS = ("slope", "multiplier", "intercept")
_MAY_PACK = re.compile(
    "gain|scal(e|ing)|factor|offset|bias|divisor|conversion|exponent|lsb|"
    "bitvolts"
)
_ADDS = re.compile("offset|bias|intercept|exponent")
# A number that counts from a date, as netCDF and HDF5 write dates.
_SINCE = re.compile(r"\w+ since \d", re.IGNORECASE)


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
    attributes = _plain(attributes)
    is_unsigned = str(_text(attributes.get("unsigned", ""))).lower() == "true"
    if is_unsigned:
        dtype = np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")
    missing = [
        value
        for name in _MISSING
        for value in _numbers(attributes, name, dtype)
    ]
    # netCDF reserves no value of bytes: all 256 are data unless it says so.
    if unwritten is not None and dtype.itemsize > 1:
        missing.append(unwritten)
    scale = _numbers(attributes, "scalefactor")
    offset = _numbers(attributes, "addoffset")
    if scale and not offset:
        offset = _numbers(attributes, "offset")  # HDF-EOS 5
    scale = scale or _numbers(attributes, "scalingfactor")  # NeXus
    if not scale:
        scale = _numbers(attributes, "conversion")  # Neurodata Without Borders
        offset = offset or (scale and _numbers(attributes, "offset"))
    if "rhdf5-na.ok" in attributes and dtype == np.int32:
        missing.append(np.iinfo(dtype).min)  # NA of R
    is_packed = bool(scale or offset)
    factor = float(scale[0]) if scale else 1.0
    start = float(offset[0]) if offset else 0.0
    low, high = _valid_range(attributes, dtype, factor, start)
    if not (is_packed or is_unsigned or missing) and low is high is None:
        return None
    return Packing(
        dtype=np.dtype(np.float64) if is_packed else dtype,
        stored=dtype,
        scale=factor if is_packed else None,
        offset=start,
        missing=tuple(missing),
        low=low,
        high=high,
    )


def check_attributes(title, dtype: np.dtype, attributes: Mapping[str, Any]):
    """Refuse an array whose attributes say that its values are something else.

    Args:
        title: name of the array, used in error messages.
        dtype: type of the stored values.
        attributes: attributes of the array by name.

    Raises:
        ValueError: if they are codes, or packed in a way that is not clear.
    """
    plain = _plain(attributes)
    if "enum" in (dtype.metadata or {}) or plain.keys() & {
        "flagvalues",
        "flagmasks",
    }:
        raise ValueError(
            f"{title} holds codes of categories; leave it out, or store "
            "numbers in their place."
        )
    if is_date(attributes):
        unit = str(_text(plain["units"])).strip()
        raise ValueError(
            f"{title} holds dates ({unit}); leave it out, or store numbers in "
            "its place."
        )
    if b"IMAGE_INDEXED" in np.ravel(plain.get("imagesubclass", ())):
        raise ValueError(
            f"{title} holds indices of a palette; store levels of grey or "
            "colours."
        )
    for name in ("scalefactor", "addoffset", "scalingfactor", "conversion"):
        if len(set(_numbers(plain, name))) > 1:
            raise ValueError(
                f"{title} is packed with several values of {name}, and which "
                "belongs to which part is not known; store the values "
                "themselves."
            )
    if "calibratednt" in plain and np.any(plain.get("addoffset", 0)):
        raise ValueError(
            f"{title} comes from an HDF4 file, whose add_offset is subtracted "
            "before it is scaled; store the values themselves."
        )
    if np.any(plain.get("imagewhiteiszero", 0)):
        raise ValueError(
            f"{title} has 0 as white (IMAGE_WHITE_IS_ZERO); invert its levels."
        )
    for pair in _UNCLEAR if dtype.kind in "iu" else ():
        numbers = [_numbers(plain, name) for name in pair]
        if all(numbers) and (float(numbers[0][0]), float(numbers[1][0])) != (
            1,
            0,
        ):
            raise ValueError(
                f"{title} is packed: it has the attributes {' and '.join(pair)}"
                ", of which writers use different formulas; store the values "
                "themselves."
            )
    packing = packing_of(dtype, attributes)
    if dtype.kind in "iu" and (packing is None or packing.scale is None):
        _check_lone_numbers(title, plain, _PACKS)


def is_date(attributes: Mapping[str, Any]) -> bool:
    """Return whether numbers count from a date, as days since 2000-01-01.

    Args:
        attributes: attributes of the array by name.
    """
    unit = str(_text(_plain(attributes).get("units", "")))
    return _SINCE.match(unit.strip()) is not None


def warn_of_group(title, dtype: np.dtype, attributes: Mapping[str, Any]):
    """Warn of integers whose group has a factor or an offset.

    Args:
        title: name of the array.
        dtype: type of the stored values.
        attributes: attributes of the group by name.
    """
    if dtype.kind in "iu":
        _check_lone_numbers(f"{title}: its group", _plain(attributes))


def _check_lone_numbers(title, plain, refused=()):
    """Refuse, or warn of, a factor or an offset that stands alone."""
    for name in plain:
        numbers = _numbers(plain, name)
        neutral = 0 if _ADDS.search(name) else 1
        if set(numbers) <= {neutral}:
            continue
        what = f"has the attribute {name} ({numbers[0]:g}), which no convention"
        if name in refused:
            raise ValueError(
                f"{title} {what} defines alone; store the values themselves."
            )
        if name in _PACKS or _MAY_PACK.search(name):
            warnings.warn(
                f"{title} {what} defines alone, and which is not applied; if "
                "the values are packed by it, store the values themselves.",
                stacklevel=4,
            )


def _plain(attributes):
    return {
        name.lower().replace("_", ""): value
        for name, value in attributes.items()
    }


def _valid_range(attributes, dtype, factor, start):
    """Ends of the valid range, as stored values, or None."""
    names = ("validrange", "validmin", "validmax")
    # By netCDF's guide a range in the type of the scale is one of values.
    is_unpacked = (
        dtype.kind in "iu"
        and (factor, start) != (1.0, 0.0)
        and any(np.asarray(attributes.get(n)).dtype.kind == "f" for n in names)
    )

    def stored(name):
        if not is_unpacked:
            return _numbers(attributes, name, dtype)
        values = np.array(_numbers(attributes, name))
        return np.round((values - start) / factor, 6).tolist()

    both, low, high = map(stored, names)
    if len(both) == 2:
        low, high = both[:1], both[1:]
    if is_unpacked and factor < 0:
        low, high = high, low
    return (low[0] if low else None), (high[0] if high else None)


def _numbers(attributes, name, dtype=None):
    """Numbers in an attribute, as stored values; empty if there are none."""
    if name not in attributes:
        return []
    found = np.ravel(np.asarray(attributes[name]))
    if found.dtype.kind in "SUO":
        try:
            found = np.array([float(text) for text in found.tolist()])
        except (TypeError, ValueError):
            return []
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
