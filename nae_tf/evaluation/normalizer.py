"""The normaliser of an energy, bracketed by annealed importance sampling.

    Omega(T) = integral of exp(-E(x) / T) over a box               (Eq. 10)
    0 = beta_0 < beta_1 < ... < beta_K = 1 / T_min

Forward chains start uniformly in the box, whose volume is Omega at beta = 0.
The mean of their weights w_k is Omega(1 / beta_k) / volume in expectation, and
its logarithm errs downwards. Backward chains, from samples at beta_K to beta_0,
err upwards. So they bracket log Omega at every temperature.

The backward bound holds for exact samples, and there are none. Chains from data
alone miss modes without data, and may then end too low; chains from the ends of
forward chains miss modes that those have missed. Both are run, and the higher
end counts.

The paper's T is no such temperature: its chains sample at another one
(`langevin`). `LogNormalizer.best_temperature` finds the one that suits data.

References:
    Grosse, Ghahramani & Adams, Sandwiching the Marginal Likelihood Using
        Bidirectional Monte Carlo, 2015. https://arxiv.org/abs/1511.02543
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import scipy.special
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.evaluation.annealed_importance import Annealed, anneal
from nae_tf.metrics.importance_weights import (
    effective_sample_size,
    log_mean_weight,
    standard_error,
)

# Of the width of the box.
_FIRST_STEP = 0.1
# An end of a bracket lies this many standard errors outside of its estimate.
_NUM_ERRORS = 2.0
# Below it one chain has nearly all of the weight.
_FEW_SAMPLES = 1.5


@dataclasses.dataclass(frozen=True)
class LogNormalizer:
    """Brackets of log Omega(T), for every temperature of a run.

    All arrays are float64 [temperatures], from the hottest to the coldest. A
    bracket can be wrong where all chains have missed what has the weight: look
    at `sample_sizes`.

    Example:
        >>> import numpy as np
        >>> from nae_tf.evaluation import LogNormalizer
        >>> ones = np.ones(2)  # Of the standard normal density at T = 2.
        >>> exact = LogNormalizer(
        ...     inverse_temperatures=np.array([0.25, 0.5]),
        ...     lower=np.log(2 * np.pi * np.array([2.0, 1.0])),
        ...     upper=np.log(2 * np.pi * np.array([2.0, 1.0])),
        ...     forward_sample_sizes=64 * ones,
        ...     backward_sample_sizes=64 * ones,
        ...     energies=np.array([4.0, 2.0]),
        ... )
        >>> exact.best_temperature(energy=2.0)
        1
        >>> lower, upper = exact.log_likelihoods(energy=2.0)
        >>> round(float(lower[1]), 3)
        -2.838

    Attributes:
        inverse_temperatures: beta = 1 / T, from 0.
        lower: lower ends, two standard errors below the forward estimates.
        upper: upper ends, two standard errors above the higher backward
            estimate.
        forward_sample_sizes: effective sample sizes of the forward weights.
        backward_sample_sizes: those of the backward weights, the smaller of
            both kinds of starts.
        energies: mean energies of the forward chains.
    """

    inverse_temperatures: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    forward_sample_sizes: np.ndarray
    backward_sample_sizes: np.ndarray
    energies: np.ndarray

    @property
    def sample_sizes(self) -> np.ndarray:
        """The smaller effective sample size of both directions."""
        return np.minimum(self.forward_sample_sizes, self.backward_sample_sizes)

    @property
    def is_trusted(self) -> np.ndarray:
        """Whether both directions rest on more than one chain, bool."""
        return self.sample_sizes >= _FEW_SAMPLES

    def log_likelihoods(self, energy: float) -> tuple[np.ndarray, np.ndarray]:
        """Bracket the mean log likelihood of data at every temperature.

            mean log p(x) = -mean E(x) / T - log Omega(T)

        Args:
            energy: mean energy of the data.

        Returns:
            lower: float64 [temperatures], in nats.
            upper: float64 [temperatures].
        """
        exponents = -self.inverse_temperatures * energy
        return exponents - self.upper, exponents - self.lower

    def best_temperature(self, energy: float) -> int:
        """Return the index of the temperature that suits data best.

        There the lower end of the likelihood is greatest: about where samples
        have the same mean energy as the data.

        Args:
            energy: mean energy of the data, not of data that are scored later.
        """
        return int(np.argmax(self.log_likelihoods(energy)[0]))


def annealing_path(
    min_temperature: float, num_temperatures: int, power: float = 4.0
) -> np.ndarray:
    """Return inverse temperatures from 0 to 1 / `min_temperature`.

        beta_k = (k / K)^power / min_temperature

    Args:
        min_temperature: lowest temperature, > 0.
        num_temperatures: number of temperatures, K + 1 > 1.
        power: 1 is linear; more spends more of the path near the uniform
            density.

    Returns:
        float64 [num_temperatures].
    """
    fractions = np.linspace(0.0, 1.0, num_temperatures)
    return fractions**power / min_temperature


def log_normalizer(
    energy_fn: Callable,
    samples,
    min_temperature: float,
    bounds: tuple[float, float] = (0.0, 1.0),
    num_chains: int = 64,
    num_temperatures: int = 2_000,
    num_leapfrogs: int = 5,
    num_burn_in: int = 500,
    seed: int = 0,
) -> LogNormalizer:
    """Bracket the normaliser of exp(-E(x) / T) for T from infinity down.

    Args:
        energy_fn: function from float [batch, ...] to energies, float [batch],
            such as `NAE.energy`.
        samples: float [num_samples, ...], where half of the backward chains
            begin: data, or samples of the model. The others begin where the
            forward chains have ended.
        min_temperature: lowest temperature, > 0. That of a reconstruction error
            of E per value is about 2 E / D.
        bounds: (low, high), the box of every coordinate.
        num_chains: number of forward chains, and of backward chains of either
            kind, > 1.
        num_temperatures: number of temperatures, > 1. Twice as many make the
            bracket narrower.
        num_leapfrogs: number of leapfrog steps per temperature, > 0.
        num_burn_in: number of moves of the backward chains at the lowest
            temperature before they set out, >= 0.
        seed: seed of the chains, int.

    Returns:
        `LogNormalizer`.

    Raises:
        ValueError: if a setting is out of range, or the samples are not in the
            box.

    Example:
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> from nae_tf.evaluation import log_normalizer
        >>> found = log_normalizer(
        ...     lambda x: tf.reduce_sum(x**2, axis=1),
        ...     samples=np.random.default_rng(0).normal(size=(64, 2)),
        ...     min_temperature=2.0,
        ...     bounds=(-10.0, 10.0),
        ...     num_temperatures=200,
        ... )
        >>> truth = np.log(2 * np.pi)  # Of the standard normal density.
        >>> bool(found.lower[-1] < truth < found.upper[-1])
        True
    """
    for key, value, smallest in [
        ("num_chains", num_chains, 2),
        ("num_temperatures", num_temperatures, 2),
        ("num_leapfrogs", num_leapfrogs, 1),
        ("num_burn_in", num_burn_in, 0),
    ]:
        check_integer("log_normalizer", key, value, smallest)
    check_number(
        "log_normalizer", "min_temperature", min_temperature, "(0, inf)"
    )
    samples = np.asarray(samples)
    low, high = bounds
    inside = (samples >= low) & (samples <= high)
    if not samples.size or not inside.all():
        raise ValueError(
            f"log_normalizer: expected samples in the box [{low}, {high}], "
            f"received {len(samples)} from {samples.min(initial=np.inf):.3g} "
            f"to {samples.max(initial=-np.inf):.3g}; widen bounds."
        )
    path = annealing_path(min_temperature, num_temperatures)

    # One graph for paths of any length.
    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, *samples.shape[1:]], tf.float32),
            tf.TensorSpec([None], tf.float64),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    def run(x, betas, step_size, seed):
        return anneal(
            energy_fn, x, betas, step_size, seed, (low, high), num_leapfrogs
        )

    def go(x, betas, step_size, stream):
        return run(
            x,
            tf.constant(betas, tf.float64),
            tf.cast(step_size, tf.float32),
            randomness.step_seed(seed, stream),
        )

    # The streams of the chains are negative, as of all that is no step.
    start = randomness.uniform(
        [num_chains, *samples.shape[1:]],
        randomness.step_seed(seed, -1),
        tf.float32,
        low,
        high,
    )
    forward = go(start, path, _FIRST_STEP * (high - low), -2)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(
        len(samples), num_chains, replace=len(samples) < num_chains
    )
    ends = rng.choice(
        num_chains,
        num_chains,
        p=scipy.special.softmax(forward.log_weights[-1].numpy()),
    )
    starts = np.concatenate([samples[chosen], forward.x.numpy()[ends]])
    burnt_in = go(
        tf.constant(starts, tf.float32),
        np.full(num_burn_in + 1, path[-1]),
        forward.step_size,
        -3,
    )
    backward = go(burnt_in.x, path[::-1], burnt_in.step_size, -4)
    return bracket(path, high - low, forward, backward)


def bracket(
    path, width: float, forward: Annealed, backward: Annealed
) -> LogNormalizer:
    """Turn the weights of both directions into brackets of log Omega.

    Args:
        path: float64 [temperatures], inverse temperatures of the forward
            chains; the backward ones went from its end to its beginning.
        width: width of the box.
        forward: what the forward chains have met.
        backward: what the backward chains have met, those of either kind of
            starts one after the other.
    """
    num_values = int(np.prod(forward.x.shape[1:]))
    log_volume = num_values * np.log(width)
    to_here = forward.log_weights.numpy()
    of_backward = backward.log_weights.numpy()
    # From temperature k on to the beginning of the path.
    from_here = np.split((of_backward[-1] - of_backward)[::-1], 2, axis=1)
    return LogNormalizer(
        np.asarray(path),
        log_volume
        + log_mean_weight(to_here)
        - _NUM_ERRORS * standard_error(to_here),
        np.max(
            [
                log_volume
                - log_mean_weight(weights)
                + _NUM_ERRORS * standard_error(weights)
                for weights in from_here
            ],
            axis=0,
        ),
        effective_sample_size(to_here),
        np.min([effective_sample_size(w) for w in from_here], axis=0),
        forward.energies.numpy().astype(np.float64).mean(axis=-1),
    )
