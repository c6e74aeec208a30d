"""The regularised autoencoder and its penalties."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf.baselines import RAE
from nae_tf.baselines.rae import jacobian_norm_estimate


def test_the_norm_of_a_linear_map_is_that_of_its_matrix():
    matrix = np.random.default_rng(0).normal(size=(3, 5))
    z = tf.zeros([20_000, 3], tf.float64)
    estimates = jacobian_norm_estimate(
        lambda z: z @ matrix, z, tf.constant([1, 2])
    )
    z_score = (np.mean(estimates) - np.sum(matrix**2)) / scipy.stats.sem(
        estimates
    )
    assert abs(z_score) < 5


def test_the_norm_is_taken_at_each_latent_and_over_all_axes_of_the_output():
    z = np.repeat([[0.0, 0.0], [1.0, -0.5], [3.0, 0.2]], 10_000, axis=0)
    estimates = jacobian_norm_estimate(
        lambda z: tf.reshape(tf.tanh(z), [-1, 2, 1]),
        tf.constant(z),
        tf.constant([3, 4]),
    )
    slopes = 1 / np.cosh(z) ** 2
    for rows in np.split(np.arange(30_000), 3):
        truth = np.sum(slopes[rows[0]] ** 2)
        sample = estimates.numpy()[rows]
        assert abs((sample.mean() - truth) / scipy.stats.sem(sample)) < 5


@pytest.mark.parametrize("decoder_l2", [0.0, 0.02])
@pytest.mark.parametrize("gradient_penalty", [0.0, 0.3])
def test_the_loss_is_the_weighted_sum(decoder_l2, gradient_penalty):
    model = RAE(
        *vector_networks(),
        latent_weight=0.5,
        decoder_l2=decoder_l2,
        gradient_penalty=gradient_penalty,
    )
    x = np.random.default_rng(1).normal(size=(7, 4)).astype(np.float32)
    values = model.objective(tf.constant(x))
    z = model.encoder(x).numpy()
    loss = np.mean((model.decoder(z).numpy() - x) ** 2)
    loss += 0.5 * np.mean(np.sum(z**2, axis=1)) / 2
    loss += decoder_l2 * sum(
        np.sum(weight**2) for weight in model.decoder.get_weights()
    )
    if gradient_penalty:
        norms = values["squared_jacobian_norm"].numpy()
        assert norms.shape == (7,) and norms.min() > 0
        loss += gradient_penalty * norms.mean()
    assert float(values["loss"]) == pytest.approx(loss, rel=1e-5)
    assert set(values) == set(model.means)


def test_a_shape_of_the_latents_changes_no_loss():
    encoder, decoder = vector_networks()
    latent_dim = decoder.input_shape[-1]
    shaped = [
        keras.Sequential(
            [*encoder.layers, keras.layers.Reshape([1, latent_dim])]
        ),
        keras.Sequential([keras.layers.Reshape([latent_dim]), *decoder.layers]),
    ]
    x = tf.random.stateless_normal([7, 4], (1, 2))
    losses = []
    for networks in ([encoder, decoder], shaped):
        model = RAE(*networks, latent_weight=0.5, gradient_penalty=0.3)
        model.build([None, 4])
        losses.append(float(model.objective(x)["loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_penalty_flattens_the_decoder():
    x = np.random.default_rng(2).normal(size=(64, 4)).astype(np.float32)
    norms = []
    for penalty in (1e-8, 0.1):
        keras.utils.set_random_seed(0)
        model = RAE(
            *vector_networks(), latent_weight=0.0, gradient_penalty=penalty
        )
        model.compile(keras.optimizers.Adam(3e-2))
        model.fit(x, epochs=30, batch_size=64, verbose=0)
        with tf.GradientTape() as tape:
            z = tf.constant(model.encoder(x))
            tape.watch(z)
            outputs = model.decoder(z)
        jacobian = tape.batch_jacobian(outputs, z).numpy()
        norms.append(np.mean(np.sum(jacobian**2, axis=(1, 2))))
    assert norms[1] < 0.5 * norms[0]
