"""Langevin chains against closed forms: what they do and what they sample."""

import dataclasses

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from nae_tf.langevin_chain import LangevinChain
from nae_tf.latent_space import Sphere

SEED = (1, 2)


def quadratic_energy(x):
    return tf.reduce_sum(x**2, list(range(1, x.shape.rank))) / 2


def flat_energy(x):
    return 0.0 * quadratic_energy(x)


def variance_z_score(x, variance):
    """z-score of the sample variance about 0 of independent normals."""
    ratio = np.mean(np.square(x)) / variance
    return (ratio - 1) / np.sqrt(2 / np.size(x))


# --- Unadjusted chains --------------------------------------------------------


@pytest.mark.parametrize(
    ("noise_schedule", "factor"),
    [
        ("constant", lambda t: 1.0),
        ("reciprocal", lambda t: 1 / (t + 1)),
        ("delayed_reciprocal", lambda t: 1 / max(t, 1)),
    ],
)
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_variance_follows_its_recursion_at_every_step(
    noise_schedule, factor, temperature
):
    step_size, noise_std, start = 0.2, 0.5, 0.3
    x0 = start * tf.random.stateless_normal([10_000, 2], (7, 7))
    variance = start**2
    for num_steps in range(1, 9):
        noise = noise_std * factor(num_steps - 1)
        variance = (1 - step_size / temperature) ** 2 * variance + noise**2
        chain = LangevinChain(num_steps, step_size, noise_std, noise_schedule)
        x, _ = chain.run(x0, quadratic_energy, SEED, temperature)
        assert abs(variance_z_score(x, variance)) < 5


def test_default_noise_samples_at_temperature_one():
    # Exact stationary variance of the biased chain: 2 s / (1 - (1 - s)^2).
    chain = LangevinChain(60, 0.2)
    x, _ = chain.run(tf.zeros([10_000, 2]), quadratic_energy, SEED)
    assert abs(variance_z_score(x, 0.4 / (1 - 0.8**2))) < 5


def test_without_noise_the_chain_is_gradient_descent():
    x0 = np.random.default_rng(0).normal(size=(8, 3))
    chain = LangevinChain(5, 0.1, 0.0)
    x, diagnostics = chain.run(
        tf.constant(x0), lambda x: tf.reduce_sum(x**4, 1) / 4, SEED, 0.5
    )
    norms = []
    for _ in range(5):
        norms.append(np.linalg.norm(x0**3, axis=1).mean())
        x0 = x0 - 0.1 / 0.5 * x0**3
    np.testing.assert_allclose(x, x0, rtol=1e-12)
    np.testing.assert_allclose(
        diagnostics.gradient_norm, np.mean(norms), rtol=1e-5
    )
    assert diagnostics.acceptance == 1


@pytest.mark.parametrize("metropolis_hastings", [False, True])
def test_the_gradient_norm_is_that_of_whole_examples_before_clipping(
    metropolis_hastings,
):
    x0 = np.random.default_rng(0).normal(size=(6, 4, 5, 2))
    chain = LangevinChain(
        1,
        0.1,
        gradient_clip="element",
        metropolis_hastings=metropolis_hastings,
    )
    _, diagnostics = chain.run(tf.constant(x0), quadratic_energy, SEED)
    # The gradient of |x|^2 / 2 is x.
    np.testing.assert_allclose(
        diagnostics.gradient_norm,
        np.linalg.norm(x0.reshape(6, -1), axis=1).mean(),
        rtol=1e-5,
    )


def test_a_batch_is_as_many_chains_on_their_own():
    x0 = np.random.default_rng(0).normal(size=(8, 2, 3, 1))
    chain = LangevinChain(3, 0.3, 0.0, gradient_clip="row_norm", clip_limit=0.5)
    together, _ = chain.run(tf.constant(x0), quadratic_energy, SEED)
    alone = [
        chain.run(tf.constant(x0[i : i + 1]), quadratic_energy, SEED)[0]
        for i in range(8)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-12)


def test_noise_differs_between_steps_chains_and_elements():
    def walk(num_steps):
        chain = LangevinChain(num_steps, 0.1, 1.0)
        return chain.run(tf.zeros([5_000, 2]), flat_energy, SEED)[0].numpy()

    first, second = walk(1), walk(2) - walk(1)
    uncorrelated = [
        (first, second),
        (first[:, 0], first[:, 1]),
        (first[:-1], first[1:]),
    ]
    for a, b in uncorrelated:
        assert abs(np.sum(a * b) / np.sqrt(a.size)) < 5


def test_the_seed_decides_the_chain():
    chain = LangevinChain(3, 0.1)
    first, again, other = (
        chain.run(tf.zeros([4, 2]), quadratic_energy, seed)[0]
        for seed in (SEED, SEED, (1, 3))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.equal(first, other))


