"""Saving of a training, and its early end by a signal without a loss."""

import contextlib
import dataclasses
import signal
import sys
import threading
import time
from collections.abc import Callable

import gin
import keras

from nae_tf.base.setting_checks import check_number
from nae_tf.runs.first_signals import EXIT_INTERRUPTED
from nae_tf.training.distribution import (
    LOST_WORKER_ERRORS,
    all_gather,
    barrier,
)


@gin.register(module="nae_tf")
@dataclasses.dataclass(frozen=True)
class CheckpointSchedule:
    """The schedule by which the progress of a training is saved.

    Attributes:
        interval_seconds: seconds between two checkpoints, >= 0; a crash loses
            no more.
        max_share: largest share of the training time that saving takes, in
            (0, 1]; where a checkpoint takes long, the interval grows.
    """

    interval_seconds: float = 60.0
    max_share: float = 0.02

    def __post_init__(self):
        """Refuse settings out of range."""
        owner, interval = "CheckpointSchedule", self.interval_seconds
        check_number(owner, "interval_seconds", interval, "[0, inf]")
        check_number(owner, "max_share", self.max_share, "(0, 1]")

    def is_due(self, seconds_since: float, cost: float) -> bool:
        """Return whether it is time to save again.

        Args:
            seconds_since: seconds of training since the last checkpoint.
            cost: seconds that writing this checkpoint took.
        """
        return seconds_since >= max(
            self.interval_seconds, cost / self.max_share
        )


class Interruption:
    """Records SIGTERM and the first SIGINT (Ctrl-C) within its context.

    A second SIGINT ends the process at once.

    Attributes:
        signal: signal that a worker had received when all workers last agreed,
            or None. A later signal waits for the next time, because its worker
            would save while the others train.
    """

    def __init__(self):
        """Start without a signal."""
        self.signal: signal.Signals | None = None
        self._received = 0
        self._before = {}

    def __enter__(self):
        """Handle the signals if this is the main thread, which gets them."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *unused):
        """Restore the former handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, unused_frame):
        self._received = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def agree(self, wanted: bool = False) -> bool:
        """Agree with all workers on a signal, and on a wish of this worker.

        A collective operation.

        Args:
            wanted: whether this worker has the wish.

        Returns:
            Whether any worker has the wish.
        """
        any_wants, number = all_gather(wanted, self._received).max(0)
        self.signal = signal.Signals(int(number)) if number else None
        return bool(any_wants)

    def end_training(self):
        """End the process with `EXIT_INTERRUPTED` if a signal is agreed on."""
        if self.signal is not None:
            # A worker that ends may take the result of the last collective
            # operation from those that do not have it yet.
            with contextlib.suppress(*LOST_WORKER_ERRORS):
                barrier()
            print(
                f"{self.signal.name}: the progress is saved; continue with "
                "--resume.",
                file=sys.stderr,
            )
            raise SystemExit(EXIT_INTERRUPTED)


class InterruptionOfEvaluation(Interruption):
    """Ends the process at the first signal with `EXIT_INTERRUPTED`.

    It serves after training, when everything is saved.
    """

    def _note(self, number, unused_frame):
        print(
            f"{signal.Signals(number).name}: the training is saved; evaluate "
            "it with --resume.",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_INTERRUPTED)


class SaveProgress(keras.callbacks.Callback):
    """Save by the schedule, at a signal, and when a phase is over.

    It is the last of the callbacks, so that the states of all others belong to
    the same step.
    """

    def __init__(
        self,
        save: Callable[[int, int, bool], object],
        schedule: CheckpointSchedule,
        interruption: Interruption,
        epochs: int,
    ):
        """Prepare the calls of `save`.

        Args:
            save: function of the number of completed epochs, the number of
                completed steps of the next one, and whether the phase is over.
            schedule: schedule of the checkpoints.
            interruption: handler of signals.
            epochs: number of epochs of the phase.
        """
        super().__init__()
        self.steps_before = 0
        self.cost = 0.0
        self.last = time.monotonic()
        self._save = save
        self._schedule = schedule
        self._interruption = interruption
        self._epochs = epochs
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Store the number of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Save within an epoch, but not at its end, before the validation."""
        steps = batch + 1
        if steps < self.params["steps"]:
            self._save_if_due(self._epoch, self.steps_before + steps)

    def on_epoch_end(self, epoch, logs=None):
        """Save between epochs."""
        finished = self.model.stop_training or epoch + 1 == self._epochs
        self._save_if_due(epoch + 1, 0, finished)

    def _save_if_due(self, epoch, steps, finished=False):
        begin = time.monotonic()
        due = finished or self._schedule.is_due(begin - self.last, self.cost)
        # Saving needs all workers, even if only one of them is due.
        due = self._interruption.agree(due)
        if due or self._interruption.signal:
            self._save(epoch, steps, finished)
            self.last = time.monotonic()
            self.cost = self.last - begin
            self._interruption.end_training()
