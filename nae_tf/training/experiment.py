"""An experiment: data, model and training phases that a gin file describes.

Every command builds the same `Experiment` from the same configuration. So
`evaluate` finds model and data by the configuration in the run directory.
"""

import dataclasses
import math
from collections.abc import Callable

import gin
import keras

# Imported for their names in gin files.
from nae_tf import baselines, nae  # noqa: F401
from nae_tf.base.detector import OutlierDetector
from nae_tf.base.setting_checks import (
    check_choice,
    check_flag,
    check_integer,
)
from nae_tf.base.step_budget import limited_steps
from nae_tf.data import (  # noqa: F401
    densities,
    digits,
    image_tasks,
    photographs,
    synthetic,
    user_tasks,
)
from nae_tf.data.examples import Examples
from nae_tf.data.task import Task
from nae_tf.networks import by_size  # noqa: F401
from nae_tf.training.divergence import DivergenceGuard
from nae_tf.training.interruption import CheckpointSchedule

for _configurable in (
    keras.optimizers.Adam,
    keras.optimizers.schedules.CosineDecay,
    keras.optimizers.schedules.ExponentialDecay,
):
    gin.external_configurable(_configurable, module="keras.optimizers")

PRECISIONS = ("float32", "mixed_bfloat16", "float64")

# TensorFlow counts steps in integers of 32 bits.
_MOST = 2**31 - 1
_OPTIONAL = ("steps_per_epoch", "max_passes", "patience")


