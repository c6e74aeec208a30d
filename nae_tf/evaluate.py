"""Evaluate a trained run.

    python -m nae_tf.evaluate --run_dir=runs/digits

Prints the AUROC of every outlier set of the run's task for the pre-trained
autoencoder (AE) and the final model, on test data, and writes results.json.
Nothing but the run directory is needed.
"""

import json

from absl import flags

from nae_tf.checkpoints import restore
from nae_tf.data import Task
from nae_tf.experiment import Experiment
from nae_tf.metrics import auroc
from nae_tf.runtime import (
    RunDirectory,
    define_run_dir_flags,
    run_command,
    write_atomically,
)

_BATCH_SIZE = 256


def outlier_aurocs(
    model, task: Task, limit: int | None = None
) -> dict[str, float]:
    """Return the AUROC of test inliers against every outlier set."""

    def scores(examples):
        return model.predict_outlier_score(examples.batches(_BATCH_SIZE, limit))

    inliers = scores(task.test)
    return {
        name: auroc(inliers, scores(outliers))
        for name, outliers in task.outliers.items()
    }


def evaluate(run: RunDirectory, experiment: Experiment) -> dict:
    """Evaluate the checkpoints of a run and write its results.json.

    Returns:
        {"task": name, "seed": seed, "auroc": {method: {outliers: AUROC}}}.

    Raises:
        FileNotFoundError: a phase has no checkpoint.
    """
    model = experiment.build_model()
    task, limit = experiment.task, experiment.evaluation_limit
    methods = {}
    if experiment.pretraining is not None:
        autoencoder = model.autoencoder()
        restore(autoencoder, run.checkpoints("pretraining"))
        methods["AE"] = outlier_aurocs(autoencoder, task, limit)
    restore(model, run.checkpoints("training"))
    name = type(model).__name__
    methods[name] = outlier_aurocs(model, task, limit)
    results = {
        "task": task.name,
        "seed": experiment.seed,
        "auroc": methods,
    }
    write_atomically(run.results, json.dumps(results, indent=2) + "\n")
    return results


def format_table(results: dict) -> str:
    """Lay out results as a table: outlier sets down, methods across."""
    methods = results["auroc"]
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
    print(format_table(evaluate(run, Experiment.from_config())))


if __name__ == "__main__":
    define_run_dir_flags("The run to evaluate.")
    run_command(main)
