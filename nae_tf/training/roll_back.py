"""Changes at a roll-back: other noise and smaller steps."""

import keras

from nae_tf.base.saving import Serializable
from nae_tf.training.divergence import DivergenceGuard


class RollBackRemedy:
    """The changes that may keep a phase from diverging again."""

    def __init__(self, model, guard: DivergenceGuard | None):
        """Store the seed and the learning rate at the start of a phase.

        Args:
            model: compiled model of the phase.
            guard: guard with the factor of the learning rate; None if nothing
                is ever rolled back.
        """
        self.guard = guard
        self.model = model
        self.seed = model.seed
        self.rate = model.optimizer.get_config()["learning_rate"]

    def apply(self, roll_backs: int):
        """Set the seed and the learning rate of the model after roll-backs.

        Args:
            roll_backs: number of roll-backs of the phase, >= 0.
        """
        if self.guard is None or not roll_backs:
            return
        scale = self.guard.rate_factor**roll_backs
        self.model.optimizer.learning_rate = scaled_rate(self.rate, scale)
        self.model.seed = self.seed + roll_backs
        # Traced graphs contain the rate and the seed.
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
        rate: learning rate in the config of an optimizer: a number or a
            serialised schedule.
        scale: factor of the rate, > 0.

    Returns:
        A value for the `learning_rate` of an optimizer.
    """
    if isinstance(rate, dict):
        schedule = keras.saving.deserialize_keras_object(rate)
        return ScaledSchedule(schedule, scale)
    return rate * scale
