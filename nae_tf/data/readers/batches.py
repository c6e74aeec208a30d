"""Batches of examples that are read when they are needed."""

import types
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nae_tf.base.feature_names import Names
from nae_tf.data.readers.units import Units


class Batch(NamedTuple):
    """Consecutive examples, read when they are needed.

    Attributes:
        ids: names of the examples, [batch]: paths within a folder, or numbers
            from 0.
        load: function that reads them, float `[batch, *example_shape]`. It
            raises ValueError if they are not valid examples.
        load_one: function of a position in the batch that reads this example
            alone, float `[1, *example_shape]`, or None where all are read
            together.
    """

    ids: list[str]
    load: Callable[[], np.ndarray]
    load_one: Callable[[int], np.ndarray] | None = None


class ExampleStream(NamedTuple):
    """All examples to score, in order.

    Attributes:
        size: number of examples, or None if it is not known.
        batches: iterator over the batches, which can be used once.
        names: names of the features in their order; None for images and for
            features without names.
        units: units of features by name, where a file has some.
    """

    size: int | None
    batches: Iterator[Batch]
    names: Names | None = None
    units: Units = types.MappingProxyType({})


def numbers(start: int, count: int) -> list[str]:
    """Return the ids of some examples that have no names."""
    return [str(number) for number in range(start, start + count)]
