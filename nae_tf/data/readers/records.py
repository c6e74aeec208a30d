"""Reader of TFRecord files of tf.train.Example, compressed or not."""

import contextlib
import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import message

from nae_tf.base.pipelines import untuned
from nae_tf.data.image_arrays import ImageShape
from nae_tf.data.readers import images
from nae_tf.data.readers.columns import Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.tabular import only_array
from nae_tf.data.tfds_files import TFRECORD_FRAME

SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".tfrecord.gz")
_CHUNK_BYTES = 2**20


class Records(NamedTuple):
    """The records of a file, read and decoded one by one.

    Attributes:
        records: iterator over the serialised records, which can be used once.
        features: function of the number of a record and the record that
            returns its features by name.
        example: function of the number of a record and its features that
            returns its example, an array.
    """

    records: Iterator[bytes]
    features: Callable[[int, bytes], dict[str, np.ndarray]]
    example: Callable[[int, dict[str, np.ndarray]], np.ndarray]


def open_records(
    path,
    key,
    label_key,
    columns: Columns,
    image_shape: ImageShape | None,
    max_level: int | None,
) -> Records:
    """Open a file of records, to be read one by one.

    Arguments and errors are those of `read`.
    """
    if columns.drop:
        raise ValueError(f"{path} has no columns that could be dropped.")
    compression, size = _compression(path)
    raw = _raw_records(path, compression, size)
    start = list(itertools.islice(raw, 1))

    def features(number, record):
        title = f"{path}, record {number}"
        found = _parse(title, record)
        check_names(title, found, key, label_key)
        return found

    def example(number, found):
        title = f"{path}, record {number}"
        value = found[key]
        if value.dtype == object:
            encoded = _only_value(title, key, value)
            value = _decode(encoded, title, key, image_shape, max_level)
            if first is not None and value.dtype != first.dtype:
                raise ValueError(
                    f"{title} has values of type {value.dtype}, but record 0 "
                    f"has {first.dtype}; convert all to one depth."
                )
        if first is not None and value.shape != first.shape:
            raise ValueError(
                f"{title} has the shape {value.shape}, but record 0 has "
                f"{first.shape}; all must be equal."
            )
        return value

    first = None
    if start:
        title = f"{path}, record 0"
        key = key or only_array(title, _parse(title, start[0]), label_key)
        found = features(0, start[0])
        with contextlib.suppress(ValueError):  # Said when it is its turn.
            first = example(0, found)
    return Records(itertools.chain(start, raw), features, example)


def _decode(encoded, title, key, image_shape, max_level):
    try:
        return images.decode_image(encoded, title, image_shape, max_level)
    except ValueError as error:
        if "is not an image" not in str(error):
            raise
        raise ValueError(
            f"{str(error).rstrip('.')}; the bytes of {key!r} must be an "
            "encoded image, no serialised tensor; write numbers as a list of "
            "floats."
        ) from error


def read(
    path,
    key,
    label_key,
    columns: Columns,
    image_shape: ImageShape | None,
    max_level: int | None,
) -> Contents:
    """Read encoded images or lists of numbers from every record.

    Args:
        path: the file, as written or compressed by GZIP or ZLIB.
        key: name of the feature of the examples; not needed if there is no
            other one but `label_key`.
        label_key: name of the feature of the class.
        columns: must drop nothing, because records have no columns.
        image_shape: [height, width, channels] to resize images to.
        max_level: level of white in images, as for `decode_image`.

    Raises:
        ValueError: if the file is damaged, or if its records differ.
    """
    found = open_records(path, key, label_key, columns, image_shape, max_level)
    values = []
    labels = []
    for number, record in enumerate(found.records):
        features = found.features(number, record)
        values.append(found.example(number, features))
        if label_key is not None:
            title = f"{path}, record {number}"
            label = _only_value(title, label_key, features[label_key])
            labels.append(label.decode() if isinstance(label, bytes) else label)
    return Contents(np.stack(values), np.array(labels) if labels else None)


def _raw_records(path, compression, size):
    """Yield serialised records; refuse a file that ends within one."""
    count = num_bytes = 0
    records = tf.data.TFRecordDataset(str(path), compression)
    try:
        for record in untuned(records).as_numpy_iterator():
            yield record
            count += 1
            num_bytes += len(record) + TFRECORD_FRAME
    except tf.errors.DataLossError as error:
        raise ValueError(f"{path} is damaged or no TFRecord file.") from error
    # A file that ends within the frame of a record raises no error.
    if num_bytes != size:
        raise ValueError(
            f"{path} is damaged or no TFRecord file: it ends within record "
            f"{count}."
        )


def _compression(path):
    """Find how a file is compressed, and the number of bytes of its records."""
    with path.open("rb") as file:
        start = file.read(_CHUNK_BYTES)
    for name, wbits in (("GZIP", 31), ("ZLIB", 15)):
        try:
            # A record begins with its length, which may look like either.
            zlib.decompressobj(wbits).decompress(start)
        except zlib.error:
            continue
        return name, _inflated_size(path, name, wbits)
    return "", path.stat().st_size


def _inflated_size(path, name, wbits):
    size = 0
    inflate = zlib.decompressobj(wbits)
    try:
        with path.open("rb") as file:
            while data := file.read(_CHUNK_BYTES):
                while data:
                    if inflate.eof:  # gzip files may be joined to one.
                        inflate = zlib.decompressobj(wbits)
                    size += len(inflate.decompress(data, _CHUNK_BYTES))
                    data = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    if not inflate.eof:
        raise ValueError(f"{path} is damaged: it ends within its {name} data.")
    return size


def _parse(title, record):
    """Parse a tf.train.Example into arrays by name; bytes as objects."""
    try:
        # A sequence of features is unknown to an Example, and left out.
        sequence = tf.train.SequenceExample.FromString(record)
        if sequence.feature_lists.feature_list:
            raise ValueError(
                f"{title} is a tf.train.SequenceExample; write one "
                "tf.train.Example for each step or sequence."
            )
        parsed = tf.train.Example.FromString(record)
    except message.DecodeError as error:
        raise ValueError(f"{title} is not a tf.train.Example.") from error
    features = {}
    for name, feature in parsed.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value if kind else []
        dtype = object if kind == "bytes_list" else None
        features[name] = np.array(values, dtype)
    return features


def _only_value(title, name, values):
    if len(values) != 1:
        raise ValueError(
            f"{title}: expected one value of {name!r}, received {len(values)}."
        )
    return values[0]
