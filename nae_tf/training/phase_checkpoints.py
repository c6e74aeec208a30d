"""Checkpoints of a phase: variables, states of callbacks, sizes of records."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import keras
import tensorflow as tf

from nae_tf.base.randomness import layer_seeds
from nae_tf.runs.checkpoints import (
    CheckpointDirectory,
    Progress,
    SavedCheckpoint,
    read,
)
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.callbacks import (
    AveragedWeights,
    KeepBest,
    ResumableCallback,
)
from nae_tf.training.divergence import WatchDivergence
from nae_tf.training.running_means import get_means, set_means

_Kind = TypeVar("_Kind", bound=keras.callbacks.Callback)


class PhaseCheckpoints:
    """Saves the state of a phase and restores it.

    Attributes:
        progress: progress that was saved or restored last.
    """

    def __init__(
        self,
        run: RunDirectory,
        name: str,
        model,
        callbacks: Sequence[keras.callbacks.Callback],
    ):
        """Prepare saving; nothing is read or written.

        Args:
            run: directory of the run.
            name: name of the phase.
            model: compiled model, whose optimizer is built.
            callbacks: callbacks of the phase.
        """
        self.progress = Progress()
        self._run = run
        self._model = model
        self._callbacks = callbacks
        self._directory = CheckpointDirectory(run.checkpoints(name))
        variables = {"model": model}
        if (best := self._find(KeepBest)) is not None:
            variables["best"] = best.weights
        self._variables = tf.train.Checkpoint(**variables)

    def newest(self, good_only: bool = False) -> SavedCheckpoint | None:
        """Return the newest checkpoint, by `CheckpointDirectory.newest`."""
        return self._directory.newest(good_only)

    def save(self, epoch: int, step: int, finished: bool) -> Progress:
        """Write a checkpoint.

        Args:
            epoch: number of completed epochs.
            step: number of completed steps of the current epoch.
            finished: whether the phase is over.

        Returns:
            The progress that was saved.

        Raises:
            DivergenceError: if the weights are infinite or too large.
            OSError: if the checkpoint cannot be written.
        """
        watch, best = self._find(WatchDivergence), self._find(KeepBest)
        average = self._find(AveragedWeights)
        if watch is not None and not finished:
            watch.check_weights()
        # Without a step there is no average.
        if average is not None and finished and epoch:
            average.finish()
        self.progress = Progress(
            epoch=epoch,
            step=step,
            finished=finished,
            good=watch is None or watch.good,
            roll_backs=self.progress.roll_backs,
            best_epoch=best and best.epoch,
            means=get_means(self._model),
            callbacks={
                name: callback.get_state()
                for name, callback in self._resumable().items()
            },
            records=self._run.record_sizes(),
            seeds=[
                keras.ops.convert_to_numpy(seed).tolist()
                for seed in layer_seeds(self._model)
            ],
        )
        self._directory.save(self._variables, self.progress)
        return self.progress

    def restore(self, saved: SavedCheckpoint, roll_backs: int) -> Progress:
        """Take the phase back to a checkpoint.

        Args:
            saved: checkpoint of this phase.
            roll_backs: number of roll-backs from now on; it is larger than that
                in the checkpoint when a roll-back restores it.

        Returns:
            The progress to continue from.
        """
        read(self._variables, saved)
        seeds = layer_seeds(self._model)
        for seed, value in zip(seeds, saved.progress.seeds, strict=False):
            seed.assign(value)
        for name, callback in self._resumable().items():
            callback.set_state(saved.progress.callbacks[name])
        set_means(self._model, saved.progress.means)
        # Records of a finished phase stay, because later phases wrote more.
        if not saved.progress.finished:
            self._run.cut_records(saved.progress.records)
        self.progress = dataclasses.replace(
            saved.progress, roll_backs=roll_backs
        )
        return self.progress

    def _resumable(self) -> dict[str, ResumableCallback]:
        """Return the callbacks with a state, by its name in checkpoints."""
        return {
            type(callback).__name__: callback
            for callback in self._callbacks
            if isinstance(callback, ResumableCallback)
        }

    def _find(self, kind: type[_Kind]) -> _Kind | None:
        """Return the callback of a class, or None if the phase has none."""
        for callback in self._callbacks:
            if isinstance(callback, kind):
                return callback
        return None
