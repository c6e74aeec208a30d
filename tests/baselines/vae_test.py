"""The variational autoencoder, against the linear one that has closed forms."""

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf.baselines import VAE, gaussian_encoder
from nae_tf.baselines.vae import (
    importance_weighted_bound,
    kl_to_standard_normal,
    normal_log_density,
)
from nae_tf.networks.conv28 import Conv28Encoder
from nae_tf.networks.conv32 import Conv32BigEncoder, Conv32Encoder
from nae_tf.networks.conv64 import Conv64Encoder
from nae_tf.networks.fc_res2 import FCRes2Encoder
from nae_tf.networks.mlp import MLPEncoder

# decode(z) = z @ WEIGHTS + OFFSET. The rows are orthogonal, so that the exact
# posterior has independent latents.
WEIGHTS = np.array([[1.0, 2.0, 0.0, 2.0, -1.0], [2.0, -1.0, 1.0, 0.5, 1.0]])
OFFSET = np.array([0.3, -0.2, 0.1, 0.0, 0.5])
STD = 0.7
MARGINAL = scipy.stats.multivariate_normal(
    OFFSET, WEIGHTS.T @ WEIGHTS + STD**2 * np.eye(5)
)
# Of the exact posterior, whose mean is W (x - OFFSET) / PRECISION (Tipping &
# Bishop, Probabilistic Principal Component Analysis, 1999).
PRECISION = np.diag(WEIGHTS @ WEIGHTS.T) + STD**2
POSTERIOR_VARIANCE = STD**2 / PRECISION


def dense(kernel, bias):
    layer = keras.layers.Dense(kernel.shape[1], dtype="float64")
    layer.build([None, kernel.shape[0]])
    layer.set_weights([kernel, bias])
    return layer


def linear_vae(variance_factor=1.0, **settings):
    """Probabilistic PCA, whose encoder is the exact posterior at factor 1."""
    assert WEIGHTS[0] @ WEIGHTS[1] == pytest.approx(0)
    mean = WEIGHTS.T / PRECISION
    log_variance = np.log(POSTERIOR_VARIANCE * variance_factor)
    encoder = dense(
        np.concatenate([mean, np.zeros_like(mean)], 1),
        np.concatenate([-OFFSET @ mean, log_variance]),
    )
    model = VAE(
        encoder,
        dense(WEIGHTS, OFFSET),
        decoder_std=STD,
        dtype="float64",
        **settings,
    )
    model.build([None, 5])
    return model


def examples(count):
    return MARGINAL.rvs(count, random_state=4).reshape(count, 5)


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (1.5, 0.3), (-2, 2.5)])
def test_kl_of_one_latent_is_the_integral(mean, std):
    q, p = scipy.stats.norm(mean, std), scipy.stats.norm()

    def integrand(z):
        return q.pdf(z) * (q.logpdf(z) - p.logpdf(z))

    integral, _ = scipy.integrate.quad(
        integrand, mean - 12 * std, mean + 12 * std
    )
    kl = kl_to_standard_normal(
        tf.constant([[float(mean)]], tf.float64),
        tf.constant([[2 * np.log(std)]], tf.float64),
    )
    assert float(kl[0]) == pytest.approx(integral, abs=1e-9)


def test_kl_adds_up_over_latents():
    rng = np.random.default_rng(0)
    mean, log_variance = rng.normal(size=(2, 6, 3))
    each = [
        kl_to_standard_normal(mean[:, [i]], log_variance[:, [i]])
        for i in range(3)
    ]
    np.testing.assert_allclose(
        kl_to_standard_normal(mean, log_variance), np.sum(each, axis=0)
    )


def test_log_density_is_scipys():
    rng = np.random.default_rng(1)
    x, mean = rng.normal(size=(2, 4, 3, 2, 1))
    expected = scipy.stats.norm.logpdf(x, mean, np.exp(-0.4)).sum(
        axis=(1, 2, 3)
    )
    np.testing.assert_allclose(
        normal_log_density(tf.constant(x), mean, -0.4), expected
    )


@pytest.mark.parametrize("num_samples", [1, 7])
def test_with_the_exact_posterior_the_bound_is_the_likelihood(num_samples):
    model = linear_vae(score="likelihood", num_samples=num_samples)
    x = examples(20)
    np.testing.assert_allclose(model.log_density(x), MARGINAL.logpdf(x))
    np.testing.assert_allclose(model.outlier_score(x), -MARGINAL.logpdf(x))


