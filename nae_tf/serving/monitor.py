"""A watch on served scores, whose state is one text."""

import dataclasses
import hashlib
import json
import math

import numpy as np
import scipy.stats

from nae_tf.base.json_text import parse_json, reason
from nae_tf.base.number_arrays import as_numbers
from nae_tf.base.setting_checks import (
    check_instance,
    check_integer,
    check_number,
)
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.martingale import (
    NUM_BETS,
    conformal_stream,
    wealth_course,
)

# Batches, and inputs, whose record is kept.
MAX_RECORDS = 10_000


@dataclasses.dataclass(frozen=True)
class BatchSummary:
    """What one batch of scores looked like.

    Attributes:
        start: number of scored examples before it.
        size: scored examples in it.
        unscored: examples without a score in it; they are counted, no more.
        median_score: median of the scores; None if there are none.
        flagged: share of the scores beyond the calibration's threshold.
        uniformity: p-value of a Kolmogorov-Smirnov test of the batch's own
            p-values against uniformity; one batch in a hundred has 0.01.
        deciles: number of p-values in each tenth of [0, 1], [10].
        log10_wealth: wealth of the martingale behind the batch.
        log10_highest: highest wealth so far.

    Example:
        >>> from nae_tf.serving import Calibration, Monitor
        >>> monitor = Monitor(Calibration([1.0, 2.0, 3.0]))
        >>> batch = monitor.update([2.5, float("nan"), 0.5])
        >>> batch.size, batch.unscored, batch.median_score
        (2, 1, 1.5)
    """

    start: int
    size: int
    unscored: int
    median_score: float | None
    flagged: float
    uniformity: float
    deciles: list[int]
    log10_wealth: float
    log10_highest: float


