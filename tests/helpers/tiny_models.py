"""Networks and samplers that train in a second."""

import keras
import tensorflow as tf

from nae_tf import NAE, LangevinChain, OnManifold


def vector_networks(units=4, latent_dim=3, built=True):
    """An MLP encoder and decoder; not `built`, they wait for their input."""
    encoder = [
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(latent_dim),
    ]
    decoder = [
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(units),
    ]
    if built:
        encoder = [keras.Input([units]), *encoder]
        decoder = [keras.Input([latent_dim]), *decoder]
    return keras.Sequential(encoder), keras.Sequential(decoder)


def image_networks(size=12, latent_dim=3):
    """Networks for [batch, size, size, 1] images in [0, 1]."""
    encoder = keras.Sequential(
        [
            keras.Input([size, size, 1]),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(latent_dim),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input([latent_dim]),
            keras.layers.Dense(size**2, activation="sigmoid"),
            keras.layers.Reshape([size, size, 1]),
        ]
    )
    return encoder, decoder


def short_sampler(bounds=None, **settings):
    """On-manifold sampler with chains of two steps."""
    return OnManifold(
        latent_chain=LangevinChain(2, 0.2, 0.05),
        visible_chain=LangevinChain(2, 0.1, 0.05, bounds=bounds),
        replay_capacity=64,
        **settings,
    )


class Transposed(keras.layers.Layer):
    """The transpose of a dense layer: a decoder with tied weights."""

    def __init__(self, dense):
        super().__init__()
        self.dense = dense

    def call(self, z):
        return z @ tf.transpose(self.dense.kernel)


def tied_networks(kernel):
    """encode(x) = x @ kernel, decode(z) = z @ kernel.T."""
    encoder = keras.layers.Dense(kernel.shape[1], use_bias=False)
    encoder.build([None, kernel.shape[0]])
    encoder.set_weights([kernel])
    return encoder, Transposed(encoder)


def spy_on_modes(model):
    """Note in which mode, training or not, each network of a model runs.

    Returns:
        A list by network, to which every call adds a bool.
    """
    modes = {}
    for network in model.layers:
        if isinstance(network, keras.Model):
            seen = modes[network] = []

            def spied(
                *args, training=None, seen=seen, call=network.call, **settings
            ):
                seen.append(bool(training))
                return call(*args, training=training, **settings)

            network.call = spied
    return modes


def vector_nae(weight_seed=0, **settings):
    """A compiled NAE of `vector_networks`."""
    keras.utils.set_random_seed(weight_seed)
    settings = {"sampler": short_sampler()} | settings
    model = NAE(*vector_networks(), **settings)
    model.compile(keras.optimizers.Adam(1e-2))
    return model
