"""Annealed importance sampling against normalisers that are known."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from tiny_models import tied_networks

from nae_tf import NAE, Euclidean
from nae_tf.data.densities import (
    EIGHT_GAUSSIANS_STD,
    eight_gaussians_centers,
)
from nae_tf.evaluation import LogNormalizer, log_normalizer
from nae_tf.evaluation.annealed_importance import (
    ChainState,
    anneal,
    hamiltonian_move,
    reflect,
)
from nae_tf.evaluation.normalizer import annealing_path


def quadratic_energy(x):
    return tf.reduce_sum(tf.square(x), axis=1)


# --- Moves --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_at", "position", "direction"),
    [
        (1.5, 1.5, 1),
        (2.25, 1.75, -1),  # Over the upper wall.
        (0.75, 1.25, -1),  # Over the lower one.
        (3.25, 1.25, 1),  # Over both.
        (-0.25, 1.75, 1),
        (4.25, 1.75, -1),  # Three times.
    ],
)
def test_particles_bounce_off_the_walls_of_a_box(left_at, position, direction):
    x, momentum = reflect(
        tf.constant([left_at]), tf.constant([3.0]), low=1.0, high=2.0
    )
    np.testing.assert_allclose(x, [position], atol=1e-6)
    np.testing.assert_allclose(momentum, [3.0 * direction])


def move(x, momentum, coin, step_size, num_leapfrogs=3, beta=2.0):
    energy = quadratic_energy(x)
    state = ChainState(x, energy, 2 * x)
    return hamiltonian_move(
        quadratic_energy,
        state,
        momentum,
        coin,
        tf.constant(beta, x.dtype),
        tf.constant(step_size, x.dtype),
        num_leapfrogs,
        (-1.0, 1.0),
    )


def test_a_move_comes_back_if_its_momentum_is_turned_round():
    rng = np.random.default_rng(0)
    x = tf.constant(rng.uniform(-1, 1, (50, 3)))
    momentum = tf.constant(rng.normal(size=(50, 3)))
    always = tf.zeros(50, tf.float64)  # log 0 is below any ratio.
    there, acceptance = move(x, momentum, always, 0.4)
    assert float(acceptance) == 1.0
    # The last momentum, by leapfrog steps and bounces in NumPy.
    y, p = x.numpy(), momentum.numpy()
    for _ in range(3):
        p = p - 0.4 * 2 * y
        y = y + 0.4 * p
        for _ in range(5):
            p = np.where(np.abs(y) > 1, -p, p)
            y = np.where(y > 1, 2 - y, np.where(y < -1, -2 - y, y))
        p = p - 0.4 * 2 * y
    np.testing.assert_allclose(there.x, y, atol=1e-12)
    np.testing.assert_allclose(there.energy, (y**2).sum(axis=1))
    np.testing.assert_allclose(there.gradient, 2 * y)
    back, _ = move(there.x, -tf.constant(p), always, 0.4)
    np.testing.assert_allclose(back.x, x, atol=1e-12)


def test_a_move_is_accepted_by_what_it_gains():
    # From 0 with momentum 1, one step of .5 at beta 2: no kick at 0, then to
    # .5, where the kick is .5 * 2 * .5. The Hamiltonian goes from .5 to
    # 2 * .25 + .125, and the chance to be accepted is exp(-.125) = .882.
    x, momentum = tf.zeros([2, 1]), tf.ones([2, 1])
    state, acceptance = move(x, momentum, tf.constant([0.88, 0.89]), 0.5, 1)
    np.testing.assert_allclose(state.x, [[0.5], [0.0]])
    np.testing.assert_allclose(state.gradient, [[1.0], [0.0]])
    assert float(acceptance) == 0.5


def test_chains_sample_the_density_between_the_walls():
    """Truncated normal: Kolmogorov-Smirnov, false alarm once in 10^6."""
    count, beta = 4_000, 2.0
    x = tf.zeros([count, 1])
    annealed = anneal(
        quadratic_energy,
        x,
        tf.constant(np.full(60, beta)),
        0.5,
        (0, 1),
        (-1.0, 0.5),
        2,
    )
    scale = math.sqrt(1 / (2 * beta))
    truth = scipy.stats.truncnorm(-1 / scale, 0.5 / scale, scale=scale)
    found = scipy.stats.kstest(annealed.x[:, 0].numpy(), truth.cdf)
    assert found.pvalue > 1e-6
    np.testing.assert_array_equal(annealed.log_weights, 0.0)


def test_the_step_follows_the_acceptance():
    annealed = anneal(
        quadratic_energy,
        tf.zeros([200, 2]),
        tf.constant(np.full(200, 1e4)),
        1.0,
        (0, 1),
        (-1.0, 1.0),
        1,
    )
    # The density's deviation is 1 / sqrt(2e4) = .007.
    assert 0.002 < float(annealed.step_size) < 0.02


# --- Weights ------------------------------------------------------------------


def test_weights_are_those_of_the_energies_met():
    betas = np.array([0.0, 0.1, 0.4, 0.9])
    annealed = anneal(
        quadratic_energy,
        tf.constant([[0.5, 0.5], [0.1, 0.0]]),
        tf.constant(betas),
        0.1,
        (0, 1),
        (-1.0, 1.0),
        1,
    )
    energies = annealed.energies.numpy()
    np.testing.assert_allclose(energies[0], [0.5, 0.01])
    steps = -np.diff(betas)[:, None] * energies[:-1]
    expected = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    np.testing.assert_allclose(annealed.log_weights, expected, rtol=1e-6)
    np.testing.assert_allclose(
        energies[-1], (annealed.x.numpy() ** 2).sum(axis=1), rtol=1e-6
    )


def test_the_path_begins_at_no_energy_and_ends_at_the_coldest():
    np.testing.assert_allclose(
        annealing_path(0.5, 5, power=2.0), [0, 1 / 8, 1 / 2, 9 / 8, 2]
    )


# --- Brackets -----------------------------------------------------------------


def test_a_linear_nae_at_every_temperature():
    """Appendix A.2: a Gaussian, here in a box, hence the error functions."""
    scales = np.array([0.2, 0.5, 0.8])
    model = NAE(
        *tied_networks(np.diag(np.sqrt(scales)).astype("float32")),
        latent_space=Euclidean(),
    )
    half = 2.0
    # E(x) = sum of (1 - scale)^2 x^2 / 3, one factor per coordinate.
    slopes = (1 - scales) ** 2 / 3
    rng = np.random.default_rng(0)
    deviations = np.sqrt(0.02 / (2 * slopes))
    samples = np.clip(rng.normal(size=(500, 3)) * deviations, -half, half)
    # Clipped ones are few, and the chains move on before they count.
    found = log_normalizer(
        model.energy, samples, 0.02, (-half, half), num_temperatures=300
    )
    betas = found.inverse_temperatures[1:, None]
    widths = np.sqrt(betas * slopes)
    truth = np.log(
        np.sqrt(np.pi) / widths * scipy.special.erf(half * widths)
    ).sum(axis=1)
    ends = [found.lower[0], found.upper[0]]
    np.testing.assert_allclose(ends, 3 * np.log(4), rtol=1e-6)
    inside = (found.lower[1:] <= truth) & (truth <= found.upper[1:])
    assert inside.mean() > 0.9
    # At the coldest the box does not matter, and A.2 is a formula.
    assert truth[-1] == pytest.approx(
        np.log(np.pi / (50 * slopes)).sum() / 2, abs=0.15
    )
    assert (found.upper - found.lower).max() < 0.6
    assert found.is_trusted.all()


def eight_gaussians_energy(x):
    centers = tf.constant(eight_gaussians_centers(), x.dtype)
    squares = tf.reduce_sum(tf.square(x[:, None] - centers), axis=-1)
    exponents = -squares / (2 * EIGHT_GAUSSIANS_STD**2)
    return -tf.reduce_logsumexp(exponents, axis=1)


@pytest.fixture(scope="module")
def brackets_of_eight_gaussians():
    """Brackets at T = 2 and T = 1 by ten seeds, and what a grid says."""
    half, cells = 8.0, 400
    ticks = -half + (np.arange(cells) + 0.5) * 2 * half / cells
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    energies = np.asarray(
        eight_gaussians_energy(tf.constant(points, tf.float32)), np.float64
    )
    area = (2 * half / cells) ** 2
    truth = [
        scipy.special.logsumexp(-beta * energies) + np.log(area)
        for beta in (1 / 2, 1)
    ]
    # The density's own samples: cells of the grid.
    weights = np.exp(-energies)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(points), 500, p=weights / weights.sum())
    brackets = [
        log_normalizer(
            eight_gaussians_energy,
            points[chosen],
            1.0,
            (-half, half),
            num_temperatures=150,
            num_leapfrogs=2,
            num_burn_in=20,
            seed=seed,
        )
        for seed in range(10)
    ]
    return brackets, truth


def test_brackets_of_eight_gaussians_contain_the_truth(
    brackets_of_eight_gaussians,
):
    brackets, truth = brackets_of_eight_gaussians
    half_way = int(np.argmin(np.abs(brackets[0].inverse_temperatures - 0.5)))
    for index, tolerance, log_omega in [
        (-1, 0.0, truth[1]),
        (half_way, 0.02, truth[0]),
    ]:
        holds = [
            found.lower[index] - tolerance
            <= log_omega
            <= found.upper[index] + tolerance
            for found in brackets
        ]
        assert sum(holds) >= 9
    widths = [found.upper[-1] - found.lower[-1] for found in brackets]
    assert max(widths) < 1.5


def test_the_number_of_chains_changes_the_width_alone():
    samples = np.random.default_rng(0).normal(size=(400, 2)) * np.sqrt(0.5)
    few, many = (
        log_normalizer(
            quadratic_energy,
            samples,
            1.0,
            (-6.0, 6.0),
            num_chains=count,
            num_temperatures=200,
            num_leapfrogs=2,
            num_burn_in=20,
        )
        for count in (16, 400)
    )
    for found in (few, many):
        assert found.lower[-1] < math.log(math.pi) < found.upper[-1]
    ratio = (few.upper - few.lower)[-1] / (many.upper - many.lower)[-1]
    assert 2 < ratio < 12  # sqrt(400 / 16) = 5.


@pytest.mark.parametrize(
    "samples_at", [-1.0, 1.0], ids=["in the light mode", "in the heavy mode"]
)
def test_samples_in_one_of_two_modes_are_enough(samples_at):
    """As many forward chains end in either mode, but one has all the mass."""
    low, gap, steepness = 0.02, 0.04, 20.0

    def two_modes(x):
        x = x[:, 0]
        shape = steepness * tf.square(tf.abs(x) - 1.0)
        # Deeper by `gap` for x > 0, a little beside the barrier.
        return shape - gap * tf.cast(x > 0, x.dtype)

    found = log_normalizer(
        two_modes,
        np.full((64, 1), samples_at),
        low,
        (-2.0, 2.0),
        num_temperatures=200,
        num_leapfrogs=2,
    )
    truth = math.log((1 + math.exp(gap / low)) * math.sqrt(math.pi * low / 20))
    # The share of the modes among 64 chains has an error of its own. From the
    # light mode alone the upper end would be 2.1 - log 2 = 1.4 below the truth.
    assert found.lower[-1] < truth < found.upper[-1] + 0.3
    assert found.upper[-1] - found.lower[-1] < 4.0


def test_a_run_too_short_is_not_trusted():
    def steep(x):
        return 1e6 * tf.reduce_sum(tf.square(x - 0.3), axis=1)

    found = log_normalizer(
        steep,
        np.full((1, 20), 0.3),
        1.0,
        num_chains=8,
        num_temperatures=5,
        num_leapfrogs=1,
        num_burn_in=0,
    )
    assert not found.is_trusted[-1]
    assert found.is_trusted[0]
    assert found.sample_sizes[-1] == pytest.approx(1.0, abs=0.01)


# --- Temperature --------------------------------------------------------------


def test_the_best_temperature_is_that_of_the_data():
    """Of a Gaussian E = |x|^2 in D dimensions: mean E = D T / 2."""
    betas = np.linspace(0.5, 4.0, 701)
    dimensions = 6
    log_omega = dimensions / 2 * np.log(np.pi / betas)
    sizes = np.ones_like(betas)
    exact = LogNormalizer(betas, log_omega, log_omega, sizes, sizes, sizes)
    index = exact.best_temperature(energy=dimensions / 2 * 0.8)
    assert 1 / betas[index] == pytest.approx(0.8, rel=0.01)
    lower, upper = exact.log_likelihoods(2.0)
    np.testing.assert_allclose(lower, -2.0 * betas - log_omega)
    np.testing.assert_allclose(lower, upper)


def test_the_ends_of_the_likelihood_are_those_of_the_normaliser():
    ones = np.ones(1)
    found = LogNormalizer(2 * ones, 3 * ones, 5 * ones, ones, 8 * ones, ones)
    assert found.log_likelihoods(1.5) == ([-8.0], [-6.0])
    np.testing.assert_array_equal(found.sample_sizes, [1.0])


# --- Bad input ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": np.full((3, 2), 1.5)}, r"expected samples in the box"),
        ({"samples": np.full((3, 2), np.nan)}, r"expected samples in the box"),
        ({"samples": np.zeros((0, 2))}, r"received 0 from"),
        ({"min_temperature": 0.0}, r"min_temperature"),
        ({"num_chains": 1}, r"num_chains"),
        ({"num_temperatures": 1}, r"num_temperatures"),
        ({"num_leapfrogs": 0}, r"num_leapfrogs"),
        ({"num_burn_in": -1}, r"num_burn_in"),
    ],
)
def test_bad_input_is_named(arguments, message):
    good = {"samples": np.full((3, 2), 0.5), "min_temperature": 1.0}
    with pytest.raises(ValueError, match=message):
        log_normalizer(quadratic_energy, **(good | arguments))
