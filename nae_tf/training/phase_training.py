"""Training of one phase of a run, which may be killed at any instant.

All randomness derives from seeds and counters. So a checkpoint holds only
variables, counters and the states of callbacks, and a resumed phase makes the
same steps as one that was never interrupted.
"""

import sys

from nae_tf.data.selection import sample
from nae_tf.runs.checkpoints import Progress, SavedCheckpoint
from nae_tf.runs.disk import explain_data_errors
from nae_tf.runs.progress import print_status
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.callbacks import KeepBest
from nae_tf.training.divergence import (
    COLLAPSE_EXAMPLES,
    DivergenceError,
    warn_of_collapse,
)
from nae_tf.training.experiment import Experiment, Phase
from nae_tf.training.interruption import Interruption, SaveProgress
from nae_tf.training.phase_callbacks import phase_callbacks
from nae_tf.training.phase_checkpoints import PhaseCheckpoints
from nae_tf.training.records import explanation
from nae_tf.training.roll_back import RollBackRemedy
from nae_tf.training.running_means import RestoreMeans


class PhaseTraining:
    """One phase of a run: `fit`, again after every roll-back."""

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

        Args:
            run: directory that the phase writes to.
            experiment: experiment with the data and the divergence guard.
            name: name of the phase, "pretraining" or "training".
            model: compiled model.
            phase: settings of the phase.
            interruption: handler of signals.

        Raises:
            ValueError: if the phase has patience, but no metric to watch.
        """
        self.experiment = experiment
        self.name = name
        self.model = model
        self.phase = phase
        # Built as in `LossModel.minimize_each`, so that it can be restored.
        model.optimizer.build(model.trainable_variables)
        self.remedy = RollBackRemedy(model, experiment.guard)
        self.callbacks = phase_callbacks(run, experiment, name, model, phase)
        for callback in self.callbacks:
            # Some are used before `fit`, or without it.
            callback.set_model(model)
        self.checkpoints = PhaseCheckpoints(run, name, model, self.callbacks)
        self.saving = SaveProgress(
            self.checkpoints.save,
            experiment.checkpoints,
            interruption,
            phase.epochs,
        )

    def train(self) -> None:
        """Train from the newest checkpoint to the end; keep the best weights.

        Raises:
            DivergenceError: if the training diverged, and the guard allows no
                roll-back, or no further one.
        """
        saved = self.checkpoints.newest()
        if saved is None:
            task, phase = self.experiment.task, self.phase
            unit = "epoch" if phase.epochs == 1 else "epochs"
            print_status(
                f"{self.name}: {phase.epochs} {unit} of "
                f"{phase.steps(task.train)} steps on {task.name}"
            )
            if text := explanation(self.model.means):
                print_status(f"({text})")
            progress = self.checkpoints.save(0, 0, self.phase.epochs == 0)
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
        for callback in self.callbacks:
            if isinstance(callback, KeepBest):
                callback.finish()
        if self.name == "pretraining" and self.phase.epochs:
            validation = self.experiment.task.validation
            # Of all kinds: those of one may well be drawn alike.
            some = sample(validation, COLLAPSE_EXAMPLES)
            batch = next(iter(some.batches(COLLAPSE_EXAMPLES)))
            # In the units of the networks, where no feature outweighs others.
            x = self.model.as_examples(batch)
            warn_of_collapse(self.name, self._reconstruct, x)

    def _reconstruct(self, x):
        return self.model.decode(self.model.encode(x))

    def _fit(self, progress: Progress) -> Progress:
        """Call `fit` for the rest of an epoch and for the epochs after it."""
        task, phase = self.experiment.task, self.phase
        limit = self.experiment.evaluation_limit
        steps = phase.steps(task.train)
        # First epoch, end of the last one, completed steps of the first one.
        spans = [(progress.epoch, phase.epochs, 0)]
        if progress.step:
            rest = progress.epoch + 1
            spans = [
                (progress.epoch, rest, progress.step),
                (rest, phase.epochs, 0),
            ]
        for first, last, step in spans:
            if self.checkpoints.progress.finished:
                break
            self.saving.steps_before = step
            # Callbacks explain errors of their own files.
            with explain_data_errors(task.name, "continue with --resume"):
                self.model.fit(
                    task.train.training_batches(
                        phase.batch_size,
                        self.experiment.seed + progress.roll_backs,
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
                    callbacks=[
                        # First, so that other callbacks see restored means.
                        RestoreMeans(progress.means if step else {}),
                        *self.callbacks,
                        # Last, because it saves the states of the others.
                        self.saving,
                    ],
                    verbose=0,
                )
        return self.checkpoints.progress

    def _restore(self, saved: SavedCheckpoint, roll_backs: int) -> Progress:
        """Restore a checkpoint, and noise and learning rate of roll-backs."""
        progress = self.checkpoints.restore(saved, roll_backs)
        self.remedy.apply(roll_backs)
        return progress

    def _roll_back(self, error: DivergenceError, guard) -> Progress:
        """Go back to the last good checkpoint, and save the new state."""
        saved = self.checkpoints.newest(good_only=True)
        before = self.checkpoints.progress.roll_backs
        if guard.action == "stop" or saved is None:
            raise DivergenceError(
                f"{error} Lower the learning rate or lengthen the chains, or "
                "set DivergenceGuard.action = 'roll_back'."
            ) from error
        if before >= guard.max_roll_backs:
            raise DivergenceError(
                f"{error} It was rolled back {before} times; lower the "
                "learning rate or lengthen the chains."
            ) from error
        print(f"{self.name}: {error}", file=sys.stderr)
        progress = self._restore(saved, before + 1)
        print(
            f"{self.name}: rolled back ({before + 1} of at most "
            f"{guard.max_roll_backs}), with another seed and "
            f"{guard.rate_factor ** (before + 1):g} times the learning rate; "
            f"{_describe(progress)}",
            file=sys.stderr,
        )
        return self.checkpoints.save(progress.epoch, progress.step, False)


def _describe(progress):
    if progress.finished:
        return "finished"
    return f"continuing after epoch {progress.epoch}, step {progress.step}"
