"""When training is saved, and how it ends early without losing anything."""

import dataclasses
import signal
import sys
import threading
import time
from collections.abc import Callable

import gin
import keras

from nae_tf.base.setting_checks import check_number
from nae_tf.training.distribution import gathered, part

# EX_TEMPFAIL of sysexits.h: "try again later".
EXIT_INTERRUPTED = 75


@gin.register(module="nae_tf")
@dataclasses.dataclass(frozen=True)
class CheckpointSchedule:
    """How often the progress of a training is saved.

    Attributes:
        interval_seconds: time between two checkpoints, and so what a crash
            costs at most.
        max_share: largest share of the training time that saving may take, in
            (0, 1]; where a checkpoint takes long, the interval grows.
    """

    interval_seconds: float = 60.0
    max_share: float = 0.02

    def __post_init__(self):
        """Refuse settings with no meaning."""
        owner, interval = "CheckpointSchedule", self.interval_seconds
        check_number(owner, "interval_seconds", interval, "[0, inf]")
        check_number(owner, "max_share", self.max_share, "(0, 1]")

    def is_due(self, seconds_since: float, cost: float) -> bool:
        """Whether to save again.

        Args:
            seconds_since: time trained since the last checkpoint.
            cost: seconds that it took to write.
        """
        return seconds_since >= max(
            self.interval_seconds, cost / self.max_share
        )


class Interruption:
    """Notes SIGTERM and the first SIGINT (Ctrl-C) while it is entered.

    A second SIGINT ends the process at once, as ever.

    Attributes:
        signal: what some worker had received when all last agreed. A signal
            that comes later waits for the next time, or its worker would save
            while the others train.
    """

    def __init__(self):
        """Nothing has been received yet."""
        self.signal: signal.Signals | None = None
        self._received = 0
        self._before = {}

    def __enter__(self):
        """Handle the signals, if this is the thread that receives them."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *unused):
        """Handle them as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, unused_frame):
        self._received = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def agree(self, wanted: bool = False) -> bool:
        """Learn what any worker has received, and whether any wants something.

        All workers must ask at the same time.
        """
        any_wants, number = gathered(wanted, self._received).max(0)
        self.signal = signal.Signals(int(number)) if number else None
        return bool(any_wants)

    def end_training(self):
        """End the process with `EXIT_INTERRUPTED` if a signal is agreed on."""
        if self.signal is not None:
            part()
            print(
                f"{self.signal.name}: the progress is saved; continue with "
                "--resume.",
                file=sys.stderr,
            )
            raise SystemExit(EXIT_INTERRUPTED)


class InterruptionOfEvaluation(Interruption):
    """Ends the process at the first signal, by `EXIT_INTERRUPTED`.

    For what comes after training: nothing is left to be saved.
    """

    def _note(self, number, unused_frame):
        print(
            f"{signal.Signals(number).name}: the training is saved; evaluate "
            "it with --resume.",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_INTERRUPTED)


class SaveProgress(keras.callbacks.Callback):
    """Save when it is time, when a signal comes, and when a phase is over.

    It stands last among the callbacks, so that the states of all others are
    those of the same step.
    """

    def __init__(
        self,
        save: Callable[[int, int, bool], object],
        schedule: CheckpointSchedule,
        interruption: Interruption,
        epochs: int,
    ):
        """Decide when to call `save`.

        Args:
            save: takes the epochs completed, the steps completed of the next
                one, and whether the phase is finished.
            schedule: says when it is time.
            interruption: says whether a signal has come.
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
        """Know which epoch it is."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Save within an epoch, but not where it ends: validation follows."""
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
        # Saving takes all workers, whosever time has come.
        due = self._interruption.agree(due)
        if due or self._interruption.signal:
            self._save(epoch, steps, finished)
            self.last = time.monotonic()
            self.cost = self.last - begin
            self._interruption.end_training()
