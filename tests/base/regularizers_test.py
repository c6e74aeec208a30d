"""Regularisers that the weights of networks bring along, in every method.

A regulariser adds to a loss, and a step of SGD is linear in its gradient. So
two models that differ in a regulariser alone differ after a step by the
learning rate times the gradient of the regulariser.
"""

import keras
import numpy as np
import pytest
from tiny_models import short_sampler, tied_networks

from nae_tf import NAE, Autoencoder, Euclidean
from nae_tf.baselines import (
    DAE,
    DAGMM,
    RAE,
    VAE,
    VQVAE,
    WAE,
    GANomaly,
    MemAE,
)

RATE, WEIGHT = 0.1, 0.01


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(12, 4)).astype("float32")


def linear(units, inputs=4, regularized=False, **settings):
    """A network of one layer with the same weights at every call."""
    kernel = np.random.default_rng(units).normal(size=(inputs, units)) / 2
    regularizer = keras.regularizers.L2(WEIGHT) if regularized else None
    layer = keras.layers.Dense(
        units, kernel_regularizer=regularizer, **settings
    )
    network = keras.Sequential([keras.Input([inputs]), layer])
    network.set_weights([kernel, np.zeros(units)])
    return network


def nae(encoder, decoder):
    return NAE(encoder, decoder, sampler=short_sampler())


def ganomaly(encoder, decoder):
    return GANomaly(encoder, decoder, linear(4), linear(5))


METHODS = {
    "Autoencoder": Autoencoder,
    "NAE": nae,
    "DAE": DAE,
    "VAE": VAE,
    "WAE": WAE,
    "RAE": RAE,
    "VQVAE": VQVAE,
    "MemAE": MemAE,
    "DAGMM": DAGMM,
    "GANomaly": ganomaly,
}


def figures_of_a_step(model, x):
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    # In one order, so that an example has the same noise in both models.
    history = model.fit(x, batch_size=len(x), shuffle=False, verbose=0).history
    return {name: values[0] for name, values in history.items()}


@pytest.mark.parametrize("method", METHODS)
def test_weight_regularisers_are_part_of_every_methods_loss(method, x):
    latents = 8 if method == "VAE" else 4
    plain, regularized = (
        METHODS[method](linear(latents, regularized=flag), linear(4))
        for flag in (False, True)
    )
    regularized.set_weights(plain.get_weights())
    kernel = plain.encoder.layers[-1].kernel.numpy()
    losses = [
        figures_of_a_step(model, x)["loss"] for model in (plain, regularized)
    ]
    # Of weight * |kernel|^2: the value, and the step of its gradient.
    penalty = WEIGHT * np.sum(kernel**2)
    np.testing.assert_allclose(losses[1] - losses[0], penalty, rtol=1e-3)
    expected = [weight.numpy() for weight in plain.trainable_variables]
    index = [
        variable is plain.encoder.layers[-1].kernel
        for variable in plain.trainable_variables
    ].index(True)
    expected[index] = expected[index] - RATE * 2 * WEIGHT * kernel
    for weight, value in zip(
        regularized.trainable_variables, expected, strict=True
    ):
        np.testing.assert_allclose(weight, value, rtol=1e-4, atol=1e-6)


def test_each_player_of_a_game_has_the_regularisers_of_its_own(x):
    plain, regularized = (
        GANomaly(linear(4), linear(4), linear(4), linear(5, regularized=flag))
        for flag in (False, True)
    )
    regularized.set_weights(plain.get_weights())
    kernel = plain.discriminator.layers[-1].kernel.numpy()
    before, after = (
        figures_of_a_step(model, x) for model in (plain, regularized)
    )
    assert after["loss"] == pytest.approx(before["loss"])
    np.testing.assert_allclose(
        after["discriminator_loss"] - before["discriminator_loss"],
        WEIGHT * np.sum(kernel**2),
        rtol=1e-3,
    )
    np.testing.assert_allclose(
        regularized.discriminator.layers[-1].kernel,
        plain.discriminator.layers[-1].kernel - RATE * 2 * WEIGHT * kernel,
        rtol=1e-4,
        atol=1e-6,
    )


def test_an_evaluation_shows_the_regularised_loss(x):
    # What is frozen has no regulariser, as in Keras.
    encoder, decoder = linear(3, regularized=True), linear(4, 3, True)
    decoder.trainable = False
    model = Autoencoder(encoder, decoder)
    model.compile()
    shown = model.evaluate(x, verbose=0, return_dict=True)
    penalty = WEIGHT * np.sum(encoder.layers[-1].kernel.numpy() ** 2)
    expected = np.mean(model.predict_outlier_score(x)) + penalty
    np.testing.assert_allclose(shown["loss"], expected, rtol=1e-5)


def test_tied_weights_are_regularised_once(x):
    kernel = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    encoder, decoder = tied_networks(kernel)
    encoder.kernel.regularizer = keras.regularizers.L2(WEIGHT)
    model = Autoencoder(encoder, decoder, latent_space=Euclidean())
    model.compile()
    model.build([None, 4])
    shown = model.evaluate(x, verbose=0, return_dict=True)
    error = np.mean((x - x @ kernel @ kernel.T) ** 2)
    np.testing.assert_allclose(
        shown["loss"], error + WEIGHT * np.sum(kernel**2), rtol=1e-5
    )


def test_a_generator_of_tied_networks_trains_every_variable_once(x):
    encoder = linear(4)
    model = GANomaly(encoder, linear(4), encoder, linear(5))
    assert len(model.generator_variables) == 4


@keras.saving.register_keras_serializable(package="regularizers_test")
class AddsLoss(keras.layers.Layer):
    """Passes its input on and adds its mean square to the losses."""

    def call(self, x):
        self.add_loss(keras.ops.mean(x**2))
        return x


def outputs_regularised():
    return linear(4, regularized=True, activity_regularizer="l2")


def adds_loss():
    return keras.Sequential([keras.Input([4]), AddsLoss()])


@pytest.mark.parametrize("method", [Autoencoder, nae, ganomaly])
@pytest.mark.parametrize("network", [outputs_regularised, adds_loss])
def test_losses_that_a_call_adds_are_refused_in_a_line(method, network, x):
    model = method(network(), linear(4))
    model.compile()
    with pytest.raises(ValueError, match="without activity") as caught:
        model.fit(x, verbose=0)
    assert "\n" not in str(caught.value)
