"""Negative samples for tables: data moved by noise, on or off the manifold.

Chains that start at uniform latents seldom meet the data of a table within a
few hundred steps. These start at data, as contrastive divergence does, and move
away by noise of random strength first:

    Projected    x -> encode -> noise on the sphere -> decode -> visible chain
    Displaced    x -> noise of up to two standard deviations
"""

import dataclasses

import tensorflow as tf

from nae_tf import losses
from nae_tf.base import randomness
from nae_tf.base.randomness import Purpose
from nae_tf.langevin_chain import LangevinChain
from nae_tf.tables import members

_SHORT_CHAIN = LangevinChain(
    2, 10.0, noise_std=0.05, gradient_clip="element", clip_limit=0.01
)


@dataclasses.dataclass(frozen=True)
class Projected:
    """Projection and diffusion: noise on the latents, then Langevin moves.

    Differs from the paper: latents are those of data with noise, not ends of a
    latent chain (Yoon et al., NeurIPS 2023, "manifold projection-diffusion
    recovery", without the recovery term).

    Attributes:
        noise_range: ends of the uniform distribution of the noise's standard
            deviation, per latent.
        visible_chain: Langevin chain on E(x).
        negative_energy_penalty: weight alpha of mean E(x')**2 (section 6.1);
            energies of negative samples settle near 1 / (2 alpha).

    Example:
        >>> from nae_tf.tables import Projected
        >>> Projected().visible_chain.num_steps
        2
    """

    noise_range: tuple[float, float] = (0.05, 0.3)
    visible_chain: LangevinChain = _SHORT_CHAIN
    negative_energy_penalty: float = 1.0

    def draw(self, x, weights, seed):
        """Draw negative samples, float [members, batch, features].

        Args:
            x: float [members, batch, features], data of the step.
            weights: weights of the members.
            seed: stateless seed of the step, int [2].
        """
        z = members.encode(x, weights)
        noise = _noise(z, self.noise_range, seed)
        x0 = members.decode(tf.math.l2_normalize(z + noise, -1), weights)
        x_negative, _ = self.visible_chain.run(
            x0,
            lambda x: members.energies(x, weights),
            randomness.fold_in(seed, Purpose.VISIBLE_CHAIN),
        )
        return x_negative

    def loss(self, x, x_negative, positive_energy, negative_energy):
        """Compute Eq. 12 with the penalty of section 6.1, a float scalar."""
        penalty = losses.squared_energy(negative_energy)
        gap = losses.energy_gap(positive_energy, negative_energy)
        return gap + self.negative_energy_penalty * penalty


@dataclasses.dataclass(frozen=True)
class Displaced:
    """Data moved by noise in every direction, without a chain.

    Differs from the paper: the energy of a negative sample is not raised
    without end, but to the mean squared displacement from its example. Nothing
    may be reconstructed better than by going back to where it came from.

    Attributes:
        noise_range: ends of the uniform distribution of the noise's standard
            deviation, in units of the features.

    Example:
        >>> from nae_tf.tables import Displaced
        >>> Displaced().noise_range
        (0.0, 2.0)
    """

    noise_range: tuple[float, float] = (0.0, 2.0)

    def draw(self, x, weights, seed):
        """Draw negative samples, as `Projected.draw` does."""
        return x + _noise(x, self.noise_range, seed)

    def loss(self, x, x_negative, positive_energy, negative_energy):
        """Compute mean E(x) + mean max(0, |x' - x|^2 / D - E(x'))."""
        displacement = tf.reduce_mean(
            tf.math.squared_difference(x_negative, x), -1
        )
        shortfall = tf.nn.relu(displacement - negative_energy)
        return tf.reduce_mean(positive_energy) + tf.reduce_mean(shortfall)


def _noise(like, noise_range, seed):
    """Normal noise, [1, ...], with one standard deviation per example."""
    seed = randomness.fold_in(seed, Purpose.CHAIN_START)
    shape = tf.shape(like[:1])
    deviation = randomness.uniform(
        tf.concat([shape[:-1], [1]], 0),
        randomness.fold_in(seed, 1),
        like.dtype,
        *noise_range,
    )
    return deviation * randomness.normal(shape, seed, like.dtype)
