"""Train a model.

    python -m nae_tf.train --gin_file=gin/digits.gin

Pre-trains the autoencoder, trains the model from its best weights, and prints
the AUROC of both on test data. Everything goes into --run_dir.
"""

import os
import pathlib
import sys

import gin
import keras
from absl import flags

from nae_tf.callbacks import KeepBest, MetricsFile, SelectionAuroc
from nae_tf.checkpoints import checkpoint_manager, restore
from nae_tf.evaluate import evaluate, format_table
from nae_tf.experiment import Experiment, Phase
from nae_tf.runtime import (
    RunDirectory,
    parse_config,
    run_command,
    write_atomically,
)
from nae_tf.tensorboard import TensorBoardScalars


def train(run: RunDirectory, experiment: Experiment) -> dict:
    """Carry out an experiment in a new run directory.

    Args:
        run: where everything is written.
        experiment: built from the parsed gin configuration.

    Returns:
        The results, see `evaluate`.

    Raises:
        FileExistsError: the directory holds a run already.
    """
    run.create()
    model = experiment.build_model()
    phases = [("training", model, experiment.training)]
    if experiment.pretraining is not None:
        pretrained = model.autoencoder()
        phases.insert(0, ("pretraining", pretrained, experiment.pretraining))
    for _, phase_model, phase in phases:
        phase_model.compile(phase.optimizer())
    # By now gin knows every parameter that the run uses, defaults included.
    write_atomically(run.config, gin.operative_config_str())
    for name, phase_model, phase in phases:
        fit_phase(run, experiment, name, phase_model, phase)
    return evaluate(run, experiment)


def fit_phase(
    run: RunDirectory, experiment: Experiment, name: str, model, phase: Phase
):
    """Fit one phase, and leave the model with the weights that it keeps."""
    task = experiment.task
    limit = experiment.evaluation_limit
    print(f"{name}: {phase.epochs} epochs on {task.name}", flush=True)
    manager = checkpoint_manager(model, run.checkpoints(name))
    callbacks = [
        MetricsFile(run.metrics, name),
        TensorBoardScalars(run.tensorboard, name),
    ]
    if name == "pretraining":
        monitor, mode = "val_reconstruction_error", "min"
    elif task.selection:
        monitor, mode = SelectionAuroc.MONITOR, "max"
        callbacks.insert(0, SelectionAuroc(task, phase.batch_size, limit))
    else:
        monitor, mode = None, "min"
    watched = monitor if phase.keep == "best" else None
    callbacks.append(KeepBest(manager, watched, mode))
    if phase.patience is not None:
        if monitor is None:
            raise ValueError(
                "Phase.patience needs a figure to watch, but the task has no "
                "selection outliers; remove it."
            )
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor, patience=phase.patience, mode=mode
            )
        )
    if phase.epochs == 0:
        manager.save(checkpoint_number=0)
    else:
        model.fit(
            task.train.training_batches(
                phase.batch_size,
                experiment.seed,
                dequantize=phase.dequantize,
                flip=phase.flip,
            ),
            epochs=phase.epochs,
            steps_per_epoch=phase.steps(task.train),
            shuffle=False,  # The batches come shuffled.
            validation_data=task.validation.batches(phase.batch_size, limit),
            callbacks=callbacks,
            verbose=1 if sys.stdout.isatty() else 2,
        )
    restore(model, run.checkpoints(name))


def main():
    """Train what --gin_file and --gin_bindings describe."""
    gin_files = flags.FLAGS.gin_file
    parse_config(gin_files, flags.FLAGS.gin_bindings)
    name = pathlib.Path(gin_files[0]).stem
    run = RunDirectory(flags.FLAGS.run_dir or os.path.join("runs", name))
    results = train(run, Experiment.from_config())
    print(
        f"\n{format_table(results)}\n\nreport: {run.report}\n"
        f"run directory: {run.path}"
    )


if __name__ == "__main__":
    flags.DEFINE_multi_string(
        "gin_file",
        None,
        "Configuration; repeatable, later ones win.",
        required=True,
    )
    flags.DEFINE_multi_string(
        "gin_bindings", [], "One binding, such as NAE.seed=1; repeatable."
    )
    flags.DEFINE_string(
        "run_dir",
        None,
        "Where the run goes; default: runs/<name of the first gin file>.",
    )
    run_command(main)
