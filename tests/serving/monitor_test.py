"""The watch: rare false alarms, early alarms, a state that goes on."""

import json

import numpy as np
import pytest
from scipy import stats

from nae_tf.serving import Calibration, Monitor


def stream_of(random, num_calibration, level):
    scores = random.lognormal(size=num_calibration)
    return Monitor(Calibration(scores), level, seed=int(random.integers(1e9)))


def test_at_most_one_stream_of_inliers_in_twenty_gives_an_alarm():
    # A calibration of its own for each.
    random = np.random.default_rng(5)
    alarms = 0
    for number in range(1_000):
        monitor = stream_of(random, 40 + number % 3 * 80, 0.05)
        monitor.update(random.lognormal(size=400))
        alarms += monitor.alarm_at is not None
    assert alarms <= 50
    # The bound is loose, but no monitor that never bets.
    assert alarms >= 3


@pytest.mark.parametrize("change", [0, 1_500])
def test_a_fifth_of_outliers_is_found_within_500_examples(change):
    # Outliers of AUROC 0.95; a calibration of its own for each stream.
    random = np.random.default_rng(6)
    shift = np.sqrt(2.0) * stats.norm.ppf(0.95)
    found = 0
    for _ in range(60):
        monitor = stream_of(random, 300, 0.05)
        monitor.update(random.lognormal(size=change))
        is_outlier = random.random(500) < 0.2
        scores = np.exp(random.normal(shift * is_outlier))
        is_early = monitor.alarm_at is not None
        monitor.update(scores)
        found += monitor.alarm_at is not None and not is_early
    # At a rate of 97 %, fewer than 54 of 60 have a probability of 1e-3.
    assert found >= 54


def test_scores_that_are_too_low_give_an_alarm_too():
    random = np.random.default_rng(7)
    monitor = Monitor(Calibration(random.lognormal(size=300)), 0.01)
    monitor.update(random.lognormal(-1.0, size=300))
    assert monitor.alarm_at is not None


def test_an_alarm_stands_at_the_example_that_made_it_and_stays():
    random = np.random.default_rng(8)
    calibration = Calibration(random.normal(size=200))
    scores = np.concatenate([random.normal(size=90), random.normal(4, size=60)])
    one_by_one = Monitor(calibration, 0.01)
    wealth = []
    for score in scores:
        one_by_one.update([score])
        wealth.append(one_by_one.log10_wealth)
    [first, *_] = np.flatnonzero(np.array(wealth) >= 2.0)
    assert one_by_one.alarm_at == first + 1
    at_once = Monitor(calibration, 0.01)
    at_once.update(scores)
    assert at_once.alarm_at == first + 1
    assert at_once.log10_highest == pytest.approx(max(wealth))
    at_once.update(random.normal(size=2_000))
    assert at_once.alarm_at == first + 1


def test_a_watch_that_goes_on_is_one_that_never_ended_bit_by_bit():
    random = np.random.default_rng(9)
    calibration = Calibration(np.round(random.normal(size=50), 1))
    batches = np.round(random.normal(size=(7, 40)), 1)
    batches[3, 5] = np.nan
    batches[4, 6] = np.inf
    whole = Monitor(calibration, 0.02, capacity=60, seed=3)
    parts = Monitor(calibration, 0.02, capacity=60, seed=3)
    for batch in batches:
        whole.update(batch)
        parts.update(batch)
        parts = Monitor.from_json(parts.to_json(), calibration)
        assert parts.to_json() == whole.to_json()
    assert whole.count == 279 and whole.unscored == 1
    other = Monitor(calibration, 0.02, capacity=60, seed=4)
    other.update(batches[0])
    assert other.log10_wealth != whole.batches[0].log10_wealth


def test_the_summary_of_a_batch():
    calibration = Calibration(np.arange(1.0, 100.0), false_alarm_rate=0.1)
    monitor = Monitor(calibration)
    scores = [1.5, 50.0, np.nan, 98.5, 99.5, 93.0]
    batch = monitor.update(scores)
    assert (batch.start, batch.size, batch.unscored) == (0, 5, 1)
    assert batch.median_score == 93.0
    assert batch.flagged == 3 / 5  # The threshold is 90.
    assert sum(batch.deciles) == 5
    # Three of the five are higher than nine in ten of the calibration.
    assert batch.deciles[0] == 3
    assert monitor.update(scores).start == 5
    empty = monitor.update([np.nan])
    assert (empty.size, empty.unscored, empty.median_score) == (0, 1, None)
    assert monitor.batches[-1] is empty and monitor.count == 10


def test_uniformity_is_that_of_scipy():
    random = np.random.default_rng(10)
    monitor = Monitor(Calibration(random.normal(size=1_000)))
    assert monitor.update(random.normal(size=300)).uniformity > 1e-3
    assert monitor.update(random.normal(1.0, size=300)).uniformity < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("stakes"), "not the state .* 'stakes'"),
        (lambda state: state.update(stakes=[1.0]), "numbers are damaged"),
        (lambda state: state.update(level=2.0), "not the state .* level"),
        (lambda state: state.update(calibration="0"), "another calibration"),
    ],
)
def test_a_state_of_something_else_is_refused(change, message):
    calibration = Calibration([1.0, 2.0])
    state = json.loads(Monitor(calibration).to_json())
    change(state)
    with pytest.raises(ValueError, match=message):
        Monitor.from_json(json.dumps(state), calibration)
    with pytest.raises(ValueError, match="not the state of a monitor"):
        Monitor.from_json("[", calibration)


def test_bad_settings_and_scores_are_refused():
    calibration = Calibration([1.0, 2.0])
    for settings in ({"level": 0.0}, {"capacity": 0}, {"seed": -1}):
        with pytest.raises(
            ValueError, match=f"Monitor: .*{next(iter(settings))}"
        ):
            Monitor(calibration, **settings)
    with pytest.raises(
        ValueError, match=r"in an array of one axis, .*\(1, 2\)"
    ):
        Monitor(calibration).update([[1.0, 2.0]])
