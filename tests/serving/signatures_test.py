"""The graphs of an export, computed where they are made."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import vector_nae

from nae_tf.energy import error_map
from nae_tf.serving.calibration import Calibration, conditional_levels
from nae_tf.serving.signatures import (
    make_signatures,
    score_outputs,
    takes_images,
)

CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)


def test_an_energy_that_is_no_number_is_an_outlier_s():
    model = types.SimpleNamespace(
        outlier_score=lambda x: tf.constant([math.nan, 0.5, math.inf])
    )
    served = score_outputs(model, CALIBRATION, None)
    np.testing.assert_array_equal(served["energy"], [math.inf, 0.5, math.inf])
    assert served["is_outlier"].numpy().tolist() == [True, False, True]
    np.testing.assert_allclose(served["p_value"], [0.01, 0.75, 0.01], rtol=1e-2)
    levels = served["conditional_p_value"].numpy()
    assert levels[0] == levels[2] < levels[1]


def test_energies_of_calibration_inliers_count_themselves():
    calibration = Calibration(np.arange(1.0, 20.0), 0.1)
    energies = np.array([17.0, 18.0, 19.0])
    model = types.SimpleNamespace(outlier_score=tf.constant)
    served = score_outputs(model, calibration, energies)
    # Of 19 scores 3, 2 and 1 are as high; the threshold is 18.
    np.testing.assert_allclose(served["p_value"], [0.2, 0.15, 0.1])
    np.testing.assert_allclose(
        served["conditional_p_value"],
        conditional_levels(19, 0.1)[[3, 2, 1]],
    )
    assert served["is_outlier"].numpy().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("shape", "value_range", "expected"),
    [
        ((8, 8, 1), (0.0, 1.0), True),
        ((8, 8, 3), None, True),
        ((8, 8, 3), (-1.0, 1.0), False),
        ((8, 8, 2), (0.0, 1.0), False),
        ((3,), (0.0, 1.0), False),
    ],
)
def test_only_what_files_hold_is_scored_from_files(
    shape, value_range, expected
):
    model = types.SimpleNamespace(example_shape=shape, value_range=value_range)
    assert takes_images(model) == expected


def test_as_many_samples_are_drawn_as_the_documentation_allows():
    sample = make_signatures(vector_nae(), CALIBRATION)["sample"]
    seed = tf.constant(0)
    most = sample(count=tf.constant(256), seed=seed)
    assert most["samples"].shape == (256, 4)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="expected a count"
    ):
        sample(count=tf.constant(257), seed=seed)


def test_the_error_map_of_vectors_is_theirs_by_feature():
    x, reconstruction = np.array([[1.0, 5.0], [2.0, 2.0]]), np.ones((2, 2))
    np.testing.assert_array_equal(
        error_map(tf.constant(x), tf.constant(reconstruction)),
        [[0, 16], [1, 1]],
    )
