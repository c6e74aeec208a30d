"""Train one phase of a run so that it can be killed at any instant.

All randomness derives from seeds and counters, so variables, counters and the
states of the callbacks are all that a checkpoint has to hold: a resumed phase
goes through the same steps as one that was never interrupted.
"""

import sys

import keras
import tensorflow as tf

from nae_tf.runs.checkpoints import (
    CheckpointDirectory,
    Progress,
    SavedCheckpoint,
    WeightsCopy,
    read,
)
from nae_tf.runs.disk import explain_data_errors
from nae_tf.runs.progress import print_status
from nae_tf.runs.run_directory import RunDirectory, cut_records, record_sizes
from nae_tf.training.callbacks import (
    AveragedWeights,
    EarlyStopping,
    KeepBest,
    ResumableCallback,
    SelectionAuroc,
    selection_key,
)
from nae_tf.training.divergence import (
    COLLAPSE_EXAMPLES,
    DivergenceError,
    WatchDivergence,
    scaled_rate,
    warn_of_collapse,
)
from nae_tf.training.experiment import Experiment, Phase
from nae_tf.training.interruption import Interruption, SaveProgress
from nae_tf.training.records import (
    MetricsFile,
    ReplayBufferFigures,
    TrainingProgress,
)
from nae_tf.training.running_means import RestoreMeans, get_means, set_means
from nae_tf.training.snapshots import KeepSnapshots
from nae_tf.training.tensorboard import (
    TensorBoardConfiguration,
    TensorBoardPictures,
    TensorBoardScalars,
)


