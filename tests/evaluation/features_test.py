"""Features: the user's own SavedModel, and a classifier of the data."""

import dataclasses

import keras
import numpy as np
import pytest

from nae_tf.data import digits
from nae_tf.evaluation import features


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A SavedModel that sums every image's rows, [batch, 4] from 4x3."""
    images = keras.Input((4, 3, 1))
    model = keras.Model(images, keras.ops.sum(images, axis=(2, 3)))
    path = tmp_path_factory.mktemp("features") / "model"
    model.export(path, verbose=False)
    return path


def test_a_saved_model_of_the_users_makes_the_features(exported):
    function = features.saved_model_features(exported, (4, 3, 1))
    x = np.random.default_rng(0).uniform(size=(5, 4, 3, 1))
    result = features.features_of(function, [x[:2], x[2:]])
    np.testing.assert_allclose(result, x.sum(axis=(2, 3)), rtol=1e-6)


def test_values_are_the_pixels_in_order():
    x = np.arange(12.0).reshape(2, 3, 2, 1)
    np.testing.assert_array_equal(
        features.values(x), [np.arange(6.0), np.arange(6.0, 12.0)]
    )


def test_the_classifier_learns_how_digits_are_turned():
    task = digits.digits_holdout()
    classifier = features.train_rotation_classifier(task, num_steps=150)
    assert classifier.accuracy > 0.6  # Guessing gets 0.25 +- 0.02.
    images = next(task.test.batches(8).as_numpy_iterator())
    assert classifier.features.predict(images, verbose=0).shape == (8, 128)


def test_the_accuracy_is_that_of_turned_validation_images():
    task = digits.digits_holdout()
    blank = dataclasses.replace(
        task.validation,
        read=lambda: np.zeros((task.validation.size, 8, 8, 1), np.uint8),
    )
    task = dataclasses.replace(task, validation=blank)
    classifier = features.train_rotation_classifier(task, num_steps=1)
    # All four rotations of a blank image look alike: one of them is right.
    assert classifier.accuracy == pytest.approx(0.25)
