"""Tests of exchangeability that run for ever: conformal test martingales.

Scores arrive one by one. As long as they come from the distribution of the
calibration scores, their smoothed p-values

    p_t = (#{i: s_i > s_t} + u_t * #{i: s_i = s_t}) / (N + 1)

are independent and uniform: i runs over N reference scores and s_t itself, and
u_t is uniform in (0, 1]. A martingale bets against that. It begins with wealth
1, and by Ville's inequality

    P(wealth >= 1 / level at any time) <= level.

**Why a finite calibration set costs nothing.** p-values against one fixed set
depend on each other through this set: a set that is a little too low makes all
of them a little too small, for ever. So the reference changes with the stream.
It begins as the calibration scores; s_t is added to it, and once it is full, a
random one of its scores leaves. Given the N + 1 scores as a bag without order,
s_t is each of them with the same probability, so that p_t is uniform; what
follows depends on that bag alone. So p_1, p_2, ... are independent, exactly,
whatever the size of the calibration set and over its draw as well. The price is
that a change that lasts becomes the reference in the end.

Vovk, Nouretdinov & Gammerman, Testing exchangeability on-line, ICML 2003.
Vovk, Testing randomness online, Statistical Science 36 (2021),
https://arxiv.org/abs/1906.09256.
"""

import bisect
from collections.abc import Iterable, Sequence

import numpy as np

# Exponents of the bets; 1 would be no bet.
KAPPAS = (0.2, 0.4, 0.6, 0.8)
NUM_BETS = 2 * len(KAPPAS)
# A change is expected after so many examples, in order of magnitude.
CHANGE_SCALE = 100.0
# No bet wins more, so that no number overflows; the bound holds all the more.
MAX_STAKE = 1e300
_SMALLEST = 2.0**-53


def smoothed_p_value(score: float, reference: Sequence[float], u: float):
    """Return the p-value of a score, with ties broken at random.

        p = (#{i: s_i > s} + u * (#{i: s_i = s} + 1)) / (N + 1)

    Args:
        score: score of the example; high is outlying.
        reference: N scores, ascending.
        u: number in (0, 1], uniform at random.

    Returns:
        float in (0, 1], uniform if the score is exchangeable with the others.
    """
    not_above = bisect.bisect_right(reference, score)
    ties = not_above - bisect.bisect_left(reference, score) + 1
    above = len(reference) - not_above
    return (above + u * ties) / (len(reference) + 1)


def conformal_stream(
    scores: Iterable[float], reference: list[float], capacity: int, uniforms
) -> np.ndarray:
    """Return the p-values of consecutive scores, each against those before.

    Args:
        scores: floats, [number].
        reference: scores to compare with, ascending; it is changed: every score
            is added, and a random one leaves where there are more than
            `capacity`.
        capacity: largest number of reference scores.
        uniforms: float [number, 2] in [0, 1), for ties and for what leaves.

    Returns:
        float64 [number], independent and uniform as long as scores and
        reference are exchangeable.
    """
    p_values = []
    for score, (u, v) in zip(scores, uniforms, strict=True):
        p_values.append(smoothed_p_value(score, reference, 1.0 - u))
        bisect.insort(reference, score)
        if len(reference) > capacity:
            del reference[int(v * len(reference))]
    return np.array(p_values, np.float64)


def power_bets(p_values) -> np.ndarray:
    """Return what one unit of wealth becomes by each bet.

        kappa * p^(kappa - 1)  and  kappa * (1 - p)^(kappa - 1)

    for every kappa of `KAPPAS`. The first ones gain by outliers, the second
    ones by scores that are too low. Over a uniform p each has the mean 1.

    Args:
        p_values: float [number] in [0, 1].

    Returns:
        float64 [number, NUM_BETS].
    """
    p = np.asarray(p_values, np.float64)[:, None]
    kappas = np.array(KAPPAS)
    return np.concatenate(
        [
            kappas * np.clip(side, _SMALLEST, 1.0) ** (kappas - 1.0)
            for side in (p, 1.0 - p)
        ],
        axis=1,
    )


def reserve(t):
    """Return the share of the first wealth that bets on a change after time t.

        r / (r + t),  r = CHANGE_SCALE

    A change at any time t is bet on in advance with a share of about
    r / (r + t)^2, so that it is found however late it comes: the price is
    log((r + t)^2 / r) in the logarithm of the wealth.

    Args:
        t: number of examples, >= 0, or an array of such.
    """
    return CHANGE_SCALE / (CHANGE_SCALE + t)


def wealth_course(stakes, t: int, p_values) -> tuple[np.ndarray, np.ndarray]:
    """Let a martingale meet consecutive p-values.

        stake <- (stake + (reserve(t) - reserve(t + 1)) / NUM_BETS) * bet(p)
        wealth = reserve + sum of stakes

    Args:
        stakes: float64 [NUM_BETS], wealth in each bet; zeros at first.
        t: number of p-values that it has met.
        p_values: float [number] in [0, 1], the next ones.

    Returns:
        stakes: float64 [NUM_BETS] behind the last one.
        wealth: float64 [number], behind each one.
    """
    bets = power_bets(p_values)
    times = t + np.arange(len(bets) + 1)
    moved = -np.diff(reserve(times)) / NUM_BETS
    stakes = np.array(stakes, np.float64)
    wealth = reserve(times[1:])
    with np.errstate(over="ignore"):
        for step, bet in enumerate(bets):
            stakes = np.minimum((stakes + moved[step]) * bet, MAX_STAKE)
            wealth[step] += stakes.sum()
    return stakes, wealth
