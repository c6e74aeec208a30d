"""Examples to score, batch by batch, with an id for each."""

import concurrent.futures
import dataclasses
import functools
import itertools
import math
import pathlib
import threading
from collections.abc import Sequence

import numpy as np

from nae_tf.data.readers import (
    checks,
    hdf5,
    numpy_files,
    paths,
    records,
    tables,
)
from nae_tf.data.readers.arrays import suffix_of
from nae_tf.data.readers.batches import Batch, ExampleStream, numbers
from nae_tf.data.readers.codes import CodesInParts
from nae_tf.data.readers.columns import ALL_COLUMNS, Columns
from nae_tf.data.readers.contents import refuse_special
from nae_tf.data.readers.images import (
    decoding_threads,
    list_images,
    read_image,
)
from nae_tf.data.readers.table_stream import table_stream


def open_stream(
    path: str,
    example_shape: tuple[int, ...],
    batch_size: int,
    key: str | None = None,
    columns: Columns = ALL_COLUMNS,
    max_level: int | None = None,
    skip: int = 0,
) -> ExampleStream:
    """Open a folder, a file or standard input.

    Folders of images, .npy, .npz, HDF5 and .tfrecord files and tables are read
    batch by batch; files of other formats must fit in memory.

    Args:
        path: a folder, a file, or "-" for a table on standard input.
        example_shape: shape of one example; images of levels are resized to it.
        batch_size: examples per batch, > 0.
        key: name of the array of examples in a file of several arrays.
        columns: which columns of a table are features, and in what order.
        max_level: level of white in images, int >= 1, as for `read_files`.
        skip: number of batches of a file to leave out at its beginning; ids
            count them.

    Raises:
        FileNotFoundError: if there is no such path.
        ValueError: if a file is not what it should be.
    """
    if path == "-":
        return table_stream("-", batch_size, columns)
    found = pathlib.Path(path)
    if not found.exists():
        raise FileNotFoundError(f"there is no file or folder {path!r}.")
    if found.is_dir():
        _refuse_vectors(found, example_shape)
        files, _ = list_images(found)
        return image_stream(found, files, example_shape, batch_size, max_level)
    refuse_special(found)
    if tables.is_table(found):
        return table_stream(found, batch_size, columns, skip)
    stream = _open(found, example_shape, batch_size, key, columns, max_level)
    batches = itertools.islice(stream.batches, skip, None)
    return ExampleStream(stream.size, batches, stream.names, stream.units)


def _open(found, example_shape, batch_size, key, columns, max_level):
    open_parts = {
        ".npy": _open_npy,
        ".npz": numpy_files.open_npz,
        **dict.fromkeys(hdf5.SUFFIXES, _open_hdf5),
    }.get(suffix_of(found))
    if open_parts is not None:
        source = open_parts(found, key, columns)
        return _source_stream(
            found, source, example_shape, batch_size, columns, max_level
        )
    if suffix_of(found) in records.SUFFIXES:
        return _record_stream(
            found, example_shape, batch_size, key, columns, max_level
        )
    return _array_stream(
        found, example_shape, batch_size, key, columns, max_level
    )


def _refuse_vectors(folder, example_shape):
    if len(example_shape) != 3:
        raise ValueError(
            f"{folder} is a folder of images, but the model takes examples of "
            f"shape {list(example_shape)}; name a file of arrays."
        )


def image_stream(
    folder: pathlib.Path,
    files: Sequence[pathlib.Path],
    example_shape: tuple[int, ...],
    batch_size: int,
    max_level: int | None = None,
) -> ExampleStream:
    """Open images of a folder.

    Args:
        folder: folder that ids are relative to.
        files: images in it, or in folders below it.
        example_shape: shape of one example, to which images are resized.
        batch_size: examples per batch, > 0.
        max_level: level of white, int >= 1, as for `read_files`.
    """
    levels = _Levels(folder, max_level)
    num_threads = decoding_threads(files[0])
    threads = concurrent.futures.ThreadPoolExecutor(num_threads)
    ahead: dict[int, list[concurrent.futures.Future]] = {}

    def load_one(position):
        image = read_image(files[position], example_shape, max_level)
        levels.add(image)
        return checks.as_floats(image, max_level)[None]

    def load_at(start, position):
        return load_one(start + position)

    def load_part(positions):
        return np.concatenate(list(map(load_one, positions)))

    def begin(start):
        """Have every thread decode a part of a batch."""
        stop = min(start + batch_size, len(files))
        size = math.ceil((stop - start) / num_threads)
        return [
            threads.submit(load_part, range(first, min(first + size, stop)))
            for first in range(start, stop, size)
        ]

    def load(start):
        parts = ahead.pop(start, None) or begin(start)
        following = start + batch_size
        # It is decoded while this batch is scored.
        if following < len(files):
            ahead[following] = begin(following)
        return np.concatenate([part.result() for part in parts])

    def batches():
        for start in range(0, len(files), batch_size):
            some = files[start : start + batch_size]
            yield Batch(
                [file.relative_to(folder).as_posix() for file in some],
                functools.partial(load, start),
                functools.partial(load_at, start),
            )
        levels.warn()

    return ExampleStream(len(files), batches())


