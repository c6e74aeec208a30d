"""Evaluate a trained run.

    python -m nae_tf.evaluate --run_dir=runs/digits

Prints the AUROC of every outlier set of the run's task for the pre-trained
autoencoder (AE) and the final model, on test data. Writes results.json with all
metrics and their confidence intervals, and report.html, which shows them with
histograms, ROC curves and examples (docs/evaluation.md). It needs the run
directory and the data that the run's configuration names.
"""

import json

from absl import flags

from nae_tf.evaluation import (
    aurocs,
    evaluate_method,
    results_of,
    trained_methods,
)
from nae_tf.experiment import Experiment
from nae_tf.io_errors import one_line_data_errors
from nae_tf.progress import progress_bar
from nae_tf.report import report_page
from nae_tf.runtime import (
    RunDirectory,
    define_run_dir_flags,
    run_command,
    write_atomically,
)


def evaluate(
    run: RunDirectory, experiment: Experiment, signal_efficiency: float = 0.3
) -> dict:
    """Evaluate the checkpoints of a run; write results.json and report.html.

    Args:
        run: a trained run.
        experiment: built from its configuration.
        signal_efficiency: the background rejection 1/FPR is given at this TPR,
            in (0, 1].

    Returns:
        What results.json holds; see docs/evaluation.md.

    Raises:
        FileNotFoundError: a phase has no checkpoint.
        OSError: the data cannot be read, or a file cannot be written.
        ValueError: a phase is not over, scores are NaN, or the TPR is out of
            range.
    """
    if not 0 < signal_efficiency <= 1:
        raise ValueError(
            "evaluate: expected signal_efficiency in (0, 1], received "
            f"{signal_efficiency}."
        )
    task, limit = experiment.task, experiment.evaluation_limit
    sizes = [task.test.size, *(set.size for set in task.outliers.values())]
    num_methods = 1 if experiment.pretraining is None else 2
    evaluations = {}
    total = num_methods * sum(min(size, limit or size) for size in sizes)
    with (
        progress_bar(total, "example", "evaluate") as progress,
        one_line_data_errors(task.name),
    ):
        for name, model in trained_methods(run, experiment):
            evaluations[name] = evaluate_method(
                name, model, task, limit, signal_efficiency, progress.update
            )
    results = results_of(evaluations, experiment, signal_efficiency)
    text = json.dumps(results, indent=2, allow_nan=False) + "\n"
    write_atomically(run.results, text)
    config = run.config.read_text(encoding="utf-8")
    page = report_page(results, evaluations, run.path.resolve().name, config)
    write_atomically(run.report, page)
    return results


def format_table(results: dict) -> str:
    """Lay out results as a table: outlier sets down, methods across."""
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


def main():
    """Evaluate the run that --run_dir names."""
    run = RunDirectory(flags.FLAGS.run_dir)
    run.load_config(flags.FLAGS.trust_config)
    results = evaluate(
        run, Experiment.from_config(), flags.FLAGS.signal_efficiency
    )
    print(f"{format_table(results)}\n\nreport: {run.report}")


if __name__ == "__main__":
    define_run_dir_flags("The run to evaluate.")
    flags.DEFINE_float(
        "signal_efficiency",
        0.3,
        "Share of the outliers to detect, at which the background rejection "
        "1/FPR is given.",
    )
    run_command(main)
