"""Inputs cut into pieces, which workers score apart.

A piece is some consecutive batches of a file, and the batches are those that
`nae-tf score` makes of the same file: the last digits of an energy depend on
how many examples are scored together.
"""

import dataclasses
import glob
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nae_tf.data.readers.batches import Batch, ExampleStream
from nae_tf.data.readers.stream import image_stream
from nae_tf.runs.progress import print_status
from nae_tf.serving.input_flags import (
    examples_at_a_time,
    level_of_white,
    open_input,
)
from nae_tf.serving.saved_model import ExportedModel

# Examples of a piece. Images take long to decode, and a row group of a Parquet
# file, of 2**20 rows at most as they are written, is read from its beginning.
_IMAGES = 1_024
ROWS = 2**16


@dataclasses.dataclass(frozen=True)
class Reading:
    """How examples are read; the flags of `define_reading_flags`.

    Attributes:
        input: path of a folder of images or of a file, or a pattern of paths.
        key: name of the array of examples in a file of several.
        drop: names of columns of a table to leave out.
        header: whether a table in text begins with names: "yes", "no", "auto".
        linked_files: whether HDF5 files may lead to others of their folder.
        batch_size: examples that are scored at a time, > 0; None for the
            default of the model's examples.
        max_level: level of white in images, or None.
    """

    input: str
    key: str | None = None
    drop: Sequence[str] = ()
    header: str = "auto"
    linked_files: bool = False
    batch_size: int | None = None
    max_level: int | None = None


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive batches of a file or a folder.

    Attributes:
        index: position among all pieces.
        path: the file or the folder.
        prefix: text before the ids of its examples.
        skip: number of batches before them.
        num_batches: their number; None for all that follow.
        files: paths of images within the folder; empty for a file.
    """

    index: int
    path: str
    prefix: str
    skip: int = 0
    num_batches: int | None = None
    files: tuple[str, ...] = ()


class Plan(NamedTuple):
    """What is to be scored.

    Attributes:
        pieces: all pieces, in order.
        faults: why a file cannot be opened, by its name.
    """

    pieces: list[Piece]
    faults: Mapping[str, ValueError]


def make_plan(model: ExportedModel, reading: Reading) -> Plan:
    """Open all inputs, check their features, and cut them into pieces.

    Folders of images and Parquet files are cut; of every other file the reader
    knows the number of examples, or their places, only when it has read them.

    Args:
        model: exported model that scores them.
        reading: how they are read.

    Raises:
        FileNotFoundError: if there is no such path.
        ValueError: if no file can be scored.
    """
    pieces: list[Piece] = []
    faults: dict[str, ValueError] = {}
    batch_size = examples_at_a_time(model, reading)
    # What is said of one file is true of all.
    note = print_status
    for path, prefix in find_inputs(reading.input):
        try:
            stream = open_input(
                model, dataclasses.replace(reading, input=path), note
            )
            _check_width(path, stream, model.example_shape)
        except ValueError as fault:
            faults[prefix.removesuffix(":") or path] = fault
            continue
        for piece in _cut(path, prefix, stream, batch_size):
            pieces.append(dataclasses.replace(piece, index=len(pieces)))
        note = _say_nothing
    if not pieces:
        raise next(iter(faults.values()))
    return Plan(pieces, faults)


def find_inputs(pattern: str) -> list[tuple[str, str]]:
    """Find the files and folders that a pattern names, in order.

    Args:
        pattern: a path, or a pattern of paths, as "table/part-*.parquet".

    Returns:
        Paths, and for each the text before the ids of its examples: nothing
        where the pattern is a path, else the path behind the last folder
        without a wildcard, and a colon.

    Raises:
        FileNotFoundError: if there is none.
    """
    if os.path.exists(pattern) or not glob.has_magic(pattern):
        if not os.path.exists(pattern):
            raise FileNotFoundError(f"there is no file or folder {pattern!r}.")
        return [(pattern, "")]
    paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise FileNotFoundError(f"no file or folder matches {pattern!r}.")
    root = pathlib.PurePath(pattern)
    while glob.has_magic(str(root)):
        root = root.parent
    return [
        (path, f"{pathlib.PurePath(path).relative_to(root).as_posix()}:")
        for path in paths
    ]


def _check_width(path, stream, example_shape):
    """Refuse a table of another model, instead of every row of it."""
    if stream.names and (len(stream.names),) != example_shape:
        raise ValueError(
            f"{path} has {len(stream.names)} features, but the model takes "
            f"examples of shape {list(example_shape)}; leave columns out by "
            "drop."
        )


def _cut(path, prefix, stream, batch_size) -> Iterator[Piece]:
    """Cut an input; the pieces are not numbered."""
    if os.path.isdir(path):
        files = [name for batch in stream.batches for name in batch.ids]
        size = _whole_batches(_IMAGES, batch_size)
        for start in range(0, len(files), size):
            some = tuple(files[start : start + size])
            yield Piece(0, path, prefix, files=some)
    elif path.lower().endswith(".parquet") and stream.size:
        size = _whole_batches(ROWS, batch_size)
        for start in range(0, stream.size, size):
            skip, count = start // batch_size, size // batch_size
            yield Piece(0, path, prefix, skip, count)
    else:
        yield Piece(0, path, prefix)


def _whole_batches(size, batch_size):
    return max(size // batch_size, 1) * batch_size


def open_piece(
    model: ExportedModel, reading: Reading, piece: Piece
) -> ExampleStream:
    """Open the examples of a piece.

    Raises:
        ValueError: if they cannot be read any more.
    """
    if piece.files:
        folder = pathlib.Path(piece.path)
        stream = image_stream(
            folder,
            [folder / name for name in piece.files],
            model.example_shape,
            examples_at_a_time(model, reading),
            level_of_white(model, reading),
        )
    else:
        options = dataclasses.replace(reading, input=piece.path)
        stream = open_input(model, options, _say_nothing, piece.skip)
    batches = (
        Batch(
            [piece.prefix + name for name in batch.ids],
            batch.load,
            batch.load_one,
        )
        for batch in itertools.islice(stream.batches, piece.num_batches)
    )
    return ExampleStream(stream.size, batches, stream.names, stream.units)


def _say_nothing(text):
    """Leave a note out that was printed before."""
