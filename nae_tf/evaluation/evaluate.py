"""Evaluation of a run: metrics of every method, results.json, report.html."""

import json

from nae_tf.base.setting_checks import check_number
from nae_tf.evaluation.report import report_page
from nae_tf.evaluation.results import (
    aurocs,
    evaluate_method,
    results_of,
    trained_methods,
)
from nae_tf.evaluation.run_verdict import RunVerdict
from nae_tf.runs.disk import explain_data_errors, write_atomically
from nae_tf.runs.progress import progress_bar
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from nae_tf.training.hparams_tab import write_aurocs
from nae_tf.training.run_data import with_data_of_run


def evaluate(
    run: RunDirectory,
    experiment: Experiment,
    signal_efficiency: float = 0.3,
    accept_changes: bool = False,
) -> dict:
    """Evaluate the checkpoints of a run; write results.json and report.html.

    Args:
        run: directory of a trained run.
        experiment: experiment built from the configuration of the run.
        signal_efficiency: TPR in (0, 1] of the background rejection 1/FPR.
        accept_changes: whether data are accepted that have changed since the
            training. What was trained on is then left out.

    Returns:
        Contents of results.json, as docs/guides/evaluation.md describes them.

    Raises:
        FileNotFoundError: if a phase has no checkpoint.
        OSError: if the data cannot be read, or a file cannot be written.
        ValueError: if a phase is not over, scores are NaN, the TPR is out of
            range, or the data have changed and this is not accepted.
    """
    check_number("evaluate", "signal_efficiency", signal_efficiency, "(0, 1]")
    experiment = with_data_of_run(
        run, experiment, accept_changes=accept_changes
    )
    task, limit = experiment.task, experiment.evaluation_limit
    sizes = [task.test.size, *(set.size for set in task.outliers.values())]
    num_methods = 1 if experiment.pretraining is None else 2
    evaluations = {}
    total = num_methods * sum(min(size, limit or size) for size in sizes)
    with (
        progress_bar(total, "example", "evaluate") as progress,
        explain_data_errors(task.name),
    ):
        verdict = RunVerdict(run, task)
        for name, model in trained_methods(run, experiment):
            evaluations[name] = evaluate_method(
                name, model, task, limit, signal_efficiency, progress.update
            )
            verdict.add(model)
    results = results_of(
        evaluations, experiment, signal_efficiency, verdict.lines
    )
    text = json.dumps(results, indent=2, allow_nan=False) + "\n"
    write_atomically(run.results, text)
    write_aurocs(run.tensorboard, aurocs(results))
    config = run.config.read_text(encoding="utf-8")
    page = report_page(results, evaluations, run.path.resolve().name, config)
    write_atomically(run.report, page)
    return results


def format_table(results: dict) -> str:
    """Lay out AUROCs as a table with a row per outlier set.

    Args:
        results: contents of results.json.

    Returns:
        Lines of text; columns are methods.
    """
    methods = aurocs(results)
    rows = [["outliers (AUROC)", *methods]]
    for outliers in next(iter(methods.values())):
        values = [f"{scores[outliers]:.3f}" for scores in methods.values()]
        rows.append([outliers, *values])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
