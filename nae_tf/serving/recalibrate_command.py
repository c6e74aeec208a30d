"""Write an export anew with other held-out inliers, or another threshold.

    nae-tf recalibrate --model=export/1 --input=inliers

Scores the inliers that --input names, and writes the next version: the same
weights with p-values and a threshold by these inliers. The old version stays.
"""

import math

import numpy as np
from absl import flags

from nae_tf.runs.command_line import run_command
from nae_tf.runs.progress import print_status, progress_bar
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.input_flags import (
    define_model_flags,
    define_reading_flags,
    open_input,
    open_model,
)
from nae_tf.serving.recalibration import recalibrate
from nae_tf.serving.scoring import score_batches
from nae_tf.serving.trimming import trim
from nae_tf.serving.watched import read_calibration

# Names of examples that are printed at most.
_NAMES = 20


def define_flags():
    """Define the flags of a new calibration."""
    define_model_flags()
    flags.DEFINE_string(
        "input",
        None,
        "Inliers that training never saw: a folder of images, a file, or - for "
        "a table on standard input.",
        required=True,
    )
    flags.DEFINE_float(
        "false_alarm_rate",
        None,
        "The share of inliers that may be called outliers. The default is that "
        "of the old version.",
    )
    flags.DEFINE_float(
        "trim",
        0.0,
        "The share of the examples, those of the highest scores, that are left "
        "out because they are outliers.",
    )
    flags.DEFINE_integer(
        "version",
        None,
        "The number of the new version. The default is the next free one.",
    )
    define_reading_flags()


def main():
    """Write a new version of the export that --model names."""
    options = flags.FLAGS
    model = open_model(options)
    old = read_calibration(options.model)
    stream = open_input(model, options)
    names, energies = [], []
    with progress_bar(stream.size, "example") as bar:
        for rows in score_batches(model, stream, []):
            names += [row[0] for row in rows]
            energies += [float(row[1]) for row in rows]
            bar.update(len(rows))
    trimmed = trim(energies, options.trim)
    rate = options.false_alarm_rate
    calibration = Calibration(
        trimmed.scores,
        old.false_alarm_rate if rate is None else rate,
        old.failure_probability,
    )
    path = recalibrate(
        options.model, calibration, options.version, options.trust_model
    )
    if len(trimmed.left_out):
        print_status(_left_out(trimmed, names))
    if math.isinf(calibration.threshold):
        needed = math.ceil(1 / calibration.false_alarm_rate) - 1
        print_status(
            f"note: no score will be called an outlier, because a false-alarm "
            f"rate of {calibration.false_alarm_rate:g} needs {needed} inliers "
            f"and there are {len(calibration.scores)}."
        )
    flagged = np.mean(old.is_outlier(energies))
    print(
        f"{path}: scores above {calibration.threshold:.6g} are outliers, not "
        f"{old.threshold:.6g}; false-alarm rate "
        f"{calibration.false_alarm_rate:g} by {len(calibration.scores)} "
        f"inliers, of which the old version called {flagged:.1%} outliers"
    )


def _left_out(trimmed, names):
    left_out = [names[position] for position in trimmed.left_out]
    listed = ", ".join(left_out[:_NAMES])
    more = len(left_out) - _NAMES
    return (
        f"note: the {len(left_out)} highest scores were left out: {listed}"
        f"{f' and {more} more' if more > 0 else ''}. Each inlier among them "
        f"adds {1 / (len(names) + 1):.2g} to the false-alarm rate."
    )


if __name__ == "__main__":
    run_command(main, define_flags)
