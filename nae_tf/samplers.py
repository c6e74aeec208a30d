"""Negative samples: where the visible chain starts (paper section 4).

    OnManifold     z0 -> latent chain -> z -> decode -> x0 -> visible chain -> x
    ContrastiveDivergence               data example = x0 -> visible chain -> x
    PersistentContrastiveDivergence  noise or last x = x0 -> visible chain -> x

A sampler is a value. The replay buffer, which changes, belongs to the model and
is passed in. `Sampler` is the base class of a sampler of your own.
"""

import abc
import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import gin
import keras
import numpy as np
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.number_arrays import as_numbers
from nae_tf.base.randomness import Purpose
from nae_tf.base.saving import Serializable
from nae_tf.base.setting_checks import (
    check_instance,
    check_integer,
    check_number,
)
from nae_tf.langevin_chain import ChainDiagnostics, LangevinChain
from nae_tf.replay_buffer import ReplayBuffer


class NegativeSample(NamedTuple):
    """Negative samples, with the states and diagnostics of their chains.

    The last three attributes are None for samplers without a latent chain.

    Attributes:
        x: float [batch, ...], final states of the visible chain.
        x0: float [batch, ...], initial states of the visible chain.
        visible: diagnostics of the visible chain.
        z: float [batch, latent_dim], final states of the latent chain.
        z0: float [batch, latent_dim], initial states of the latent chain.
        latent: diagnostics of the latent chain.

    Example:
        >>> from nae_tf import NAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = NAE(MLPEncoder(2, (4,)), MLPDecoder(2, (4,)))
        >>> negative = model.sample(3)
        >>> negative.x.shape, negative.z.shape
        (TensorShape([3, 4]), TensorShape([3, 2]))
    """

    x: tf.Tensor
    x0: tf.Tensor
    visible: ChainDiagnostics
    z: tf.Tensor | None = None
    z0: tf.Tensor | None = None
    latent: ChainDiagnostics | None = None

    def chain_means(self) -> dict:
        """Return the diagnostics of the chains by the names of metrics."""
        means = {
            "visible_gradient_norm": self.visible.gradient_norm,
            "visible_acceptance": self.visible.acceptance,
            "visible_fraction_at_bound": self.visible.fraction_at_bound,
        }
        if self.latent is not None:
            means["latent_gradient_norm"] = self.latent.gradient_norm
        return means

    def in_units_of(self, model) -> "NegativeSample":
        """Return the samples in the units of a model's data, not of its chains.

        Args:
            model: model that may standardise, with `unstandardized`.
        """
        return NegativeSample(
            model.unstandardized(self.x),
            model.unstandardized(self.x0),
            self.visible,
            self.z,
            self.z0,
            self.latent,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler(Serializable, abc.ABC):
    """The contract of all samplers, which draw the negative samples of a model.

    A sampler of your own is a frozen dataclass that inherits from this class
    and has `draw` and `generate`. Registered for Keras, it is saved in the
    `.keras` file of its model. A sampler with a replay buffer also has
    `make_buffer` and `stored_states`. Arguments are the same for all samplers.

    Attributes:
        visible_chain: `LangevinChain` in the space of the examples. Its bounds
            are the range of values that the model takes.
        has_latent_chain: whether the sampler has a field `latent_chain`, and
            its samples have `z0`, `z` and `latent`; a class attribute.
        generates: whether `generate` can draw samples, or raises ValueError; a
            class attribute.

    Example:
        >>> import dataclasses
        >>> import keras
        >>> import tensorflow as tf
        >>> from nae_tf import LangevinChain, NegativeSample, Sampler
        >>> @keras.saving.register_keras_serializable()
        ... @dataclasses.dataclass(frozen=True, kw_only=True)
        ... class FromNoise(Sampler):
        ...     def draw(self, model, x, buffer, seed):
        ...         return self.generate(model, tf.shape(x)[0], seed, x.dtype)
        ...
        ...     def generate(self, model, num_samples, seed, dtype):
        ...         shape = [num_samples, *model.example_shape]
        ...         x0 = tf.random.stateless_uniform(shape, seed, dtype=dtype)
        ...         x, diagnostics = self.run_visible_chain(model, x0, seed)
        ...         return NegativeSample(x, x0, diagnostics)
        >>> FromNoise(visible_chain=LangevinChain(30, 1.0)).generates
        True
    """

    has_latent_chain: ClassVar[bool] = False
    generates: ClassVar[bool] = True

    visible_chain: LangevinChain

    def __post_init__(self):
        """Refuse a chain that is none."""
        owner, chain = type(self).__name__, self.visible_chain
        check_instance(owner, "visible_chain", chain, LangevinChain)

    @abc.abstractmethod
    def draw(self, model, x, buffer, seed) -> NegativeSample:
        """Draw the negative samples of a training step.

        It is traced into a graph. All its random numbers depend on `seed`.

        Args:
            model: model to sample, an `NAE`. It has `energy`, `decode`,
                `latent_space`, `latent_shape`, `example_shape` and
                `temperature`.
            x: float [batch, ...], data of the training step.
            buffer: result of `make_buffer`, a `ReplayBuffer` or None.
            seed: stateless seed of the training step, int [2].

        Returns:
            `NegativeSample` of the same batch size and dtype as `x`.
        """

    @abc.abstractmethod
    def generate(self, model, num_samples, seed, dtype) -> NegativeSample:
        """Draw samples of the model from nothing but noise.

        Args:
            model: model to sample, as in `draw`.
            num_samples: number of samples, int scalar; may be a tensor.
            seed: stateless seed of the samples, int [2].
            dtype: floating dtype of the samples.

        Returns:
            `NegativeSample` of batch size `num_samples`.

        Raises:
            ValueError: if the sampler's `generates` is False.
        """

    def make_buffer(self, example_shape, latent_shape, dtype) -> Any:
        """Make the replay buffer of a model.

        Args:
            example_shape: shape of one example.
            latent_shape: shape of one latent.
            dtype: floating dtype of the stored states.

        Returns:
            A `ReplayBuffer`, or None for a sampler that stores nothing.
        """
        return None

    def make_manifold(self, model) -> Any:
        """Make the networks of a model that chains start at, if not its own.

        Args:
            model: model whose networks are built.

        Returns:
            A Keras layer, which the model tracks as `manifold`, with a method
            `follow`: it takes over the weights of the model, which calls it
            until its first step. None for a sampler without such networks.
        """
        return None

    @property
    def stores_states(self) -> bool:
        """Whether `make_buffer` makes a buffer."""
        return type(self).make_buffer is not Sampler.make_buffer

    def stored_states(self, negative: NegativeSample):
        """Return the states of a sample that the replay buffer, if any, stores.

        Args:
            negative: `NegativeSample` of batch size `batch`, from `draw`.

        Returns:
            float [batch, ...], states of the shape that the buffer holds.
        """
        raise NotImplementedError

    def run_visible_chain(self, model, x0, seed):
        """Run the visible chain.

        Args:
            model: model to sample, as in `draw`.
            x0: float [batch, ...], initial states.
            seed: stateless seed, int [2].

        Returns:
            Final states and diagnostics, as `LangevinChain.run` returns them.
        """
        return self.visible_chain.run(
            x0,
            model.energy,
            randomness.fold_in(seed, Purpose.VISIBLE_CHAIN),
            model.temperature,
        )


# Share of its error that a value loses in a step of a chosen visible chain.
_RELAXATION = 0.2
# Standard deviations that still pass for standardised features.
_SMALLEST_UNIT, _LARGEST_UNIT = 0.1, 10.0


def unit_of(x) -> float:
    """Return the typical standard deviation of the values of examples.

    Args:
        x: float array [num_examples, ...].

    Returns:
        Median over the values that vary, to three digits, so that rounding of
        the data does not show; 1 if none does.

    Example:
        >>> import numpy as np
        >>> from nae_tf.samplers import unit_of
        >>> unit_of(np.array([[0.0, 3.0, 8.0], [2.0, 5.0, 8.0]]))
        1.0
    """
    deviations = np.std(np.asarray(x, np.float64), axis=0)
    varying = deviations[deviations > 0]
    return float(f"{np.median(varying):.3g}") if varying.size else 1.0


def _check_replay(sampler):
    owner = type(sampler).__name__
    check_number(owner, "replay_ratio", sampler.replay_ratio, "[0, 1]")
    check_integer(
        owner,
        "replay_capacity",
        sampler.replay_capacity,
        1,
        remedy="replay_ratio=0 turns replay off",
    )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class OnManifold(Sampler):
    """On-manifold initialisation, OMI (section 4.2, Algorithm 1).

    Attributes:
        latent_chain: Langevin chain on H(z) = E(decode(z)) (Eq. 15, 16).
        replay_ratio: probability that a latent chain starts at a stored latent
            instead of at a draw from q0, in [0, 1]. 0 turns the buffer off.
        replay_capacity: number of stored latents, over all replicas.
        generation_factor: length of the latent chain in `generate`, which has
            no buffer, as a multiple of that in training (section D.3: 8).

    Example:
        >>> from nae_tf import LangevinChain, OnManifold
        >>> sampler = OnManifold(
        ...     latent_chain=LangevinChain(5, step_size=0.2, noise_std=0.05),
        ...     visible_chain=LangevinChain(9, step_size=10.0, noise_std=0.05),
        ... )
        >>> sampler.make_buffer([784], [32], "float32").states.shape
        TensorShape([10000, 32])
    """

    has_latent_chain: ClassVar[bool] = True

    latent_chain: LangevinChain
    replay_ratio: float = 0.95
    replay_capacity: int = 10_000
    generation_factor: int = 8

    def __post_init__(self):
        """Refuse settings out of range."""
        super().__post_init__()
        _check_replay(self)
        factor = self.generation_factor
        check_integer("OnManifold", "generation_factor", factor, 1)
        check_instance(
            "OnManifold", "latent_chain", self.latent_chain, LangevinChain
        )

    @classmethod
    def for_images(cls) -> "OnManifold":
        """Return the paper's sampler for images in [0, 1] (Table 11, MNIST).

        The gradient of a mean over D values is proportional to 1 / D. Images
        much smaller than MNIST's 28x28 need fewer visible steps.
        """
        latent = LangevinChain(num_steps=10, step_size=0.2, noise_std=0.05)
        visible = LangevinChain(
            num_steps=50,
            step_size=10.0,
            noise_std=0.05,
            noise_schedule="reciprocal",
            gradient_clip="element",
            clip_limit=0.01,
            bounds=(0.0, 1.0),
        )
        return cls(latent_chain=latent, visible_chain=visible)

    @classmethod
    def for_tables(cls) -> "OnManifold":
        """Return `NAEDetector`'s sampler for standardised features."""
        latent = LangevinChain(num_steps=5, step_size=0.2, noise_std=0.05)
        visible = LangevinChain(
            num_steps=15,
            step_size=10.0,
            noise_std=0.05,
            gradient_clip="element",
            clip_limit=0.01,
        )
        return cls(latent_chain=latent, visible_chain=visible)

    @classmethod
    def for_data(cls, x) -> "OnManifold":
        """Choose chains by the number of values of an example and their range.

        The gradient of a mean over D values is proportional to 1 / D. So the
        step size is proportional to D, and no step moves a value by more than
        the paper's do. Images in [0, 1] have the noise of `for_images`. The
        moves of vectors, in [0, 1] or standardised, are in units of the
        features' standard deviation.

        Args:
            x: float array [num_examples, ...], the training data.

        Raises:
            ValueError: if they are no numbers, or the values are neither in
                [0, 1] nor standardised.

        Example:
            >>> import numpy as np
            >>> from nae_tf import OnManifold
            >>> x = np.random.default_rng(0).normal(size=(500, 30))
            >>> OnManifold.for_data(x).visible_chain.step_size
            3.0
        """
        x = as_numbers("OnManifold.for_data", "examples", x)
        if x.ndim < 2 or not x.size or not np.isfinite(x).all():
            raise ValueError(
                "OnManifold.for_data: expected finite examples [number, ...], "
                f"received an array of shape {x.shape}."
            )
        step_size = _RELAXATION / 2 * math.prod(x.shape[1:])
        is_bounded = x.min() >= 0 and x.max() <= 1
        is_image = is_bounded and x.ndim > 2
        unit = 1.0 if is_image else unit_of(x)
        if not is_bounded and not _SMALLEST_UNIT < unit < _LARGEST_UNIT:
            raise ValueError(
                "OnManifold.for_data: expected values in [0, 1] or "
                f"standardised features, received values from {x.min():.3g} to "
                f"{x.max():.3g} with a standard deviation of {unit:.3g}; "
                "divide 8-bit images by 255, standardise tables, or give a "
                "sampler of your own."
            )
        latent = LangevinChain(num_steps=10, step_size=0.2, noise_std=0.05)
        # Differs from the paper: ten longer steps in the place of fifty, and
        # for vectors moves in units of their standard deviation.
        visible = LangevinChain(
            num_steps=10,
            step_size=step_size,
            noise_std=0.05 * unit,
            noise_schedule="reciprocal" if is_image else "constant",
            gradient_clip="element",
            clip_limit=0.1 * unit / step_size,
            bounds=(0.0, 1.0) if is_bounded else None,
        )
        return cls(latent_chain=latent, visible_chain=visible)

    @property
    def stores_states(self) -> bool:
        """Whether replay is on."""
        return self.replay_ratio > 0

    def make_buffer(self, example_shape, latent_shape, dtype):
        """Make the buffer of latents, or None when replay is off."""
        if not self.stores_states:
            return None
        return ReplayBuffer(self.replay_capacity, latent_shape, dtype)

    def draw(self, model, x, buffer, seed) -> NegativeSample:
        """Draw negative samples for training (Algorithm 1).

        Of the data `x` only shape and type matter; `buffer` holds latents.
        """
        z0 = self._fresh_latents(model, tf.shape(x)[0], seed, x.dtype)
        if buffer is not None:
            replay_seed = randomness.fold_in(seed, Purpose.REPLAY)
            z0 = buffer.restart(z0, self.replay_ratio, replay_seed)
        return self._from_latents(model, z0, self.latent_chain, seed)

    def generate(self, model, num_samples, seed, dtype) -> NegativeSample:
        """Draw samples from fresh, longer latent chains (section D.3)."""
        chain = dataclasses.replace(
            self.latent_chain,
            num_steps=self.generation_factor * self.latent_chain.num_steps,
        )
        z0 = self._fresh_latents(model, num_samples, seed, dtype)
        return self._from_latents(model, z0, chain, seed)

    def stored_states(self, negative):
        """Return the final latents, which later chains start from."""
        return negative.z

    def _fresh_latents(self, model, count, seed, dtype):
        seed = randomness.fold_in(seed, Purpose.CHAIN_START)
        shape = [count, *model.latent_shape]
        return model.latent_space.sample(shape, seed, dtype)

    def _from_latents(self, model, z0, latent_chain, seed):
        space = model.latent_space
        z, latent = latent_chain.run(
            z0,
            lambda z: model.energy(model.decode(z)),
            randomness.fold_in(seed, Purpose.LATENT_CHAIN),
            model.temperature,
            space.project if space.is_curved else None,
        )
        # A decoder without an output non-linearity may leave the chain's box.
        x0 = self.visible_chain.clamp(model.decode(z))
        x, visible = self.run_visible_chain(model, x0, seed)
        return NegativeSample(x, x0, visible, z, z0, latent)


@gin.register(module="nae_tf")
def sampler_by_size(image_shape: tuple[int, ...]) -> OnManifold:
    """Return the chains of `OnManifold.for_data` for images in [0, 1].

    Args:
        image_shape: (height, width, channels).
    """
    return OnManifold.for_data(np.zeros((1, *image_shape)))


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ContrastiveDivergence(Sampler):
    """Contrastive divergence: chains start at data (Hinton 2002; section 4.1).

    This is the paper's ablation. It cannot suppress modes far from the data.

    Example:
        >>> from nae_tf import ContrastiveDivergence, LangevinChain
        >>> chain = LangevinChain(num_steps=5, step_size=0.1)
        >>> ContrastiveDivergence(visible_chain=chain).generates
        False
    """

    generates: ClassVar[bool] = False

    def draw(self, model, x, buffer, seed) -> NegativeSample:
        """Draw negative samples from chains that start at the data `x`."""
        x_negative, visible = self.run_visible_chain(model, x, seed)
        return NegativeSample(x_negative, x, visible)

    def generate(self, model, num_samples, seed, dtype) -> NegativeSample:
        """Raise ValueError, because chains can start only at data."""
        raise ValueError(
            "ContrastiveDivergence starts its chains at data and cannot "
            "generate samples from nothing; use its method draw with data."
        )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class PersistentContrastiveDivergence(Sampler):
    """Persistent contrastive divergence (Tieleman 2008; paper section 4.1).

    Chains start where earlier chains ended, or at noise p0: uniform in the
    visible chain's box, standard normal where it has none.

    Attributes:
        replay_ratio: probability of a stored start; 0.95 restarts 5 % of the
            chains, 1.0 is persistence without restart.
        replay_capacity: number of stored states, over all replicas.

    Example:
        >>> from nae_tf import LangevinChain, PersistentContrastiveDivergence
        >>> chain = LangevinChain(num_steps=5, step_size=0.1)
        >>> sampler = PersistentContrastiveDivergence(visible_chain=chain)
        >>> sampler.make_buffer([784], [32], "float32").states.shape
        TensorShape([10000, 784])
    """

    replay_ratio: float = 0.95
    replay_capacity: int = 10_000

    def __post_init__(self):
        """Refuse settings out of range."""
        super().__post_init__()
        _check_replay(self)

    def make_buffer(self, example_shape, latent_shape, dtype):
        """Make the buffer of visible states."""
        return ReplayBuffer(self.replay_capacity, example_shape, dtype)

    def draw(self, model, x, buffer, seed) -> NegativeSample:
        """Draw negative samples from persistent chains.

        Of the data `x` only shape and type matter; `buffer` holds visible
        states.
        """
        fresh = self._fresh_states(tf.shape(x), seed, x.dtype)
        fresh = tf.ensure_shape(fresh, x.shape)
        replay_seed = randomness.fold_in(seed, Purpose.REPLAY)
        x0 = buffer.restart(fresh, self.replay_ratio, replay_seed)
        x_negative, visible = self.run_visible_chain(model, x0, seed)
        return NegativeSample(x_negative, x0, visible)

    def generate(self, model, num_samples, seed, dtype) -> NegativeSample:
        """Draw samples from chains that start at noise."""
        shape = [num_samples, *model.example_shape]
        x0 = self._fresh_states(shape, seed, dtype)
        x_negative, visible = self.run_visible_chain(model, x0, seed)
        return NegativeSample(x_negative, x0, visible)

    def stored_states(self, negative):
        """Return the final visible states, which later chains start from."""
        return negative.x

    def _fresh_states(self, shape, seed, dtype):
        seed = randomness.fold_in(seed, Purpose.CHAIN_START)
        if self.visible_chain.bounds is None:
            return randomness.normal(shape, seed, dtype)
        low, high = self.visible_chain.bounds
        return randomness.uniform(shape, seed, dtype, low, high)
