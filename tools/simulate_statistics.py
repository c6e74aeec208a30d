"""Simulate what p-values, thresholds, selections and intervals promise.

    python tools/simulate_statistics.py

Every row is a promise, the share that was promised, the share that was found
over many data sets, and how many standard errors lie between. Writes
tools/results/statistics/simulation.json.
"""

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import scipy.stats
from absl import app, flags

from nae_tf.metrics import area_under_roc, detection_estimates
from nae_tf.runs.disk import write_atomically
from nae_tf.serving import Calibration, benjamini_hochberg
from reproduction import cells

FLAGS = flags.FLAGS
flags.DEFINE_integer("trials", 4_000, "Number of data sets of a row.")
flags.DEFINE_integer("seed", 0, "Seed of all data sets.")

RESULTS = cells.RESULTS / "statistics" / "simulation.json"


@dataclasses.dataclass(frozen=True)
class Promise:
    """A promise and what was found.

    Attributes:
        name: what is promised, of what data.
        promised: share that is promised.
        found: mean of the shares over data sets.
        standard_error: of `found`.
        is_bound: whether less than promised keeps the promise, too.
    """

    name: str
    promised: float
    found: float
    standard_error: float
    is_bound: bool

    @property
    def z_score(self) -> float:
        """Standard errors by which more was found than promised."""
        difference = self.found - self.promised
        # A share that is always the same has no error; nor may it differ.
        return difference / max(self.standard_error, 1e-12)

    @property
    def is_kept(self) -> bool:
        """Whether chance explains the difference, at five standard errors."""
        return self.z_score < 5 and (self.is_bound or self.z_score > -5)


def _promise(name, promised, shares, is_bound=False):
    shares = np.asarray(shares, float)
    error = shares.std(ddof=1) / np.sqrt(len(shares))
    return Promise(name, promised, shares.mean(), float(error), is_bound)


def false_alarms(random, trials) -> Iterator[Promise]:
    """Shares of flagged inliers, exact for each calibration set."""
    for n in (19, 99, 999):
        for rate in (0.01, 0.05, 0.2):
            thresholds = [
                Calibration(random.exponential(size=n), rate).threshold
                for _ in range(trials)
            ]
            # Of n + 1 ranks, those that the rate allows.
            yield _promise(
                f"false alarms at {rate:g}, n = {n}",
                np.floor(rate * (n + 1) + 1e-9) / (n + 1),
                np.exp(-np.array(thresholds)),
            )


def false_alarms_of_ties(random, trials) -> Iterator[Promise]:
    """Shares of flagged inliers where scores are counts or duplicates."""
    counts = scipy.stats.poisson(3.0)
    rows = np.sort(random.normal(size=40))
    for rate in (0.05, 0.2):
        for name, draw, share_above in [
            (
                "counts",
                lambda: random.poisson(3.0, size=99).astype(float),
                counts.sf,
            ),
            (
                "40 rows over and over",
                lambda: random.choice(rows, size=99),
                lambda threshold: np.mean(rows > threshold),
            ),
        ]:
            thresholds = [
                Calibration(draw(), rate).threshold for _ in range(trials)
            ]
            yield _promise(
                f"false alarms at {rate:g}, {name}",
                rate,
                [share_above(threshold) for threshold in thresholds],
                is_bound=True,
            )


def conditional_failures(random, trials) -> Iterator[Promise]:
    """Shares of calibration sets whose conditional p-values promise wrongly."""
    for n in (20, 200):
        failures = []
        for _ in range(trials):
            calibration = Calibration(random.random(n))
            # The share of inliers with a value at most that of a score is the
            # share of scores as high: the worst is just above a score.
            values = calibration.conditional_p_values(calibration.scores)
            shares = 1.0 - np.r_[0.0, calibration.scores[:-1]]
            failures.append(np.any(shares > values + 1e-3))
        yield _promise(
            f"conditional p-values fail, n = {n}", 0.1, failures, is_bound=True
        )


def false_discoveries(random, trials) -> Iterator[Promise]:
    """Shares of inliers among the selected."""
    num_inliers, num_outliers, rate = 90, 10, 0.2
    shift = np.r_[np.zeros(num_inliers), np.full(num_outliers, 4.0)]
    for correlation in (0.0, 0.5, 0.9):
        shares = []
        for _ in range(trials):
            calibration = Calibration(random.normal(size=1_000))
            common = np.sqrt(correlation) * random.normal()
            own = np.sqrt(1 - correlation) * random.normal(size=len(shift))
            selected = benjamini_hochberg(
                calibration.p_values(common + own + shift), rate
            )
            wrong = selected[:num_inliers].sum()
            shares.append(wrong / max(selected.sum(), 1))
        yield _promise(
            f"inliers among the selected, correlation {correlation:g}",
            rate * num_inliers / len(shift),
            shares,
            is_bound=True,
        )


def coverage(random, trials) -> Iterator[Promise]:
    """Shares of bootstrap intervals that hold the AUROC of the distribution."""
    for auroc, n in [(0.7, 10), (0.9, 10), (0.9, 30), (0.9, 100), (0.9, 1_000)]:
        shift = np.sqrt(2.0) * scipy.stats.norm.ppf(auroc)
        covered = []
        for seed in range(trials):
            estimate = detection_estimates(
                random.normal(size=n),
                random.normal(shift, size=n),
                {"AUROC": area_under_roc},
                num_resamples=200,
                seed=seed,
            )["AUROC"]
            covered.append(estimate.low <= auroc <= estimate.high)
        yield _promise(
            f"intervals of an AUROC of {auroc:g}, {n} of each kind",
            0.95,
            covered,
        )


SIMULATIONS = (
    *(false_alarms, false_alarms_of_ties, conditional_failures),
    *(false_discoveries, coverage),
)


def main(_):
    """Simulate all promises, and write them."""
    origin = cells.current_origin(threads=1)
    random = np.random.default_rng(FLAGS.seed)
    rows = []
    for simulation in SIMULATIONS:
        for promise in simulation(random, FLAGS.trials):
            bound = "at most " if promise.is_bound else ""
            print(
                f"{promise.name}: {bound}{promise.promised:.4g} promised, "
                f"{promise.found:.4f} ± {promise.standard_error:.4f} found, "
                f"z = {promise.z_score:+.1f}",
                flush=True,
            )
            rows.append(
                dataclasses.asdict(promise)
                | {"z_score": promise.z_score, "is_kept": promise.is_kept}
            )
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    record = {"trials": FLAGS.trials, "seed": FLAGS.seed, **origin}
    write_atomically(
        RESULTS, json.dumps(record | {"rows": rows}, indent=1, default=bool)
    )


if __name__ == "__main__":
    app.run(main)
