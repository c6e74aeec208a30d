"""Files that tensorflow-datasets has prepared: found, checked and read."""

import contextlib
import dataclasses
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

_READ_BATCH = 1_000
# Bytes around every record: its length and the checksums of length and data.
TFRECORD_FRAME = 16


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """A split of a data set whose files have the sizes that they should have.

    Attributes:
        folder: folder of the data set.
        files: paths of the files of the split, in the order of its examples.
        num_examples: number of examples in all files.
        remedy: advice that ends error messages: how to prepare the data set
            again.
        source: serialised examples by position, with `__getitems__`; None where
            the files are TFRecord files, which have no positions.
    """

    folder: str
    files: Sequence[str]
    num_examples: int
    remedy: str
    source: Any = None

    def read(self, feature, dtype, indices=None) -> tf.data.Dataset:
        """Read one stored feature of every example.

        The files are read without tensorflow-datasets, whose pipeline works
        example by example: twenty times slower for small images.

        Args:
            feature: name of the feature, one value per example.
            dtype: type of the stored value.
            indices: int [size], positions of the wanted examples; None means
                all.

        Returns:
            Batches of values, in the order of the files.
        """
        spec = {feature: tf.io.FixedLenFeature([], dtype)}
        wanted = np.ones(self.num_examples, bool)
        if indices is not None:
            wanted[:] = False
            wanted[indices] = True
        if self.source is None:
            records = tf.data.TFRecordDataset(self.files).batch(_READ_BATCH)
        else:
            records = self._records_at(np.flatnonzero(wanted))
        values = records.map(
            lambda records: tf.io.parse_example(records, spec)[feature]
        )
        if indices is None or self.source is not None:
            return values
        wanted = tf.data.Dataset.from_tensor_slices(wanted).batch(_READ_BATCH)
        return tf.data.Dataset.zip((values, wanted)).map(tf.boolean_mask)

    def _records_at(self, positions):
        """Read serialised examples by position, in batches."""

        def batches():
            for start in range(0, len(positions), _READ_BATCH):
                chosen = positions[start : start + _READ_BATCH].tolist()
                yield [bytes(x) for x in self.source.__getitems__(chosen)]

        return tf.data.Dataset.from_generator(
            batches, output_signature=tf.TensorSpec([None], tf.string)
        )

    @contextlib.contextmanager
    def explained(self):
        """Report files that cannot be read within the context in one line."""
        try:
            yield
        except (
            tf.errors.DataLossError,
            tf.errors.InvalidArgumentError,
            tf.errors.NotFoundError,
            tf.errors.PermissionDeniedError,
            tf.errors.UnknownError,  # Raised by a library that reads a source.
        ) as error:
            raise self.damage(
                f"a file of {self.folder} cannot be read"
            ) from error

    def damage(self, reason: str) -> ValueError:
        """Return the error that says what is wrong with the files."""
        return _damage(reason, self.remedy)


def find_split(
    tfds_name: str, split: str, data_dir: str | None, remedy: str
) -> PreparedSplit:
    """Find a split of a data set on disk.

    Args:
        tfds_name: name of the data set in tensorflow-datasets.
        split: name of the split there.
        data_dir: folder of tensorflow-datasets; None means its default.
        remedy: advice that ends error messages: how to prepare the data set.

    Raises:
        FileNotFoundError: if the data set or the split is not there.
        ValueError: if its files are damaged.
    """
    tfds = import_tfds()
    try:
        builder = tfds.builder(tfds_name, data_dir=data_dir)
    # Whatever an unreadable dataset_info.json raises.
    except (json_format.Error, RuntimeError, AssertionError) as error:
        where = data_dir or "the folder of tensorflow-datasets"
        raise _damage(
            f"dataset_info.json of {tfds_name} in {where} cannot be read",
            remedy,
        ) from error
    splits = dict(builder.info.splits) if builder.is_prepared() else {}
    if split not in splits:
        found = f"only its {sorted(splits)}" if splits else "nothing of it"
        raise FileNotFoundError(
            f"{tfds_name}, split {split!r}: {found} is in "
            f"{builder.data_path}; {remedy}"
        )
    file_format = builder.info.file_format
    if reason := _wrong_size(splits[split], file_format):
        raise _damage(reason, remedy)
    return PreparedSplit(
        folder=str(builder.data_path),
        files=[str(path) for path in splits[split].filepaths],
        num_examples=splits[split].num_examples,
        remedy=remedy,
        source=_source(builder, split, file_format, remedy),
    )


def _source(builder, split, file_format, remedy):
    """Open the examples of a split that is not in TFRecord files.

    Args:
        builder: builder of the data set.
        split: name of the split.
        file_format: format of its files.
        remedy: advice that ends error messages.

    Returns:
        Serialised examples by position, or None for TFRecord files.

    Raises:
        ImportError: if the library of the format is not installed.
        ValueError: if the format is not read, or a file is damaged.
    """
    formats = import_tfds().core.FileFormat
    if file_format == formats.TFRECORD:
        return None
    where = f"{builder.data_path} is in the format {file_format.value!r}"
    if file_format not in (formats.ARRAY_RECORD, formats.PARQUET):
        raise ValueError(
            f"{where}; expected tfrecord, array_record or parquet. Keep it in "
            f"another folder and {remedy}"
        )
    try:
        return builder.as_data_source(
            split,
            deserialize_method=import_tfds().decode.DeserializeMethod.RAW_BYTES,
        )
    except ImportError as error:
        package = {formats.ARRAY_RECORD: "array_record"}.get(
            file_format, "pyarrow"
        )
        raise ImportError(
            f"{where}; install the package that reads it: pip install {package}"
        ) from error
    # Whatever the library of the format raises for a damaged file.
    except (OSError, RuntimeError, ValueError) as error:
        raise _damage(
            f"a file of {builder.data_path} cannot be read", remedy
        ) from error


def _damage(reason, remedy):
    """Return the error that says what is wrong with a data set and its cure."""
    return ValueError(
        f"{reason}: the data set is damaged; remove its folder and {remedy}"
    )


def _wrong_size(split, file_format):
    """Return what is wrong with a split's files by their sizes, or None.

    The size of all is known of TFRecord files alone: others are compressed.
    """
    size = 0
    for path in split.filepaths:
        try:
            length = tf.io.gfile.stat(str(path)).length
        except tf.errors.NotFoundError:
            return f"{path} is missing"
        except tf.errors.PermissionDeniedError:
            return f"{path} may not be read"
        if not length:
            return f"{path} is empty"
        size += length
    if file_format != import_tfds().core.FileFormat.TFRECORD:
        return None
    expected = int(split.num_bytes) + TFRECORD_FRAME * split.num_examples
    if split.num_bytes and size != expected:  # 0 means unknown.
        others = " and those beside it hold" if split.num_shards > 1 else " has"
        return f"{path}{others} {size} bytes of {expected}"
    return None


def import_tfds() -> types.ModuleType:
    """Return the module tensorflow_datasets, which takes seconds to import.

    Raises:
        ImportError: if its own import failed. A recent tensorflow-metadata
            causes this beside an old TensorFlow, which needs protobuf below 5.
    """
    import tensorflow_datasets as tfds

    if not hasattr(tfds, "builder"):  # A failed import is only logged.
        raise ImportError(
            "tensorflow-datasets cannot be used: its import failed (see the "
            "log above); with TensorFlow 2.16 or 2.17 run `pip install "
            "'tensorflow-metadata<1.18'`."
        )
    return tfds
