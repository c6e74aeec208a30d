"""Negative samples by projection and diffusion (Yoon et al., NeurIPS 2023).

    x -> encode -> noise -> latent chain -> decode -> visible chain

"Energy-based models for anomaly detection: a manifold diffusion recovery
approach" (MPDR). Chains start near the data, at most a known angle away, and
so need neither a replay buffer nor many steps.
"""

import dataclasses
from typing import ClassVar

import gin
import keras
import numpy as np
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.randomness import Purpose
from nae_tf.base.setting_checks import check_choice, check_number
from nae_tf.baselines.frozen_manifold import FrozenManifold
from nae_tf.langevin_chain import LangevinChain
from nae_tf.samplers import NegativeSample, Sampler


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ProjectionDiffusion(Sampler):
    """Manifold projection-diffusion, a sampler of `NAE`.

    Both chains may be drawn back to where the noise put a latent, z~, by the
    recovery likelihood: their energy is E(x) / T + c |encode(x) - z~|^2 /
    (2 sigma^2), with the weight c and the sigma of the example.

    Latents are those of a manifold. MPDR's is a copy of the pre-trained
    autoencoder that is not trained any more, so pre-train the model first.

    Attributes:
        manifold: "frozen", a copy of the networks as they are before the first
            step of training, kept with the model; or "live", the networks that
            are being trained.
        latent_chain: Langevin chain on H(z) = E(decode(z)), on the latent
            space; `gradient_clip="fixed_norm"` as in MPDR.
        noise_range: ends of the uniform distribution of sigma, the standard
            deviation of the noise of every latent, >= 0. Of L latents noise
            turns a unit vector by about atan(sigma sqrt(L - 1)).
        recovery_weight: weight c >= 0; 0 leaves out the recovery likelihood.
            Other weights need chains of `num_parts=1`.

    Example:
        >>> import numpy as np
        >>> from nae_tf import NAE
        >>> from nae_tf.baselines import ProjectionDiffusion
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> images = np.random.default_rng(0).uniform(size=(16, 8, 8, 1))
        >>> model = NAE(
        ...     MLPEncoder(latent_dim=4, example_shape=(8, 8, 1)),
        ...     MLPDecoder(latent_dim=4, example_shape=(8, 8, 1)),
        ...     sampler=ProjectionDiffusion.for_images(),
        ... )
        >>> model.negative_samples(images).x.shape
        TensorShape([16, 8, 8, 1])
    """

    has_latent_chain: ClassVar[bool] = True
    generates: ClassVar[bool] = False

    latent_chain: LangevinChain
    manifold: str = "frozen"
    noise_range: tuple[float, float] = (0.05, 0.3)
    recovery_weight: float = 0.0

    def __post_init__(self):
        """Refuse settings out of range."""
        owner = "ProjectionDiffusion"
        check_choice(owner, "manifold", self.manifold, ["frozen", "live"])
        check_number(owner, "recovery_weight", self.recovery_weight, "[0, inf)")
        object.__setattr__(self, "noise_range", tuple(self.noise_range))
        # With the recovery likelihood, which divides by it, sigma is not 0.
        interval = "(0, inf)" if self.recovery_weight else "[0, inf)"
        for end in self.noise_range:
            check_number(owner, "noise_range", end, interval)
        if len(self.noise_range) != 2 or np.diff(self.noise_range) < 0:
            raise ValueError(
                f"{owner}: expected noise_range (low, high), received "
                f"{self.noise_range}."
            )
        chains = (self.latent_chain, self.visible_chain)
        if self.recovery_weight and any(c.num_parts > 1 for c in chains):
            raise ValueError(
                f"{owner}: recovery_weight > 0 needs chains of num_parts=1, "
                "because a part of a batch does not know its latents z~."
            )

    @classmethod
    def for_images(cls) -> "ProjectionDiffusion":
        """Return MPDR's sampler for MNIST, images in [0, 1]."""
        latent = LangevinChain(
            num_steps=5,
            step_size=0.1,
            noise_std=0.02,
            gradient_clip="fixed_norm",
            clip_limit=1.0,
        )
        visible = LangevinChain(
            num_steps=5, step_size=10.0, noise_std=0.005, bounds=(0.0, 1.0)
        )
        return cls(
            latent_chain=latent, visible_chain=visible, recovery_weight=1e-4
        )

    def make_manifold(self, model) -> FrozenManifold | None:
        """Copy the networks of the model; None for a live manifold."""
        return FrozenManifold(model) if self.manifold == "frozen" else None

    def draw(self, model, x, buffer, seed) -> NegativeSample:
        """Draw negative samples near the data `x`; there is no buffer."""
        space = model.latent_space
        manifold = model.manifold if self.manifold == "frozen" else model
        z0, deviation = self._diffuse(manifold, x, seed)

        def potential(x):
            z = model.encode(x)
            energy = model.energy_of_latent(x, z) / model.temperature
            if not self.recovery_weight:
                return energy
            if manifold is not model:
                z = manifold.encode(x)
            distance = tf.reduce_sum(tf.math.squared_difference(z, z0), -1)
            recovery = distance / (2 * tf.square(deviation))
            return energy + self.recovery_weight * recovery

        # At a point of the sphere the gradient of H(z / |z|) is tangent.
        z, latent = self.latent_chain.run(
            z0,
            lambda z: potential(manifold.decode(space.project(z))),
            randomness.fold_in(seed, Purpose.LATENT_CHAIN),
            project=space.project if space.is_curved else None,
        )
        x0 = self.visible_chain.clamp(manifold.decode(z))
        x_negative, visible = self.visible_chain.run(
            x0, potential, randomness.fold_in(seed, Purpose.VISIBLE_CHAIN)
        )
        return NegativeSample(x_negative, x0, visible, z, z0, latent)

    def generate(self, model, num_samples, seed, dtype) -> NegativeSample:
        """Raise ValueError, because chains can start only at data."""
        raise ValueError(
            "ProjectionDiffusion starts its chains at data and cannot "
            "generate samples from nothing; use its method draw with data."
        )

    def _diffuse(self, manifold, x, seed):
        """Latents with noise, [batch, latent_dim], and its sigma, [batch]."""
        seed = randomness.fold_in(seed, Purpose.CHAIN_START)
        z = tf.stop_gradient(manifold.encode(x))
        deviation = randomness.uniform(
            [tf.shape(z)[0]],
            randomness.fold_in(seed, 1),
            z.dtype,
            *self.noise_range,
        )
        noise = randomness.normal(tf.shape(z), seed, z.dtype)
        moved = z + deviation[:, None] * noise
        return manifold.latent_space.project(moved), deviation
