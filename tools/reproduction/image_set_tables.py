"""Tables of one image set against others: Tables 2 and 4, and Fashion-MNIST."""

import dataclasses
from collections.abc import Mapping, Sequence

from reproduction import paper_numbers
from reproduction.cells import Cell
from reproduction.markdown_tables import (
    Request,
    print_provenance,
    stored_results,
)
from reproduction.mnist_tables import METHODS, method_cell, print_methods

# Table 2's methods, and MPDR.
_METHODS_OF_TABLE2 = (
    "nae",
    "mpdr",
    "mixture",
    "ae",
    "dae",
    "vae",
    "vae_likelihood",
    "wae",
    "igebm",
    "glow",
    "pixelcnn",
)


@dataclasses.dataclass(frozen=True)
class ImageSetTable:
    """A table whose inliers are one image set, its outliers others.

    Attributes:
        name: name of the folder of its cells in tools/results.
        preset: name of a file of gin.
        outliers: names of the outlier sets, the columns.
        methods: methods of the rows, some of `mnist_tables.METHODS`.
        paper: the paper's AUROCs of the columns, by its names of rows.
        missing: outlier sets that only the paper has.
    """

    name: str
    preset: str
    outliers: Sequence[str]
    methods: Sequence[str]
    paper: Mapping[str, Sequence[float]] = dataclasses.field(
        default_factory=dict
    )
    missing: Sequence[str] = ()

    def cell(self, method: str, seed: int, budget: str) -> Cell:
        """Return the cell of a method and a seed."""
        bindings = [f"seed = {seed}"]
        if self.missing:
            read = [name for name in self.outliers if name not in self.missing]
            bindings.append(f"out_of_distribution.outliers = {read}")
        return method_cell(
            f"{self.name}/{budget}/{method}/seed{seed}",
            self.preset,
            budget,
            method,
            bindings,
        )

    def show(self, request: Request):
        """Train missing cells, unless only stored ones are shown; print all."""
        methods = request.methods or self.methods
        cells = {
            (method, seed): self.cell(method, seed, request.budget)
            for seed in request.seeds
            for method in methods
        }
        results = stored_results(cells, request.jobs, request.show)

        def values_of(metric):
            return lambda row, outliers: [
                row.values(result, metric)[outliers]
                for seed in request.seeds
                if metric in (result := results.get((row.method, seed), {}))
            ]

        print_methods(
            "outliers",
            methods,
            self.outliers,
            values_of("auroc"),
            self.paper,
            self.missing,
        )
        if any("aupr" in result for result in results.values()):
            print("\nThe same by AUPR, outliers positive:\n")
            print_methods(
                "outliers",
                methods,
                self.outliers,
                values_of("aupr"),
                {},
                self.missing,
            )
        if self.missing:
            print(
                f"\n{', '.join(self.missing)}: only the paper's numbers; the "
                "means are of the other sets."
            )
        print_provenance(cells, results)


TABLE2 = ImageSetTable(
    "table2",
    "cifar10",
    ("constant_gray", "fashion_mnist", "svhn", "celeba", "noise"),
    _METHODS_OF_TABLE2,
    paper_numbers.TABLE2,
    missing=("celeba",),
)
TABLE4 = ImageSetTable(
    "table4",
    "mnist",
    ("constant_gray", "half_mnist", "chimera_mnist", "omniglot", "noise"),
    METHODS,
    paper_numbers.TABLE4,
)
# The paper has no such table.
FASHION_MNIST = ImageSetTable(
    "fashion_mnist",
    "fashion_mnist",
    ("constant_gray", "mnist", "omniglot", "noise"),
    _METHODS_OF_TABLE2,
)
