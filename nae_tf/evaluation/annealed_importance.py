"""Annealed importance sampling: chains of an energy between walls.

    p_k(x) ~ exp(-beta_k E(x)) in a box
    log w_k = -sum_{j < k} (beta_{j+1} - beta_j) E(x_j)

x_j comes from x_{j-1} by a move that leaves p_j as it is: Hamiltonian Monte
Carlo, which is exact, unlike the chains of training (`langevin`). What the
weights say about the normaliser is in `normalizer`.

References:
    Neal, Annealed Importance Sampling, 2001.
        https://arxiv.org/abs/physics/9803008
    Neal, MCMC Using Hamiltonian Dynamics, 2011, section 5.1.
        https://arxiv.org/abs/1206.1901
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.batches import scalar_like
from nae_tf.energy import energy_and_gradient

# The step of the chains grows above the one share of accepted moves and shrinks
# below the other. It follows earlier temperatures, so no move looks ahead.
_GROWS_ABOVE, _SHRINKS_BELOW = 0.8, 0.5
_GROWTH, _SHRINKAGE = 1.1, 0.9
# Of the width of the box.
_LARGEST_STEP = 1.0

# --- Moves --------------------------------------------------------------------


class ChainState(NamedTuple):
    """States of chains, and what their next move needs.

    Attributes:
        x: float [chains, ...].
        energy: float [chains], E(x).
        gradient: float, shape of `x`, dE/dx.
    """

    x: tf.Tensor
    energy: tf.Tensor
    gradient: tf.Tensor


def reflect(x, momentum, low: float, high: float):
    """Let particles that have left a box bounce off its walls.

    Args:
        x: float [chains, ...], positions as if there were no walls.
        momentum: float, shape of `x`.
        low: lower wall, of every coordinate.
        high: upper wall.

    Returns:
        x: positions inside of the box.
        momentum: momenta, turned round after an odd number of bounces.
    """
    width = high - low
    # Without walls a particle runs through mirrored copies of the box.
    y = tf.math.floormod(x - low, 2 * width)
    mirrored = y > width
    return (
        low + tf.where(mirrored, 2 * width - y, y),
        tf.where(mirrored, -momentum, momentum),
    )


def hamiltonian_move(
    energy_fn: Callable,
    state: ChainState,
    momentum,
    coin,
    inverse_temperature,
    step_size,
    num_leapfrogs: int,
    bounds: tuple[float, float],
):
    """Make one move of Hamiltonian Monte Carlo between walls.

        H(x, p) = inverse_temperature * E(x) + |p|^2 / 2

    Leapfrog steps and bounces are reversible and keep volumes, so accepting
    with probability exp(H before - H after) leaves exp(-inverse_temperature *
    E) as it is. A single leapfrog step is an adjusted Langevin move.

    Args:
        energy_fn: function from float [chains, ...] to energies, float
            [chains].
        state: `ChainState`.
        momentum: standard normal noise, shape of the states.
        coin: uniform in [0, 1), float [chains].
        inverse_temperature: beta, float scalar >= 0.
        step_size: length of a leapfrog step, float scalar, in units of x.
        num_leapfrogs: number of leapfrog steps, > 0.
        bounds: (low, high), the walls.

    Returns:
        state: the next `ChainState`.
        acceptance: share of the chains that moved, float scalar.
    """
    axes = list(range(1, state.x.shape.rank))

    def hamiltonian(energy, momentum):
        kinetic = tf.reduce_sum(tf.square(momentum), axes) / 2
        return inverse_temperature * energy + kinetic

    before = hamiltonian(state.energy, momentum)
    x, energy, gradient = state
    half_kick = inverse_temperature * step_size / 2
    for _ in range(num_leapfrogs):
        momentum = momentum - half_kick * gradient
        x, momentum = reflect(x + step_size * momentum, momentum, *bounds)
        energy, gradient = energy_and_gradient(energy_fn, x)
        momentum = momentum - half_kick * gradient
    # Not accepted either where the energy is not a number.
    accept = tf.math.log(coin) < before - hamiltonian(energy, momentum)
    keep = tf.reshape(accept, [-1] + [1] * len(axes))
    moved = ChainState(
        tf.where(keep, x, state.x),
        tf.where(accept, energy, state.energy),
        tf.where(keep, gradient, state.gradient),
    )
    return moved, tf.reduce_mean(tf.cast(accept, x.dtype))


def adapted_step_size(step_size, acceptance, width: float):
    """Return the step size of the next temperature.

    Args:
        step_size: float scalar.
        acceptance: share of the moves accepted so far, float scalar.
        width: width of the box.
    """
    factor = tf.where(acceptance > _GROWS_ABOVE, _GROWTH, 1.0)
    factor = tf.where(acceptance < _SHRINKS_BELOW, _SHRINKAGE, factor)
    largest = scalar_like(_LARGEST_STEP * width, step_size)
    return tf.minimum(step_size * tf.cast(factor, step_size.dtype), largest)


# --- Annealing ----------------------------------------------------------------


class Annealed(NamedTuple):
    """What chains have met on a path of temperatures.

    Attributes:
        log_weights: float64 [temperatures, chains], log w_k, 0 at the first.
        energies: float [temperatures, chains], E(x_k).
        x: float [chains, ...], the last states.
        step_size: float scalar, the last step size.
        acceptance: share of the moves that were accepted, float scalar.
    """

    log_weights: tf.Tensor
    energies: tf.Tensor
    x: tf.Tensor
    step_size: tf.Tensor
    acceptance: tf.Tensor


def anneal(
    energy_fn: Callable,
    x,
    inverse_temperatures,
    step_size,
    seed,
    bounds: tuple[float, float],
    num_leapfrogs: int,
) -> Annealed:
    """Take chains along a path of temperatures, up or down, a move at each.

    Args:
        energy_fn: function from float [chains, ...] to energies, float
            [chains].
        x: float [chains, ...], samples at the first temperature.
        inverse_temperatures: float64 [temperatures], the path.
        step_size: first step size, float scalar, in units of x.
        seed: stateless seed, int [2].
        bounds: (low, high), the box of every coordinate.
        num_leapfrogs: number of leapfrog steps per move, > 0.

    Returns:
        `Annealed`.
    """
    betas = inverse_temperatures
    energy, gradient = energy_and_gradient(energy_fn, x)
    count = tf.shape(betas)[0]
    weights, energies = (
        tf.TensorArray(dtype, size=count, clear_after_read=False)
        for dtype in (tf.float64, x.dtype)
    )
    no_weight = tf.zeros_like(energy, tf.float64)

    def body(index, state, log_weight, step_size, accepted, weights, energies):
        increment = betas[index] - betas[index - 1]
        log_weight -= increment * tf.cast(state.energy, tf.float64)
        step_seed = randomness.fold_in(seed, index)
        state, acceptance = hamiltonian_move(
            energy_fn,
            state,
            randomness.normal(tf.shape(x), step_seed, x.dtype),
            # A second stream of the step's seed.
            randomness.uniform(
                tf.shape(state.energy),
                randomness.fold_in(step_seed, 1),
                x.dtype,
            ),
            scalar_like(betas[index], x),
            step_size,
            num_leapfrogs,
            bounds,
        )
        return (
            index + 1,
            state,
            log_weight,
            adapted_step_size(step_size, acceptance, bounds[1] - bounds[0]),
            accepted + acceptance,
            weights.write(index, log_weight),
            energies.write(index, state.energy),
        )

    _, state, _, step_size, accepted, weights, energies = tf.while_loop(
        lambda index, *_: index < count,
        body,
        (
            tf.constant(1),
            ChainState(x, energy, gradient),
            no_weight,
            scalar_like(step_size, x),
            tf.zeros([], x.dtype),
            weights.write(0, no_weight),
            energies.write(0, energy),
        ),
        parallel_iterations=1,
    )
    moves = tf.cast(tf.maximum(count - 1, 1), x.dtype)
    return Annealed(
        weights.stack(),
        energies.stack(),
        state.x,
        step_size,
        accepted / moves,
    )
