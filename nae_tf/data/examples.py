"""One split of a data set and its batches for training and evaluation.

Every split is read lazily. Training batches are an infinite sequence in which
batch number s depends on the seed and on s alone. So a resumed run sees exactly
the batches that an uninterrupted run would have seen. Next: `sources`, where
examples come from, and `task`, the splits of a run. `digits`, `densities`,
`synthetic`, `image_tasks` and `user_tasks` build tasks.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable

import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.pipelines import untuned
from nae_tf.base.setting_checks import check_integer

# Streams of random numbers that share the run's seed. They take the place of
# the step in `randomness.step_seed`, and are negative so as never to equal one.
# What models draw outside of a step has a negative number too, but with a
# `randomness.Purpose` folded in: data and chains never see the same numbers.
SHUFFLE, DEQUANTIZE, FLIP, SAMPLE = -1, -2, -3, -4


def add_dequantization_noise(x, noise, num_levels: int):
    """Turn quantised pixels into samples of a continuous density.

        dequantized = (x * (num_levels - 1) + noise) / num_levels

    Args:
        x: float [batch, ...] in [0, 1]: multiples of 1 / (num_levels - 1).
        noise: float [batch, ...], shape of `x`, uniform in [0, 1).
        num_levels: number of grey levels, 256 for 8-bit images.

    Returns:
        float [batch, ...] in [0, 1].

    References:
        Yoon et al. 2021, appendix D.1.
    """
    return (x * (num_levels - 1) + noise) / num_levels


@dataclasses.dataclass(frozen=True, eq=False)
class Examples(abc.ABC):
    """One split of a data set: unbatched examples, read when first used.

    Attributes:
        name: name of the split in tables and plots.
        size: number of examples.
        shape: shape of one example, [height, width, channels] or [features].
        num_levels: number of values that a pixel can take (256 for 8-bit
            images), or None for data that are not quantised. The values of
            quantised data are multiples of 1 / (num_levels - 1) in [0, 1].
        names: names of the features in their order; None for images and for
            features without names. A keyword argument.
        contents: function that returns the contents of the file of every
            example, bytes, in order; None where examples have no files of
            their own. A keyword argument.
        origin: function of a position that returns where the user finds the
            example: the path of an image, or a file and a row. None where
            examples have no files. A keyword argument.

    Example:
        >>> from nae_tf.data import digits_holdout
        >>> examples = digits_holdout().test
        >>> examples.name, examples.size, examples.shape, examples.num_levels
        ('digits, test', 323, (8, 8, 1), 17)
        >>> next(iter(examples.batches(batch_size=32))).shape
        TensorShape([32, 8, 8, 1])
    """

    name: str
    size: int
    shape: tuple[int, ...]
    num_levels: int | None
    names: tuple[str, ...] | None = dataclasses.field(
        default=None, kw_only=True
    )
    contents: Callable[[], Iterable[bytes]] | None = dataclasses.field(
        default=None, kw_only=True
    )
    origin: Callable[[int], str] | None = dataclasses.field(
        default=None, kw_only=True
    )

    @abc.abstractmethod
    def stored(self) -> tf.data.Dataset:
        """Unbatched values as stored: grey levels 0, 1, ..., or floats."""

    @abc.abstractmethod
    def _stored_training_batches(
        self, batch_size: int, seed: int, start_step: int
    ) -> tf.data.Dataset:
        """Infinite batches of stored values, shuffled anew every epoch."""

    def _values(self, stored):
        """Stored grey levels as float32 in [0, 1]; floats stay."""
        values = tf.cast(stored, tf.float32)
        if self.num_levels is not None:
            values = values / (self.num_levels - 1)
        return values

    def batches(
        self, batch_size: int, limit: int | None = None
    ) -> tf.data.Dataset:
        """Batches for evaluation: file order, no noise, one pass.

        Args:
            batch_size: examples per batch; the last batch may be smaller.
            limit: number of examples after which to stop; None means all.

        Returns:
            Data set of float32 `[batch, *shape]`.

        Raises:
            ValueError: if `batch_size` is not positive.
        """
        check_integer(self.name, "batch_size", batch_size, 1)
        stored = self.stored().take(-1 if limit is None else limit)
        batches = stored.batch(batch_size).map(
            self._values, tf.data.AUTOTUNE, deterministic=True
        )
        return _with_options(batches.prefetch(tf.data.AUTOTUNE))

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        dequantize: bool = True,
        flip: bool = False,
    ) -> tf.data.Dataset:
        """Infinite batches for training; batch s depends on (seed, s) only.

        Each epoch is a permutation of the examples that depends on the seed
        and the epoch. Epochs are concatenated and then cut into batches, so
        that all batches have the same static shape and every example occurs
        exactly once per epoch.

        Args:
            batch_size: examples per batch; may exceed the number of examples.
            seed: seed of the order, the dequantisation noise and the flips.
            start_step: number of the first batch. The result is the tail of
                the sequence that starts at 0.
            dequantize: whether `add_dequantization_noise` is applied. It has no
                effect on data whose `num_levels` is None.
            flip: whether images are mirrored horizontally with probability
                1/2.

        Returns:
            Data set of float32 `[batch_size, *shape]`.

        Raises:
            ValueError: if an argument is out of range or there is no example.
        """
        check_integer(self.name, "batch_size", batch_size, 1)
        check_integer(self.name, "start_step", start_step, 0)
        if flip and len(self.shape) != 3:
            raise ValueError(
                f"{self.name}: expected images [height, width, channels] to "
                f"flip, received examples of shape {self.shape}; use "
                "flip=False."
            )
        if self.size == 0:
            raise ValueError(f"{self.name}: there is no example to train on.")

        def augment(step, stored):
            x = self._values(stored)
            if flip:
                coins = randomness.uniform(
                    [batch_size, 1, 1, 1],
                    stream_seed(seed, FLIP, step),
                    x.dtype,
                )
                x = tf.where(coins < 0.5, tf.reverse(x, axis=[2]), x)
            if dequantize and self.num_levels is not None:
                noise = randomness.uniform(
                    tf.shape(x), stream_seed(seed, DEQUANTIZE, step), x.dtype
                )
                x = add_dequantization_noise(x, noise, self.num_levels)
            return tf.ensure_shape(x, (batch_size, *self.shape))

        stored = self._stored_training_batches(batch_size, seed, start_step)
        steps = numbers_from(start_step)
        return _with_options(
            tf.data.Dataset.zip((steps, stored))
            .map(augment, tf.data.AUTOTUNE, deterministic=True)
            .apply(
                tf.data.experimental.assert_cardinality(
                    tf.data.INFINITE_CARDINALITY
                )
            )
            .prefetch(tf.data.AUTOTUNE)
        )


def stream_seed(seed, stream, number):
    """Seed, int [2], of one stream in one step or epoch."""
    return randomness.fold_in(tf.constant([seed, stream], tf.int64), number)


def numbers_from(first):
    """Count without end, int64, from a number.

    `tf.data.Dataset.counter` would do the same, but each of its data sets
    leaves a graph behind in the process.
    """
    return tf.data.Dataset.range(first, tf.int64.max)


def _with_options(batches):
    """Let machines share every batch, and hold what is in memory once."""
    options = tf.data.Options()
    # Not the files that batches came from.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    # To rewrite the pipeline, TensorFlow would copy all arrays into its graph.
    options.experimental_optimization.apply_default_optimizations = False
    return untuned(batches.with_options(options))