@gin.register(module="nae_tf")
@dataclasses.dataclass(frozen=True)
class Phase:
    """One call of `fit`.

    Attributes:
        optimizer: function that makes the optimizer; called once, under the
            strategy.
        epochs: number of epochs, >= 0.
        batch_size: examples per step, over all replicas, > 0.
        steps_per_epoch: steps per epoch, > 0; None means one pass over the
            training data.
        max_passes: passes over the training data, > 0, that all epochs together
            take at most, with a step per epoch at least; None for no limit.
        patience: number of epochs without improvement, > 0, after which the
            phase stops; None never stops early.
        keep: epoch whose weights the phase ends with: "best" by the metric of
            the phase, the later of equal ones, or "last".
        num_snapshots: number of epochs, >= 0, evenly spaced up to the last,
            whose weights are also written into snapshots/ of the run.
        dequantize: whether uniform noise is added to quantised training data
            (section D.1).
        flip: whether training images are mirrored at random.
    """

    optimizer: Callable[[], keras.optimizers.Optimizer]
    epochs: int
    batch_size: int = 128
    steps_per_epoch: int | None = None
    patience: int | None = None
    keep: str = "best"
    num_snapshots: int = 0
    dequantize: bool = True
    flip: bool = False
    max_passes: int | None = None

    def __post_init__(self):
        """Refuse settings out of range."""
        for name, smallest in [
            ("epochs", 0),
            ("batch_size", 1),
            ("steps_per_epoch", 1),
            ("max_passes", 1),
            ("patience", 1),
            ("num_snapshots", 0),
        ]:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            check_integer("Phase", name, value, smallest, _MOST)
        for name in ("dequantize", "flip"):
            check_flag("Phase", name, getattr(self, name))
        if not callable(self.optimizer):
            raise ValueError(
                "Phase: expected optimizer = @Name without brackets, which is "
                f"called later, received {self.optimizer!r}."
            )
        check_choice("Phase", "keep", self.keep, ["best", "last"])

    def steps(self, examples: Examples) -> int:
        """Return the number of steps per epoch.

        Args:
            examples: training examples.
        """
        one_pass = examples.size / self.batch_size
        steps = self.steps_per_epoch or math.ceil(one_pass)
        limit = limited_steps(self.epochs * steps, self.max_passes, one_pass)
        # Rounded up, a dozen steps in ten epochs would be twenty.
        return min(steps, max(limit // max(self.epochs, 1), 1))


@gin.configurable(module="nae_tf")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """Data, model and training of one run.

    Attributes:
        task: task with the data.
        model: function that makes the model; called once, under the strategy.
        training: phase of the model itself.
        pretraining: phase of the model's autoencoder before it; None for none.
        seed: seed of weights and batches, int.
        precision: Keras dtype policy of the networks: "float32",
            "mixed_bfloat16" or "float64".
        jit_compile: whether XLA compiles the training step. On a CPU it makes
            the chains several times slower, on a GPU several times faster.
        evaluation_limit: largest number of examples to score of each validation
            and test set, > 0, a seeded sample of the set; None means all. An
            export is calibrated with all.
        checkpoints: schedule by which the progress is saved.
        standardize: whether the model standardises features by the training
            data, as `OutlierDetector.standardize` does: for vectors, whose
            chains have no bounds.
        guard: guard against divergence; None for none.
        picture_interval: number of training steps between two sets of
            TensorBoard's pictures and histograms, > 0.
    """

    task: Task
    model: Callable[[], OutlierDetector]
    training: Phase
    pretraining: Phase | None = None
    seed: int = 0
    precision: str = "float32"
    jit_compile: bool = False
    evaluation_limit: int | None = None
    standardize: bool = False
    # By gin, so that bindings of these classes take effect by themselves.
    checkpoints: CheckpointSchedule = dataclasses.field(
        default_factory=lambda: gin.get_configurable(CheckpointSchedule)()
    )
    guard: DivergenceGuard | None = dataclasses.field(
        default_factory=lambda: gin.get_configurable(DivergenceGuard)()
    )
    picture_interval: int = 1_000

    def __post_init__(self):
        """Refuse settings out of range."""
        if not isinstance(self.task, Task):
            raise ValueError(
                "Experiment: expected task = @name() with brackets, which is "
                f"called for the data, received {self.task!r}."
            )
        if isinstance(self.model, keras.Model) or not callable(self.model):
            raise ValueError(
                "Experiment: expected model = @Name without brackets, which "
                f"is called later, received {self.model!r}."
            )
        check_choice("Experiment", "precision", self.precision, PRECISIONS)
        for name, kind in [
            ("training", Phase),
            ("pretraining", Phase | None),
            ("checkpoints", CheckpointSchedule),
            ("guard", DivergenceGuard | None),
        ]:
            if not isinstance(getattr(self, name), kind):
                raise ValueError(
                    f"Experiment: expected {name} = @name() with brackets, "
                    f"received {getattr(self, name)!r}."
                )
        check_flag("Experiment", "jit_compile", self.jit_compile)
        check_flag("Experiment", "standardize", self.standardize)
        interval, limit = self.picture_interval, self.evaluation_limit
        check_integer("Experiment", "picture_interval", interval, 1)
        if limit is not None:
            check_integer("Experiment", "evaluation_limit", limit, 1)

    @classmethod
    def from_config(cls) -> "Experiment":
        """Build the experiment that the parsed gin configuration describes.

        Raises:
            ValueError: if the configuration lacks a part that a run needs.
        """
        try:
            return cls()  # type: ignore[call-arg]  # gin has the arguments.
        except TypeError as error:
            if "required positional argument" not in str(error):
                raise
            raise ValueError(
                "the gin configuration is not complete: "
                f"{str(error).splitlines()[0]}"
            ) from error

    def build_model(self) -> OutlierDetector:
        """Make the model, with initial weights by the seed.

        Raises:
            ValueError: if it is no outlier detector, or takes examples of
                another shape.
        """
        keras.utils.set_random_seed(self.seed)
        keras.config.set_dtype_policy(self.precision)
        model = self.model()
        if not isinstance(model, OutlierDetector):
            raise ValueError(
                "Experiment: expected model = @Name of an outlier detector, "
                f"received one of {model!r}."
            )
        if not model.built:
            model.build((None, *self.task.example_shape))
        if model.example_shape != self.task.example_shape:
            raise ValueError(
                f"the model takes examples of shape {model.example_shape}, but "
                f"those of {self.task.name!r} have {self.task.example_shape}; "
                f"{_remedy(model.example_shape, self.task.example_shape)}."
            )
        if self.standardize:
            # The moments come from the training data or from a checkpoint.
            model.reserve_standardization()
        return model


def _remedy(taken: tuple, given: tuple) -> str:
    """Say what to do about examples of another shape than the model takes."""
    if len(given) != 1:
        return "choose other networks or another image size"
    preset = "" if len(taken) == 1 else "take the preset vectors.gin and "
    return f"{preset}bind num_features={given[0]}"
