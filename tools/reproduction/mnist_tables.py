"""Table 1, and the rows of tables of methods: equal networks and budgets."""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from reproduction import paper_numbers
from reproduction.cells import REPOSITORY, Cell
from reproduction.learning_curve import (
    SNAPSHOTS,
    measure_curve,
    selection_metrics,
)
from reproduction.markdown_tables import (
    MISSING,
    Request,
    mean_and_error,
    print_provenance,
    print_table,
    stored_results,
)

SAMPLERS: dict[str, tuple[str, ...]] = {
    "nae": (),
    "nae_cd": ("NAE.sampler = @ContrastiveDivergence()",),
    "nae_pcd": ("NAE.sampler = @PersistentContrastiveDivergence()",),
}
_DIGITS = range(10)


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of a table.

    Attributes:
        title: title of the row.
        method: method of the cells of the row.
        model: name of the model in these cells; None for the only one.
        paper: name of its row in the paper; "" if it has none.
        unless: method whose rows show the same, so that this one is left out.
    """

    title: str
    method: str
    model: str | None = None
    paper: str = ""
    unless: str = ""

    def values(self, result: dict, metric: str = "auroc") -> dict[str, float]:
        """Return a metric of a cell's results, by outlier set."""
        models = result[metric]
        return models[self.model] if self.model else next(iter(models.values()))


ROWS = (
    Row("NAE-OMI", "nae", "NAE", "NAE-OMI"),
    Row("NAE-CD", "nae_cd", "NAE", "NAE-CD"),
    Row("NAE-PCD", "nae_pcd", "NAE", "NAE-PCD"),
    Row("MPDR", "mpdr", "NAE"),
    Row("MPDR and OMI, mixed", "mixture", "NAE"),
    Row("AE, NAE's pre-training", "nae", "AE", "AE"),
    Row("AE, the mixture's pre-training", "mixture", "AE", unless="nae"),
    Row("`ae`", "ae"),
    Row("`dae`", "dae", paper="DAE"),
    Row("`vae`", "vae", paper="VAE(R)"),
    Row("`vae_likelihood`", "vae_likelihood", paper="VAE(L)"),
    Row("`wae`", "wae", paper="WAE"),
    Row("`dagmm`", "dagmm", paper="DAGMM"),
    Row("`vqvae`", "vqvae", paper="VQVAE"),
    Row("`ganomaly`", "ganomaly", paper="GANomaly"),
    Row("`igebm`", "igebm", paper="IGEBM"),
    Row("`glow`", "glow", paper="Glow"),
    Row("`pixelcnn`", "pixelcnn", paper="PixelCNN++"),
    Row("`memae`", "memae"),
    Row("`rae_gp`", "rae_gp"),
    Row("`rae_l2`", "rae_l2"),
)
METHODS = list(dict.fromkeys(row.method for row in ROWS))


def method_cell(
    name: str,
    preset: str,
    budget: str,
    method: str,
    bindings: Sequence[str],
    curve: bool = False,
) -> Cell:
    """Return the cell of a method on a preset's data.

    Args:
        name: name of the results.
        preset: name of a file of gin.
        budget: name of a file of gin/budgets.
        method: one of `METHODS`.
        bindings: further gin bindings.
        curve: whether the results have a learning curve.

    Raises:
        ValueError: if there is no such budget or method.
    """
    folder = REPOSITORY / "gin" / "budgets"
    budgets = sorted(path.stem for path in folder.glob("*.gin"))
    for kind, wanted, known in [
        ("budget", budget, budgets),
        ("method", method, METHODS),
    ]:
        if wanted not in known:
            raise ValueError(
                f"there is no {kind} {wanted!r}; choose one of "
                f"{', '.join(known)}."
            )
    files = [f"gin/{preset}.gin", f"gin/budgets/{budget}.gin"]
    if method in ("mpdr", "mixture"):
        # A sampler of NAE, whose rate and chains a budget may change.
        files.insert(1, f"gin/methods/{method}.gin")
    elif method not in SAMPLERS:
        files.append(f"gin/methods/{method}.gin")
    return Cell(
        name,
        tuple(files),
        (*bindings, *SAMPLERS.get(method, ()), *(SNAPSHOTS if curve else ())),
        measure_curve if curve else selection_metrics,
    )


def holdout_cell(method: str, digit: int, seed: int, budget: str) -> Cell:
    """Return a cell of Table 1."""
    return method_cell(
        f"table1/{budget}/{method}/digit{digit}-seed{seed}",
        "mnist_holdout",
        budget,
        method,
        (f"holdout_class = {digit}", f"seed = {seed}"),
        curve=True,
    )


def holdout_cells(
    request: Request, methods: Sequence[str]
) -> dict[tuple[str, int, int], Cell]:
    """Return cells of Table 1 by method, digit and seed, in order."""
    return {
        (method, digit, seed): holdout_cell(method, digit, seed, request.budget)
        for seed in request.seeds
        for method in methods
        for digit in request.digits
    }


def table1(request: Request):
    """Print Table 1: one digit after the other is held out."""
    methods = request.methods or METHODS
    cells = holdout_cells(request, methods)
    results = stored_results(cells, request.jobs, request.show)

    def aurocs(row, digit):
        return [
            row.values(result)[f"mnist {digit}"]
            for seed in request.seeds
            if (result := results.get((row.method, digit, seed)))
        ]

    print_methods(
        "held-out digit", methods, _DIGITS, aurocs, paper_numbers.TABLE1
    )
    print_provenance(cells, results)


def print_methods(
    corner: str,
    methods: Sequence[str],
    columns: Sequence,
    values: Callable[[Row, Any], list[float]],
    paper: Mapping[str, Sequence[float]],
    missing: Collection = (),
):
    """Print the rows of some methods, each above that of the paper.

    Args:
        corner: what the columns are.
        methods: methods of the rows.
        columns: keys of the columns.
        values: function that returns the values of all seeds by row and column.
        paper: values of the columns by the paper's names of rows.
        missing: columns that only the paper has. No mean counts them.
    """
    averaged = [column not in missing for column in columns]
    lines = []
    for row in ROWS:
        if row.method not in methods or row.unless in methods:
            continue
        found = [
            [] if column in missing else values(row, column)
            for column in columns
        ]
        counted = list(itertools.compress(found, averaged))
        mean = MISSING
        if all(counted):
            mean = f"**{np.mean([np.mean(each) for each in counted]):.3f}**"
        lines.append([row.title, *map(mean_and_error, found), mean])
        if row.paper in paper:
            numbers = paper[row.paper]
            average = np.mean(list(itertools.compress(numbers, averaged)))
            shown = [f"{value:.3f}" for value in (*numbers, average)]
            lines.append([f"{row.paper} of the paper", *shown])
    print_table([corner, *map(str, columns), "mean"], lines)
