"""A training of so many steps, whatever the number of examples.

An epoch of 300 images is five steps, one of 60,000 almost a thousand: how much
a model has learned depends on the steps.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.input_checks import is_array
from nae_tf.base.pipelines import untuned
from nae_tf.base.setting_checks import check_integer

# Positional arguments of `keras.Model.fit` after x and y.
_POSITIONAL = ("batch_size", "epochs", "verbose", "callbacks")
_REMEDY = 'or "auto", the number of the recipe'


# Budget of a phase by the recipe, as an argument of `fit`.
AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Budget:
    """The budget of one phase.

    Attributes:
        steps: number of steps.
        learning_rate: learning rate of Adam.
        max_passes: passes over the examples after which few of them end the
            phase; None for none.
    """

    steps: int
    learning_rate: float
    max_passes: int | None = None

    def steps_on(self, steps_per_pass: float | None) -> int:
        """Return the number of steps on given examples.

        Args:
            steps_per_pass: steps of one pass over the examples, > 0; None where
                nobody knows, as for a generator.

        Example:
            >>> from nae_tf.base.step_budget import Budget
            >>> budget = Budget(steps=500, learning_rate=1e-3, max_passes=15)
            >>> [budget.steps_on(rows / 64) for rows in (60, 20_000)]
            [15, 500]
        """
        return limited_steps(self.steps, self.max_passes, steps_per_pass)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What `NAE.pretrain(x)` and `NAE.fit(x, steps="auto")` do.

    `docs/log.md` tells on which data it was chosen.

    Attributes:
        pretraining: budget of the autoencoder.
        training: budget of NAE after it, whose rate falls to 0 along a cosine.
        batch_size: examples per step.
        num_parts: number of epochs that the steps are shown as.
    """

    pretraining: Budget
    training: Budget
    batch_size: int = 64
    num_parts: int = 10


# Beyond so many passes NAE lowers the energies of its own examples ever further
# below those of others, by which few examples are spoilt.
RECIPE = Recipe(
    pretraining=Budget(1_500, 1e-3),
    training=Budget(500, 1e-3, max_passes=100),
)


def limited_steps(
    steps: int, max_passes: float | None, steps_per_pass: float | None
) -> int:
    """Return a number of steps, or fewer where they would pass too often.

        min(steps, ceil(max_passes * steps_per_pass))

    Args:
        steps: number of steps, >= 0.
        max_passes: largest number of passes, > 0; None for no limit.
        steps_per_pass: steps of one pass, > 0; None for no limit.

    Example:
        >>> from nae_tf.base.step_budget import limited_steps
        >>> limited_steps(200, max_passes=15, steps_per_pass=100 / 64)
        24
    """
    if max_passes is None or steps_per_pass is None:
        return steps
    return min(steps, math.ceil(max_passes * steps_per_pass))


def is_spent(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether a schedule has taken the learning rate down to 0.

    A rate that is a number may be set again, by a callback for instance.

    Args:
        optimizer: optimizer of a model, not one that scales losses for another.

    Example:
        >>> import keras
        >>> from nae_tf.base.step_budget import is_spent
        >>> rate = keras.optimizers.schedules.CosineDecay(1e-3, 2)
        >>> adam = keras.optimizers.Adam(rate)
        >>> before = is_spent(adam)
        >>> _ = adam.iterations.assign(2)
        >>> before, is_spent(adam)
        (False, True)
    """
    scheduled = isinstance(optimizer.get_config()["learning_rate"], dict)
    # A rate may rise from 0 at first.
    begun = int(optimizer.iterations.numpy()) > 0
    return scheduled and begun and not float(optimizer.learning_rate)


def arguments_of_budget(
    owner: str, x, steps, budget: Budget, args, kwargs
) -> tuple:
    """Translate a number of steps into arguments of `keras.Model.fit`.

    Args:
        owner: name of the method, used in error messages.
        x: array or tensor [num_examples, ...], or batches of examples.
        steps: number of steps, > 0, rounded up to a multiple of the epochs; or
            "auto" for those of `budget`, rounded down by less than an epoch.
        budget: what "auto" stands for.
        args: positional arguments of `keras.Model.fit` after x and y.
        kwargs: arguments of `keras.Model.fit` by name. `epochs` is the number
            of equal parts that the steps are shown as.

    Returns:
        x: batches without end, but for generators and the like.
        kwargs: all other arguments of `keras.Model.fit`, by name.
        steps: number of steps after rounding.

    Raises:
        ValueError: if the number of steps is out of range or given twice.
    """
    arguments = dict(zip(_POSITIONAL, args, strict=False)) | kwargs
    is_auto = isinstance(steps, str) and steps == AUTO
    if not is_auto:
        check_integer(owner, "steps", steps, 1, remedy=_REMEDY)
    if arguments.get("steps_per_epoch") is not None:
        raise ValueError(
            f"{owner}: expected steps or steps_per_epoch, received both; "
            "steps is their number in all epochs together."
        )
    batch_size = arguments.get("batch_size") or RECIPE.batch_size
    if is_auto:
        steps = budget.steps_on(_steps_per_pass(x, batch_size))
    epochs = min(arguments.get("epochs", RECIPE.num_parts), steps)
    steps_per_epoch = math.ceil(steps / epochs)
    if is_auto and "epochs" in arguments:
        steps_per_epoch = steps // epochs
    elif is_auto:
        # Fewer epochs: rounded up, 21 steps would be 30.
        epochs = steps // steps_per_epoch
    steps = epochs * steps_per_epoch
    arguments |= {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    if isinstance(x, keras.utils.PyDataset):
        return x, arguments, steps
    arguments["shuffle"] = False  # The batches come shuffled.
    if isinstance(x, tf.data.Dataset):
        return x.repeat(), arguments, steps
    if not is_array(x):
        return x, arguments, steps
    arguments.pop("batch_size", None)
    # Epochs are joined and then cut, so that all batches have one size.
    order = tf.data.Dataset.from_tensor_slices(np.asarray(x))
    shuffled = order.shuffle(len(x), seed=0).repeat()
    batches = shuffled.batch(batch_size, drop_remainder=True)
    return untuned(batches), arguments, steps


def _steps_per_pass(x, batch_size: int) -> float | None:
    """Return the number of batches in a pass over `x`; None if unknown."""
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    if isinstance(x, tf.data.Dataset):
        cardinality = int(x.cardinality())
        return cardinality if cardinality > 0 else None
    return len(x) / batch_size if is_array(x) else None
