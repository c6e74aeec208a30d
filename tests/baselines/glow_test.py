"""Glow: invertible, the right determinant, a density that sums to 1."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf.baselines import Glow
from nae_tf.baselines.flow_couplings import (
    Coupling,
    FlowScale,
    Split,
    coupling_scale,
)
from nae_tf.baselines.flow_layers import (
    ActNorm,
    ChannelMixing,
    squeeze,
    unsqueeze,
)
from nae_tf.baselines.glow import dequantize, quantize


def randomize(layer, seed=0, std=0.05):
    """Move every weight, so that nothing is zero, one or the identity."""
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign_add(rng.normal(scale=std, size=weight.shape))


def flow(example_shape=(4, 4, 1), dtype="float64", **settings):
    """A small flow of random weights."""
    keras.utils.set_random_seed(0)
    settings = {"num_steps": 2, "hidden_channels": 4} | settings
    model = Glow(**settings, dtype=dtype)
    model.build((None, *example_shape))
    randomize(model)
    return model


def values(count, shape=(4, 4, 1), dtype="float64", seed=1):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.uniform(-0.5, 0.5, (count, *shape)), dtype)


# --- The map ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "num_scales"),
    [((4, 4, 1), 1), ((8, 4, 3), 2), ((8, 8, 1), 3), ((3,), 1)],
)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)]
)
def test_latents_lead_back_to_the_values(shape, num_scales, dtype, tolerance):
    levels = {"num_levels": None} if len(shape) == 1 else {}
    model = flow(shape, dtype, num_scales=num_scales, **levels)
    v = values(5, shape, dtype)
    z, _ = model.transform(v)
    assert z.shape == (5, np.prod(shape))
    np.testing.assert_allclose(model.inverse(z), v, atol=tolerance)
    z = tf.random.stateless_normal(z.shape, (0, 1), dtype=dtype) / 10
    back, _ = model.transform(model.inverse(z))
    np.testing.assert_allclose(back, z, atol=10 * tolerance)


def jacobian_log_determinant(function, x):
    """log |det dy/dx| of every example, by automatic differentiation."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, claimed = function(x)
        flat = tf.reshape(y, [len(x), -1])
    jacobian = tape.batch_jacobian(flat, x)
    size = flat.shape[1]
    _, log_determinant = np.linalg.slogdet(
        np.reshape(jacobian, [len(x), size, size])
    )
    return log_determinant, np.broadcast_to(claimed, [len(x)])


