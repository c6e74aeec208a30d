"""Langevin Monte Carlo (paper Eq. 8 and 16, section D.3).

    x' = x + drift + noise_std * normal(0, 1)
    drift = -step_size / T * clip(dE/dx)

Pure functions that take the noise, so a recorded trajectory can be replayed
exactly. `langevin_chain` makes chains of them.

Without Metropolis-Hastings the chain is biased by O(step_size). If noise_std is
not sqrt(2 * step_size), as in every image setting of the paper, it samples at
the effective temperature T * noise_std**2 / (2 * step_size), not at T.
"""

from collections.abc import Callable

import tensorflow as tf

from nae_tf.base.batches import scalar_like


def langevin_drift(gradient, step_size, temperature=1.0):
    """Deterministic part of a Langevin move, -step_size / T * gradient (Eq. 8).

    Args:
        gradient: float [batch, ...], gradient of the energy after clipping.
        step_size: float, in units of x**2 / energy.
        temperature: float > 0. It scales the drift only.

    Returns:
        float, shape of `gradient`, in units of x.
    """
    scale = scalar_like(step_size, gradient)
    return -scale / scalar_like(temperature, gradient) * gradient


def langevin_step(x, drift, noise, noise_std):
    """One step of unadjusted Langevin dynamics, x + drift + noise (Eq. 8).

    Args:
        x: float [batch, ...], chain states.
        drift: result of `langevin_drift`, shape of `x`.
        noise: standard normal noise, shape of `x`.
        noise_std: float, in units of x.

    Returns:
        Next states, shape of `x`.
    """
    # TensorFlow sums three large terms in a temporary variable, and fails when
    # a loop within a loop does so again (its issue 23780). This leaves two.
    moved = tf.ensure_shape(x + drift, x.shape)
    return moved + scalar_like(noise_std, x) * noise


def clip_by_element(gradient, limit):
    """Clip every element of the gradient to [-limit, limit].

    This is the rule of Du & Mordatch (2019), whom the paper follows (section
    D.3).

    Args:
        gradient: float [batch, ...].
        limit: float > 0.

    Returns:
        Clipped gradient, same shape.
    """
    # Differs from the paper: it prints the gradient of log E; its code clips
    # that of E, before the temperature divides it.
    return tf.clip_by_value(gradient, -limit, limit)


def clip_by_row_norm(gradient, limit):
    """Clip the norm of every image row of the gradient to `limit`.

    A row is one line of pixels along the width axis of one channel, as in the
    authors' first code. A vector counts as one row.

    Args:
        gradient: float [batch, height, width, channels] or [batch, dim].
        limit: float > 0.

    Returns:
        Clipped gradient, same shape.
    """
    width_axis = -2 if gradient.shape.rank > 2 else -1
    return tf.clip_by_norm(gradient, limit, axes=width_axis)


def clip_by_example_norm(gradient, limit):
    """Clip the norm of every example's gradient to `limit`.

    Args:
        gradient: float [batch, ...].
        limit: float > 0.

    Returns:
        Clipped gradient, same shape.
    """
    axes = list(range(1, gradient.shape.rank))
    return tf.clip_by_norm(gradient, limit, axes=axes)


def scale_to_norm(gradient, norm):
    """Give every example's gradient the same norm, small ones too.

    A move then has a length that does not depend on the scale of the energy.

    Args:
        gradient: float [batch, ...].
        norm: float > 0.

    Returns:
        Scaled gradient, same shape; where it is zero, it stays zero.
    """
    axes = list(range(1, gradient.shape.rank))
    # Divided by its largest element first: the square of a small one is 0.
    largest = tf.reduce_max(tf.abs(gradient), axes, keepdims=True)
    scaled = tf.math.divide_no_nan(gradient, largest)
    return norm * tf.math.l2_normalize(scaled, axes)


GRADIENT_CLIPS: dict[str, Callable] = {
    "element": clip_by_element,
    "row_norm": clip_by_row_norm,
    "example_norm": clip_by_example_norm,
    "fixed_norm": scale_to_norm,
}

# Factor of the noise of step t = 0, 1, ...
NOISE_SCHEDULES: dict[str, Callable] = {
    "constant": lambda step: 1.0,
    # The paper's annealing, section D.3: 1, 1/2, 1/3, ...
    "reciprocal": lambda step: 1.0 / (1.0 + step),
    # The authors' code anneals one step later: 1, 1, 1/2, 1/3, ...
    # `step` first: in a graph, 1.0 would be float32 and refuse its float64.
    "delayed_reciprocal": lambda step: 1.0 / tf.maximum(step, 1.0),
}


def metropolis_hastings_log_ratio(
    x,
    proposal,
    energy,
    proposal_energy,
    drift,
    proposal_drift,
    noise_std,
    temperature,
):
    """Logarithm of the Metropolis-Hastings acceptance ratio of Langevin moves.

        log a = (E(x) - E(y)) / T
                - (|x - y - drift(y)|^2 - |y - x - drift(x)|^2)
                  / (2 noise_std^2)

    Args:
        x: float [batch, ...], states.
        proposal: proposed states y, shape of `x`.
        energy: float [batch], E(x).
        proposal_energy: float [batch], E(y).
        drift: `langevin_drift` at x, shape of `x`.
        proposal_drift: `langevin_drift` at y, shape of `x`.
        noise_std: standard deviation of the noise of this step, > 0.
        temperature: float > 0.

    Returns:
        float [batch].
    """
    # Differs from the paper: its code divides by T in the wrong places and
    # mixes the energies of different chains; this is the ratio of Roberts &
    # Tweedie (1996).
    axes = list(range(1, x.shape.rank))
    backward = tf.square(x - proposal - proposal_drift)
    forward = tf.square(proposal - x - drift)
    log_proposals = tf.reduce_sum(forward - backward, axes)
    log_proposals /= 2.0 * tf.square(scalar_like(noise_std, x))
    log_target = (energy - proposal_energy) / scalar_like(temperature, x)
    return log_target + log_proposals
