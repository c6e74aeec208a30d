"""A training of so many steps, whatever the number of examples.

An epoch of 300 images is two steps, one of 60,000 almost five hundred: how much
a model has learned depends on the steps.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.input_checks import is_array
from nae_tf.base.setting_checks import check_integer

# Positional arguments of `keras.Model.fit` after x and y.
_POSITIONAL = ("batch_size", "epochs", "verbose", "callbacks")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The budget that `NAE.pretrain` and `NAE.fit(steps=...)` take by default.

    `docs/log.md` tells on which data it was chosen.

    Attributes:
        batch_size: examples per step.
        pretraining_steps: steps of the autoencoder.
        pretraining_learning_rate: learning rate of Adam for the autoencoder.
        steps: steps of NAE after it.
        learning_rate: first learning rate of Adam for NAE, which falls to 0
            along a cosine.
        num_parts: number of epochs that the steps are shown as.
    """

    batch_size: int = 64
    pretraining_steps: int = 1_500
    pretraining_learning_rate: float = 1e-3
    steps: int = 500
    learning_rate: float = 1e-3
    num_parts: int = 10


RECIPE = Recipe()


def arguments_of_budget(owner: str, x, steps: int, args, kwargs) -> tuple:
    """Translate a number of steps into arguments of `keras.Model.fit`.

    Args:
        owner: name of the method, used in error messages.
        x: array or tensor [num_examples, ...], or batches of examples.
        steps: number of steps, > 0, rounded up to a multiple of the epochs.
        args: positional arguments of `keras.Model.fit` after x and y.
        kwargs: arguments of `keras.Model.fit` by name. `epochs` is the number
            of equal parts that the steps are shown as.

    Returns:
        x: batches without end, but for generators and the like.
        kwargs: all other arguments of `keras.Model.fit`, by name.

    Raises:
        ValueError: if the number of steps is out of range or given twice.
    """
    check_integer(owner, "steps", steps, 1)
    arguments = dict(zip(_POSITIONAL, args, strict=False)) | kwargs
    if arguments.get("steps_per_epoch") is not None:
        raise ValueError(
            f"{owner}: expected steps or steps_per_epoch, received both; "
            "steps is their number in all epochs together."
        )
    epochs = min(arguments.get("epochs", RECIPE.num_parts), steps)
    arguments |= {
        "epochs": epochs,
        "steps_per_epoch": math.ceil(steps / epochs),
    }
    if isinstance(x, keras.utils.PyDataset):
        return x, arguments
    arguments["shuffle"] = False  # The batches come shuffled.
    if isinstance(x, tf.data.Dataset):
        return x.repeat(), arguments
    if not is_array(x):
        return x, arguments
    batch_size = arguments.pop("batch_size", None) or RECIPE.batch_size
    # Epochs are joined and then cut, so that all batches have one size.
    order = tf.data.Dataset.from_tensor_slices(np.asarray(x))
    shuffled = order.shuffle(len(x), seed=0).repeat()
    return shuffled.batch(batch_size, drop_remainder=True), arguments
