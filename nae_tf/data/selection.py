"""Examples selected from others: a sample of a set, or what is left of it."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from nae_tf.base.feature_names import listed, positions_of
from nae_tf.data import examples, sources


@dataclasses.dataclass(frozen=True, eq=False)
class SelectedExamples(examples.Examples):
    """Some examples of one or several sets, set after set, in their order.

    Attributes:
        parts: sets with int [selected] positions in them, ascending.
    """

    parts: tuple[tuple[examples.Examples, np.ndarray], ...]

    def stored(self) -> tf.data.Dataset:
        """Unbatched values as stored: grey levels 0, 1, ..., or floats."""
        return functools.reduce(
            lambda before, part: before.concatenate(part),
            [_stored_at(*part) for part in self.parts],
        )

    def _stored_training_batches(self, batch_size, seed, start_step):
        in_memory = sources.ArrayExamples(
            self.name,
            self.size,
            self.shape,
            self.num_levels,
            read=lambda: sources.to_array(self.stored()),
            names=self.names,
        )
        return in_memory._stored_training_batches(batch_size, seed, start_step)


def select(
    name: str, *parts: tuple[examples.Examples, np.ndarray]
) -> SelectedExamples:
    """Select examples of sets of the same kind.

    Args:
        name: name of the selection in tables and plots.
        *parts: sets with int [selected] positions in them, ascending.
    """
    first, _ = parts[0]
    starts = np.cumsum([0, *(len(positions) for _, positions in parts[:-1])])

    def origin(position):
        part = np.searchsorted(starts, position, side="right") - 1
        whole, positions = parts[part]
        return whole.origin(positions[position - starts[part]])

    return SelectedExamples(
        name,
        sum(len(positions) for _, positions in parts),
        first.shape,
        first.num_levels,
        parts=parts,
        names=first.names,
        origin=None if any(x.origin is None for x, _ in parts) else origin,
    )


def sample(
    whole: examples.Examples, limit: int | None, seed: int = 0
) -> examples.Examples:
    """Draw examples at random, without replacement, in the order of the set.

    Files are often sorted, by class or by time, so that their first examples
    do not stand for the others.

    Args:
        whole: set to draw from.
        limit: number of examples to draw; None, or a number that is not below
            the size, means the whole set.
        seed: seed of the sample, int >= 0.
    """
    if limit is None or limit >= whole.size:
        return whole
    order = np.random.default_rng(seed).permutation(whole.size)
    return select(whole.name, (whole, np.sort(order[:limit])))


def positions_in_whole(
    selected: examples.Examples, indices: np.ndarray
) -> np.ndarray:
    """Return the positions that examples of a `sample` have in the whole set.

    Args:
        selected: result of `sample`.
        indices: int [number], positions in the sample.

    Returns:
        int [number].
    """
    if isinstance(selected, SelectedExamples) and len(selected.parts) == 1:
        [(_, positions)] = selected.parts
        return positions[indices]
    return indices


def in_order(
    whole: examples.Examples, names: tuple[str, ...] | None
) -> examples.Examples:
    """Put the features of a set in order by their names.

    Args:
        whole: set with names of features; without them it stays as it is.
        names: names in the order to have; None for the set's own.

    Raises:
        ValueError: if a name is missing or not expected.
    """
    if whole.names is None or names in (None, whole.names):
        return whole
    order = positions_of(whole.name, whole.names, names)
    if isinstance(whole, sources.ArrayExamples):
        return dataclasses.replace(
            whole,
            names=names,
            read=lambda: whole.array[:, order],
            positions=None,
        )
    if isinstance(whole, sources.StreamedExamples):
        return dataclasses.replace(
            whole,
            names=names,
            read=lambda: whole.read().map(lambda x: tf.gather(x, order)),
        )
    raise ValueError(
        f"{whole.name} has its features in the order {listed(whole.names)}, "
        f"expected {listed(names)}; put them in that order."
    )


def _stored_at(whole, positions):
    if isinstance(whole, sources.ArrayExamples):
        return tf.data.Dataset.from_tensor_slices(whole.at(positions))
    wanted = np.zeros(whole.size, bool)
    wanted[positions] = True
    pairs = tf.data.Dataset.zip(
        (whole.stored(), tf.data.Dataset.from_tensor_slices(wanted))
    )
    return pairs.filter(lambda _, is_wanted: is_wanted).map(
        lambda stored, _: stored
    )
