"""Evaluate a trained run.

    nae-tf evaluate --run_dir=runs/digits

Prints the AUROC on test data of the pre-trained autoencoder (AE) and of the
final model, for every outlier set of the run's task. Writes results.json with
all metrics and their confidence intervals. Writes also report.html, which shows
them with histograms, ROC curves and examples (docs/guides/evaluation.md). The
command needs the run directory and the data of the run's configuration.
"""

from absl import flags

from nae_tf.evaluation.evaluate import evaluate, format_table
from nae_tf.runs.command_line import (
    accepts_changed_data,
    define_run_dir_flags,
    run_command,
)
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment


def define_flags():
    """Define the flags of an evaluation."""
    define_run_dir_flags("The folder of the run to evaluate.")
    flags.DEFINE_float(
        "signal_efficiency",
        0.3,
        "The share of outliers that is detected where the background "
        "rejection 1/FPR is reported.",
    )


def main():
    """Evaluate the run that --run_dir names."""
    run = RunDirectory(flags.FLAGS.run_dir)
    run.load_config(flags.FLAGS.trust_config)
    results = evaluate(
        run,
        Experiment.from_config(),
        flags.FLAGS.signal_efficiency,
        accepts_changed_data(),
    )
    print(f"{format_table(results)}\n\nreport: {run.report}")
    print(*results["verdict"], sep="\n")


if __name__ == "__main__":
    run_command(main, define_flags)
