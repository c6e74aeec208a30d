"""Parity with what the authors' code computed, in float64."""

import numpy as np
import pytest
import tensorflow as tf
from golden import load_golden, set_torch_weights

from nae_tf import NAE, LangevinChain
from nae_tf.energy import energy_and_gradient
from nae_tf.losses import sum_of_squares
from nae_tf.networks.conv28 import Conv28Decoder, Conv28Encoder


@pytest.fixture(scope="module")
def golden():
    return load_golden("conv28_small")


@pytest.fixture(scope="module")
def values(golden):
    return {name: tf.constant(value) for name, value in golden.values.items()}


@pytest.fixture(scope="module")
def model(golden):
    encoder = Conv28Encoder(
        latent_dim=8, width=8, hidden_units=32, dtype="float64"
    )
    decoder = Conv28Decoder(latent_dim=8, width=8, dtype="float64")
    set_torch_weights(encoder, golden.encoder_weights)
    set_torch_weights(decoder, golden.decoder_weights)
    return NAE(encoder, decoder, encoder_l2=1e-4, dtype="float64")


def assert_equal(actual, expected, tolerance=1e-9):
    """Compare to a tolerance relative to the largest recorded number."""
    np.testing.assert_allclose(
        actual, expected, rtol=0, atol=tolerance * np.max(np.abs(expected))
    )


def replay(chain, energy_fn, states, noise, temperature, project=None):
    """Make the recorded chain's moves, each from this package's last state."""
    options = {} if project is None else {"project": project}
    x = states[0]
    replayed = []
    for step in range(len(noise)):
        _, gradient = energy_and_gradient(energy_fn, x)
        x = chain.move(x, gradient, noise[step], step, temperature, **options)
        replayed.append(x)
    return tf.stack(replayed)


def test_latent_and_reconstruction(model, values):
    assert_equal(model.encode(values["x"]), values["latent"])
    assert_equal(model(values["x"]), values["reconstruction"])


def test_energy_and_its_gradient(model, values):
    energy, gradient = energy_and_gradient(model.energy, values["x"])
    assert_equal(energy, values["energy"])
    assert_equal(gradient, values["energy_gradient"])


def test_on_manifold_energy_and_its_gradient(model, values):
    assert_equal(model.decode(values["z"]), values["decoded"])
    energy, gradient = energy_and_gradient(
        lambda z: model.energy(model.decode(z)), values["z"]
    )
    assert_equal(energy, values["on_manifold_energy"])
    assert_equal(gradient, values["on_manifold_energy_gradient"])


def test_latent_chain(model, values):
    states = values["latent_chain/states"]
    replayed = replay(
        LangevinChain(4, 0.2, 0.05),
        lambda z: model.energy(model.decode(z)),
        states,
        values["latent_chain/noise"],
        temperature=1.0,
        project=model.latent_space.project,
    )
    assert_equal(replayed, states[1:])


@pytest.mark.parametrize(
    ("name", "clip_limit", "temperature"),
    [("visible_chain", 0.01, 1.0), ("visible_chain_clipped", 1e-4, 0.5)],
)
def test_visible_chain(model, values, name, clip_limit, temperature):
    states, noise = values[f"{name}/states"], values[f"{name}/noise"]
    assert_equal(states[0], values["decoded"])
    chain = LangevinChain(
        len(noise),
        10.0,
        0.05,
        noise_schedule="delayed_reciprocal",
        gradient_clip="row_norm",
        clip_limit=clip_limit,
        bounds=(0.0, 1.0),
    )
    replayed = replay(chain, model.energy, states, noise, temperature)
    # The authors' clip is off by a factor of 1 + 1e-6.
    assert_equal(replayed, states[1:], tolerance=1e-6)


def test_loss_and_its_gradients(model, values):
    with tf.GradientTape(persistent=True) as tape:
        loss, positive_energy, negative_energy = model.loss_terms(
            values["x"], values["x_negative"]
        )
    assert_equal(loss, values["loss"])
    assert_equal(positive_energy, values["positive_energy"])
    assert_equal(negative_energy, values["negative_energy"])
    encoder_weights = model.encoder.trainable_variables
    assert_equal(sum_of_squares(encoder_weights), values["encoder_l2"])
    for name in ("encoder", "decoder"):
        network = getattr(model, name)
        gradients = tape.gradient(loss, network.trainable_variables)
        norms = sorted(float(tf.norm(gradient)) for gradient in gradients)
        assert_equal(norms, np.sort(values[f"loss_gradient_norms/{name}"]))
