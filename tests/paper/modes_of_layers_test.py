"""What batch normalisation and dropout see of a training step of NAE."""

import keras
import numpy as np
import tensorflow as tf
from tiny_models import short_sampler, vector_networks

from nae_tf import NAE
from nae_tf.base.randomness import step_seed

X = np.random.default_rng(0).normal(2.0, 3.0, size=(16, 4)).astype(np.float32)


def networks(*first):
    """Plain networks, and the same behind layers before the encoder."""
    keras.utils.set_random_seed(0)
    encoder, decoder = vector_networks()
    return keras.Sequential([keras.Input([4]), *first, encoder]), decoder


def model(*first):
    nae = NAE(*networks(*first), sampler=short_sampler(replay_ratio=0.0))
    nae.compile(keras.optimizers.SGD(0.0))
    return nae


def test_chains_see_the_moving_averages_and_no_dropout():
    norm = keras.layers.BatchNormalization(epsilon=0.0)
    layers = (norm, keras.layers.Dropout(0.5))
    nae = model(*layers)
    mean, variance = np.array([1.0, 2, 3, 4]), np.array([4.0, 9, 16, 25])
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
    # Such averages are a fixed scaling, which no other example changes.
    scaled = keras.layers.Rescaling(
        (1 / np.sqrt(variance)).tolist(), (-mean / np.sqrt(variance)).tolist()
    )
    expected = model(scaled)
    for ours, theirs in zip(
        nae.negative_samples(X)[:2],
        expected.negative_samples(X)[:2],
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        nae.predict_outlier_score(X),
        expected.predict_outlier_score(X),
        rtol=1e-4,
    )


def test_the_loss_sees_data_and_negative_samples_in_one_batch():
    norm = keras.layers.BatchNormalization(momentum=0.0)
    nae = model(norm)
    negative = nae.sampler.draw(
        nae, tf.constant(X), None, step_seed(nae.seed, 0)
    )
    both = np.concatenate([X, negative.x])
    nae.fit(X, batch_size=len(X), shuffle=False, verbose=0)
    np.testing.assert_allclose(norm.moving_mean, both.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, both.var(0), rtol=1e-4)


def test_dropout_is_part_of_the_loss_alone():
    nae = model(keras.layers.Dropout(0.5))
    x = tf.constant(X)
    _, first, _ = nae.loss_terms(x, x)
    _, second, _ = nae.loss_terms(x, x)
    # Two masks of four features are equal in one of sixteen examples.
    assert np.mean(np.asarray(first) != np.asarray(second)) > 0.5
    np.testing.assert_array_equal(
        nae.negative_samples(X).x, nae.negative_samples(X).x
    )
