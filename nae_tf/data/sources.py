"""Where examples come from: an array in memory, a file, a known density."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from nae_tf.base.pipelines import untuned
from nae_tf.data import examples
from nae_tf.data.shared_memory import as_array, as_tensor

# CelebA at 32x32 is held in memory, CelebA at 64x64 is not.
MAX_BYTES_IN_MEMORY = 2**30
# Bytes of examples that are copied at a time.
_PART_BYTES = 2**22


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayExamples(examples.Examples):
    """Examples that are held in memory once, as stored (uint8 for images).

    Attributes:
        read: function that returns the array, `[size, *shape]`; called once,
            at first use.
        positions: int [size], rows of the array that are the examples, where
            several sets share one; None for all of its rows.

    Example:
        >>> import numpy as np
        >>> from nae_tf.data import ArrayExamples
        >>> images = np.zeros((10, 8, 8, 1), np.uint8)
        >>> examples = ArrayExamples(
        ...     "black", 10, (8, 8, 1), num_levels=256, read=lambda: images
        ... )
        >>> [len(batch) for batch in examples.batches(batch_size=4)]
        [4, 4, 2]
    """

    read: Callable[[], np.ndarray | tf.Tensor]
    positions: np.ndarray | None = None

    @functools.cached_property
    def _rows(self) -> tf.Tensor:
        rows = self.read()
        size = self.size if self.positions is None else rows.shape[0]
        if tuple(rows.shape) != (size, *self.shape):
            raise ValueError(
                f"{self.name}: expected an array of shape "
                f"{(size, *self.shape)}, received {tuple(rows.shape)}."
            )
        return as_tensor(rows)

    @property
    def array(self) -> np.ndarray:
        """Stored values, `[size, *shape]`: grey levels, or floats."""
        return self.at(slice(None))

    def at(self, places) -> np.ndarray:
        """Return the stored values of some examples, `[some, *shape]`.

        Args:
            places: a slice, or int [some], of the examples.
        """
        if self.positions is not None:
            places = self.positions[places]
        return as_array(self._rows)[places]

    def parts(self) -> Iterator[np.ndarray]:
        """Yield the stored values in their order, `[some, *shape]`."""
        step = self._examples_per_part()
        for start in range(0, self.size, step):
            yield self.at(slice(start, start + step))

    def stored(self) -> tf.data.Dataset:
        """Unbatched values as stored: grey levels 0, 1, ..., or floats."""
        if self.positions is None:
            return tf.data.Dataset.from_tensor_slices(self._rows)
        positions = tf.data.Dataset.from_tensor_slices(self.positions)
        parts = self._gathered(positions.batch(self._examples_per_part()))
        return parts.unbatch().apply(
            tf.data.experimental.assert_cardinality(self.size)
        )

    def _stored_training_batches(self, batch_size, seed, start_step):
        places = _permutations(self.size, seed, start_step * batch_size)
        batches = places.batch(batch_size, drop_remainder=True)
        if self.positions is not None:
            positions = tf.constant(self.positions)
            batches = batches.map(lambda index: tf.gather(positions, index))
        return self._gathered(batches)

    def _examples_per_part(self):
        num_bytes = math.prod(self.shape) * self._rows.dtype.size
        return max(_PART_BYTES // max(num_bytes, 1), 1)

    def _gathered(self, batches):
        """Look up a data set of positions in the array.

        The array is an element of a data set: a function that it is a constant
        of would hold a copy.
        """
        rows = tf.data.Dataset.from_tensors(self._rows).repeat()
        return tf.data.Dataset.zip((rows, batches)).map(tf.gather)


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedExamples(examples.Examples):
    """Examples too large for memory, read from disk in every epoch.

    With `read_at`, as for files of one image each, positions are shuffled, and
    an epoch is a random permutation. Without it, an epoch is shuffled through a
    seeded buffer, so its order is less random, and resuming reads again what
    the epoch had used.

    Attributes:
        read: function that returns the unbatched `tf.data.Dataset` of stored
            values, in file order.
        shuffle_buffer: number of examples held for shuffling.
        read_at: function of an unbatched data set of positions, int32 [], that
            returns the stored values there, in that order; None if examples
            can be read in file order alone.

    Example:
        >>> import tensorflow as tf
        >>> from nae_tf.data import StreamedExamples
        >>> stored = tf.data.Dataset.from_tensor_slices([[0.0], [1.0], [2.0]])
        >>> examples = StreamedExamples(
        ...     "numbers", 3, (1,), num_levels=None, read=lambda: stored
        ... )
        >>> batches = examples.training_batches(batch_size=2, seed=0)
        >>> next(iter(batches)).shape
        TensorShape([2, 1])
    """

    read: Callable[[], tf.data.Dataset]
    shuffle_buffer: int = 10_000
    read_at: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None

    def stored(self) -> tf.data.Dataset:
        """Unbatched values as stored: grey levels 0, 1, ..., or floats."""
        return self.read().apply(
            tf.data.experimental.assert_cardinality(self.size)
        )

    def _stored_training_batches(self, batch_size, seed, start_step):
        start = start_step * batch_size
        if self.read_at is not None:
            stream = self.read_at(_permutations(self.size, seed, start))
            return stream.batch(batch_size, drop_remainder=True)
        stored = self.stored()

        def epoch(number):
            # Sets the seed of this function's graph only. `shuffle` mixes it
            # with its own; else it would be the global seed of the process.
            tf.random.set_seed(1)
            epoch_seed = tf.random.stateless_uniform(
                [],
                examples.stream_seed(seed, examples.SHUFFLE, number),
                minval=None,
                maxval=None,
                dtype=tf.int64,
            )
            return stored.shuffle(
                self.shuffle_buffer, epoch_seed, reshuffle_each_iteration=False
            )

        stream = _concatenated_epochs(epoch, self.size, start)
        return stream.batch(batch_size, drop_remainder=True)


@dataclasses.dataclass(frozen=True, eq=False)
class SampledExamples(examples.Examples):
    """A known density: fresh samples in training, fixed ones in evaluation.

    Attributes:
        size: number of samples of an evaluation, and of what counts as an
            epoch in training.
        sample: function of the number of samples and a stateless seed, int64
            [2], that returns float32 `[number, *shape]`.
        evaluation_seed: seed of the fixed samples, int.

    Example:
        >>> import tensorflow as tf
        >>> from nae_tf.data import SampledExamples
        >>> def normal(number, seed):
        ...     return tf.random.stateless_normal([number, 2], seed)
        >>> examples = SampledExamples(
        ...     "normal", 1_000, (2,), num_levels=None, sample=normal
        ... )
        >>> batches = examples.training_batches(batch_size=64, seed=0)
        >>> next(iter(batches)).shape
        TensorShape([64, 2])
    """

    sample: Callable[[int, tf.Tensor], tf.Tensor]
    evaluation_seed: int = 0

    def stored(self) -> tf.data.Dataset:
        """Unbatched values as stored: grey levels 0, 1, ..., or floats."""
        seed = examples.stream_seed(self.evaluation_seed, examples.SAMPLE, -1)
        return tf.data.Dataset.from_tensor_slices(self.sample(self.size, seed))

    def _stored_training_batches(self, batch_size, seed, start_step):
        return examples.numbers_from(start_step).map(
            lambda step: self.sample(
                batch_size, examples.stream_seed(seed, examples.SAMPLE, step)
            )
        )


def from_indices(
    name: str,
    shape: tuple[int, ...],
    num_levels: int | None,
    indices: np.ndarray,
    stream: Callable[[np.ndarray], tf.data.Dataset],
    names: tuple[str, ...] | None = None,
    stream_at: Callable[[np.ndarray, tf.data.Dataset], tf.data.Dataset]
    | None = None,
) -> examples.Examples:
    """Examples of a file: in memory if they are small, otherwise streamed.

    Args:
        name: name of the split in tables and plots.
        shape: shape of one example.
        num_levels: number of values that a pixel can take, stored as bytes or,
            above 256, as uint16.
            None means float32 values.
        indices: int [size], positions in the file, ascending.
        stream: function of such positions that returns the unbatched
            `tf.data.Dataset` of their stored values, in that order.
        names: names of the features in their order, or None.
        stream_at: function of such positions and a data set of places among
            them, which returns the stored values there; None if examples can
            be read in file order alone.
    """
    read = functools.partial(stream, indices)
    # As they are stored: bytes, or two of them, or floats.
    bytes_per_value = 4
    if num_levels is not None:
        bytes_per_value = 1 if num_levels <= 256 else 2
    size = len(indices)
    num_bytes = bytes_per_value * size * math.prod(shape)
    if num_bytes > MAX_BYTES_IN_MEMORY:
        return StreamedExamples(
            name,
            size,
            shape,
            num_levels,
            read,
            read_at=stream_at and functools.partial(stream_at, indices),
            names=names,
        )

    return ArrayExamples(
        name, size, shape, num_levels, lambda: to_array(read()), names=names
    )


def to_array(stored: tf.data.Dataset) -> np.ndarray:
    """Read all elements of an unbatched data set into one array."""
    batches = stored.batch(1_000).prefetch(tf.data.AUTOTUNE)
    return np.concatenate(list(untuned(batches).as_numpy_iterator()))


def _permutations(size, seed, start):
    """Positions 0 ... size - 1 in a new order for every epoch, without end."""

    def epoch(number):
        # tf.random.experimental.index_shuffle would need no memory, but it
        # knows no more than 256 different orders of a small set.
        order = tf.random.experimental.stateless_shuffle(
            tf.range(size),
            examples.stream_seed(seed, examples.SHUFFLE, number),
        )
        return tf.data.Dataset.from_tensor_slices(order)

    return _concatenated_epochs(epoch, size, start)


def _concatenated_epochs(epoch, size, start):
    """Epochs 0, 1, ... one after another, from position `start` on."""
    first, done = divmod(start, size)

    def tail(number):
        skipped = tf.where(number == first, tf.cast(done, tf.int64), 0)
        return epoch(number).skip(skipped)

    return examples.numbers_from(first).flat_map(tail)
