"""From scores to decisions: thresholds, p-values and selections.

They rest on nothing but the scores of held-out inliers, which the model was not
fitted to. So they hold for any model and any distribution of inliers. With n
calibration scores s_1 <= ... <= s_n and a new score s,

    p(s) = (1 + #{i: s_i >= s}) / (n + 1)

is at most alpha for at most a fraction alpha of new inliers, on average over
calibration sets.

The last digits of a score depend on how many examples are scored together. So
s_i counts as s if it is lower by at most `TIE_TOLERANCE * |s|`: equal examples
get equal p-values and decisions in requests of every size. The p-value becomes
no smaller by this, and keeps its guarantee.

Bates, Candes, Lei, Romano & Sesia, Testing for Outliers with Conformal
p-values, Annals of Statistics 51 (2023), https://arxiv.org/abs/2104.08279.
"""

import dataclasses
import functools
import json

import numpy as np
import scipy.special
import scipy.stats

from nae_tf.base.json_text import parse_json, reason
from nae_tf.base.number_arrays import as_numbers
from nae_tf.base.setting_checks import check_number
from nae_tf.base.ties import lowest_equal


def conformal_p_values(scores, calibration_scores) -> np.ndarray:
    """Return marginal p-values (Bates et al. 2023).

        p(s) = (1 + #{i: s_i >= s}) / (n + 1)

    Args:
        scores: float [batch], higher is more outlying.
        calibration_scores: float [n], scores of held-out inliers, ascending.

    Returns:
        float64 [batch], in [1 / (n + 1), 1]; low is outlying.
    """
    n = len(calibration_scores)
    return (1.0 + _num_as_high(scores, calibration_scores)) / (n + 1.0)


def _num_as_high(scores, calibration_scores):
    """Return how many calibration scores are as high as each score, or higher.

    Args:
        scores: float [batch]; not NaN.
        calibration_scores: float [n], ascending.

    Returns:
        int [batch].
    """
    low = lowest_equal(np.asarray(scores, np.float64))
    below = np.searchsorted(calibration_scores, low, side="left")
    return len(calibration_scores) - below