class Monitor:
    """A test that never ends of whether scores are still those of inliers.

    It is a conformal test martingale: it bets against the uniformity of
    p-values, each against the calibration scores and the scores before. If
    calibration and traffic are inliers of one distribution, in any order, the
    probability that it ever gives an alarm is at most `level`, over the draw of
    the calibration scores as well, however few they are. It bets on outliers
    as well as on scores that are too low.

    Scores must not depend on each other: frames of one film do, and each looks
    like the one before. A change that lasts for longer than `capacity` examples
    becomes what is compared with; an alarm stays.

    Attributes:
        level: highest probability of a false alarm, ever, in (0, 1).
        count: number of scores so far.
        unscored: number of examples without a score so far.
        alarm_at: number of scores behind which it gave the alarm, or None.
        log10_wealth: logarithm of the martingale's wealth.
        log10_highest: its highest value so far; an alarm begins at
            log10(1 / level).
        batches: summaries of the last 10,000 batches.

    Example:
        >>> import numpy as np
        >>> from nae_tf.serving import Calibration, Monitor
        >>> random = np.random.default_rng(0)
        >>> monitor = Monitor(Calibration(random.normal(size=500)), level=0.01)
        >>> monitor.update(random.normal(size=200)).size, monitor.alarm_at
        (200, None)
        >>> summary = monitor.update(random.normal(1.0, size=200))
        >>> monitor.alarm_at is not None
        True
        >>> again = Monitor.from_json(monitor.to_json(), monitor.calibration)
        >>> again.log10_wealth == monitor.log10_wealth
        True
    """

    def __init__(
        self,
        calibration: Calibration,
        level: float = 0.01,
        capacity: int = 10_000,
        seed: int = 0,
    ):
        """Begin a watch.

        Args:
            calibration: scores of held-out inliers, and the threshold of the
                share of flagged examples.
            level: highest probability of a false alarm, ever, in (0, 1).
            capacity: number of scores that are compared with, at most; never
                fewer than the calibration has.
            seed: seed of ties and of which scores are kept, >= 0.

        Raises:
            ValueError: if a setting is out of range.
        """
        check_instance("Monitor", "calibration", calibration, Calibration)
        check_number("Monitor", "level", level, "(0, 1)")
        check_integer("Monitor", "capacity", capacity, 1)
        check_integer("Monitor", "seed", seed, 0)
        self.calibration = calibration
        self.level = level
        self.count = self.unscored = 0
        self.alarm_at: int | None = None
        self.log10_wealth = self.log10_highest = 0.0
        self.batches: list[BatchSummary] = []
        self._capacity = max(capacity, len(calibration.scores))
        self._random = np.random.default_rng(seed)
        self._reference = calibration.scores.tolist()
        self._stakes = np.zeros(NUM_BETS)
        self._inputs: list[str] = []

    def update(self, scores) -> BatchSummary:
        """Take the next scores into account.

        Args:
            scores: float [batch], in the order of their arrival; NaN for an
                example that has none.

        Returns:
            What the batch looked like; it is the last of `batches`.

        Raises:
            ValueError: if they have another shape, or are no numbers.
        """
        scores = as_numbers("Monitor.update", "scores", scores, rank=1)
        has_score = ~np.isnan(scores)
        unscored = int(np.sum(~has_score))
        scores = scores[has_score]
        p_values = conformal_stream(
            scores.tolist(),
            self._reference,
            self._capacity,
            self._random.random((len(scores), 2)),
        )
        self._stakes, wealth = wealth_course(self._stakes, self.count, p_values)
        self._note_wealth(wealth)
        self.batches.append(self._summary(scores, p_values, unscored))
        del self.batches[:-MAX_RECORDS]
        self.count += len(scores)
        self.unscored += unscored
        return self.batches[-1]

    def _note_wealth(self, wealth):
        if not wealth.size:
            return
        self.log10_wealth = float(np.log10(wealth[-1]))
        highest = float(np.log10(wealth.max()))
        self.log10_highest = max(self.log10_highest, highest)
        reached = wealth >= 1.0 / self.level
        if self.alarm_at is None and reached.any():
            self.alarm_at = self.count + int(np.argmax(reached)) + 1

    def _summary(self, scores, p_values, unscored):
        size = len(scores)
        deciles, _ = np.histogram(p_values, np.linspace(0.0, 1.0, 11))
        return BatchSummary(
            start=self.count,
            size=size,
            unscored=unscored,
            median_score=float(np.median(scores)) if size else None,
            flagged=float(np.mean(self.calibration.is_outlier(scores)))
            if size
            else 0.0,
            uniformity=float(scipy.stats.kstest(p_values, "uniform").pvalue)
            if size
            else 1.0,
            deciles=deciles.tolist(),
            log10_wealth=self.log10_wealth,
            log10_highest=self.log10_highest,
        )

    def is_new_input(self, digest: str) -> bool:
        """Remember an input, so that none is counted twice.

        Args:
            digest: text that tells inputs apart.

        Returns:
            Whether it is none of the last 10,000.
        """
        if digest in self._inputs:
            return False
        self._inputs = [*self._inputs, digest][-MAX_RECORDS:]
        return True

    def to_json(self) -> str:
        """Return the whole state; `from_json` goes on from it bit by bit."""
        state = {
            "calibration": _digest(self.calibration),
            "level": self.level,
            "capacity": self._capacity,
            "count": self.count,
            "unscored": self.unscored,
            "alarm_at": self.alarm_at,
            "log10_wealth": self.log10_wealth,
            "log10_highest": self.log10_highest,
            "stakes": self._stakes.tolist(),
            "random": self._random.bit_generator.state,
            "inputs": self._inputs,
            "reference": self._reference,
            "batches": [dataclasses.asdict(batch) for batch in self.batches],
        }
        return json.dumps(state) + "\n"

    @classmethod
    def from_json(cls, text: str, calibration: Calibration) -> "Monitor":
        """Go on with a watch.

        Args:
            text: result of `to_json`.
            calibration: calibration that the watch began with.

        Raises:
            ValueError: if the text is something else, or the calibration is
                another one.
        """
        try:
            state = parse_json(text)
            monitor = cls(calibration, state["level"], state["capacity"])
            is_same = state["calibration"] == _digest(calibration)
            monitor.count = int(state["count"])
            monitor.unscored = int(state["unscored"])
            monitor.alarm_at = state["alarm_at"]
            monitor.log10_wealth = float(state["log10_wealth"])
            monitor.log10_highest = float(state["log10_highest"])
            monitor._stakes = np.array(state["stakes"], np.float64)
            monitor._random.bit_generator.state = state["random"]
            monitor._inputs = list(state["inputs"])
            monitor._reference = [float(score) for score in state["reference"]]
            monitor.batches = [BatchSummary(**one) for one in state["batches"]]
            if monitor._stakes.shape != (NUM_BETS,) or any(
                map(math.isnan, monitor._reference)
            ):
                raise ValueError("its numbers are damaged")
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"this is not the state of a monitor: {reason(error)}; begin "
                "another one, or restore it from a copy."
            ) from error
        if not is_same:
            raise ValueError(
                "the state belongs to another calibration; begin another one "
                "for every version of a model."
            )
        return monitor


def _digest(calibration):
    """A hash that tells calibrations apart."""
    return hashlib.sha256(calibration.to_json().encode()).hexdigest()
