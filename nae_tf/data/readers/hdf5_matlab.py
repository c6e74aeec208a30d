"""Arrays of MATLAB in HDF5 files (v7.3), whatever their name ends in.

MATLAB stores the first axis fastest, HDF5 the last one: seen from here the
axes of an array stand in reverse order.
"""

import numpy as np

from nae_tf.data.readers.matlab import check_axes
from nae_tf.data.readers.tabular import Source

_NUMBERS = (
    *("double", "single", "logical"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
_REMEDIES = {
    "cell": "a cell array; concatenate its cells, as in cell2mat(x)",
    "char": "text",
    "table": "a MATLAB table; save table2array(x)",
    "struct": "a struct; name one of its fields",
}


def is_matlab(item) -> bool:
    """Return whether MATLAB wrote an item of an HDF5 file."""
    return "MATLAB_class" in item.attrs


def is_complex(item) -> bool:
    """Return whether an item is a complex array of MATLAB."""
    return is_matlab(item) and item.dtype.names == ("real", "imag")


def source(title, dataset) -> Source:
    """Find the examples of an array along MATLAB's first axis.

    Raises:
        ValueError: if it is no full array of real numbers.
    """
    kind = _kind(dataset)
    if kind not in _NUMBERS:
        what = _REMEDIES.get(kind, f"an object of the class {kind!r}")
        raise ValueError(f"{title}: expected numbers, received {what}.")
    if is_complex(dataset):
        raise ValueError(f"{title}: expected numbers, received complex ones.")
    if "MATLAB_empty" in dataset.attrs:
        raise ValueError(f"{title} is empty.")
    shape = dataset.shape[::-1]
    check_axes(title, shape)
    dtype = np.dtype(bool) if kind == "logical" else dataset.dtype

    def read(start, stop):
        return dataset[..., start:stop].T.astype(dtype, copy=False)

    return Source(shape, dtype, read)


def as_column(found: Source) -> Source:
    """Take n x 1 and 1 x n alike as a column of n rows."""
    if len(found.shape) != 2 or 1 not in found.shape:
        return found

    def read(start, stop):
        return found.read(0, found.shape[0]).reshape(-1)[start:stop]

    return Source((max(found.shape),), found.dtype, read)


def labels(title, dataset) -> np.ndarray:
    """Read classes: numbers, rows of text, or a cell array of texts."""
    kind = _kind(dataset)
    if kind == "cell":
        cells = [dataset.file[reference] for reference in dataset[...].ravel()]
        if any(_kind(cell) != "char" for cell in cells):
            raise ValueError(f"{title}: expected a cell array of text.")
        return np.array(["".join(_rows(cell)) for cell in cells])
    if kind == "char":
        return np.array([row.rstrip() for row in _rows(dataset)])
    found = source(title, dataset)
    return found.read(0, found.shape[0])


def _rows(dataset):
    """Rows of a matrix of characters, which are stored as numbers."""
    if "MATLAB_empty" in dataset.attrs:
        return [""]
    return ["".join(map(chr, row)) for row in np.atleast_2d(dataset[...].T)]


def _kind(dataset):
    kind = dataset.attrs.get("MATLAB_class", b"")
    return kind.decode() if isinstance(kind, bytes) else str(kind)
