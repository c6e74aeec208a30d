"""Distil a trained run into a small network for small devices.

    nae-tf distil --run_dir=runs/digits

A student of a few Dense layers, or of Conv2D layers for images, learns the
energies that the run's model gives its training data and the samples of its
chains. Writes <run_dir>/distilled/<version>/, which needs nothing of the run:
student.keras, export/1 (a SavedModel as of nae-tf export, with p-values by
held-out inliers) and results.json, which compares both.
"""

import dataclasses
import json

import gin
import numpy as np
import scipy.stats
from absl import flags

from nae_tf.data.selection import sample
from nae_tf.evaluation.evaluate import format_table
from nae_tf.metrics.detection import auroc
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.command_line import (
    accepts_changed_data,
    define_run_dir_flags,
    run_command,
)
from nae_tf.runs.configuration import parse_config
from nae_tf.runs.disk import explain_data_errors
from nae_tf.runs.progress import progress_bar
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.device_export import export_for_device
from nae_tf.serving.device_formats import FORMATS
from nae_tf.serving.distillation import (
    Distillation,
    Distilled,
    Student,
    draw_negatives,
)
from nae_tf.serving.export import export_model, new_version
from nae_tf.training.experiment import Experiment
from nae_tf.training.run_data import read_schema, with_data_of_run

_BATCH_SIZE = 256
# Training examples that are held in memory at most.
_MOST = 50_000


def define_flags():
    """Define the flags of a distillation."""
    define_run_dir_flags("The folder of the run whose model is the teacher.")
    flags.DEFINE_integer(
        "version",
        None,
        "The number of the student. The default is the next free one.",
    )
    flags.DEFINE_float(
        "false_alarm_rate",
        0.05,
        "The share of inliers that may be called outliers.",
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "A setting of the student, such as Distillation.steps=1000. May be "
        "repeated.",
    )
    flags.DEFINE_multi_enum(
        "format",
        [],
        list(FORMATS),
        "A runtime that the student is exported for beside the SavedModel. May "
        "be repeated.",
    )


def main():
    """Distil the run that --run_dir names."""
    options = flags.FLAGS
    run = RunDirectory(options.run_dir)
    run.load_config(options.trust_config)
    if options.gin_bindings:
        parse_config([str(run.config)], options.gin_bindings)
    settings = gin.get_configurable(Distillation)()
    for name in options.format:
        FORMATS[name].require(run.path / "distilled")
    # Once, because it opens the data.
    configured = Experiment.from_config()
    limit = configured.evaluation_limit
    whole = dataclasses.replace(configured, evaluation_limit=None)
    experiment = with_data_of_run(
        run, whole, accept_changes=accepts_changed_data()
    )
    if experiment.task.features is not None:
        raise ValueError(
            f"{experiment.task.name}: its examples are features that a network "
            "makes of images, which a student would not spare; export the run "
            "by nae-tf export."
        )
    teacher = experiment.build_model()
    restore(teacher, run.checkpoints("training"))
    task = experiment.task
    with explain_data_errors(task.name):
        distilled, counts = _distil(teacher, settings, task)
        student = Student(distilled.network, teacher.value_range)
        calibration = Calibration(
            _scores(student, task.validation), options.false_alarm_rate
        )
        results = _compare(teacher, student, task, limit)
    results |= counts | {
        "target": distilled.target,
        "threshold": _number(calibration.threshold),
        "false_alarm_rate": calibration.false_alarm_rate,
        "num_calibration_scores": len(calibration.scores),
        "settings": dataclasses.asdict(settings),
    }
    path = _write(run, student, distilled, calibration, results)
    print(format_table({"methods": results["methods"]}))
    print(
        f"\n{path}: {results['student']['num_weights']:,} weights for "
        f"{results['teacher']['num_weights']:,}; scores above "
        f"{calibration.threshold:.6g} are outliers; false-alarm rate "
        f"{calibration.false_alarm_rate:g} by {len(calibration.scores)} "
        "held-out inliers"
    )


def _distil(teacher, settings, task) -> tuple[Distilled, dict]:
    """Train a student; return it, and what it was trained on."""
    inliers = np.concatenate(
        list(sample(task.train, _MOST).batches(_BATCH_SIZE).as_numpy_iterator())
    )
    with progress_bar(settings.num_negatives, "sample", "chains") as bar:
        negatives = draw_negatives(
            teacher,
            inliers,
            settings.num_negatives,
            settings.seed,
            bar.update,
        )
    with progress_bar(settings.steps, "step", "student") as bar:
        distilled = settings.fit(
            inliers, negatives, teacher.predict_outlier_score, bar.update
        )
    return distilled, {
        "num_inliers": len(inliers),
        "num_negatives": len(negatives),
    }


def _scores(model, examples) -> np.ndarray:
    return model.predict_outlier_score(examples.batches(_BATCH_SIZE))


def _compare(teacher, student, task, limit) -> dict:
    """Compare student and teacher on the sets of the final table."""
    models = {type(teacher).__name__: teacher, "student": student}
    sets = {"": task.test} | dict(task.outliers)
    scores = {
        title: {
            name: _scores(model, sample(examples, limit))
            for name, examples in sets.items()
        }
        for title, model in models.items()
    }
    aurocs = {
        title: {name: auroc(of[""], of[name]) for name in task.outliers}
        for title, of in scores.items()
    }
    both = [np.concatenate(list(of.values())) for of in scores.values()]
    return {
        "task": task.name,
        "methods": {
            title: {
                "outliers": {
                    name: {"metrics": {"auroc": {"value": value}}}
                    for name, value in aurocs[title].items()
                }
            }
            for title in scores
        },
        "rank_correlation": _number(scipy.stats.spearmanr(*both).statistic),
        "teacher": {
            "model": type(teacher).__name__,
            "num_weights": _num_weights(teacher),
        },
        "student": {
            "num_weights": _num_weights(student),
            "layers": [type(x).__name__ for x in student.network.layers],
        },
    }


def _num_weights(model) -> int:
    return sum(int(np.prod(x.shape)) for x in model.trainable_variables)


def _number(value) -> float | None:
    """Return a number as JSON has it, which knows no infinity."""
    return float(value) if np.isfinite(value) else None


def _write(run, student, distilled, calibration, results):
    """Write a version of the student, complete or not at all."""
    config, schema = run.config.read_text(encoding="utf-8"), read_schema(run)
    text = json.dumps(results, indent=2, allow_nan=False) + "\n"
    with new_version(run.path / "distilled", flags.FLAGS.version) as (
        temporary,
        path,
    ):
        temporary.mkdir()
        distilled.network.save(temporary / "student.keras")
        export_model(
            student, calibration, temporary / "export", 1, config, schema
        )
        for name in flags.FLAGS.format:
            export_for_device(
                student, calibration, temporary / name, name, 1, config, schema
            )
        (temporary / "results.json").write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    run_command(main, define_flags)
