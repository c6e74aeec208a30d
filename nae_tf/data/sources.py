"""Where examples come from: an array in memory, a file, a known density."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from nae_tf.data import examples

# CelebA at 32x32 is held in memory, CelebA at 64x64 is not.
MAX_BYTES_IN_MEMORY = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayExamples(examples.Examples):
    """Examples that fit in memory, kept as they are stored (uint8 for images).

    Attributes:
        read: function that returns the array, `[size, *shape]`; called once,
            at first use.

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

    read: Callable[[], np.ndarray]

    @functools.cached_property
    def array(self) -> np.ndarray:
        """Stored values, `[size, *shape]`: grey levels, or floats."""
        array = self.read()
        if array.shape != (self.size, *self.shape):
            raise ValueError(
                f"{self.name}: expected an array of shape "
                f"{(self.size, *self.shape)}, received {array.shape}."
            )
        return array

    def stored(self) -> tf.data.Dataset:
        """Unbatched values as stored: grey levels 0, 1, ..., or floats."""
        return tf.data.Dataset.from_tensor_slices(self.array)

    def _stored_training_batches(self, batch_size, seed, start_step):
        with tf.device("CPU:0"):
            array = tf.convert_to_tensor(self.array)

        positions = _permutations(self.size, seed, start_step * batch_size)
        return positions.batch(batch_size, drop_remainder=True).map(
            lambda index: tf.gather(array, index)
        )


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
    return np.concatenate(list(batches.as_numpy_iterator()))


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
