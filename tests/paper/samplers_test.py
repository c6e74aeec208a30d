"""Samplers on a model whose chains have closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf.base.randomness import step_seed
from nae_tf.langevin_chain import LangevinChain
from nae_tf.latent_space import Euclidean, Sphere
from nae_tf.replay_buffer import ReplayBuffer
from nae_tf.samplers import (
    ContrastiveDivergence,
    OnManifold,
    PersistentContrastiveDivergence,
)

SEED = (1, 2)
DECODER = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5]], "float32")


class QuadraticModel:
    """decode(z) = z @ DECODER, E(x) = curvature * |x|^2 / 2."""

    latent_shape = (2,)
    example_shape = (3,)

    def __init__(self, latent_space, temperature=1.0, curvature=1.0):
        self.latent_space = latent_space
        self.temperature = temperature
        self.curvature = curvature

    def decode(self, z):
        return z @ tf.constant(DECODER)

    def energy(self, x):
        return self.curvature * tf.reduce_sum(x**2, 1) / 2


def descent(num_steps, step_size=0.1, **settings):
    """A chain without noise."""
    return LangevinChain(num_steps, step_size, 0.0, **settings)


def walk(num_steps=1):
    """A chain whose steps have variance 1 where the energy is flat."""
    return LangevinChain(num_steps, 0.1, 1.0)


def on_manifold(latent_chain, visible_chain=None, **settings):
    return OnManifold(
        latent_chain=latent_chain,
        visible_chain=visible_chain or descent(3),
        **settings,
    )


def latent_descent(z, num_steps, step_size):
    for _ in range(num_steps):
        z = z - step_size * z @ DECODER @ DECODER.T
    return z


# --- On-manifold initialisation -----------------------------------------------


def test_latent_chain_then_decoder_then_visible_chain():
    model = QuadraticModel(Euclidean(), temperature=0.5)
    sampler = on_manifold(descent(4))
    negative = sampler.draw(model, tf.zeros([6, 3]), None, SEED)
    z = latent_descent(negative.z0.numpy(), 4, 0.1 / 0.5)
    np.testing.assert_allclose(negative.z, z, rtol=1e-5)
    np.testing.assert_allclose(negative.x0, z @ DECODER, rtol=1e-5)
    expected = (1 - 0.1 / 0.5) ** 3 * z @ DECODER
    np.testing.assert_allclose(negative.x, expected, rtol=1e-5)


def test_decoded_states_are_brought_into_the_box_of_the_visible_chain():
    chain = descent(0, bounds=(0.0, 0.3))
    sampler = on_manifold(descent(1), chain)
    negative = sampler.draw(
        QuadraticModel(Sphere()), tf.zeros([20, 3]), None, SEED
    )
    decoded = negative.z.numpy() @ DECODER
    assert decoded.min() < 0 and decoded.max() > 0.3
    np.testing.assert_allclose(
        negative.x0, np.clip(decoded, 0, np.float32(0.3))
    )


def test_an_empty_buffer_starts_the_chains_at_q0():
    model = QuadraticModel(Sphere())
    sampler = on_manifold(descent(0), replay_ratio=1.0)
    buffer = sampler.make_buffer([3], [2], "float32")
    with_buffer = sampler.draw(model, tf.zeros([8, 3]), buffer, SEED)
    without = sampler.draw(model, tf.zeros([8, 3]), None, SEED)
    np.testing.assert_array_equal(with_buffer.z0, without.z0)
    np.testing.assert_allclose(np.linalg.norm(without.z0, axis=1), 1, rtol=1e-6)


def test_chains_restart_at_stored_latents():
    sampler = on_manifold(walk(), replay_ratio=0.9, replay_capacity=4)
    buffer = sampler.make_buffer([3], [2], "float32")
    assert buffer.capacity == 4
    buffer.push(tf.tile([[0.6, 0.8]], [4, 1]))
    negative = sampler.draw(
        QuadraticModel(Sphere()), tf.zeros([5_000, 3]), buffer, SEED
    )
    stored = np.all(np.isclose(negative.z0, [0.6, 0.8]), axis=1)
    assert abs(stored.sum() - 4_500) / np.sqrt(5_000 * 0.9 * 0.1) < 5


def test_the_final_latents_are_stored():
    sampler = on_manifold(walk())
    negative = sampler.draw(
        QuadraticModel(Sphere()), tf.zeros([5, 3]), None, SEED
    )
    assert not np.any(np.equal(negative.z, negative.z0))
    np.testing.assert_array_equal(sampler.stored_states(negative), negative.z)


def test_without_replay_there_is_no_buffer():
    sampler = on_manifold(walk(), replay_ratio=0.0)
    assert sampler.make_buffer([3], [2], "float32") is None


def test_latents_stay_on_the_sphere():
    negative = on_manifold(walk(5)).draw(
        QuadraticModel(Sphere()), tf.zeros([50, 3]), None, SEED
    )
    np.testing.assert_allclose(np.linalg.norm(negative.z, axis=1), 1, rtol=1e-5)


def test_generation_runs_a_longer_latent_chain():
    model = QuadraticModel(Euclidean())
    sampler = on_manifold(descent(2, 0.05))
    negative = sampler.generate(model, 7, SEED, "float32")
    z = latent_descent(negative.z0.numpy(), 8 * 2, 0.05)
    np.testing.assert_allclose(negative.z, z, rtol=1e-4)
    assert negative.x.shape == [7, 3]


def test_all_sources_of_noise_are_independent():
    """Replay coin aside: z0, the latent noise and the visible noise."""
    model = QuadraticModel(Euclidean(), curvature=0.0)
    # As many latents as pixels, so that equal streams would give equal noise.
    model.latent_shape = (3,)
    model.decode = lambda z: tf.identity(z)
    negative = on_manifold(walk(), walk()).draw(
        model, tf.zeros([2_000, 3]), None, SEED
    )
    noises = [
        negative.z0,
        negative.z - negative.z0,
        negative.x - negative.x0,
    ]
    correlation = np.corrcoef([np.ravel(noise) for noise in noises])
    z_scores = (correlation - np.eye(3)) * np.sqrt(6_000)
    assert np.max(np.abs(z_scores)) < 5


def test_an_adjusted_latent_chain_runs_in_euclidean_space():
    chain = LangevinChain(1, 0.1, metropolis_hastings=True)
    model = QuadraticModel(Euclidean())
    on_manifold(chain).draw(model, tf.zeros([4, 3]), None, SEED)


# --- Contrastive divergence ---------------------------------------------------


def test_contrastive_divergence_starts_at_the_data():
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    sampler = ContrastiveDivergence(visible_chain=descent(3))
    assert sampler.make_buffer([3], [2], "float32") is None
    negative = sampler.draw(
        QuadraticModel(Sphere()), tf.constant(x), None, SEED
    )
    np.testing.assert_array_equal(negative.x0, x)
    np.testing.assert_allclose(negative.x, 0.9**3 * x, rtol=1e-5)
    assert negative.z is None


# --- Persistent contrastive divergence ----------------------------------------


def persistent(chain, replay_ratio=0.95):
    return PersistentContrastiveDivergence(
        visible_chain=chain, replay_ratio=replay_ratio, replay_capacity=50
    )


def test_persistent_chains_without_restart_go_on_where_they_ended():
    model, x = QuadraticModel(Sphere()), tf.zeros([50, 3])
    sampler = persistent(walk(), replay_ratio=1.0)
    buffer = sampler.make_buffer([3], [2], "float32")
    first = sampler.draw(model, x, buffer, SEED)
    buffer.push(sampler.stored_states(first))
    second = sampler.draw(model, x, buffer, (1, 3))
    ends = {tuple(row) for row in first.x.numpy()}
    assert {tuple(row) for row in second.x0.numpy()} <= ends


def test_persistent_chains_with_restart_start_afresh_now_and_then():
    sampler = persistent(descent(1, bounds=(2.0, 4.0)))
    buffer = ReplayBuffer(50, [3])
    buffer.push(tf.zeros([50, 3]))
    negative = sampler.draw(
        QuadraticModel(Sphere()), tf.zeros([5_000, 3]), buffer, SEED
    )
    x0 = negative.x0.numpy()
    fresh = x0[np.any(x0 != 0, axis=1)]
    assert abs(len(fresh) - 250) / np.sqrt(5_000 * 0.95 * 0.05) < 5
    # Uniform in the box: mean 3, variance 1 / 3.
    assert fresh.min() >= 2 and fresh.max() <= 4
    assert abs(fresh.mean() - 3) / np.sqrt(1 / 3 / fresh.size) < 5


def test_without_a_box_persistent_chains_start_at_normal_noise():
    negative = persistent(descent(0)).generate(
        QuadraticModel(Sphere()), 2_000, SEED, "float32"
    )
    x0 = negative.x0.numpy()
    assert abs(x0.mean()) * np.sqrt(x0.size) < 5
    assert abs(np.mean(x0**2) - 1) * np.sqrt(x0.size / 2) < 5


# --- All samplers -------------------------------------------------------------

SAMPLERS = [
    on_manifold(walk(2), walk(2), replay_ratio=0.5),
    ContrastiveDivergence(visible_chain=walk(2)),
    persistent(walk(2)),
]


def name(value):
    return type(value).__name__


@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
def test_the_seed_decides_the_sample(sampler):
    buffer = sampler.make_buffer([3], [2], "float32")
    first, again, other = (
        sampler.draw(QuadraticModel(Sphere()), tf.ones([4, 3]), buffer, seed).x
        for seed in (SEED, SEED, (1, 3))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.equal(first, other))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
def test_samples_carry_no_gradient(sampler):
    buffer = sampler.make_buffer([3], [2], "float32")
    curvature, x = tf.Variable(1.0), tf.ones([4, 3])
    with tf.GradientTape() as tape:
        tape.watch(x)
        model = QuadraticModel(Sphere(), curvature=curvature)
        negative = sampler.draw(model, x, buffer, SEED)
        total = tf.reduce_sum(negative.x)
    assert tape.gradient(total, [curvature, x]) == [None, None]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
def test_keras_can_write_and_read_a_sampler(sampler):
    config = keras.saving.serialize_keras_object(sampler)
    assert keras.saving.deserialize_keras_object(config) == sampler


# --- Seeds --------------------------------------------------------------------


def test_every_step_and_replica_has_its_own_seed():
    seeds = {
        tuple(step_seed(seed, step, replica).numpy())
        for seed in range(3)
        for step in range(5)
        for replica in range(2)
    }
    assert len(seeds) == 30
