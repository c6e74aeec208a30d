"""The table of the digits: every method on every digit."""

import functools
import sys

import numpy as np
from absl import app

from reproduction.cells import REPOSITORY, Cell, mean_interval, provenance
from reproduction.markdown_tables import Request, print_table, stored_results

DIGITS = range(10)


def digits(request: Request):
    """Hold out each of the ten digits of scikit-learn's 8x8 images."""
    methods = request.methods or sorted(
        path.stem for path in (REPOSITORY / "gin" / "methods").glob("*.gin")
    )
    cells = {
        (method, digit, seed): digits_cell(method, digit, seed)
        for seed in request.seeds
        for method in (None, *methods)
        for digit in request.digits
    }
    results = stored_results(cells, request.jobs, request.show)
    aurocs_of = functools.partial(digits_aurocs, results, request)
    nae = aurocs_of(None, "NAE")
    table = {"AE, NAE's pre-training": aurocs_of(None, "AE")}
    for method in methods:
        if any(key not in results for key in cells if key[0] == method):
            print(f"{method}: not all cells are stored.", file=sys.stderr)
        else:
            table[method] = aurocs_of(method)
    table["NAE"] = nae
    seeds = ", ".join(map(str, request.seeds))
    print(f"Mean AUROC of the held-out digit, seeds {seeds}")
    print()
    rows = []
    for name, aurocs in sorted(table.items(), key=lambda row: row[1].mean()):
        difference, half_width = mean_interval((nae - aurocs).mean(axis=1))
        row = [name, *(f"{value:.3f}" for value in aurocs.mean(axis=1))]
        row += [f"**{aurocs.mean():.3f}**"]
        row += (
            [f"{difference:+.3f} ± {half_width:.3f}"] if name != "NAE" else [""]
        )
        rows.append(row)
    print_table(
        ["method", *map(str, request.digits), "mean", "NAE - method"], rows
    )
    print(f"\n{provenance(results.values())}")


def digits_cell(method: str | None, digit: int, seed: int) -> Cell:
    """Return the cell of a method, None for AE and NAE together."""
    file = [f"gin/methods/{method}.gin"] if method else []
    folder = f"digits/{method}" if method else "digits"
    return Cell(
        f"{folder}/digit{digit}-seed{seed}",
        ("gin/digits.gin", *file),
        (f"holdout_class={digit}", f"seed={seed}"),
    )


def digits_aurocs(
    results: dict, request: Request, method: str | None, name: str | None = None
):
    """Return the AUROCs of a method, float [digits, seeds].

    Args:
        results: results of cells by (method, digit, seed).
        request: request that names digits and seeds.
        method: method of the cells; None for AE and NAE.
        name: name of the model, if a cell has more than one.

    Raises:
        UsageError: if a cell is not stored.
    """

    def auroc(digit, seed):
        if (method, digit, seed) not in results:
            raise app.UsageError(
                "--show: AE and NAE are not stored; run without --show first."
            )
        models = results[method, digit, seed]["auroc"]
        # MPDR's cells have the autoencoder that it starts from, too.
        model = models[name] if name else list(models.values())[-1]
        return model[f"digit {digit}"]

    return np.array(
        [
            [auroc(digit, seed) for seed in request.seeds]
            for digit in request.digits
        ]
    )