def conditional_levels(n: int, failure_probability: float) -> np.ndarray:
    """Return the calibration-conditional p-value of every marginal one.

        b_j = 1 - (delta * prod_{m < k} (n + 1 - j - m) / (n - m))^(1 / k)

    with k = n // 2, as Bates et al. (2023) propose. By the generalised Simes
    inequality, the order statistics u_1 <= ... <= u_n of n uniform variables
    satisfy u_j <= b_j for all j with probability >= 1 - delta.

    Args:
        n: number of calibration scores, > 0.
        failure_probability: probability delta in (0, 1) over calibration sets
            that the guarantee fails.

    Returns:
        float64 [n + 1], ascending, b_1 to b_n and 1. The p-value j / (n + 1)
        becomes element j - 1.
    """
    k = max(n // 2, 1)
    # rank = n + 1 - j; the product telescopes to a ratio of factorials, and
    # vanishes for rank < k.
    levels = np.ones(n + 1)
    log_factorial = scipy.special.gammaln(np.arange(n + 1) + 1.0)
    rank = np.arange(n, k - 1, -1)
    log_ratio = (
        log_factorial[rank]
        - log_factorial[rank - k]
        - log_factorial[n]
        + log_factorial[n - k]
    )
    exponent = (np.log(failure_probability) + log_ratio) / k
    levels[: len(rank)] = -np.expm1(exponent)
    return levels


def threshold_at(calibration_scores, false_alarm_rate: float) -> float:
    """Return the threshold above which p(s) <= false_alarm_rate.

    It is the k-th largest calibration score, k = floor(alpha * (n + 1)):
    s > threshold if and only if p(s) <= alpha.

    Args:
        calibration_scores: float [n], scores of held-out inliers, ascending.
        false_alarm_rate: share alpha of flagged inliers, in [0, 1].

    Returns:
        float; infinity if n < 1 / alpha - 1, which is too few scores.
    """
    n = len(calibration_scores)
    # Products such as 0.29 * 100 fall short of their integer by rounding.
    k = int(np.floor(false_alarm_rate * (n + 1) * (1 + 1e-12)))
    if k == 0:
        return float("inf")
    return float(calibration_scores[n - k]) if k <= n else float("-inf")


def benjamini_hochberg(p_values, false_discovery_rate: float) -> np.ndarray:
    """Select outliers among many examples at a false-discovery rate.

        the k smallest p-values, k = max {j: p_(j) <= q * j / m}

    On average at most a fraction q of the selected examples are inliers. This
    holds for conformal p-values, although they share their calibration scores
    (Bates et al., theorem 2).

    Args:
        p_values: float [m] in [0, 1].
        false_discovery_rate: share q of inliers among the selected examples,
            in [0, 1].

    Returns:
        bool [m], whether an example is selected.

    Raises:
        ValueError: if the rate or a p-value is outside [0, 1].

    Example:
        >>> from nae_tf import benjamini_hochberg
        >>> benjamini_hochberg([0.001, 0.02, 0.8, 0.03], 0.1).tolist()
        [True, True, False, True]
    """
    p_values = as_numbers("benjamini_hochberg", "p_values", p_values)
    check_number(
        "benjamini_hochberg",
        "false_discovery_rate",
        false_discovery_rate,
        "[0, 1]",
    )
    if p_values.ndim != 1 or not np.all((p_values >= 0) & (p_values <= 1)):
        raise ValueError(
            "benjamini_hochberg: expected p_values [batch] in [0, 1], received "
            f"an array of shape {p_values.shape} with other values; pass the "
            "p-values, not the scores."
        )
    if not p_values.size:
        return np.zeros(0, bool)
    adjusted = scipy.stats.false_discovery_control(p_values, method="bh")
    # Products such as 3 * 0.1 exceed their limit by rounding.
    return adjusted <= false_discovery_rate * (1 + 1e-12)


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """The scores of held-out inliers and the decisions that rest on them.

    Attributes:
        scores: float [n], n > 0; sorted on construction.
        false_alarm_rate: share of inliers that `is_outlier` flags, in (0, 1).
        failure_probability: probability in (0, 1) over calibration sets that
            the guarantee of `conditional_p_values` fails.

    Example:
        >>> import numpy as np
        >>> from nae_tf import Calibration
        >>> calibration = Calibration(np.arange(1.0, 100.0))
        >>> calibration.threshold
        95.0
        >>> calibration.p_values([50.5, 98.5]).tolist()
        [0.5, 0.02]
        >>> calibration.is_outlier([50.5, 98.5]).tolist()
        [False, True]
    """

    scores: np.ndarray
    false_alarm_rate: float = 0.05
    failure_probability: float = 0.1

    def __post_init__(self):
        """Sort the scores; refuse settings out of range."""
        scores = as_numbers("Calibration", "scores", self.scores)
        if scores.ndim != 1 or not scores.size:
            raise ValueError(
                "Calibration: expected scores [n] of at least one inlier, "
                f"received an array of shape {scores.shape}."
            )
        if not np.isfinite(scores).all():
            raise ValueError(
                "Calibration: expected finite scores, received NaN or "
                "infinity; the model has diverged or its input is damaged."
            )
        scores = np.sort(scores)
        scores.setflags(write=False)
        object.__setattr__(self, "scores", scores)
        for name in ("false_alarm_rate", "failure_probability"):
            check_number("Calibration", name, getattr(self, name), "(0, 1)")

    @functools.cached_property
    def threshold(self) -> float:
        """Threshold, float; scores above it are outliers."""
        return threshold_at(self.scores, self.false_alarm_rate)

    @functools.cached_property
    def levels(self) -> np.ndarray:
        """Table of `conditional_p_values`, float64 [n + 1], ascending."""
        return conditional_levels(len(self.scores), self.failure_probability)

    def p_values(self, scores) -> np.ndarray:
        """Return marginal p-values.

        Args:
            scores: float [batch], higher is more outlying.

        Returns:
            float64 [batch], in [1 / (n + 1), 1]; low is outlying.

        Raises:
            ValueError: if a score is NaN.
        """
        return conformal_p_values(_checked_scores(scores), self.scores)

    def conditional_p_values(self, scores) -> np.ndarray:
        """Return calibration-conditional p-values.

        With probability 1 - failure_probability over calibration sets, at most
        a fraction alpha of all future inliers gets a value <= alpha, for every
        alpha at once. The price is that they are larger than marginal ones.

        Args:
            scores: float [batch], higher is more outlying.

        Returns:
            float64 [batch], in (0, 1]; low is outlying.

        Raises:
            ValueError: if a score is NaN.
        """
        scores = _checked_scores(scores)
        return self.levels[_num_as_high(scores, self.scores)]

    def is_outlier(self, scores) -> np.ndarray:
        """Return whether scores exceed the threshold, beyond a tie with it.

        Args:
            scores: float [batch], higher is more outlying.

        Returns:
            bool [batch].

        Raises:
            ValueError: if a score is NaN.
        """
        return lowest_equal(_checked_scores(scores)) > self.threshold

    def to_json(self) -> str:
        """Return the calibration as JSON, with every digit."""
        fields = dataclasses.asdict(self) | {"scores": self.scores.tolist()}
        return json.dumps(fields) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """Read a calibration that `to_json` wrote.

        Args:
            text: result of `to_json`.

        Raises:
            ValueError: if the text is something else.
        """
        try:
            return cls(**parse_json(text))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"this is not a calibration: {reason(error)}; write it by "
                "Calibration.to_json."
            ) from error


def _checked_scores(scores):
    scores = as_numbers("Calibration", "scores", scores)
    if np.isnan(scores).any():
        raise ValueError(
            "Calibration: expected scores, received NaN; the model has "
            "diverged or its input is damaged."
        )
    return scores
