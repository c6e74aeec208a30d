"""A mixture of samplers: parts of a batch from different chain starts."""

import dataclasses
from collections.abc import Sequence

import gin
import keras
import numpy as np
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.batches import pad_batch
from nae_tf.base.setting_checks import check_number
from nae_tf.langevin_chain import ChainDiagnostics, LangevinChain
from nae_tf.samplers import NegativeSample, Sampler

# Streams of the parts, beside those of `Purpose`.
_FIRST_STREAM = 100


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MixtureOfSamplers(Sampler):
    """Several samplers, each of which draws its share of every batch.

    Chains that start anywhere on the manifold, as those of `OnManifold`, look
    for modes far from the data. Chains that start near data, as those of
    `ProjectionDiffusion`, look between them. A mixture looks for both.

    Samples of nothing but noise come from the first sampler that can draw them.

    Attributes:
        samplers: samplers of equal visible bounds; one of them at most has a
            replay buffer.
        shares: shares of a batch, > 0, in the order of `samplers`; their sum is
            1. None for equal ones. The rows of a batch are cut where they come
            nearest to them.

    Example:
        >>> import numpy as np
        >>> from nae_tf import NAE, OnManifold
        >>> from nae_tf.baselines import MixtureOfSamplers, ProjectionDiffusion
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> images = np.random.default_rng(0).uniform(size=(16, 8, 8, 1))
        >>> model = NAE(
        ...     MLPEncoder(latent_dim=4, example_shape=(8, 8, 1)),
        ...     MLPDecoder(latent_dim=4, example_shape=(8, 8, 1)),
        ...     sampler=MixtureOfSamplers(
        ...         samplers=(
        ...             OnManifold.for_images(),
        ...             ProjectionDiffusion.for_images(),
        ...         ),
        ...         shares=(0.25, 0.75),
        ...     ),
        ... )
        >>> model.negative_samples(images).x.shape
        TensorShape([16, 8, 8, 1])
    """

    visible_chain: LangevinChain = dataclasses.field(init=False)
    samplers: tuple[Sampler, ...]
    shares: tuple[float, ...] | None = None

    def __post_init__(self):
        """Refuse samplers and shares that do not go together."""
        owner = "MixtureOfSamplers"
        samplers = tuple(self.samplers)
        if not samplers or not all(isinstance(s, Sampler) for s in samplers):
            raise ValueError(
                f"{owner}: expected samplers, one or more, received {samplers}."
            )
        count = len(samplers)
        shares = self.shares
        shares = (1 / count,) * count if shares is None else tuple(shares)
        for share in shares:
            check_number(owner, "shares", share, "(0, 1]")
        if len(shares) != count or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(
                f"{owner}: expected {count} shares with the sum 1, one per "
                f"sampler, received {shares}."
            )
        if len({s.visible_chain.bounds for s in samplers}) > 1:
            raise ValueError(
                f"{owner}: expected samplers of equal visible bounds, received "
                f"{[s.visible_chain.bounds for s in samplers]}."
            )
        if sum(s.stores_states for s in samplers) > 1:
            raise ValueError(
                f"{owner}: expected one sampler with a replay buffer at most; "
                "turn that of the others off by replay_ratio=0."
            )
        # The bounds of this chain are those of all.
        chain = samplers[0].visible_chain
        for name, value in [
            ("samplers", samplers),
            ("shares", shares),
            ("visible_chain", chain),
        ]:
            object.__setattr__(self, name, value)

    @property
    def has_latent_chain(self) -> bool:  # type: ignore[override]
        """Whether all samplers have a latent chain."""
        return all(s.has_latent_chain for s in self.samplers)

    @property
    def generates(self) -> bool:  # type: ignore[override]
        """Whether a sampler can draw samples of nothing but noise."""
        return any(s.generates for s in self.samplers)

    @property
    def stores_states(self) -> bool:
        """Whether one of the samplers has a replay buffer."""
        return any(s.stores_states for s in self.samplers)

    def make_buffer(self, example_shape, latent_shape, dtype):
        """Make the buffer of the sampler that has one, or return None."""
        for sampler in self.samplers:
            if sampler.stores_states:
                return sampler.make_buffer(example_shape, latent_shape, dtype)
        return None

    def make_manifold(self, model):
        """Make the networks that a sampler starts at, or return None."""
        for sampler in self.samplers:
            if (manifold := sampler.make_manifold(model)) is not None:
                return manifold
        return None

    def draw(self, model, x, buffer, seed) -> NegativeSample:
        """Draw every sampler's share of the negative samples."""
        ends = self._ends(tf.shape(x)[0])
        parts = []
        for index, sampler in enumerate(self.samplers):
            rows = x[ends[index] : ends[index + 1]]
            # Convolutions do not take an empty batch.
            negative = sampler.draw(
                model,
                pad_batch(rows, 1),
                buffer if sampler.stores_states else None,
                randomness.fold_in(seed, _FIRST_STREAM + index),
            )
            parts.append(_first_rows(negative, tf.shape(rows)[0]))
        weights = tf.cast(ends[1:] - ends[:-1], tf.float32)
        return _joined(parts, weights / tf.reduce_sum(weights))

    def stored_states(self, negative):
        """Return the states of the sampler that has a replay buffer."""
        ends = self._ends(tf.shape(negative.x)[0])
        for index, sampler in enumerate(self.samplers):
            if sampler.stores_states:
                rows = slice(ends[index], ends[index + 1])
                states = sampler.stored_states(negative)
                return states[rows]
        raise NotImplementedError

    def generate(self, model, num_samples, seed, dtype) -> NegativeSample:
        """Draw samples by the first sampler that draws them from noise."""
        for sampler in self.samplers:
            if sampler.generates:
                return sampler.generate(model, num_samples, seed, dtype)
        raise ValueError(
            "MixtureOfSamplers: none of the samplers can generate samples from "
            "nothing; use the method draw with data."
        )

    def _ends(self, count):
        """Rows where the parts of a batch begin and end, int [parts + 1]."""
        ends = np.cumsum([0.0, *(self.shares or ())])
        ends[-1] = 1.0
        rows = tf.round(tf.constant(ends) * tf.cast(count, tf.float64))
        return tf.cast(rows, tf.int32)


def _first_rows(negative: NegativeSample, count) -> NegativeSample:
    """Drop the rows that were padded; the diagnostics are scalars."""
    return NegativeSample(
        negative.x[:count],
        negative.x0[:count],
        negative.visible,
        None if negative.z is None else negative.z[:count],
        None if negative.z0 is None else negative.z0[:count],
        negative.latent,
    )


def _joined(parts: Sequence[NegativeSample], weights) -> NegativeSample:
    """Join samples; of their diagnostics return the mean over chains."""

    def rows(name):
        values = [getattr(part, name) for part in parts]
        if any(value is None for value in values):
            return None
        return tf.concat(values, 0)

    def mean(name):
        values = [getattr(part, name) for part in parts]
        if any(value is None for value in values):
            return None
        numbers = tf.stack([tf.stack(list(value)) for value in values])
        means = tf.linalg.matvec(numbers, weights, transpose_a=True)
        return ChainDiagnostics(means[0], means[1], means[2])

    return NegativeSample(
        rows("x"),
        rows("x0"),
        mean("visible"),
        rows("z"),
        rows("z0"),
        mean("latent"),
    )
