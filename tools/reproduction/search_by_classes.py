"""The search for settings by classes that are held out for it.

What foretells a held-out class is a held-out class. A trial is trained without
some digits that judge it, and without those that nobody may look at. Images of
the validation split judge: no test image is read.
"""

from collections.abc import Sequence

import numpy as np

from reproduction.cells import Cell
from reproduction.markdown_tables import Request, print_table
from reproduction.mnist_tables import method_cell
from reproduction.trials import stored_trials, train_trials

_FOLDER = "search_by_classes"
# Bindings of a trial before those of its variant.
_NUM_OWN_BINDINGS = 3


def trial_cell(
    budget: str,
    method: str,
    variant: str,
    judged: Sequence[int],
    left_out: Sequence[int],
    seed: int,
    bindings: Sequence[str],
) -> Cell:
    """Return the cell of a trial.

    Args:
        budget: name of a file of gin/budgets.
        method: one of `mnist_tables.METHODS`.
        variant: name of the settings.
        judged: digits that judge.
        left_out: digits that have no part in the trial.
        seed: seed of the training.
        bindings: gin bindings of the variant.
    """
    digits = "-".join(map(str, judged))
    return method_cell(
        f"{_FOLDER}/{budget}/{variant}/{method}-judged{digits}-seed{seed}",
        "mnist_selection",
        budget,
        method,
        (
            f"judged_classes = {tuple(judged)}",
            f"left_out_classes = {tuple(left_out)}",
            f"seed = {seed}",
            *bindings,
        ),
        curve=True,
    )


def search_by_classes(
    request: Request,
    variant: str | None,
    left_out: Sequence[int],
    bindings: Sequence[str],
):
    """Train a variant, unless it is only to be shown; print all trials.

    Raises:
        ValueError: if the variant has no name, or the name of another.
    """
    trials = [
        trial_cell(
            request.budget,
            method,
            variant or "",
            request.digits,
            left_out,
            seed,
            bindings,
        )
        for seed in request.seeds
        for method in request.methods or ["nae"]
    ]
    train_trials(request, variant, trials)

    def again(variant, stem, result):
        return _trial_again(request.budget, (variant, stem), result)

    results = stored_trials(f"{_FOLDER}/{request.budget}", again)
    print_table(
        [
            "variant",
            "cell",
            "steps",
            "AE",
            "NAE",
            "mean",
            "E' / E",
            "validation error",
            "minutes",
        ],
        (_row(key, result) for key, result in results.items()),
    )


def _trial_again(budget, key, result):
    """Return the cell of a stored trial, by the present gin files."""
    variant, stem = key
    judged, left_out = (
        tuple(map(int, filter(str.isdecimal, binding)))
        for binding in result["bindings"][:2]
    )
    return trial_cell(
        budget,
        stem.split("-")[0],
        variant,
        judged,
        left_out,
        result["seed"],
        result["bindings"][_NUM_OWN_BINDINGS:],
    )


def _row(key, result):
    last = result["selection"]["training"]
    values = {
        name: list(aurocs.values()) for name, aurocs in result["auroc"].items()
    }
    return [
        *key,
        str(last["step"]),
        *(
            ", ".join(f"{value:.3f}" for value in values[name])
            for name in ("AE", "NAE")
        ),
        f"{np.mean(values['NAE']):.3f}",
        f"{last['negative_energy'] / last['positive_energy']:.2f}",
        f"{last['validation_error']:.4f}",
        f"{result['seconds'] / 60:.0f}",
    ]
