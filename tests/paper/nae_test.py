"""Training of the Normalized Autoencoder against NumPy and closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import tied_networks, vector_nae

from nae_tf import (
    NAE,
    ContrastiveDivergence,
    Euclidean,
    LangevinChain,
    OnManifold,
)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(50, 4)).astype("float32")


@pytest.fixture(scope="module")
def trained(x):
    """A model after two epochs, and the history of its training."""
    model = vector_nae()
    history = model.fit(
        x, epochs=2, shuffle=False, verbose=0, validation_data=(x,)
    )
    return model, history.history


def assert_same_weights(model, other):
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)


# --- A linear model with chains of closed form --------------------------------


class LinearNumpy:
    """E(x) = |x - x A B|^2 / D with encoder A and decoder B, in NumPy."""

    def __init__(self, encoder, decoder):
        self.encoder = encoder
        self.residual = np.eye(len(encoder)) - encoder @ decoder

    def energy(self, x):
        return np.mean((x @ self.residual) ** 2, axis=1)

    def gradient(self, x):
        return 2 / x.shape[1] * x @ self.residual @ self.residual.T


def linear_networks(rng):
    encoder = keras.layers.Dense(2, use_bias=False)
    decoder = keras.layers.Dense(3, use_bias=False)
    encoder.build([None, 3])
    decoder.build([None, 2])
    encoder.set_weights([rng.normal(size=(3, 2))])
    decoder.set_weights([rng.normal(size=(2, 3))])
    return encoder, decoder


def test_every_figure_of_fit_is_a_mean_over_the_epochs_examples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10, 3)).astype("float32")
    encoder, decoder = linear_networks(rng)
    twin = LinearNumpy(encoder.kernel.numpy(), decoder.kernel.numpy())
    model = NAE(
        encoder,
        decoder,
        sampler=ContrastiveDivergence(
            visible_chain=LangevinChain(2, 0.1, 0.0, bounds=(-3.0, 3.0))
        ),
        latent_space=Euclidean(),
        negative_energy_penalty=0.7,
        encoder_l2=0.1,
        decoder_l2=0.05,
        latent_l2=0.3,
        temperature=0.5,
    )
    # Without learning, every batch meets the same model.
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=4, epochs=2, shuffle=False, verbose=0)

    weights = 0.1 * np.sum(twin.encoder**2)
    weights += 0.05 * np.sum(decoder.kernel.numpy() ** 2)
    figures = []
    for batch in (x[:4], x[4:8], x[8:]):
        negative, norms = batch, []
        for _ in range(2):
            slope = twin.gradient(negative)
            norms.append(np.mean(np.linalg.norm(slope, axis=1)))
            negative = np.clip(negative - 0.1 / 0.5 * slope, -3, 3)
        positive_energy = twin.energy(batch)
        negative_energy = twin.energy(negative)
        gap = positive_energy.mean() - negative_energy.mean()
        z = np.concatenate([batch, negative]) @ twin.encoder
        figures.append(
            {
                "loss": gap
                + 0.7 * np.mean(negative_energy**2)
                + weights
                + 0.3 * np.mean(z**2),
                "positive_energy": positive_energy.mean(),
                "negative_energy": negative_energy.mean(),
                "energy_gap": gap,
                "visible_gradient_norm": np.mean(norms),
                "visible_fraction_at_bound": np.mean(np.abs(negative) == 3),
            }
        )
    assert set(history.history) == set(figures[0])
    for name in figures[0]:
        expected = np.average([f[name] for f in figures], weights=[4, 4, 2])
        np.testing.assert_allclose(
            history.history[name], [expected] * 2, rtol=1e-4, err_msg=name
        )


def test_samples_are_bounded_in_units_of_the_first_energy(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 3)).astype("float32")
    encoder, decoder = linear_networks(rng)
    twin = LinearNumpy(encoder.kernel.numpy(), decoder.kernel.numpy())
    model = NAE(
        keras.Sequential([keras.Input((3,)), encoder]),
        keras.Sequential([keras.Input((2,)), decoder]),
        # Chains that hardly move: samples are the data.
        sampler=ContrastiveDivergence(
            visible_chain=LangevinChain(1, 1e-9, 0.0, bounds=(-9.0, 9.0))
        ),
        latent_space=Euclidean(),
        negative_energy_penalty="auto",
    )
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=4, epochs=2, shuffle=False, verbose=0)
    energy = twin.energy(x).reshape(3, 4)
    weight = 1 / (8 * twin.energy(x[:4]).mean())
    penalties = weight * np.mean(energy**2, axis=1)
    # The first step finds the weight, which no later one changes.
    np.testing.assert_allclose(
        history.history["loss"],
        [penalties[1:].sum() / 3, penalties.mean()],
        rtol=1e-5,
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    history = loaded.fit(x, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(
        history.history["loss"], penalties.mean(), rtol=1e-5
    )


def test_figures_of_both_chains_are_means_over_their_chains():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(40, 3)).astype("float32")
    encoder, decoder = linear_networks(rng)
    kernel = decoder.kernel.numpy()
    twin = LinearNumpy(encoder.kernel.numpy(), kernel)
    model = NAE(
        encoder,
        decoder,
        sampler=OnManifold(
            # So short a step that the stored latents are the first ones.
            latent_chain=LangevinChain(1, 1e-9, 0.0),
            visible_chain=LangevinChain(
                1, 1.0, 0.0, bounds=(-2.0, 2.0), boundary="reject"
            ),
        ),
        latent_space=Euclidean(),
    )
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=40, verbose=0).history
    decoded = model.replay_buffer.states[:40].numpy() @ kernel
    x0 = np.clip(decoded, -2, 2)
    moved = x0 - twin.gradient(x0)
    inside = np.all(np.abs(moved) <= 2, axis=1)
    assert 0.1 < inside.mean() < 0.9
    final = np.where(inside[:, None], moved, x0)
    expected = {
        "latent_gradient_norm": np.linalg.norm(
            twin.gradient(decoded) @ kernel.T, axis=1
        ),
        "visible_gradient_norm": np.linalg.norm(twin.gradient(x0), axis=1),
        "visible_acceptance": inside,
        "visible_fraction_at_bound": np.abs(final) >= 2,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            history[name], [np.mean(values)], rtol=1e-4, err_msg=name
        )


def test_loss_has_the_exact_gradient_of_the_likelihood():
    # One feature: E(x) = a x^2 with a = (1 - v w)^2, p = normal(0, T / 2a).
    temperature, w, v = 0.5, 0.8, 0.4
    encoder = keras.layers.Dense(1, use_bias=False)
    decoder = keras.layers.Dense(1, use_bias=False)
    for layer, weight in [(encoder, w), (decoder, v)]:
        layer.build([None, 1])
        layer.set_weights([np.array([[weight]])])
    model = NAE(
        encoder,
        decoder,
        latent_space=Euclidean(),
        negative_energy_penalty=0.0,
        temperature=temperature,
    )
    a = (1 - v * w) ** 2
    x = np.array([[0.3], [-1.0], [2.0]], "float32")
    # Two points with exactly the second moment of p.
    x_negative = np.sqrt(temperature / (2 * a)) * np.array([[1.0], [-1.0]])
    with tf.GradientTape() as tape:
        loss, _, _ = model.loss_terms(x, tf.constant(x_negative, tf.float32))
    gradient = tape.gradient(loss, [encoder.kernel, decoder.kernel])
    # -log p = a x^2 / T + log(pi T / a) / 2.
    by_a = np.mean(x**2) / temperature - 1 / (2 * a)
    by_a_w, by_a_v = -2 * (1 - v * w) * v, -2 * (1 - v * w) * w
    np.testing.assert_allclose(
        np.ravel(gradient),
        temperature * by_a * np.array([by_a_w, by_a_v]),
        rtol=1e-4,
    )


def test_a_step_follows_the_gradient_with_the_samples_held_fixed():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10, 3)).astype("float32")
    kernel = rng.normal(size=(3, 2)).astype("float32")
    encoder, decoder = tied_networks(kernel)
    model = NAE(
        encoder,
        decoder,
        sampler=ContrastiveDivergence(visible_chain=LangevinChain(2, 0.1, 0.0)),
        latent_space=Euclidean(),
    )
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(x, batch_size=10, verbose=0)

    twin = LinearNumpy(kernel, kernel.T)
    negative = x
    for _ in range(2):
        negative = negative - 0.1 * twin.gradient(negative)
    variable = tf.Variable(kernel)
    with tf.GradientTape() as tape:
        positive_energy, negative_energy = (
            tf.reduce_mean((x - x @ variable @ tf.transpose(variable)) ** 2, 1)
            for x in (x, negative.astype("float32"))
        )
        loss = tf.reduce_mean(positive_energy) - tf.reduce_mean(negative_energy)
        loss += tf.reduce_mean(negative_energy**2)
    step = encoder.kernel.numpy() - kernel
    np.testing.assert_allclose(
        step, -0.1 * tape.gradient(loss, variable), rtol=1e-3, atol=1e-6
    )


# --- Training -----------------------------------------------------------------


def test_validation_measures_the_energy_of_the_data(trained, x):
    model, history = trained
    energy = np.mean(model.predict_outlier_score(x))
    np.testing.assert_allclose(
        history["val_positive_energy"][-1], energy, rtol=1e-5
    )
    results = model.evaluate(x, batch_size=16, verbose=0, return_dict=True)
    np.testing.assert_allclose(results["positive_energy"], energy, rtol=1e-5)
    assert model.evaluate(x, verbose=0) == pytest.approx(energy, rel=1e-5)


def test_training_lowers_the_energy_of_the_data(trained):
    _, history = trained
    assert history["val_positive_energy"][1] < history["val_positive_energy"][0]


def test_a_run_can_be_repeated_from_arrays_and_from_labelled_datasets(
    trained, x
):
    model, _ = trained
    again = vector_nae()
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(50))).batch(32)
    again.fit(data, epochs=2, verbose=0)
    assert_same_weights(model, again)
    np.testing.assert_array_equal(
        model.replay_buffer.states, again.replay_buffer.states
    )


def test_another_seed_gives_another_run(trained, x):
    model, _ = trained
    other = vector_nae(seed=1)
    other.fit(x, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(
        model.trainable_weights, other.trainable_weights, strict=True
    ):
        assert np.any(np.not_equal(a, b))


@pytest.mark.parametrize("accumulation", [None, 4])
def test_every_batch_has_its_own_noise(x, accumulation):
    sampler = OnManifold(
        latent_chain=LangevinChain(0, 0.1),
        visible_chain=LangevinChain(1, 0.1),
        # Practically never: the buffer then holds the fresh starts.
        replay_ratio=1e-9,
        replay_capacity=40,
    )
    model = vector_nae(sampler=sampler)
    model.compile(
        keras.optimizers.SGD(0.0, gradient_accumulation_steps=accumulation)
    )
    model.fit(x[:40], batch_size=10, verbose=0)
    latents = model.replay_buffer.states.numpy()
    assert len(np.unique(latents, axis=0)) == 40


def test_frozen_decoder(x):
    model = vector_nae(encoder_l2=1e-3, decoder_l2=1e-3)
    model.decoder.trainable = False
    before = model.decoder.get_weights()
    encoder_before = model.encoder.get_weights()
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, verbose=0)
    for old, new in zip(before, model.decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.any(encoder_before[0] != model.encoder.get_weights()[0])


def test_temperature_moves_by_its_own_optimizer_alone(x):
    model = vector_nae(temperature=0.5, temperature_learning_rate=0.1)
    before = model.encoder.get_weights()
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=50, epochs=1, verbose=0).history
    assert history["energy_gap"][0] > 0
    # Adam's first step has the size of the learning rate: log T goes up where
    # data have more energy than samples.
    expected = 0.5 * np.exp(0.1)
    np.testing.assert_allclose(model.temperature, expected, rtol=1e-4)
    np.testing.assert_allclose(history["temperature"], [expected], rtol=1e-4)
    for old, new in zip(before, model.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_temperature_steps_down_the_gradient_of_log_t(x):
    model = vector_nae(temperature=0.5, temperature_learning_rate=0.1)
    model.temperature_optimizer = keras.optimizers.SGD(0.1)
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=50, epochs=1, verbose=0).history
    # d/dlog(T) of gap / T is -gap / T.
    expected = 0.5 * np.exp(0.1 * history["energy_gap"][0] / 0.5)
    np.testing.assert_allclose(model.temperature, expected, rtol=1e-5)


def test_temperature_stays_without_a_learning_rate(trained, x):
    model, history = trained
    assert model.temperature == 1
    assert "temperature" not in history
    np.testing.assert_allclose(
        model.log_density(x), -model.predict_outlier_score(x), rtol=1e-5
    )


def test_a_checkpoint_resumes_the_run_exactly(trained, x, tmp_path):
    model, _ = trained
    half = vector_nae()
    half.fit(x, epochs=1, shuffle=False, verbose=0)
    path = tf.train.Checkpoint(half).save(str(tmp_path / "checkpoint"))
    resumed = vector_nae(weight_seed=1)
    tf.train.Checkpoint(resumed).restore(path)
    resumed.fit(x, epochs=1, shuffle=False, verbose=0)
    assert_same_weights(resumed, model)
    np.testing.assert_array_equal(
        resumed.replay_buffer.states, model.replay_buffer.states
    )
