"""Scores, their metrics and calibration; features and sample quality."""

import dataclasses
import math

import keras
import numpy as np
from evaluation_stand_in import MeanDetector, examples

from nae_tf.data.digits import digits_holdout
from nae_tf.data.task import Task
from nae_tf.evaluation import features
from nae_tf.evaluation.results import evaluate_method
from nae_tf.metrics.bootstrap import detection_estimates
from nae_tf.metrics.detection import auroc, detection_curve, fpr_at_tpr
from nae_tf.metrics.sample_distance import frechet_distance, kernel_distance
from nae_tf.serving.calibration import Calibration, benjamini_hochberg
from reproduction.density_grid import Grid

NAN = math.nan
NO_CALIBRATION = [
    "",
    "[]",
    "{}",
    '{"scores": "abc"}',
    '{"scores": [1], "x": 1}',
]
METRICS = {"auroc": auroc}


def estimates(inliers=(0.0, 0.0), **settings):
    return lambda: detection_estimates(
        np.array(inliers), np.ones(2), METRICS, **settings
    )


def normalize(*log_densities):
    return lambda: Grid(0.0, 1.0, 2).normalize(np.array(log_densities))


def nan_scores():
    zeros = examples("test", np.zeros([3, 2, 3, 1]))
    task = Task("t", zeros, zeros, zeros, outliers={"near": zeros})
    evaluate_method("NAE", MeanDetector(NAN), task)


def features_by_another_shape(tmp_path):
    images = keras.Input((4, 3, 1))
    model = keras.Model(images, keras.ops.sum(images, axis=(2, 3)))
    model.export(tmp_path / "model", verbose=False)
    features.saved_model_features(tmp_path / "model", (8, 8, 1))


def features_of_bytes(tmp_path):
    images = keras.Input((8, 8, 1), dtype="uint8")
    sums = keras.ops.sum(keras.ops.cast(images, "float32"), axis=(2, 3))
    keras.Model(images, sums).export(tmp_path / "model", verbose=False)
    features.saved_model_features(tmp_path / "model", (8, 8, 1))


def rotations_of_oblong_images():
    task = digits_holdout()
    oblong = dataclasses.replace(task.train, shape=(8, 4, 1), read=lambda: None)
    task = dataclasses.replace(
        task,
        **{name: oblong for name in ("train", "validation", "test")},
        selection={},
        outliers={},
    )
    features.train_rotation_classifier(task)


CASES = {
    "no inliers": (lambda: auroc([], [1.0]), "inlier scores, received none"),
    "no outliers": (lambda: auroc([1.0], []), "outlier scores, received none"),
    "NaN inliers": (
        lambda: auroc([NAN, 1.0], [2.0]),
        "1 of 2 inlier scores are NaN; the model has diverged",
    ),
    "NaN outliers": (
        lambda: auroc([1.0], [2.0, NAN, NAN]),
        "2 of 3 outlier scores are NaN",
    ),
    **{
        f"rate {rate}": (
            lambda rate=rate: fpr_at_tpr(detection_curve([0.0], [1.0]), rate),
            r"tpr in \(0, 1\]",
        )
        for rate in (0.0, -0.1, 1.1, NAN)
    },
    "nothing to calibrate by": (lambda: Calibration([]), "at least one inlier"),
    "NaN to calibrate by": (lambda: Calibration([1.0, NAN]), "finite scores"),
    "a matrix to calibrate by": (
        lambda: Calibration([[1.0]]),
        r"shape \(1, 1\)",
    ),
    "false alarm rate": (
        lambda: Calibration([1.0], 0.0),
        r"false_alarm_rate in \(0, 1\), received 0.0",
    ),
    "failure probability": (
        lambda: Calibration([1.0], 0.1, 1.0),
        "failure_probability",
    ),
    "p-value of NaN": (lambda: Calibration([1.0]).p_values([NAN]), "NaN"),
    "scores for p-values": (
        lambda: benjamini_hochberg([0.5, 3.0], 0.1),
        "not the scores",
    ),
    "a rate of false discoveries": (
        lambda: benjamini_hochberg([0.5], 1.5),
        r"false_discovery_rate in \[0, 1\], received 1.5",
    ),
    **{
        f"calibration {text!r}": (
            lambda text=text: Calibration.from_json(text),
            "not a calibration",
        )
        for text in NO_CALIBRATION
    },
    # --- Estimates ---
    **{
        f"confidence {confidence}": (
            estimates(confidence=confidence),
            r"confidence in \(0, 1\)",
        )
        for confidence in (0.0, 1.0)
    },
    "no resamples": (estimates(num_resamples=0), "num_resamples >= 1"),
    "NaN to resample": (
        estimates([0.0, NAN]),
        "1 of 2 inlier scores are NaN",
    ),
    "a method's NaN": (
        nan_scores,
        "3 of 3 scores that NAE .*'test' are NaN",
    ),
    "a density of NaN": (normalize(0, 0, NAN, 0), "NaN or infinity"),
    "an infinite density": (normalize(0, 0, math.inf, 0), "NaN or infinity"),
    "a density of 0": (normalize(*[-math.inf] * 4), "every cell"),
    **{
        f"{distance.__name__} {name}": (
            lambda distance=distance, x=x, y=y: distance(x, y),
            message,
        )
        for distance in (frechet_distance, kernel_distance)
        for name, x, y, message in [
            (
                "of other features",
                np.zeros((3, 2)),
                np.zeros((3, 4)),
                r"\(3, 2\) and \(3, 4\)",
            ),
            (
                "of vectors",
                np.zeros(3),
                np.zeros(3),
                r"\[number, num_features\]",
            ),
            (
                "of one sample",
                np.zeros((1, 2)),
                np.zeros((3, 2)),
                "at least two.*1 and 3",
            ),
            ("of NaN", np.full((3, 2), NAN), np.zeros((3, 2)), "NaN"),
        ]
    },
    "features for other examples": (
        features_by_another_shape,
        r"takes shape \(None, 4, 3, 1\)",
    ),
    "features of bytes": (features_of_bytes, "takes uint8.*floats in"),
    "features of several outputs": (
        lambda exported_vectors: features.saved_model_features(
            exported_vectors, (4,)
        ),
        r"must map one tensor to one.*\['examples'\].*'p_value'",
    ),
    "features from nowhere": (
        lambda tmp_path: features.saved_model_features(
            tmp_path / "nothing_here", (2,)
        ),
        "nothing_here",
        FileNotFoundError,
    ),
    "features that are no vectors": (
        lambda: features.features_of(lambda x: x, [np.zeros((2, 3, 1))]),
        r"received \[2, 3, 1\]",
    ),
    "rotations of oblong images": (
        rotations_of_oblong_images,
        r"square images.*\[8, 4, 1\]",
    ),
}
