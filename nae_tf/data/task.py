"""A task: inliers for training and outliers to be found."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nae_tf.base.setting_checks import check_integer
from nae_tf.data.examples import Examples
from nae_tf.data.feature_networks import ImageFeatures
from nae_tf.data.ground_truth import GroundTruth


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything that a run needs of its data.

    Attributes:
        name: name of the task in reports.
        train: inliers to train on.
        validation: inliers for early stopping, calibration and selection.
        test: inliers of the final table.
        selection: outliers that model selection may look at, by name; never
            those of the final table.
        outliers: outliers of the final table, by name.
        files: number of inliers by file or folder, where they come from some.
        units: units of features by name, "" for all values without names;
            empty where nobody says them.
        notes: lines about the data, such as what reading them leaves out.
        ground_truth: masks of the defects in test images, where there are some.
        features: how examples are made of images, where a network makes them.

    Example:
        >>> import numpy as np
        >>> from nae_tf.data import ArrayExamples, Task
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> def part(name, x):
        ...     return ArrayExamples(name, len(x), (3,), None, lambda: x)
        >>> task = Task(
        ...     name="normal vectors",
        ...     train=part("training", x[:70]),
        ...     validation=part("validation", x[70:80]),
        ...     test=part("test", x[80:]),
        ...     outliers={"shifted": part("shifted", x[80:] + 5.0)},
        ... )
        >>> task.example_shape
        (3,)
    """

    name: str
    train: Examples
    validation: Examples
    test: Examples
    selection: Mapping[str, Examples] = dataclasses.field(default_factory=dict)
    outliers: Mapping[str, Examples] = dataclasses.field(default_factory=dict)
    files: Mapping[str, int] = dataclasses.field(default_factory=dict)
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    ground_truth: GroundTruth | None = None
    features: ImageFeatures | None = None

    def __post_init__(self):
        """Refuse data sets whose examples have different shapes."""
        for examples in (
            self.validation,
            self.test,
            *self.selection.values(),
            *self.outliers.values(),
        ):
            if tuple(examples.shape) != tuple(self.train.shape):
                raise ValueError(
                    f"{self.name}: {examples.name} has examples of shape "
                    f"{tuple(examples.shape)}, but {self.train.name} has "
                    f"{tuple(self.train.shape)}; all must be equal."
                )

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.train.shape)

    def counts(self) -> list[str]:
        """Return lines that say how many examples there are of what.

        Example:
            >>> from nae_tf.data import digits_holdout
            >>> digits_holdout(9).counts()[0]
            "1,132 training, 162 validation, 323 test inliers; 180 'digit 9'"
        """
        parts = {
            "training": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        inliers = ", ".join(f"{x.size:,} {name}" for name, x in parts.items())
        lines = [f"{inliers} inliers; {_sizes(self.outliers) or 'no outliers'}"]
        if self.selection:
            lines.append(f"to choose an epoch by: {_sizes(self.selection)}")
        if self.files:
            files = list(self.files.items())
            shown = [f"{count:,} in {path}" for path, count in files[:_SHOWN]]
            if len(files) > _SHOWN:
                shown.append(f"{len(files) - _SHOWN} more files")
            lines.append(f"inliers: {', '.join(shown)}")
        return [*lines, *self.notes]


# Files of which a line gives the counts.
_SHOWN = 5


def _sizes(sets: Mapping[str, Examples]) -> str:
    return ", ".join(f"{x.size:,} {name!r}" for name, x in sets.items())


def split_indices(
    num_examples: int, sizes: Sequence[int], seed: int
) -> list[np.ndarray]:
    """Split the indices of examples at random, reproducibly.

    `numpy.random.default_rng(seed)` permutes the indices from 0, and this order
    is cut into consecutive pieces: first the rest, then the given sizes.

    Args:
        num_examples: number of examples to split.
        sizes: numbers of examples of all pieces but the first.
        seed: seed of the permutation, int >= 0.

    Returns:
        Ascending, disjoint index arrays, first the rest, then one per size.

    Raises:
        ValueError: if nothing is left for the first piece, or there is no
            seed.

    Example:
        >>> from nae_tf.data import split_indices
        >>> train, validation, test = split_indices(100, sizes=[10, 20], seed=0)
        >>> len(train), len(validation), len(test)
        (70, 10, 20)
    """
    if seed is None:
        raise ValueError(
            "split_indices: expected a seed >= 0, received None; without one "
            "the test examples of a command would be another's for training."
        )
    owner = "split_indices"
    check_integer(owner, "num_examples", num_examples, 1)
    check_integer(owner, "seed", seed, 0)
    for size in sizes:
        check_integer(owner, "size", size, 0)
    rest = num_examples - sum(sizes)
    if rest < 1:
        raise ValueError(
            f"cannot split {num_examples} examples into parts of "
            f"{list(sizes)} and a non-empty rest."
        )
    order = np.random.default_rng(seed).permutation(num_examples)
    cuts = np.cumsum([rest, *sizes])[:-1]
    return [np.sort(piece) for piece in np.split(order, cuts)]
