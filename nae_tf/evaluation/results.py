"""Scores of a run's methods on test data, and the metrics of these scores.

`MethodEvaluation` has the scores of one method; `results_of` turns those of all
methods into the contents of results.json (docs/guides/evaluation.md). Next:
`report`, the page that shows them.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from nae_tf.base.detector import OutlierDetector
from nae_tf.data.examples import Examples
from nae_tf.data.task import Task
from nae_tf.evaluation.localization import Localization, localize
from nae_tf.evaluation.shown_examples import ShownExamples, extremes
from nae_tf.metrics import detection
from nae_tf.metrics.bootstrap import IntervalEstimate, detection_estimates
from nae_tf.metrics.detection import DetectionCurve
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment

SCHEMA_VERSION = 2
CONFIDENCE = 0.95
NUM_RESAMPLES = 1000

_BATCH_SIZE = 256


def detection_metrics(
    signal_efficiency: float,
) -> dict[str, Callable[[DetectionCurve], np.ndarray]]:
    """Return the metrics of results.json by name.

    Args:
        signal_efficiency: TPR of the background rejection, in (0, 1].
    """
    return {
        "auroc": detection.area_under_roc,
        "aupr_out": detection.average_precision_of_outliers,
        "aupr_in": detection.average_precision_of_inliers,
        "fpr_at_95_tpr": functools.partial(detection.fpr_at_tpr, tpr=0.95),
        "background_rejection": functools.partial(
            detection.background_rejection, signal_efficiency=signal_efficiency
        ),
    }


@dataclasses.dataclass(frozen=True, eq=False)
class SetEvaluation:
    """One set of examples under one method.

    Attributes:
        scores: float [num_examples], in the order of the set.
        lowest: examples that look most like inliers.
        highest: examples that look most like outliers.
        estimates: detection metrics by name; empty for the inliers.
        localization: how well error maps find its defects, where masks tell.
    """

    scores: np.ndarray
    lowest: ShownExamples
    highest: ShownExamples
    estimates: Mapping[str, IntervalEstimate] = dataclasses.field(
        default_factory=dict
    )
    localization: Localization | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class MethodEvaluation:
    """One method on all test sets.

    Attributes:
        inliers: evaluation of the test inliers.
        outliers: evaluations of every outlier set of the task, by name.
        localization: that of all sets with masks together, if any.
    """

    inliers: SetEvaluation
    outliers: Mapping[str, SetEvaluation]
    localization: Localization | None = None


def trained_methods(
    run: RunDirectory, experiment: Experiment
) -> Iterator[tuple[str, OutlierDetector]]:
    """Yield the methods of a run with their weights: AE, if any, then its own.

    The methods share their networks, so a method is valid only until the next
    one is drawn.

    Args:
        run: directory of a trained run.
        experiment: experiment built from the configuration of the run.

    Yields:
        Name and model of a method.

    Raises:
        FileNotFoundError: if a phase has no checkpoint.
    """
    model = experiment.build_model()
    if experiment.pretraining is not None:
        autoencoder = model.autoencoder()
        restore(autoencoder, run.checkpoints("pretraining"))
        yield "AE", autoencoder
    restore(model, run.checkpoints("training"))
    yield type(model).__name__, model


def evaluate_method(
    name: str,
    model: OutlierDetector,
    task: Task,
    limit: int | None = None,
    signal_efficiency: float = 0.3,
    scored: Callable[[int], object] = lambda num_examples: None,
) -> MethodEvaluation:
    """Score the test sets of a task, each once, and compute the metrics.

    Args:
        name: name of the method, used in error messages.
        model: the trained method.
        task: task whose test sets are scored.
        limit: largest number of examples of each set; None means all.
        signal_efficiency: TPR of the background rejection, in (0, 1].
        scored: function that is called with the size of every scored set.

    Raises:
        ValueError: if scores are NaN.
    """

    def evaluate_set(title, examples: Examples, inlier_scores=None):
        batches = examples.batches(_BATCH_SIZE, limit)
        scores = model.predict_outlier_score(batches).astype(np.float64)
        _refuse_nan(name, title, scores)
        estimates = {}
        if inlier_scores is not None:
            estimates = detection_estimates(
                inlier_scores,
                scores,
                detection_metrics(signal_efficiency),
                CONFIDENCE,
                NUM_RESAMPLES,
            )
        lowest, highest = extremes(model, examples, scores)
        scored(len(scores))
        return SetEvaluation(scores, lowest, highest, estimates)

    inliers = evaluate_set(task.test.name, task.test)
    together, apart = localize(model, task, limit)
    return MethodEvaluation(
        inliers,
        {
            title: dataclasses.replace(
                evaluate_set(title, outliers, inliers.scores),
                localization=apart.get(title),
            )
            for title, outliers in task.outliers.items()
        },
        together,
    )


def results_of(
    evaluations: Mapping[str, MethodEvaluation],
    experiment: Experiment,
    signal_efficiency: float,
    verdict: Sequence[str] = (),
) -> dict:
    """Turn evaluations into the contents of results.json.

    Args:
        evaluations: evaluations by name of the method.
        experiment: experiment of the run.
        signal_efficiency: TPR of the background rejection, in (0, 1].
        verdict: lines about the training, as `nae_tf.training.Verdict` prints
            them.

    Returns:
        Contents of results.json, as docs/guides/evaluation.md describes them.
    """
    task = experiment.task
    any_method = next(iter(evaluations.values()))
    return {
        "schema_version": SCHEMA_VERSION,
        "task": task.name,
        "seed": experiment.seed,
        "verdict": list(verdict),
        "confidence": CONFIDENCE,
        "num_resamples": NUM_RESAMPLES,
        "signal_efficiency": signal_efficiency,
        "notes": list(task.notes),
        "inliers": {
            "name": task.test.name,
            "count": len(any_method.inliers.scores),
        },
        "outliers": {
            title: {"count": len(outliers.scores)}
            for title, outliers in any_method.outliers.items()
        },
        "methods": {
            name: {
                "inliers": _shown(evaluation.inliers),
                "outliers": {
                    title: {
                        "metrics": {
                            metric: _finite(dataclasses.asdict(estimate))
                            for metric, estimate in outliers.estimates.items()
                        },
                        **_shown(outliers),
                        **_localized(outliers.localization),
                    }
                    for title, outliers in evaluation.outliers.items()
                },
                **_localized(evaluation.localization),
            }
            for name, evaluation in evaluations.items()
        },
    }


def aurocs(results: Mapping) -> dict[str, dict[str, float]]:
    """Return the AUROC of every method and outlier set of the results.

    Args:
        results: contents of results.json.

    Returns:
        AUROC in [0, 1] by outlier set, by method.
    """
    return metric_values(results, "auroc")


def metric_values(results: Mapping, metric: str) -> dict[str, dict[str, float]]:
    """Return a metric of every method and outlier set of the results.

    Args:
        results: contents of results.json.
        metric: key of `detection_metrics`.

    Returns:
        Values by outlier set, by method.
    """
    return {
        name: {
            title: outliers["metrics"][metric]["value"]
            for title, outliers in method["outliers"].items()
        }
        for name, method in results["methods"].items()
    }


def _refuse_nan(name, title, scores):
    count = int(np.isnan(scores).sum())
    if count:
        raise ValueError(
            f"{count} of {len(scores)} scores that {name} gives to {title!r} "
            "are NaN; its weights have diverged, train it again with a smaller "
            "learning rate."
        )


def _shown(evaluation: SetEvaluation) -> dict:
    return {
        name: _finite(shown.entries())
        for name, shown in [
            ("lowest", evaluation.lowest),
            ("highest", evaluation.highest),
        ]
    }


def _localized(localization: Localization | None) -> dict:
    if localization is None:
        return {}
    return {"localization": dataclasses.asdict(localization)}


def _finite(value):
    """Replace infinity, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
