"""The Wasserstein autoencoder and its maximum mean discrepancy."""

import keras
import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf.baselines import WAE
from nae_tf.baselines.wae import (
    median_squared_distance,
    squared_distances,
    squared_mmd,
)


def kernel_sum(x, y, squared_width, same):
    """Sum of the kernel, pair by pair, but for pairs of one row with itself."""
    return sum(
        np.exp(-np.sum((a - b) ** 2) / (2 * squared_width))
        for i, a in enumerate(x)
        for j, b in enumerate(y)
        if not (same and i == j)
    )


def numpy_mmd(x, y, squared_width):
    n = len(x)
    within = kernel_sum(x, x, squared_width, True)
    within += kernel_sum(y, y, squared_width, True)
    across = kernel_sum(x, y, squared_width, False)
    return within / (n * (n - 1)) - 2 * across / n**2


def test_distances_are_scipys():
    x, y = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_allclose(
        squared_distances(x, y),
        scipy.spatial.distance.cdist(x, y, "sqeuclidean"),
    )


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8])
def test_the_median_is_over_pairs_of_different_rows(count):
    x = np.random.default_rng(count).normal(size=(count, 3))
    pairs = scipy.spatial.distance.pdist(x, "sqeuclidean")
    median = median_squared_distance(tf.constant(x))
    assert float(median) == pytest.approx(np.median(pairs))


def test_the_discrepancy_is_numpys():
    x, y = np.random.default_rng(1).normal(size=(2, 7, 3))
    estimate = squared_mmd(tf.constant(x), tf.constant(y + 0.5), 1.7)
    assert float(estimate) == pytest.approx(numpy_mmd(x, y + 0.5, 1.7))


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_discrepancy_is_unbiased(shift):
    # E k(a, b) of two normals of variance 1 and means s apart is
    # (w / (w + 2))^(dim / 2) exp(-s^2 / (2 (w + 2))), w the squared width.
    dim, width = 2, 1.5
    scale = (width / (width + 2)) ** (dim / 2)
    squared_shift = dim * shift**2
    truth = 2 * scale * (1 - np.exp(-squared_shift / (2 * (width + 2))))
    x, y = np.random.default_rng(2).normal(size=(2, 1000, 4, dim))
    estimates = tf.vectorized_map(
        lambda pair: squared_mmd(pair[0], pair[1], width),
        (tf.constant(x), tf.constant(y + shift)),
    )
    z = (np.mean(estimates) - truth) / scipy.stats.sem(estimates)
    assert abs(z) < 5


def test_one_example_tells_nothing():
    x = tf.constant([[1.0, 2.0]])
    assert float(squared_mmd(x, x + 3, 1.0)) == 0
    model = WAE(*vector_networks())
    values = model.objective(tf.ones([1, 4]))
    assert float(values["loss"]) == float(values["reconstruction_error"][0])


def linear_model(weight):
    rng = np.random.default_rng(3)
    layers = []
    for shape in ((3, 2), (2, 3)):
        layer = keras.layers.Dense(shape[1], use_bias=False, dtype="float64")
        layer.build([None, shape[0]])
        layer.set_weights([rng.normal(size=shape)])
        layers.append(layer)
    model = WAE(*layers, mmd_weight=weight, seed=5, dtype="float64")
    model.build([None, 3])
    return model, rng.normal(size=(6, 3))


def test_a_shape_of_the_latents_changes_no_loss():
    model, x = linear_model(2.5)
    shaped = WAE(
        keras.Sequential([model.encoder, keras.layers.Reshape([1, 2])]),
        keras.Sequential([keras.layers.Reshape([2]), model.decoder]),
        mmd_weight=2.5,
        seed=5,
        dtype="float64",
    )
    shaped.build([None, 3])
    losses = [m.objective(tf.constant(x))["loss"] for m in (model, shaped)]
    assert losses[0].shape == losses[1].shape == ()
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)


def numpy_loss(encode, decode, x, prior, weight, squared_width):
    z = x @ encode
    error = np.mean((x - z @ decode) ** 2)
    return error + weight * numpy_mmd(z, prior, squared_width)


def test_the_loss_and_its_gradient_are_numpys_at_a_fixed_width():
    weight = 2.5
    model, x = linear_model(weight)
    encode, decode = (w.numpy() for w in model.trainable_variables)
    with tf.GradientTape() as tape:
        values = model.objective(tf.constant(x))
    gradient = tape.gradient(values["loss"], model.trainable_variables[0])
    seed = model.noise_seed(training=False)
    prior = tf.random.stateless_normal(
        (6, 2), seed, dtype=tf.float64, alg="philox"
    ).numpy()
    width = np.mean(
        [
            np.median(scipy.spatial.distance.pdist(z, "sqeuclidean"))
            for z in (x @ encode, prior)
        ]
    )
    loss = numpy_loss(encode, decode, x, prior, weight, width)
    assert float(values["loss"]) == pytest.approx(loss)
    mmd = numpy_mmd(x @ encode, prior, width)
    assert float(values["squared_mmd"]) == pytest.approx(mmd)
    for index in np.ndindex(encode.shape):
        step = np.zeros_like(encode)
        step[index] = 1e-6
        slope = np.diff(
            [
                numpy_loss(encode + s, decode, x, prior, weight, width)
                for s in (-step, step)
            ]
        )
        assert gradient[index].numpy() == pytest.approx(
            slope[0] / 2e-6, rel=1e-5, abs=1e-8
        )


def test_training_makes_latents_normal():
    keras.utils.set_random_seed(0)
    model = WAE(*vector_networks(), mmd_weight=1.0)
    model.compile(keras.optimizers.Adam(1e-2))
    x = 5 + 3 * np.random.default_rng(6).normal(size=(512, 4))
    model.fit(x.astype(np.float32), epochs=40, batch_size=64, verbose=0)
    z = model.encode(x.astype(np.float32)).numpy()
    assert np.abs(z.mean(axis=0)).max() < 0.5
    assert np.abs(z.std(axis=0) - 1).max() < 0.4


def test_a_batch_of_one_example_trains():
    model = WAE(*vector_networks())
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(np.ones([1, 4], np.float32), verbose=0).history
    assert history["squared_mmd"] == [0]
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
