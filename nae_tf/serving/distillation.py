"""Distillation: a small network that scores as a large model does.

A chip or a trigger has no room for an autoencoder, and none for its chains. A
student of a few layers regresses the energy of a trained model, its teacher. It
learns from the training data, where the energy is low, from samples of the
teacher's chains, where it may be anything, and from mixtures of both: a teacher
can label whatever it is shown. The decisions of a student rest on a calibration
of its own.
"""

import dataclasses
from collections.abc import Callable

import gin
import keras
import numpy as np

from nae_tf.base.detector import OutlierDetector
from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.base.standardization import ROWS, moments
from nae_tf.base.synthetic_outliers import synthetic_outliers

_BATCH_SIZE = 256
_SMALLEST_SIDE = 7


class Student(OutlierDetector):
    """A network of one output that scores outliers.

    Attributes:
        network: Keras model from float [batch, ...] to float [batch, 1].
    """

    def __init__(self, network, value_range=None):
        """Make a detector of a network.

        Args:
            network: Keras model from float [batch, ...], in the units of the
                data, to float [batch, 1].
            value_range: (low, high) that values must be in, or None for any.
        """
        super().__init__(dtype="float32")
        self.network = network
        self.example_shape = tuple(network.input_shape[1:])
        self._value_range = value_range
        self.built = True

    @property
    def value_range(self):
        """Range (low, high) that inputs must be in, or None for any."""
        return self._value_range

    def outlier_score(self, x):
        """Score examples, float [batch]."""
        return self.network(x, training=False)[:, 0]


@gin.register(module="nae_tf")
@dataclasses.dataclass(frozen=True)
class Distillation:
    """Size and training of a student.

    Attributes:
        hidden_units: units of the hidden `Dense` layers, each > 0. For images
            they follow the convolutions.
        filters: filters of the `Conv2D` layers, each > 0, which halve the size
            of images. One that would leave less than 7 pixels is left out, and
            other examples than images have none.
        steps: training steps, > 0.
        batch_size: examples per step, > 1; half of them training data.
        learning_rate: Adam's at the beginning, > 0; it falls to 0.
        num_negatives: number of chains of the teacher, > 0. Their starts and
            their ends are negative samples.
        num_mixtures: number of examples between two others, >= 0.
        seed: seed of weights, batches and chains, int >= 0.
    """

    hidden_units: tuple[int, ...] = (64, 32)
    filters: tuple[int, ...] = (16, 32)
    steps: int = 6_000
    batch_size: int = 256
    learning_rate: float = 3e-3
    num_negatives: int = 4_096
    num_mixtures: int = 50_000
    seed: int = 0

    def __post_init__(self):
        """Refuse settings out of range."""
        for name in ("hidden_units", "filters"):
            for size in getattr(self, name):
                check_integer("Distillation", name, size, 1)
        for name in ("steps", "num_negatives"):
            check_integer("Distillation", name, getattr(self, name), 1)
        check_integer("Distillation", "num_mixtures", self.num_mixtures, 0)
        check_integer("Distillation", "batch_size", self.batch_size, 2)
        check_integer("Distillation", "seed", self.seed, 0)
        check_number(
            "Distillation", "learning_rate", self.learning_rate, "(0, inf)"
        )

    def network(self, inliers: np.ndarray) -> keras.Sequential:
        """Return an untrained student: Keras's plainest layers, one by one.

        Args:
            inliers: float [number, ...], training data. Of tables, the first
                layer standardises the features by them.
        """
        shape = inliers.shape[1:]
        keras.utils.set_random_seed(self.seed)
        layers: list = [keras.Input(shape, name="examples")]
        side = min(shape[:2]) if len(shape) == 3 else 0
        for filters in self.filters:
            side = -(-side // 2)
            if side >= _SMALLEST_SIDE:
                layers.append(
                    keras.layers.Conv2D(
                        filters, 3, strides=2, padding="same", activation="relu"
                    )
                )
        if len(shape) == 1:
            layers.append(keras.layers.BatchNormalization(**_FIXED))
        else:
            layers.append(keras.layers.Flatten())
        layers += [
            keras.layers.Dense(units, activation="relu")
            for units in self.hidden_units
        ]
        network = keras.Sequential(
            [*layers, keras.layers.Dense(1, name="score")], name="student"
        )
        if len(shape) == 1:
            mean, scale = moments(_pieces(inliers))
            network.layers[0].set_weights([mean, scale**2])
        return network

    def fit(
        self,
        inliers: np.ndarray,
        negatives: np.ndarray,
        score: Callable[[np.ndarray], np.ndarray],
        after_step: Callable[[], object] = lambda: None,
    ) -> "Distilled":
        """Train a student.

        Args:
            inliers: float [number, ...], training data.
            negatives: float [number, ...], negative samples.
            score: the teacher: a function of examples that returns their
                scores, float [number].
            after_step: function that is called after every step.

        Raises:
            ValueError: if the student has no finite scores, as of features of
                extreme units.
        """
        parts = []
        between = mixtures(inliers, negatives, self.num_mixtures, self.seed)
        for x in (inliers, np.concatenate([negatives, between])):
            scores = np.asarray(score(x), float)
            good = np.isfinite(scores)
            parts.append((x[good], scores[good]))
        is_log = all(np.all(s > 0) for _, s in parts)
        targets = np.concatenate([np.log(s) if is_log else s for _, s in parts])
        x = np.concatenate([x for x, _ in parts])
        mean, scale = targets.mean(), targets.std() or 1.0
        y = ((targets - mean) / scale).astype(np.float32)[:, None]
        network = self.network(inliers)
        network.compile(
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(
                    self.learning_rate, self.steps
                )
            ),
            "mse",
        )
        random = np.random.default_rng(self.seed)
        num_inliers, half = len(parts[0][0]), self.batch_size // 2
        for _ in range(self.steps):
            rows = np.concatenate(
                [
                    random.integers(num_inliers, size=self.batch_size - half),
                    random.integers(num_inliers, len(x), size=half),
                ]
            )
            network.train_on_batch(x[rows], y[rows])
            after_step()
        # Back to the units of the teacher, by the weights of the last layer.
        kernel, bias = network.layers[-1].get_weights()
        network.layers[-1].set_weights([kernel * scale, bias * scale + mean])
        answers = network.predict(x, batch_size=ROWS, verbose=0)
        if not np.all(np.isfinite(answers)):
            raise ValueError(
                "the student's scores are not finite; scale the features to "
                "about 1, and train teacher and student again."
            )
        return Distilled(network, "log energy" if is_log else "energy")


