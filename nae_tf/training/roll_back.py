"""What a roll-back changes: other noise, and smaller steps."""

import keras

from nae_tf.base.saving import Serializable
from nae_tf.training.divergence import DivergenceGuard


class RollBackRemedy:
    """What may keep a phase from diverging again after a roll-back."""

    def __init__(self, model, guard: DivergenceGuard | None):
        """Remember the seed and the learning rate that a phase begins with.

        Args:
            model: Compiled model of the phase.
            guard: Guard that says how much smaller the steps become; None if
                nothing is ever rolled back.
        """
        self.guard = guard
        self.model = model
        self.seed = model.seed
        self.rate = model.optimizer.get_config()["learning_rate"]

    def apply(self, roll_backs: int):
        """Give the model the noise and the learning rate after roll-backs.

        Args:
            roll_backs: Number of roll-backs of the phase, >= 0.
        """
        if self.guard is None or not roll_backs:
            return
        scale = self.guard.rate_factor**roll_backs
        self.model.optimizer.learning_rate = scaled_rate(self.rate, scale)
        self.model.seed = self.seed + roll_backs
        # The graphs in use have the rate and the seed in them.
        self.model.forget_graphs()


@keras.saving.register_keras_serializable(package="nae_tf")
class ScaledSchedule(
    Serializable, keras.optimizers.schedules.LearningRateSchedule
):
    """A learning rate schedule times a constant."""

    def __init__(self, schedule, scale: float):
        """Multiply `schedule` by `scale`."""
        super().__init__()
        self.schedule = schedule
        self.scale = scale

    def __call__(self, step):
        """Return the rate of a step."""
        return self.scale * self.schedule(step)


def scaled_rate(rate, scale: float):
    """Return a learning rate times a constant.

    Args:
        rate: as it stands in an optimizer's config: a number, or a serialised
            schedule.
        scale: > 0.

    Returns:
        What an optimizer's `learning_rate` can be set to.
    """
    if isinstance(rate, dict):
        schedule = keras.saving.deserialize_keras_object(rate)
        return ScaledSchedule(schedule, scale)
    return rate * scale