@pytest.mark.parametrize(
    "layer",
    [
        ActNorm(dtype="float64"),
        ChannelMixing(dtype="float64"),
        Coupling(5, dtype="float64"),
        Split(dtype="float64"),
        FlowScale(1, 5, squeezes=True, splits=False, dtype="float64"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_knows_its_jacobian_and_its_inverse(layer):
    shape = (2, 4, 4)
    layer.build((None, *shape))
    randomize(layer)
    x = values(3, shape)
    expected, claimed = jacobian_log_determinant(layer, x)
    np.testing.assert_allclose(claimed, expected, rtol=1e-9)
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(layer.inverse(layer(x)[0]), x, atol=1e-12)


@pytest.mark.parametrize("num_scales", [1, 2])
def test_a_flow_knows_its_jacobian(num_scales):
    model = flow(num_scales=num_scales)
    expected, claimed = jacobian_log_determinant(model.transform, values(3))
    np.testing.assert_allclose(claimed, expected, rtol=1e-9)
    assert np.ptp(expected) > 1e-3  # It depends on the example.


def test_squeezing_keeps_the_pixels_of_a_square_and_of_a_channel_together():
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    squeezed = squeeze(tf.constant(x)).numpy()
    assert squeezed.shape == (2, 2, 3, 12)
    for channel in range(3):
        np.testing.assert_array_equal(
            squeezed[1, 1, 2, 4 * channel : 4 * channel + 4],
            x[1, 2:4, 4:6, channel].ravel(),
        )
    np.testing.assert_array_equal(unsqueeze(tf.constant(squeezed)), x)


def test_the_matrix_is_orthogonal_at_first_and_never_singular():
    keras.utils.set_random_seed(3)
    layer = ChannelMixing(dtype="float64")
    layer.build((None, 1, 1, 6))

    def matrix():
        return layer(tf.eye(6, dtype=tf.float64)[:, None, None, :])[0][:, 0, 0]

    start = matrix().numpy()
    # The factors are those of a matrix in single precision.
    np.testing.assert_allclose(start @ start.T, np.eye(6), atol=1e-6)
    randomize(layer, std=3.0)
    sign, log_determinant = np.linalg.slogdet(matrix())
    assert sign == np.sign(np.linalg.det(start))
    assert log_determinant == pytest.approx(np.sum(layer.log_diagonal))
    inverse = layer.inverse(tf.eye(6, dtype=tf.float64)[:, None, None, :])
    np.testing.assert_allclose(
        matrix() @ inverse[:, 0, 0], np.eye(6), atol=1e-6
    )


def test_the_scale_of_a_coupling_is_bounded():
    scale = coupling_scale(tf.constant([-1e9, 0.0, 1e9])).numpy()
    middle = 0.01 + 0.99 / (1 + np.exp(-2))
    np.testing.assert_allclose(scale, [0.01, middle, 1.0], rtol=1e-6)


# --- The density --------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_the_density_of_a_plane_integrates_to_one_and_samples_have_it(seed):
    model = flow((2,), num_levels=None)
    randomize(model, seed, std=0.3)
    samples = model.sample(20_000, seed).x.numpy()
    low, high = samples.min(0), samples.max(0)
    margin = (high - low) / 2
    axes = [
        np.linspace(*ends, 301)
        for ends in zip(low - margin, high + margin, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    density = np.exp(model.log_likelihood(tf.constant(grid.reshape(-1, 2))))
    weights = density * np.prod([axis[1] - axis[0] for axis in axes])
    assert weights.sum() == pytest.approx(1, abs=1e-3)
    # The samples' moments are those of the density.
    for function in (lambda v: v, np.square, np.sin):
        expected = weights @ function(grid.reshape(-1, 2))
        drawn = function(samples)
        error = drawn.std(0) / np.sqrt(len(drawn))
        assert (np.abs(drawn.mean(0) - expected) < 5 * error + 2e-3).all()


def test_an_untrained_flow_has_its_bits_in_closed_form():
    # One step, whose layers are set by hand: y = x * scale with the coupling's
    # scale at logits of zero for half of the channels, 1 for the others.
    model = Glow(1, 1, 4, num_levels=5, num_samples=100, dtype="float64")
    model.build((None, 2, 2, 1))
    for weight in model.weights:
        if weight.name in ("permutation", "signs"):
            weight.assign(np.eye(4) if weight.name[0] == "p" else np.ones(4))
        elif weight.name in ("log_diagonal", "lower", "upper"):
            weight.assign(np.zeros(weight.shape))
    levels = np.array([[0, 1, 2, 4], [4, 3, 0, 0]])
    scale = np.array([1, 1, *[0.01 + 0.99 / (1 + np.exp(-2))] * 2])
    # E[v^2] of v uniform between the ends of a level's interval.
    low, high = levels / 5 - 0.5, (levels + 1) / 5 - 0.5
    square = (low**2 + low * high + high**2) / 3
    log_density = -square * scale**2 / 2 + np.log(scale / np.sqrt(2 * np.pi))
    expected = -(log_density.sum(1) / np.log(2)) / 4 + np.log2(5)
    images = levels.reshape(2, 2, 2, 1) / 4
    fourth = (low**4 + low**3 * high + low**2 * high**2) / 5
    fourth += (low * high**3 + high**4) / 5
    variance = np.sum(scale**4 / 4 * (fourth - square**2), 1)
    error = np.sqrt(variance / 100) / np.log(2) / 4
    bits = model.predict_outlier_score(images)
    assert (np.abs(bits - expected) < 5 * error).all()


@pytest.mark.parametrize("num_levels", [2, 17, 256])
def test_noise_spreads_grey_levels_and_rounding_brings_them_back(num_levels):
    levels = np.arange(num_levels, dtype="float32")
    for noise in (0.001, 0.5, 0.999):
        stored = levels / np.float32(num_levels - 1)
        noisy = (levels + np.float32(noise)) / np.float32(num_levels)
        for x in (stored, noisy):
            v = dequantize(x, np.float32(noise), num_levels).numpy()
            np.testing.assert_allclose(
                (v + 0.5) * num_levels, levels + noise, atol=1e-3
            )
            np.testing.assert_allclose(quantize(v, num_levels), stored)
    far = quantize(tf.constant([-9.0, 9.0]), num_levels)
    np.testing.assert_array_equal(far, [0, 1])


def test_images_score_the_same_however_they_are_stored():
    model = flow(num_levels=17)
    levels = np.random.default_rng(0).integers(0, 17, (6, 4, 4, 1))
    bits = model.predict_outlier_score(levels / 16)
    noisy = (levels + 0.7) / 17
    np.testing.assert_array_equal(model.predict_outlier_score(noisy), bits)
    # Called, the model returns nats.
    log_likelihood = model.predict(noisy, verbose=0)
    np.testing.assert_allclose(
        log_likelihood, -16 * np.log(2) * bits, rtol=1e-6
    )


def test_samples_are_images_and_follow_the_seed():
    model = flow(num_levels=3, dtype="float32")
    first, again, other = (model.sample(50, seed).x for seed in (3, 3, 4))
    assert first.shape == (50, 4, 4, 1)
    assert set(np.unique(first)) == {0, 0.5, 1}
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


# --- Start values -------------------------------------------------------------


def test_the_first_batch_is_standardised_by_every_norm(monkeypatch):
    model = flow((8, 8, 1), num_levels=17, num_scales=2)
    seen = []

    def recorded(layer, x, call=ActNorm.call, **settings):
        y, log_determinant = call(layer, x, **settings)
        seen.append(y.numpy())
        return y, log_determinant

    monkeypatch.setattr(ActNorm, "call", recorded)
    levels = np.random.default_rng(0).integers(0, 17, (200, 8, 8, 1))
    model.initialize(levels / 16)
    assert len(seen) == 2 * 2 * 3  # Scales, steps, and two in each coupling.
    for y in seen:
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-9)
        np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-4)


def weights_of(model):
    return [weight.numpy() for weight in model.trainable_variables]


def test_only_a_new_model_takes_start_values_from_the_data(tmp_path):
    x = np.random.default_rng(0).uniform(size=(40, 4, 4, 1)) / 2
    model = Glow(num_steps=1, hidden_channels=4)
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(x, verbose=0)
    start = weights_of(model)
    assert any(np.any(weight != 0) for weight in start)
    model.fit(x + 0.5, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.fit(x + 0.5, verbose=0)
    for weights in (weights_of(model), weights_of(loaded)):
        for weight, expected in zip(weights, start, strict=True):
            np.testing.assert_array_equal(weight, expected)


class Sequence(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, index):
        return (self.x[8 * index : 8 * index + 8],)


@pytest.mark.parametrize(
    "batches_of",
    [
        lambda x: tf.data.Dataset.from_tensor_slices(x).batch(8),
        lambda x: tf.data.Dataset.from_tensor_slices((x, x)).batch(8),
        Sequence,
        lambda x: ((x[i : i + 8],) for i in range(0, 40, 8)),
    ],
    ids=["dataset", "with labels", "PyDataset", "generator"],
)
def test_start_values_come_from_all_kinds_of_data_and_use_none_up(batches_of):
    x = np.random.default_rng(0).uniform(size=(40, 4, 4, 1)).astype("float32")
    weights = []
    for data, settings in [(x, {"batch_size": 8}), (batches_of(x), {})]:
        keras.utils.set_random_seed(0)
        model = Glow(num_steps=1, hidden_channels=4)
        model.compile(keras.optimizers.SGD(1e-3))
        model.fit(data, shuffle=False, verbose=0, **settings)
        weights.append(weights_of(model))
    for expected, weight in zip(*weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


# --- Numbers that are none ----------------------------------------------------


def test_likelihoods_that_are_not_finite_are_most_outlying_and_reported():
    model = flow((2, 2, 1), "float32", num_steps=1)
    x = np.random.default_rng(0).uniform(size=(4, 2, 2, 1))
    model.scales[0].parts[0].log_scale.assign([80.0] * 4)
    with pytest.warns(UserWarning, match="Glow: 4 of 4 likelihoods"):
        scores = model.predict_outlier_score(x)
    assert np.isposinf(scores).all()
    model.scales[0].parts[0].log_scale.assign([0.0] * 4)
    assert np.isfinite(model.predict_outlier_score(x)).all()


def test_mixed_precision_does_not_change_the_likelihood():
    x = np.random.default_rng(0).uniform(size=(4, 4, 4, 1))
    exact = flow(dtype="float32").predict_outlier_score(x)
    mixed = flow(dtype="mixed_bfloat16").predict_outlier_score(x)
    np.testing.assert_array_equal(mixed, exact)
