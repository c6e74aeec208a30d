"""The deep autoencoding Gaussian mixture model."""

import keras
import numpy as np
import pytest
import sklearn.mixture
import tensorflow as tf
from tiny_models import image_networks, vector_networks

from nae_tf.baselines import DAGMM
from nae_tf.baselines.dagmm import cosine_similarity, relative_distance


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def numpy_features(model, x):
    """Latents, relative distance and cosine similarity, float64."""
    z = np.asarray(model.encoder(x), np.float64)
    reconstruction = np.asarray(model.decoder(z), np.float64)
    length = np.linalg.norm(x, axis=1)
    distance = np.linalg.norm(x - reconstruction, axis=1) / length
    cosine = np.sum(x * reconstruction, axis=1) / (
        length * np.linalg.norm(reconstruction, axis=1)
    )
    return np.concatenate([z, distance[:, None], cosine[:, None]], axis=1)


def numpy_memberships(model, features):
    """The estimation network without dropout."""
    kernel, bias = model.estimation_hidden.get_weights()
    hidden = np.tanh(features @ kernel + bias)
    kernel, bias = model.estimation_output.get_weights()
    exponentials = np.exp(hidden @ kernel + bias)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def scikit_learn_mixture(features, gamma, jitter=1e-6):
    """The mixture with given memberships."""
    model = sklearn.mixture.GaussianMixture(gamma.shape[1])
    model.weights_ = gamma.mean(axis=0)
    model.means_ = np.stack(
        [np.average(features, axis=0, weights=weights) for weights in gamma.T]
    )
    model.covariances_ = np.stack(
        [
            np.cov(features.T, aweights=weights, ddof=0)
            + jitter * np.eye(features.shape[1])
            for weights in gamma.T
        ]
    )
    model.precisions_cholesky_ = np.linalg.cholesky(
        np.linalg.inv(model.covariances_)
    )
    return model


def test_distances_are_relative_to_the_example():
    x, y = normal(5, 2, 3), normal(5, 2, 3, seed=1)
    rows_x, rows_y = x.reshape(5, 6), y.reshape(5, 6)
    length = np.linalg.norm(rows_x, axis=1)
    np.testing.assert_allclose(
        relative_distance(x, y),
        np.linalg.norm(rows_x - rows_y, axis=1) / length,
    )
    np.testing.assert_allclose(
        cosine_similarity(x, y),
        np.sum(rows_x * rows_y, axis=1)
        / (length * np.linalg.norm(rows_y, axis=1)),
    )


def test_a_black_image_has_finite_distances_and_gradients():
    x, y = tf.zeros([2, 3, 3, 1]), tf.Variable(tf.zeros([2, 3, 3, 1]))
    with tf.GradientTape() as tape:
        values = relative_distance(x, y) + cosine_similarity(x, y)
    assert np.isfinite(values).all()
    assert np.isfinite(tape.gradient(values, y)).all()


def test_the_loss_is_that_of_equation_7():
    model = DAGMM(
        *vector_networks(), dropout=0.0, energy_weight=0.3,
        covariance_weight=0.02,
    )  # fmt: skip
    x = normal(40, 4)
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=40, verbose=0).history
    features = numpy_features(model, x)
    error = np.sum((x - model(x).numpy()) ** 2, axis=1).mean()
    mixture = scikit_learn_mixture(features, numpy_memberships(model, features))
    energy = -mixture.score(features)
    penalty = np.sum(1 / np.diagonal(mixture.covariances_, axis1=1, axis2=2))
    expected = {
        "reconstruction_error": error,
        "sample_energy": energy,
        "covariance_penalty": penalty,
        "loss": error + 0.3 * energy + 0.02 * penalty,
    }
    for name, value in expected.items():
        assert history[name] == [pytest.approx(value, rel=2e-3)], name


