"""Examples at both ends of the scores of a set, and what they are made of."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from nae_tf.data.examples import Examples
from nae_tf.data.selection import positions_in_whole

_BATCH_SIZE = 256
_NUM_SHOWN = 6
_NUM_FEATURES = 3


@dataclasses.dataclass(frozen=True)
class FeatureShare:
    """A feature of a vector, and its share of the error of reconstruction.

    Attributes:
        name: name of the feature, or "feature" and its position from 0.
        value: value of the example, in the units of the data.
        share: squared error of the feature over that of all, in [0, 1], both
            in the units of the networks.
    """

    name: str
    value: float
    share: float


@dataclasses.dataclass(frozen=True, eq=False)
class ShownExamples:
    """Examples at one end of the scores of a set.

    Attributes:
        indices: int [shown], positions in the set, the most extreme first.
        scores: float [shown].
        examples: float [shown, ...].
        reconstructions: float [shown, ...], or None if the method has none.
        origins: where the user finds the examples, a path or a file and a row;
            empty where they have no files.
        features: for every example the features with the largest shares of
            its error, the largest first; empty for images.
    """

    indices: np.ndarray
    scores: np.ndarray
    examples: np.ndarray
    reconstructions: np.ndarray | None
    origins: Sequence[str] = ()
    features: Sequence[Sequence[FeatureShare]] = ()

    def entries(self) -> list[dict]:
        """Return what results.json holds of every example."""
        found: list[dict] = [
            {"index": int(index), "score": float(score)}
            for index, score in zip(self.indices, self.scores, strict=True)
        ]
        for entry, origin in zip(found, self.origins, strict=False):
            entry["origin"] = origin
        for entry, features in zip(found, self.features, strict=False):
            entry["features"] = list(map(dataclasses.asdict, features))
        return found


def extremes(model, examples: Examples, scores) -> list[ShownExamples]:
    """Return the examples with the lowest and with the highest scores.

    Args:
        model: method with `encode` and `decode`, if it reconstructs.
        examples: set that was scored.
        scores: float [num_examples], scores of its first examples.
    """
    order = np.argsort(scores, kind="stable")
    ends = order[:_NUM_SHOWN], order[::-1][:_NUM_SHOWN]
    chosen = _pick(examples, np.concatenate(ends))
    reconstructions = None
    features: list[list[FeatureShare]] = []
    if hasattr(model, "encode") and hasattr(model, "decode"):
        x = model.as_examples(chosen)
        decoded = model.decode(model.encode(x))
        if chosen.ndim == 2:
            shares = error_shares(np.asarray(x), decoded.numpy())
            names = examples.names or [
                f"feature {index}" for index in range(chosen.shape[1])
            ]
            features = [
                _largest(names, *pair)
                for pair in zip(chosen, shares, strict=True)
            ]
        # In double precision, models compute in another type than the data's.
        reconstructions = (
            model.unstandardized(decoded).numpy().astype(chosen.dtype)
        )
    shown = []
    middle = len(ends[0])
    for indices, part in zip(
        ends, (slice(middle), slice(middle, None)), strict=True
    ):
        origin = examples.origin
        shown.append(
            ShownExamples(
                positions_in_whole(examples, indices),
                scores[indices],
                chosen[part],
                None if reconstructions is None else reconstructions[part],
                [origin(index) for index in indices] if origin else [],
                features[part],
            )
        )
    return shown


def error_shares(x: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Return the share of every value in the squared error of its example.

    Args:
        x: float [batch, num_features].
        reconstruction: float, shape of `x`.

    Returns:
        float [batch, num_features]; rows add up to 1, or are 0 without error.

    Example:
        >>> import numpy as np
        >>> from nae_tf.evaluation.shown_examples import error_shares
        >>> error_shares(np.array([[1.0, 3.0]]), np.zeros([1, 2])).tolist()
        [[0.1, 0.9]]
    """
    errors = np.square(np.asarray(x, np.float64) - reconstruction)
    total = errors.sum(axis=1, keepdims=True)
    return np.divide(errors, total, np.zeros_like(errors), where=total > 0)


def _largest(names, values, shares) -> list[FeatureShare]:
    order = np.argsort(-shares, kind="stable")[:_NUM_FEATURES]
    return [
        FeatureShare(names[index], float(values[index]), float(shares[index]))
        for index in order
    ]


def _pick(examples: Examples, indices) -> np.ndarray:
    """Read some examples by their positions, in one pass over the set."""
    wanted = {int(index) for index in indices}
    found = {}
    start = 0
    for batch in examples.batches(_BATCH_SIZE, max(wanted) + 1):
        batch = batch.numpy()
        for index in wanted.intersection(range(start, start + len(batch))):
            found[index] = batch[index - start]
        start += len(batch)
    return np.stack([found[int(index)] for index in indices])