@pytest.mark.parametrize("known_size", [True, False])
@pytest.mark.parametrize("batch", [0, 1, 5])
@pytest.mark.parametrize("metropolis_hastings", [False, True])
def test_parts_of_a_batch_make_the_same_moves(
    batch, metropolis_hastings, known_size
):
    chain = LangevinChain(4, 0.2, metropolis_hastings=metropolis_hastings)
    in_parts = dataclasses.replace(chain, num_parts=3)
    x = tf.random.stateless_normal([batch, 2], (7, 7), dtype=tf.float64)
    whole, whole_diagnostics = chain.run(x, quadratic_energy, SEED)
    sizes = []

    def energy(x):
        tf.py_function(lambda x: sizes.append(len(x)), [x], [])
        return quadratic_energy(x)

    parts, diagnostics = tf.function(
        lambda x: in_parts.run(x, energy, SEED),
        input_signature=[
            tf.TensorSpec([batch if known_size else None, 2], tf.float64)
        ],
    )(x)
    # Convolutions do not take an empty batch.
    assert sizes and min(sizes) == max(1, batch // 3)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    np.testing.assert_allclose(diagnostics, whole_diagnostics, rtol=1e-6)


def test_no_step_is_no_rejection():
    chain = LangevinChain(np.int64(0), 0.1, metropolis_hastings=True)
    x = tf.ones([2, 3])
    final, diagnostics = chain.run(x, quadratic_energy, SEED)
    np.testing.assert_array_equal(final, x)
    assert diagnostics.acceptance == 1


def test_no_gradient_flows_into_the_final_states():
    weight = tf.Variable(0.5)
    x0 = tf.ones([2, 3])
    with tf.GradientTape() as tape:
        tape.watch(x0)
        chain = LangevinChain(2, 0.1)
        x, _ = chain.run(x0, lambda x: weight * quadratic_energy(x), SEED)
        loss = tf.reduce_sum(x)
    assert tape.gradient(loss, [weight, x0]) == [None, None]


# --- One move -----------------------------------------------------------------


def test_gradient_is_clipped_before_it_is_divided_by_the_temperature():
    chain = LangevinChain(1, 2.0, 0.0, gradient_clip="element", clip_limit=0.01)
    y = chain.move(
        tf.zeros([1, 2]), tf.constant([[1.0, -0.004]]), 0.0, 0, temperature=0.1
    )
    np.testing.assert_allclose(y, [[-0.2, 0.08]], rtol=1e-6)


@pytest.mark.parametrize(
    ("noise_schedule", "factors"),
    [
        ("reciprocal", [1, 1 / 2, 1 / 3]),
        ("delayed_reciprocal", [1, 1, 1 / 2]),
    ],
)
def test_noise_of_a_move_is_annealed_in_double_precision(
    noise_schedule, factors
):
    chain = LangevinChain(3, 1.0, 0.3, noise_schedule)
    zero, noise = tf.zeros([1, 1], tf.float64), tf.ones([1, 1], tf.float64)

    def move(step):
        return chain.move(zero, zero, noise, step)

    for function in (move, tf.function(move)):  # Training runs in a graph.
        moves = [function(tf.constant(step)) for step in range(3)]
        np.testing.assert_allclose(
            np.ravel(moves), 0.3 * np.array(factors), rtol=1e-12
        )


def test_clamp_moves_elements_to_the_edge_of_the_box():
    chain = LangevinChain(1, 1.0, 0.0, bounds=(0.0, 1.0))
    x0 = tf.constant([[0.5, 0.2], [0.5, 0.9]])
    slope = tf.constant([[0.1, 1.0], [-1.0, 0.1]])
    x, diagnostics = chain.run(x0, lambda x: tf.reduce_sum(slope * x, 1), SEED)
    np.testing.assert_allclose(x, [[0.4, 0.0], [1.0, 0.8]])
    assert diagnostics.fraction_at_bound == 0.5
    assert diagnostics.acceptance == 1


def test_reject_leaves_the_whole_chain_where_it_was():
    chain = LangevinChain(1, 1.0, 0.0, bounds=(0.0, 1.0), boundary="reject")
    x0 = tf.constant([[0.5, 0.2], [0.5, 0.9], [0.5, 0.5], [0.1, 0.1]])
    slope = tf.constant([[0.1, 1.0], [-1.0, 0.1], [0.1, 0.1], [0.2, 0.0]])
    x, diagnostics = chain.run(x0, lambda x: tf.reduce_sum(slope * x, 1), SEED)
    np.testing.assert_allclose(
        x, [[0.5, 0.2], [0.5, 0.9], [0.4, 0.4], [0.1, 0.1]]
    )
    assert diagnostics.acceptance == 0.25


# --- On the sphere ------------------------------------------------------------


def test_under_constant_energy_a_chain_on_the_sphere_becomes_uniform():
    pole = tf.tile([[0.0, 0.0, 1.0]], [5_000, 1])
    chain = LangevinChain(15, 0.1, 0.7)
    z, _ = chain.run(pole, flat_energy, SEED, project=Sphere().project)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-6)
    for coordinate in z.numpy().T:
        test = scipy.stats.kstest(coordinate, "uniform", args=(-1, 2))
        assert test.pvalue > 1e-6


