"""Phases of one NAE: the weights that reconstruct left-out examples best."""

import keras
import numpy as np
import pytest

from nae_tf import NAEDetector
from nae_tf.data.sources import ArrayExamples
from nae_tf.tables.one_nae import fit_phase, make_nae

STEPS = 20


def networks(num_features, latent_dim):
    layer = keras.layers.Dense
    shapes = [(num_features, latent_dim), (latent_dim, num_features)]
    return [
        keras.Sequential([keras.Input((inputs,)), layer(outputs)])
        for inputs, outputs in shapes
    ]


def autoencoder():
    return make_nae((3,), networks, 2, None, None, seed=0).autoencoder()


@pytest.fixture(scope="module")
def data():
    train, left_out = np.random.default_rng(0).normal(size=(2, 16, 3))
    examples = ArrayExamples(
        "numbers", len(train), (3,), None, lambda: train.astype(np.float32)
    )
    return examples, left_out.astype(np.float32)


def error(model, x):
    return np.mean((x - model(x).numpy()) ** 2)


def test_left_out_examples_choose_the_number_of_steps(data):
    examples, left_out = data
    # A rate so high that the error rises again after a few steps.
    model, errors = autoencoder(), []
    model.compile(keras.optimizers.Adam(0.3), run_eagerly=True)
    for batch in examples.training_batches(16, seed=0).take(STEPS):
        model.train_on_batch(batch)
        errors.append(error(model, left_out))
    best = np.argmin(errors)
    assert errors[-1] > 1.1 * errors[best]
    # No later look is as good, and the five after the best are worse.
    model = autoencoder()
    fit_phase(model, examples, 0.3, STEPS, 16, seed=0, left_out=left_out)
    assert error(model, left_out) == pytest.approx(errors[best], rel=1e-4)


def test_left_out_examples_are_not_trained_on(capsys):
    x = np.random.default_rng(0).normal(size=(50, 3))
    detector = NAEDetector(
        networks=networks,
        validation_fraction=0.3,
        pretraining_steps=3,
        steps=1,
        verbose=1,
    )
    detector.fit(x)
    assert "NAEDetector: 35 examples of shape" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "validation_fraction is for networks and images"),
        ({"networks": "MLP", "fraction": 1.0}, r"expected .* in \(0, 1\)"),
    ],
)
def test_a_fraction_in_vain_is_refused(settings, message):
    fraction = settings.pop("fraction", 0.5)
    detector = NAEDetector(validation_fraction=fraction, **settings)
    with pytest.raises(ValueError, match=message):
        detector.fit(np.eye(9))


@pytest.mark.parametrize(("decays", "last"), [(False, 1e-3), (True, 0.0)])
def test_the_rate_stays_or_falls_to_zero(data, decays, last):
    model, (examples, _) = autoencoder(), data
    fit_phase(model, examples, 1e-3, 4, 8, seed=0, decays=decays)
    rate = float(model.optimizer.learning_rate)
    assert rate == pytest.approx(last, abs=1e-9)


def test_an_example_at_the_threshold_is_an_inlier_whatever_its_batch():
    # The threshold is the score of rows that occur again. In single precision
    # its last digits vary, by 2e-5 at most.
    x = np.random.default_rng(0).integers(0, 2, (60, 3)).astype(float)
    detector = NAEDetector(
        networks=networks,
        contamination=0.1,
        pretraining_steps=20,
        steps=0,
        random_state=0,
    ).fit(x)
    score = np.percentile(detector.score_samples(x), 10)
    assert score < 0
    assert score * (1 + 5e-4) < detector.offset_ < score * (1 + 5e-5)
