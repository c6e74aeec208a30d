"""MixtureOfSamplers: which rows come from which sampler, and its training."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import short_sampler, vector_nae

from nae_tf import ContrastiveDivergence, LangevinChain
from nae_tf.baselines import MixtureOfSamplers, ProjectionDiffusion

STILL = LangevinChain(0, 1.0)
DATA = ContrastiveDivergence(visible_chain=STILL)
NEAR = ProjectionDiffusion(
    latent_chain=STILL, visible_chain=STILL, noise_range=(0.0, 0.0)
)
ANYWHERE = short_sampler(replay_ratio=0.9)


def data(rows=8):
    return np.random.default_rng(0).normal(size=(rows, 4)).astype("float32")


def mixture(*samplers, shares=None):
    return MixtureOfSamplers(samplers=samplers, shares=shares)


@pytest.mark.parametrize(
    ("rows", "shares", "from_data"),
    [
        (8, None, 4),
        (8, (0.25, 0.75), 2),
        (7, (0.5, 0.5), 4),
        (1, (0.2, 0.8), 0),
    ],
)
def test_every_sampler_draws_its_share(rows, shares, from_data):
    model = vector_nae(sampler=mixture(DATA, NEAR, shares=shares))
    x = data(rows)
    found = model.negative_samples(x).x
    # A chain without steps stays: at the data, or at their reconstructions.
    expected = np.concatenate([x[:from_data], model(x)[from_data:]])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_diagnostics_are_means_over_chains():
    one, three = (
        dataclasses.replace(DATA, visible_chain=LangevinChain(1, size, 0.0))
        for size in (0.1, 0.2)
    )
    model = vector_nae(sampler=mixture(one, three, shares=(0.25, 0.75)))
    x = data()
    with tf.GradientTape() as tape:
        points = tf.constant(x)
        tape.watch(points)
        energy = model.energy(points)
    norms = np.linalg.norm(tape.gradient(energy, points), axis=1)
    found = model.negative_samples(x).visible.gradient_norm
    np.testing.assert_allclose(found, norms.mean(), rtol=1e-5)


def test_it_trains_and_stores_the_latents_of_its_own_part(tmp_path):
    model = vector_nae(sampler=mixture(NEAR, ANYWHERE))
    model.compile(keras.optimizers.Adam(1e-3))
    history = model.fit(data(32), batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(history["negative_energy"]).all()
    assert "latent_gradient_norm" in history
    # Two epochs of four batches, of which half are the second sampler's.
    assert int(model.replay_buffer.num_pushed) == 2 * 4 * 4
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.sampler == model.sampler
    drawn, expected = (m.negative_samples(data()) for m in (again, model))
    tf.nest.map_structure(np.testing.assert_array_equal, drawn, expected)


def test_parts_have_noise_of_their_own():
    noisy = dataclasses.replace(DATA, visible_chain=LangevinChain(1, 1e-9, 1.0))
    model = vector_nae(sampler=mixture(noisy, noisy))
    x = np.repeat(data(1), 8, 0)
    moves = model.negative_samples(x).x - x
    assert len(np.unique(moves, axis=0)) == 8


def test_it_generates_by_the_first_that_can():
    model = vector_nae(sampler=mixture(NEAR, ANYWHERE))
    alone = vector_nae(sampler=ANYWHERE)
    alone.set_weights(model.get_weights()[: len(alone.weights)])
    np.testing.assert_allclose(model.sample(3).x, alone.sample(3).x, rtol=1e-5)
    near = vector_nae(sampler=mixture(NEAR))
    with pytest.raises(ValueError, match="none of the samplers can generate"):
        near.sampler.generate(near, 3, (0, 0), "float32")
    assert not near.sampler.generates


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samplers": ()}, "expected samplers, one or more"),
        ({"samplers": (DATA, "omi")}, "expected samplers, one or more"),
        ({"samplers": (DATA, NEAR), "shares": (0.5, 0.4)}, "2 shares with the"),
        ({"samplers": (DATA, NEAR), "shares": (1.0,)}, "2 shares with the sum"),
        ({"samplers": (DATA,), "shares": (2.0,)}, "shares"),
        (
            {"samplers": (ANYWHERE, ANYWHERE)},
            "one sampler with a replay buffer",
        ),
        (
            {"samplers": (DATA, ProjectionDiffusion.for_images())},
            "of equal visible bounds",
        ),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        MixtureOfSamplers(**settings)
    assert "\n" not in str(caught.value)
