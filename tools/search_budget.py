"""The search for settings of MNIST's budgets, and its log.

A trial is a variant of a budget, some bindings more. Its stored results have
figures of validation and selection data and no others: nobody can choose by
what is not there.
"""

import dataclasses
import json
from collections.abc import Sequence

import cells
from cells import Cell, run_missing
from mnist_tables import method_cell
from tables import MISSING, Request, print_table


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
    return dataclasses.replace(cell, keeps_test_figures=False)


def search(request: Request, variant: str | None, bindings: Sequence[str]):
    """Train a variant, unless it is only to be shown; print all trials.

    Raises:
        ValueError: the variant has no name.
    """
    if not request.show:
        if not variant:
            raise ValueError("name what is tried by --variant.")
        run_missing(
            [
                trial_cell(request.budget, variant, digit, seed, bindings)
                for seed in request.seeds
                for digit in request.digits
            ],
            request.jobs,
        )
    folder = cells.RESULTS / "search" / request.budget
    rows = []
    for path in sorted(folder.glob("*/*.json")):
        result = json.loads(path.read_text())
        kept = result["selection"]
        training = kept["training"]
        rows.append(
            [
                path.parent.name,
                path.stem,
                "; ".join(result["bindings"][2:]) or MISSING,
                str(training["step"]),
                f"{training['selection_auroc']:.4f}",
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
            "validation error",
            "AE's",
            "minutes",
        ],
        rows,
    )
