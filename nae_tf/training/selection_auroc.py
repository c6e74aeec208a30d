"""Selection of an epoch by outliers that no test uses (paper section 6.3)."""

from collections.abc import Mapping

import keras
import numpy as np

from nae_tf.base.data_frames import is_data_frame
from nae_tf.base.number_arrays import widened
from nae_tf.base.setting_checks import check_flag, check_integer
from nae_tf.base.synthetic_outliers import synthetic_outliers
from nae_tf.data.task import Task
from nae_tf.metrics.detection import auroc
from nae_tf.runs.checkpoints import WeightsCopy
from nae_tf.runs.progress import print_status
from nae_tf.training.callbacks import KeepBest
from nae_tf.training.distribution import broadcast_from_chief


def selection_key(outliers: str) -> str:
    """Return the name of a selection set's AUROC in the logs of an epoch."""
    return f"outliers/{outliers}/auroc"


class SelectionAuroc(keras.callbacks.Callback):
    """Add the AUROC of inliers against outliers to the logs of every epoch.

    The mean over the sets of outliers, "selection_auroc", selects an epoch
    (section 6.3). The error of validation data does not: it is lowest before
    NAE has learned anything, because NAE gives up some of it. Callbacks that
    watch "selection_auroc", such as `keras.callbacks.EarlyStopping` with
    `mode="max"`, come after this one.

    Without outliers it makes its own of the inliers, and says so in one line:
    of images chimeras (the upper half of one over the lower half of another),
    upside-down images and shuffled pixels; of vectors rows with half of the
    features from another row, permuted features, and noise.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf import NAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> from nae_tf.training import SelectionAuroc
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> model = NAE(MLPEncoder(2, (4,)), MLPDecoder(2, (4,)))
        >>> model.compile("adam")
        >>> selection = SelectionAuroc(x[32:], outliers=1 - x[32:] ** 4)
        >>> history = model.fit(
        ...     x[:32], epochs=2, callbacks=[selection], verbose=0
        ... )
        >>> len(history.history["selection_auroc"])
        2
    """

    MONITOR = "selection_auroc"

    def __init__(
        self,
        inliers,
        outliers=None,
        *,
        batch_size: int = 128,
        limit: int | None = None,
        restore_best_weights: bool = False,
        seed: int = 0,
    ):
        """Prepare the scores of every epoch.

        Args:
            inliers: validation data, float [num_examples, ...], that the model
                is not trained on; or a `nae_tf.data.Task`, whose validation
                inliers and selection outliers are taken.
            outliers: float [num_examples, ...], or a dictionary of such arrays
                by the name of the set; None makes them of the inliers.
            batch_size: examples per batch, > 0.
            limit: largest number of examples of each set, > 0, a seeded sample
                of the set; None means all.
            restore_best_weights: whether `fit` ends with the weights of the
                epoch with the highest mean, the later of equal ones.
            seed: seed of the outliers that are made, int >= 0.

        Raises:
            ValueError: if a setting is out of range, sets are empty or have
                other shapes than the inliers, or a task has other outliers too.
        """
        super().__init__()
        check_integer("SelectionAuroc", "batch_size", batch_size, 1)
        if limit is not None:
            check_integer("SelectionAuroc", "limit", limit, 1)
        check_flag(
            "SelectionAuroc", "restore_best_weights", restore_best_weights
        )
        check_integer("SelectionAuroc", "seed", seed, 0)
        self.batch_size = batch_size
        self.restore_best_weights = restore_best_weights
        self.best_epoch: int | None = None
        self._best: KeepBest | None = None
        self._notice = ""
        if isinstance(inliers, Task):
            if outliers is not None:
                raise ValueError(
                    "SelectionAuroc: expected no outliers beside a task, which "
                    "has its own; leave them out."
                )
            self._inliers, self._outliers = _of_task(inliers, batch_size, limit)
            return
        inliers = seeded_examples("SelectionAuroc", "inliers", inliers, limit)
        if outliers is None:
            outliers = synthetic_outliers(inliers, seed)
            self._notice = (
                "SelectionAuroc: no outliers given; epochs are compared by "
                f"outliers made of {len(inliers)} inliers: "
                f"{', '.join(outliers)}."
            )
        elif not isinstance(outliers, Mapping):
            outliers = {"given": outliers}
        if not outliers:
            raise ValueError(
                "SelectionAuroc: expected at least one set of outliers, "
                "received an empty dictionary; None makes some."
            )
        self._inliers = lambda: inliers
        self._outliers = {
            name: _same_shape(name, examples, inliers, limit)
            for name, examples in outliers.items()
        }

    def on_train_begin(self, logs=None):
        """Say which outliers are used if they are not the user's."""
        if self._notice:
            print_status(self._notice)
            self._notice = ""
        if self.restore_best_weights:
            self._best = KeepBest(WeightsCopy(self.model), self.MONITOR, "max")
            self._best.set_model(self.model)

    def on_epoch_end(self, epoch, logs=None):
        """Score, and add the metrics to `logs` for later callbacks."""
        inliers = self._scores(self._inliers)
        values = {
            selection_key(name): auroc(inliers, self._scores(outliers))
            for name, outliers in self._outliers.items()
        }
        # Rounding differs between machines, but all must decide alike.
        shared = broadcast_from_chief(*values.values())
        values = dict(zip(values, shared, strict=True))
        logs.update(values)
        logs[self.MONITOR] = sum(values.values()) / len(values)
        if self._best is not None:
            self._best.on_epoch_end(epoch, logs)
            self.best_epoch = self._best.epoch

    def on_train_end(self, logs=None):
        """Restore the best weights, if asked to."""
        if self._best is not None:
            self._best.finish()

    def _scores(self, examples):
        return self.model.predict_outlier_score(
            examples(), batch_size=self.batch_size
        )


