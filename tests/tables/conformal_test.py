"""P-values against a count by hand, and their probability."""

import numpy as np

from nae_tf.tables import cross_conformal_p_values, rounded


def counted(energies, fold, left_out_energies):
    """The definition, pair by pair."""
    p_values = []
    for row in range(energies.shape[1]):
        at_least = sum(
            left_out >= energies[number, row]
            for number, left_out in zip(fold, left_out_energies, strict=True)
        )
        p_values.append((1 + at_least) / (1 + len(fold)))
    return p_values


def test_they_are_the_share_of_comparisons_ties_included():
    generator = np.random.default_rng(0)
    # Of few values, so that many are equal.
    energies = generator.integers(0, 9, (3, 40)).astype(float)
    fold = generator.permutation(np.arange(32) % 3)
    left_out = generator.integers(0, 9, 32).astype(float)
    found = cross_conformal_p_values(energies, fold, left_out)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, counted(energies, fold, left_out))


def test_they_lie_between_one_comparison_and_all():
    fold, left_out = np.arange(9) % 3, np.arange(9.0)
    energies = np.broadcast_to([-np.inf, np.inf, np.nan], (3, 3))
    np.testing.assert_allclose(
        cross_conformal_p_values(energies, fold, left_out), [1, 0.1, 0.1]
    )


def test_of_exchangeable_energies_a_tenth_is_at_most_a_tenth():
    generator = np.random.default_rng(1)
    fold = np.arange(99) % 4
    trials = 2_000
    found = 0
    for _ in range(trials):
        *left_out, new = generator.exponential(size=100)
        p_value = cross_conformal_p_values(
            np.full((4, 1), new), fold, np.array(left_out)
        )
        found += p_value[0] <= 0.1
    # Of 100 equal chances, ten.
    error = np.sqrt(0.1 * 0.9 / trials)
    assert abs(found / trials - 0.1) < 4 * error


def test_an_outlier_under_one_member_alone_counts_for_its_fold():
    fold = np.repeat([0, 1], [30, 69])
    energies = np.array([[9.0], [0.0]])
    p_value = cross_conformal_p_values(energies, fold, np.ones(99))
    np.testing.assert_allclose(p_value, [0.7])


def test_rounded_energies_are_those_of_single_precision_at_any_size():
    generator = np.random.default_rng(2)
    x = generator.normal(size=1_000) * 10.0 ** generator.integers(
        -30, 30, 1_000
    )
    np.testing.assert_array_equal(rounded(x), x.astype(np.float32))
    np.testing.assert_allclose(rounded(x * 1e200), x * 1e200, rtol=2.0**-24)
    special = np.array([0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(rounded(special), special)


def test_energies_that_differ_by_rounding_are_ties():
    fold, left_out = np.zeros(9, int), np.full(9, 0.3)
    p_value = cross_conformal_p_values(
        np.array([[0.1 + 0.2, 0.3001]]), fold, left_out
    )
    np.testing.assert_allclose(p_value, [1.0, 0.1])
