"""Tables 6 to 8: what matters in NAE, with the digit 9 held out (appendix C.1).

The paper shortens NAE's phase to 20 of its 50 epochs for them, and so does
`gin/budgets/cpu_ablations.gin`. The row with the paper's settings is a cell of
Table 1 with the same budget.
"""

from collections.abc import Mapping, Sequence

import gin

from nae_tf.runs.configuration import parse_config
from reproduction import paper_numbers
from reproduction.cells import REPOSITORY, Cell
from reproduction.markdown_tables import (
    Request,
    mean_and_error,
    print_provenance,
    print_table,
    stored_results,
)
from reproduction.mnist_tables import holdout_cell, method_cell

DIGIT = 9
# Epochs of pre-training in the paper but for Table 6.
_PAPER_EPOCHS = 100
_LATENT_STEPS = "latent/LangevinChain.num_steps = {}"
_NO_REPLAY = "OnManifold.replay_ratio = 0.0"
_EUCLIDEAN = "NAE.latent_space = @Euclidean()"
# Latent steps, replay buffer and sphere, and their bindings, by row of Table 7.
SAMPLING: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "1": (("10", "yes", "yes"), ()),
    "2": (("0", "no", "yes"), (_LATENT_STEPS.format(0), _NO_REPLAY)),
    "3": (("50", "yes", "yes"), (_LATENT_STEPS.format(50),)),
    "4": (("10", "no", "yes"), (_NO_REPLAY,)),
    "5": (("50", "no", "yes"), (_LATENT_STEPS.format(50), _NO_REPLAY)),
    "6": (("10", "yes", "no"), (_EUCLIDEAN,)),
}
_LATENT_DIM = "32"


def ablation_cell(
    table: str, setting: str, seed: int, budget: str, bindings: Sequence[str]
) -> Cell:
    """Return the cell of a setting; Table 1's if nothing is changed."""
    if not bindings:
        return holdout_cell("nae", DIGIT, seed, budget)
    return method_cell(
        f"{table}/{budget}/{setting}-seed{seed}",
        "mnist_holdout",
        budget,
        "nae",
        (f"holdout_class = {DIGIT}", f"seed = {seed}", *bindings),
        curve=True,
    )


def table6(request: Request):
    """Vary the length of the pre-training, by the paper's share of epochs."""
    full = _pretraining_epochs(request.budget)
    epochs = {
        paper: round(full * int(paper) / _PAPER_EPOCHS)
        for paper in paper_numbers.TABLE6
    }
    settings = {
        paper: (
            f"pretraining{here}",
            () if here == full else (f"pretraining/Phase.epochs = {here}",),
        )
        for paper, here in epochs.items()
    }
    _print_ablation(
        "table6",
        request,
        ["epochs, paper", "epochs here"],
        {paper: [paper, str(here)] for paper, here in epochs.items()},
        settings,
        paper_numbers.TABLE6,
    )


def table7(request: Request):
    """Vary latent chain, replay buffer and latent space."""
    _print_ablation(
        "table7",
        request,
        ["No.", "latent steps", "replay buffer", "sphere"],
        {number: [number, *words] for number, (words, _) in SAMPLING.items()},
        {
            number: (f"setting{number}", bindings)
            for number, (_, bindings) in SAMPLING.items()
        },
        paper_numbers.TABLE7,
    )


def table8(request: Request):
    """Vary the dimension of the latent space."""
    sizes = list(paper_numbers.TABLE8)
    _print_ablation(
        "table8",
        request,
        ["latent dimension"],
        {size: [size] for size in sizes},
        {
            size: (
                f"latent{size}",
                () if size == _LATENT_DIM else (f"latent_dim = {size}",),
            )
            for size in sizes
        },
        paper_numbers.TABLE8,
    )


def _print_ablation(
    table: str,
    request: Request,
    header: Sequence[str],
    labels: Mapping[str, Sequence[str]],
    settings: Mapping[str, tuple[str, Sequence[str]]],
    paper: Mapping[str, Sequence[float]],
):
    """Train and print the settings of a table.

    Args:
        table: name of the table.
        request: request of the command line.
        header: header of the columns that show the setting.
        labels: texts of these columns, by row of the paper.
        settings: name of the cells and bindings, by row of the paper.
        paper: AUROCs of the paper, of NAE or of AE and NAE, by row.
    """
    cells = {
        (row, seed): ablation_cell(table, name, seed, request.budget, bindings)
        for seed in request.seeds
        for row, (name, bindings) in settings.items()
    }
    results = stored_results(cells, request.jobs, request.show)
    models = ["AE", "NAE"][-len(next(iter(paper.values()))) :]
    lines = []
    for row, label in labels.items():
        stored = [
            results[row, seed]["auroc"]
            for seed in request.seeds
            if (row, seed) in results
        ]
        ours = [
            mean_and_error(
                [aurocs[model][f"mnist {DIGIT}"] for aurocs in stored]
            )
            for model in models
        ]
        theirs = [f"{value:.3f}" for value in paper[row]]
        lines.append([*label, *ours, *theirs])
    print_table(
        [*header, *models, *(f"{model}, paper" for model in models)], lines
    )
    print_provenance(cells, results)


def _pretraining_epochs(budget: str) -> int:
    cell = holdout_cell("nae", DIGIT, 0, budget)
    parse_config([str(REPOSITORY / file) for file in cell.gin_files])
    return gin.query_parameter("pretraining/Phase.epochs")
