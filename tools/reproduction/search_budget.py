"""The search for settings of MNIST's budgets, and its log.

A trial is a variant of a budget with some more bindings. Its stored results
have metrics of validation and selection data only, so nobody can choose by
test data.

ConstantGray soon scores all good settings alike. Chimeras of validation digits,
whose lower half comes from another digit, still distinguish them. They are
outliers by composition, as ChimeraMNIST (appendix C.3), and belong to no class
that was held out.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from nae_tf.metrics.detection import auroc
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from reproduction.cells import Cell
from reproduction.learning_curve import selection_metrics
from reproduction.markdown_tables import MISSING, Request, print_table
from reproduction.mnist_tables import method_cell
from reproduction.trials import stored_trials, train_trials


def trial_cell(
    budget: str, variant: str, digit: int, seed: int, bindings: Sequence[str]
) -> Cell:
    """Return the cell of a trial: NAE with a digit held out."""
    cell = method_cell(
        f"search/{budget}/{variant}/digit{digit}-seed{seed}",
        "mnist_holdout",
        budget,
        "nae",
        (f"holdout_class = {digit}", f"seed = {seed}", *bindings),
    )
    return dataclasses.replace(
        cell, measure=trial_metrics, keeps_test_metrics=False
    )


def _trial_again(budget, variant, result):
    """Return the cell of a stored trial, by the present gin files."""
    holdout_class, _, *bindings = result["bindings"]
    digit = int(holdout_class.split("=")[1])
    return trial_cell(budget, variant, digit, result["seed"], bindings)


def trial_metrics(run: RunDirectory, experiment: Experiment) -> dict:
    """Return `selection_metrics` and "chimera", the AUROC by model.

    It is the AUROC of halves of validation images, joined at random, against
    whole images. About one pair in nine is of a single class.
    """
    images = np.concatenate(
        list(experiment.task.validation.batches(256).as_numpy_iterator())
    )
    middle = images.shape[1] // 2
    chimeras = images.copy()
    chimeras[:, middle:] = np.roll(images[:, middle:], 1, axis=0)
    model = experiment.build_model()
    found = {}
    # The models share networks: score one before the other is loaded.
    for name, detector, phase in [
        ("AE", model.autoencoder(), "pretraining"),
        ("NAE", model, "training"),
    ]:
        restore(detector, run.checkpoints(phase))
        found[name] = auroc(
            detector.predict_outlier_score(images),
            detector.predict_outlier_score(chimeras),
        )
    return selection_metrics(run, experiment) | {"chimera": found}


def search(request: Request, variant: str | None, bindings: Sequence[str]):
    """Train a variant, unless it is only to be shown; print all trials.

    Raises:
        ValueError: if the variant has no name, or the name of another.
    """
    trials = [
        trial_cell(request.budget, variant or "", digit, seed, bindings)
        for seed in request.seeds
        for digit in request.digits
    ]
    train_trials(request, variant, trials)

    def again(variant, _, result):
        return _trial_again(request.budget, variant, result)

    results = stored_trials(f"search/{request.budget}", again)
    rows = []
    for key, result in results.items():
        kept = result["selection"]
        training = kept["training"]
        rows.append(
            [
                *key,
                "; ".join(result["bindings"][2:]) or MISSING,
                str(training["step"]),
                f"{training['selection_auroc']:.4f}",
                f"{result['chimera']['NAE']:.4f}",
                f"{result['chimera']['AE']:.4f}",
                f"{training['validation_error']:.4f}",
                f"{kept['pretraining']['validation_error']:.4f}",
                f"{result['seconds'] / 60:.0f}",
            ]
        )
    print_table(
        [
            "variant",
            "cell",
            "bindings",
            "step",
            "ConstantGray",
            "chimera",
            "AE's chimera",
            "validation error",
            "AE's error",
            "minutes",
        ],
        rows,
    )
