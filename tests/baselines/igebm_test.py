"""IGEBM: normalised kernels, a penalty on both energies, its chains."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf import LangevinChain, PersistentContrastiveDivergence
from nae_tf.baselines import IGEBM, energy_network
from nae_tf.baselines.igebm import sampler_of_the_paper
from nae_tf.networks import Conv28Encoder, MLPEncoder


def sampler(num_steps=3, replay_ratio=0.95, **settings):
    chain = {"step_size": 0.1, "noise_std": 0.05, "bounds": (0, 1)} | settings
    return PersistentContrastiveDivergence(
        visible_chain=LangevinChain(num_steps, **chain),
        replay_ratio=replay_ratio,
        replay_capacity=100,
    )


def mlp(dtype="float64"):
    keras.utils.set_random_seed(0)
    return MLPEncoder(1, (6,), hidden_units=(16, 12), dtype=dtype)


def model_of(network, rate=1e-2, **settings):
    settings = {"sampler": sampler()} | settings
    model = IGEBM(network, **settings, dtype=network.dtype_policy.name)
    model.compile(keras.optimizers.Adam(rate, beta_1=0.0))
    return model


def examples(count, shape=(6,), seed=0):
    return np.random.default_rng(seed).uniform(size=(count, *shape))


def spectral_norms(model):
    """Largest singular values of the kernels as the network uses them."""
    norms = []
    with model.normalized_kernels():
        for layer in model.network.layers:
            if hasattr(layer, "kernel"):
                kernel = np.asarray(tf.convert_to_tensor(layer.kernel))
                matrix = kernel.reshape(-1, kernel.shape[-1])
                norms.append(np.linalg.svd(matrix, compute_uv=False)[0])
    return norms


@pytest.mark.parametrize(
    "network",
    [mlp, lambda: Conv28Encoder(1, width=4, hidden_units=8, dtype="float64")],
)
def test_all_kernels_but_the_last_have_norm_one_during_training(network):
    model = model_of(network(), rate=1e-4)  # As in the gin file.
    last = np.linalg.svd(model.network.layers[-1].kernel, compute_uv=False)[0]
    *norms, norm = spectral_norms(model)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)
    assert norm == pytest.approx(last)
    x = examples(40, model.example_shape)
    kernels = [layer.kernel for layer in model.normalized_layers]
    before = [kernel.numpy() for kernel in kernels]
    model.fit(x, batch_size=4, epochs=3, verbose=0)
    moved = [
        np.abs(kernel - start).max()
        for kernel, start in zip(kernels, before, strict=True)
    ]
    assert min(moved) > 1e-3
    *norms, _ = spectral_norms(model)
    np.testing.assert_allclose(norms, 1, rtol=0.01)


def test_the_energy_is_the_output_of_the_normalised_network():
    model = model_of(mlp())
    hidden = x = examples(5)
    for layer in model.network.layers[2:]:
        kernel, bias = (weight.numpy() for weight in layer.weights)
        if kernel.shape[1] > 1:
            norm = np.linalg.svd(kernel, compute_uv=False)[0]
            hidden = np.maximum(hidden @ (kernel / norm) + bias, 0)
        else:
            hidden = hidden @ kernel + bias
    energy = model.predict_outlier_score(x)
    np.testing.assert_allclose(energy, hidden[:, 0], rtol=1e-9)
    np.testing.assert_array_equal(model.predict_outlier_score(x), energy)
    np.testing.assert_allclose(model.predict(x, verbose=0), energy, rtol=1e-5)


def test_the_gradient_flows_through_the_norm():
    # E does not depend on the length of a normalised kernel, so its gradient
    # is orthogonal to the kernel.
    model = model_of(mlp())
    with tf.GradientTape() as tape:
        energy = tf.reduce_sum(model.energy(tf.constant(examples(5))))
    kernel = model.network.layers[2].kernel
    gradient = tape.gradient(energy, kernel.value).numpy()
    assert np.abs(gradient).max() > 1e-3
    assert np.sum(gradient * kernel.numpy()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_the_loss_pulls_an_offset_by_both_energies(alpha):
    # d loss / d offset = 2 alpha (mean E(x) + mean E(x')).
    model = model_of(mlp(), energy_penalty=alpha)
    x, x_negative = (tf.constant(examples(7, seed=seed)) for seed in (1, 2))
    offset = model.network.layers[-1].bias
    with tf.GradientTape() as tape:
        values = model.loss_terms(x, x_negative)
    positive = model.predict_outlier_score(x)
    negative = model.predict_outlier_score(x_negative)
    np.testing.assert_allclose(values["positive_energy"], positive, rtol=1e-9)
    np.testing.assert_allclose(values["negative_energy"], negative, rtol=1e-9)
    expected = positive.mean() - negative.mean()
    expected += alpha * ((positive**2).mean() + (negative**2).mean())
    assert float(values["loss"]) == pytest.approx(expected)
    (gradient,) = tape.gradient(values["loss"], offset.value).numpy()
    both = positive.mean() + negative.mean()
    assert gradient == pytest.approx(2 * alpha * both, abs=1e-12)


def linear_energy(slope):
    """E(x) = slope * sum(x): the last layer, which is not normalised."""
    layer = keras.layers.Dense(1)
    network = keras.Sequential([keras.Input((2,)), layer])
    layer.set_weights([np.full((2, 1), slope), np.zeros(1)])
    return network


def test_samples_are_those_of_the_energy():
    # Moments of a chain of a linear energy, from the middle of no box: every
    # step adds -step_size * slope and noise.
    chain = LangevinChain(25, step_size=0.2, noise_std=0.3)
    sampler = PersistentContrastiveDivergence(visible_chain=chain)
    model = IGEBM(linear_energy(1.5), sampler)
    negative = model.sample(4_000)
    moved = (negative.x - negative.x0).numpy().ravel()
    deviation = 0.3 * np.sqrt(25)
    error = deviation / np.sqrt(len(moved))
    assert abs(moved.mean() + 25 * 0.2 * 1.5) < 5 * error
    assert abs(moved.std() - deviation) < 5 * error


def test_a_step_lowers_data_raises_samples_and_stores_their_ends():
    model = model_of(mlp(), sampler=sampler(noise_std=0.0))
    x = examples(16)
    negative = model.draw(tf.constant(x)).x
    before = [model.energy(tf.constant(x)), model.energy(negative)]
    model.train_on_batch(x)
    after = [model.energy(tf.constant(x)), model.energy(negative)]
    gap = [np.mean(pair[0]) - np.mean(pair[1]) for pair in (before, after)]
    assert gap[1] < gap[0]
    assert model.replay_buffer.size == 16
    np.testing.assert_allclose(model.replay_buffer.states[:16], negative)
    starts = model.draw(tf.constant(x)).x0.numpy()
    stored = [np.any(np.all(negative == start, axis=1)) for start in starts]
    assert np.mean(stored) > 0.5


def test_training_separates_data_from_noise():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.4, 0.6, (512, 6))
    model = model_of(
        mlp("float32"), sampler=sampler(15, step_size=10.0, noise_std=0.02)
    )
    model.fit(x, batch_size=64, epochs=20, verbose=0)
    inliers = model.predict_outlier_score(rng.uniform(0.4, 0.6, (200, 6)))
    outliers = model.predict_outlier_score(rng.uniform(size=(200, 6)))
    assert np.mean(inliers[:, None] < outliers) > 0.9


def test_an_encoder_becomes_an_energy_and_the_sampler_is_the_papers():
    network = energy_network(MLPEncoder(7, (6,), hidden_units=(5,)))
    assert network.output_shape == (None, 1)
    assert network.layers[2].units == 5
    assert IGEBM(network).sampler == sampler_of_the_paper()
    chain = sampler_of_the_paper().visible_chain
    assert (chain.num_steps, chain.step_size) == (60, 10.0)
    assert (chain.noise_std, chain.clip_limit) == (0.005, 0.01)
    assert chain.bounds == (0.0, 1.0) and chain.noise_schedule == "constant"


def test_the_replay_buffer_is_in_the_file_and_not_in_the_export(tmp_path):
    model = model_of(mlp())
    model.fit(examples(32), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.replay_buffer.states, model.replay_buffer.states
    )
    for ours, theirs in zip(loaded.directions, model.directions, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    children = {"replay_buffer": 1, "network": 2}
    assert model.saved_children(children, "savedmodel") == {"network": 2}
