"""Scores, metrics and shown examples of a method, on a stand-in of one."""

import dataclasses
import json
import pathlib
import re
import types

import numpy as np
import pytest
from evaluation_stand_in import MeanDetector, examples
from sklearn.metrics import roc_auc_score

from nae_tf.data.selection import sample, select
from nae_tf.data.task import Task
from nae_tf.evaluation.galleries import gallery
from nae_tf.evaluation.localization import Localization
from nae_tf.evaluation.results import evaluate_method, results_of
from nae_tf.evaluation.shown_examples import extremes

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make_task(seed=0, shape=(2, 3, 1), origin=None):
    rng = np.random.default_rng(seed)

    def drawn(name, mean, count):
        values = rng.normal(mean, 1, [count, *shape])
        return dataclasses.replace(examples(name, values), origin=origin)

    inliers = drawn("test", 0, 300)
    return Task(
        name="task",
        train=inliers,
        validation=inliers,
        test=inliers,
        outliers={
            "near": drawn("near", 0.5, 290),
            "far": drawn("far", 9, 5),
        },
    )


def read(split):
    return np.concatenate(list(split.batches(512).as_numpy_iterator()))


def experiment_of(task):
    return types.SimpleNamespace(task=task, seed=3)


def test_every_set_is_scored_once():
    task, model, scored = make_task(), MeanDetector(), []
    evaluate_method("mean", model, task, scored=scored.append)
    assert model.num_scored == 300 + 290 + 5
    assert scored == [300, 290, 5]


def test_the_metrics_are_those_of_the_scores():
    task = make_task()
    evaluation = evaluate_method("mean", MeanDetector(), task)
    inliers, outliers = (
        read(split).mean(axis=(1, 2, 3))
        for split in (task.test, task.outliers["near"])
    )
    labels = np.repeat([0, 1], [300, 290])
    auroc = evaluation.outliers["near"].estimates["auroc"]
    assert auroc.value == pytest.approx(
        roc_auc_score(labels, np.concatenate([inliers, outliers])), abs=1e-6
    )
    assert auroc.low < auroc.value < auroc.high
    assert evaluation.outliers["far"].estimates["auroc"].value == 1.0


def test_the_shown_examples_are_the_extremes_of_their_set():
    task = make_task()
    evaluation = evaluate_method("mean", MeanDetector(), task)
    near, images = evaluation.outliers["near"], read(task.outliers["near"])
    order = np.argsort(images.mean(axis=(1, 2, 3)))
    for shown, indices in [
        (near.lowest, order[:6]),
        (near.highest, order[::-1][:6]),
    ]:
        assert shown.indices.tolist() == indices.tolist()
        np.testing.assert_array_equal(shown.examples, images[indices])
        np.testing.assert_array_equal(shown.reconstructions, -images[indices])
        np.testing.assert_array_equal(shown.scores, near.scores[indices])
    assert len(evaluation.outliers["far"].lowest.indices) == 5


def test_a_model_in_double_precision_is_shown():
    class Wide(MeanDetector):
        def encode(self, x):
            return np.float64(super().encode(x))

    task = make_task()
    evaluation = evaluate_method("mean", Wide(), task)
    assert evaluation.inliers.lowest.reconstructions.dtype == np.float32
    assert gallery("mean", evaluation, "inliers").has_reconstructions


def test_a_limit_bounds_what_is_scored_and_shown():
    evaluation = evaluate_method("mean", MeanDetector(), make_task(), limit=7)
    assert len(evaluation.inliers.scores) == 7
    assert max(evaluation.outliers["near"].lowest.indices) < 7


def test_a_method_without_reconstructions_shows_none():
    class Scorer(MeanDetector):
        encode = property()

    evaluation = evaluate_method("mean", Scorer(), make_task())
    assert evaluation.inliers.lowest.reconstructions is None


def test_methods_see_the_same_resamples():
    task = make_task()
    intervals = [
        evaluate_method(name, MeanDetector(scale), task)
        .outliers["near"]
        .estimates
        for name, scale in [("AE", 1.0), ("longer", 3.0)]
    ]
    # Scores that rank alike have the same metrics in every resample.
    assert intervals[0] == intervals[1]


