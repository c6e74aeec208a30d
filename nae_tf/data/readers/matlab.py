"""Reader of MATLAB files (.mat) up to version 7, by SciPy."""

import warnings

import numpy as np

from nae_tf.data.readers.columns import Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.tabular import Fields, Source, joined, only_array

_COLOURS = (1, 3, 4)
_OCTAVE = b"# Created by Octave"
# What SciPy raises for damaged files.
_DAMAGED = (
    KeyError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
    IndexError,
    MemoryError,
)


def check_axes(title, shape: tuple[int, ...]):
    """Refuse images that are counted along MATLAB's last axis, or warn.

    Args:
        title: name of the array, used in error messages.
        shape: its shape, as MATLAB prints it.
    """
    if len(shape) == 4 and shape[2] in _COLOURS and shape[3] not in _COLOURS:
        raise ValueError(
            f"{title}: expected [number, height, width, channels], received "
            f"{'x'.join(map(str, shape))}, which counts the images along its "
            "last axis; save permute(x, [4 1 2 3])."
        )
    if len(shape) == 3 and shape[0] == shape[1] != shape[2]:
        raise ValueError(
            f"{title}: expected [number, height, width], received "
            f"{'x'.join(map(str, shape))}, which looks like images counted "
            "along the last axis; save permute(x, [3 1 2])."
        )
    if len(shape) == 3 and shape[1] != shape[2] > shape[0]:
        warnings.warn(
            f"{title}: {shape[0]} images of {shape[1]} x {shape[2]} are read; "
            f"if these are {shape[2]} images of {shape[0]} x {shape[1]}, save "
            "permute(x, [3 1 2]).",
            stacklevel=2,
        )


def read(path, key, label_key, columns: Columns) -> Contents:
    """Read the examples of a .mat file of version 4 to 7.

    Args:
        path: the file.
        key: name of an array; "s/x" for the field x of a struct, and the name
            of a struct whose fields are columns.
        label_key: name of the array of classes, or of such a field.
        columns: which fields are features.

    Raises:
        ValueError: if there is no such array, or if it holds no numbers.
    """
    import scipy.io

    with path.open("rb") as file:
        if file.read(len(_OCTAVE)) == _OCTAVE:
            raise ValueError(
                f"{path} is a text of Octave; save it by save -v7."
            )
    try:
        kinds = {name: kind for name, _, kind in scipy.io.whosmat(path)}
        if key is None:
            label = label_key and label_key.split("/")[0]
            key = only_array(path, kinds, label)
        with warnings.catch_warnings():
            # SciPy would leave the imaginary part out.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            found = scipy.io.loadmat(
                path,
                # MATLAB's type: numbers without fractions are stored small.
                mat_dtype=True,
                variable_names=[
                    name.strip("/").split("/")[0]
                    for name in (key, label_key)
                    if name is not None
                ],
            )
    except np.exceptions.ComplexWarning as error:
        raise ValueError(
            f"{path}, {key!r}: expected numbers, received complex ones."
        ) from error
    except _DAMAGED as error:
        if str(error).startswith(str(path)):
            raise
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} is damaged or no MATLAB file: {text}."
        ) from error

    def find(name):
        first, *fields = name.strip("/").split("/")
        check_names(path, kinds, first)
        item = found.get(first)
        if item is None:
            raise ValueError(
                f"{path}, {first!r}: expected a full array, received a MATLAB "
                "object; save table2array(x) of a table."
            )
        for field in fields:
            check_names(f"{path}, {first!r}", _fields(item), field)
            item = _fields(item)[field]
        return f"{path}, {name!r}", item

    title, examples = find(key)
    fields = _fields(examples)
    if fields:
        source = joined(
            title,
            _table(title, fields, label_key, columns),
            label_key if label_key in fields else None,
            columns,
        )
    elif columns.drop:
        raise ValueError(f"{title} has no columns that could be dropped.")
    else:
        source = _array(title, examples)
    labels = None
    if label_key in fields:
        labels = _labels(title, fields[label_key])
    elif label_key is not None:
        labels = _labels(*find(label_key))
    return source.contents(path, labels)


def _fields(item) -> dict:
    """Fields of a struct by name; none of what is no struct, or several."""
    import scipy.io.matlab

    if (
        not isinstance(item, np.ndarray)
        or isinstance(item, scipy.io.matlab.MatlabOpaque)
        or item.dtype.names is None
        or item.size != 1
    ):
        return {}
    return {name: item[name].flat[0] for name in item.dtype.names}


def _table(title, fields, label_key, columns):
    """Take the fields of a struct as columns: n x 1 and 1 x n alike."""
    arrays = {}
    for name, values in fields.items():
        if name != label_key and name not in columns.drop:
            source = _array(f"{title}, {name!r}", values)
            values = source.read(0, source.shape[0])
            is_vector = values.ndim == 2 and 1 in values.shape
            arrays[name] = values.reshape(-1) if is_vector else values
    sizes = sorted({len(values) for values in arrays.values()})
    if len(sizes) != 1:
        raise ValueError(
            f"{title}: expected fields of one length, received {sizes}; name "
            "one as key, or those that are no columns in drop."
        )
    types = {
        name: np.dtype((values.dtype, values.shape[1:]))
        for name, values in arrays.items()
    }

    def read_fields(names, start, stop):
        return {name: arrays[name][start:stop] for name in names}

    left_out = dict.fromkeys(fields.keys() - arrays.keys(), np.dtype("V1"))
    return Fields(sizes[0], types | left_out, read_fields)


def _array(title, values) -> Source:
    if not isinstance(values, np.ndarray):
        raise ValueError(
            f"{title}: expected a full array, received "
            f"{type(values).__name__}; save full(x)."
        )
    if values.dtype.kind == "O" or values.dtype.names is not None:
        raise ValueError(
            f"{title}: expected numbers, received a cell array, a struct or an "
            "object; save cell2mat(x), one field, or table2array(x)."
        )
    if values.dtype.kind not in "iufb":
        raise ValueError(f"{title}: expected numbers, received {values.dtype}.")
    check_axes(title, values.shape)
    return Source(
        values.shape, values.dtype, lambda start, stop: values[start:stop]
    )


def _labels(title, values):
    """Classes: numbers, rows of text, or a cell array of texts."""
    values = np.asarray(values)
    if values.dtype.kind == "O":
        cells = [np.ravel(cell) for cell in values.ravel()]
        if any(cell.dtype.kind not in "U" for cell in cells):
            raise ValueError(f"{title}: expected a cell array of text.")
        return np.array(["".join(cell) for cell in cells])
    if values.dtype.kind == "U":
        return np.char.rstrip(values)
    if values.ndim == 2 and 1 in values.shape:
        return values.reshape(-1)  # A row or a column, to MATLAB the same.
    return values
