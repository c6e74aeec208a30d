"""The callbacks of a phase, in the order in which they run."""

import keras

from nae_tf.data.task import Task
from nae_tf.nae import NAE
from nae_tf.runs.checkpoints import WeightsCopy
from nae_tf.runs.configuration import given_names
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.callbacks import (
    AveragedWeights,
    EarlyStopping,
    KeepBest,
)
from nae_tf.training.divergence import WatchDivergence
from nae_tf.training.experiment import Experiment, Phase
from nae_tf.training.hparams_tab import TensorBoardConfiguration
from nae_tf.training.records import (
    MetricsFile,
    ReplayBufferMetrics,
    TrainingProgress,
)
from nae_tf.training.selection_auroc import SelectionAuroc
from nae_tf.training.snapshots import KeepSnapshots
from nae_tf.training.tensorboard import (
    TensorBoardPictures,
    TensorBoardScalars,
)
from nae_tf.training.verdict import SampleProgress


def phase_callbacks(
    run: RunDirectory, experiment: Experiment, name: str, model, phase: Phase
) -> list[keras.callbacks.Callback]:
    """Make the callbacks of a phase.

    Args:
        run: directory that they write to.
        experiment: experiment with the data and the divergence guard.
        name: name of the phase, "pretraining" or "training".
        model: compiled model.
        phase: settings of the phase.

    Returns:
        Callbacks in the order in which they run.

    Raises:
        ValueError: if the phase has patience, but no metric to watch.
    """
    task, guard = experiment.task, experiment.guard
    steps, limit = phase.steps(task.train), experiment.evaluation_limit
    metric, mode = _selection_metric(name, task)
    if phase.patience is not None and metric is None:
        raise ValueError(
            "Phase.patience needs a metric to watch, but the task has no "
            "selection outliers; remove it."
        )
    scalars = TensorBoardScalars(run.tensorboard, name)
    callbacks = [
        # The first three add metrics to an epoch's logs, for those that follow.
        SelectionAuroc(task, batch_size=phase.batch_size, limit=limit)
        if metric == SelectionAuroc.MONITOR
        else None,
        ReplayBufferMetrics(),
        # As many samples as pictures, which are then drawn by the same graph.
        SampleProgress(task.validation, TensorBoardPictures.NUM_PICTURES)
        if isinstance(model, NAE)
        else None,
        # Before those that raise, so that records show the epoch that diverged.
        MetricsFile(run.metrics, name),
        # Opens the file that the next two write into.
        scalars,
        TensorBoardPictures(
            scalars, task, experiment.picture_interval, phase.epochs, steps
        ),
        # Only in this phase, because its metrics compare runs.
        TensorBoardConfiguration(
            scalars,
            run.config,
            given_names(),
            task,
            [
                *([] if experiment.pretraining is None else ["AE"]),
                type(model).__name__,
            ],
        )
        if name == "training"
        else None,
        # Before those that keep weights: an epoch that diverged keeps none.
        WatchDivergence(guard) if guard is not None else None,
        KeepBest(WeightsCopy(model), metric, mode)
        if phase.keep == "best" and metric is not None
        else None,
        # Before `SaveProgress`, which saves whether the phase is over.
        EarlyStopping(metric, phase.patience, mode)
        if phase.patience is not None and metric is not None
        else None,
        KeepSnapshots(run.snapshots(name), phase.epochs, phase.num_snapshots)
        if phase.num_snapshots
        else None,
        # After those that raise: its line means that the epoch is complete.
        TrainingProgress(name, phase.epochs, steps),
        # Last, because it removes the averages that those above use.
        AveragedWeights(WeightsCopy(model))
        if model.optimizer.use_ema
        else None,
    ]
    return [callback for callback in callbacks if callback is not None]


def _selection_metric(name: str, task: Task) -> tuple[str | None, str]:
    """Return the metric that selects the best epoch, or None, and its mode."""
    if name == "pretraining":
        return "val_reconstruction_error", "min"
    if task.selection:
        return SelectionAuroc.MONITOR, "max"
    return None, "min"