def test_results_tell_how_they_came_about():
    task = make_task()
    model = MeanDetector()
    evaluations = {"mean": evaluate_method("mean", model, task, limit=7)}
    results = results_of(evaluations, experiment_of(task), 0.4)
    assert results["inliers"] == {"name": "test", "count": 7}
    assert results["outliers"] == {"near": {"count": 7}, "far": {"count": 5}}
    # As docs/guides/evaluation.md has it.
    assert results["confidence"] == 0.95
    assert results["num_resamples"] == 1000
    assert results["signal_efficiency"] == 0.4
    assert (results["task"], results["seed"]) == ("task", 3)


def test_results_are_strict_json_with_null_for_infinity():
    task = make_task()
    evaluations = {"mean": evaluate_method("mean", MeanDetector(), task)}
    results = results_of(evaluations, experiment_of(task), 0.3)
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    far = results["methods"]["mean"]["outliers"]["far"]["metrics"]
    assert far["background_rejection"] == dict.fromkeys(
        ["value", "low", "high"]
    )
    assert far["fpr_at_95_tpr"]["value"] == 0.0
    assert results["outliers"] == {"near": {"count": 290}, "far": {"count": 5}}


def test_the_documentation_names_every_key_of_the_results():
    task = make_task(shape=(6,), origin="row {}".format)
    task = dataclasses.replace(task, notes=["resized"])
    evaluation = evaluate_method("mean", MeanDetector(), task)
    # No masks belong to vectors.
    found = Localization(1, 1, pixel_auroc=0.5, aupro=0.15)
    evaluation = dataclasses.replace(
        evaluation,
        outliers={
            name: dataclasses.replace(outliers, localization=found)
            for name, outliers in evaluation.outliers.items()
        },
        localization=found,
    )
    results = results_of(
        {"mean": evaluation}, experiment_of(task), 0.3, ["good"]
    )
    names = {"mean": "METHOD", "near": "SET", "far": "SET"}

    def paths(value, path=""):
        if isinstance(value, dict):
            for key, item in value.items():
                yield from paths(item, f"{path}/{names.get(key, key)}")
        elif isinstance(value, list):
            yield from paths(value[0], f"{path}[]")
        else:
            yield path

    text = (ROOT / "docs" / "guides" / "evaluation.md").read_text()
    metrics = "auroc|aupr_out|aupr_in|fpr_at_95_tpr|background_rejection"
    found = {
        re.sub(
            r"lowest|highest",
            "END",
            re.sub(f"/({metrics})/", "/METRIC/", path),
        )
        for path in paths(results)
    }
    assert found == set(re.findall(r"^\| `(/[^`]*)`", text, re.MULTILINE))
    assert set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) == set(
        metrics.split("|")
    )


def test_origins_follow_the_order_of_the_scores():
    named = dataclasses.replace(
        examples("rows", np.arange(10.0)[:, None] * [1, 1]),
        origin=lambda position: f"rows.csv, row {position + 100}",
    )
    [lowest, highest] = extremes(
        MeanDetector(), named, MeanDetector().predict_outlier_score(read(named))
    )
    assert lowest.entries()[0]["origin"] == "rows.csv, row 100"
    assert [entry["origin"] for entry in highest.entries()][:2] == [
        "rows.csv, row 109",
        "rows.csv, row 108",
    ]


def test_a_sample_finds_its_examples_in_the_whole():
    named = dataclasses.replace(
        examples("rows", np.arange(50.0)[:, None]),
        origin=lambda position: f"row {position}",
    )
    some = sample(named, 20, seed=3)
    for position, row in enumerate(read(some)[:, 0]):
        assert some.origin(position) == f"row {int(row)}"
    both = select("both", (named, np.array([3])), (named, np.array([7, 9])))
    assert [both.origin(i) for i in range(3)] == ["row 3", "row 7", "row 9"]


def test_the_features_are_those_with_the_largest_errors():
    # The stand-in reconstructs x as -x: the error of a feature is (2 x)^2.
    rows = dataclasses.replace(
        examples("rows", [[1.0, 2.0, 0.0, -5.0], [0.0, 0.0, 0.0, 0.0]]),
        names=("a", "b", "c", "d"),
    )
    lowest, _ = extremes(MeanDetector(), rows, np.array([0.0, 1.0]))
    first, second = lowest.entries()
    assert [
        (feature["name"], feature["value"], pytest.approx(feature["share"]))
        for feature in first["features"]
    ] == [("d", -5.0, 25 / 30), ("b", 2.0, 4 / 30), ("a", 1.0, 1 / 30)]
    assert {feature["share"] for feature in second["features"]} == {0.0}
