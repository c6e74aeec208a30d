"""Detection of trainings that diverge, with a message in plain words.

Training by sampling can diverge: samples gather where data do not determine the
energy, the gap between the energies grows, and then the weights grow. Going
back a little, with other noise and smaller steps, usually helps.
"""

import dataclasses
import math
import sys
from collections.abc import Callable

import gin
import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.setting_checks import (
    check_choice,
    check_integer,
    check_number,
)
from nae_tf.training.callbacks import ResumableCallback

_EPOCHS_REPORTED = 10
# Number of examples that `warn_of_collapse` needs.
COLLAPSE_EXAMPLES = 128
# Spread below which an autoencoder has collapsed; a working one has about 1.
_COLLAPSED_SPREAD = 1e-6


class DivergenceError(ValueError):
    """The training diverged; the message has the reason and earlier metrics."""


@gin.register(module="nae_tf")
@dataclasses.dataclass(frozen=True)
class DivergenceGuard:
    """The definition of divergence, and the action against it.

    NaN or infinity in any metric or weight is always a divergence.

    Attributes:
        action: "stop" ends the training, "roll_back" takes it back to the last
            good checkpoint, with another seed and a smaller learning rate.
        max_roll_backs: largest number of roll-backs of a phase, >= 0; at the
            next divergence it stops.
        rate_factor: factor of the networks' learning rate at a roll-back, in
            (0, 1].
        max_gap_ratio: largest energy gap, in absolute value, as a multiple of
            the mean positive energy of the phase's first epoch.
        max_bound_fraction: largest share of the samples' elements at the
            bounds of the visible chain. Images that are mostly black have many.
        max_energy: largest mean energy of data or samples, in absolute value;
            for energies that may be negative, as IGEBM's, and have no natural
            unit.
        patience: number of consecutive epochs, > 0, beyond one of these three
            limits that is a divergence.
        max_weight_growth: largest norm of the trained weights, as a multiple
            of their norm at the start of the phase.
        weights_every: number of steps between two checks of the weights, > 0.
    """

    action: str = "stop"
    max_roll_backs: int = 3
    rate_factor: float = 0.5
    max_gap_ratio: float = 50.0
    max_bound_fraction: float = 0.99
    max_energy: float = math.inf
    patience: int = 3
    max_weight_growth: float = 20.0
    weights_every: int = 100

    def __post_init__(self):
        """Refuse settings out of range."""
        owner = "DivergenceGuard"
        check_choice(owner, "action", self.action, ["stop", "roll_back"])
        for name, smallest in [
            ("max_roll_backs", 0),
            ("patience", 1),
            ("weights_every", 1),
        ]:
            check_integer(owner, name, getattr(self, name), smallest)
        for name, interval in [
            ("rate_factor", "(0, 1]"),
            ("max_gap_ratio", "[0, inf]"),
            ("max_bound_fraction", "[0, inf]"),
            ("max_energy", "(0, inf]"),
            ("max_weight_growth", "[1, inf]"),
        ]:
            check_number(owner, name, getattr(self, name), interval)


