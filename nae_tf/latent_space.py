"""Latent spaces: where latent chains live and start (paper section 6.1).

A latent space projects vectors onto itself (`project`) and draws from the noise
distribution q0 that starts a latent chain (`sample`).
"""

import dataclasses
from typing import ClassVar

import gin
import keras
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.saving import Serializable


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True)
class Sphere(Serializable):
    """The unit hypersphere, with the uniform distribution as q0.

    Example:
        >>> import tensorflow as tf
        >>> from nae_tf import Sphere
        >>> Sphere().project(tf.constant([[0.0, 5.0]])).numpy()
        array([[0., 1.]], dtype=float32)
        >>> z0 = Sphere().sample([8, 3], seed=(0, 0))
        >>> tf.norm(z0, axis=1).numpy().round(4)
        array([1., 1., 1., 1., 1., 1., 1., 1.], dtype=float32)
    """

    is_curved: ClassVar[bool] = True

    def project(self, z):
        """Divide every latent by its norm, z / |z|.

        Args:
            z: float [batch, ...].

        Returns:
            Unit vectors, shape of `z`. The zero vector stays zero.
        """
        axes = list(range(1, z.shape.rank))
        return tf.math.l2_normalize(z, axes)

    def sample(self, shape, seed, dtype="float32"):
        """Draw latents uniformly: a standard normal divided by its norm.

        Args:
            shape: sequence of int or int tensor, [batch, ...].
            seed: stateless seed, int [2].
            dtype: floating dtype of the result.

        Returns:
            Unit vectors of the given shape.
        """
        return self.project(randomness.normal(shape, seed, dtype))


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
@dataclasses.dataclass(frozen=True)
class Euclidean(Serializable):
    """The unbounded real space, with the standard normal as q0.

    Example:
        >>> import tensorflow as tf
        >>> from nae_tf import Euclidean
        >>> Euclidean().project(tf.constant([[0.0, 5.0]])).numpy()
        array([[0., 5.]], dtype=float32)
        >>> Euclidean().sample([8, 3], seed=(0, 0)).shape
        TensorShape([8, 3])
    """

    is_curved: ClassVar[bool] = False

    def project(self, z):
        """Return `z`: every vector belongs to the space."""
        return z

    def sample(self, shape, seed, dtype="float32"):
        """Draw latents from the standard normal.

        Args:
            shape: sequence of int or int tensor, [batch, ...].
            seed: stateless seed, int [2].
            dtype: floating dtype of the result.

        Returns:
            float tensor of the given shape.
        """
        return randomness.normal(shape, seed, dtype)
