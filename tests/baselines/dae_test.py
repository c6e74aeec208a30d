"""The denoising autoencoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf import Autoencoder, Euclidean
from nae_tf.baselines import DAE


def vectors(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4))


def test_noise_is_normal_with_the_given_deviation():
    model = DAE(*vector_networks(), noise_std=0.3)
    x = np.full([5000, 4], 2.0)
    noise = model.corrupt(tf.constant(x), tf.constant([1, 2])).numpy() - x
    count = noise.size
    assert abs(noise.mean()) < 5 * 0.3 / np.sqrt(count)
    # The variance of a sample variance is 2 sigma^4 / n.
    error = noise.var() - 0.3**2
    assert abs(error) < 5 * 0.3**2 * np.sqrt(2 / count)
    fourth = np.mean((noise / 0.3) ** 4)
    assert abs(fourth - 3) < 5 * np.sqrt(96 / count)


def test_the_loss_compares_the_reconstruction_of_noisy_with_clean_examples():
    model = DAE(*vector_networks(), latent_space=Euclidean(), noise_std=0.5)
    x = tf.constant(vectors(6).astype(np.float32))
    values = model.objective(x)
    noisy = model.corrupt(x, model.noise_seed(training=False))
    reconstruction = model.decoder(model.encoder(noisy)).numpy()
    errors = np.mean((reconstruction - x.numpy()) ** 2, axis=1)
    np.testing.assert_allclose(values["denoising_error"], errors, rtol=1e-5)
    assert float(values["loss"]) == pytest.approx(errors.mean(), rel=1e-5)
    assert np.abs(noisy - x).max() > 0.1


def test_training_steps_and_runs_have_noise_of_their_own():
    model = DAE(*vector_networks(), seed=3)
    other = DAE(*vector_networks(), seed=4)
    seeds = []
    for each in (model, other):
        each.compile(keras.optimizers.SGD(0.0))
        each.optimizer.build(each.trainable_variables)
        for step in range(3):
            each.optimizer.iterations.assign(step)
            seeds.append(tuple(each.noise_seed(training=True).numpy()))
        seeds.append(tuple(each.noise_seed(training=False).numpy()))
    assert len(set(seeds)) == 8
    assert seeds[3] == tuple(model.noise_seed(training=False).numpy())


def test_without_noise_it_is_an_autoencoder():
    networks = vector_networks()
    x = vectors(8).astype(np.float32)
    losses = []
    weights = [network.get_weights() for network in networks]
    for model in (DAE(*networks, noise_std=0.0), Autoencoder(*networks)):
        for network, initial in zip(networks, weights, strict=True):
            network.set_weights(initial)
        model.compile(keras.optimizers.SGD(0.1))
        history = model.fit(x, epochs=3, batch_size=8, verbose=0).history
        losses.append(history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_scores_see_no_noise():
    networks = vector_networks()
    x = vectors(5).astype(np.float32)
    np.testing.assert_array_equal(
        DAE(*networks, noise_std=9.0).predict_outlier_score(x),
        Autoencoder(*networks).predict_outlier_score(x),
    )


def test_a_linear_dae_shrinks_as_the_wiener_filter():
    # The best linear reconstruction of x from x + noise, both isotropic, is
    # (x + noise) / (1 + noise_std^2 / std^2).
    layers = [
        keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        for _ in range(2)
    ]
    for layer in layers:
        layer.build([None, 1])
    model = DAE(*layers, noise_std=0.5, latent_space=Euclidean())
    model.build([None, 1])
    model.compile(keras.optimizers.SGD(0.05))
    x = np.random.default_rng(1).normal(size=(20_000, 1)).astype(np.float32)
    model.fit(x, epochs=2, batch_size=200, verbose=0)
    gain = float(model(np.ones([1, 1], np.float32))[0, 0])
    assert gain == pytest.approx(1 / 1.25, abs=0.03)
