"""The search for the budget of colour images, judged by padded digits.

A trial's stored results have metrics of validation data and of the validation
split of zero-padded MNIST, the paper's selection set of CIFAR-10. No outlier
set of Table 2 is read.
"""

import dataclasses
from collections.abc import Sequence

from nae_tf.evaluation.results import trained_methods
from nae_tf.metrics.detection import auroc
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from reproduction.cells import Cell
from reproduction.learning_curve import selection_metrics
from reproduction.markdown_tables import MISSING, Request, print_table
from reproduction.mnist_tables import method_cell
from reproduction.trials import stored_trials, train_trials

_FOLDER = "search_color"
# Bindings of a trial before those of its variant.
_NUM_OWN_BINDINGS = 2


def trial_cell(
    budget: str, variant: str, method: str, seed: int, bindings: Sequence[str]
) -> Cell:
    """Return the cell of a trial: CIFAR-10 without Table 2's outliers.

    Args:
        budget: name of a file of gin/budgets.
        variant: name of the settings.
        method: one of `mnist_tables.METHODS` that is pre-trained.
        seed: seed of the training.
        bindings: gin bindings of the variant.
    """
    cell = method_cell(
        f"{_FOLDER}/{budget}/{variant}/{method}-seed{seed}",
        "cifar10",
        budget,
        method,
        (f"seed = {seed}", "out_of_distribution.outliers = []", *bindings),
    )
    return dataclasses.replace(
        cell, measure=trial_metrics, keeps_test_metrics=False
    )


def trial_metrics(run: RunDirectory, experiment: Experiment) -> dict:
    """Return `selection_metrics` and "selection_aurocs", by model."""
    task, limit = experiment.task, experiment.evaluation_limit
    (outliers,) = task.selection.values()
    found = {}
    for name, model in trained_methods(run, experiment):
        inlier_scores, outlier_scores = (
            model.predict_outlier_score(examples.batches(256, limit))
            for examples in (task.validation, outliers)
        )
        found[name] = auroc(inlier_scores, outlier_scores)
    return selection_metrics(run, experiment) | {"selection_aurocs": found}


def search_color(
    request: Request, variant: str | None, bindings: Sequence[str]
):
    """Train a variant, unless it is only to be shown; print all trials.

    Raises:
        ValueError: if the variant has no name, or the name of another.
    """
    trials = [
        trial_cell(request.budget, variant or "", method, seed, bindings)
        for seed in request.seeds
        for method in request.methods or ["nae"]
    ]
    train_trials(request, variant, trials)

    def again(variant, stem, result):
        return trial_cell(
            request.budget,
            variant,
            stem.split("-")[0],
            result["seed"],
            result["bindings"][_NUM_OWN_BINDINGS:],
        )

    results = stored_trials(f"{_FOLDER}/{request.budget}", again)
    print_table(
        [
            "variant",
            "cell",
            "bindings",
            "step",
            "AE",
            "NAE",
            "E' / E",
            "AE's error",
            "validation error",
            "minutes",
        ],
        (_row(key, result) for key, result in results.items()),
    )


def _row(key, result):
    kept = result["selection"]
    last = kept["training"]
    return [
        *key,
        "; ".join(result["bindings"][_NUM_OWN_BINDINGS:]) or MISSING,
        str(last["step"]),
        *(f"{result['selection_aurocs'][name]:.3f}" for name in ("AE", "NAE")),
        f"{last['negative_energy'] / last['positive_energy']:.2f}",
        f"{kept['pretraining']['validation_error']:.4f}",
        f"{last['validation_error']:.4f}",
        f"{result['seconds'] / 60:.0f}",
    ]
