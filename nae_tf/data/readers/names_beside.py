"""Names of the columns of an array, which stand in a list beside it.

HDF5 and .npz files have no place for them. Writers put them into an attribute
of the array, or into an array of its group: columns, feature_names,
jetFeatureNames. netCDF has a coordinate for each axis: texts, or numbers such
as wavelengths.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from nae_tf.base.feature_names import Names
from nae_tf.data.readers.packing import is_date, packing_of

# Letters of a name, in lower case: names of classes or of rows are no names of
# columns, however many there are.
_LISTS = re.compile(
    r"(.*(feature|column|variable|var|field|channel)s?names?"
    r"|features|columns|variables|fields)"
)
# Bytes of the longest name, above which an array of texts is something else.
LONGEST = 4_096


def is_list_of_columns(name: str) -> bool:
    """Return whether a name is one of a list of names of columns.

    Example:
        >>> from nae_tf.data.readers.names_beside import is_list_of_columns
        >>> [is_list_of_columns(x) for x in ("jetFeatureNames", "class_names")]
        [True, False]
    """
    return _LISTS.fullmatch(re.sub("[^a-z]", "", name.lower())) is not None


def auxiliary_coordinates(attributes: Mapping) -> list[str]:
    """Return the names of arrays that describe an array of netCDF further.

    Args:
        attributes: attributes of the array by name.
    """
    names = attributes.get("coordinates", "")
    names = names.decode() if isinstance(names, bytes) else names
    # A path could lead through links.
    return [name for name in str(names).split() if "/" not in name]


def only_names(lists: Iterable, width: int) -> Names | None:
    """Return the only list that names every column by a text of its own.

    Args:
        lists: arrays or sequences, of texts or of anything else.
        width: number of columns.
    """
    found = {names for values in lists if (names := _texts(values, width))}
    return found.pop() if len(found) == 1 else None


def _texts(values, width) -> Names | None:
    array = np.asarray(values)
    if array.shape != (width,) or array.dtype.kind not in "SUO":
        return None
    texts = [
        text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for text in array.tolist()
    ]
    if not all(isinstance(text, str) for text in texts):
        return None
    # Fewer texts than columns, as "" for some, would be no names.
    return tuple(texts) if len({*texts, ""}) == width + 1 else None


def texts_of(characters: np.ndarray) -> np.ndarray:
    """Return the texts of rows of characters, as netCDF stores text.

    Args:
        characters: bytes of one character each, [texts, length].
    """
    rows = np.atleast_2d(characters)
    return np.array([b"".join(row).decode().strip("\0 ") for row in rows])


def names_of_coordinate(
    values: np.ndarray, attributes: Mapping = MappingProxyType({})
) -> Names | None:
    """Return the names of columns by the numbers of their coordinate.

    Args:
        values: numbers [columns].
        attributes: attributes of the coordinate by name.

    Returns:
        The numbers to six digits, so that both precisions of floats have the
        same; None for those that count the columns, repeat, are packed or
        dates.

    Example:
        >>> import numpy as np
        >>> from nae_tf.data.readers.names_beside import names_of_coordinate
        >>> names_of_coordinate(np.array([400.0, 402.5]))
        ('400', '402.5')
    """
    if values.dtype.kind not in "iuf" or is_date(attributes):
        return None
    packing = packing_of(values.dtype, attributes)
    if packing is not None and packing.scale is not None:
        return None
    places = np.arange(len(values))
    if any(np.array_equal(values, places + start) for start in (0, 1)):
        return None
    texts = [
        f"{value:.6g}" if values.dtype.kind == "f" else str(value)
        for value in values.tolist()
    ]
    return tuple(texts) if len(set(texts)) == len(texts) else None