class PhaseTraining:
    """One phase: its model, its callbacks, and its checkpoints."""

    def __init__(
        self,
        run: RunDirectory,
        experiment: Experiment,
        name: str,
        model,
        phase: Phase,
        interruption: Interruption,
    ):
        """Prepare a compiled model's training; nothing is read or written.

        Raises:
            ValueError: the phase asks for patience without a figure to watch.
        """
        self.run = run
        self.experiment = experiment
        self.name = name
        self.model = model
        self.phase = phase
        self.directory = CheckpointDirectory(run.checkpoints(name))
        self.roll_backs = 0
        self.seed = model.seed
        self.rate = model.optimizer.get_config()["learning_rate"]
        # As `OutlierDetector.minimize` does: the state is there to restore.
        model.optimizer.build(model.trainable_variables)
        self.best: KeepBest | None = None
        self.watch: WatchDivergence | None = None
        self.average: AveragedWeights | None = None
        self.callbacks = self._make_callbacks()
        self.saving = SaveProgress(
            self.save, experiment.checkpoints, interruption, phase.epochs
        )
        variables = {"model": model}
        if self.best is not None:
            variables["best"] = self.best.weights
        self.checkpoint = tf.train.Checkpoint(**variables)

    def train(self) -> None:
        """Train from where the phase is to its end; keep the best weights.

        Raises:
            DivergenceError: the training diverged, and was not to be rolled
                back or too often.
        """
        saved = self.directory.newest()
        if saved is None:
            print_status(
                f"{self.name}: {self.phase.epochs} epochs on "
                f"{self.experiment.task.name}"
            )
            progress = self.save(0, 0, self.phase.epochs == 0)
        else:
            progress = self._restore(saved, saved.progress.roll_backs)
            print_status(f"{self.name}: {_describe(progress)}")
        while not progress.finished:
            try:
                progress = self._fit(progress)
            except DivergenceError as error:
                for callback in self.callbacks:
                    callback.on_train_end()  # `fit` calls it if it succeeds.
                progress = self._roll_back(error, self.experiment.guard)
        if self.best is not None and self.best.epoch is not None:
            self.best.weights.copy_to(self.model)
        if self.name == "pretraining" and self.phase.epochs:
            validation = self.experiment.task.validation
            batch = next(iter(validation.batches(COLLAPSE_EXAMPLES)))
            warn_of_collapse(self.name, self.model, batch)

    def save(self, epoch: int, step: int, finished: bool) -> Progress:
        """Write a checkpoint.

        Args:
            epoch: epochs completed.
            step: steps completed of the epoch under way.
            finished: whether the phase is over.
        """
        if self.watch is not None and not finished:
            self.watch.check_weights()
        # No step, no average.
        if self.average is not None and finished and epoch:
            self.average.finish()
        self.progress = Progress(
            epoch=epoch,
            step=step,
            finished=finished,
            good=self.watch is None or self.watch.good,
            roll_backs=self.roll_backs,
            best_epoch=self.best and self.best.epoch,
            means=get_means(self.model),
            callbacks={
                type(callback).__name__: callback.get_state()
                for callback in self._resumable()
            },
            records=record_sizes(self.run),
        )
        self.directory.save(self.checkpoint, self.progress)
        return self.progress

    def _make_callbacks(self):
        task, phase = self.experiment.task, self.phase
        steps = phase.steps(task.train)
        scalars = TensorBoardScalars(self.run.tensorboard, self.name)
        callbacks: list[keras.callbacks.Callback] = [
            ReplayBufferFigures(),
            MetricsFile(self.run.metrics, self.name),
            scalars,
            TensorBoardPictures(
                scalars,
                task,
                self.experiment.picture_interval,
                phase.epochs,
                steps,
            ),
        ]
        if self.name == "training":
            figures = [
                SelectionAuroc.MONITOR,
                *map(selection_key, task.selection),
            ]
            callbacks.append(
                TensorBoardConfiguration(scalars, self.run.config, figures)
            )
        monitor, mode = None, "min"
        if self.name == "pretraining":
            monitor = "val_reconstruction_error"
        elif task.selection:
            monitor, mode = SelectionAuroc.MONITOR, "max"
            limit = self.experiment.evaluation_limit
            callbacks.insert(0, SelectionAuroc(task, phase.batch_size, limit))
        if self.experiment.guard is not None:
            self.watch = WatchDivergence(self.experiment.guard)
            self.watch.set_model(self.model)
            callbacks.append(self.watch)
        if phase.keep == "best" and monitor is not None:
            self.best = KeepBest(WeightsCopy(self.model), monitor, mode)
            callbacks.append(self.best)
        if phase.patience is not None:
            if monitor is None:
                raise ValueError(
                    "Phase.patience needs a figure to watch, but the task has "
                    "no selection outliers; remove it."
                )
            callbacks.append(EarlyStopping(monitor, phase.patience, mode))
        if phase.num_snapshots:
            directory = self.run.snapshots(self.name)
            callbacks.append(
                KeepSnapshots(directory, phase.epochs, phase.num_snapshots)
            )
        callbacks.append(TrainingProgress(self.name, phase.epochs, steps))
        if self.model.optimizer.use_ema:
            self.average = AveragedWeights(WeightsCopy(self.model))
            self.average.set_model(self.model)
            callbacks.append(self.average)
        return callbacks

    def _fit(self, progress):
        """Call `fit` for the rest of an epoch, and for those after it."""
        task, phase = self.experiment.task, self.phase
        limit = self.experiment.evaluation_limit
        steps = phase.steps(task.train)
        parts = [(progress.epoch, phase.epochs, 0)]
        if progress.step:
            rest = progress.epoch + 1
            parts = [
                (progress.epoch, rest, progress.step),
                (rest, phase.epochs, 0),
            ]
        for first, last, step in parts:
            if self.progress.finished:
                break
            self.saving.steps_before = step
            restored = RestoreMeans(progress.means if step else {})
            # What callbacks cannot write, they explain themselves.
            with explain_data_errors(task.name, "continue with --resume"):
                self.model.fit(
                    task.train.training_batches(
                        phase.batch_size,
                        self.experiment.seed + self.roll_backs,
                        start_step=first * steps + step,
                        dequantize=phase.dequantize,
                        flip=phase.flip,
                    ),
                    initial_epoch=first,
                    epochs=last,
                    steps_per_epoch=steps - step,
                    shuffle=False,  # The batches come shuffled.
                    validation_data=task.validation.batches(
                        phase.batch_size, limit
                    ),
                    callbacks=[restored, *self.callbacks, self.saving],
                    verbose=0,
                )
        return self.progress

    def _restore(self, saved: SavedCheckpoint, roll_backs: int) -> Progress:
        """Be where a checkpoint was, and noise and rate of a roll-back."""
        read(self.checkpoint, saved)
        self.progress = saved.progress
        self.roll_backs = roll_backs
        for callback in self._resumable():
            callback.set_state(
                saved.progress.callbacks[type(callback).__name__]
            )
        set_means(self.model, saved.progress.means)
        if not saved.progress.finished:  # Else later phases may have written.
            cut_records(self.run, saved.progress.records)
        guard = self.experiment.guard
        if guard is not None and roll_backs:
            scale = guard.rate_factor**roll_backs
            self.model.optimizer.learning_rate = scaled_rate(self.rate, scale)
            self.model.seed = self.seed + roll_backs
            # The graphs in use have the rate and the seed in them.
            self.model.forget_graphs()
        return self.progress

    def _roll_back(self, error: DivergenceError, guard) -> Progress:
        """Go back to the last good checkpoint, and save the way out."""
        saved = self.directory.newest(good_only=True)
        roll_backs = self.roll_backs + 1
        if guard.action == "stop" or saved is None:
            raise DivergenceError(
                f"{error} Lower the learning rate or lengthen the chains, or "
                "set DivergenceGuard.action = 'roll_back'."
            ) from error
        if roll_backs > guard.max_roll_backs:
            raise DivergenceError(
                f"{error} It was rolled back {self.roll_backs} times; lower "
                "the learning rate or lengthen the chains."
            ) from error
        print(f"{self.name}: {error}", file=sys.stderr)
        progress = self._restore(saved, roll_backs)
        print(
            f"{self.name}: rolled back ({roll_backs} of at most "
            f"{guard.max_roll_backs}), with another seed and "
            f"{guard.rate_factor**roll_backs:g} times the learning rate; "
            f"{_describe(progress)}",
            file=sys.stderr,
        )
        return self.save(progress.epoch, progress.step, False)

    def _resumable(self):
        return [
            callback
            for callback in self.callbacks
            if isinstance(callback, ResumableCallback)
        ]


def _describe(progress):
    if progress.finished:
        return "finished"
    return f"continuing after epoch {progress.epoch}, step {progress.step}"