_FIXED = {
    "center": False,
    "scale": False,
    "epsilon": 1e-12,
    "trainable": False,
    "name": "standardization",
}


@dataclasses.dataclass(frozen=True)
class Distilled:
    """A trained student.

    Attributes:
        network: from float [batch, ...], in the units of the data, to float
            [batch, 1], its score.
        target: what it regresses: "log energy", or "energy" of a teacher whose
            scores may be negative.
    """

    network: keras.Sequential
    target: str


def draw_negatives(
    teacher,
    inliers: np.ndarray,
    number: int,
    seed: int = 0,
    drawn: Callable[[int], object] = lambda count: None,
) -> np.ndarray:
    """Draw what a student learns beside the training data.

    Args:
        teacher: a trained `OutlierDetector`. If it has no chains and draws no
            samples, outliers are made of the inliers.
        inliers: float [number, ...], training data; at least two.
        number: number of chains, or of samples, > 0.
        seed: seed of the chains, int >= 0.
        drawn: function that is called with the size of every batch.

    Returns:
        float32 [about `number` or twice as many, ...]: the ends of the chains,
        and their starts, which lie farther from the data.
    """
    random = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    for start in range(0, number, _BATCH_SIZE):
        batch_seed = int(random.integers(2**31))
        if hasattr(teacher, "negative_samples"):
            rows = random.integers(len(inliers), size=_BATCH_SIZE)
            sample = teacher.negative_samples(inliers[rows], batch_seed)
            parts += [np.asarray(sample.x), np.asarray(sample.x0)]
        elif hasattr(teacher, "sample"):
            sample = teacher.sample(_BATCH_SIZE, batch_seed)
            parts.append(np.asarray(sample.x))
        else:
            rows = random.integers(len(inliers), size=max(2, number))
            parts += synthetic_outliers(inliers[rows], seed).values()
            drawn(number)
            break
        drawn(min(_BATCH_SIZE, number - start))
    negatives = np.concatenate(parts).astype(np.float32)
    if teacher.value_range is not None:
        negatives = np.clip(negatives, *teacher.value_range)
    return negatives


def mixtures(
    inliers: np.ndarray, negatives: np.ndarray, number: int, seed: int = 0
) -> np.ndarray:
    """Make examples between others: lambda x + (1 - lambda) x'.

    Args:
        inliers: float [number, ...], where x is from.
        negatives: float [number, ...]; x' is one of these, or an inlier.
        number: number of examples, >= 0.
        seed: seed of x, x' and lambda, which is uniform in [0, 1].

    Returns:
        float32 [number, ...].

    Example:
        >>> import numpy as np
        >>> from nae_tf.serving.distillation import mixtures
        >>> x = mixtures(np.zeros((5, 2)), np.ones((5, 2)), 100)
        >>> x.shape, bool(np.all((x >= 0) & (x <= 1)))
        ((100, 2), True)
    """
    random = np.random.default_rng([seed, 1])
    some = inliers[random.integers(len(inliers), size=number)]
    others = np.where(
        random.integers(2, size=(number,) + (1,) * (inliers.ndim - 1)),
        inliers[random.integers(len(inliers), size=number)],
        negatives[random.integers(len(negatives), size=number)],
    )
    share = random.uniform(size=(number,) + (1,) * (inliers.ndim - 1))
    return (share * some + (1 - share) * others).astype(np.float32)


def _pieces(x):
    return (x[start : start + ROWS] for start in range(0, len(x), ROWS))
