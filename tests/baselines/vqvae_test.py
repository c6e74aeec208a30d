"""The vector-quantised autoencoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf.baselines import VQVAE
from nae_tf.baselines.vqvae import (
    codebook_loss,
    commitment_loss,
    nearest_codes,
    perplexity,
    straight_through,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def linear_networks(units, latent_dim):
    """Dense layers without bias: z = x @ kernel, y = z @ kernel."""
    layers = []
    for number, (inputs, outputs) in enumerate(
        [(units, latent_dim), (latent_dim, units)]
    ):
        layer = keras.layers.Dense(outputs, use_bias=False)
        layer.build([None, inputs])
        layer.set_weights([normal(inputs, outputs, seed=number)])
        layers.append(layer)
    return layers


def linear_vqvae(codebook, units=5, latent_dim=4, **settings):
    """A model of linear networks and the given codes, none of them dead."""
    model = VQVAE(
        *linear_networks(units, latent_dim),
        num_codes=len(codebook),
        code_dim=codebook.shape[1],
        **settings,
    )
    model.build([None, units])
    model.codebook.assign(codebook)
    model.idle_batches.assign(np.zeros(len(codebook), np.int64))
    return model


def numpy_codes(vectors, codebook):
    """Index and value of the code nearest to each of some vectors."""
    distances = np.sum((vectors[..., None, :] - codebook) ** 2, axis=-1)
    indices = np.argmin(distances, axis=-1)
    return indices, codebook[indices]


def test_the_nearest_code_is_that_of_the_smallest_distance():
    vectors, codebook = normal(20, 3, 2), normal(7, 2, seed=1)
    indices, _ = numpy_codes(vectors, codebook)
    np.testing.assert_array_equal(nearest_codes(vectors, codebook), indices)
    assert len(np.unique(indices)) == 7


def test_the_gradient_goes_straight_through_the_codes():
    z, codes = tf.constant(normal(3, 2)), tf.constant(normal(3, 2, seed=1))
    with tf.GradientTape() as tape:
        tape.watch([z, codes])
        passed = straight_through(z, codes)
        loss = tf.reduce_sum(tf.sin(passed))
    np.testing.assert_allclose(passed, codes, rtol=1e-12)
    of_z, of_codes = tape.gradient(loss, [z, codes])
    np.testing.assert_allclose(of_z, np.cos(codes), rtol=1e-12)
    assert of_codes is None


def test_one_loss_moves_the_codes_and_the_other_the_encodings():
    z, codes = tf.constant(normal(3, 2)), tf.constant(normal(3, 2, seed=1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([z, codes])
        losses = [codebook_loss(z, codes), commitment_loss(z, codes)]
    error = np.mean((z - codes) ** 2)
    np.testing.assert_allclose(losses, [error, error], rtol=1e-12)
    of_z, of_codes = tape.gradient(losses[0], [z, codes])
    assert of_z is None
    np.testing.assert_allclose(of_codes, 2 * (codes - z) / 6, rtol=1e-12)
    of_z, of_codes = tape.gradient(losses[1], [z, codes])
    np.testing.assert_allclose(of_z, 2 * (z - codes) / 6, rtol=1e-12)
    assert of_codes is None


def test_perplexity_counts_the_codes_in_use():
    assert float(perplexity(tf.constant([3.0, 3.0, 0.0, 3.0]))) == (
        pytest.approx(3)
    )
    assert float(perplexity(tf.constant([0.0, 5.0]))) == pytest.approx(1)


def test_a_latent_is_cut_into_vectors_that_share_the_codebook():
    codebook = normal(6, 2, seed=3)
    model = linear_vqvae(codebook)
    x = normal(10, 5)
    z = x @ model.encoder.kernel.numpy()
    _, codes = numpy_codes(z.reshape(10, 2, 2), codebook)
    codes = codes.reshape(10, 4)
    np.testing.assert_allclose(
        model.encode(x.astype(np.float32)), codes, rtol=1e-5
    )
    error = np.mean((x - codes @ model.decoder.kernel.numpy()) ** 2, axis=1)
    np.testing.assert_allclose(
        model.predict_outlier_score(x.astype(np.float32)), error, rtol=1e-4
    )


def test_a_step_is_the_gradient_of_equation_3():
    codebook, beta, rate = normal(6, 2, seed=3), 0.3, 0.1
    model = linear_vqvae(codebook, commitment_weight=beta)
    encoder, decoder = (
        network.kernel.numpy() for network in (model.encoder, model.decoder)
    )
    x = normal(8, 5)
    z = x @ encoder
    indices, codes = numpy_codes(z.reshape(8, 2, 2), codebook)
    codes = codes.reshape(8, 4)
    error = codes @ decoder - x
    model.compile(keras.optimizers.SGD(rate))
    history = model.fit(x, batch_size=8, verbose=0).history
    distance = np.mean((z - codes) ** 2)
    expected = np.mean(error**2) + (1 + beta) * distance
    assert history["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert history["commitment_loss"] == [pytest.approx(distance, rel=1e-5)]
    of_output = 2 * error / error.size
    # The encoder gets the gradient of the decoder's input and its commitment.
    of_z = of_output @ decoder.T + beta * 2 * (z - codes) / z.size
    np.testing.assert_allclose(
        model.encoder.kernel, encoder - rate * x.T @ of_z, atol=1e-5
    )
    np.testing.assert_allclose(
        model.decoder.kernel, decoder - rate * codes.T @ of_output, atol=1e-5
    )
    # The codes get nothing from the reconstruction.
    of_codebook = np.zeros_like(codebook)
    pulls = (2 * (codes - z) / z.size).reshape(8, 2, 2)
    np.add.at(of_codebook, indices, pulls)
    np.testing.assert_allclose(
        model.codebook, codebook - rate * of_codebook, atol=1e-5
    )


def test_a_code_that_nothing_chose_for_a_while_becomes_an_encoding():
    codebook = np.concatenate([normal(3, 4, seed=3), np.full([1, 4], 100.0)])
    model = linear_vqvae(codebook, restart_after=3)
    model.compile(keras.optimizers.SGD(0.0))
    x = normal(8, 5).astype(np.float32)
    z = x @ model.encoder.kernel.numpy()
    for _ in range(3):
        model.fit(x, batch_size=8, verbose=0)
    np.testing.assert_allclose(model.codebook[3], codebook[3])
    model.fit(x, batch_size=8, verbose=0)
    distances = np.linalg.norm(z - model.codebook[3].numpy(), axis=1)
    assert distances.min() < 1e-5
    # The others are in use and stay.
    assert set(numpy_codes(z, codebook)[0]) == {0, 1, 2}
    np.testing.assert_allclose(model.codebook[:3], codebook[:3], rtol=1e-6)
    assert int(model.idle_batches[3]) == 0


def test_the_seed_decides_which_encodings_become_codes():
    codebooks = []
    for seed in (0, 0, 1):
        model = VQVAE(*linear_networks(5, 4), num_codes=8, seed=seed)
        model.compile(keras.optimizers.SGD(0.0))
        model.fit(normal(32, 5), batch_size=32, shuffle=False, verbose=0)
        codebooks.append(model.codebook.numpy())
    np.testing.assert_array_equal(codebooks[0], codebooks[1])
    assert np.any(codebooks[0] != codebooks[2])


def test_an_evaluation_changes_no_code():
    model = VQVAE(*vector_networks(latent_dim=4), num_codes=8)
    model.compile(keras.optimizers.Adam())
    before = [weight.numpy() for weight in model.weights]
    x = normal(9, 4)
    model.evaluate(x, verbose=0)
    model.predict_outlier_score(x)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_all_codes_come_into_use_from_the_worst_start():
    # 16 clusters for 16 codes that are all at one place.
    centers = 4 * normal(16, 4, seed=5)
    x = np.repeat(centers, 16, axis=0) + 0.01 * normal(256, 4)
    keras.utils.set_random_seed(0)
    model = VQVAE(*vector_networks(latent_dim=4), num_codes=16, restart_after=5)
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(np.tile(x, [8, 1]), epochs=4, verbose=0).history
    assert history["codebook_perplexity"][-1] > 8
    assert history["loss"][-1] < history["loss"][0] / 2
