"""GANomaly: an adversarial encoder-decoder-encoder (Akcay et al., 2018).

    z = encode(x),  y = decode(z),  z' = second_encode(y)
    generator loss = adversarial_weight * |f(x) - f(y)|^2             (Eq. 1)
                     + contextual_weight * |x - y|_1                  (Eq. 2)
                     + latent_weight * |z - z'|^2                     (Eq. 3)
    outlier score = |z - z'|_1                                        (Eq. 5)

with f the features by which a discriminator distinguishes examples from
reconstructions.

References:
    Akcay, Atapour-Abarghouei & Breckon, GANomaly: Semi-Supervised Anomaly
        Detection via Adversarial Training, 2018.
        https://arxiv.org/abs/1805.06725
"""

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base.replicas import call_network
from nae_tf.base.setting_checks import check_number
from nae_tf.energy import reconstruction_error


def discriminator_loss(real_logits, fake_logits):
    """Binary cross-entropy of distinguishing examples from reconstructions.

    It is computed from logits, because that of probabilities saturates as soon
    as the discriminator is sure.

    Args:
        real_logits: float [batch], log odds that examples are real.
        fake_logits: float [batch], log odds that reconstructions are real.

    Returns:
        float scalar; 2 log(2) for a discriminator that guesses.
    """
    return tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(
        tf.nn.softplus(fake_logits)
    )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class GANomaly(Autoencoder):
    """An adversarial autoencoder that scores by the change of latents.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf.baselines import GANomaly
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = GANomaly(
        ...     MLPEncoder(latent_dim=2, example_shape=(4,)),
        ...     MLPDecoder(latent_dim=2, example_shape=(4,)),
        ...     second_encoder=MLPEncoder(latent_dim=2, example_shape=(4,)),
        ...     discriminator=MLPEncoder(latent_dim=8, example_shape=(4,)),
        ... )
        >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        second_encoder,
        discriminator,
        adversarial_weight: float = 1.0,
        contextual_weight: float = 50.0,
        latent_weight: float = 1.0,
        latent_space=None,
        name=None,
        dtype=None,
    ):
        """Join a generator's networks and a discriminator.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim].
            decoder: network from latents to float [batch, ...].
            second_encoder: network from reconstructions to latents, with
                weights of its own.
            discriminator: network from examples to the features that are
                compared, float [batch, num_features]; for example another
                encoder. A linear layer turns them into the logit of being real.
            adversarial_weight: weight of the distance of features, >= 0.
            contextual_weight: weight of the reconstruction error, >= 0.
            latent_weight: weight of the distance of latents, >= 0.
            latent_space: `Sphere()` (the default) or `Euclidean()`.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        for key, value in {
            "adversarial_weight": adversarial_weight,
            "contextual_weight": contextual_weight,
            "latent_weight": latent_weight,
        }.items():
            check_number("GANomaly", key, value, "[0, inf)")
        # Set first: super().__init__ builds the model, which needs them.
        self.second_encoder = second_encoder
        self.discriminator = discriminator
        self.adversarial_weight = adversarial_weight
        self.contextual_weight = contextual_weight
        self.latent_weight = latent_weight
        super().__init__(
            encoder,
            decoder,
            latent_space=latent_space,
            distance="absolute_error",
            name=name,
            dtype=dtype,
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track(
            "loss",
            "adversarial_loss",
            "reconstruction_error",
            "latent_loss",
            "discriminator_loss",
        )

    def build(self, input_shape):
        """Build the networks and the discriminator's last layer.

        Raises:
            ValueError: if the second encoder's latents have another shape than
                the first one's, or the discriminator gives no feature vector.
        """
        super().build(input_shape)
        example = keras.KerasTensor((None, *self.example_shape))
        second = tuple(self.second_encoder(example).shape[1:])
        if second != self.latent_shape:
            raise ValueError(
                "GANomaly: expected latents of the same shape from both "
                f"encoders, received {list(self.latent_shape)} and "
                f"{list(second)}."
            )
        features = self.discriminator(example)
        if len(features.shape) != 2:
            raise ValueError(
                "GANomaly: expected a discriminator with features of shape "
                f"[batch, num_features], received {list(features.shape)}."
            )
        self.logit = keras.layers.Dense(
            1, dtype=self.dtype_policy, name="logit"
        )
        self.logit.build(features.shape)

    def encode_again(self, reconstruction, training=False):
        """Map reconstructions to latents by the second encoder.

        Args:
            reconstruction: float [batch, ...].
            training: whether the encoder runs in training mode.

        Returns:
            float [batch, latent_dim], in the type of `reconstruction`.
        """
        z = call_network(self.second_encoder, reconstruction, training)
        return self.latent_space.project(tf.cast(z, reconstruction.dtype))

    def discriminate(self, x, training=False):
        """Compute the features and the logit of being real.

        Args:
            x: float [batch, ...].
            training: whether the discriminator runs in training mode.

        Returns:
            features: float [batch, num_features], unit vectors.
            logits: float [batch], log odds that `x` is real.
        """
        features = call_network(self.discriminator, x, training)
        # Differs from the paper, whose discriminator has batch normalisation.
        # Without a bound the features would grow until their distance outweighs
        # all other losses.
        features = tf.math.l2_normalize(tf.cast(features, x.dtype), -1)
        logits = self.logit(keras.ops.leaky_relu(features))[:, 0]
        return features, tf.cast(logits, x.dtype)

    def objective(self, x, training: bool = False) -> dict:
        """Compute the losses of a batch; "loss" is that of the generator."""
        z = self.encode(x, training)
        reconstruction = self.decode(z, training)
        z_again = self.encode_again(reconstruction, training)
        count = tf.shape(x)[0]
        features, logits = self.discriminate(
            tf.concat([x, reconstruction], 0), training
        )
        # Differs from the paper: Eq. 1 subtracts the mean of the
        # reconstructions' features; as in the authors' code, every example is
        # compared with its own reconstruction.
        adversarial = reconstruction_error(
            features[:count], features[count:], reduction="sum"
        )
        error = reconstruction_error(x, reconstruction, self.distance)
        latent = reconstruction_error(z, z_again)
        loss = self.adversarial_weight * tf.reduce_mean(adversarial)
        loss += self.contextual_weight * tf.reduce_mean(error)
        loss += self.latent_weight * tf.reduce_mean(latent)
        return {
            "loss": loss,
            "adversarial_loss": adversarial,
            "reconstruction_error": error,
            "latent_loss": latent,
            "discriminator_loss": discriminator_loss(
                logits[:count], logits[count:]
            ),
        }

    def players(self) -> dict[str, list]:
        """Return the variables of generator and discriminator, by loss."""
        return {
            "loss": self.generator_variables,
            "discriminator_loss": self.discriminator_variables,
        }

    @property
    def generator_variables(self):
        """Variables of the generator: encoder, decoder, second encoder."""
        variables = (
            self.encoder.trainable_variables
            + self.decoder.trainable_variables
            + self.second_encoder.trainable_variables
        )
        # Every variable once, because tied networks share variables.
        return list({id(each): each for each in variables}.values())

    @property
    def discriminator_variables(self):
        """Variables of the discriminator and its last layer."""
        return (
            self.discriminator.trainable_variables
            + self.logit.trainable_variables
        )

    def outlier_score(self, x):
        """Score examples by the absolute difference of their latents (Eq. 5).

        Differs from the paper: Eq. 6 then scales the scores of a test set to
        [0, 1], which would make an example's score depend on the others.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch].
        """
        x = tf.convert_to_tensor(x)
        z = self.encode(x)
        z_again = self.encode_again(self.decode(z))
        return reconstruction_error(z, z_again, "absolute_error")
