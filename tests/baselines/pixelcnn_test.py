"""PixelCNN++: causal, normalised, and exact in the tails of its logistics."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from nae_tf.baselines import PixelCNN
from nae_tf.baselines.causal_layers import WeightNormLayer
from nae_tf.baselines.logistic_mixture import (
    LogisticMixture,
    discretized_logistic_log_probability,
    mixture_log_probability,
    mixture_of_outputs,
    num_parameters,
    sample_mixture,
)

NARROW = {"num_blocks": 1, "num_channels": 4, "num_components": 2}


def network(shape, **settings):
    """A small network of random weights."""
    keras.utils.set_random_seed(0)
    model = PixelCNN(**(NARROW | settings))
    model.build((None, *shape))
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(rng.normal(scale=0.2, size=weight.shape))
    return model


# --- The order of the pixels --------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "num_scales"), [((6, 6, 1), 2), ((4, 8, 3), 3)]
)
def test_no_parameter_depends_on_its_pixel_or_on_later_ones(shape, num_scales):
    model = network(shape, num_scales=num_scales)
    count = shape[0] * shape[1]
    rng = np.random.default_rng(0)
    clean = rng.uniform(-1, 1, (1, *shape)).astype("float32")
    poisoned = np.repeat(clean, count, 0).reshape(count, count, -1)
    for pixel in range(count):
        poisoned[pixel, pixel:] = np.nan
    both = np.concatenate([clean, poisoned.reshape(count, *shape)])
    outputs = tf.function(model.outputs)(tf.constant(both)).numpy()
    clean, *poisoned = outputs.reshape(count + 1, count, -1)
    for pixel, output in enumerate(poisoned):
        np.testing.assert_allclose(
            output[: pixel + 1], clean[: pixel + 1], rtol=1e-4, atol=1e-5
        )


def test_there_is_no_blind_spot():
    model = network((4, 4, 1), num_scales=1, num_blocks=2, dtype="float64")
    x = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 1)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = tf.reduce_sum(model.outputs(x)[0, 2, 1] ** 2)
    gradient = np.abs(tape.gradient(output, x)[0, ..., 0])
    # All pixels above, on both sides, and the pixel to the left.
    assert (gradient[:2] > 0).all() and gradient[2, 0] > 0
    assert (gradient[2, 1:] == 0).all() and (gradient[3] == 0).all()


def test_the_probabilities_of_all_images_sum_to_one():
    model = network((4, 4, 1), num_levels=2, num_scales=2)
    images = np.arange(2**16)[:, None] >> np.arange(16) & 1
    images = images.reshape(-1, 4, 4, 1).astype("float32")
    bits = model.predict_outlier_score(images, batch_size=2**14)
    assert np.exp2(-16 * bits.astype("float64")).sum() == pytest.approx(1, 1e-5)
    assert np.ptp(bits) > 0.1


# --- Logistics ----------------------------------------------------------------


def mixtures(channels, count=5, num_components=3, seed=0):
    """Mixtures of a few pixels with parameters of every size."""
    rng = np.random.default_rng(seed)
    size = num_parameters(channels, num_components)
    outputs = rng.normal(scale=2.0, size=(count, size))
    return outputs, mixture_of_outputs(
        tf.constant(outputs), channels, num_components
    )


def numpy_log_probability(outputs, x, num_levels):
    """A transcription of section 2.1 and 2.2, pixel by pixel."""
    channels = x.shape[-1]
    result = []
    for pixel, values in zip(outputs, x, strict=True):
        rows = pixel.reshape(-1, 3)
        logits, means = rows[0], rows[1 : 1 + channels]
        scales = np.exp(np.maximum(rows[1 + channels : 1 + 2 * channels], -7))
        slopes = np.tanh(rows[1 + 2 * channels :])
        components = []
        for k in range(3):
            probability = scipy.special.softmax(logits)[k]
            for channel in range(channels):
                mean = means[channel, k]
                if channel == 1:
                    mean += slopes[0, k] * values[0]
                elif channel == 2:
                    mean += slopes[1, k] * values[0] + slopes[2, k] * values[1]
                law = scipy.stats.logistic(mean, scales[channel, k])
                low, high = (
                    values[channel] + sign / (num_levels - 1)
                    for sign in (-1, 1)
                )
                low = -np.inf if values[channel] == -1 else low
                high = np.inf if values[channel] == 1 else high
                probability *= law.cdf(high) - law.cdf(low)
            components.append(probability)
        result.append(np.log(np.sum(components)))
    return result


def colours_of_four_levels(channels):
    """All of them, [4 ** channels, channels], as levels."""
    colours = np.stack(np.meshgrid(*[np.arange(4)] * channels), -1)
    return colours.reshape(-1, channels)


def repeated(mixture, count):
    """The mixture of a single pixel for many."""
    return LogisticMixture(*(tf.repeat(part, count, 0) for part in mixture))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("num_levels", [2, 17, 256])
def test_pixels_have_the_probability_of_the_paper(channels, num_levels):
    outputs, mixture = mixtures(channels, count=40)
    rng = np.random.default_rng(1)
    levels = rng.integers(0, num_levels, (40, channels))
    levels[:10], levels[10:20] = 0, num_levels - 1
    x = 2 * levels / (num_levels - 1) - 1
    np.testing.assert_allclose(
        mixture_log_probability(mixture, tf.constant(x), num_levels),
        numpy_log_probability(outputs, x, num_levels),
        rtol=1e-6,
        atol=1e-8,
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_pixel_of_any_colour_has_probability_one(seed):
    _, mixture = mixtures(3, count=1, seed=seed)
    x = tf.constant(2 * colours_of_four_levels(3) / 3 - 1)
    log_probability = mixture_log_probability(repeated(mixture, 64), x, 4)
    assert np.exp(log_probability).sum() == pytest.approx(1, rel=1e-9)


def test_tails_are_exact_and_have_gradients():
    # log P = (h - distance) / scale + log(1 - exp(-2 h / scale)), 60 scales
    # from the mean, where differences of sigmoids are 0.
    scale, half = np.exp(-5.0), 1 / 255
    x = tf.constant([-0.6, 0.6], tf.float32)
    mean, log_scale = tf.Variable(0.0), tf.Variable(-5.0)
    with tf.GradientTape() as tape:
        found = discretized_logistic_log_probability(x, mean, log_scale, 256)
    expected = (half - 0.6) / scale + np.log1p(-np.exp(-2 * half / scale))
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-5)
    for gradient in tape.gradient(found, [mean, log_scale]):
        assert np.isfinite(gradient)


@pytest.mark.parametrize("fill", [0.0, 1.0, "checkerboard"])
@pytest.mark.parametrize("log_scale", [-9.0, 7.0])
def test_extreme_images_have_finite_likelihoods_and_gradients(fill, log_scale):
    model = network((4, 4, 1), num_scales=1)
    parameters = model.last.bias.numpy()
    parameters[4:] = log_scale
    model.last.bias.assign(parameters)
    x = np.full((1, 4, 4, 1), 0.0 if fill == "checkerboard" else fill, "f4")
    if fill == "checkerboard":
        x[:, ::2, ::2] = x[:, 1::2, 1::2] = 1.0
    with tf.GradientTape() as tape:
        loss = model.objective(tf.constant(x))["loss"]
    gradients = tape.gradient(
        loss, [w.value for w in model.trainable_variables]
    )
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("channels", [1, 3])
def test_draws_have_the_probabilities_of_their_mixture(channels):
    # Frequencies of the colours of four levels, in standard errors.
    _, mixture = mixtures(channels, count=1, seed=2)
    count = 20_000
    drawn = sample_mixture(repeated(mixture, count), (1, 2), 4).numpy()
    levels = np.rint((drawn + 1) * 1.5).astype(int)
    np.testing.assert_allclose(levels / 1.5 - 1, drawn, atol=1e-12)
    colours = colours_of_four_levels(channels)
    expected = np.exp(
        mixture_log_probability(
            repeated(mixture, len(colours)), tf.constant(colours / 1.5 - 1), 4
        )
    )
    found = (levels[None] == colours[:, None]).all(-1).mean(1)
    error = np.sqrt(expected * (1 - expected) / count) + 1 / count
    assert (np.abs(found - expected) < 5 * error).all()


# --- Start and use ------------------------------------------------------------


def test_the_first_batch_is_standardised_by_every_layer(monkeypatch):
    model = PixelCNN(**NARROW, num_levels=4, dtype="float64")
    model.build((None, 8, 8, 1))
    seen = []

    def recorded(layer, x, call=WeightNormLayer.call, **settings):
        y = call(layer, x, **settings)
        seen.append((layer, y.numpy()))
        return y

    monkeypatch.setattr(WeightNormLayer, "call", recorded)
    levels = np.random.default_rng(0).integers(0, 4, (60, 8, 8, 1))
    model.initialize(levels / 3)
    blocks = [*model.down_above, *model.down_before]
    blocks += [*model.up_above, *model.up_before]
    second = {id(block.second) for block in blocks}
    # 4 of the first and last layer, 2 per halving and doubling, 3 or 2 in each
    # of 16 blocks, 3 of which have no other input.
    assert len(seen) == 4 + 2 * 4 + 3 * 16 - 3 and len(second) == 16
    for layer, y in seen:
        expected = 0.1 if id(layer) in second else 1.0
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-6)
        np.testing.assert_allclose(y.std((0, 1, 2)), expected, rtol=1e-3)


def test_black_is_scored_as_black_however_it_is_stored():
    model = network((4, 4, 1), num_levels=17)
    levels = np.random.default_rng(0).integers(0, 2, (6, 4, 4, 1)) * 16
    np.testing.assert_array_equal(
        model.predict_outlier_score((levels + 0.7) / 17),
        model.predict_outlier_score(levels / 16),
    )


def test_samples_are_images_that_repeat_by_the_seed():
    model = network((4, 4, 3), num_levels=3, num_scales=1)
    first, again, other = (model.sample(20, seed).x for seed in (3, 3, 4))
    assert first.shape == (20, 4, 4, 3)
    assert set(np.unique(first)) == {0, 0.5, 1}
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_tensorflow_probability_finds_the_same_likelihood_of_pixels():
    tfp = pytest.importorskip("tensorflow_probability")
    x = np.linspace(-1, 1, 256)
    found = discretized_logistic_log_probability(
        tf.constant(x), 0.1, np.log(0.05), 256
    )
    law = tfp.distributions.QuantizedDistribution(
        tfp.distributions.Logistic(1.1 * 127.5 - 0.5, 0.05 * 127.5),
        low=0.0,
        high=255.0,
    )
    expected = law.log_prob(np.arange(256, dtype="float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-3)