def _open_npy(path, key, columns):
    return numpy_files.open_npy(path, None, columns)[0]


def _open_hdf5(path, key, columns):
    file = hdf5.open_hdf5(path)
    source, _ = hdf5.find_examples(path, file, key, columns=columns)

    def read(start, stop):
        with hdf5.explained(path):
            return source.read(start, stop)

    return dataclasses.replace(source, read=read)


def _source_stream(path, source, example_shape, batch_size, columns, max_level):
    source = source.in_order(path, columns.names)
    checks.check_kind(path, source.shape, source.dtype, max_level)
    size = source.shape[0]
    image_shape = _image_shape(example_shape)
    if len(source.shape) > 2:  # Of a batch it could not be told.
        checks.check_layout(path, source.shape, image_shape)
    if len(source.shape) == 3:
        checks.warn_of_axes(path, source.shape, image_shape)
    checked = _Checked(path, image_shape, max_level, source.names)

    def load(start, stop):
        return checked.as_floats(source.read(start, stop), start)

    slices = checked.until_the_end(_slices(load, size, batch_size))
    return ExampleStream(size, slices, source.names, source.units)


def _record_stream(path, example_shape, batch_size, key, columns, max_level):
    image_shape = _image_shape(example_shape)
    checked = _Checked(path, image_shape, max_level)
    found = records.open_records(
        path, key, None, columns, image_shape, max_level
    )

    def batch(start, some):
        def load(first, last):
            values = [
                found.example(number, found.features(number, record))
                for number, record in enumerate(some[first:last], start + first)
            ]
            return checked.as_floats(np.stack(values), start + first)

        return Batch(
            numbers(start, len(some)),
            functools.partial(load, 0, len(some)),
            lambda position: load(position, position + 1),
        )

    def batches():
        some, start = [], 0
        for record in found.records:
            some.append(record)
            if len(some) == batch_size:
                yield batch(start, some)
                start += len(some)
                some = []
        if some:
            yield batch(start, some)

    return ExampleStream(None, checked.until_the_end(batches()))


def _array_stream(path, example_shape, batch_size, key, columns, max_level):
    files = paths.read_files(
        str(path),
        key,
        image_shape=_image_shape(example_shape),
        names=columns.names,
        drop=columns.drop,
        max_level=max_level,
    )
    examples = files.select(str(path), np.arange(files.size))

    def batches():
        start = 0
        for values in examples.batches(batch_size).as_numpy_iterator():
            ids = numbers(start, len(values))
            start += len(values)
            yield Batch(ids, functools.partial(np.asarray, values))

    return ExampleStream(files.size, batches(), files.names, files.units)


def _slices(load, size, batch_size):
    for start in range(0, size, batch_size):
        stop = min(start + batch_size, size)
        ids = numbers(start, stop - start)

        def load_one(position, start=start):
            return load(start + position, start + position + 1)

        yield Batch(ids, functools.partial(load, start, stop), load_one)


class _Checked:
    """The checks of one file, and what only all of it together can tell."""

    def __init__(self, path, image_shape, max_level, names=None):
        self._path = path
        self._image_shape = image_shape
        self._max_level = max_level
        self._levels = _Levels(path, max_level)
        self._codes = CodesInParts(path, names)

    def as_floats(self, values, start):
        """Check consecutive examples, of which `start` is the first."""
        values = checks.checked_examples(
            self._path, values, self._image_shape, start, self._max_level
        )
        self._levels.add(values)
        if values.ndim == 2:
            self._codes.add(values)
        return checks.as_floats(values, self._max_level)

    def until_the_end(self, batches):
        """Yield batches, and warn behind the last of what all had."""
        yield from batches
        self._codes.warn()
        self._levels.warn()


class _Levels:
    """The brightest level that a stream has had, by type: by depth of images.

    Images of a folder come from several threads, and may be of both depths.
    """

    def __init__(self, title, max_level):
        self._title, self._max_level = title, max_level
        self._lock = threading.Lock()
        self._highest: dict[np.dtype, float] = {}

    def add(self, values):
        highest = values.max()
        with self._lock:
            before = self._highest.get(values.dtype, highest)
            self._highest[values.dtype] = max(before, highest)

    def warn(self):
        for dtype, highest in self._highest.items():
            checks.warn_of_dark_levels(
                self._title, highest, dtype, self._max_level
            )


def _image_shape(example_shape):
    """Return the shape to resize images to; None for vectors."""
    return example_shape if len(example_shape) == 3 else None
