"""Examples to score, batch by batch, with an id for each."""

import csv
import functools
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nae_tf import array_files, image_files, user_data


class Batch(NamedTuple):
    """Some examples in a row.

    Attributes:
        ids: of the examples: a path within a folder, or a number from 0.
        load: reads them; float [batch, *example_shape].
    """

    ids: list[str]
    load: Callable[[], np.ndarray]


class ExampleStream(NamedTuple):
    """Batches in order.

    Attributes:
        size: number of examples, or None if it is not known.
        batches: iterates once.
    """

    size: int | None
    batches: Iterator[Batch]


def open_stream(
    path: str,
    example_shape: tuple[int, ...],
    batch_size: int,
    key: str | None = None,
) -> ExampleStream:
    """Open a folder, a file or standard input.

    Folders of images, HDF5 files and tables (.csv) are read batch by batch;
    .npy, .npz and .tfrecord files must fit in memory.

    Args:
        path: a folder, a file, or "-" for a table on standard input.
        example_shape: what images of bytes are resized to.
        batch_size: examples a batch, > 0.
        key: of the examples in a file of several arrays.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it is not what it should be.
    """
    if path == "-":
        return ExampleStream(None, _csv_batches("-", sys.stdin, batch_size))
    found = pathlib.Path(path)
    if not found.exists():
        raise FileNotFoundError(f"there is no file or folder {path!r}.")
    if found.is_dir():
        return _folder_stream(found, example_shape, batch_size)
    if found.suffix.lower() == ".csv":
        return ExampleStream(None, _csv_file_batches(found, batch_size))
    if found.suffix.lower() in (".h5", ".hdf5"):
        return _hdf5_stream(found, batch_size, key)
    return _array_stream(found, example_shape, batch_size, key)


def _folder_stream(folder, example_shape, batch_size):
    if len(example_shape) != 3:
        raise ValueError(
            f"{folder} is a folder of images, but the model takes examples of "
            f"shape {list(example_shape)}; name a file of arrays."
        )
    files, _ = image_files.list_images(folder)

    def batch(some):
        def load():
            images = [
                image_files.read_image(file, example_shape) for file in some
            ]
            return _as_floats(np.stack(images))

        ids = [file.relative_to(folder).as_posix() for file in some]
        return Batch(ids, load)

    starts = range(0, len(files), batch_size)
    return ExampleStream(
        len(files),
        (batch(files[start : start + batch_size]) for start in starts),
    )


def _hdf5_stream(path, batch_size, key):
    file = array_files.open_hdf5(path)
    import h5py

    names: list[str] = []
    file.visititems(
        lambda name, item: (
            names.append(name) if isinstance(item, h5py.Dataset) else None
        )
    )
    if key is None and len(names) == 1:
        key = names[0]
    if key not in names:
        raise ValueError(
            f"{path} has the arrays {sorted(names)}; set --key to the one that "
            "holds the examples."
        )
    array = file[key]
    if array.ndim < 2 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{path}: expected numbers [number, ...] in {key!r}, received "
            f"{array.dtype} {list(array.shape)}."
        )
    return ExampleStream(len(array), _slices(array, batch_size))


def _array_stream(path, example_shape, batch_size, key):
    image_shape = example_shape if len(example_shape) == 3 else None
    files = user_data.read_files(str(path), key, image_shape=image_shape)
    examples = files.select(str(path), np.arange(files.size))

    def batches():
        start = 0
        for values in examples.batches(batch_size).as_numpy_iterator():
            ids = _numbers(start, len(values))
            start += len(values)
            yield Batch(ids, functools.partial(np.asarray, values))

    return ExampleStream(files.size, batches())


def _slices(array, batch_size):
    for start in range(0, len(array), batch_size):
        stop = min(start + batch_size, len(array))
        load = functools.partial(_read_slice, array, start, stop)
        yield Batch(_numbers(start, stop - start), load)


def _read_slice(array, start, stop):
    return _as_floats(array[start:stop])


def _csv_file_batches(path, batch_size):
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield from _csv_batches(str(path), file, batch_size)


def _csv_batches(title, file, batch_size):
    rows = csv.reader(file)
    start = 0
    chunk: list[list[float]] = []
    try:
        for row in rows:
            values = _csv_values(title, row, rows.line_num)
            if not values:
                continue
            if chunk and len(values) != len(chunk[0]):
                raise ValueError(
                    f"{title}, line {rows.line_num}: expected {len(chunk[0])} "
                    f"fields, received {len(values)}."
                )
            chunk.append(values)
            if len(chunk) == batch_size:
                yield _csv_batch(start, chunk)
                start += len(chunk)
                chunk = []
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{title} is not a CSV file: {error}.") from error
    if chunk:
        yield _csv_batch(start, chunk)


def _csv_values(title, row, line_number):
    """Numbers of a line; none if it is blank or names the columns."""
    try:
        return [float(text) for text in row]
    except ValueError as error:
        if line_number == 1:
            return []
        raise ValueError(f"{title}, line {line_number}: {error}.") from error


def _csv_batch(start, chunk):
    ids = _numbers(start, len(chunk))
    return Batch(ids, functools.partial(np.array, chunk))


def _numbers(start, count):
    return [str(number) for number in range(start, start + count)]


def _as_floats(values):
    """Images of bytes in [0, 1]; everything else as it is."""
    if values.dtype == np.uint8 and values.ndim == 4:
        return values.astype(np.float32) / 255
    return values
