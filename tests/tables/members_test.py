"""The members against a transcription in NumPy."""

import numpy as np
import pytest

from nae_tf.tables import members

SIZES = (5, 7, 3)


def double(weights):
    return [weight.astype(np.float64) for weight in weights]


@pytest.fixture(scope="module")
def weights():
    return double(members.initial_weights(3, SIZES, seed=1))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(3, 6, 5))


def perceptron(x, weights):
    kernel, bias, last_kernel, last_bias = weights
    hidden = np.maximum(np.einsum("mbi,mio->mbo", x, kernel) + bias, 0)
    return np.einsum("mbi,mio->mbo", hidden, last_kernel) + last_bias


def encoded(x, weights):
    z = perceptron(x, weights[:4])
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def decoded(z, weights):
    return perceptron(z, weights[4:])


def test_weights_are_uniform_by_fan_in_and_none_equals_another():
    kernel, bias, last, _, *decoder = members.initial_weights(
        2, (100, 400, 9), seed=0
    )
    assert [w.shape for w in decoder] == [
        (2, 9, 400),
        (2, 1, 400),
        (2, 400, 100),
        (2, 1, 100),
    ]
    for weight, fan_in in [(kernel, 100), (bias, 100), (last, 400)]:
        assert weight.dtype == np.float32
        limit = fan_in**-0.5
        assert 0.95 * limit < np.max(np.abs(weight)) <= limit
    # The deviation of a uniform distribution; 80,000 draws, four errors.
    np.testing.assert_allclose(kernel.std(), 0.1 / np.sqrt(3), rtol=0.02)
    assert len(np.unique(kernel)) > 0.98 * kernel.size
    assert not np.allclose(kernel[0], kernel[1])


def test_the_seed_decides_the_weights():
    first, again, other = (
        members.initial_weights(2, SIZES, seed) for seed in (3, 3, 4)
    )
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.any(one == different)


def test_latents_are_unit_vectors_of_a_perceptron(x, weights):
    z = members.encode(x, weights).numpy()
    np.testing.assert_allclose(z, encoded(x, weights), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, rtol=1e-12)


def test_the_decoder_is_a_perceptron(weights):
    z = np.random.default_rng(1).normal(size=(3, 4, 3))
    np.testing.assert_allclose(
        members.decode(z, weights), decoded(z, weights), rtol=1e-12
    )


def test_energies_are_mean_squared_errors(x, weights):
    left = x - decoded(encoded(x, weights), weights)
    np.testing.assert_allclose(
        members.residuals(x, weights), left, rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        members.energies(x, weights), np.mean(left**2, axis=-1), rtol=1e-10
    )


def test_a_member_does_not_see_the_others(x, weights):
    together = members.energies(x, weights).numpy()
    for number in range(3):
        own = slice(number, number + 1)
        alone = members.energies(x[own], [w[own] for w in weights])
        np.testing.assert_allclose(together[own], alone, rtol=1e-12)
