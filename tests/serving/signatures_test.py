"""The graphs of an export, computed where they are made."""

import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import (
    image_networks,
    short_sampler,
    vector_nae,
    vector_networks,
)

from nae_tf import NAE, Autoencoder
from nae_tf.energy import error_map
from nae_tf.serving.calibration import Calibration, conditional_levels
from nae_tf.serving.signatures import (
    make_signatures,
    score_outputs,
    takes_images,
)

CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)


def detector_of(outlier_score=tf.convert_to_tensor, value_range=None):
    return types.SimpleNamespace(
        outlier_score=outlier_score,
        value_range=value_range,
        standardized=lambda x: x,
    )


def test_an_energy_that_is_no_number_is_an_outlier_s():
    model = detector_of(lambda x: tf.constant([math.nan, 0.5, math.inf]))
    served = score_outputs(model, CALIBRATION, tf.zeros([3, 1]))
    np.testing.assert_array_equal(served["energy"], [math.inf, 0.5, math.inf])
    assert served["is_outlier"].numpy().tolist() == [True, False, True]
    np.testing.assert_allclose(served["p_value"], [0.01, 0.75, 0.01], rtol=1e-2)
    levels = served["conditional_p_value"].numpy()
    assert levels[0] == levels[2] < levels[1]


def test_energies_of_calibration_inliers_count_themselves():
    calibration = Calibration(np.arange(1.0, 20.0), 0.1)
    energies = np.array([17.0, 18.0, 19.0])
    served = score_outputs(detector_of(), calibration, tf.constant(energies))
    # Of 19 scores 3, 2 and 1 are as high; the threshold is 18.
    np.testing.assert_allclose(served["p_value"], [0.2, 0.15, 0.1])
    np.testing.assert_allclose(
        served["conditional_p_value"],
        conditional_levels(19, 0.1)[[3, 2, 1]],
    )
    assert served["is_outlier"].numpy().tolist() == [False, False, True]


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_that_differ_by_rounding_are_equal(sign):
    # Of 19 scores, 17 is the third largest; -3 is of the negative ones.
    calibration = Calibration(sign * np.arange(1.0, 20.0), 3.5 / 20)
    third, between = (17, 17.5) if sign > 0 else (-3, -2.5)
    jitter = 1 + np.array([-1e-5, 0, 1e-5])
    energies = np.concatenate([third * jitter, [between]])
    served = score_outputs(detector_of(), calibration, tf.constant(energies))
    expected = [4 / 20] * 3 + [3 / 20]
    np.testing.assert_allclose(served["p_value"], expected)
    np.testing.assert_allclose(calibration.p_values(energies), expected)
    flags = [False] * 3 + [True]
    assert served["is_outlier"].numpy().tolist() == flags
    assert calibration.is_outlier(energies).tolist() == flags
    levels = conditional_levels(19, 0.1)[[3, 3, 3, 2]]
    np.testing.assert_allclose(served["conditional_p_value"], levels)
    np.testing.assert_allclose(
        calibration.conditional_p_values(energies), levels
    )


def test_decisions_do_not_depend_on_the_size_of_the_request():
    keras.utils.set_random_seed(0)
    direction = np.random.default_rng(0).normal(size=30)
    x = np.outer(10 * 1.05 ** np.arange(60), direction).astype(np.float32)
    model = Autoencoder(*vector_networks(30, 8))
    scores = model.predict_outlier_score(x)
    calibration = Calibration(scores, 0.1)
    # Far from each other, each example is a tie with its own score.
    assert np.diff(np.log(scores)).min() > 1e-2
    rank = 60 - np.arange(60)
    served = make_signatures(model, calibration)["score"]
    for size in (1, 3, 16, 60):
        parts = [
            served(examples=tf.constant(x[start : start + size]))
            for start in range(0, 60, size)
        ]
        p_values = np.concatenate([part["p_value"] for part in parts])
        flags = np.concatenate([part["is_outlier"] for part in parts])
        np.testing.assert_allclose(p_values, (1 + rank) / 61, rtol=1e-6)
        # Of 61 * 0.1 = 6.1 the sixth largest score is the threshold.
        np.testing.assert_array_equal(flags, rank <= 5)


# Every converter knows these: LiteRT, ONNX and OpenVINO.
COMMON_OPS = {
    *("Placeholder", "PlaceholderWithDefault", "Const", "Identity", "NoOp"),
    *("Cast", "Reshape", "Squeeze", "Shape", "StridedSlice", "Pack"),
    *("MatMul", "BiasAdd", "Conv2D", "Relu", "Sigmoid", "Tanh"),
    *("AddV2", "Mul", "RealDiv", "Maximum", "Minimum", "Rsqrt"),
    *("Square", "SquaredDifference", "Mean", "Sum", "All"),
    *("Equal", "Greater", "GreaterEqual", "LessEqual"),
    *("LogicalAnd", "LogicalOr", "LogicalNot", "SelectV2"),
    *("IsNan", "IsFinite", "GatherV2"),
}
# Converters replace variables by constants, and leave out checks.
READS_OF_WEIGHTS = {"ReadVariableOp"}
CHECKS = {"Assert", "StringFormat", "StaticRegexFullMatch", "EnsureShape"}


@pytest.mark.parametrize("kind", ["vectors", "images"])
@pytest.mark.parametrize("name", ["score", "reconstruct", "encode"])
def test_every_operation_of_an_export_is_a_common_one(kind, name):
    model = {
        "vectors": lambda: vector_nae(sampler=short_sampler()),
        "images": lambda: NAE(
            *image_networks(), sampler=short_sampler((0.0, 1.0))
        ),
    }[kind]()
    graph = make_signatures(model, CALIBRATION)[name].graph.as_graph_def()
    nodes = list(graph.node)
    for function in graph.library.function:
        nodes.extend(function.node_def)
    operations = {node.op for node in nodes}
    calls = {"PartitionedCall", "StatefulPartitionedCall"}
    assert operations <= COMMON_OPS | READS_OF_WEIGHTS | CHECKS | calls


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
