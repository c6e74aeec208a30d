"""Samples of a model that draws them from nothing but a seed."""

import functools
from typing import Any

import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.detector import OutlierDetector
from nae_tf.base.randomness import Purpose
from nae_tf.base.setting_checks import check_integer, check_seed


def generation_seed(seed):
    """Return the seed of the noise of samples, independent of all training.

    Args:
        seed: seed of the samples, int scalar; may be a tensor.

    Returns:
        int32 [2].
    """
    # Training steps count from 0.
    return randomness.fold_in(
        randomness.step_seed(seed, -1), Purpose.GENERATION
    )


class GeneratesSamples(OutlierDetector):
    """A detector with `sample`; a subclass implements `generate`."""

    def generate(self, num_samples, seed) -> Any:
        """Generate samples as `sample` does, inside a graph.

        Args:
            num_samples: number of samples, int scalar > 0; may be a tensor.
            seed: seed of the samples, int scalar; may be a tensor.

        Returns:
            A named tuple, whose `x`, float [num_samples, ...], are the samples.
        """
        raise NotImplementedError

    def sample(self, num_samples: int, seed: int = 0) -> Any:
        """Generate samples of the model (section 6.4).

        Args:
            num_samples: number of samples, > 0.
            seed: seed of the samples, int; the same seed gives the same
                samples.

        Returns:
            The result of `generate`, whose `x`, float [num_samples, ...], are
            the samples.

        Raises:
            ValueError: if the model has no weights yet, `num_samples` is out of
                range, or the model cannot generate samples.
        """
        owner = f"{type(self).__name__}.sample"
        if not self.built:
            raise ValueError(
                f"{owner}: the model has no weights yet; fit it first, or "
                "give it networks of known input shape."
            )
        check_integer(owner, "num_samples", num_samples, 1, 2**31 - 1)
        check_seed(owner, seed)
        self.forget_graphs_of_other_networks()
        return self._compiled_generate(
            tf.constant(num_samples), tf.constant(seed)
        )

    @functools.cached_property
    def _compiled_generate(self):
        return tf.function(self.generate, autograph=False)