def test_with_another_posterior_the_bound_tightens_with_samples():
    x = tf.constant(examples(10))
    gaps, errors = [], []
    for num_samples in (1, 4, 16, 64):
        model = linear_vae(variance_factor=4.0, num_samples=num_samples)

        @tf.function
        def bound(seed, model=model):
            model.seed = seed
            return tf.reduce_mean(model.log_density(x))

        bounds = [float(bound(tf.constant(seed))) for seed in range(100)]
        gaps.append(np.mean(MARGINAL.logpdf(x)) - np.mean(bounds))
        errors.append(scipy.stats.sem(bounds))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.2 * gaps[0] and gaps[-1] > -5 * errors[-1]
    # One sample: the gap is KL(q || exact posterior), latent by latent.
    kl = 2 * (4 - 1 - np.log(4)) / 2
    assert abs((gaps[0] - kl) / errors[0]) < 5


def test_weights_are_averaged_not_their_logarithms():
    log_weights = np.array([[-1000.0, 3.0], [-1001.0, 3.0]])
    expected = [-1000 + np.log((1 + np.exp(-1)) / 2), 3.0]
    np.testing.assert_allclose(
        importance_weighted_bound(tf.constant(log_weights)), expected
    )


def test_the_loss_is_the_negative_evidence_lower_bound():
    # Exact posterior: the bound is tight, its samples scatter around it.
    model = linear_vae()
    x = np.repeat(examples(1), 20_000, axis=0)
    values = model.objective(tf.constant(x))
    samples = values["negative_log_likelihood"] + values["kl_divergence"]
    assert float(values["loss"]) == pytest.approx(np.mean(samples))
    error = scipy.stats.sem(samples)
    z = (np.mean(samples) + MARGINAL.logpdf(x[0])) / error
    assert abs(z) < 5
    assert float(values["decoder_std"]) == pytest.approx(STD)


def test_the_reconstruction_score_is_the_expected_log_likelihood():
    model = linear_vae(num_samples=5000)
    x = examples(6)
    error = ((x - model(x).numpy()) ** 2).sum(axis=1)
    spread = (WEIGHTS**2).sum(axis=1) @ POSTERIOR_VARIANCE
    constant = 5 * np.log(STD) + 2.5 * np.log(2 * np.pi)
    expected = (error + spread) / (2 * STD**2) + constant
    scores = model.predict_outlier_score(x)
    np.testing.assert_allclose(scores, expected, rtol=0.03)


def test_reconstructions_are_those_of_the_posterior_mean():
    model = linear_vae()
    x = examples(4)
    mean = (x - OFFSET) @ WEIGHTS.T / PRECISION
    np.testing.assert_allclose(model.encode(x), mean)
    np.testing.assert_allclose(model(x), mean @ WEIGHTS + OFFSET)


def test_a_trained_deviation_becomes_that_of_the_errors():
    zero = dense(np.zeros([3, 4]), np.zeros(4))
    decoder = dense(np.zeros([2, 3]), np.zeros(3))
    zero.trainable = decoder.trainable = False
    model = VAE(zero, decoder, trains_decoder_std=True, dtype="float64")
    model.compile(keras.optimizers.Adam(0.03))
    x = 0.4 * np.random.default_rng(5).normal(size=(64, 3))
    many = np.tile(x, [20, 1])
    history = model.fit(
        many, epochs=10, batch_size=64, shuffle=False, verbose=0
    ).history
    deviation = np.sqrt(np.mean(x**2))
    assert history["decoder_std"][-1] == pytest.approx(deviation, rel=0.01)
    assert history["kl_divergence"][-1] == 0


def test_a_fixed_deviation_stays():
    model = linear_vae()
    model.compile(keras.optimizers.SGD(0.01))
    model.fit(examples(8), epochs=2, verbose=0)
    assert float(model.log_decoder_std) == pytest.approx(np.log(STD))


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_far_outliers_have_finite_scores(value):
    encoder, decoder = vector_networks(latent_dim=3)
    encoder = keras.Sequential(
        [keras.Input([4]), keras.layers.Dense(6, kernel_initializer="ones")]
    )
    model = VAE(encoder, decoder, score="likelihood")
    scores = model.predict_outlier_score(np.full([2, 4], value, np.float32))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "encoder",
    [
        lambda: MLPEncoder(4, example_shape=(5,), hidden_units=(7,)),
        lambda: FCRes2Encoder(4, units=5, hidden_units=6, num_blocks=1),
        lambda: Conv28Encoder(4, width=2, hidden_units=3),
        lambda: Conv32Encoder(4, width=2),
        lambda: Conv32BigEncoder(4, width=4),
        lambda: Conv64Encoder(4, width=8),
    ],
)
def test_every_encoder_of_the_package_can_be_doubled(encoder):
    encoder = encoder()
    doubled = gaussian_encoder(encoder)
    assert encoder.output_shape == (None, 4)
    assert doubled.output_shape == (None, 8)
    assert doubled.input_shape == encoder.input_shape
    assert doubled.get_config() == encoder.get_config() | {"latent_dim": 8}
