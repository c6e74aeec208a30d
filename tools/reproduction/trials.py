"""Trials of a search: variants of a budget, trained once under their names."""

import json
from collections.abc import Callable, Sequence

from reproduction import cells
from reproduction.cells import Cell, run_missing
from reproduction.markdown_tables import Request, compare_settings


def train_trials(request: Request, variant: str | None, trials: Sequence[Cell]):
    """Train the trials of a variant, unless stored ones are only to be shown.

    Args:
        request: request of the command line.
        variant: name of the variant.
        trials: cells of the variant.

    Raises:
        ValueError: if the variant has no name, or the name of another.
    """
    if request.show:
        return
    if not variant:
        raise ValueError("name the variant to try by --variant.")
    for trial in trials:
        stored = trial.results()
        if stored and stored["bindings"] != list(trial.bindings):
            raise ValueError(
                f"{trial.name} is stored with the bindings "
                f"{'; '.join(stored['bindings'])}; call the new trial by "
                "another --variant."
            )
    run_missing(trials, request.jobs)


def stored_trials(
    folder: str, again: Callable[[str, str, dict], Cell]
) -> dict[tuple[str, str], dict]:
    """Return the results of all trials of a search.

    Args:
        folder: folder of the search in `cells.RESULTS`, one folder per variant.
        again: function that returns the cell of a variant, the stem of a
            result's file and the result, by the present gin files.

    Returns:
        Results by variant and stem.
    """
    results = {
        (path.parent.name, path.stem): json.loads(path.read_text())
        for path in sorted((cells.RESULTS / folder).glob("*/*.json"))
    }
    wanted = {key: again(*key, result) for key, result in results.items()}
    compare_settings(wanted, results)
    return results