def test_the_score_is_the_energy_under_the_mixture_of_the_training_set():
    # Dropout has a part in the loss alone.
    model = DAGMM(*vector_networks(), dropout=0.5)
    x, new = normal(60, 4), 2 * normal(9, 4, seed=1)
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(x, batch_size=10, verbose=0)
    features = numpy_features(model, x)
    mixture = scikit_learn_mixture(features, numpy_memberships(model, features))
    expected = -mixture.score_samples(numpy_features(model, new))
    np.testing.assert_allclose(
        model.predict_outlier_score(new), expected, rtol=2e-3
    )
    # An evaluation, too, goes by the training set.
    figures = model.evaluate(new, verbose=0, return_dict=True)
    assert figures["sample_energy"] == pytest.approx(expected.mean(), rel=2e-3)


def test_training_drops_hidden_units_of_the_estimation_network():
    model = DAGMM(
        *vector_networks(), num_components=2, hidden_units=1, dropout=0.25
    )
    model.compile("sgd")
    # Log odds of the components: minus two hidden units, which are tanh(0.5).
    model.estimation_hidden.set_weights([np.zeros([5, 1]), np.array([0.5])])
    model.estimation_output.set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    features = tf.zeros([4_000, 5])
    whole, odds = (
        np.diff(model.log_memberships(features, training), axis=1)
        for training in (False, True)
    )
    np.testing.assert_allclose(whole, -2 * np.tanh(0.5), rtol=1e-5)
    dropped = np.abs(odds) < 1e-6
    assert abs(dropped.sum() - 1_000) / np.sqrt(4_000 * 0.25 * 0.75) < 5
    np.testing.assert_allclose(
        odds[~dropped], -2 * np.tanh(0.5) / 0.75, rtol=1e-5
    )


def test_old_batches_fade():
    model = DAGMM(*vector_networks(), num_components=1, decay=0.5)
    model.compile(keras.optimizers.SGD(0.0))
    batches = [normal(10, 4, seed=seed) + seed for seed in range(4)]
    for batch in batches:
        model.fit(batch, batch_size=10, verbose=0)
    means = [numpy_features(model, batch).mean(axis=0) for batch in batches]
    expected = np.average(means, axis=0, weights=[1 / 8, 1 / 8, 1 / 4, 1 / 2])
    np.testing.assert_allclose(
        model.running_mixture.means[0], expected, rtol=1e-4
    )


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e3])
def test_training_survives_a_singular_covariance(scale):
    # One direction, so that all but one of the latents' are degenerate.
    x = (1 + scale * normal(16, 1)) * np.array([[1.0, 2.0, -1.0, 0.5]])
    keras.utils.set_random_seed(0)
    model = DAGMM(*vector_networks(latent_dim=6))
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(x, epochs=10, batch_size=8, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert np.isfinite(model.predict_outlier_score(x)).all()


def test_training_does_not_depend_on_the_scale_of_the_latents():
    # In single precision this covariance has no Cholesky factor.
    encoder, decoder = vector_networks(latent_dim=3)
    kernel, bias = encoder.layers[-1].get_weights()
    kernel = 1e4 * np.repeat(kernel[:, :1], 3, axis=1)
    encoder.layers[-1].set_weights([kernel, bias])
    model = DAGMM(encoder, decoder)
    model.compile(keras.optimizers.Adam(1e-3))
    x = normal(64, 4)
    history = model.fit(x, epochs=2, batch_size=32, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert np.isfinite(model.predict_outlier_score(x)).all()


def test_the_training_loss_falls_on_a_fixed_batch():
    keras.utils.set_random_seed(0)
    model = DAGMM(*vector_networks(), dropout=0.0)
    model.compile(keras.optimizers.Adam(1e-2))
    x = np.tile(normal(32, 4), [10, 1])
    history = model.fit(
        x, epochs=4, batch_size=32, shuffle=False, verbose=0
    ).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_images_train_and_score():
    x = np.random.default_rng(0).uniform(size=(20, 12, 12, 1))
    x[0] = 0
    model = DAGMM(*image_networks())
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(x, verbose=0)
    assert np.isfinite(model.predict_outlier_score(x)).all()