class WatchDivergence(ResumableCallback):
    """Raise `DivergenceError` as soon as a training diverges."""

    def __init__(self, guard: DivergenceGuard):
        """Prepare to watch.

        Args:
            guard: guard with the thresholds.
        """
        super().__init__()
        self.guard = guard
        self.epoch = 0
        self.first_norm: float | None = None
        self.first_energy: float | None = None
        # Number of epochs in a row beyond the limit, by metric.
        self.suspicious: dict[str, int] = {}
        self.history: list[dict[str, float]] = []

    @property
    def good(self) -> bool:
        """Whether no threshold was crossed in the last epoch."""
        return not any(self.suspicious.values())

    def on_epoch_begin(self, epoch, logs=None):
        """Store the number of the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Check the running means, and after some steps the weights."""
        for name, value in (logs or {}).items():
            if not math.isfinite(value):
                self._report(f"{name} became {value}", name)
        step = int(self.model.optimizer.iterations.numpy())
        # The epoch's last step, too, because later callbacks keep the weights.
        is_last = batch + 1 == self.params["steps"]
        if is_last or step % self.guard.weights_every == 0:
            self.check_weights()

    def on_epoch_end(self, epoch, logs=None):
        """Check the metrics of the epoch."""
        metrics = {name: float(value) for name, value in logs.items()}
        metrics |= {"epoch": epoch + 1, "weight_norm": weight_norm(self.model)}
        self.history = [*self.history, metrics][-_EPOCHS_REPORTED:]
        if "energy_gap" in metrics:
            if self.first_energy is None:
                self.first_energy = metrics["positive_energy"]
            limit = self.guard.max_gap_ratio * self.first_energy
            self._count(
                "energy_gap",
                abs(metrics["energy_gap"]) > limit,
                f"the energy gap ran away beyond {limit:.3g}",
            )
        if "visible_fraction_at_bound" in metrics:
            self._count(
                "visible_fraction_at_bound",
                metrics["visible_fraction_at_bound"]
                > self.guard.max_bound_fraction,
                "the samples are stuck at the bounds of the visible chain",
            )
        for name in ("positive_energy", "negative_energy"):
            if name in metrics:
                self._count(
                    name,
                    abs(metrics[name]) > self.guard.max_energy,
                    f"{name} ran away beyond {self.guard.max_energy:.3g}",
                )

    def check_weights(self):
        """Raise `DivergenceError` if the weights are infinite or too large."""
        norm = weight_norm(self.model)
        if self.first_norm is None:
            # The first call comes before the first step.
            self.first_norm = norm
        if not math.isfinite(norm):
            self._report("the weights became NaN or infinite", "weight_norm")
        # A norm of 0 has no growth; it occurs where only log T is trained.
        if 0 < self.guard.max_weight_growth * self.first_norm < norm:
            self._report(
                f"the norm of the weights grew from {self.first_norm:.3g} to "
                f"{norm:.3g}",
                "weight_norm",
            )

    def get_state(self):
        """Return the values at the start and the metrics of recent epochs."""
        return {
            "first_norm": self.first_norm,
            "first_energy": self.first_energy,
            "suspicious": dict(self.suspicious),
            "history": self.history,
        }

    def set_state(self, state):
        """Restore these values."""
        self.first_norm = state["first_norm"]
        self.first_energy = state["first_energy"]
        self.suspicious = dict(state["suspicious"])
        self.history = list(state["history"])

    def _count(self, name, beyond, meaning):
        before = self.suspicious.get(name, 0)
        self.suspicious[name] = before + 1 if beyond else 0
        epochs = self.suspicious[name]
        if epochs >= self.guard.patience:
            self._report(f"{meaning} for {epochs} epochs in a row", name)

    def _report(self, what, name):
        before = ", ".join(
            f"{metrics['epoch']:.0f}: {metrics[name]:.3g}"
            for metrics in self.history
            if name in metrics
        )
        raise DivergenceError(
            f"the training diverged in epoch {self.epoch + 1}: {what}. "
            f"{name} by epoch: {before or 'none is complete'}."
        )


def warn_of_collapse(name: str, model: Callable, x):
    """Warn on standard error if all reconstructions are alike.

    Args:
        name: name of the phase, used in the message.
        model: trained autoencoder, a function of examples.
        x: float [batch, ...]. There is no warning if all examples are equal.
    """
    spread = reconstruction_spread(model, x)
    if spread < _COLLAPSED_SPREAD:
        print(
            f"{name}: warning: the autoencoder draws all examples alike, "
            f"{spread:.0e} times as various as the data. Its units have died, "
            "or the L2 penalty took the encoder's weights before they had "
            "learned anything; train anew with a warm-up of the learning rate, "
            "a smaller encoder_l2 or another seed.",
            file=sys.stderr,
        )


def reconstruction_spread(model: Callable, x) -> float:
    """Measure how much reconstructions differ from example to example.

    Args:
        model: an autoencoder, a function of examples.
        x: float [batch, ...].

    Returns:
        Variance of the reconstructions divided by that of `x`, each over the
        batch and summed over the elements. It is near 1 if reconstructions are
        good, 0 if all are equal, and NaN if all examples are equal.
    """
    reconstructed, given = (
        np.var(np.asarray(values, np.float64), axis=0).sum()
        for values in (model(x), x)
    )
    return float(reconstructed / given) if given else math.nan


def weight_norm(model: keras.Model) -> float:
    """Return the L2 norm of all trained weights together."""
    return float(
        tf.linalg.global_norm(
            [tf.convert_to_tensor(w) for w in model.trainable_variables]
        )
    )