def _of_task(task, batch_size, limit):
    """Return functions that read the sets of a task anew in every epoch."""

    def read(examples):
        return lambda: examples.batches(batch_size, limit)

    outliers = {name: read(found) for name, found in task.selection.items()}
    if not outliers:
        raise ValueError(
            f"SelectionAuroc: the task {task.name!r} has no selection "
            "outliers; give arrays of its validation inliers instead."
        )
    return read(task.validation), outliers


def seeded_examples(
    owner: str, name: str, examples, limit: int | None
) -> np.ndarray:
    """Return an array of examples, or a seeded sample of it.

    Args:
        owner: name of the callback, used in error messages.
        name: name of the argument.
        examples: float [num_examples, ...].
        limit: largest number of examples, > 0; None means all.

    Raises:
        ValueError: if it is no array of examples, or holds NaN.
    """
    if is_data_frame(examples):
        raise ValueError(
            f"{owner}: expected {name} as an array, received a data "
            "frame; give its values with the columns in the order of fit."
        )
    examples = widened(np.asarray(examples))
    if examples.ndim < 2 or len(examples) == 0:
        raise ValueError(
            f"{owner}: expected {name} of shape [num_examples, ...], "
            f"received {list(examples.shape)}."
        )
    if examples.dtype.kind not in "buif" or not np.isfinite(examples).all():
        raise ValueError(
            f"{owner}: expected {name} of finite numbers, received "
            f"{examples.dtype} with NaN, infinity or text; remove or repair "
            "those examples."
        )
    if limit is None or limit >= len(examples):
        return examples
    order = np.random.default_rng(0).permutation(len(examples))
    return examples[np.sort(order[:limit])]


def _same_shape(name, outliers, inliers, limit):
    """Return a function that gives outliers of the shape of the inliers."""
    outliers = seeded_examples(
        "SelectionAuroc", f"outliers {name!r}", outliers, limit
    )
    if outliers.shape[1:] != inliers.shape[1:]:
        raise ValueError(
            f"SelectionAuroc: expected outliers {name!r} of the shape of the "
            f"inliers, {list(inliers.shape[1:])}, received "
            f"{list(outliers.shape[1:])}."
        )
    return lambda: outliers
