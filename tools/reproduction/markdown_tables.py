"""Tables of cells as Markdown, ours beside the paper's.

A value that is not stored is shown as a dash, so that a table can be looked at
while its cells are still being trained.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nae_tf.runs.progress import print_status
from reproduction.cells import Cell, configure, provenance, run_missing

MISSING = "\N{EN DASH}"


@dataclasses.dataclass(frozen=True)
class Request:
    """The request of the command line to a table.

    Attributes:
        budget: name of a file of gin/budgets.
        seeds: seeds of the cells.
        jobs: number of trainings at a time.
        show: whether only stored results are shown.
        methods: names of methods of Tables 1 and 4, such as "nae"; None means
            all.
        digits: held-out digits of Table 1.
    """

    budget: str
    seeds: Sequence[int]
    jobs: int = 1
    show: bool = False
    methods: Sequence[str] | None = None
    digits: Sequence[int] = range(10)


def stored_results(
    cells: Mapping[tuple, Cell], jobs: int, show: bool
) -> dict[tuple, dict]:
    """Train missing cells, unless only stored ones are to be shown.

    Args:
        cells: cells by keys of the caller.
        jobs: number of trainings at a time.
        show: whether nothing is trained.

    Returns:
        The stored results, by the keys of the cells.
    """
    if not show:
        run_missing(cells.values(), jobs)
    results = {
        key: result for key, cell in cells.items() if (result := cell.results())
    }
    compare_settings(cells, results)
    return results


def compare_settings(
    cells: Mapping[tuple, Cell], results: Mapping[tuple, dict]
):
    """Print which results had other settings than the gin files have now.

    Args:
        cells: cells by keys of the caller.
        results: results of some of these cells, by the same keys.
    """
    unknown = [key for key in results if "settings" not in results[key]]
    outdated = [
        cells[key].name
        for key in results
        if key not in unknown
        and results[key]["settings"] != configure(cells[key])
    ]
    if unknown:
        print_status(
            f"{len(unknown)} of the cells are older than the record of "
            "settings, and cannot be compared with the gin files."
        )
    if outdated:
        print_status(
            f"{len(outdated)} of the cells had other settings than the gin "
            f"files have now: {', '.join(outdated)}. Remove their files to "
            "train them anew."
        )


def mean_and_error(values: Sequence[float]) -> str:
    """Format the mean over seeds and its standard error, as in the paper."""
    if not len(values):
        return MISSING
    text = f"{np.mean(values):.3f}"
    if len(values) > 1:
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        text += f" ± {error:.3f}"
    return text


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]):
    """Print a Markdown table, each row as soon as it is computed."""
    for row in itertools.chain((header, ["---"] * len(header)), rows):
        print(f"| {' | '.join(row)} |", flush=True)


def print_provenance(cells: Mapping, results: Mapping[tuple, dict]):
    """Print the number of stored cells, and where they were computed."""
    print(
        f"\n{len(results)} of {len(cells)} cells are stored. ± is the ", end=""
    )
    print("standard error of the mean over seeds.")
    if results:
        print(provenance(results.values()))
