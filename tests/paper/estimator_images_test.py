"""NAEDetector on images."""

import pickle

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from nae_tf import LangevinChain, NAEDetector, OnManifold
from nae_tf.networks import (
    Conv28Encoder,
    Conv32Encoder,
    Conv64Encoder,
    MLPEncoder,
)
from nae_tf.networks.by_size import image_networks

SHORT = OnManifold(
    latent_chain=LangevinChain(1, 0.2, 0.05),
    visible_chain=LangevinChain(1, 0.1, 0.05, bounds=(0.0, 1.0)),
)
GENERATOR = np.random.default_rng(0)


def tiny(**settings):
    settings = {
        "sampler": SHORT,
        "pretraining_steps": 1,
        "steps": 1,
        "batch_size": 4,
        "random_state": 0,
    } | settings
    return NAEDetector(**settings)


@pytest.fixture(scope="module")
def digits():
    """Images of ones and of noughts, uint8 [n, 8, 8, 1]."""
    images, labels = load_digits(return_X_y=True)
    levels = (images * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    return levels[labels == 1], levels[labels == 0]


@pytest.fixture(scope="module")
def fitted(digits):
    # Long enough to tell digits apart, and to make a graph of the steps.
    return tiny(pretraining_steps=150, steps=2, batch_size=64).fit(
        digits[0][:120]
    )


def test_chains_are_chosen_by_the_number_of_pixels(digits):
    chain = tiny(sampler=None).fit(digits[0][:8]).model_.sampler.visible_chain
    # A step of D/10 takes a fifth of an error; that of MNIST overshoots here.
    assert chain.step_size == pytest.approx(6.4)
    assert chain.bounds == (0.0, 1.0)


def test_another_digit_gets_low_scores(fitted, digits):
    inliers, outliers = digits[0][120:], digits[1]
    scores = fitted.score_samples(np.concatenate([inliers, outliers]))
    is_inlier = np.repeat([1, 0], [len(inliers), len(outliers)])
    assert roc_auc_score(is_inlier, scores) > 0.9
    assert fitted.n_features_in_ == 64
    assert fitted.image_shape_ == (8, 8, 1)


def test_scores_are_the_negative_energy_of_images_in_0_to_1(fitted, digits):
    unit = digits[1][:5] / np.float32(255)
    drawn = np.asarray(fitted.model_(unit))
    assert drawn.min() >= 0 and drawn.max() <= 1
    expected = np.square(unit - drawn)
    np.testing.assert_allclose(
        fitted.score_samples(digits[1][:5]),
        -expected.mean(axis=(1, 2, 3)),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        fitted.explain(digits[1][:5]), expected / 64, rtol=1e-3, atol=1e-7
    )


def test_bytes_and_floats_of_the_same_images_score_alike(fitted, digits):
    levels = digits[1][:5]
    np.testing.assert_allclose(
        fitted.score_samples(levels),
        fitted.score_samples(levels / 255.0),
        rtol=1e-5,
    )


def test_labels_and_pickles_are_those_of_a_detector_of_tables(fitted, digits):
    train = digits[0][:120]
    assert np.sum(fitted.predict(train) == -1) == 12
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        again.score_samples(train), fitted.score_samples(train)
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28, 1), Conv28Encoder),
        ((32, 32, 3), Conv32Encoder),
        ((64, 64, 3), Conv64Encoder),
        ((64, 64, 1), Conv64Encoder),
        ((28, 28, 3), MLPEncoder),
        ((32, 32, 1), MLPEncoder),
        ((5, 9, 2), MLPEncoder),
    ],
)
def test_networks_are_chosen_by_size(shape, expected):
    encoder, decoder = image_networks(shape, 4)
    assert isinstance(encoder, expected)
    assert encoder.input_shape == (None, *shape)
    assert encoder.output_shape == (None, 4)
    assert decoder.output_shape == (None, *shape)


def test_images_of_28_pixels_are_fitted_and_explained():
    images = GENERATOR.uniform(size=(6, 28, 28, 1))
    detector = tiny(latent_dim=4).fit(images)
    assert isinstance(detector.model_.encoder, Conv28Encoder)
    assert detector.explain(images).shape == images.shape
    assert set(detector.predict(images)) <= {-1, 1}


def test_networks_may_come_from_a_function():
    asked = []

    def networks(shape, latent_dim):
        asked.append((shape, latent_dim))
        layers = keras.layers
        return (
            keras.Sequential(
                [keras.Input(shape), layers.Flatten(), layers.Dense(3)]
            ),
            keras.Sequential(
                [keras.Input([3]), layers.Dense(18), layers.Reshape(shape)]
            ),
        )

    images = GENERATOR.uniform(size=(4, 3, 3, 2))
    tiny(networks=networks, latent_dim=3).fit(images)
    assert asked == [((3, 3, 2), 3)]


def test_one_detector_takes_images_then_a_table_then_images(digits):
    detector = tiny(pretraining_steps=0, steps=0)
    table = GENERATOR.normal(size=(20, 3))
    images = digits[0][:10]
    assert detector.fit(images).score_samples(images).shape == (10,)
    detector.set_params(sampler=None).fit(table)
    assert detector.p_values(table).shape == (20,)
    detector.set_params(networks="MLP").fit(table)
    assert detector.score_samples(table).shape == (20,)
    detector.set_params(networks=None).fit(images)
    assert detector.explain(images).shape == images.shape


IMAGES = np.zeros((4, 8, 8, 1), np.uint8)


@pytest.mark.parametrize(
    ("settings", "images", "message"),
    [
        ({}, IMAGES[..., 0], "give grey images.*and sequences as rows"),
        ({}, IMAGES[..., None], r"\[num_examples, height, width, channels\]"),
        ({}, IMAGES.astype("int64"), "type uint8.*received int64"),
        ({}, IMAGES + np.eye(8)[..., None] * 3, "from 0 to 3; divide"),
        ({}, IMAGES * np.nan, "from nan to nan"),
        ({}, IMAGES[:1], "at least 2 images"),
        ({}, np.zeros((4, 80, 80, 3), "uint8"), "80x80.*resize them to 28x28"),
        ({}, np.zeros((4, 48, 64, 1), "uint8"), "48x64.*1 channels.*64x64"),
        ({"networks": "MLP"}, IMAGES, "'MLP' are for tables"),
        ({"missing_values": "mask"}, IMAGES, "leave them out for images"),
        ({"warm_start": True}, IMAGES, "leave them out for images"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(settings, images, message):
    with pytest.raises(ValueError, match=message) as error:
        tiny(**settings).fit(images)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", ["p_values", "score_samples", "explain"])
def test_a_fitted_detector_takes_images_of_its_size_alone(fitted, method):
    with pytest.raises(ValueError, match=r"\[8, 8, 1\]|expected a table"):
        getattr(fitted, method)(np.zeros((2, 9, 9, 1), np.uint8))


def test_a_detector_of_tables_refuses_images():
    detector = tiny(pretraining_steps=0, steps=0, sampler=None)
    detector.fit(GENERATOR.normal(size=(20, 3)))
    with pytest.raises(ValueError, match=r"shape \[3\] as in fit"):
        detector.score_samples(IMAGES)
