"""The mathematics of the watch, against definitions and simulations."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from nae_tf.serving import martingale


def counted_p_value(score, reference, u):
    above = sum(other > score for other in reference)
    ties = sum(other == score for other in reference) + 1
    return (above + u * ties) / (len(reference) + 1)


@pytest.mark.parametrize("score", [-1.0, 0.5, 2.0, 3.0, 9.0, math.inf])
def test_a_smoothed_p_value_counts_what_is_higher_and_a_part_of_ties(score):
    reference = [0.0, 0.5, 2.0, 2.0, 2.0, 3.0]
    for u in (0.25, 1.0):
        assert martingale.smoothed_p_value(
            score, reference, u
        ) == counted_p_value(score, reference, u)


def test_every_score_is_compared_with_those_before_it():
    random = np.random.default_rng(0)
    calibration = [0.3, 1.0, 1.0, 2.5]
    scores = [1.0, 0.1, 3.0, 1.0, 2.5]
    uniforms = random.random((5, 2))
    reference = list(calibration)
    found = martingale.conformal_stream(scores, reference, 100, uniforms)
    before = [calibration + scores[:number] for number in range(5)]
    expected = [
        counted_p_value(score, others, 1.0 - u)
        for score, others, (u, _) in zip(scores, before, uniforms, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    assert reference == sorted(calibration + scores)


def test_a_full_reference_loses_each_score_alike():
    counts = np.zeros(4)
    for v in np.linspace(0.0, 1.0, 400, endpoint=False):
        reference = [0.0, 1.0, 3.0]
        martingale.conformal_stream([2.0], reference, 3, [(0.5, v)])
        assert len(reference) == 3
        [gone] = {0, 1, 2, 3} - set(reference)
        counts[gone] += 1
    np.testing.assert_array_equal(counts, 100)


@pytest.mark.parametrize("capacity", [6, 1_000])
@pytest.mark.parametrize("discrete", [False, True])
def test_p_values_are_independent_and_uniform_over_tiny_calibrations(
    capacity, discrete
):
    # Against a fixed set of five, p-values of one stream correlate by 1/7.
    random = np.random.default_rng(4)
    streams = []
    for _ in range(6_000):
        scores = random.normal(size=15)
        if discrete:
            scores = np.round(scores)
        streams.append(
            martingale.conformal_stream(
                scores[5:].tolist(),
                sorted(scores[:5].tolist()),
                capacity,
                random.random((10, 2)),
            )
        )
    p_values = np.array(streams)
    for column in p_values.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    correlations = np.corrcoef(p_values.T)[np.triu_indices(10, 1)]
    # 45 normal numbers of the deviation 1 / sqrt(6,000).
    assert np.abs(correlations).max() < 5 / math.sqrt(6_000)


@pytest.mark.parametrize("bet", range(martingale.NUM_BETS))
def test_a_bet_has_the_mean_one(bet):
    def gain(p):
        return martingale.power_bets([p])[0, bet]

    # The singular end is left out: p^kappa there, by the antiderivative.
    end = 1e-6
    whole, _ = integrate.quad(
        gain, end, 1 - end, limit=500, points=[0.01, 0.99]
    )
    kappa = martingale.KAPPAS[bet % len(martingale.KAPPAS)]
    other_end = 1 - (1 - end) ** kappa
    assert whole + end**kappa + other_end == pytest.approx(1.0, abs=1e-6)


def test_the_wealth_is_a_mixture_over_times_of_the_change_and_bets():
    p_values = np.random.default_rng(2).random(12) ** 1.5
    stakes, wealth = martingale.wealth_course(
        np.zeros(martingale.NUM_BETS), 0, p_values
    )
    kappas = martingale.KAPPAS
    for t in range(1, 13):
        expected = 100 / (100 + t)
        for start in range(t):
            weight = 100 / (100 + start) - 100 / (100 + start + 1)
            for side in (p_values, 1 - p_values):
                for kappa in kappas:
                    gains = kappa * side[start:t] ** (kappa - 1)
                    expected += weight / 8 * np.prod(gains)
        assert wealth[t - 1] == pytest.approx(expected, rel=1e-12)
    again, later = martingale.wealth_course(stakes, 12, p_values)
    whole, course = martingale.wealth_course(
        np.zeros(8), 0, np.concatenate([p_values, p_values])
    )
    np.testing.assert_allclose(again, whole, rtol=1e-12)
    np.testing.assert_allclose(later, course[12:], rtol=1e-12)


def test_wealth_stays_finite():
    _, wealth = martingale.wealth_course(np.zeros(8), 0, np.full(4_000, 1e-12))
    assert np.isfinite(wealth).all() and wealth[-1] >= 1e299
    _, wealth = martingale.wealth_course(np.zeros(8), 0, [0.0, 1.0])
    assert np.isfinite(wealth).all()