# --- Metropolis-Hastings ------------------------------------------------------


@pytest.mark.parametrize(
    ("temperature", "settings"),
    [
        (1.0, {"step_size": 0.5}),
        (0.1, {"step_size": 0.05, "noise_std": 0.1**0.5}),
        (1.0, {"step_size": 0.2, "noise_std": 1.2}),
        (0.1, {"step_size": 0.02, "noise_std": 0.4}),
        (
            1.0,
            {
                "step_size": 1.0,
                "noise_std": 1.0,
                "gradient_clip": "element",
                "clip_limit": 0.4,
            },
        ),
    ],
)
def test_adjusted_chain_has_the_variance_of_its_temperature(
    temperature, settings
):
    chain = LangevinChain(80, metropolis_hastings=True, **settings)
    x, diagnostics = chain.run(
        tf.zeros([5_000, 2]), quadratic_energy, SEED, temperature
    )
    assert abs(variance_z_score(x, temperature)) < 5
    assert 0.2 < diagnostics.acceptance < 0.99


def test_adjusted_chain_tosses_a_coin_that_the_noise_knows_nothing_of():
    # In one dimension the coin has as many numbers as the noise: from the same
    # stream, they would accept some proposals more often than others.
    chain = LangevinChain(80, 0.8, metropolis_hastings=True)
    x, _ = chain.run(tf.zeros([8_000, 1]), quadratic_energy, SEED)
    assert abs(variance_z_score(x, 1.0)) < 5


@pytest.mark.parametrize(
    ("rule", "axes"),
    [("element", ()), ("row_norm", 2), ("example_norm", (1, 2, 3))],
)
def test_a_chain_clips_by_the_rule_that_it_is_given(rule, axes):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    chain = LangevinChain(1, 0.5, 0.0, gradient_clip=rule, clip_limit=0.3)
    moved, _ = chain.run(tf.constant(x), quadratic_energy, SEED)
    norm = np.sqrt(np.sum(x**2, axes, keepdims=True)) if axes else np.abs(x)
    clipped = x * np.minimum(1, 0.3 / norm)
    np.testing.assert_allclose(moved, x - 0.5 * clipped, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_fixed_norm_moves_every_example_equally_far(scale):
    x = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    x[2] = 0
    chain = LangevinChain(
        1, 0.5, 0.0, gradient_clip="fixed_norm", clip_limit=0.2
    )
    moved, _ = chain.run(
        tf.constant(x), lambda x: scale * quadratic_energy(x), SEED
    )
    norm = np.sqrt(np.sum(x[:2] ** 2, (1, 2), keepdims=True))
    np.testing.assert_allclose(moved[:2], x[:2] * (1 - 0.1 / norm), rtol=1e-5)
    np.testing.assert_array_equal(moved[2], 0)


def test_adjusted_chain_anneals_its_noise():
    # Under constant energy every move is accepted, and variances add up.
    chain = LangevinChain(3, 0.5, 1.0, "reciprocal", metropolis_hastings=True)
    x, diagnostics = chain.run(tf.zeros([5_000, 2]), flat_energy, SEED)
    assert diagnostics.acceptance == 1
    assert abs(variance_z_score(x, 1 + 1 / 4 + 1 / 9)) < 5
    # Each step by itself leaves the normal distribution as it is.
    x0 = tf.random.stateless_normal([5_000, 2], (7, 7))
    x, diagnostics = chain.run(x0, quadratic_energy, SEED)
    assert abs(variance_z_score(x, 1.0)) < 5
    assert diagnostics.acceptance < 0.9


def test_adjusted_chain_in_a_box_samples_the_truncated_normal():
    low, high, scale = -0.5, 1.0, 0.5**0.5
    chain = LangevinChain(
        80,
        0.3,
        metropolis_hastings=True,
        bounds=(low, high),
        boundary="reject",
    )
    x, _ = chain.run(
        tf.zeros([5_000, 2]), quadratic_energy, SEED, temperature=scale**2
    )
    expected = scipy.stats.truncnorm(low / scale, high / scale, scale=scale)
    assert scipy.stats.kstest(np.ravel(x), expected.cdf).pvalue > 1e-6


# --- Settings -----------------------------------------------------------------


def test_keras_can_write_and_read_a_chain():
    chain = LangevinChain(
        3, 0.1, gradient_clip="row_norm", bounds=(0.0, 1.0), boundary="reject"
    )
    config = keras.saving.serialize_keras_object(chain)
    assert keras.saving.deserialize_keras_object(config) == chain
