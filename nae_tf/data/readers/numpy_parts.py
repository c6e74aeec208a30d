"""Arrays in NumPy's format, read in parts, from a file or out of an archive.

They are read, not mapped: the pages of a mapping count as memory of the
process, and a file that is cut while it is mapped ends the process by a signal.
"""

import functools
import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from typing import IO, NamedTuple

import numpy as np


class StoredArray(NamedTuple):
    """What the header of an array says, and where its values begin.

    Attributes:
        shape: [number, ...].
        dtype: type of the values.
        by_column: whether the first axis varies fastest, as in Fortran.
        start: position of the first value in the file, bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    by_column: bool
    start: int

    @property
    def num_bytes(self) -> int:
        """Number of bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> StoredArray:
    """Read the header of an array.

    Args:
        file: open file, at the beginning of the array.

    Raises:
        ValueError: if there is no such header.
    """
    major, _ = np.lib.format.read_magic(file)
    # The third version differs from the second in its encoding alone: Latin 1
    # is what the second is read in, UTF-8 what the third is written in.
    read = getattr(np.lib.format, f"read_array_header_{min(major, 2)}_0")
    shape, by_column, dtype = read(file)
    if major == 3 and dtype.names is not None:
        dtype.names = tuple(
            name.encode("latin1").decode() for name in dtype.names
        )
    return StoredArray(
        shape, dtype, by_column and len(shape) > 1, start=file.tell()
    )


def read_rows(
    file: IO[bytes], array: StoredArray, start: int, stop: int
) -> np.ndarray:
    """Read consecutive examples, and no others.

    Args:
        file: open file of the array.
        array: its header.
        start: position of the first example.
        stop: position after the last one; the end of the array, if it is
            beyond.

    Returns:
        Array [stop - start, ...]; an array without axes as it is.

    Raises:
        ValueError: if the file ends before.
    """
    if not array.shape:
        return _read(file, array, 0, 1).reshape(())
    size, *example_shape = array.shape
    rows = max(min(stop, size) - start, 0)
    width = math.prod(example_shape)
    if not array.by_column:
        values = _read(file, array, start * width, rows * width)
        return values.reshape(rows, *example_shape)
    columns = [
        _read(file, array, column * size + start, rows)
        for column in range(width)
    ]
    return np.reshape(columns, (*reversed(example_shape), rows)).T


def _read(file, array, first, count):
    """Read some values in the order in which they are stored."""
    file.seek(array.start + first * array.dtype.itemsize)
    octets = file.read(count * array.dtype.itemsize)
    if len(octets) < count * array.dtype.itemsize:
        raise ValueError("it ends within its values")
    return np.ndarray(count, array.dtype, octets)


def open_member(
    archive: zipfile.ZipFile, name: str
) -> tuple[StoredArray, Callable[[int, int], np.ndarray]]:
    """Open an array of an archive, compressed or not, to be read in parts.

    Rows are unpacked as they are read. The checksum of the archive is compared
    when the last of them is. An array that is stored by columns is unpacked
    into a temporary file first.

    Args:
        archive: open archive, which has to stay open.
        name: name of the member.

    Returns:
        The header, and a function of the first position and the one after the
        last. It is fast if parts are read in their order; the last part is
        kept, so that its rows can be had again.

    Raises:
        ValueError: if the member is no array.
    """
    file: IO[bytes] = archive.open(name)
    array = read_header(file)
    if array.dtype.hasobject:
        raise ValueError("it holds Python objects, which are not unpickled")
    if array.by_column:
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115
        shutil.copyfileobj(file, unpacked)
        array = StoredArray(array.shape, array.dtype, True, start=0)
        return array, functools.partial(read_rows, unpacked, array)
    latest: tuple[int, np.ndarray] | None = None

    def read(start, stop):
        nonlocal latest
        if latest is not None:
            first, values = latest
            if first <= start and stop <= first + len(values):
                return values[start - first : stop - first]
        latest = None
        values = read_rows(file, array, start, stop)
        if array.shape and stop >= array.shape[0] and file.read(1):
            raise ValueError("it goes on behind its values")
        latest = start, values
        return values

    return array, read
