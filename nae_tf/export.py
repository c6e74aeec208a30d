"""Export a trained run for TensorFlow Serving, or for another runtime.

    nae-tf export --run_dir=runs/digits
    nae-tf export --run_dir=runs/digits --format=onnx

Writes <run_dir>/export/<version>/, a SavedModel that needs TensorFlow and
nothing else. It contains the calibration, so it answers with p-values as well.
Other formats are written into <run_dir>/<format>/<version>/: the same scores
for LiteRT, ONNX or OpenVINO.
"""

import dataclasses
import math

from absl import flags

from nae_tf.base.detector import OutlierDetector
from nae_tf.data.feature_networks import ImageFeatures
from nae_tf.data.schema import Schema
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.command_line import (
    accepts_changed_data,
    define_run_dir_flags,
    run_command,
)
from nae_tf.runs.disk import (
    explain_data_errors,
    write_atomically,
)
from nae_tf.runs.progress import print_status
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.device_export import export_for_device
from nae_tf.serving.device_formats import FORMATS
from nae_tf.serving.export import export_model
from nae_tf.serving.on_features import OnFeatures
from nae_tf.serving.signatures import takes_images
from nae_tf.training.experiment import Experiment
from nae_tf.training.run_data import read_schema, with_data_of_run

_BATCH_SIZE = 256
# Examples by which another format is checked.
_NUM_CHECKED = 64


def calibrate(
    experiment: Experiment, model, false_alarm_rate: float
) -> Calibration:
    """Calibrate a run's model on validation inliers.

    Training has used them only to choose an epoch.

    Args:
        experiment: experiment of the run.
        model: trained model of the run.
        false_alarm_rate: share of inliers that may be called outliers, in
            (0, 1).

    Raises:
        OSError: if the data cannot be read.
    """
    task = experiment.task
    with explain_data_errors(task.name):
        scores = model.predict_outlier_score(
            task.validation.batches(_BATCH_SIZE)
        )
    return Calibration(scores, false_alarm_rate)


def behind_features(
    features: ImageFeatures | None,
    model: OutlierDetector,
    schema: Schema | None,
) -> tuple[OutlierDetector, Schema | None]:
    """Return what is served, which takes images, and its schema.

    Args:
        features: how examples of the model are made of images; None if images
            or vectors are its examples.
        model: trained model.
        schema: schema of its examples, if there is one.
    """
    if features is None:
        return model, schema
    if schema is not None:
        schema = dataclasses.replace(
            schema,
            shape=features.image_shape,
            num_levels=features.num_levels,
            value_range=(0.0, 1.0),
        )
    return OnFeatures(features, model), schema


def define_flags():
    """Define the flags of an export."""
    define_run_dir_flags("The folder of the run to export.")
    flags.DEFINE_integer(
        "version",
        None,
        "The number of the export. The default is the next free one.",
    )
    flags.DEFINE_float(
        "false_alarm_rate",
        0.05,
        "The share of inliers that may be called outliers.",
    )
    flags.DEFINE_enum(
        "format",
        "saved_model",
        ["saved_model", *FORMATS],
        "The runtime to export for. All but saved_model need the extra of "
        "their name: pip install 'nae-tf[onnx]'.",
    )


def main():
    """Export the run that --run_dir names."""
    run = RunDirectory(flags.FLAGS.run_dir)
    run.load_config(flags.FLAGS.trust_config)
    whole = dataclasses.replace(Experiment.from_config(), evaluation_limit=None)
    experiment = with_data_of_run(
        run, whole, accept_changes=accepts_changed_data()
    )
    model = experiment.build_model()
    restore(model, run.checkpoints("training"))
    calibration = calibrate(experiment, model, flags.FLAGS.false_alarm_rate)
    path, checked = _write(run, experiment.task, model, calibration)
    write_atomically(run.path / "calibration.json", calibration.to_json())
    if math.isinf(calibration.threshold) and calibration.false_alarm_rate > 0:
        needed = math.ceil(1 / calibration.false_alarm_rate) - 1
        print(
            f"note: no score will be called an outlier, because a false-alarm "
            f"rate of {calibration.false_alarm_rate:g} needs {needed} held-out "
            f"inliers and the run has {len(calibration.scores)}."
        )
    print(
        f"{path}: scores above {calibration.threshold:.6g} are outliers; false-"
        f"alarm rate {calibration.false_alarm_rate:g} by "
        f"{len(calibration.scores)} held-out inliers{checked}"
    )


def _write(run, task, model, calibration):
    """Write what --format names; return its path, and the end of a line."""
    served, schema = behind_features(task.features, model, read_schema(run))
    texts = run.config.read_text(encoding="utf-8"), schema
    version, format = flags.FLAGS.version, flags.FLAGS.format
    if format == "saved_model":
        folder = run.path / "export"
        return export_model(served, calibration, folder, version, *texts), ""
    FORMATS[format].require(run.path / format)
    examples = None
    if task.features is None:  # Otherwise they are no images any more.
        with explain_data_errors(task.name):
            examples = next(iter(task.validation.batches(_NUM_CHECKED)))
    written = export_for_device(
        served,
        calibration,
        run.path / format,
        format,
        version,
        *texts,
        examples=examples,
    )
    if takes_images(served):
        print_status(
            "note: the examples are arrays; PNG and JPEG files are decoded by "
            "the SavedModel alone (--format=saved_model)."
        )
    return written.path, (
        f"; checked by {written.num_checked} examples, whose energies differ "
        f"from the run's by {written.difference:.2g} at most"
    )


if __name__ == "__main__":
    run_command(main, define_flags)
