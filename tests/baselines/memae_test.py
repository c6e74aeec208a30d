"""The memory-augmented autoencoder."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf.baselines import MemAE
from nae_tf.baselines.memae import addressing_weights, entropy, hard_shrinkage


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def numpy_weights(z, memory):
    """Softmax of the cosine similarity."""
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    memory = memory / np.linalg.norm(memory, axis=1, keepdims=True)
    exponentials = np.exp(z @ memory.T)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def numpy_shrinkage(weights, threshold):
    """Equation 7 as it is written, and the normalisation after it."""
    above = np.maximum(weights - threshold, 0)
    shrunk = above * weights / (np.abs(weights - threshold) + 1e-15)
    return shrunk / shrunk.sum(axis=1, keepdims=True)


def test_addressing_is_the_softmax_of_the_cosine_and_sums_to_one():
    z, memory = normal(6, 3), normal(10, 3, seed=1)
    weights = addressing_weights(z, memory)
    np.testing.assert_allclose(weights, numpy_weights(z, memory), rtol=1e-12)
    np.testing.assert_allclose(np.sum(weights, axis=1), np.ones(6), rtol=1e-12)
    # Lengths do not count, and a query of no direction asks for the mean.
    np.testing.assert_allclose(
        addressing_weights(5 * z, memory / 3), weights, rtol=1e-12
    )
    np.testing.assert_allclose(
        addressing_weights(np.zeros([1, 3]), memory), np.full([1, 10], 0.1)
    )


@pytest.mark.parametrize("threshold", [0.0, 0.08, 0.12])
def test_shrinkage_is_that_of_equation_7(threshold):
    weights = numpy_weights(normal(6, 3), normal(10, 3, seed=1))
    shrunk = hard_shrinkage(tf.constant(weights), threshold).numpy()
    np.testing.assert_allclose(
        shrunk, numpy_shrinkage(weights, threshold), rtol=1e-9
    )
    np.testing.assert_allclose(shrunk.sum(axis=1), np.ones(6), rtol=1e-12)
    np.testing.assert_array_equal(shrunk == 0, weights <= threshold)


def test_a_higher_threshold_leaves_fewer_items():
    weights = tf.constant(numpy_weights(normal(9, 3), normal(50, 3, seed=1)))
    counts = [
        np.count_nonzero(hard_shrinkage(weights, threshold))
        for threshold in (0.0, 0.01, 0.02, 0.03, 0.5)
    ]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 5 and counts[-1] == 9


def test_where_no_weight_is_large_enough_the_largest_stays():
    weights = tf.constant([[0.2, 0.3, 0.1, 0.4]])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        shrunk = hard_shrinkage(weights, 0.9)
    np.testing.assert_array_equal(shrunk, [[0, 0, 0, 1]])
    assert np.isfinite(tape.gradient(shrunk, weights)).all()


def test_entropy_is_in_nats_and_has_a_gradient_at_zero():
    weights = tf.constant([[0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        values = entropy(weights)
    expected = scipy.stats.entropy(weights.numpy(), axis=1)
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-7)
    assert np.isfinite(tape.gradient(values, weights)).all()


def test_the_loss_is_that_of_equation_10():
    model = MemAE(
        *vector_networks(),
        memory_size=10,
        shrinkage_threshold=0.1,
        entropy_weight=0.5,
    )
    x = normal(6, 4).astype(np.float32)
    memory = model.memory.numpy()
    weights = numpy_shrinkage(
        numpy_weights(model.encoder(x).numpy(), memory), 0.1
    )
    error = np.mean((x - model.decoder(weights @ memory)) ** 2, axis=1)
    entropies = scipy.stats.entropy(weights, axis=1)
    values = model.objective(tf.constant(x))
    np.testing.assert_allclose(values["reconstruction_error"], error, rtol=1e-4)
    np.testing.assert_allclose(values["addressing_entropy"], entropies, 1e-4)
    assert float(values["loss"]) == pytest.approx(
        error.mean() + 0.5 * entropies.mean(), rel=1e-5
    )
    np.testing.assert_allclose(model.predict_outlier_score(x), error, rtol=1e-4)


def test_only_the_addressed_items_learn():
    model = MemAE(*vector_networks(), memory_size=10, shrinkage_threshold=0.12)
    x = normal(2, 4).astype(np.float32)
    addressed = np.any(model.address(x).numpy() > 0, axis=0)
    assert 0 < addressed.sum() < 10
    before = model.memory.numpy()
    model.compile(keras.optimizers.SGD(1.0))
    model.fit(x, verbose=0)
    change = np.abs(model.memory.numpy() - before).max(axis=1)
    assert change[~addressed].max() < 1e-8 < 1e-5 < change[addressed].min()


def test_an_outlier_comes_back_as_something_in_the_memory():
    model = MemAE(*vector_networks(), memory_size=10, shrinkage_threshold=0.9)
    z = model.encode((100 * normal(6, 4)).astype(np.float32)).numpy()
    distances = np.abs(z[:, None] - model.memory.numpy()).max(axis=-1)
    assert distances.min(axis=1).max() < 1e-6
